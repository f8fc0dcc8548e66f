"""Node: frames in, gait events and phase out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.nodes.base import run
from gait_twin.nodes.frames import FrameNode
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import GAIT_EVENTS, GAIT_PHASE, STRIDES
from gait_twin.recording import BodyFrames, GaitEvent, GaitPhase, Side
from gait_twin.recording.messages import TimeBase, from_stride, make_ros_message, to_gait_event, to_gait_phase


class EventDetectorNode(FrameNode):
    """Wraps `gait_twin.events.EventDetector`; its settings may change while it runs."""

    def __init__(self) -> None:
        super().__init__("event_detector")
        self._settings = declare(self, DetectorSettings, changed=self._change)
        self._detector = EventDetector(self._settings)
        self._events = self.publisher(GAIT_EVENTS)
        self._phase = self.publisher(GAIT_PHASE)
        self._found = dict.fromkeys(Side, 0)
        self._delay_s = float("nan")
        self._strides: list[Any] = []
        self.subscribe(STRIDES, self._strides.append, expected=False)

    def _change(self, settings: DetectorSettings) -> None:
        self._settings = settings
        self._detector = EventDetector(settings)
        self.get_logger().info("New settings: the detector begins anew.")

    def begin(self, segments: tuple[str, ...]) -> None:
        """Start with a new detector."""
        self._detector = EventDetector(self._settings)
        for side in Side:
            if side.foot not in segments:
                self.get_logger().warning(f"No sensor on {side.foot}: no events of the {side} foot.")

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Detect, and publish."""
        self._detector.take_strides(from_stride(base, message) for message in self._strides)
        self._strides.clear()
        self._publish(base, *self._detector.update(frames))

    def give_out(self) -> None:
        """Publish what the detector still holds back."""
        if self.base is not None:
            self._publish(self.base, *self._detector.flush())

    def _publish(self, base: TimeBase, events: list[GaitEvent], phases: list[GaitPhase]) -> None:
        for event in events:
            self._events.publish(to_gait_event(make_ros_message, base, event))
            self._found[event.side] += 1
            self._delay_s = event.delay_s
        for left, right in zip(phases[::2], phases[1::2], strict=True):
            self._phase.publish(to_gait_phase(make_ros_message, base, left, right))

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Events of each side, and how late the last one was known."""
        found = getattr(self, "_found", {})
        return [], {**{f"events {side}": n for side, n in found.items()}, "last event delay": f"{self._delay_s:.3f} s"}


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(EventDetectorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
