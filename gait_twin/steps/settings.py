"""Settings of the step estimator."""

from __future__ import annotations

from dataclasses import dataclass

from gait_twin.settings import check, setting


@dataclass(frozen=True, slots=True)
class StepSettings:
    """What the step estimator may assume; the defaults were chosen on half of the subjects (docs)."""

    motion_window_s: float = setting(
        0.08, "Length of the window in which a foot's motion is measured, s.", low=0.02, high=0.3
    )
    flat_motion_radps: float = setting(
        0.35, "A foot that moves less than this is flat on the ground, rad/s.", low=0.05, high=2.0
    )
    flat_fraction: float = setting(
        0.12, "The same limit as a fraction of the person's recent swings.", low=0.0, high=0.4
    )
    zero_velocity_sd_mps: float = setting(
        0.015, "How well a flat foot's sensor stands still, m/s.", low=0.001, high=0.2
    )
    moving_flat_m: float = setting(0.05, "What a foot-flat's motion adds to that, m/s per rad/s.", low=0.0, high=0.5)
    sensor_height_m: float = setting(
        0.12, "Height of the foot's sensor over the sole, on which a flat foot rolls, m.", low=0.0, high=0.3
    )
    tilt_sd_rad: float = setting(
        0.03, "Error of the direction of gravity measured in a walking foot-flat, rad.", low=0.002, high=0.3
    )
    rate_bias_sd_radps: float = setting(0.01, "Bias of the gyroscope before any rest, rad/s.", low=0.0001, high=0.2)
    lost_rotation_s: float = setting(
        0.0005,
        "What a gyroscope may lose or add of a swing's rotation, rad per rad²/s (integral of the squared rate): "
        "bandwidth, range, scale.",
        low=0.0,
        high=0.01,
    )
    force_bias_sd_mps2: float = setting(
        0.3, "Bias of the accelerometer, m/s²; told from its scale by what swings end with.", low=0.0001, high=2.0
    )
    drift_sd_mps2: float = setting(0.05, "Acceleration error that stays through a swing, m/s².", low=0.001, high=1.0)
    scale_sd: float = setting(0.005, "Scale error of the accelerometer before any rest (1: 100 %).", low=0.0, high=0.2)
    dip_fraction: float = setting(
        0.35,
        "Where no foot-flat is found, a dip of motion to this fraction of the swing's is tried as one.",
        low=0.0,
        high=0.8,
    )
    max_surprise: float = setting(
        1.0, "A dip is a foot-flat if the velocity integrated to it is within so many SDs of rest.", low=0.5, high=10.0
    )
    level_sd_m: float = setting(
        0.01, "How level ground is that passes for level, from foot-flat to foot-flat, m.", low=0.001, high=1.0
    )
    level_gate: float = setting(
        2.0,
        "Ground passes for level where a swing's rise is within so many of its SDs of none; 0: never.",
        low=0.0,
        high=4.0,
    )
    flats_from_events: bool = setting(
        True,
        "Where no foot-flat shows, a heel strike says where the foot was flattest; false: its strides are not valid.",
    )
    max_stride_s: float = setting(2.5, "Two heel strikes further apart are not one stride, s.", low=1.0, high=6.0)
    max_gap_s: float = setting(0.04, "Lost samples longer than this spoil the swing they lie in, s.", low=0.0, high=0.3)
    stance_width_m: float = setting(0.15, "Distance of the two foot sensors in quiet standing, m.", low=0.0, high=0.5)

    def __post_init__(self) -> None:
        check(self)
