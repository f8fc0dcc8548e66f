"""Node: frames and events in; strides, steps and the odometry of each foot out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait_twin.nodes.base import run
from gait_twin.nodes.frames import FrameNode
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import EARLY_STRIDES, GAIT_EVENTS, STEPS, STRIDES, foot_odometry
from gait_twin.recording import BodyFrames, GaitEvent, Side
from gait_twin.recording.messages import (
    TimeBase,
    from_gait_event,
    make_ros_message,
    stamp_ns,
    to_odometry,
    to_step,
    to_stride,
)
from gait_twin.steps import StepEstimator, StepOutput, StepSettings


class StepEstimatorNode(FrameNode):
    """Wraps `gait_twin.steps.StepEstimator`; events and frames may arrive in any order."""

    def __init__(self) -> None:
        super().__init__("step_estimator", (("sensor_hub",), ("event_detector",)))
        self._settings = declare(self, StepSettings)
        self._estimator = StepEstimator(self._settings)
        self._waiting: list[Any] = []
        self._no_frames: BodyFrames | None = None
        self._strides = self.publisher(STRIDES)
        self._early = self.publisher(EARLY_STRIDES)
        self._steps = self.publisher(STEPS)
        self._odometry = {side: self.publisher(foot_odometry(side)) for side in Side}
        self._given = self._invalid = 0
        _, self._event_counters = self.subscribe(GAIT_EVENTS, self._take_event, awaited=True, expected=False)

    def begin(self, segments: tuple[str, ...]) -> None:
        """Start with a new estimator."""
        del segments
        self._estimator = StepEstimator(self._settings)

    def _take_event(self, message: Any) -> None:
        # an event may overtake the frame that it lies in, even the first
        self._waiting.append(message)
        self.diagnostics.count(self._event_counters, stamp_ns(message.header.stamp))

    def _arrived(self, base: TimeBase) -> list[GaitEvent]:
        events = [from_gait_event(base, message) for message in self._waiting]
        self._waiting.clear()
        return events

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Estimate with the events that came meanwhile, and publish."""
        self._no_frames = frames[:0]
        self._publish(base, self._estimator.update(frames, self._arrived(base)))

    def give_out(self) -> None:
        """Take the last events, and publish what the estimator still holds back."""
        base = self.base
        if base is not None:
            events = self._arrived(base)
            if events and self._no_frames is not None:
                self._publish(base, self._estimator.update(self._no_frames, events))
            self._publish(base, self._estimator.flush())

    def _publish(self, base: TimeBase, found: StepOutput) -> None:
        for pose in found.poses:
            self._odometry[pose.side].publish(to_odometry(make_ros_message, base, pose))
        for stride in found.early:
            self._early.publish(to_stride(make_ros_message, base, stride))
        for stride in found.strides:
            self._strides.publish(to_stride(make_ros_message, base, stride))
            self._given += 1
            self._invalid += not stride.valid
        for step in found.steps:
            self._steps.publish(to_step(make_ros_message, base, step))

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Strides given, and how many of them are not to be trusted."""
        return [], {"strides": self._given, "invalid strides": self._invalid}


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(StepEstimatorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
