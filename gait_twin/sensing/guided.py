"""A calibration that a person asked for: stand still, walk some steps, and be told what was found, or why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import BodyFrames, SlotStatus
from gait_twin.sensing.accelerometer import AccelerometerFit
from gait_twin.sensing.calibration import Calibration, SegmentCalibration
from gait_twin.sensing.calibration_file import SavedCalibration, SavedSensor
from gait_twin.sensing.calibrator import LEAN_DEG, BodyCalibrator
from gait_twin.sensing.placement import LEAST_S, left_and_right, side_score
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.standing import stillness
from gait_twin.sensing.watch import PlacementWatch, mean_force, sideways_deg

FloatArray = NDArray[np.float64]

STAND_S, WALK_S = 30.0, 60.0
"""Longest wait for quiet standing, and for a walk that tells everything, s."""
LEAST_WALK_S = 5.0
"""Walking to judge by, s: some ten steps."""
POOR_SPREAD_DEG, POOR_FORWARD_DEG, POOR_BIAS_RADPS = 2.0, 10.0, 0.2
"""Sway in standing, uncertainty of the forward direction, and gyroscope bias from which a calibration is refused."""


class Stage(Enum):
    """How far it is."""

    STAND = "stand"
    WALK = "walk"
    DONE = "done"
    REFUSED = "refused"


class GuidedCalibration:
    """Runs beside the calibration in use, which stays until this one is found to be good.

    Parameters
    ----------
    segments, settings
        Of the hub.
    stand_s, walk_s
        Longest wait for quiet standing and for the walk, s of sensor time.
    """

    def __init__(
        self, segments: tuple[str, ...], settings: HubSettings, stand_s: float = STAND_S, walk_s: float = WALK_S
    ) -> None:
        settings = dataclasses.replace(settings, calibration_file="", rest_at_s=-1.0)
        self.segments = segments
        self.stage = Stage.STAND
        self.calibrator = BodyCalibrator(segments, settings)
        self.reasons: tuple[str, ...] = ()
        """Why it was refused."""
        self.saved: SavedCalibration | None = None
        """What was found, once it is done."""
        self._watch = PlacementWatch(segments, settings)
        self._fits = [AccelerometerFit() for _ in segments]
        self._limits_s = {Stage.STAND: stand_s, Stage.WALK: walk_s}
        self._since_s = self._now_s = float("nan")
        self._second: list[BodyFrames] = []
        self._frames, self._second_frames = 0, max(2, round(settings.frame_rate_hz))
        self._known_s = 0.0

    @property
    def running(self) -> bool:
        """Whether it still wants something of the person."""
        return self.stage in (Stage.STAND, Stage.WALK)

    @property
    def calibration(self) -> Calibration:
        """What was found so far."""
        return self.calibrator.calibration

    @property
    def guidance(self) -> str:
        """What the person shall do now, or what came of it, in a sentence."""
        if self.stage is Stage.STAND:
            return "Stand still and straight, feet as in walking."
        if self.stage is Stage.WALK:
            unknown = [name for name, one in self.calibration.segments.items() if not one.heading_known]
            walked = f" {self._watch.walked_s:.0f} s of walking so far" if self._watch.walked_s else ""
            wanted = f"; the forward direction of {', '.join(unknown)} is wanted" if unknown and walked else ""
            return f"Walk straight ahead, ten steps or more.{walked}{wanted}{'.' if walked else ''}"
        if self.stage is Stage.DONE:
            return "The calibration is good and in use."
        return f"No calibration: {' '.join(self.reasons)}"

    def update(
        self,
        time_s: FloatArray,
        values: FloatArray,
        status: NDArray[np.int64],
        shared: NDArray[np.bool_],
        faults: dict[str, str],
    ) -> None:
        """Take frames as `BodyCalibrator.update` does, and what is wrong with sensors now."""
        if not self.running or not len(time_s):
            return
        if np.isnan(self._since_s):
            self._since_s = float(time_s[0])
        status = status & ~int(SlotStatus.CALIBRATED | SlotStatus.HEADING)
        body = self.calibrator.update(time_s, values, status, shared)
        frames = BodyFrames(
            self.segments, time_s, values[..., :3], values[..., 3:6], values[..., 6:10], body, status.astype(np.uint8)
        )
        self._watch.update(frames)
        first = 0
        while first < len(frames) and self.running:
            end = min(len(frames), first + self._second_frames - self._frames)
            self._second.append(frames[slice(first, end)])
            self._frames += end - first
            if self._frames == self._second_frames:
                self._each_second(BodyFrames.joined(self._second), faults)
                self._second, self._frames = [], 0
            first = end

    def new_timeline(self) -> None:
        """The next frames do not follow the last ones in time."""
        self.calibrator.new_timeline()
        self._watch.new_timeline()
        self._second, self._frames, self._since_s = [], 0, float("nan")

    def _each_second(self, second: BodyFrames, faults: dict[str, str]) -> None:
        self._now_s = float(second.time_s[-1])
        oriented = (second.status & int(SlotStatus.ORIENTED)) != 0
        rest = stillness(second.acc_mps2, second.gyr_radps, oriented)
        for i in np.flatnonzero(rest.gravity_ok).tolist():
            self._fits[i].rest(np.nanmean(second.acc_mps2[:, i], axis=0))
        found = self.calibration.segments
        late = self._now_s - self._since_s > self._limits_s[self.stage]
        if self.stage is Stage.STAND:
            if all(one.calibrated for one in found.values()):
                self.stage, self._since_s = Stage.WALK, self._now_s
            elif late:
                self._refuse([*faults.values(), *self._not_calibrated(found)])
            return
        self._known_s = self._known_s + 1.0 if all(one.heading_known for one in found.values()) else 0.0
        # left and right are judged by steps on which the pelvis' forward direction is known
        if self._known_s > LEAST_S and self._watch.walked_s >= LEAST_WALK_S:
            self._end(faults)
        elif self._watch.notices and self._watch.walked_s >= LEAST_WALK_S:
            self._refuse(self._watch.notices)  # more steps would not find the forward direction of a wrong segment
        elif late:
            reasons = [*faults.values(), *self._watch.notices]
            if self._watch.walked_s < LEAST_WALK_S:
                reasons.append(
                    f"No walk of {LEAST_WALK_S:.0f} s without a pause came in {self._limits_s[self.stage]:.0f} s."
                )
            unknown = [name for name, one in found.items() if not one.heading_known]
            if unknown:
                reasons.append(
                    f"The forward direction of {', '.join(unknown)} was not found; walk straight and longer."
                )
            self._refuse(reasons)

    def _not_calibrated(self, found: dict[str, SegmentCalibration]) -> list[str]:
        notices = self.calibration.notices
        missing = [name for name, one in found.items() if not one.calibrated]
        return [
            *notices,
            f"No quiet standing of {', '.join(missing)} in {self._limits_s[Stage.STAND]:.0f} s; do it again.",
        ]

    def _refuse(self, reasons: Sequence[str]) -> None:
        self.stage, self.reasons = Stage.REFUSED, tuple(reasons)

    def _end(self, faults: dict[str, str]) -> None:
        walk = self._watch.walk
        assert walk is not None
        found = self.calibration.segments
        reasons = [*faults.values(), *self._watch.notices]
        sensors = {}
        for i, (name, place) in enumerate(found.items()):
            force = mean_force(walk, i)
            reasons += _poor(name, place, force)
            up = force / np.linalg.norm(force)
            self._fits[i].rest(np.array(place.force_mps2))
            acc = self._fits[i].solve()
            sensors[name] = SavedSensor(place, acc, (float(up[0]), float(up[1]), float(up[2])))
        if reasons:
            self._refuse(reasons)
            return
        pair = left_and_right(self.segments)
        rate_hz = (len(walk) - 1) / float(walk.time_s[-1] - walk.time_s[0])
        score = side_score(walk, pair, rate_hz) if pair and "pelvis" in self.segments else float("nan")
        self.saved = SavedCalibration(sensors, self._watch.walked_s, score)
        self.stage = Stage.DONE


def _poor(name: str, place: SegmentCalibration, walking_force: FloatArray) -> list[str]:
    """Sentences on what is too poor to be kept."""
    said = []
    if place.static_spread_deg > POOR_SPREAD_DEG:
        said.append(f"{name} swayed by {place.static_spread_deg:.1f} degrees in the standing; stand still.")
    if place.heading_sd_deg > POOR_FORWARD_DEG:
        said.append(f"The forward direction of {name} is uncertain by {place.heading_sd_deg:.0f} degrees; walk longer.")
    bias = float(np.linalg.norm(place.gyro_bias_radps))
    if bias > POOR_BIAS_RADPS:
        said.append(f"The gyroscope of {name} shows {np.degrees(bias):.0f} degrees/s at rest; check its settings.")
    lean = sideways_deg(place.sensor_to_segment_wxyz, walking_force)
    if name.startswith(("femur", "tibia")) and abs(lean) > LEAN_DEG:
        said.append(
            f"{name} leans {abs(lean):.0f} degrees sideways in walking against the standing: that was not the neutral "
            "pose, or the sensor slipped; stand straight, and do it again."
        )
    return said
