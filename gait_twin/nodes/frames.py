"""Base of the nodes that take the hub's frames."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from gait_twin.errors import InputError
from gait_twin.nodes.base import GaitNode
from gait_twin.nodes.topics import BODY_IMUS
from gait_twin.recording import BodyFrames
from gait_twin.recording.messages import TimeBase, from_body_imus, stamp_ns

ARRAYS = tuple(field.name for field in fields(BodyFrames) if field.name != "segments")


class FrameNode(GaitNode):
    """Receives `body_imus` and hands over what is waiting as one block, on seconds since the first frame.

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
        self._block: list[BodyFrames] = []
        _, self._counters = self.subscribe(BODY_IMUS, self._take, awaited=True)

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Handle a block of frames: one in time, more when this node lags behind."""
        raise NotImplementedError

    def begin(self, segments: tuple[str, ...]) -> None:
        """A stream of frames of these segments begins."""

    def give_out(self) -> None:
        """The stream is over: publish what is still held back."""

    def on_end(self) -> None:
        """Give out what is held back; the next frame begins a new stream."""
        self.on_round()
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
            self._block.append(from_body_imus(self.base, message))
        except InputError as problem:
            self.get_logger().error(str(problem), throttle_duration_sec=5.0)
        self.diagnostics.count(self._counters, time_ns)

    def on_round(self) -> None:
        """Hand over the frames that were waiting, as one block."""
        if self._block and self.base is not None:
            self.take(self.base, join(self._block))
            self._block.clear()
            self.progress.handled(self._last_ns)


def join(blocks: list[BodyFrames]) -> BodyFrames:
    """One block of several of the same segments."""
    if len(blocks) == 1:
        return blocks[0]
    return BodyFrames(
        blocks[0].segments,
        *(np.concatenate([getattr(block, name) for block in blocks]) for name in ARRAYS),
    )
