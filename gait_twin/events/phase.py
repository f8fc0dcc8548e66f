"""Phase of one leg's gait cycle, predicted to each frame from the last strides."""

from __future__ import annotations

from collections import deque
from statistics import median

from gait_twin.events.settings import DetectorSettings
from gait_twin.recording import EventKind, GaitEvent, GaitPhase, Side

NAN = float("nan")


class PhasePredictor:
    """Predicts a leg's phase from its events: the time since the last heel strike over the stride time.

    The stride time is the median of the last three, so that one odd stride does not spoil the next
    prediction. The phase waits just short of 1 for a heel strike that is late.
    """

    def __init__(self, side: Side, settings: DetectorSettings) -> None:
        self._side = side
        self._max_stride_s = settings.max_stride_s
        self._strides: deque[float] = deque(maxlen=3)
        self._now_s = -float("inf")
        self._forget()

    def _forget(self) -> None:
        self._strides.clear()
        self._heel_strike_s = self._confidence = NAN
        self._last_s = -float("inf")
        self._stance = True

    def update(self, times_s: list[float], events: list[GaitEvent]) -> list[GaitPhase]:
        """Phases at the given instants; `events` are those that became known within them, in order."""
        if times_s and times_s[0] <= self._now_s:
            self._forget()  # the clock has leapt back
        phases: list[GaitPhase] = []
        waiting = deque(events)
        for now_s in times_s:
            while waiting and waiting[0].time_s + waiting[0].delay_s <= now_s + 1e-9:
                self._take(waiting.popleft())
            phases.append(self._at(now_s))
        for event in waiting:
            self._take(event)
        self._now_s = times_s[-1] if times_s else self._now_s
        return phases

    def _take(self, event: GaitEvent) -> None:
        self._last_s = event.time_s
        self._stance = event.kind is EventKind.HEEL_STRIKE
        self._confidence = event.confidence
        if self._stance:
            stride_s = event.time_s - self._heel_strike_s
            if stride_s < self._max_stride_s:
                self._strides.append(stride_s)
            else:
                self._strides.clear()  # a new walk, or the first one
            self._heel_strike_s = event.time_s

    def _at(self, now_s: float) -> GaitPhase:
        if not self._strides:
            walking = now_s - self._last_s < self._max_stride_s
            return GaitPhase(now_s, self._side, walking, self._stance if walking else True)
        stride_s = median(self._strides)
        silent_s = now_s - self._last_s
        # Stance or swing lasts little over half a stride; twice that without an event is standing
        if silent_s > min(1.25 * stride_s, self._max_stride_s):
            return GaitPhase(now_s, self._side, False, True)
        phase = (now_s - self._heel_strike_s) / stride_s
        spread = (max(self._strides) - min(self._strides)) / stride_s
        late = max(phase - 1.0, 0.0)
        confidence = self._confidence / (1.0 + 4.0 * spread + 4.0 * late)
        return GaitPhase(now_s, self._side, True, self._stance, min(phase, 0.999), stride_s, confidence)
