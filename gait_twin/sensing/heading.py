"""Which way a sensor's wearer faces, found from a few strides of walking, for any mounting; legs here.

All directions here are in the sensor's standing frame: z up, horizontal axes as its orientation had them
while standing, fixed to the segment. Angles are of the forward direction in it, rad. Because this frame
turns with the person, turns during the walk do not move what is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_about_z, quat_rotate

FloatArray = NDArray[np.float64]

LEG_RATE_RADPS = 1.0
"""Slower rotations say little about a leg's axis."""
TURN_RATIO = 2.0
"""Samples count where the horizontal rate is so many times the vertical: legs swing, and do not turn."""


@dataclass(frozen=True, slots=True)
class HeadingEstimate:
    """Forward direction of one segment.

    Attributes
    ----------
    angle_rad
        Angle of the forward direction in the sensor's standing frame, left positive.
    sd_rad
        One standard deviation, by the jackknife over pieces of the walk.
    cycles
        Leg swings (legs) or walking windows (trunk) that it rests on.
    """

    angle_rad: float
    sd_rad: float
    cycles: int


def is_enough(estimate: HeadingEstimate, trunk: bool, strides: int) -> bool:
    """Whether a sensor's own estimate may become final: a few good cycles, or many fair ones; `strides` at least."""
    sd_deg = np.degrees(estimate.sd_rad)
    if estimate.cycles < strides:
        return False
    if trunk:
        return bool((estimate.cycles >= 5 and sd_deg <= 5.0) or (estimate.cycles >= 10 and sd_deg <= 15.0))
    return bool((estimate.cycles >= 3 and sd_deg <= 4.0) or (estimate.cycles >= 8 and sd_deg <= 15.0))


def leg_heading(
    gyr: FloatArray, acc: FloatArray, yaw: FloatArray, rate_hz: float, foot: bool
) -> HeadingEstimate | None:
    """Forward direction of a thigh, shank or foot.

    The mediolateral axis is the principal axis of the horizontal angular rate. Its sign: thigh and shank
    swing forward faster than they rotate back in stance, so that the rate about the right-pointing axis has
    positive skewness; a foot's push-off is as fast as its swing, so there the sign is of its displacement
    between two foot-flats, by integrating the acceleration with the end velocity set to zero.

    Parameters
    ----------
    gyr
        (n, 3) angular rate in the standing frame fixed to the segment, rad/s; NaN where unknown.
    acc
        (n, 3) acceleration without gravity in the sensor's world, m/s².
    yaw
        (n,) heading since standing, rad.
    rate_hz
        Rate of the frames, Hz.
    foot
        True for a foot.

    Returns
    -------
    HeadingEstimate or None
        None while there is no clear swing.
    """
    rate = np.nan_to_num(gyr)
    horizontal = np.hypot(rate[:, 0], rate[:, 1])
    used = (horizontal > LEG_RATE_RADPS) & (horizontal > TURN_RATIO * np.abs(rate[:, 2]))
    if np.count_nonzero(used) < 0.3 * rate_hz:
        return None
    # with doubled angles, opposite directions of one axis add up; the sum's angle is the principal axis
    doubled = np.where(used, (rate[:, 0] + 1j * rate[:, 1]) ** 2, 0.0)
    pieces = _pieces(doubled, int(0.5 * rate_hz))
    axis = 0.5 * np.angle(pieces.sum())
    swing = rate[:, 0] * np.cos(axis) + rate[:, 1] * np.sin(axis)
    # forward is up x right, a quarter turn left of the right-pointing axis
    forward = axis + 0.5 * np.pi
    if foot:
        directions = _displacements(gyr, acc, yaw, rate_hz)
        if not len(directions):
            return None
        certainty = float(np.cos(directions - forward).mean())
        if abs(certainty) < 0.5:
            return None
    else:
        active = swing[horizontal > 0.3]
        centred = active - active.mean()
        certainty = float((centred**3).mean() / (centred**2).mean() ** 1.5)
        if abs(certainty) < 0.3:
            return None
    if certainty < 0.0:
        forward, swing = forward + np.pi, -swing
    cycles = _count_swings(swing, rate_hz)
    return HeadingEstimate(wrapped(forward), 0.5 * jackknife(pieces), cycles)


