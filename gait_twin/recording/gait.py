"""Vocabulary of results: events, phase, strides, steps, the twin's state. NaN stands for "not known"."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.segments import Side

NAN = float("nan")


class EventKind(StrEnum):
    """Kind of a gait event; the value is what tables and messages show."""

    HEEL_STRIKE = "heel_strike"
    TOE_OFF = "toe_off"


@dataclass(frozen=True, slots=True)
class GaitEvent:
    """One heel strike or toe-off.

    Attributes
    ----------
    time_s
        Instant of the event itself, s.
    side, kind
        Which foot did what.
    confidence
        Probability that the event is real, 0–1.
    delay_s
        How long after `time_s` it was known, on sensor time, s.
    """

    time_s: float
    side: Side
    kind: EventKind
    confidence: float = NAN
    delay_s: float = NAN


@dataclass(frozen=True, slots=True)
class GaitPhase:
    """Where a leg is in its cycle at one instant, for controllers.

    Attributes
    ----------
    time_s
        Instant described, s.
    side
        Leg.
    walking
        False while standing or unknown; the rest is NaN or stance then.
    stance
        True while the foot is on the ground.
    phase
        0 at heel strike, rising to 1 at the next one, predicted to `time_s`.
    stride_time_s
        Stride time used for the prediction, s.
    confidence
        0–1.
    """

    time_s: float
    side: Side
    walking: bool
    stance: bool
    phase: float = NAN
    stride_time_s: float = NAN
    confidence: float = NAN


@dataclass(frozen=True, slots=True)
class Stride:
    """One stride, from a heel strike to the next of the same foot.

    Attributes
    ----------
    side, start_s, end_s, toe_off_s
        Foot; instants of its two heel strikes and of the toe-off between them, s.
    stride_length_m
        Horizontal displacement of the foot, m.
    stance_time_s, swing_time_s
        Heel strike to toe-off, toe-off to heel strike, s.
    double_support_time_s
        Time within the stride with both feet on the ground, s; NaN with one foot's sensor.
    speed_mps, cadence_spm
        Stride length over stride time, m/s; two steps a stride time, steps/min.
    foot_clearance_m
        Largest height of the sensor over the stride's level ground line, m.
    height_change_m
        Rise of the foot from foot-flat to foot-flat, m (about 0 on level ground).
    foot_angle_heel_strike_rad, foot_angle_toe_off_rad
        Sole against the ground in the sagittal plane, toes up positive, rad.
    turning_angle_rad
        Change of the foot's heading over the stride, left turn positive, rad.
    *_sd
        One standard deviation of the estimate, same unit.
    valid
        False where a gap, saturation or a missed foot-flat makes the spatial values not to be trusted.
    reason
        Why not, in a few words; empty where valid.
    provisional
        True where it is told with its heel strike, before its foot-flat: a better one follows.
    """

    side: Side
    start_s: float
    end_s: float
    toe_off_s: float = NAN
    stride_length_m: float = NAN
    stride_length_sd_m: float = NAN
    stance_time_s: float = NAN
    swing_time_s: float = NAN
    double_support_time_s: float = NAN
    stride_time_sd_s: float = NAN
    foot_clearance_m: float = NAN
    foot_clearance_sd_m: float = NAN
    height_change_m: float = NAN
    foot_angle_heel_strike_rad: float = NAN
    foot_angle_toe_off_rad: float = NAN
    foot_angle_sd_rad: float = NAN
    turning_angle_rad: float = NAN
    turning_angle_sd_rad: float = NAN
    valid: bool = True
    reason: str = ""
    provisional: bool = False

    @property
    def stride_time_s(self) -> float:
        """Heel strike to heel strike, s."""
        return self.end_s - self.start_s

    @property
    def speed_mps(self) -> float:
        """Stride length over stride time, m/s."""
        return self.stride_length_m / self.stride_time_s

    @property
    def cadence_spm(self) -> float:
        """Two steps in a stride time, steps/min."""
        return 120.0 / self.stride_time_s


@dataclass(frozen=True, slots=True)
class Step:
    """One step: from the other foot's heel strike to this foot's.

    Attributes
    ----------
    side
        Foot that lands.
    time_s
        Its heel strike, s.
    step_time_s
        Time since the other foot's heel strike, s.
    step_length_m, step_width_m
        Distance of the landing foot ahead of, and beside, the other foot along the walking direction, m.
    *_sd
        One standard deviation of the estimate, same unit.
    valid
        As in `Stride`.
    """

    side: Side
    time_s: float
    step_time_s: float
    step_length_m: float = NAN
    step_length_sd_m: float = NAN
    step_width_m: float = NAN
    step_width_sd_m: float = NAN
    valid: bool = True


@dataclass(frozen=True, slots=True)
class FootPose:
    """Odometry of one foot sensor in the walk's own z-up frame (x along the first steps).

    Attributes
    ----------
    time_s
        Instant, s.
    side
        Foot.
    position_m, velocity_mps
        (3,) of the sensor, m and m/s.
    quat_wxyz
        (4,) rotating sensor axes into the walk's frame.
    position_sd_m
        (3,) one standard deviation since the last foot-flat, m.
    foot_flat
        True while the zero-velocity update is applied.
    """

    time_s: float
    side: Side
    position_m: NDArray[np.float64]
    velocity_mps: NDArray[np.float64]
    quat_wxyz: NDArray[np.float64]
    position_sd_m: NDArray[np.float64]
    foot_flat: bool


@dataclass(frozen=True, slots=True)
class GroundReaction:
    """What the ground does to both feet at one instant, in the z-up world; rows are left, right.

    Attributes
    ----------
    time_s
        Instant described, s.
    force_n
        (2, 3) on each foot, N; zero while it is in the air.
    center_of_pressure_m
        (2, 3) where the force acts, m; NaN while the foot is in the air.
    free_moment_nm
        (2,) about the vertical beside the force, N·m.
    residual_force_n, residual_moment_nm
        (3,) what the body's motion would need beyond these forces, N, and N·m about the mass centre.
    confidence
        0 to 1; lower in double support, where the share of the feet is not determined by mechanics.
    measured
        Whether each foot's is of a plate or an insole; otherwise it is predicted.
    """

    time_s: float
    force_n: NDArray[np.float64]
    center_of_pressure_m: NDArray[np.float64]
    free_moment_nm: NDArray[np.float64]
    residual_force_n: NDArray[np.float64]
    residual_moment_nm: NDArray[np.float64]
    confidence: float
    measured: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class TwinState:
    """Generalized coordinates of the twin at one instant.

    Attributes
    ----------
    time_s
        Instant, s.
    coordinates
        m coordinate names of the OpenSim model.
    positions, velocities
        (m,) rad or m, and per second.
    velocity_delay_s
        Delay of the causal filter behind `velocities`, s.
    moments
        (m,) generalized forces at `time_s` - `moment_delay_s`, N·m or N; NaN where not known. Those of the
        joint to ground are residuals.
    sensors, residuals_rad
        k segments used, and the angle between each measured and modelled orientation, rad.
    stance_side
        Foot that holds the pelvis in place; None while neither does.
    quality
        0 (not to be used) to 1 (all sensors calibrated and fitting).
    message
        A sentence when quality is below 1; empty otherwise.
    ground
        Ground reactions behind `moments`; None where not known.
    moment_delay_s
        Delay of the causal filter behind `moments`, `powers` and `ground`, s.
    powers
        (m,) W, moments by the velocities of the same instant and filter; empty or NaN where not known.
    moment_sd
        (m,) standard deviations of `moments`, N·m or N; empty or NaN where not known, and of residuals.
    """

    time_s: float
    coordinates: tuple[str, ...]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    velocity_delay_s: float
    moments: NDArray[np.float64]
    sensors: tuple[str, ...]
    residuals_rad: NDArray[np.float64]
    stance_side: Side | None
    quality: float
    message: str = ""
    ground: GroundReaction | None = None
    moment_delay_s: float = NAN
    powers: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    moment_sd: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class GaitClass:
    """What kind of gait the last cycles show.

    Attributes
    ----------
    time_s
        End of the newest cycle used, s.
    start_s
        Beginning of the oldest cycle used, s.
    cycles
        Number of gait cycles used, of both legs.
    labels
        k classes that the model knows.
    probabilities
        (k,) calibrated, of the walk being each of them, if it is any of them.
    novelty
        How unlike the training data the cycles are: above 1 only one walk of the known classes in twenty is.
    unknown
        True where novelty is above 1: `probabilities` are then not to be relied on.
    side
        Affected leg of the most probable class; None where it has none, or the model does not tell.
    side_probability
        Of `side`, given the class; NaN without one.
    segments
        Sensors that the cycles rest on.
    model
        Name of the model.
    """

    time_s: float
    start_s: float
    cycles: int
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    novelty: float
    unknown: bool
    side: Side | None = None
    side_probability: float = NAN
    segments: tuple[str, ...] = ()
    model: str = ""

    @property
    def label(self) -> str:
        """Most probable class; ``unknown`` where the walk is like none."""
        return "unknown" if self.unknown else self.labels[int(np.argmax(self.probabilities))]
