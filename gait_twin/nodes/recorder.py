"""Node: writes the topics of a session into a bag that stays readable whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.serialization import serialize_message

from gait_twin.errors import InputError
from gait_twin.nodes.base import GaitNode, run
from gait_twin.nodes.cdr import header_stamp_ns
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import (
    KNOWN,
    LOSSLESS_DEPTH,
    PLATES,
    RESULTS,
    SUBJECT,
    TRUTH,
    Flow,
    Topic,
    imu_raw,
    mag,
    message_class,
)
from gait_twin.recording import SEGMENTS, BagWriter, Subject
from gait_twin.recording.messages import make_ros_message, to_subject
from gait_twin.settings import check, setting

FLUSH_S = 1.0
IMU_TYPE = "sensor_msgs/msg/Imu"
UPSTREAM = ("sensor_hub", "event_detector", "step_estimator", "twin", "classifier")


@dataclass(frozen=True)
class RecorderSettings:
    """What is recorded, of whom, where."""

    bag: str = setting("recording", "Folder of the bag to make; -2, -3, … is added where it is there already.")
    segments: tuple[str, ...] = setting(SEGMENTS, "Segments whose sensors are recorded.")
    topics: tuple[str, ...] = setting(
        tuple(topic.name for topic in (*RESULTS, *TRUTH, *PLATES)), "Other topics of gait_twin that are recorded."
    )
    extra_topics: tuple[str, ...] = setting(
        (), "Topics of others to record too, each with its type, as '/exo/torque std_msgs/msg/Float64'."
    )
    wait_for: tuple[str, ...] = setting(UPSTREAM, "Nodes whose end is the recording's end.")
    subject_name: str = setting("", "Name of the person.")
    model: str = setting("", "OpenSim model of the twin, as the bag is to name it; empty: not known.")
    height_m: float = setting(0.0, "Height of the person, m; 0: not known.", low=0.0, high=3.0)
    mass_kg: float = setting(0.0, "Mass of the person, kg; 0: not known.", low=0.0, high=500.0)

    def __post_init__(self) -> None:
        check(self)


class RecorderNode(GaitNode):
    """Writes messages as the bytes they came in; see `gait_twin.recording.BagWriter`."""

    rest_s = 0.02

    def __init__(self) -> None:
        super().__init__("recorder")
        self._settings = declare(self, RecorderSettings)
        self.progress.follow(tuple((name,) for name in self._settings.wait_for))
        self._bag: BagWriter | None = None
        self._newest_ns = self._log_ns = 0
        self._round: list[tuple[int | None, str, str, bytes]] = []
        self._sim_time = self.diagnostics.sim_time
        topics = self._chosen()
        self._path = free_path(Path(self._settings.bag))
        self._bag = BagWriter(self._path, flush_s=FLUSH_S)
        try:
            for topic in topics:
                self._bag.add_topic(self._full_name(topic), topic.type_name, latched=topic.flow is Flow.LATCHED)
        except InputError:
            self._bag.close()
            raise
        self._write_subject()
        self._sensors: list[Any] = []
        for topic in topics:
            is_imu = topic.type_name == IMU_TYPE
            subscription, counters = self.subscribe(topic, self._writer(topic), raw=True, expected=is_imu)
            if is_imu:
                self._sensors.append(subscription)
                self.progress.watch(topic.name, counters)
        self.create_timer(FLUSH_S, self._flush, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"Recording to {self._path}")

    def qos(self, topic: Topic) -> Any:
        """Deeper than that of who needs the newest: a bag wants the samples of a busy half second, too."""
        profile = super().qos(topic)
        if topic.flow is Flow.SENSOR:
            profile.depth = LOSSLESS_DEPTH
        return profile

    def _chosen(self) -> list[Topic]:
        unknown = [name for name in self._settings.topics if name not in KNOWN]
        if unknown:
            raise InputError(f"{unknown[0]} is no topic of gait_twin; give it in extra_topics, with its type.")
        topics = [make(segment) for segment in self._settings.segments for make in (imu_raw, mag)]
        topics += [KNOWN[name] for name in self._settings.topics]
        for entry in self._settings.extra_topics:
            name, _, type_name = entry.partition(" ")
            try:
                message_class(type_name.strip())
            except (ImportError, AttributeError, ValueError):
                raise InputError(
                    f"extra_topics has {entry!r}; write topic and type, as '/exo/torque std_msgs/msg/Float64', "
                    "with a type that is installed."
                ) from None
            topics.append(Topic(name, type_name.strip()))
        return topics

    def _full_name(self, topic: Topic) -> str:
        """Name in the bag: as if nothing were remapped, so that a reader finds the segments."""
        return topic.name if topic.name.startswith("/") else f"{self.get_namespace().rstrip('/')}/{topic.name}"

    def _writer(self, topic: Topic) -> Callable[[bytes], None]:
        name, type_name = self._full_name(topic), topic.type_name
        counters, count = self.diagnostics.input(topic.name), self.diagnostics.count
        is_imu = type_name == IMU_TYPE

        def write(data: bytes) -> None:
            if is_imu:
                stamp_ns = header_stamp_ns(data)
                self._newest_ns = max(self._newest_ns, stamp_ns)
                count(counters, stamp_ns)
                self.progress.handled(self._newest_ns)
            else:
                counters.received += 1
            self._round.append((self._arrived_ns(), name, type_name, data))

        return write

    def on_round(self) -> None:
        """Write what came in, in the order in which it did: a round takes one message of each topic in turn."""
        if self._bag is not None:
            first_ns = min((row[0] for row in self._round if row[0] is not None), default=time.time_ns())
            timed = [(first_ns if row[0] is None else row[0], *row[1:]) for row in self._round]
            for at_ns, name, type_name, data in sorted(timed, key=itemgetter(0)):
                self._log_ns = max(self._log_ns, at_ns)  # never backwards
                self._bag.write(name, type_name, self._log_ns, data)
        self._round.clear()

    def _arrived_ns(self) -> int | None:
        """Time of logging, ns, None where not known; with simulated time as fine as the samples' own."""
        if self._sim_time:
            return max(self._newest_ns, self.get_clock().now().nanoseconds)
        return self.intake.received_ns or None

    def _write_subject(self) -> None:
        assert self._bag is not None
        s = self._settings
        subject = Subject(s.subject_name, s.height_m or float("nan"), s.mass_kg or float("nan"), s.model)
        data = serialize_message(to_subject(make_ros_message, subject))
        at_ns = self._arrived_ns()
        self._bag.write(self._full_name(SUBJECT), SUBJECT.type_name, time.time_ns() if at_ns is None else at_ns, data)

    def _flush(self) -> None:
        if self._bag is not None:
            self._bag.flush()

    def on_end(self) -> None:
        """Everything of this session is here: hand it to the disk."""
        self._flush()

    def ready(self) -> bool:
        """Whether any sensor is connected."""
        return any(subscription.get_publisher_count() for subscription in self._sensors)

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Where the bag is."""
        return [], {"bag": str(self._path)}

    def close(self) -> None:
        """Write the bag's index and metadata."""
        bag, self._bag = getattr(self, "_bag", None), None
        if bag is not None:
            bag.close()


def free_path(path: Path) -> Path:
    """The path, or the first of path-2, path-3, … that is not there."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(RecorderNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
