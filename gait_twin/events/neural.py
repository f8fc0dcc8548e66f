"""Heel strikes, toe-offs and phase of both feet from the multi-task network, streaming."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
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
PAUSE_S, FIRST_THRESHOLD = 2.0, 0.9
"""The first event of a foot after a pause this long needs this probability. On people left out of training it costs
less than 0.001 of F1, and takes four of five false events of feet that fidget; 0.95 costs 0.003 more of toe-offs."""
UNFITTED = (-13.0, -4.2)
"""Line of the confidence where none was fitted."""
LOWEST, HIGHEST = 0.25, 0.9
"""No adaptation moves a threshold beyond these."""
KINDS = (EventKind.HEEL_STRIKE, EventKind.TOE_OFF)
EVENTS = slice(HEEL_STRIKE.start, TOE_OFF.stop)
"""Logits of both kinds, in the order of `KINDS`."""
GRID = 1.0 / 12.0
"""Variance within a step, steps²: no instant is known better."""
WALKING = 0.5
"""Length of the phase's vector from which the leg is taken to be walking."""


@njit(cache=True)
def _pick(last_s, times, logits, step, least, thresholds, found):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Events of one foot that became sure: rows, kinds, instants and spreads (s). Gives their number."""
    count = 0
    p = np.empty(LAGS)
    for i in range(len(times)):
        for kind in range(len(thresholds)):
            top = logits[i, kind].max()
            total = math.exp(logits[i, kind, LAGS] - top)
            inside = tail = mean = square = 0.0
            for l in range(LAGS):
                p[l] = math.exp(logits[i, kind, l] - top)
                inside += p[l]
                mean += p[l] * (l + FIRST_LAG)
                square += p[l] * (l + FIRST_LAG) ** 2
                if l + FIRST_LAG >= least:
                    tail += p[l]
            total += inside
            needed = thresholds[kind]
            if times[i] - last_s.max() > PAUSE_S:
                needed = max(needed, FIRST_THRESHOLD)
            if tail < needed * total:
                continue
            mean /= inside
            instant = times[i] - step * mean
            if instant - last_s[kind] < REFRACTORY_S:
                continue
            last_s[kind] = instant
            spread = step * math.sqrt(max(square / inside - mean * mean, 0.0) + GRID)
            found[count, 0], found[count, 1], found[count, 2], found[count, 3] = i, kind, instant, spread
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class Found:
    """An event as the network gives it: the step at which it became sure, its instant and its spread (SD), s."""

    row: int
    kind: EventKind
    time_s: float
    spread_s: float


class EventPicker:
    """Picks one foot's events out of the heads' outputs.

    At every step a head gives the probabilities that the event lies 3 steps ahead, 2, …, 15 steps back, or
    in none of these. An event is given out when those of at least the look-ahead together pass a threshold: the
    instant is then the mean of the distribution. So no step has to be waited for to see a peak decline. After a
    pause the first event must be surer, for a foot that only fidgets looks like a step now and then, not in a row.

    Parameters
    ----------
    step_s
        Interval of the steps, s.
    look_ahead_s
        How long after an event it may be judged, s; the network can look back 130 ms at most.
    thresholds
        Probability of each kind from which it is given out; `THRESHOLD` where none is named.
    """

    def __init__(self, step_s: float, look_ahead_s: float, thresholds: Mapping[str, float] | None = None) -> None:
        self._step_s = step_s
        self._least = min(round(look_ahead_s / step_s), LAST_LAG - 2)
        self._trained = {kind: (thresholds or {}).get(kind, THRESHOLD) for kind in KINDS}
        self._thresholds = np.array(list(self._trained.values()))
        self.restart()

    def adapt(self, kind: EventKind, strictness: float) -> None:
        """From now on take a kind's threshold times `strictness`; 1 is as trained."""
        self._thresholds[KINDS.index(kind)] = min(max(strictness * self._trained[kind], LOWEST), HIGHEST)

    def restart(self) -> None:
        """Forget the last events."""
        self._last_s = np.full(len(KINDS), -math.inf)

    def update(self, time_s: FloatArray, outputs: NDArray[np.float32]) -> list[Found]:
        """Take (n,) instants and (n, OUTPUTS) and give the events that became sure."""
        logits = np.ascontiguousarray(outputs[:, EVENTS]).reshape(len(time_s), len(KINDS), LAGS + 1)
        found = np.empty((len(KINDS) * len(time_s), 4))
        count = _pick(self._last_s, time_s, logits, self._step_s, self._least, self._thresholds, found)
        return [Found(int(row), KINDS[int(kind)], at, spread) for row, kind, at, spread in found[:count].tolist()]


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
        self._picks[0].update(np.zeros(1), np.zeros((1, TIMES.stop), np.float32))
        self._feet = None

    def _begin(self, frame_s: float, feet: tuple[Side, ...]) -> None:
        notes = self._weights.notes
        self._feet, self._frame_s = feet, frame_s
        self._resampler = Resampler(frame_s, 6 * len(feet))
        step_s = self._resampler.step_s
        self._features = [FootFeatures(side is Side.LEFT, step_s) for side in feet]
        self._stream = NetworkStream(self._weights, max(len(feet), 1))
        self._picks = [EventPicker(step_s, self._look_ahead_s, notes.get("thresholds")) for _ in feet]
        for (side, kind), strictness in self._strictness.items():
            if side in feet:
                self._picks[feet.index(side)].adapt(kind, strictness)
        self._lines = {k: tuple(notes.get("confidence", {}).get(k, UNFITTED)) for k in KINDS}
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
        """Make one foot's events of a kind harder or easier to take, from the next frames on.

        Parameters
        ----------
        side, kind
            Whose, and what events.
        strictness
            Factor on the threshold: 1 as trained, less takes events of less certainty.
        """
        self._strictness[side, kind] = strictness
        if self._feet and side in self._feet:
            self._picks[self._feet.index(side)].adapt(kind, strictness)

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
            for pick in self._picks:
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
            for found in self._picks[i].update(time_s, outputs[:, i]):
                delay_s = float(frames.time_s[known[found.row]]) - found.time_s
                confidence = calibrated(found.spread_s, self._lines[found.kind])
                mine.append(GaitEvent(found.time_s, side, found.kind, confidence, delay_s))
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
