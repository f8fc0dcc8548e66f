"""From a recording to everything that is known of the walk, through the classes that the nodes run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import GaitEvent, JointTrajectory, Recording, Side, Step, Stride
from gait_twin.service.motion import Motion

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]
"""Called with the fraction done, 0-1."""


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

    def prints(self) -> Iterator[tuple[float, float, float]]:
        """x, y (m) and heading (rad) of each foot-flat; headed from the last print to this one."""
        edges = np.flatnonzero(np.diff(np.r_[False, self.foot_flat, False].astype(int)))
        last: FloatArray | None = None
        heading = 0.0
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            x, y = np.median(self.position_m[start:end, :2], axis=0)
            if last is not None and math.hypot(x - last[0], y - last[1]) > 0.1:
                heading = math.atan2(y - last[1], x - last[0])
            last = np.array([x, y])
            yield float(x), float(y), heading


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
    sensors: dict[str, SensorReport] = field(default_factory=dict)
    calibration: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
