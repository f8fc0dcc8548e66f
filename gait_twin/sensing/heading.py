"""Which way a sensor's wearer faces, found from a few strides of walking, for any mounting.

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
ComplexArray = NDArray[np.complex128]

LEG_RATE_RADPS = 1.0
"""Slower rotations say little about a leg's axis."""
TURN_RATIO = 2.0
"""Samples count where the horizontal rate is so many times the vertical: legs swing, and do not turn."""
STEP_BAND_HZ = (0.8, 3.0)
"""Step frequencies of slow patients to fast walkers."""
SHARED_PIECE_S = 0.5
"""Accelerations of neighbours are compared in pieces of this length, s."""
SHARED_RMS_MPS2 = 0.4
"""Horizontal acceleration of a piece that counts as walking."""
SHARED_SMOOTHING_S = 0.09
"""Length of the moving average, taken twice, over these accelerations: soft tissue and heel strikes are faster."""
SHARED_COHERENCE = 0.75
"""Least coherence of the two (1: the same motion)."""
TRUNK_WINDOW_S = 2.56
FINER = 4
"""The spectrum of such a window is interpolated so many times."""
DOUBLE_SHARE = 0.7
"""Share with which a step frequency's double speaks for it: slow walkers' doubles are up to twice as strong."""
TRUNK_CERTAINTY = 0.4
"""Least mean correlation of the trunk's forward and upward motion."""
TRUNK_MIN_RMS_MPS2 = 0.3
"""A trunk that moves less at the step frequency is not walking."""
SET_OFF_S = 2.5
"""The velocity gained since standing is taken as the mean over the second half of so long, s."""
SET_OFF_STILL_S = 0.5
"""Standing before setting off, during which the accelerometer's error is seen, s."""
SET_OFF_STILL_MPS2 = 0.12
"""Root mean square horizontal acceleration of standing."""
SET_OFF_MPS = 0.3
"""Who has gained less did not set off, or walks on a treadmill; an error of 1 degree of tilt makes as much."""
SET_OFF_COSINE = 0.7
"""The first steps go along the axis found, to within 45 degrees."""
SET_OFF_SD_RAD = np.radians(25.0)
"""Of their direction alone: some people turn at once."""


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
    return HeadingEstimate(_wrap(forward), 0.5 * _jackknife(pieces), cycles)


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
        if np.hypot(x, y) > 0.3 and abs(_wrap(yaw[j] - yaw[i])) < 0.35:
            directions.append(_wrap(np.arctan2(y, x) - yaw[i]))
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


