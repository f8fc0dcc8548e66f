"""What a node tells about itself on /diagnostics, once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription

from gait_twin.nodes.topics import DIAGNOSTICS, RESULT_DEPTH

EACH_S = 1.0
DELAYS_OF = 8
"""The delay is looked at for one message in so many: reading a simulated clock is not free."""
SLOW_S = 0.25
"""A 99th percentile of the delay above this is worth a warning: no controller can use such data."""


@dataclass(slots=True)
class Input:
    """Counters of one input, or of several alike.

    Attributes
    ----------
    received, lost
        Messages since the start: that came, and that the middleware or a gap in their stamps shows missing.
    newest_ns
        Instant that the last message describes, ns; 0 before any, and where messages are not noted with theirs.
    expected
        Whether silence is worth a warning.
    subscription
        Where they come from.
    """

    received: int = 0
    lost: int = 0
    newest_ns: int = 0
    expected: bool = True
    subscription: Subscription | None = None
    delays_s: list[float] = field(default_factory=list)
    _received_before: int = 0
    _lost_before: int = 0

    def report(self, name: str, elapsed_s: float) -> tuple[dict[str, str], int]:
        """Key-value pairs since the last report, and how many messages were lost since then."""
        rate = (self.received - self._received_before) / elapsed_s
        lost = self.lost - self._lost_before
        self._received_before, self._lost_before = self.received, self.lost
        values = {f"{name} rate": f"{rate:.1f} Hz", f"{name} dropped": str(self.lost)}
        if self.delays_s:
            p50, p99 = np.percentile(self.delays_s, [50, 99])
            values[f"{name} delay p50"] = f"{p50 * 1e3:.1f} ms"
            values[f"{name} delay p99"] = f"{p99 * 1e3:.1f} ms"
        return values, lost


Report = Callable[[], tuple[list[str], Mapping[str, Any]]]
"""What the room itself says: sentences to warn with, and values."""


class Diagnostics:
    """Publishes a node's inputs and its room's report each second of wall time.

    Parameters
    ----------
    node
        The node.
    report
        The room's part.
    """

    def __init__(self, node: Node, report: Report) -> None:
        self._node, self._report = node, report
        self.inputs: dict[str, Input] = {}
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS.name, QoSProfile(depth=RESULT_DEPTH // 10))
        self._last_s = time.monotonic()
        self._cpu_s = time.process_time()
        self.sim_time = bool(node.get_parameter("use_sim_time").value)
        node.create_timer(EACH_S, self.tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def input(self, name: str) -> Input:
        """Counters of an input, made when first asked for."""
        return self.inputs.setdefault(name, Input())

    def count(self, to: Input, stamp_ns: int) -> None:
        """Note a message that describes an instant, ns."""
        to.received += 1
        to.newest_ns = stamp_ns
        if to.received % DELAYS_OF == 0:
            now_ns = self._node.get_clock().now().nanoseconds if self.sim_time else time.time_ns()
            if now_ns:
                to.delays_s.append((now_ns - stamp_ns) / 1e9)

    def tell(self) -> None:
        """Publish now: a second is over, or something happened that cannot wait for it."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        elapsed_s = max(now_s - self._last_s, 1e-3)
        warnings, values = self._report()
        warnings = list(warnings)
        pairs: dict[str, str] = {}
        for name, counters in self.inputs.items():
            if not (counters.expected or counters.received):
                continue
            before = counters._received_before
            slow = bool(counters.delays_s) and float(np.percentile(counters.delays_s, 99)) > SLOW_S
            found, lost = counters.report(name, elapsed_s)
            counters.delays_s.clear()
            pairs |= found
            if lost:
                warnings.append(f"{name}: {lost} messages lost")
            if slow:
                warnings.append(f"{name}: late")
            if counters.received == before and counters.expected:
                warnings.append(f"{name}: {self._why_silent(counters)}")
        pairs["processor"] = f"{100.0 * (cpu_s - self._cpu_s) / elapsed_s:.0f} %"
        pairs |= {name: _text(value) for name, value in values.items()}
        self._last_s, self._cpu_s = now_s, cpu_s
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK,
            name=name,
            message="; ".join(warnings) or "running",
            hardware_id=self._node.get_namespace(),
            values=[KeyValue(key=key, value=value) for key, value in pairs.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _why_silent(self, counters: Input) -> str:
        subscription = counters.subscription
        if counters.received or subscription is None:
            return "silent"
        for publisher in self._node.get_publishers_info_by_topic(subscription.topic_name):
            fits, why = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
            if fits is QoSCompatibility.ERROR:
                return f"{publisher.node_name} publishes it with a quality of service that does not fit: {why}"
        return "waiting for the first message"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
