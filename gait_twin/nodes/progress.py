"""How far a node has come, told to the source of the data; and how the end of a source travels downstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gait_twin_msgs.msg import Progress as ProgressMessage
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.timer import Timer

from gait_twin.nodes.diagnostics import Input
from gait_twin.nodes.topics import PROGRESS, qos
from gait_twin.recording.messages import make_ros_message, make_stamp

EACH_DATA_NS = 100_000_000
"""Progress is told each 0.1 s of data: often enough for a source that runs at most 1 s ahead."""
BEAT_S = 0.5
QUIET_PASSES = 6
PASS_S = 0.05
"""When everything upstream ended, its last messages may still lie in this node's queues. Between two runs of a
timer the executor handles a message of every queue that has any, however slow the machine: after six runs
without a message the queues are empty."""


class Progress:
    """Tells on `progress` how far this node has come, and calls `on_end` when everything upstream has ended.

    Parameters
    ----------
    node
        The node.
    ready
        Whether the node's inputs are connected; nothing is told before.
    upstream
        Groups of node names: a group has ended when any of its nodes has, the stream when all groups have.
    on_end
        Called once when the stream has ended and no message waits any more.
    """

    def __init__(
        self,
        node: Node,
        ready: Callable[[], bool],
        upstream: tuple[tuple[str, ...], ...],
        on_end: Callable[[], None],
    ) -> None:
        self._node, self._ready, self._upstream, self._on_end = node, ready, upstream, on_end
        self._ended_nodes: set[str] = set()
        self._watched: dict[str, Input] = {}
        self._newest_ns = self._told_ns = 0
        self._ended = False
        self._handled = False
        self._passes = 0
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._publisher = node.create_publisher(ProgressMessage, PROGRESS.name, qos(PROGRESS))
        if upstream:
            self._listen()
        node.create_timer(BEAT_S, self._beat, clock=self._wall)
        self._quiet_timer: Timer | None = None

    def follow(self, upstream: tuple[tuple[str, ...], ...]) -> None:
        """Set the upstream of a node that learns of it from its parameters."""
        self._upstream = upstream
        if upstream:
            self._listen()

    def _listen(self) -> None:
        self._node.create_subscription(ProgressMessage, PROGRESS.name, self._take, reader_qos())

    def watch(self, topic_name: str, counters: Input) -> None:
        """Tell of an input of samples apart: the middleware may bring one topic later than another."""
        self._watched[topic_name] = counters

    def handled(self, time_ns: int) -> None:
        """Note that data up to this instant were dealt with."""
        self._handled = True
        self._newest_ns = time_ns
        if not 0 <= time_ns - self._told_ns < EACH_DATA_NS or self._ended:
            self._ended = False
            self.tell()

    def tell(self) -> None:
        """Publish where this node is."""
        self._told_ns = self._newest_ns
        self._publisher.publish(
            ProgressMessage(
                node=self._node.get_name(),
                newest=_time(self._newest_ns),
                inputs=list(self._watched),
                input_newest=[_time(counters.newest_ns) for counters in self._watched.values()],
                ended=self._ended,
            )
        )

    def end(self) -> None:
        """Tell that nothing more will come."""
        self._ended = True
        self.tell()

    def _beat(self) -> None:
        if self._ready():
            self.tell()

    def _take(self, message: ProgressMessage) -> None:
        if message.node == self._node.get_name():
            return
        if message.ended:
            self._ended_nodes.add(message.node)
        else:
            self._ended_nodes.discard(message.node)
        all_ended = all(self._ended_nodes.intersection(group) for group in self._upstream)
        if all_ended and not self._ended and self._quiet_timer is None:
            self._passes, self._handled = 0, False
            self._quiet_timer = self._node.create_timer(PASS_S, self._pass, clock=self._wall)
        elif not all_ended:
            self._stop_waiting()

    def _pass(self) -> None:
        self._passes = 0 if self._handled else self._passes + 1
        self._handled = False
        if self._passes >= QUIET_PASSES:
            self._stop_waiting()
            self._on_end()
            self.end()

    def _stop_waiting(self) -> None:
        if self._quiet_timer is not None:
            self._node.destroy_timer(self._quiet_timer)
            self._quiet_timer = None


def _time(time_ns: int) -> Any:
    """Stamp within what a message can hold: a broken clock must not end a node."""
    return make_stamp(make_ros_message, min(max(0, time_ns), (2**31 - 1) * 10**9))


def reader_qos() -> QoSProfile:
    """Latched as the publishers', with room for all of them."""
    return QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
