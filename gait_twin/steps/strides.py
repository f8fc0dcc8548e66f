"""One stride's parameters from the two heel strikes, the foot-flats and the swings between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import EventKind, GaitEvent, Side, Stride
from gait_twin.steps.foot import Flat
from gait_twin.steps.swing import Swing

FloatArray = NDArray[np.float64]

EVENT_SD_S = 0.012
"""Scatter of a detected event against manual labels (docs/events_and_steps.md)."""
LENGTH_SD_FACTOR = 0.88
"""Measured errors of stride length over the filter's own SD (docs/events_and_steps.md)."""
ANGLE_SD_RAD = 0.03
"""SD of a foot angle: tilt of the filter, and that a foot-flat is not quite flat."""
MIN_TURN_RAD = 0.2
"""A foot that turns less in a swing does not show its mediolateral axis; the way walked does then."""
MAX_SURPRISE = 15.0
"""A swing whose velocity was further from rest, in SDs, did not end at a foot-flat."""
MAX_DOUBTFUL_S = 0.3
"""A swing with more time of saturated or bridged samples is not to be trusted."""
UP = np.array([0.0, 0.0, 1.0])


def build_stride(
    side: Side,
    start_s: float,
    end_s: float,
    flats: Sequence[Flat],
    events: Sequence[GaitEvent],
    shared: float = 1.0,
) -> Stride:
    """Parameters of the stride between two heel strikes.

    Parameters
    ----------
    side
        Foot.
    start_s, end_s
        Its two heel strikes, s.
    flats
        Foot-flats from the first after `start_s` to the first after `end_s`; fewer than two, or of
        different chains, give a stride without spatial values.
    events
        Events of both feet known with the second heel strike.
    shared
        Factor on the length that the other foot's strides ask for.

    Notes
    -----
    Foot angles are those of the swing within the stride: at its toe-off and at the heel strike that ends
    it.
    """
    timing = _timing(side, start_s, end_s, events)
    if len(flats) < 2 or any(flat.chain != flats[0].chain for flat in flats):
        reason = "no foot-flat" if len(flats) < 2 else "trajectory began anew"
        return Stride(side, start_s, end_s, **timing, valid=False, reason=reason)
    first, last = flats[0], flats[-1]
    swings = [flat.swing for flat in flats[1:] if flat.swing is not None]
    way = sum((swing.displacement_m for swing in swings), np.zeros(3))
    length = math.hypot(way[0], way[1])
    along = way[:2] / length if length > 1e-6 else np.array([1.0, 0.0])
    covariance = sum((swing.covariance for swing in swings), np.zeros((3, 3)))
    # A swing that closed worse than expected was measured worse than expected
    factor = LENGTH_SD_FACTOR * math.sqrt(max([1.0] + [swing.surprise for swing in swings]))
    length_sd = factor * math.sqrt(along @ covariance[:2, :2] @ along)
    clearance_sd = factor * math.sqrt(covariance[2, 2])
    forward = _forward(first, swings, along)
    heading = last.rotation @ first.rotation.T @ forward
    turning = math.atan2(
        forward[0] * heading[1] - forward[1] * heading[0], forward[0] * heading[0] + forward[1] * heading[1]
    )
    in_sensor = first.rotation.T @ forward
    flat_again = heading * [1.0, 1.0, 0.0]
    in_sensor_after = last.rotation.T @ (flat_again / np.linalg.norm(flat_again))
    reason = _doubt(swings)
    return Stride(
        side,
        start_s,
        end_s,
        **timing,
        stride_length_m=shared * length,
        stride_length_sd_m=length_sd,
        foot_clearance_m=_clearance(swings),
        foot_clearance_sd_m=clearance_sd,
        height_change_m=float(way[2]),
        foot_angle_heel_strike_rad=_angle(end_s, swings, in_sensor_after),
        foot_angle_toe_off_rad=_angle(timing["toe_off_s"], swings, in_sensor),
        foot_angle_sd_rad=ANGLE_SD_RAD,
        turning_angle_rad=turning,
        turning_angle_sd_rad=0.01 + 0.005 * (end_s - start_s),
        valid=not reason,
        reason=reason,
    )


