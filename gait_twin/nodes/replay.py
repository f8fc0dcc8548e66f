"""Node: plays the sensors of a bag, and what is known to be true of it, into the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gait_twin.errors import InputError
from gait_twin.nodes.base import run
from gait_twin.nodes.cdr import header_stamp_ns
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.source import Sample, SourceNode
from gait_twin.nodes.topics import PLATES, SUBJECT, TRUTH, Flow, Topic, imu_raw, mag
from gait_twin.recording import Bag, open_bag
from gait_twin.recording.persistence import choose_topics
from gait_twin.settings import check, setting


@dataclass(frozen=True)
class ReplaySettings:
    """What is played."""

    bag: str = setting("", "rosbag2 folder or file.")
    subject: str = setting("", "Namespace of the person in the bag, where it holds several.")
    topics: tuple[str, ...] = setting(
        (), "Topic of each segment's IMU where they are not named imu/<segment>/data_raw, as 'calcn_r=/imu/right_foot'."
    )

    def __post_init__(self) -> None:
        check(self)


class ReplayNode(SourceNode):
    """Publishes the bytes of a bag's messages as they are, with their own stamps."""

    def __init__(self) -> None:
        super().__init__("replay")
        settings = declare(self, ReplaySettings)
        if not settings.bag:
            raise InputError("The parameter bag is empty; name a rosbag2 folder, as -p bag:=walk.")
        self._bag = open_bag(settings.bag)
        self._told = 0
        chosen = topics_of(self._bag, settings)
        for sentence in self.losses():
            self.lose(sentence)
        self.play(list(chosen.values()), bag_samples(self._bag, chosen), message_count(self._bag, chosen))

    def losses(self) -> list[str]:
        """What of the bag cannot be read."""
        new = self._bag.losses[self._told :]
        self._told += len(new)
        return new

    def close(self) -> None:
        """Close the bag."""
        if hasattr(self, "_bag"):
            self._bag.close()


def bag_samples(bag: Bag, chosen: dict[str, Topic]) -> Iterator[Sample]:
    """Samples of a bag's chosen topics, in the order of their logging."""
    for message in bag.messages(chosen):
        topic, data = chosen[message.topic], bytes(message.data)
        stamp_ns = header_stamp_ns(data) if topic.flow is Flow.SENSOR else None
        yield Sample(message.log_ns, stamp_ns or None, topic, data)


def message_count(bag: Bag, chosen: dict[str, Topic]) -> int:
    """Number of samples of a bag's chosen topics."""
    return sum(bag.topics[name].message_count for name in chosen)


def topics_of(bag: Bag, settings: ReplaySettings) -> dict[str, Topic]:
    """Topics of a bag that are played, and where each goes.

    Raises
    ------
    InputError
        If the bag has no such sensors.
    """
    pairs = dict(pair.split("=", 1) for pair in settings.topics if "=" in pair)
    namespace, imus = choose_topics(bag, settings.subject or None, pairs or None)
    chosen = {name: imu_raw(segment) for segment, name in imus.items()}
    for topic in (*(mag(segment) for segment in imus), SUBJECT, *TRUTH, *PLATES):
        name = f"{namespace}/{topic.name}"
        if name in bag.topics and bag.topics[name].type_name == topic.type_name:
            chosen[name] = topic
    return chosen


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(ReplayNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
