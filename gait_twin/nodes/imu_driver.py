"""Node: devices of a body.yaml in, `imu/<segment>/data_raw` and `imu/<segment>/mag` out. A managed node.

Configuring opens the devices, activating streams. A device that is missing or goes away is an error on
/diagnostics and is tried again; the node itself goes on.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

from gait_twin.errors import InputError
from gait_twin.nodes.base import GaitNode, run
from gait_twin.nodes.cdr_imu import ImuWriter, MagWriter
from gait_twin.nodes.diagnostics import EACH_S
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import DIAGNOSTICS, imu_raw, mag
from gait_twin.recording.messages import imu_frame
from gait_twin.sensing import Device, Driver, DriverSettings, HostClock, Level, Reading, SensorState, read_body
from gait_twin.settings import check, setting

SWITCH_S = 0.0005
"""The driver's thread waits no longer for the interpreter while the node's own thread writes diagnostics, s."""
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@dataclass(frozen=True)
class ServedSettings:
    """What is served, and when."""

    body: str = setting("", "body.yaml: which device is on which segment.")
    segments: tuple[str, ...] = setting((), "Segments of it to serve here; all that have a device where not given.")
    autostart: bool = setting(True, "Configure and activate at once, instead of waiting for a manager to do it.")

    def __post_init__(self) -> None:
        check(self)


class ImuDriverNode(LifecycleNodeMixin, GaitNode):
    """Wraps `gait_twin.sensing.Driver`, whose thread publishes straight away."""

    def __init__(self) -> None:
        GaitNode.__init__(self, "imu_driver")
        LifecycleNodeMixin.__init__(self)
        self._served = declare(self, ServedSettings)
        self._settings = declare(self, DriverSettings)
        self._driver: Driver | None = None
        self._host = HostClock()
        self._outputs: dict[str, Callable[[Reading], None]] = {}
        self._devices: tuple[Device, ...] = ()
        self._refused = ""
        self._before: dict[str, tuple[int, int]] = {}
        self._told = self.create_publisher(DiagnosticArray, DIAGNOSTICS.name, 10)
        self.create_timer(EACH_S, self._each_second, clock=Clock(clock_type=ClockType.STEADY_TIME))
        if self._served.autostart and SUCCESS not in (self.trigger_configure(), None):
            raise InputError(self._refused)
        if self._served.autostart:
            self.trigger_activate()

    # ---- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the body.yaml and open the devices; those that are missing are said, and do not hinder."""
        try:
            self._devices = self._chosen()
        except InputError as problem:
            self._refused = str(problem)
            self.get_logger().error(self._refused)
            return FAILURE
        self._outputs = {device.segment: self._output(device) for device in self._devices}
        self._driver = Driver(self._devices, self._publish, self._say, self._settings)
        missing = self._driver.open()
        self.get_logger().info(
            f"{len(self._devices) - len(missing)} of {len(self._devices)} links are open"
            + ("" if not missing else f"; not there: {' '.join(missing)}")
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stream."""
        self._host = HostClock()
        # what was made so far stays: the garbage collector need not look through it again, which takes milliseconds
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_S)
        if self._driver is not None:
            self._driver.start()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop streaming; the devices stay open."""
        if self._driver is not None:
            self._driver.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the devices."""
        self._let_go()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the devices, for good."""
        self._let_go()
        return super().on_shutdown(state)

    def close(self) -> None:
        """Let go of the devices."""
        self._let_go()

    def _let_go(self) -> None:
        driver, self._driver = getattr(self, "_driver", None), None
        if driver is not None:
            driver.stop()
            driver.close()

    def _chosen(self) -> tuple[Device, ...]:
        if not self._served.body:
            raise InputError("The parameter body is empty; name a body.yaml, as -p body:=body.yaml.")
        devices = read_body(Path(self._served.body)).devices
        if not devices:
            raise InputError(
                f"{self._served.body} has no sensor with a `protocol`: there is nothing to serve; "
                "`gait-twin sensors scan` lists what is plugged in."
            )
        wanted = self._served.segments or tuple(device.segment for device in devices)
        absent = set(wanted) - {device.segment for device in devices}
        if absent:
            raise InputError(f"{self._served.body} has no device on {', '.join(sorted(absent))}; mend segments.")
        return tuple(device for device in devices if device.segment in wanted)

    # ---- data, in the driver's thread

    def _output(self, device: Device) -> Callable[[Reading], None]:
        frame = imu_frame(device.segment)
        write_imu, write_mag = ImuWriter(frame, device.noise), MagWriter(frame, device.noise)
        imu, field = self.publisher(imu_raw(device.segment)), self.publisher(mag(device.segment))

        def publish(reading: Reading) -> None:
            sample, time_ns = reading.sample, self._host.unix_ns(reading.steady_s)
            if sample.mag_ut is not None:  # first: the hub takes the newest field to each sample
                field.publish(write_mag(time_ns, sample.mag_ut))
            if sample.acc_mps2 is not None:
                imu.publish(write_imu(time_ns, sample.acc_mps2, sample.gyr_radps, sample.quat_wxyz))

        return publish

    def _publish(self, reading: Reading) -> None:
        self._outputs[reading.segment](reading)

    def _say(self, level: Level, text: str) -> None:
        # a logger takes each place in the code for one severity
        if level is Level.ERROR:
            self.get_logger().error(text)
        elif level is Level.WARNING:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    # ---- diagnostics

    def ready(self) -> bool:
        """A live source tells nobody how far it is."""
        return False

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """What is wrong with the whole: each sensor has a status of its own."""
        driver = self._driver
        if driver is None:
            return ["not configured"], {}
        warnings = [f"{state.segment}: {state.problem}" for state in driver.states() if state.problem]
        if strangers := driver.strangers():
            warnings.append(f"heard, and worn by no segment: {', '.join(strangers)}")
        if step_s := self._host.step_s():
            warnings.append(
                f"the computer's clock was set by {step_s:+.3f} s; stamps keep the clock of the start until this "
                "node is activated anew"
            )
        return warnings, {}

    def _each_second(self) -> None:
        driver = self._driver
        if driver is None:
            return
        if driver.failure is not None:
            raise driver.failure
        addresses = {device.segment: str(device.address) for device in self._devices}
        statuses = [self._status(state, addresses[state.segment]) for state in driver.states()]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._told.publish(message)

    def _status(self, state: SensorState, address: str) -> DiagnosticStatus:
        report = state.report
        lost_before, gaps_before = self._before.get(state.segment, (0, 0))
        self._before[state.segment] = (report.lost, report.gaps)
        level, text = DiagnosticStatus.OK, "streaming"
        if state.problem:
            level, text = DiagnosticStatus.ERROR, state.problem
        elif report.gaps > gaps_before:
            level, text = DiagnosticStatus.WARN, f"a gap; the longest so far is {report.longest_gap_s:.2f} s"
        elif report.lost > lost_before:
            level, text = DiagnosticStatus.WARN, f"{report.lost - lost_before} samples lost on the way"
        values = {
            "rate": f"{report.rate_hz:.1f} Hz",
            "received": report.received,
            "lost": report.lost,
            "gaps": report.gaps,
            "longest gap": f"{report.longest_gap_s:.3f} s",
            "incomplete": report.incomplete,
            "refused frames": state.refused[0],
            "dropped bytes": state.refused[1],
            "clock": f"{state.clock[0]:.1f} ppm",
            "transport jitter": f"{1e3 * state.clock[1]:.2f} ms",
        }
        return DiagnosticStatus(
            level=level,
            name=f"{self.get_fully_qualified_name()}: {state.segment}",
            message=text,
            hardware_id=address,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(ImuDriverNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
