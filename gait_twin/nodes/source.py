"""Plays serialized messages in time, no faster than the graph follows: what replay and virtual subject share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gait_twin_msgs.msg import Progress as ProgressMessage
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock as ClockMessage

from gait_twin.nodes.base import GaitNode
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.progress import reader_qos
from gait_twin.nodes.topics import CLOCK, PROGRESS, Topic
from gait_twin.recording.messages import make_ros_message, make_stamp, stamp_ns
from gait_twin.settings import check, setting

STEP_S = 0.002
SLICE_S = 0.02
"""A step publishes for at most this long, then the executor handles what came in."""
CLOCK_EACH_S = 0.02
TELL_EACH_S = 2.0
ANYONE_S = 3.0
"""A source that is to wait for no one gives whoever listens so long to connect, s."""
SETTLE_S = 1.0
"""When every node has told that it is ready, their links among each other may still be under way, s."""
FOREVER_NS = 2**62
TAKERS = ("sensor_hub", "recorder")
"""Nodes that take samples themselves; the others take what the hub makes of them."""
LOST = 3
"""Exit code: finished, but something of the input was lost."""


class Sample(NamedTuple):
    """A message to play.

    Attributes
    ----------
    log_ns
        When to play it, ns.
    stamp_ns
        Instant of the measurement in it, ns; None for what is no measurement.
    topic, data
        Where to publish which CDR bytes.
    """

    log_ns: int
    stamp_ns: int | None
    topic: Topic
    data: bytes


@dataclass(frozen=True)
class FlowSettings:
    """How fast a source plays, and whom it waits for."""

    rate: float = setting(
        1.0, "Multiple of real time; 0: as fast as the graph follows. May change while it plays.", low=0.0, high=100.0
    )
    paused: bool = setting(False, "Hold still. May change while it plays.")
    wait_for: tuple[str, ...] = setting(
        (), "Nodes that must keep up: the source runs at most max_lead_s ahead of the slowest."
    )
    max_lead_s: float = setting(1.0, "Longest lead over the slowest node, s of data.", low=0.3, high=3.0)
    hub_wait_s: float = setting(
        0.2,
        "The hub's max_wait_s: nodes behind it may lag by so much more, for it waits for silent sensors.",
        low=0.0,
        high=5.0,
    )
    patience_s: float = setting(
        5.0, "A node that gets no further for so long is not waited for until it does, s.", low=0.5, high=600.0
    )
    start_patience_s: float = setting(
        60.0, "Longest wait for the nodes to be ready before playing, s.", low=0.0, high=3600.0
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(slots=True)
class _Follower:
    """A node that is waited for: where it is, and where with each of the topics that it takes itself."""

    newest_ns: int = 0
    inputs_ns: dict[str, int] = field(default_factory=dict)
    missed_ns: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    ready: bool = False
    given_up: bool = False
    moved_s: float = 0.0
    free_s: float = 0.0


class SourceNode(GaitNode):
    """Plays samples with /clock, and ends when every node has dealt with all of them.

    Parameters
    ----------
    name
        Name of the node.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._flow = declare(self, FlowSettings, changed=self._change)
        self._followers = {node: _Follower() for node in self._flow.wait_for}
        self._samples: Iterator[Sample] = iter(())
        self._next: Sample | None = None
        self._outputs: dict[str, Publisher] = {}
        self._clock_output = self.create_publisher(ClockMessage, CLOCK.name, 10)
        self._clock_due_s = 0.0
        self._played = self._count = 0
        self._tell_s = 0.0
        self._start_ns = self._log_ns = 0  # when to play the first, and the last played sample
        self._first_ns = self._newest_ns = 0  # stamps of the first and the last measurement played
        self._sent_ns: dict[str, int] = {}  # stamp of the last measurement played on each topic
        self._anchor: tuple[float, int] = (0.0, 0)
        self._began_s = self._ready_s = time.monotonic()
        self._ended_s: float | None = None
        self._losses: list[str] = []
        self._notices: deque[str] = deque(maxlen=100)
        self.create_subscription(ProgressMessage, PROGRESS.name, self._take_progress, reader_qos())
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._step = self._wait_for_graph

    def play(self, topics: list[Topic], samples: Iterator[Sample], count: int) -> None:
        """Play samples, ordered by time, as soon as the graph is ready; the process ends after them.

        Parameters
        ----------
        topics
            All topics of the samples.
        samples, count
            The samples, and how many they are, to tell how far it is.
        """
        self._count = count
        self._outputs = {topic.name: self.publisher(topic) for topic in topics}
        self._samples = samples
        self._next = next(self._samples, None)
        if self._next is None:
            self.lose("There is nothing to play.")
        else:
            self._start_ns = self._log_ns = self._next.log_ns
        self._began_s = self._ready_s = time.monotonic()
        self.create_timer(STEP_S, self._run_step, clock=self._steady)

    def _run_step(self) -> None:
        self._step()

    def lose(self, sentence: str) -> None:
        """Say what of the input is lost; the exit code tells it too."""
        self._losses.append(sentence)
        self.get_logger().warning(sentence)

    def losses(self) -> list[str]:
        """Sentences on losses that show only while playing."""
        return []

    # ---- before

    def _wait_for_graph(self) -> None:
        now_s = time.monotonic()
        late = [name for name, follower in self._followers.items() if not follower.ready]
        if late or not self._connected():
            self._ready_s = now_s
            patience_s = self._flow.start_patience_s if self._followers else ANYONE_S
            if now_s - self._began_s < patience_s:
                return
            for name in late:
                self._give_up(name, f"{name} is not ready after {self._flow.start_patience_s:.0f} s")
        elif self._followers and now_s - self._ready_s < SETTLE_S:
            return
        self.get_logger().info("The graph is ready: playing.")
        self._began_s = now_s
        self._anchor = (now_s, self._start_ns)
        self._tell_s = now_s + TELL_EACH_S
        for follower in self._followers.values():
            follower.moved_s, follower.ended = now_s, False
        self._step = self._play

    def _connected(self) -> bool:
        """Whether each node that takes samples has subscribed to them."""
        takers = max(1, sum(name in TAKERS for name in self._followers))
        return all(
            publisher.get_subscription_count() >= takers
            for name, publisher in self._outputs.items()
            if name.endswith("/data_raw")
        )

    # ---- while playing

    def _play(self) -> None:
        now_s = time.monotonic()
        flow = self._flow
        due_ns = self._anchor[1] + int((now_s - self._anchor[0]) * flow.rate * 1e9) if flow.rate else FOREVER_NS
        until_ns = min(due_ns, self._allowed_ns(now_s))
        if flow.paused:
            until_ns = 0
        sample = self._next
        while sample is not None and sample.log_ns <= until_ns and time.monotonic() < now_s + SLICE_S:
            self._publish(sample)
            sample = next(self._samples, None)
            until_ns = min(until_ns, self._allowed_ns(now_s))
        self._next = sample
        if sample is None:
            self._end(now_s)
        elif until_ns < due_ns or sample.log_ns <= until_ns:
            # held up: go on from here at the wanted rate instead of catching up in a burst
            self._anchor = (now_s, min(due_ns, self._log_ns))
        self._publish_clock(now_s)
        if now_s >= self._tell_s:
            self._tell_s = now_s + TELL_EACH_S
            share = 100 * self._played // max(self._played, self._count, 1)
            self.get_logger().info(f"Played {(self._log_ns - self._start_ns) / 1e9:.1f} s: {share} %")

    def _publish(self, sample: Sample) -> None:
        self._outputs[sample.topic.name].publish(sample.data)
        self._played += 1
        self._log_ns = sample.log_ns
        if sample.stamp_ns is not None:
            self._newest_ns = self._sent_ns[sample.topic.name] = sample.stamp_ns
            self._first_ns = self._first_ns or sample.stamp_ns

    def _allowed_ns(self, now_s: float) -> int:
        """When to stop playing so as not to run too far ahead of the slowest node, in time of playing."""
        allowed = FOREVER_NS
        for name, follower in self._followers.items():
            if follower.given_up:
                continue
            lead_s = self._flow.max_lead_s + (0.0 if name in TAKERS else self._flow.hub_wait_s)
            left_ns = int(lead_s * 1e9) - self._behind_ns(follower)
            if left_ns > 0:
                follower.free_s = now_s
            elif now_s - max(follower.free_s, follower.moved_s) > self._flow.patience_s:
                self._give_up(name, f"{name} got no further for {self._flow.patience_s:.0f} s")
                continue
            allowed = min(allowed, self._log_ns + left_ns)
        return allowed

    def _behind_ns(self, follower: _Follower) -> int:
        """How far a node is behind what was played, on the topic where it is most."""
        behind_ns = self._newest_ns - max(follower.newest_ns, self._first_ns)
        for name, sent_ns in self._sent_ns.items():
            if name in follower.inputs_ns:
                known_ns = max(follower.inputs_ns[name], follower.missed_ns.get(name, 0), self._first_ns)
                behind_ns = max(behind_ns, sent_ns - known_ns)
        return behind_ns

    def _give_up(self, name: str, why: str) -> None:
        self._followers[name].given_up = True
        self.get_logger().warning(f"{why}: playing on without waiting for it.")

    def _publish_clock(self, now_s: float) -> None:
        if now_s >= self._clock_due_s:
            self._clock_due_s = now_s + CLOCK_EACH_S
            self._clock_output.publish(
                ClockMessage(clock=make_stamp(make_ros_message, self._newest_ns or self._log_ns))
            )

    def _take_progress(self, message: Any) -> None:
        follower = self._followers.get(message.node)
        if follower is None:
            return
        newest_ns = stamp_ns(message.newest)
        if newest_ns < follower.newest_ns and self._first_ns:
            # started anew: what it missed does not come again
            follower.given_up = True
            follower.missed_ns = dict(self._sent_ns)
        if newest_ns != follower.newest_ns or message.ended != follower.ended:
            follower.moved_s = time.monotonic()
            if follower.given_up and follower.ready and newest_ns > self._first_ns:
                follower.given_up = False
                self.get_logger().info(f"{message.node} goes on.")
        follower.ready, follower.newest_ns, follower.ended = True, newest_ns, message.ended
        stamps = (stamp_ns(stamp) for stamp in message.input_newest)
        follower.inputs_ns = dict(zip(message.inputs, stamps, strict=False))

    # ---- after

    def _end(self, now_s: float) -> None:
        for publisher in self._outputs.values():
            if self.transport.lossless:
                publisher.wait_for_all_acked(Duration(seconds=self._flow.patience_s))
        for sentence in self.losses():
            self.lose(sentence)
        self.progress.handled(self._newest_ns)
        self.progress.end()
        span_s, took_s = (self._log_ns - self._start_ns) / 1e9, max(now_s - self._began_s, 1e-9)
        self.get_logger().info(
            f"Played {self._played} messages, {span_s:.1f} s in {took_s:.1f} s ({span_s / took_s:.1f} times real time)."
        )
        self._ended_s = time.monotonic()
        for follower in self._followers.values():
            follower.moved_s = self._ended_s
        self._step = self._drain

    def _drain(self) -> None:
        """Wait until every node has told that it has dealt with everything."""
        now_s = time.monotonic()
        self._publish_clock(now_s)
        for name, follower in self._followers.items():
            if follower.ended or follower.given_up:
                continue
            if now_s - follower.moved_s < self._flow.patience_s:
                return
            self._give_up(name, f"{name} did not finish")
        self.finish(LOST if self._losses else 0)

    # ---- the rest

    def ready(self) -> bool:
        """A source tells of itself only when it plays."""
        return self._played > 0 and self._ended_s is None

    def _change(self, settings: FlowSettings) -> None:
        self._flow = settings
        self._anchor = (time.monotonic(), self._log_ns)

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """How far it is."""
        return [], {
            "played": self._played,
            "position": f"{(self._log_ns - self._start_ns) / 1e9:.1f} s",
            **{f"{name} is at": f"{(f.newest_ns - self._first_ns) / 1e9:.1f} s" for name, f in self._followers.items()},
        }