def trunk_heading(acc: FloatArray, yaw: FloatArray, rate_hz: float) -> HeadingEstimate | None:
    """Forward direction of the pelvis or torso from its accelerations at the step frequency.

    Going over the stance leg like an inverted pendulum, the trunk is slowest and highest at mid-stance and
    fastest and lowest in double support (Zijlstra & Hof 2003, doi:10.1016/S0966-6362(02)00190-X): at the
    step frequency the forward acceleration leads the vertical one by a quarter period, while sideways motion
    goes with the stride, half as often. So the covariance of the horizontal acceleration with the derivative
    of the vertical one, around the step frequency, points forward.

    Twice as often, it points backward, and slow walkers rise and fall about as much twice a step: the step
    frequency is the one that has most together with its double. Where a standing is seen before the walk, nobody
    sets off backward: the velocity gained then decides the sign.

    Parameters
    ----------
    acc, yaw, rate_hz
        As for `leg_heading`; the first `SET_OFF_STILL_S` may be standing.
    """
    n = int(TRUNK_WINDOW_S * rate_hz)
    forward_frame = quat_rotate(quat_about_z(-yaw), acc)
    window = np.hanning(n)[:, None]
    frequency = np.fft.rfftfreq(FINER * n, 1.0 / rate_hz)
    candidates = np.flatnonzero((frequency >= STEP_BAND_HZ[0]) & (frequency <= STEP_BAND_HZ[1]))
    candidates = candidates[2 * candidates < len(frequency)]
    pieces = []
    for start in range(int(SET_OFF_STILL_S * rate_hz), len(acc) - n + 1, n // 2):
        piece = forward_frame[start : start + n]
        if not np.isfinite(piece).all():
            continue
        spectrum = np.fft.rfft(window * (piece - piece.mean(axis=0)), FINER * n, axis=0)
        rise = np.abs(spectrum[:, 2])
        step_hz = frequency[candidates[np.argmax(rise[candidates] + DOUBLE_SHARE * rise[2 * candidates])]]
        near = np.abs(frequency / step_hz - 1.0) < 0.35
        x, y, z = spectrum[near].T
        rms = np.sqrt((np.abs(z) ** 2).sum() / FINER) * np.sqrt(2.0 / n / (window**2).sum())
        if rms < TRUNK_MIN_RMS_MPS2:
            continue
        rising = 1j * z
        covariance = (x * rising.conj()).real.sum() + 1j * (y * rising.conj()).real.sum()
        scale = np.sqrt((np.abs(x) ** 2 + np.abs(y) ** 2).sum() * (np.abs(z) ** 2).sum())
        pieces.append(covariance / scale)
    gained = set_off(acc, yaw, rate_hz)
    array = np.array(pieces)
    certainty = abs(array.mean()) if len(array) > 1 else 0.0
    if certainty < TRUNK_CERTAINTY:
        return HeadingEstimate(float(np.angle(gained)), SET_OFF_SD_RAD, 0) if abs(gained) > SET_OFF_MPS else None
    angle = float(np.angle(array.sum()))
    along = gained * np.exp(-1j * angle)
    if -along.real > max(SET_OFF_MPS * certainty, SET_OFF_COSINE * abs(along)):
        angle = _wrap(angle + np.pi)
    return HeadingEstimate(angle, _jackknife(array), len(array))


def set_off(acc: FloatArray, yaw: FloatArray, rate_hz: float) -> complex:
    """Velocity gained since standing, in the standing frame, m/s; summed where the person set off more than once.

    Parameters
    ----------
    acc, yaw, rate_hz
        As for `leg_heading`.

    Returns
    -------
    complex
        Forward (of the sensor's standing frame) and left; 0 where no standing, or no walking after it, is seen.
    """
    horizontal = acc[:, 0] + 1j * acc[:, 1]
    still, after = int(SET_OFF_STILL_S * rate_hz), int(SET_OFF_S * rate_hz)
    if len(acc) < still + after:
        return 0j
    every = max(1, int(0.05 * rate_hz))
    starts = np.arange(0, len(acc) - still + 1, every)
    rest = horizontal[starts[:, None] + np.arange(still)]
    error = rest.mean(axis=1)
    quiet = np.sqrt((np.abs(rest - error[:, None]) ** 2).mean(axis=1)) < SET_OFF_STILL_MPS2
    gained = 0j
    for i in np.flatnonzero(quiet[:-1] & ~quiet[1:]).tolist():
        rows = slice(starts[i] + still, starts[i] + still + after)
        if rows.stop > len(acc):
            break
        velocity = np.cumsum(horizontal[rows] - error[i]) / rate_hz * np.exp(-1j * yaw[rows])
        gained += complex(velocity[after // 2 :].mean())
    return gained


def shared_heading(acc: FloatArray, near: ComplexArray, lever: ComplexArray, rate_hz: float) -> HeadingEstimate | None:
    """Forward direction of a pelvis or torso from neighbours whose own is known: both move along together.

    The hip joints are the pelvis' and the thighs' alike, so the mean acceleration of both thighs, taken to the
    hips, is the pelvis'; torso and pelvis are near enough to each other. How far the hip is above the thigh's
    sensor follows from the same fit. One and a half seconds of walking suffice.

    Parameters
    ----------
    acc
        (n, 3) acceleration without gravity in the sensor's world, m/s²; NaN where unknown.
    near
        (n,) horizontal acceleration of the neighbours, forward and left as real and imaginary part, m/s².
    lever
        (n,) what each metre up along the neighbours adds to it, m/s² a metre; zeros for none.
    rate_hz
        Rate of the frames, Hz.

    Returns
    -------
    HeadingEstimate or None
        None while they do not move, or do not move alike. The angle turns `near` into the sensor's world; its
        cycles are pieces of half a second.
    """
    own = acc[:, 0] + 1j * acc[:, 1]
    known = np.isfinite(own) & np.isfinite(near) & np.isfinite(lever)
    width = max(1, round(SHARED_SMOOTHING_S * rate_hz))
    box = np.convolve(np.ones(width), np.ones(width)) / width**2
    if np.count_nonzero(known) < 3 * len(box):
        return None
    own, near, lever = (np.convolve(np.where(known, v, 0.0), box, mode="same") for v in (own, near, lever))
    known &= np.convolve(known, np.ones(len(box)), mode="same") > len(box) - 0.5
    own, near, lever = own[known], near[known], lever[known]
    # near + length * lever = factor * own, in least squares over both factor's parts and the length
    matrix = np.stack([own, 1j * own, -lever], axis=1)
    matrix = np.concatenate([matrix.real, matrix.imag])
    normal = matrix.T @ matrix
    normal.flat[::4] += 1e-9
    length = float(np.linalg.solve(normal, matrix.T @ np.concatenate([near.real, near.imag]))[2])
    near = near + length * lever
    coherence = abs(np.vdot(near, own)) / (np.linalg.norm(near) * np.linalg.norm(own) + 1e-9)
    size = int(SHARED_PIECE_S * rate_hz)
    starts = np.arange(0, len(near), size)
    strong = np.add.reduceat(np.abs(near) ** 2, starts) > size * SHARED_RMS_MPS2**2
    pieces = np.add.reduceat(own * near.conj(), starts)[strong]
    if coherence < SHARED_COHERENCE or len(pieces) < 2:
        return None
    return HeadingEstimate(float(np.angle(pieces.sum())), _jackknife(pieces), len(pieces))


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


def _jackknife(pieces: NDArray[np.complex128]) -> float:
    """Standard deviation of the angle of a complex sum, leaving out one piece at a time, rad."""
    n = len(pieces)
    if n < 2:
        return float("inf")
    total = pieces.sum()
    changes = np.angle((total - pieces) / total)
    return float(np.sqrt((n - 1) / n * ((changes - changes.mean()) ** 2).sum()))


def _wrap(angle: float) -> float:
    return float(np.angle(np.exp(1j * angle)))