def _doubt(swings: list[Swing]) -> str:
    """Why not to trust a stride; empty where nothing speaks against it."""
    if not swings:
        return "the foot stood"
    if not all(swing.valid for swing in swings):
        return "samples lost"
    if any(swing.surprise >= MAX_SURPRISE for swing in swings):
        return "the foot did not come to rest"
    doubtful_s = max(int(s.samples.doubtful.sum()) * float(s.time_s[1] - s.time_s[0]) for s in swings)
    return "saturated" if doubtful_s > MAX_DOUBTFUL_S else ""


def _timing(side: Side, start_s: float, end_s: float, events: Sequence[GaitEvent]) -> dict[str, Any]:
    within = [e for e in events if start_s < e.time_s < end_s]
    toe_offs = [e.time_s for e in within if e.side is side and e.kind is EventKind.TOE_OFF]
    toe_off_s = toe_offs[-1] if toe_offs else math.nan
    other_off = [e.time_s for e in within if e.side is not side and e.kind is EventKind.TOE_OFF]
    other_strike = [e.time_s for e in within if e.side is not side and e.kind is EventKind.HEEL_STRIKE]
    double = math.nan
    if len(other_off) == len(other_strike) == 1 and other_off[0] < other_strike[0]:
        double = max(other_off[0] - start_s, 0.0) + max(toe_off_s - other_strike[0], 0.0)
    return {
        "toe_off_s": toe_off_s,
        "stance_time_s": toe_off_s - start_s,
        "swing_time_s": end_s - toe_off_s,
        "double_support_time_s": double,
        "stride_time_sd_s": math.sqrt(2.0) * EVENT_SD_S,
    }


def _forward(first: Flat, swings: list[Swing], along: FloatArray) -> FloatArray:
    """(3,) horizontal unit vector of the sole at the first foot-flat: across the axis the foot turns about."""
    ahead = np.array([along[0], along[1], 0.0])
    if not swings:
        return ahead
    turned = swings[0].rotation @ first.rotation.T
    cosines = (np.trace(turned, axis1=1, axis2=2) - 1.0) / 2.0
    most = turned[int(np.argmin(cosines))]
    axis = np.array([most[2, 1] - most[1, 2], most[0, 2] - most[2, 0], 0.0])  # 2 sin(angle) axis, level
    size = float(np.linalg.norm(axis))
    if size < 2.0 * math.sin(MIN_TURN_RAD):
        return ahead
    forward = np.cross(UP, axis / size)
    return forward if forward @ ahead > 0.0 else -forward


def _clearance(swings: list[Swing]) -> float:
    """Largest height over the straight line from foot-flat to foot-flat, m."""
    if not swings:
        return math.nan
    time_s = np.concatenate([swing.time_s for swing in swings])
    starts = np.cumsum([0.0] + [swing.displacement_m[2] for swing in swings[:-1]])
    height = np.concatenate([s.position_m[:, 2] + z for s, z in zip(swings, starts, strict=True)])
    part = (time_s - time_s[0]) / (time_s[-1] - time_s[0])
    return float((height - part * height[-1]).max())


def _angle(time_s: float, swings: list[Swing], forward: FloatArray) -> float:
    """Pitch of the sole's forward axis (sensor axes) at an instant, toes up positive, rad."""
    for swing in swings:
        if swing.time_s[0] <= time_s <= swing.time_s[-1]:
            at = round((time_s - float(swing.time_s[0])) / float(swing.time_s[1] - swing.time_s[0]))
            return math.asin(min(max(float(swing.rotation[at, 2] @ forward), -1.0), 1.0))
    return math.nan
