"""Base of the nodes that take the hub's frames."""

from __future__ import annotations

from typing import Any

from gait_twin.errors import InputError
from gait_twin.nodes.base import GaitNode
from gait_twin.nodes.topics import BODY_IMUS
from gait_twin.recording import BodyFrames
from gait_twin.recording.messages import TimeBase, from_body_imus, stamp_ns


class FrameNode(GaitNode):
    """Receives `body_imus` and hands over blocks of one frame, on seconds since the first.

    When time goes backwards (a bag played again) or the source ended, everything begins anew.

    Attributes
    ----------
    base
        Where the seconds of this stream begin; None before the first frame.
    """

    def __init__(self, name: str, upstream: tuple[tuple[str, ...], ...] = (("sensor_hub",),)) -> None:
        super().__init__(name, upstream)
        self.base: TimeBase | None = None
        self._last_ns = self._period_ns = 0
        self._segments: list[str] = []
        _, self._counters = self.subscribe(BODY_IMUS, self._take, awaited=True)

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Handle a block of one frame."""
        raise NotImplementedError

    def begin(self, segments: tuple[str, ...]) -> None:
        """A stream of frames of these segments begins."""

    def give_out(self) -> None:
        """The stream is over: publish what is still held back."""

    def on_end(self) -> None:
        """Give out what is held back; the next frame begins a new stream."""
        if self.base is not None:
            self.give_out()
        self.base = None

    def _take(self, message: Any) -> None:
        time_ns = stamp_ns(message.header.stamp)
        if self.base is not None and (time_ns <= self._last_ns or message.segments != self._segments):
            self.get_logger().warning("Time went backwards or the sensors changed: everything begins anew.")
            self.on_end()
        if self.base is None:
            self.base, self._segments, self._period_ns = TimeBase(time_ns), list(message.segments), 0
            self.begin(tuple(message.segments))
        elif not self._period_ns:
            self._period_ns = time_ns - self._last_ns
        else:  # frames come on an even grid: what is missing was lost
            self._counters.lost += round((time_ns - self._last_ns) / self._period_ns) - 1
        self._last_ns = time_ns
        try:
            self.take(self.base, from_body_imus(self.base, message))
        except InputError as problem:
            self.get_logger().error(str(problem), throttle_duration_sec=5.0)
        self.diagnostics.count(self._counters, time_ns)
        self.progress.handled(time_ns)
