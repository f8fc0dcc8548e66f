"""What an analysis finds, and what of it follows from poses and states alone, live or offline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification import Classified
from gait_twin.recording import (
    FootPose,
    GaitEvent,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    TwinState,
)
from gait_twin.service.motion import Footprint, Motion
from gait_twin.twin import Skeleton, Table, ground_reactions_table, moment_sd_table, moments_table, powers_table

FloatArray = NDArray[np.float64]

MOMENTS, POWERS, GROUND_REACTIONS = "moments.sto", "powers.sto", "ground_reactions.mot"
MOMENT_SD = "moment_sd.sto"
NOTICES_MAX, NOTICE_S = 5, 0.5
"""Sentences of the twin that are passed on: how many, and the time that each must have held, s."""


@dataclass(frozen=True, slots=True)
class FootPath:
    """Trajectory of one foot sensor in the walk's z-up frame.

    Attributes
    ----------
    time_s, position_m, foot_flat
        (n,), (n, 3), (n,): instants (s), position (m) and whether the foot stood flat.
    """

    time_s: FloatArray
    position_m: FloatArray
    foot_flat: NDArray[np.bool_]

    def prints(self, side: Side) -> Iterator[Footprint]:
        """Each foot-flat as a footprint that points from the last one to this one."""
        edges = np.flatnonzero(np.diff(np.r_[False, self.foot_flat, False].astype(int)))
        last: FloatArray | None = None
        heading = 0.0
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            x, y = np.median(self.position_m[start:end, :2], axis=0)
            if last is not None and math.hypot(x - last[0], y - last[1]) > 0.1:
                heading = math.atan2(y - last[1], x - last[0])
            last = np.array([x, y])
            yield Footprint(side, float(self.time_s[start]), float(x), float(y), heading)


@dataclass(frozen=True, slots=True)
class SensorReport:
    """What became of one sensor's stream.

    Attributes
    ----------
    sampling_rate_hz
        Samples over time, Hz.
    counts
        Received, late, duplicate, invalid samples and gaps.
    residual_deg
        Mean angle between the sensor's and the twin's segment, °; NaN when not used.
    """

    sampling_rate_hz: float
    counts: dict[str, int] = field(default_factory=dict)
    residual_deg: float = math.nan


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that was found in a recording.

    Attributes
    ----------
    recording
        What was analysed.
    events, strides, steps
        By time.
    time_s, foot_rate_radps
        (n,) grid instants (s) and each foot's (n,) angular rate (rad/s).
    feet
        Path of each foot.
    joints
        Coordinates over time; None when the twin had too few sensors.
    motion
        The twin moving; None as above.
    forces
        Joint moments, powers and ground reactions by file name; empty where the twin did not know any.
    confidence
        Of these over time, 0 to 1.
    mass_kg, model
        Of the twin, and the model that it used: its file, or "default".
    osim
        That model as OpenSim's XML, so that the tables can be opened with it; empty without one.
    gait
        Class of the walk, and the cycles that it rests on; None without any.
    sensors
        Report on each segment's sensor.
    calibration
        Sentences on how the sensors were aligned to the segments.
    notices, losses
        Sentences, the recording's first.
    """

    recording: Recording
    events: tuple[GaitEvent, ...] = ()
    strides: tuple[Stride, ...] = ()
    steps: tuple[Step, ...] = ()
    time_s: FloatArray = field(default_factory=lambda: np.empty(0))
    foot_rate_radps: dict[Side, FloatArray] = field(default_factory=dict)
    feet: dict[Side, FootPath] = field(default_factory=dict)
    joints: JointTrajectory | None = None
    motion: Motion | None = None
    forces: dict[str, Table] = field(default_factory=dict)
    confidence: Table | None = None
    mass_kg: float = math.nan
    model: str = ""
    osim: str = ""
    gait: Classified | None = None
    sensors: dict[str, SensorReport] = field(default_factory=dict)
    calibration: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


def force_tables(states: Sequence[TwinState], skeleton: Skeleton) -> dict[str, Table]:
    """Moments and their standard deviations, powers and ground reactions by file name; empty where none is known."""
    if not any(state.ground is not None for state in states):
        return {}
    return {
        MOMENTS: moments_table(states, skeleton),
        MOMENT_SD: moment_sd_table(states, skeleton),
        POWERS: powers_table(states, skeleton),
        GROUND_REACTIONS: ground_reactions_table(states),
    }


def foot_paths(poses: Sequence[FootPose]) -> dict[Side, FootPath]:
    """Path of each foot from its odometry."""
    paths = {}
    for side in Side:
        own = sorted((pose for pose in poses if pose.side is side), key=lambda pose: pose.time_s)
        if own:
            paths[side] = FootPath(
                np.array([pose.time_s for pose in own]),
                np.array([pose.position_m for pose in own]),
                np.array([pose.foot_flat for pose in own]),
            )
    return paths


def joint_trajectory(states: Sequence[TwinState]) -> JointTrajectory | None:
    """Coordinates over time; NaN where the twin says not to use them, None where it never does otherwise."""
    usable = [state for state in states if state.coordinates]
    if not any(state.quality > 0 for state in usable):
        return None
    positions = np.array([state.positions for state in usable])
    positions[[state.quality <= 0 for state in usable]] = np.nan
    return JointTrajectory(np.array([state.time_s for state in usable]), usable[0].coordinates, positions)


def longest_run(motion: Table) -> Table:
    """The longest part of a motion without rows that are not known."""
    known = np.asarray(np.isfinite(motion.values).all(axis=1))
    time_s = motion.time_s[known]
    if len(time_s) < 2:
        return Table(time_s, motion.columns, motion.values[known], motion.in_degrees)
    breaks = np.flatnonzero(np.diff(time_s) > 1.5 * np.median(np.diff(time_s))) + 1
    edges = np.concatenate([[0], breaks, [len(time_s)]])
    best = int(np.argmax(np.diff(edges)))
    rows = slice(int(edges[best]), int(edges[best + 1]))
    return Table(time_s[rows], motion.columns, motion.values[known][rows], motion.in_degrees)


def mean_residuals_deg(states: Sequence[TwinState]) -> dict[str, float]:
    """Mean angle between each sensor's measured and modelled orientation, °."""
    rows = [state for state in states if state.quality > 0]
    if not rows:
        return {}
    residuals = np.degrees(np.array([state.residuals_rad for state in rows]))
    means = (column[np.isfinite(column)] for column in residuals.T)
    return {
        segment: float(column.mean()) if len(column) else math.nan
        for segment, column in zip(rows[0].sensors, means, strict=True)
    }


def twin_notices(states: Sequence[TwinState]) -> Iterator[str]:
    """What the twin said, each sentence once, with how long it held."""
    if not states:
        return
    held: dict[str, int] = {}
    for state in states:
        if state.message:
            held[state.message] = held.get(state.message, 0) + 1
    period_s = (states[-1].time_s - states[0].time_s) / max(len(states) - 1, 1)
    for message, count in sorted(held.items(), key=lambda item: -item[1])[:NOTICES_MAX]:
        if count == len(states):
            yield f"Twin, throughout: {message}"
        elif count * period_s >= NOTICE_S:  # a few frames without a sensor are no news
            yield f"Twin, for {count * period_s:.1f} s: {message}"
