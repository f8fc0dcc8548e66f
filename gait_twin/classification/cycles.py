"""Gait cycles cut out of the streams of frames, states and strides, in 101 points each."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gait_twin.classification.channels import (
    CHANNELS,
    FOOT,
    LEG_ANGLES,
    NUMBERS,
    POINTS,
    SCALED,
    SPATIAL,
    STRIDE_NUMBERS,
    TRUNK,
)
from gait_twin.classification.settings import ClassifierSettings
from gait_twin.events import FootFeatures, Resampler
from gait_twin.recording import BodyFrames, Side, SlotStatus, Stride, TwinState

FloatArray = NDArray[np.float64]

SETTLE_S = 0.2
"""A cycle is cut when frames and states have come this far past its end: moments lag by less."""
GIVE_UP_S = 10.0
"""Where states have stopped coming, a cycle is cut without them once frames are this far past it, s of data."""
KEPT_S = 16.0
"""Of the past: a stride and the longest wait for its foot-flat and for states."""
MAX_GAP = 0.05
"""Share of a cycle that may be missing in one piece before a channel counts as unknown."""
MIN_COVERED = 0.95
_PELVIS_ANGLES = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")
_HEIGHT = "pelvis_ty"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One gait cycle, seen from the side whose heel strikes bound it; of the left leg mirrored.

    Attributes
    ----------
    side
        The near leg.
    start_s, end_s
        Its heel strikes, s.
    curves
        (101, len(CHANNELS)) float32: rad, rad/s, N·m/kg, m; a channel that is not known is NaN throughout.
    numbers
        (len(NUMBERS),) float32 of the near leg's stride and of the far leg's last one; NaN where not known.
    segments
        Sensors that were there.
    """

    side: Side
    start_s: float
    end_s: float
    curves: NDArray[np.float32]
    numbers: NDArray[np.float32]
    segments: tuple[str, ...]


class _Past:
    """Rows over time of which the last seconds are kept."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[FloatArray, FloatArray]] = deque()
        self.last_s = -math.inf

    def add(self, time_s: FloatArray, rows: FloatArray) -> None:
        if not len(time_s):
            return
        self._blocks.append((time_s, rows))
        self.last_s = float(time_s[-1])
        while self._blocks[0][0][-1] < self.last_s - KEPT_S:
            self._blocks.popleft()

    def between(self, start_s: float, end_s: float, shift_s: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Instants and rows that reach over both ends, each instant earlier by `shift_s`."""
        blocks = [(t, r) for t, r in self._blocks if t[-1] - shift_s >= start_s - 0.1 and t[0] - shift_s <= end_s + 0.1]
        if not blocks:
            return np.empty(0), np.empty((0, 0))
        time_s = np.concatenate([t for t, _ in blocks]) - shift_s
        rows = np.concatenate([r for _, r in blocks])
        inside = (time_s >= start_s - 0.1) & (time_s <= end_s + 0.1)
        return time_s[inside], rows[inside]


def over_cycle(time_s: FloatArray, rows: FloatArray, start_s: float, end_s: float) -> FloatArray:
    """Columns over a cycle.

    Parameters
    ----------
    time_s, rows
        (n,) instants, s, and (n, c) values; NaN where not known.
    start_s, end_s
        The cycle, s.

    Returns
    -------
    ndarray
        (101, c); NaN throughout where a column is missing for more than a twentieth of the cycle.
    """
    at = np.linspace(start_s, end_s, POINTS)
    curves = np.full((POINTS, rows.shape[1]), np.nan)
    gap = max(MAX_GAP * (end_s - start_s), 0.025)
    for column in range(rows.shape[1]):
        known = np.isfinite(rows[:, column])
        times = time_s[known]
        if len(times) < 2 or times[0] > start_s + gap or times[-1] < end_s - gap:
            continue
        within = np.r_[start_s, times[(times > start_s) & (times < end_s)], end_s]
        if np.diff(within).max() <= gap + 1e-6:
            curves[:, column] = np.interp(at, times, rows[known, column])
    return curves


