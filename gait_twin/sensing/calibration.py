"""What the calibration of sensors to segments found, for programs and for a person."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_S = 20.0
"""Without standing after so long, the person is told, s."""


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
    force_mps2
        The same as a mean vector in sensor axes, m/s²: it points up.
    gyro_bias_radps
        Mean angular rate in standing, rad/s.
    heading_known
        True once the forward direction is final.
    heading_deg, heading_sd_deg
        Forward direction in the sensor's own world in standing, and one standard deviation, degrees.
    forward
        The same direction in sensor axes: it holds for other recordings too, as long as the sensor stays where
        it is.
    heading_from
        ``"walking"``, ``"shared"`` (walking of all sensors in one earth frame), ``"mounting"``, ``"file"`` or ``""``.
    sensor_to_segment_wxyz
        Rotates sensor axes into the segment's OpenSim body axes; it holds as long as the sensor stays where it is.
        Its heading is as good as `heading_known` and `heading_sd_deg` say.
    """

    calibrated: bool = False
    rest_start_s: float = float("nan")
    static_spread_deg: float = float("nan")
    gravity_mps2: float = float("nan")
    force_mps2: tuple[float, float, float] = (float("nan"),) * 3
    gyro_bias_radps: tuple[float, float, float] = (float("nan"),) * 3
    heading_known: bool = False
    heading_deg: float = float("nan")
    heading_sd_deg: float = float("nan")
    forward: tuple[float, float, float] = (float("nan"),) * 3
    heading_from: str = ""
    sensor_to_segment_wxyz: tuple[float, float, float, float] = (float("nan"),) * 4


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

    def mounting(self) -> tuple[str, ...]:
        """What is known of forward directions, as `HubSettings.mounting` takes it."""
        return tuple(
            f"{name}={' '.join(f'{value:.6f}' for value in one.forward)}"
            for name, one in self.segments.items()
            if one.heading_known
        )


def open_points(
    found: dict[str, SegmentCalibration],
    elapsed_s: float,
    rest_time_s: float,
    restless: dict[str, int],
    seen: set[str],
    explained: set[str],
) -> list[str]:
    """Sentences on what the calibration still lacks.

    Parameters
    ----------
    found
        By segment.
    elapsed_s, rest_time_s
        Time since the first frame, and length of standing wanted, s.
    restless
        How often each segment was found moving.
    seen
        Segments that have sent anything.
    explained
        Segments that another sentence speaks of.
    """
    calibrated = [name for name, one in found.items() if one.calibrated]
    if not calibrated:
        if elapsed_s < PATIENCE_S:
            return []
        moving = sorted((name for name in found if restless[name]), key=lambda name: -restless[name])
        why = f"{' and '.join(moving[:2])} moved most" if moving else "no orientation has settled"
        return [f"No quiet standing found in the first {elapsed_s:.0f} s: {why}; stand still for {rest_time_s:g} s."]
    points = []
    for name, one in found.items():
        if one.calibrated or name in explained:
            continue
        if name in seen:
            points.append(
                f"{name} was not there, or not still, in the standing at {found[calibrated[0]].rest_start_s:.1f} s and "
                "stays uncalibrated until all sensors stand still again."
            )
        else:
            points.append(f"{name} has not sent anything yet.")
    unknown = [name for name in calibrated if not found[name].heading_known]
    if unknown:
        points.append(f"The forward direction of {', '.join(unknown)} is not known yet: walk some strides.")
    return points
