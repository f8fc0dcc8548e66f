"""Heel strikes, toe-offs and phase of both feet from the multi-task network, streaming."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gait_twin.events.features import CHANNELS, FootFeatures, Resampler
from gait_twin.events.network import (
    FIRST_LAG,
    HEEL_STRIKE,
    LAGS,
    LAST_LAG,
    PHASE,
    STANCE,
    TIMES,
    TOE_OFF,
    TYPICAL_S,
    NetworkStream,
    Weights,
)
from gait_twin.recording import BodyFrames, EventKind, GaitEvent, GaitPhase, Side, SlotStatus

FloatArray = NDArray[np.float64]

REFRACTORY_S = 0.3
"""No second event of a kind and foot within this time: half of the quickest runner's stride."""
THRESHOLD = 0.5
"""Probability of an event at least `look_ahead_s` ago from which it is given out, unless fitted otherwise."""
UNFITTED = (-13.0, -4.2)
"""Line of the confidence where none was fitted."""
LOWEST, HIGHEST = 0.25, 0.9
"""No adaptation moves a threshold beyond these."""
HEADS = {EventKind.HEEL_STRIKE: HEEL_STRIKE, EventKind.TOE_OFF: TOE_OFF}
GRID = 1.0 / 12.0
"""Variance within a step, steps²: no instant is known better."""
WALKING = 0.5
"""Length of the phase's vector from which the leg is taken to be walking."""