class CycleCutter:
    """Cuts cycles out of the streams, however these come in blocks and in which order among each other.

    Parameters
    ----------
    segments
        Of the frames to come.
    settings
        Of whom, and what counts as straight; the defaults when None.
    with_twin
        Whether states of a twin come too; otherwise cycles show the feet alone.
    """

    def __init__(
        self, segments: Sequence[str], settings: ClassifierSettings | None = None, with_twin: bool = True
    ) -> None:
        self._settings = settings or ClassifierSettings()
        self._segments = tuple(segments)
        self._feet = tuple(side for side in Side if side.foot in self._segments)
        self._with_twin = with_twin
        self._begin()

    def _begin(self) -> None:
        self._features: list[FootFeatures] = []
        self._resampler: Resampler | None = None
        self._held: BodyFrames | None = None
        self._frames_s = -math.inf
        self._foot_rows = _Past()
        self._states = _Past()
        self._names: tuple[str, ...] = ()
        self._delays_s = (0.0, 0.0)
        self._sensors: tuple[str, ...] = ()
        self._strides: deque[Stride] = deque()
        self._last: dict[Side, Stride] = {}

    def update(
        self, frames: BodyFrames, states: Sequence[TwinState] = (), strides: Sequence[Stride] = ()
    ) -> list[Cycle]:
        """Take what came, each stream in its order, and give the cycles that are complete."""
        self._take_frames(frames)
        self._take_states(states)
        self._strides.extend(strides)
        return self._cut(all_of_them=False)

    def flush(self) -> list[Cycle]:
        """End of the streams: the last cycles."""
        return self._cut(all_of_them=True)

    def _take_frames(self, frames: BodyFrames) -> None:
        if not len(frames):
            return
        if frames.time_s[0] <= self._frames_s:  # the clock has leapt back: nothing of before belongs to it
            self._begin()
        if self._held is not None:
            frames, self._held = BodyFrames.joined([self._held, frames]), None
        self._frames_s = float(frames.time_s[-1])
        if not self._feet:
            return
        if self._resampler is None:
            if len(frames) < 2:
                self._held = frames
                return
            self._period_s = float(frames.time_s[1] - frames.time_s[0])
            self._resampler = Resampler(self._period_s, 6 * len(self._feet))
            self._features = [FootFeatures(side is Side.LEFT, self._resampler.step_s) for side in self._feet]
            self._before_s = float(frames.time_s[0]) - self._period_s
        steps = np.diff(frames.time_s, prepend=self._before_s)
        # Across missing frames nothing may be integrated
        for rows in np.split(np.arange(len(frames)), np.flatnonzero(steps > 1.5 * self._period_s)):
            if not len(rows):
                continue
            part = frames[int(rows[0]) : int(rows[-1]) + 1]
            if part.time_s[0] - self._before_s > 1.5 * self._period_s:
                self._resampler.restart()
                for features in self._features:
                    features.restart()
            self._take_even(part)
            self._before_s = float(part.time_s[-1])

    def _take_even(self, frames: BodyFrames) -> None:
        assert self._resampler is not None
        columns = [self._segments.index(side.foot) for side in self._feet]
        samples = np.concatenate([frames.acc_mps2[:, columns], frames.gyr_radps[:, columns]], axis=2)
        samples = np.where(((frames.status[:, columns] & SlotStatus.VALID) != 0)[..., None], samples, np.nan)
        time_s, even = self._resampler.update(frames.time_s, samples.reshape(len(frames), -1))
        even = even.reshape(len(time_s), len(self._feet), 6)
        rows = np.full((len(time_s), 2 * len(FOOT)), np.nan)
        for i, (side, features) in enumerate(zip(self._feet, self._features, strict=True)):
            found = features.update(even[:, i, :3], even[:, i, 3:]).astype(float)
            found[found[:, -1] == 0.0] = np.nan
            place = len(FOOT) * list(Side).index(side)
            rows[:, place : place + len(FOOT)] = found[:, : len(FOOT)]
        self._foot_rows.add(time_s.copy(), rows)

    def _take_states(self, states: Sequence[TwinState]) -> None:
        usable = []
        for state in states:
            if state.coordinates and state.coordinates != self._names:
                self._names, self._sensors = state.coordinates, state.sensors
                self._states = _Past()
            if state.coordinates and math.isfinite(state.velocity_delay_s):
                self._delays_s = (state.velocity_delay_s, state.moment_delay_s)
            usable.append(state)
        if not usable:
            return
        m, k = len(self._names), len(self._sensors)
        rows = np.full((len(usable), 3 * m + k), np.nan)
        for i, state in enumerate(usable):
            if state.coordinates and state.quality > 0.0:
                rows[i] = np.concatenate([state.positions, state.velocities, state.moments, state.residuals_rad])
        self._states.add(np.array([state.time_s for state in usable]), rows)

    def _cut(self, *, all_of_them: bool) -> list[Cycle]:
        cycles = []
        while self._strides:
            end_s = self._strides[0].end_s
            complete = self._frames_s >= end_s + SETTLE_S and (
                not self._with_twin or self._states.last_s >= end_s + SETTLE_S or self._frames_s >= end_s + GIVE_UP_S
            )
            if not (complete or all_of_them):
                break
            stride = self._strides.popleft()
            self._last[stride.side] = stride
            turned = abs(stride.turning_angle_rad)
            if not turned > math.radians(self._settings.max_turning_deg):  # not known counts as straight
                cycle = self._cycle(stride)
                if np.isfinite(cycle.curves).any():
                    cycles.append(cycle)
        return cycles

    def _cycle(self, stride: Stride) -> Cycle:
        curves = np.full((POINTS, len(CHANNELS)), np.nan)
        start_s, end_s = stride.start_s, stride.end_s
        sources: dict[tuple[str, str, Side | None], FloatArray] = {}
        time_s, rows = self._foot_rows.between(start_s, end_s)
        present: set[str] = set()
        if len(time_s):
            feet = over_cycle(time_s, rows, start_s, end_s)
            for i, side in enumerate(Side):
                for j, name in enumerate(FOOT):
                    sources["feet", name, side] = feet[:, len(FOOT) * i + j]
                if np.isfinite(feet[:, len(FOOT) * i]).all():
                    present.add(side.foot)
        present |= self._twin_curves(start_s, end_s, sources)
        side_of: dict[str, Side | None] = {"near": stride.side, "far": stride.side.other, "": None}
        mirror = stride.side is Side.LEFT
        for i, channel in enumerate(CHANNELS):
            leg = side_of[channel.leg]
            needed = {f"{n}_{leg[0]}" if leg is not None and n != "pelvis" else n for n in channel.needs}
            curve = sources.get((channel.group, channel.source, leg))
            if curve is not None and needed <= present:
                curves[:, i] = -curve if channel.mirrored and mirror else curve
        numbers = np.concatenate([self._numbers(stride), self._numbers(self._far_stride(stride))])
        segments = tuple(s for s in self._segments if s in present)
        return Cycle(stride.side, start_s, end_s, curves.astype(np.float32), numbers.astype(np.float32), segments)

    def _twin_curves(
        self, start_s: float, end_s: float, sources: dict[tuple[str, str, Side | None], FloatArray]
    ) -> set[str]:
        """Fill in what the twin's states tell, and return the segments whose sensors were there."""
        m = len(self._names)
        time_s, rows = self._states.between(start_s, end_s)
        if not m or len(time_s) < 2 or rows.shape[1] != 3 * m + len(self._sensors):
            return set()
        positions, residuals = rows[:, :m], rows[:, 3 * m :]
        inside = (time_s >= start_s) & (time_s <= end_s)
        covered = np.isfinite(residuals[inside]).mean(axis=0)
        present = {s for s, share in zip(self._sensors, covered, strict=True) if share >= MIN_COVERED}
        index = {name: i for i, name in enumerate(self._names)}
        angles = over_cycle(time_s, self._along_the_walk(positions, index), start_s, end_s)
        rates = over_cycle(*self._later(start_s, end_s, m, 2 * m, self._delays_s[0]), start_s, end_s)
        moments = over_cycle(*self._later(start_s, end_s, 2 * m, 3 * m, self._delays_s[1]), start_s, end_s)
        for side in Side:
            for name in LEG_ANGLES:
                column = index.get(f"{name}_{side[0]}")
                if column is None:
                    continue
                # some models count knee flexion negative; a knee flexes more than it extends
                knee = angles[:, column] if name == "knee_angle" else np.zeros(1)
                sign = -1.0 if knee.max() < -knee.min() else 1.0
                sources["angles", name, side] = sign * angles[:, column]
                sources["rates", name, side] = sign * rates[:, column]
                if self._settings.mass_kg > 0.0:
                    sources["moments", name, side] = sign * moments[:, column] / self._settings.mass_kg
        for name in (*_PELVIS_ANGLES, *TRUNK):
            if name in index:
                group = "trunk" if name in TRUNK else "pelvis"
                curve = angles[:, index[name]]
                if name == "pelvis_rotation":  # whichever way the walk goes
                    curve = np.unwrap(curve)
                    curve = curve - curve.mean()
                sources[group, name, None] = curve
        if _HEIGHT in index:
            height = angles[:, index[_HEIGHT]]
            sources["pelvis", "pelvis_height", None] = height - height.mean()
        return present

    def _later(
        self, start_s: float, end_s: float, first: int, last: int, delay_s: float
    ) -> tuple[FloatArray, FloatArray]:
        time_s, rows = self._states.between(start_s, end_s, delay_s if math.isfinite(delay_s) else 0.0)
        return time_s, rows[:, first:last]

    @staticmethod
    def _along_the_walk(positions: FloatArray, index: dict[str, int]) -> FloatArray:
        """Pelvis angles with rotation first (Baker 2001): OpenSim's tilt and list depend on the way's direction."""
        if not set(_PELVIS_ANGLES) <= index.keys():
            return positions
        columns = [index[name] for name in _PELVIS_ANGLES]
        known = np.isfinite(positions[:, columns]).all(axis=1)
        if not known.any():
            return positions
        turned = positions.copy()
        angles = Rotation.from_euler("ZXY", positions[known][:, columns]).as_euler("YXZ")
        angles[:, 0] = np.unwrap(angles[:, 0])
        turned[np.flatnonzero(known)[:, None], columns] = angles[:, ::-1]
        return turned

    def _far_stride(self, stride: Stride) -> Stride | None:
        """The other leg's last stride, where the two overlap."""
        far = self._last.get(stride.side.other)
        return far if far is not None and stride.start_s < far.end_s < stride.end_s + 1e-9 else None

    def _numbers(self, stride: Stride | None) -> FloatArray:
        numbers = np.full(len(STRIDE_NUMBERS), np.nan)
        if stride is None:
            return numbers
        stride_s, height = stride.stride_time_s, self._settings.height_m or math.nan
        numbers[:] = (
            stride_s,
            stride.stance_time_s / stride_s,
            stride.double_support_time_s / stride_s,
            stride.stride_length_m / height,
            stride.speed_mps / math.sqrt(height),
            stride.foot_clearance_m / height,
            stride.foot_angle_heel_strike_rad,
            stride.foot_angle_toe_off_rad,
        )
        if not stride.valid:
            numbers[SPATIAL] = np.nan
        return numbers


assert len(NUMBERS) == 2 * len(STRIDE_NUMBERS)
assert SCALED.stop <= SPATIAL.stop