def _displacements(gyr: FloatArray, acc: FloatArray, yaw: FloatArray, rate_hz: float) -> FloatArray:
    """Directions of a foot's displacements between foot-flats, relative to its heading at the first one."""
    flat = np.flatnonzero(np.linalg.norm(gyr, axis=1) < 0.6)
    rest = np.flatnonzero(np.diff(flat) > 0.2 * rate_hz)
    directions = []
    for i, j in zip(flat[rest], flat[rest + 1], strict=True):
        piece = acc[i : j + 1]
        if j - i > 1.5 * rate_hz or not np.isfinite(piece).all():
            continue
        velocity = np.cumsum(piece, axis=0) / rate_hz
        velocity -= np.linspace(0.0, 1.0, len(velocity))[:, None] * velocity[-1]
        x, y, _ = velocity.sum(axis=0) / rate_hz
        if np.hypot(x, y) > 0.3 and abs(wrapped(yaw[j] - yaw[i])) < 0.35:
            directions.append(wrapped(np.arctan2(y, x) - yaw[i]))
    return np.array(directions)


def _count_swings(swing: FloatArray, rate_hz: float) -> int:
    """Number of runs of at least 0.1 s in which the leg swings forward fast."""
    fast = swing > 0.5 * np.percentile(swing, 99)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], fast.astype(np.int8), [0]])))
    return int(np.count_nonzero(edges[1::2] - edges[::2] >= 0.1 * rate_hz))


def sideways_lean(turn: FloatArray, gyr: FloatArray, forward_rad: float) -> float:
    """Mean lean to the left of a moving segment against its standing, rad.

    Parameters
    ----------
    turn
        (n, 4) rotation since standing, in the sensor's world.
    gyr
        (n, 3) angular rate, rad/s.
    forward_rad
        Forward direction in the standing frame.
    """
    moving = np.linalg.norm(np.nan_to_num(gyr), axis=1) > 0.5
    if not moving.any():
        return 0.0
    # the standing vertical, fixed to the segment, as it leans now, seen from the segment's present heading
    yaw = 2.0 * np.arctan2(turn[moving, 3], turn[moving, 0])
    up = quat_rotate(quat_about_z(-yaw - forward_rad), quat_rotate(turn[moving], np.array([0.0, 0.0, 1.0])))
    return float(np.nanmean(np.arctan2(up[:, 1], up[:, 2])))


def pooled(estimates: list[HeadingEstimate], systematic_rad: float) -> tuple[HeadingEstimate, NDArray[np.bool_]]:
    """One heading for sensors that share it: weighted circular mean, without those far off the rest.

    Parameters
    ----------
    estimates
        At least one.
    systematic_rad
        Difference between a segment's own forward and the body's, beyond the statistical one.

    Returns
    -------
    heading
        Of those that agree.
    agree
        Which estimates these are.
    """
    angles = np.exp(1j * np.array([e.angle_rad for e in estimates]))
    weights = 1.0 / (np.array([e.sd_rad for e in estimates]) ** 2 + systematic_rad**2)
    cycles = np.array([e.cycles for e in estimates])
    # the medoid is safe against a few sensors that are turned by half a turn
    distance = np.abs(np.angle(angles[:, None] / angles[None, :]))
    medoid = int(np.argmin((distance * weights[None, :]).sum(axis=1)))
    agree = distance[medoid] < np.radians(40.0)
    total = (angles * weights)[agree].sum()
    sd = float(1.0 / np.sqrt(weights[agree].sum()))
    return HeadingEstimate(float(np.angle(total)), sd, int(cycles[agree].sum())), agree


def _pieces(values: NDArray[np.complex128], length: int) -> NDArray[np.complex128]:
    """Sums over consecutive pieces, without the empty ones."""
    sums = np.add.reduceat(values, np.arange(0, len(values), length))
    return np.asarray(sums[sums != 0])


def jackknife(pieces: NDArray[np.complex128]) -> float:
    """Standard deviation of the angle of a complex sum, leaving out one piece at a time, rad."""
    n = len(pieces)
    if n < 2:
        return float("inf")
    total = pieces.sum()
    changes = np.angle((total - pieces) / total)
    return float(np.sqrt((n - 1) / n * ((changes - changes.mean()) ** 2).sum()))


def wrapped(angle: float) -> float:
    """An angle within half a turn of zero, rad."""
    return float(np.angle(np.exp(1j * angle)))
