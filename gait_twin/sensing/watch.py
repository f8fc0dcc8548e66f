"""Watches over the placement of the sensors: while the person stands, and from the first steps on.

Standing shows which way is up in each sensor. Where that is known beforehand (`up` in body.yaml, or a calibration from
an earlier day), a sensor that is upside down, on its side or was moved is named before the first step. The first
steps show the rest: exchanged sensors (`misplaced`), and whether the specific force of walking still points where it
did in the calibration walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import BodyFrames, SlotStatus
from gait_twin.recording.axes import quat_rotate
from gait_twin.sensing.calibration_file import SavedSensor
from gait_twin.sensing.health import kind_of
from gait_twin.sensing.placement import LEAST_S, TRUNK, WALKING_RADPS, misplaced
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.standing import stillness

FloatArray = NDArray[np.float64]

HALF_S, SECOND_S = 0.5, 1.0
"""Standing is judged by half seconds, walking by seconds."""
LONGEST_S = 20.0
"""So much walking is judged at most, s; more would tell the same."""
MOVED_STANDING_DEG, MOVED_WALKING_DEG = 15.0, 15.0
"""Up in the sensor is elsewhere than in the calibration by more: it moved. Between two walks of one person (37 pairs,
sensors left on) it differed by 9 degrees at most, 4 in 95 of 100."""
SURE_S = 8.0
"""So much walking is needed to say that a sensor moved, s: over three strides up differs by as much as 15 degrees."""
ON_SIDE_DEG, UPSIDE_DOWN_DEG = 55.0, 125.0
"""Angles of the axis that should point up from the vertical."""


class PlacementWatch:
    """Takes the hub's frames; what it says does not depend on how they are cut.

    Parameters
    ----------
    segments, settings
        Of the hub.
    saved
        The calibration that was given, by segment.
    """

    def __init__(
        self, segments: tuple[str, ...], settings: HubSettings, saved: Mapping[str, SavedSensor] | None = None
    ) -> None:
        self._segments, self._saved = segments, dict(saved or {})
        self._up = settings.up_axes()
        self._half_frames = max(2, round(HALF_S * settings.frame_rate_hz))
        self._blocks: list[BodyFrames] = []
        self._frames = 0
        self._halves: list[BodyFrames] = []
        self._walk: list[BodyFrames] = []
        self._judged_s = 0.0
        self._standing: tuple[str, ...] = ()
        self._walking: tuple[str, ...] = ()

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on sensors that sit wrongly, as far as is known by now."""
        return (*self._standing, *self._walking)

    @property
    def walked_s(self) -> float:
        """How long the walk is that was looked at last, s."""
        return len(self._walk) * SECOND_S

    @property
    def walk(self) -> BodyFrames | None:
        """That walk."""
        return BodyFrames.joined(self._walk) if self._walk else None

    def update(self, frames: BodyFrames) -> None:
        """Look at consecutive frames."""
        first = 0
        while first < len(frames):
            end = min(len(frames), first + self._half_frames - self._frames)
            self._blocks.append(frames[slice(first, end)])
            self._frames += end - first
            if self._frames == self._half_frames:
                half = BodyFrames.joined(self._blocks)
                self._blocks, self._frames = [], 0
                self._look(half)
            first = end

    def new_timeline(self) -> None:
        """The next frames do not follow the last ones in time."""
        self._blocks, self._frames, self._halves, self._walk = [], 0, [], []

    def _look(self, half: BodyFrames) -> None:
        if self._up or self._saved:
            self._judge_standing(half)
        self._halves.append(half)
        if len(self._halves) < 2:
            return
        second, self._halves = BodyFrames.joined(self._halves), []
        if not self._walks(second):
            self._walk = []
            return
        self._walk.append(second)
        del self._walk[: -round(LONGEST_S / SECOND_S)]
        # a longer walk judges better than a shorter one before
        if self.walked_s >= max(LEAST_S, self._judged_s) and self._judged_s < LONGEST_S:
            self._judged_s = self.walked_s
            walk = BodyFrames.joined(self._walk)
            self._walking = _kept(self._walking, [*misplaced(walk), *self._moved_in(walk)])

    def _walks(self, second: BodyFrames) -> bool:
        legs = [i for i, name in enumerate(self._segments) if name not in TRUNK]
        speed = np.linalg.norm(second.gyr_radps[:, legs], axis=2)
        known = np.isfinite(speed).mean(axis=0) > 0.5
        if not known.any():
            return False
        return bool(np.nanquantile(speed[:, known], 0.9, axis=0).max() > WALKING_RADPS)

    # ---- standing

    def _judge_standing(self, half: BodyFrames) -> None:
        oriented = (half.status & int(SlotStatus.ORIENTED)) != 0
        found = stillness(half.acc_mps2, half.gyr_radps, oriented)
        if not found.present.any() or not found.gravity_ok[found.present].all():
            return
        said = {}
        for i in np.flatnonzero(found.present).tolist():
            name = self._segments[i]
            force = np.nanmean(half.acc_mps2[:, i], axis=0)
            if name in self._up:
                said[name] = _wrong_way_up(name, _angle_deg(force, self._up[name]))
            elif name in self._saved:
                off = _angle_deg(force, self._saved[name].place.force_mps2)
                if off > MOVED_STANDING_DEG:
                    said[name] = (
                        f"{name} stands {off:.0f} degrees from the standing of its calibration: the sensor moved, or "
                        "the person does not stand as then; stand straight, and calibrate anew if this stays."
                    )
        said = {name: sentence for name, sentence in said.items() if sentence}
        # both thighs off: the person sits
        sits = any({f"{part}_r", f"{part}_l"} <= said.keys() for part in ("femur", "tibia"))
        self._standing = () if sits and not self._up else _kept(self._standing, said.values())

    # ---- walking

    def _moved_in(self, walk: BodyFrames) -> list[str]:
        said = []
        for i, name in enumerate(self._segments):
            if name not in self._saved or self.walked_s < SURE_S:
                continue
            force = mean_force(walk, i)
            off = _angle_deg(force, self._saved[name].walking_up)
            if off > MOVED_WALKING_DEG:
                said.append(
                    f"The sensor of {name} is turned by {off:.0f} degrees against its calibration, by the first "
                    "steps: it moved or was put on anew; calibrate again."
                )
        return said


