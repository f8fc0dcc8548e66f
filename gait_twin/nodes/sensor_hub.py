"""Node: samples of single sensors in, synchronised frames of the whole body out.

A person may ask for a calibration while the graph runs, by three services (std_srvs/Trigger): ``~/calibrate`` begins
one, ``~/calibration_result`` says what to do next or what came of it, ``~/cancel_calibration`` ends it. What to do next
is also on /diagnostics. The calibration in use stays until the new one is found to be good.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_srvs.srv import Trigger

from gait_twin.errors import InputError
from gait_twin.nodes.base import SOURCES, GaitNode, run
from gait_twin.nodes.cdr import imu_sample
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import BODY_IMUS, imu_data, imu_raw, mag
from gait_twin.recording import SEGMENTS, BodyFrames, SlotStatus
from gait_twin.recording.messages import (
    TimeBase,
    from_magnetic_field,
    imu_frame,
    make_ros_message,
    to_body_imus,
    to_imu,
)
from gait_twin.sensing import GuidedCalibration, HubSettings, SensorHub, Stage, write_calibration
from gait_twin.settings import check, setting

NAN3, NAN4 = (np.nan,) * 3, (np.nan,) * 4
COLUMNS = 14  # time, acc, gyr, quat, mag
MAG_AGE_NS = 100_000_000
"""A magnetic field older than this does not belong to a sample."""


@dataclass(frozen=True)
class BodySettings:
    """Who wears what."""

    segments: tuple[str, ...] = setting(SEGMENTS, "Segments that wear a sensor.")
    calibration_out: str = setting(
        "", "Where a calibration that was asked for is saved, as calibration.yaml; nowhere if empty."
    )

    def __post_init__(self) -> None:
        check(self)


class SensorHubNode(GaitNode):
    """Wraps `gait_twin.sensing.SensorHub`.

    Samples that wait are taken together and given to the hub as blocks: one frame a block in time, more when
    the graph lags behind.
    """

    def __init__(self) -> None:
        super().__init__("sensor_hub", (SOURCES,))
        self._settings = declare(self, HubSettings)
        worn = declare(self, BodySettings)
        self._segments, self._calibration_out = worn.segments, worn.calibration_out
        self._base: TimeBase | None = None
        self._hub = SensorHub(self._segments, self._settings)
        self._rows = {segment: array("d") for segment in self._segments}
        self._fresh: set[str] = set()
        self._mag: dict[str, tuple[int, tuple[float, float, float]]] = {}
        self._newest_ns = 0
        self._again = False
        self._said: set[str] = set()
        self._faulty: set[str] = set()
        self._stage: Stage | None = None
        self._frames = self.publisher(BODY_IMUS)
        self._data = {segment: self.publisher(imu_data(segment)) for segment in self._segments}
        self._listened: list[str] = []
        self._sensors: list[Any] = []
        for segment in self._segments:
            subscription, counters = self.subscribe(imu_raw(segment), self._taker(segment), raw=True)
            self._sensors.append(subscription)
            self.progress.watch(imu_raw(segment).name, counters)
            if self._settings.use_magnetometer:
                self.subscribe(mag(segment), self._mag_taker(segment))

        for name, answer in (
            ("calibrate", self._calibrate), ("cancel_calibration", self._cancel),
            ("calibration_result", self._tell_result),
        ):  # fmt: skip
            self.create_service(Trigger, f"~/{name}", answer)

    def ready(self) -> bool:
        """Whether any sensor is connected: others may come later, or never."""
        return any(subscription.get_publisher_count() for subscription in self._sensors)

    def _taker(self, segment: str) -> Callable[[Any], None]:
        rows, counters = self._rows[segment], self.diagnostics.input(imu_raw(segment).name)
        fresh, count = self._fresh, self.diagnostics.count

        def take(data: bytes) -> None:
            try:
                time_ns, acc, gyr, quat = imu_sample(data)
            except InputError as problem:
                self.get_logger().error(str(problem), throttle_duration_sec=5.0)
                return
            if self._base is None:
                self._base = TimeBase(time_ns)
            rows.append(self._base.seconds_of(time_ns))
            rows.extend(acc)
            rows.extend(gyr or NAN3)
            rows.extend(quat or NAN4)
            rows.extend(self._field(segment, time_ns))
            count(counters, time_ns)
            if time_ns > self._newest_ns:
                self._newest_ns = time_ns
            # a sensor that sends again does not wait for one that is silent
            self._again = self._again or segment in fresh
            fresh.add(segment)

        return take

    def _mag_taker(self, segment: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._mag[segment] = from_magnetic_field(message)

        return take

    def _field(self, segment: str, time_ns: int) -> tuple[float, ...]:
        known = self._mag.get(segment)
        return known[1] if known and abs(time_ns - known[0]) <= MAG_AGE_NS else NAN3

    def on_round(self) -> None:
        """Ask the hub for frames when each sensor, or one of them again, has sent what may complete one."""
        if self._again or len(self._fresh) == len(self._segments):
            self._fresh.clear()
            self._again = False
            if self._base is not None and self._base.seconds_of(self._newest_ns) < self._hub.awaits_s:
                return
            self._push()
            self._publish(self._hub.poll())
            self._tell_faults()
            self._follow_calibration()
            self.progress.handled(self._newest_ns)

    def _push(self) -> None:
        for segment, rows in self._rows.items():
            if not rows:
                continue
            block = np.array(rows).reshape(-1, COLUMNS)
            del rows[:]
            try:
                self._hub.push(
                    segment, block[:, 0], block[:, 1:4], _channel(block[:, 4:7]),
                    _channel(block[:, 7:11]), _channel(block[:, 11:14]),
                )  # fmt: skip
            except InputError as problem:
                self.get_logger().error(str(problem), throttle_duration_sec=5.0)

    def _publish(self, frames: BodyFrames) -> None:
        base = self._base
        if base is None or not len(frames):
            return
        for row in range(len(frames)):
            self._frames.publish(to_body_imus(make_ros_message, base, frames, row))
        for segment in self._listened:
            i = frames.segments.index(segment)
            for row in np.flatnonzero(frames.status[:, i] & SlotStatus.VALID).tolist():
                oriented = frames.status[row, i] & SlotStatus.ORIENTED
                self._data[segment].publish(
                    to_imu(
                        make_ros_message,
                        base.ns(float(frames.time_s[row])),
                        imu_frame(segment),
                        frames.acc_mps2[row, i].tolist(),
                        frames.gyr_radps[row, i].tolist(),
                        frames.quat_wxyz[row, i].tolist() if oriented else None,
                    )
                )

    def on_end(self) -> None:
        """Give out the last frames; the next sample begins a new session."""
        self._push()
        self._publish(self._hub.flush())
        self._say_calibration()
        self._hub = SensorHub(self._segments, self._settings)
        self._base = None
        self._said.clear()

    def _tell_faults(self) -> None:
        """A sensor that is not in order any more, or again, or sits wrongly, is told at once."""
        for sentence in self._hub.misplaced:
            if sentence not in self._said:
                self._said.add(sentence)
                self.get_logger().warning(sentence)
                self.diagnostics.tell()
        faults = self._hub.faults
        if faults.keys() != self._faulty:
            for segment in faults.keys() - self._faulty:
                self.get_logger().error(faults[segment])
            for segment in self._faulty - faults.keys():
                self.get_logger().info(f"{segment} is in order again.")
            self._faulty = set(faults)
            self.diagnostics.tell()

    # ---- a calibration that is asked for

    def _calibrate(self, _request: Any, response: Any) -> Any:
        response.success, response.message = True, self._hub.calibrate().guidance
        self._follow_calibration()
        return response

    def _cancel(self, _request: Any, response: Any) -> Any:
        guided = self._hub.guided
        response.success = guided is not None and guided.running
        response.message = "No calibration is going on."
        if response.success:
            self._hub.cancel()
            self._stage = None
            response.message = "The calibration was cancelled; that from before stays in use."
            self.get_logger().info(response.message)
            self.diagnostics.tell()
        return response

    def _tell_result(self, _request: Any, response: Any) -> Any:
        guided = self._hub.guided
        response.success = guided is not None and guided.stage is Stage.DONE
        response.message = guided.guidance if guided else "No calibration was asked for."
        if response.success and self._calibration_out:
            response.message += f" It is saved in {self._calibration_out}."
        return response

    def _follow_calibration(self) -> None:
        """Say and keep what a calibration came to."""
        guided = self._hub.guided
        if guided is None or guided.stage is self._stage:
            return
        self._stage = guided.stage
        if guided.stage is Stage.REFUSED:
            self.get_logger().error(guided.guidance)
        else:
            self.get_logger().info(guided.guidance)
        if guided.stage is Stage.DONE:
            self._save(guided)
        self.diagnostics.tell()

    def _save(self, guided: GuidedCalibration) -> None:
        if self._calibration_out and guided.saved is not None:
            try:
                write_calibration(self._calibration_out, guided.saved)
            except InputError as problem:
                self.get_logger().error(str(problem))

    def _say_calibration(self) -> None:
        for notice in self._hub.calibration.notices:
            if notice not in self._said:
                self._said.add(notice)
                self.get_logger().info(notice)

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Counters of each sensor's stream, and what the calibration found."""
        self._listened = [s for s, publisher in self._data.items() if publisher.get_subscription_count()]
        values: dict[str, Any] = {}
        for segment, counters in self._hub.reports.items():
            values |= {f"{segment} {name}": value for name, value in asdict(counters).items()}
        calibration = self._hub.calibration
        values["calibrated from"] = calibration.rest_start_s
        values["calibrated to"] = calibration.rest_end_s
        values["calibration file"] = self._settings.calibration_file
        warnings = list(calibration.notices)
        if (guided := self._hub.guided) is not None:
            values["calibration asked for"] = guided.stage.value
            if guided.stage is not Stage.DONE:
                warnings.insert(0, guided.guidance)
        return warnings, values


def _channel(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the values; None where the sensor does not have the channel."""
    return None if np.isnan(values).all() else values


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(SensorHubNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
