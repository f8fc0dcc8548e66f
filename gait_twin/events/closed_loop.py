"""The closed loop: strides that zero-velocity updates confirmed narrow the search for the next events.

A valid stride began and ended with a foot at rest, which the step estimator's filter has seen; its duration is this
person's, in this shoe. When a foot's next event is due by it, the network's threshold is lowered, and raised before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from gait_twin.recording import BodyFrames, EventKind, GaitEvent, GaitPhase, Side, Stride

if TYPE_CHECKING:
    from gait_twin.events.neural import NeuralDetector

EFFECT_S = 2.0
"""A stride is heeded so long after its end, in data time: by then it is known however the frames came, so that live
and offline give the same."""
TICK_S = 0.05
"""Thresholds change on a grid of this step in data time, not where blocks are cut."""
LEARNT, NEEDED = 5, 3
"""Strides whose median is the stride time, and how many it takes."""
PAUSE_S = 2.5
"""Without a heel strike for this long, what was learnt is of another walk."""
EASIER, STRICTER = 0.7, 1.3
DUE = {EventKind.HEEL_STRIKE: (0.85, 1.2), EventKind.TOE_OFF: (0.5, 0.75)}
"""Parts of a stride after the last heel strike in which the next event is due ..."""
EARLY = {EventKind.HEEL_STRIKE: 0.6, EventKind.TOE_OFF: 0.35}
"""... and before which it is not."""


class ClosedLoop:
    """A network's detector that heeds strides.

    Parameters
    ----------
    detector
        The detector; it is driven by this alone from now on.
    """

    def __init__(self, detector: NeuralDetector) -> None:
        self._detector = detector
        self._rhythms = {side: _Rhythm() for side in Side}
        self._tick = -math.inf

    def take_strides(self, strides: Iterable[Stride]) -> None:
        """Strides of the step estimator, in any order; later ones than `EFFECT_S` after their end count at once."""
        for stride in strides:
            self._rhythms[stride.side].take(stride)

    def update(self, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """See `EventDetector.update`."""
        events: list[GaitEvent] = []
        phases: list[GaitPhase] = []
        ticks = np.floor(frames.time_s / TICK_S + 1e-6)
        for part in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(ticks)) + 1):
            if not len(part):
                continue
            if ticks[part[0]] != self._tick:
                self._tick = float(ticks[part[0]])
                self._adapt(self._tick * TICK_S)
            found, predicted = self._detector.update(frames[int(part[0]) : int(part[-1]) + 1])
            for event in found:
                self._rhythms[event.side].note(event)
            events += found
            phases += predicted
        return events, phases

    def _adapt(self, now_s: float) -> None:
        for side, rhythm in self._rhythms.items():
            for kind, strictness in rhythm.strictness(now_s).items():
                self._detector.adapt(side, kind, strictness)

    def flush(self) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """See `EventDetector.flush`."""
        return self._detector.flush()


class _Rhythm:
    """One foot's stride time, and how strictly its events are to be judged by it."""

    def __init__(self) -> None:
        self._waiting: list[Stride] = []
        self._times_s: deque[float] = deque(maxlen=LEARNT)
        self._strike_s = -math.inf

    def take(self, stride: Stride) -> None:
        if stride.valid:
            self._waiting.append(stride)
            self._waiting.sort(key=lambda each: each.end_s)

    def note(self, event: GaitEvent) -> None:
        if event.kind is EventKind.HEEL_STRIKE:
            self._strike_s = event.time_s

    def strictness(self, now_s: float) -> Mapping[EventKind, float]:
        """Factor on each kind's threshold; 1 as trained."""
        while self._waiting and self._waiting[0].end_s + EFFECT_S <= now_s:
            self._times_s.append(self._waiting.pop(0).stride_time_s)
        since_s = now_s - self._strike_s
        if not 0.0 <= since_s <= PAUSE_S:  # a pause, or a clock that went back
            self._times_s.clear()
        if len(self._times_s) < NEEDED:
            return dict.fromkeys(EventKind, 1.0)
        phase = since_s / median(self._times_s)
        return {
            kind: EASIER if first <= phase <= last else STRICTER if phase < EARLY[kind] else 1.0
            for kind, (first, last) in DUE.items()
        }
