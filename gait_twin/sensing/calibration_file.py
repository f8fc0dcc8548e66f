"""calibration.yaml: what a calibration found of each sensor, for later walks with the sensors left where they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.recording.yaml_files import CheckedYaml, Keys, Location
from gait_twin.sensing.accelerometer import Accelerometer, Vector
from gait_twin.sensing.calibration import SegmentCalibration

Three = Annotated[list[float], Field(min_length=3, max_length=3)]
Four = Annotated[list[float], Field(min_length=4, max_length=4)]
HEAD = """\
Written by gait_twin's calibration. Give it to sensor_hub as calibration_file, or name it in body.yaml
(calibration: calibration.yaml), as long as every sensor stays where it is on its segment.
"""


@dataclass(frozen=True, slots=True)
class SavedSensor:
    """What is known of a sensor and of how it is worn.

    Attributes
    ----------
    place
        Where it sits on the segment, its gyroscope's bias, and how well that is known.
    accelerometer
        How to right its accelerometer.
    walking_up
        Direction of the mean specific force over a walk, in sensor axes: it tells later whether the sensor moved.
    """

    place: SegmentCalibration
    accelerometer: Accelerometer
    walking_up: Vector


@dataclass(frozen=True)
class SavedCalibration:
    """Content of a calibration.yaml.

    Attributes
    ----------
    sensors
        By segment.
    walking_s
        How long the walk was that the sensors' places were judged by, s.
    side_score
        From -2 (left and right exchanged) to 2 (they are not); NaN without a pelvis and both sides.
    findings
        Sentences on sensors that seem to be exchanged or to sit wrongly; a good calibration has none.
    """

    sensors: Mapping[str, SavedSensor]
    walking_s: float = math.nan
    side_score: float = math.nan
    findings: tuple[str, ...] = ()

    def only(self, segments: tuple[str, ...]) -> SavedCalibration:
        """The same without the sensors of other segments."""
        sensors = {name: sensor for name, sensor in self.sensors.items() if name in segments}
        return SavedCalibration(sensors, self.walking_s, self.side_score, self.findings)


class AccelerometerKeys(Keys):
    """Scale and bias."""

    scale: Three
    bias_mps2: Three
    scale_sd: Three
    bias_sd_mps2: Three
    poses: int
    residual_mps2: float


class QualityKeys(Keys):
    """How well it is known."""

    standing_spread_deg: float
    at_rest_mps2: float
    forward_sd_deg: float
    forward_from: str


class SensorKeys(Keys):
    """One sensor."""

    accelerometer: AccelerometerKeys
    gyro_bias_radps: Three
    sensor_to_segment_wxyz: Four
    standing_force_mps2: Three
    walking_up: Three
    quality: QualityKeys


class PlacementKeys(Keys):
    """How sensors were found to be worn."""

    walking_s: float
    side_score: float
    findings: list[str]


class FileKeys(Keys):
    """The whole file."""

    calibration: Annotated[dict[str, SensorKeys], Field(min_length=1)]
    placement: PlacementKeys


def read_calibration(path: Path | str) -> SavedCalibration:
    """Read and check a calibration.yaml.

    Raises
    ------
    InputError
        With file, line and column of the first thing that is wrong.
    """
    yaml = CheckedYaml.read(path, "calibration")
    yaml.check_keys("calibration", SEGMENTS, "a segment")
    keys = yaml.check(FileKeys, _known_keys)
    sensors = {}
    for name, entry in keys.calibration.items():
        turn = entry.sensor_to_segment_wxyz
        length = math.sqrt(sum(q * q for q in turn))
        if not abs(length - 1.0) < 1e-2:
            where = yaml.where(("calibration", name, "sensor_to_segment_wxyz"))
            raise InputError(f"{where}: this quaternion's length is {length:.3g}; give a rotation, of length 1.")
        force, quality, acc = entry.standing_force_mps2, entry.quality, entry.accelerometer
        place = SegmentCalibration(
            calibrated=True, static_spread_deg=quality.standing_spread_deg, gravity_mps2=quality.at_rest_mps2,
            force_mps2=(force[0], force[1], force[2]), gyro_bias_radps=_three(entry.gyro_bias_radps),
            heading_sd_deg=quality.forward_sd_deg, heading_from=quality.forward_from,
            sensor_to_segment_wxyz=(turn[0] / length, turn[1] / length, turn[2] / length, turn[3] / length),
        )  # fmt: skip
        righted = Accelerometer(
            _three(acc.scale), _three(acc.bias_mps2), _three(acc.scale_sd), _three(acc.bias_sd_mps2), acc.poses,
            acc.residual_mps2,
        )  # fmt: skip
        sensors[name] = SavedSensor(place, righted, _three(entry.walking_up))
    placement = keys.placement
    return SavedCalibration(sensors, placement.walking_s, placement.side_score, tuple(placement.findings))


def write_calibration(path: Path | str, found: SavedCalibration) -> None:
    """Write a calibration.yaml, in place of one that is there.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    content = CommentedMap(
        {
            "calibration": {name: _entry(sensor) for name, sensor in found.sensors.items()},
            "placement": {
                "walking_s": round(found.walking_s, 2),
                "side_score": round(found.side_score, 3),
                "findings": list(found.findings),
            },
        }
    )
    content.yaml_set_start_comment(HEAD)
    writer = YAML()
    writer.default_flow_style = None
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            writer.dump(content, file)
    except OSError as problem:
        raise InputError(f"{path} cannot be written ({problem.strerror}).") from None


def _entry(sensor: SavedSensor) -> dict[str, Any]:
    place, acc = sensor.place, sensor.accelerometer
    return {
        "accelerometer": {
            "scale": _rounded(acc.scale, 5),
            "bias_mps2": _rounded(acc.bias_mps2, 4),
            "scale_sd": _rounded(acc.scale_sd, 5),
            "bias_sd_mps2": _rounded(acc.bias_sd_mps2, 4),
            "poses": acc.poses,
            "residual_mps2": round(acc.residual_mps2, 4),
        },
        "gyro_bias_radps": _rounded(place.gyro_bias_radps, 6),
        "sensor_to_segment_wxyz": _rounded(place.sensor_to_segment_wxyz, 7),
        "standing_force_mps2": _rounded(place.force_mps2, 4),
        "walking_up": _rounded(sensor.walking_up, 5),
        "quality": {
            "standing_spread_deg": round(place.static_spread_deg, 3),
            "at_rest_mps2": round(place.gravity_mps2, 4),
            "forward_sd_deg": round(place.heading_sd_deg, 2),
            "forward_from": place.heading_from,
        },
    }


def _rounded(values: tuple[float, ...], digits: int) -> list[float]:
    return [round(value, digits) for value in values]


def _three(values: list[float]) -> Vector:
    return (values[0], values[1], values[2])


def _known_keys(location: Location) -> list[str]:
    models: dict[str, type[Keys]] = {
        "accelerometer": AccelerometerKeys, "quality": QualityKeys, "placement": PlacementKeys,
    }  # fmt: skip
    if not location:
        return list(FileKeys.model_fields)
    return list(models.get(str(location[-1]), SensorKeys).model_fields)
