"""What the calibration of sensors to segments found, for programs and for a person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SegmentCalibration:
    """What is known of one sensor's place on its segment.

    Attributes
    ----------
    calibrated
        True once it stood still.
    rest_start_s
        Start of the standing used, on sensor time, s.
    static_spread_deg
        RMS angle of the orientation about its mean in that standing, degrees.
    gravity_mps2
        Specific force in standing, m/s²; its distance from 9.81 shows the accelerometer's scale error.
    gyro_bias_radps
        Mean angular rate in standing, rad/s.
    heading_known
        True once the forward direction is final.
    heading_deg, heading_sd_deg
        Forward direction in the sensor's own world in standing, and one standard deviation, degrees.
    heading_from
        ``"walking"``, ``"shared"`` (walking of all sensors in one earth frame), ``"mounting"`` or ``""``.
    """

    calibrated: bool = False
    rest_start_s: float = float("nan")
    static_spread_deg: float = float("nan")
    gravity_mps2: float = float("nan")
    gyro_bias_radps: tuple[float, float, float] = (float("nan"),) * 3
    heading_known: bool = False
    heading_deg: float = float("nan")
    heading_sd_deg: float = float("nan")
    heading_from: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the calibration found so far.

    Attributes
    ----------
    segments
        By segment name.
    rest_start_s, rest_end_s
        The first quiet standing, on sensor time, s; NaN before.
    notices
        Sentences for a person on what is missing or unusual.
    """

    segments: dict[str, SegmentCalibration]
    rest_start_s: float
    rest_end_s: float
    notices: tuple[str, ...]
