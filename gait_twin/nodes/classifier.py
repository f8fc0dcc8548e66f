"""Node: frames, states of the twin and strides in; the class of the gait out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gait_twin.classification import ClassifierSettings, GaitClassifier, Model, OrthopaedicScreen, ScreenSettings
from gait_twin.nodes.base import run
from gait_twin.nodes.frames import FrameNode
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import GAIT_CLASS, ORTHOPAEDIC, STRIDES, TWIN_STATE, Topic
from gait_twin.recording import BodyFrames, GaitClass
from gait_twin.recording.messages import (
    TimeBase,
    from_stride,
    from_twin_state,
    make_ros_message,
    stamp_ns,
    to_gait_class,
)


class ClassifierNode(FrameNode):
    """Wraps `gait_twin.classification.GaitClassifier`; its inputs may arrive in any order among each other.

    Asked for, it wraps `OrthopaedicScreen` too: another question about the same strides, on a topic of its own.
    """

    rest_s = 0.05

    def __init__(self) -> None:
        super().__init__("classifier", (("sensor_hub",), ("twin",), ("step_estimator",)))
        self._settings = declare(self, ClassifierSettings)
        self._model = Model.of_settings(self._settings)
        self._classifier: GaitClassifier | None = None
        self._no_frames: BodyFrames | None = None
        self._found: GaitClass | None = None
        self._states: list[Any] = []
        self._strides: list[Any] = []
        self._classes = self.publisher(GAIT_CLASS)
        self._screens = self.publisher(ORTHOPAEDIC) if declare(self, ScreenSettings).orthopaedic else None
        self._screen: OrthopaedicScreen | None = None
        for topic, waiting in ((TWIN_STATE, self._states), (STRIDES, self._strides)):
            self.subscribe(topic, self._keep(topic, waiting), awaited=True, expected=topic is TWIN_STATE)

    def _keep(self, topic: Topic, waiting: list[Any]) -> Callable[[Any], None]:
        counters = self.diagnostics.input(topic.name)

        def keep(message: Any) -> None:  # may overtake the frame that it belongs to, even the first
            waiting.append(message)
            self.diagnostics.count(counters, stamp_ns(message.header.stamp))

        return keep

    def begin(self, segments: tuple[str, ...]) -> None:
        """Start with a new classifier."""
        self._classifier = GaitClassifier(segments, self._settings, self._model)
        self._found = None
        if self._screens is not None:
            self._screen = OrthopaedicScreen(self._settings.height_m or math.nan)

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Classify with what came meanwhile, and publish."""
        self._no_frames = frames[:0]
        self._classify(base, frames)

    def give_out(self) -> None:
        """Take the last states and strides, and publish what they complete."""
        base, classifier = self.base, self._classifier
        if base is not None and classifier is not None and self._no_frames is not None:
            self._classify(base, self._no_frames)
            self._publish(base, classifier.flush())

    def _classify(self, base: TimeBase, frames: BodyFrames) -> None:
        assert self._classifier is not None
        states = [from_twin_state(base, message) for message in self._states]
        strides = [from_stride(base, message) for message in self._strides]
        self._states.clear()
        self._strides.clear()
        self._publish(base, self._classifier.update(frames, states, strides))
        if self._screen is not None and self._screens is not None:
            for found in self._screen.update(strides):
                self._screens.publish(to_gait_class(make_ros_message, base, found))

    def _publish(self, base: TimeBase, classes: list[GaitClass]) -> None:
        for found in classes:
            if self._found is None or found.label != self._found.label:
                share = "" if found.unknown else f" ({found.probabilities.max():.0%} after {found.cycles} cycles)"
                self.get_logger().info(f"Gait: {found.label}{share}", throttle_duration_sec=2.0)
            self._found = found
            self._classes.publish(to_gait_class(make_ros_message, base, found))

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """The model, and what it says."""
        values: dict[str, Any] = {"model": self._model.name} if hasattr(self, "_model") else {}
        found = getattr(self, "_found", None)
        if found is not None:
            values |= {
                "class": found.label,
                "probability": f"{found.probabilities.max():.3f}",
                "novelty": f"{found.novelty:.2f}",
                "cycles": found.cycles,
            }
        return [], values


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(ClassifierNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
