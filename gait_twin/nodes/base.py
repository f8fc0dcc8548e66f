"""What every node shares: a start that refuses with a sentence, a clean end, progress and diagnostics."""

from __future__ import annotations

import gc
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar

import rclpy
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.task import Future

from gait_twin.errors import InputError
from gait_twin.nodes.diagnostics import Diagnostics, Input
from gait_twin.nodes.intake import Intake
from gait_twin.nodes.parameters import declare, warn_of_unknown
from gait_twin.nodes.progress import Progress
from gait_twin.nodes.topics import Flow, Topic, qos
from gait_twin.settings import check, setting

try:
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:  # Jazzy before 7.1.4
    from rclpy.executors import SingleThreadedExecutor as Executor

REFUSED, CRASHED = 1, 70
"""Exit codes: something given cannot be used (starting again does not help); an error of the program."""
SPIN_S = 60.0
"""The executor is entered anew so often: without any limit that of events returns at once, its clock overflown."""
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
"""Each event that rclpy listens to by default makes every wait of the executor longer. What they tell, that two
ends of a topic do not fit, `Diagnostics` finds out where an input is silent."""
SOURCES = ("replay", "virtual_subject")
"""Nodes that play something with an end; a live driver has none."""


@dataclass(frozen=True)
class TransportSettings:
    """How samples travel."""

    lossless: bool = setting(
        False, "Samples are sent and received reliably: for a bag or a virtual subject, never with live drivers."
    )
    sensor_rate_hz: float = setting(
        100.0, "Rate of the sensors, Hz: 0.1 s of samples are queued (not where lossless).", low=1.0, high=10000.0
    )

    def __post_init__(self) -> None:
        check(self)


class GaitNode(Node):
    """Base of all nodes.

    Parameters
    ----------
    name
        Name of the node.
    upstream
        Groups of node names whose end is this node's end; see `Progress`.

    Attributes
    ----------
    rest_s
        Time between two rounds of messages of a node that nobody waits for, s; see `Intake`.
    """

    rest_s: ClassVar[float] = 0.0

    def __init__(self, name: str, upstream: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(name)
        self.done: Future[int] = Future()
        self.transport = declare(self, TransportSettings)
        self.diagnostics = Diagnostics(self, self.report)
        self._awaited: list[Subscription] = []
        self.intake = Intake(self.on_round, self.rest_s)
        self.progress = Progress(self, self.ready, upstream, self.on_end)

    # ---- what a node may fill in

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Sentences to warn with, and values, for /diagnostics."""
        return [], {}

    def ready(self) -> bool:
        """Whether data that are sent now reach this node."""
        return all(subscription.get_publisher_count() for subscription in self._awaited)

    def on_round(self) -> None:
        """All messages that were waiting have been taken."""

    def on_end(self) -> None:
        """Everything upstream has ended: give out what is still held back, and begin anew."""

    def close(self) -> None:
        """Let go of files; ROS may be shut down already."""

    # ---- what a node uses

    def publisher(self, topic: Topic) -> Publisher:
        """Publisher with the topic's quality of service."""
        return self.create_publisher(
            topic.message_class, topic.name, self.qos(topic), event_callbacks=NO_PUBLISHER_EVENTS
        )

    def subscribe(
        self,
        topic: Topic,
        callback: Callable[[Any], None],
        *,
        raw: bool = False,
        awaited: bool = False,
        expected: bool = True,
    ) -> tuple[Subscription, Input]:
        """Subscribe with the topic's quality of service, and count what is lost on the way.

        Parameters
        ----------
        topic, callback, raw
            What is received, by whom, and whether as bytes.
        awaited
            The node is not `ready` before someone publishes this.
        expected
            Silence is worth a warning.
        """
        counters = self.diagnostics.input(topic.name)
        lost = None
        if topic.flow is Flow.SENSOR and not self.transport.lossless:

            def lost(event: Any) -> None:
                counters.lost += event.total_count_change

        subscription = self._create(topic, self.intake.waker(callback), raw, lost)
        self.intake.add(subscription, callback)
        counters.subscription, counters.expected = subscription, expected
        if awaited:
            self._awaited.append(subscription)
        return subscription, counters

    def _create(
        self, topic: Topic, callback: Callable[[Any], None], raw: bool, lost: Callable[[Any], None] | None
    ) -> Subscription:
        events = SubscriptionEventCallbacks(message_lost=lost, use_default_callbacks=False)
        try:
            return self.create_subscription(
                topic.message_class, topic.name, callback, self.qos(topic), raw=raw, event_callbacks=events
            )
        except UnsupportedEventTypeError:  # not every middleware tells of losses
            return self._create(topic, callback, raw, None)

    def qos(self, topic: Topic) -> Any:
        """Quality of service of a topic in this graph."""
        return qos(topic, lossless=self.transport.lossless, rate_hz=self.transport.sensor_rate_hz)

    def finish(self, exit_code: int) -> None:
        """End the process when the callback that runs has returned."""
        self.done.set_result(exit_code)


class _Stop:
    """Signals before the node spins raise; after that the context's shutdown, which rclpy does, is enough."""

    spinning = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if not self.spinning:
            self.spinning = True  # once is enough
            raise KeyboardInterrupt


def run(make_node: Callable[[], GaitNode], args: Sequence[str] | None = None) -> int:
    """Run a node until SIGINT, SIGTERM or its own end, and return the exit code.

    0 after a signal or a good end; `REFUSED` after one logged sentence when something given cannot be used;
    `CRASHED` after a traceback when a callback failed.
    """
    stop = _Stop()
    # rclpy's handlers call these after shutting the context down
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    node: GaitNode | None = None
    code = 0
    try:
        rclpy.init(args=list(sys.argv if args is None else args))
        node = make_node()
        warn_of_unknown(node)
        stop.spinning = True
        # what is there now stays: looking through it, now or again and again, would hold up samples
        gc.freeze()
        executor = Executor()
        executor.add_node(node)
        while rclpy.ok() and not node.done.done():
            executor.spin_until_future_complete(node.done, timeout_sec=SPIN_S)
        code = node.done.result() or 0
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (InputError, NameValidationException) as problem:
        _say(node, str(problem))
        code = REFUSED
    except rclpy_implementation.RCLError as problem:
        if node is None:  # what was given after --ros-args cannot be read
            _say(node, " ".join(str(problem).split()))
            code = REFUSED
        elif rclpy.ok():
            _say(node, traceback.format_exc())
            code = CRASHED
        # else: the context went while a callback published
    except Exception:  # noqa: BLE001 - whatever it is, it is told, and the supervisor starts the node anew
        _say(node, traceback.format_exc())
        code = CRASHED
    stop.spinning = True
    if node is not None:
        node.close()
    rclpy.try_shutdown()
    # Ctrl-C often comes twice, from the terminal and from launch; Python's end takes a moment, and would die of it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return code


def _say(node: GaitNode | None, text: str) -> None:
    if node is not None and rclpy.ok():
        node.get_logger().fatal(text)
    else:
        sys.stderr.write(f"{text}\n")