def mean_force(walk: BodyFrames, i: int) -> FloatArray:
    """(3,) mean specific force of the i-th sensor over a walk, m/s²; NaN where it measured nothing."""
    force = walk.acc_mps2[:, i]
    return np.asarray(np.nanmean(force, axis=0)) if np.isfinite(force).any() else np.full(3, np.nan)


def sideways_deg(sensor_to_segment_wxyz: tuple[float, ...], force: FloatArray) -> float:
    """How far a mean specific force in sensor axes leans to the segment's right, degrees."""
    _, y, z = quat_rotate(np.array(sensor_to_segment_wxyz), force)
    return float(np.degrees(np.arctan2(z, y)))


def _kept(before: Iterable[str], now: Iterable[str]) -> tuple[str, ...]:
    """What holds now, in the words of before where these differ in numbers only: nobody is told twice."""
    known = {kind_of(sentence): sentence for sentence in before}
    return tuple(known.get(kind_of(sentence), sentence) for sentence in now)


def _wrong_way_up(name: str, off_deg: float) -> str:
    if off_deg > UPSIDE_DOWN_DEG:
        return f"The sensor of {name} is upside down: the axis that `up` names points down; turn it round."
    if off_deg > ON_SIDE_DEG:
        return (
            f"The sensor of {name} lies on its side: the axis that `up` names is {off_deg:.0f} degrees from the "
            "vertical; turn it, or mend `up`."
        )
    return ""


def _angle_deg(a: FloatArray, b: tuple[float, ...]) -> float:
    cosine = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


__all__ = ["PlacementWatch", "mean_force", "sideways_deg"]
