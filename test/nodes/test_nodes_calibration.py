"""A calibration asked for over ROS: services of the hub in a process of its own, a virtual person over DDS."""

from __future__ import annotations

import dataclasses
import time

import pytest

pytest.importorskip("rclpy")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import Trigger

from gait_twin.nodes.cdr_imu import ImuWriter
from gait_twin.nodes.topics import imu_raw, qos
from gait_twin.sensing import read_calibration
from gait_twin.simulation import default_demo, simulate

SEGMENTS = ("tibia_r", "calcn_r", "tibia_l", "calcn_l")
SPEED = 4.0


class Person:
    """Sends a virtual walk, several times as fast as real, and calls services meanwhile."""

    def __init__(self, exchanged: tuple[str, str] | None = None) -> None:
        walk, sensors = default_demo()
        recording = simulate(
            dataclasses.replace(walk, duration_s=18.0, straight_length_m=40.0),
            dataclasses.replace(sensors, segments=SEGMENTS, packet_loss=0.0, burst_loss_per_min=0.0),
        )
        names = {segment: segment for segment in SEGMENTS}
        if exchanged:
            a, b = exchanged
            names |= {a: b, b: a}
        self.node = rclpy.create_node("person")
        writers = {s: ImuWriter(f"{s}_imu", {}) for s in SEGMENTS}
        publishers = {
            s: self.node.create_publisher(imu_raw(s).message_class, imu_raw(s).name, qos(imu_raw(s), lossless=True))
            for s in SEGMENTS
        }
        origin_ns = time.time_ns()
        rows = sorted(
            (float(t), names[s], tuple(acc), tuple(gyr))
            for s, stream in recording.imus.items()
            for t, acc, gyr in zip(
                stream.time_s, stream.acc_mps2.tolist(), stream.gyr_radps.tolist(), strict=True
            )
        )  # fmt: skip
        self._due = [
            (t, publishers[s], writers[s](origin_ns + round(t * 1e9), acc, gyr, None)) for t, s, acc, gyr in rows
        ]
        self.publishers = publishers
        self.warnings: list[str] = []
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 100)

    def _diagnose(self, message) -> None:
        self.warnings += [status.message for status in message.status if status.name == "/sensor_hub"]

    def walk(self, until=lambda: False) -> None:
        """Send until it is over, or something came to be."""
        begin = time.monotonic() - self._due[0][0] / SPEED if self._due else 0.0
        while self._due and not until():
            while self._due and self._due[0][0] <= (time.monotonic() - begin) * SPEED:
                _, publisher, data = self._due.pop(0)
                publisher.publish(data)
            rclpy.spin_once(self.node, timeout_sec=0.002)

    def call(self, name: str) -> tuple[bool, str]:
        client = self.node.create_client(Trigger, f"/sensor_hub/{name}")
        assert client.wait_for_service(20.0)
        future = client.call_async(Trigger.Request())
        end = time.monotonic() + 20.0
        while not future.done() and time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.01)
        answer = future.result()
        return answer.success, answer.message

    def result(self, patience_s: float = 10.0) -> tuple[bool, str]:
        """What came of it, once the hub has seen all."""
        end = time.monotonic() + patience_s
        while True:
            success, message = self.call("calibration_result")
            if success or message.startswith("No calibration") or time.monotonic() > end:
                return success, message


def hub(processes, path):
    node = processes(
        [
            "gait_twin.nodes.sensor_hub", "--ros-args", "-p", f"segments:=[{','.join(SEGMENTS)}]", "-p",
            "lossless:=true", "-p", f"calibration_out:={path}",
        ],
        name="hub",
    )  # fmt: skip
    return node


def connected(person: Person) -> bool:
    return all(publisher.get_subscription_count() for publisher in person.publishers.values())


@pytest.mark.graph
def test_calibration_is_begun_guided_cancelled_begun_again_and_saved(processes, ros, tmp_path):
    path = tmp_path / "calibration.yaml"
    node, person = hub(processes, path), Person()
    assert person.call("calibration_result") == (False, "No calibration was asked for.")
    assert person.call("cancel_calibration") == (False, "No calibration is going on.")
    end = time.monotonic() + 20.0
    while not connected(person) and time.monotonic() < end:
        time.sleep(0.05)
    assert person.call("calibrate") == (True, "Stand still and straight, feet as in walking.")
    success, message = person.call("cancel_calibration")
    assert success
    assert message.startswith("The calibration was cancelled")
    assert person.call("calibrate")[0]
    person.walk(lambda: any("Walk straight ahead" in text for text in person.warnings))
    assert any("Stand still and straight" in text for text in person.warnings)
    assert any("Walk straight ahead" in text for text in person.warnings)
    person.walk()
    success, message = person.result()
    assert success, message + node.output()
    assert message.endswith(f"It is saved in {path}.")
    assert set(read_calibration(path).sensors) == set(SEGMENTS)
    person.node.destroy_node()


@pytest.mark.graph
def test_exchanged_sensors_are_told_by_the_hub_and_refused(processes, ros, tmp_path):
    path = tmp_path / "calibration.yaml"
    node, person = hub(processes, path), Person(("tibia_r", "calcn_r"))
    end = time.monotonic() + 20.0
    while not connected(person) and time.monotonic() < end:
        time.sleep(0.05)
    assert person.call("calibrate")[0]
    person.walk()
    success, message = person.result()
    assert not success
    assert "The sensors of calcn_r and tibia_r seem to be exchanged" in message
    assert not path.exists()
    assert "The sensors of calcn_r and tibia_r seem to be exchanged" in node.output()
    person.node.destroy_node()