@njit(cache=True)
def _pick(last_s, times, logits, step, least, threshold, refractory, found):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rows, instants and spreads (s) of events that became sure; returns their number and the last instant."""
    count = 0
    p = np.empty(LAGS)
    for i in range(len(times)):
        top = logits[i].max()
        total = math.exp(logits[i, LAGS] - top)
        inside = tail = mean = square = 0.0
        for l in range(LAGS):
            p[l] = math.exp(logits[i, l] - top)
            inside += p[l]
            mean += p[l] * (l + FIRST_LAG)
            square += p[l] * (l + FIRST_LAG) ** 2
            if l + FIRST_LAG >= least:
                tail += p[l]
        total += inside
        if tail < threshold * total:
            continue
        mean /= inside
        instant = times[i] - step * mean
        if instant - last_s < refractory:
            continue
        last_s = instant
        spread = step * math.sqrt(max(square / inside - mean * mean, 0.0) + GRID)
        found[count, 0], found[count, 1], found[count, 2] = i, instant, spread
        count += 1
    return count, last_s


@dataclass(frozen=True, slots=True)
class Found:
    """An event as the network gives it: the step at which it became sure, its instant and its spread (SD), s."""

    row: int
    time_s: float
    spread_s: float


class EventPicker:
    """Picks one kind of event out of a head's outputs.

    At every step the head gives the probabilities that the event lies 3 steps ahead, 2, …, 15 steps back, or
    in none of these. An event is given out when those of at least the look-ahead together pass a threshold: the
    instant is then the mean of the distribution. So no step has to be waited for to see a peak decline.

    Parameters
    ----------
    kind
        Heel strike or toe-off.
    step_s
        Interval of the steps, s.
    look_ahead_s
        How long after an event it may be judged, s; the network can look back 130 ms at most.
    threshold
        Probability from which it is given out.
    """

    def __init__(self, kind: EventKind, step_s: float, look_ahead_s: float, threshold: float = THRESHOLD) -> None:
        self._head = HEADS[kind]
        self._step_s = step_s
        self._least = min(round(look_ahead_s / step_s), LAST_LAG - 2)
        self._threshold = self._trained = threshold
        self.restart()

    def adapt(self, strictness: float) -> None:
        """From now on take the threshold times `strictness`; 1 is as trained."""
        self._threshold = min(max(strictness * self._trained, LOWEST), HIGHEST)

    def restart(self) -> None:
        """Forget the last event."""
        self._last_s = -math.inf

    def update(self, time_s: FloatArray, outputs: NDArray[np.float32]) -> list[Found]:
        """Take (n,) instants and (n, OUTPUTS) and give the events that became sure."""
        found = np.empty((len(time_s), 3))
        count, self._last_s = _pick(
            self._last_s,
            time_s,
            outputs[:, self._head],
            self._step_s,
            self._least,
            self._threshold,
            REFRACTORY_S,
            found,
        )
        return [Found(int(row), float(at), float(spread)) for row, at, spread in found[:count]]


def calibrated(spread_s: float, line: tuple[float, float]) -> float:
    """Probability that an event is real and within 50 ms: log odds on a line over the logarithm of its spread (s).

    A network that does not know an event well spreads its instant. On people left out of training the spread told
    true events from false ones better than the probability that the network itself gives.
    """
    return 1.0 / (1.0 + math.exp(-(line[0] + line[1] * math.log(spread_s))))


class NeuralDetector:
    """Finds events and predicts phases with the network; takes and gives what `EventDetector` does.

    Parameters
    ----------
    look_ahead_s
        How long after an event it is judged, s. More waits longer and places it better (docs/models/events.md).
    max_stride_s
        A leg without a new event for this long is not walking, s.
    weights
        A trained network's; the shipped ones when None.
    """

    def __init__(self, look_ahead_s: float = 0.06, max_stride_s: float = 2.5, weights: Weights | None = None) -> None:
        self._weights = weights or Weights.load()
        self._look_ahead_s = look_ahead_s
        self._max_stride_s = max_stride_s
        self._held: BodyFrames | None = None
        self._strictness: dict[tuple[Side, EventKind], float] = {}
        self._feet: tuple[Side, ...] | None = None
        self._begin(0.01, (Side.LEFT, Side.RIGHT))
        self._stream.update(np.zeros((1, 2, CHANNELS), np.float32))  # compiles before the first frame has to wait
        self._features[0].update(np.zeros((1, 3)), np.zeros((1, 3)))
        self._picks[0][0].update(np.zeros(1), np.zeros((1, TIMES.stop), np.float32))
        self._feet = None

    def _begin(self, frame_s: float, feet: tuple[Side, ...]) -> None:
        notes = self._weights.notes
        self._feet, self._frame_s = feet, frame_s
        self._resampler = Resampler(frame_s, 6 * len(feet))
        step_s = self._resampler.step_s
        self._features = [FootFeatures(side is Side.LEFT, step_s) for side in feet]
        self._stream = NetworkStream(self._weights, max(len(feet), 1))
        thresholds = notes.get("thresholds", {})
        self._kinds = tuple(HEADS)
        self._picks = [
            [EventPicker(k, step_s, self._look_ahead_s, thresholds.get(k, THRESHOLD)) for k in self._kinds]
            for _ in feet
        ]
        for (side, kind), strictness in self._strictness.items():
            if side in feet:
                self._picks[feet.index(side)][self._kinds.index(kind)].adapt(strictness)
        self._lines = [tuple(notes.get("confidence", {}).get(k, UNFITTED)) for k in self._kinds]
        self._phases = {side: _LegPhase(side, self._max_stride_s) for side in Side}
        self._last_s = -math.inf

    def update(self, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """Take the next frames; see `EventDetector.update`."""
        if self._held is not None:
            frames, self._held = BodyFrames.joined([self._held, frames]), None
        if self._feet is None:
            if len(frames) < 2:
                self._held = frames if len(frames) else None
                return [], []
            self._begin(float(frames.time_s[1] - frames.time_s[0]), tuple(s for s in Side if s.foot in frames.segments))
        events: list[GaitEvent] = []
        phases: list[GaitPhase] = []
        steps = np.diff(frames.time_s, prepend=self._last_s)
        # Frames are missing, or the clock has leapt: what lies on both sides is not of one movement
        breaks = np.flatnonzero(~((steps > 0.0) & (steps < 1.5 * self._frame_s)))
        for rows in np.split(np.arange(len(frames)), breaks):
            if len(rows):
                part = frames[int(rows[0]) : int(rows[-1]) + 1]
                if not 0.0 < part.time_s[0] - self._last_s < 1.5 * self._frame_s:
                    self._restart(float(part.time_s[0]))
                self._run(part, events, phases)
                self._last_s = float(part.time_s[-1])
        events.sort(key=lambda event: event.time_s + event.delay_s)
        return events, phases

    def adapt(self, side: Side, kind: EventKind, strictness: float) -> None:
        """See `EventDetector.adapt`."""
        self._strictness[side, kind] = strictness
        if self._feet and side in self._feet:
            self._picks[self._feet.index(side)][self._kinds.index(kind)].adapt(strictness)

    def flush(self) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """End of the stream: what is left, which is nothing but for a stream of one frame."""
        frames, self._held = self._held, None
        if frames is None:
            return [], []
        return [], [GaitPhase(t, side, False, True) for t in frames.time_s.tolist() for side in Side]

    def _restart(self, now_s: float) -> None:
        self._resampler.restart()
        self._stream.restart()
        for features in self._features:
            features.restart()
        if now_s <= self._last_s:
            for picks in self._picks:
                for pick in picks:
                    pick.restart()
            self._phases = {side: _LegPhase(side, self._max_stride_s) for side in Side}

    def _run(self, frames: BodyFrames, events: list[GaitEvent], phases: list[GaitPhase]) -> None:
        assert self._feet is not None
        columns = [frames.segments.index(side.foot) for side in self._feet]
        samples = np.concatenate([frames.acc_mps2[:, columns], frames.gyr_radps[:, columns]], axis=2)
        samples = np.where(((frames.status[:, columns] & SlotStatus.VALID) != 0)[..., None], samples, np.nan)
        time_s, steps = self._resampler.update(frames.time_s, samples.reshape(len(frames), -1))
        steps = steps.reshape(len(time_s), len(self._feet), 6)
        # The frame with which each step became known
        known = np.minimum(np.searchsorted(frames.time_s, time_s + 0.5 * self._lag_s - 1e-9), len(frames) - 1)
        outputs = np.empty((len(time_s), len(self._feet), TIMES.stop), np.float32)
        if self._feet and len(time_s):
            features = [f.update(steps[:, i, :3], steps[:, i, 3:]) for i, f in enumerate(self._features)]
            outputs = self._stream.update(np.stack(features, axis=1))
        sides: list[list[GaitPhase]] = []
        for side in Side:
            if side not in self._feet:
                sides.append([GaitPhase(t, side, False, True) for t in frames.time_s.tolist()])
                continue
            i = self._feet.index(side)
            mine: list[GaitEvent] = []
            for kind, pick, line in zip(self._kinds, self._picks[i], self._lines, strict=True):
                for found in pick.update(time_s, outputs[:, i]):
                    delay_s = float(frames.time_s[known[found.row]]) - found.time_s
                    mine.append(GaitEvent(found.time_s, side, kind, calibrated(found.spread_s, line), delay_s))
            mine.sort(key=lambda event: event.time_s + event.delay_s)
            events += mine
            sides.append(self._phases[side].update(frames.time_s, time_s, known, outputs[:, i], mine))
        phases += [phase for pair in zip(*sides, strict=True) for phase in pair]

    @property
    def _lag_s(self) -> float:
        """Length of the cell of which a step is the middle, s."""
        return 0.0 if self._resampler.passes else self._resampler.step_s


class _LegPhase:
    """A leg's phase at each frame: the network's at the last step, carried on by the stride time."""

    def __init__(self, side: Side, max_stride_s: float) -> None:
        self._side = side
        self._max_stride_s = max_stride_s
        self._strides: deque[float] = deque(maxlen=3)
        self._strike_s = -math.inf
        self._step: tuple[float, NDArray[np.float32]] | None = None

    def update(
        self,
        frames_s: FloatArray,
        steps_s: FloatArray,
        known: NDArray[np.intp],
        outputs: NDArray[np.float32],
        events: list[GaitEvent],
    ) -> list[GaitPhase]:
        """Phases at the frames, of which `known` tells which one brought each step; `events` in order."""
        strikes = deque(e for e in events if e.kind is EventKind.HEEL_STRIKE)
        phases: list[GaitPhase] = []
        at = 0
        for row, now_s in enumerate(frames_s.tolist()):
            while strikes and strikes[0].time_s + strikes[0].delay_s <= now_s + 1e-9:
                self._take(strikes.popleft().time_s)
            while at < len(steps_s) and known[at] <= row:
                self._step = float(steps_s[at]), outputs[at]
                at += 1
            phases.append(self._at(now_s))
        return phases

    def _take(self, strike_s: float) -> None:
        stride_s = strike_s - self._strike_s
        if stride_s < self._max_stride_s:
            self._strides.append(stride_s)
        else:
            self._strides.clear()  # a new walk, or the first one
        self._strike_s = strike_s

    def _at(self, now_s: float) -> GaitPhase:
        if self._step is None:
            return GaitPhase(now_s, self._side, False, True)
        step_s, out = self._step
        stance = bool(out[STANCE] > 0.0)
        cosine, sine = float(out[PHASE][0]), float(out[PHASE][1])
        sure = math.hypot(cosine, sine)
        if sure < WALKING:
            return GaitPhase(now_s, self._side, False, True)
        stride_s = median(self._strides) if self._strides else TYPICAL_S[0] * math.exp(float(out[TIMES][0]))
        phase = math.atan2(sine, cosine) / (2.0 * math.pi) + (now_s - step_s) / stride_s
        return GaitPhase(now_s, self._side, True, stance, phase % 1.0, stride_s, min(sure, 1.0))
