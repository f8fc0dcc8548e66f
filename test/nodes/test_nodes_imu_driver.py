"""The driver node: its transitions, its messages, its diagnostics, against emulated devices."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Imu, MagneticField

from gait_twin.nodes.cdr import imu_sample
from gait_twin.nodes.cdr_imu import ImuWriter, MagWriter
from gait_twin.nodes.topics import imu_raw, mag, qos
from gait_twin.recording import ImuStream, Recording
from gait_twin.sensing.players import PtyOutlet, UdpOutlet, play
from gait_twin.sensing.protocols import EmulatedSensor


@pytest.mark.parametrize("frame", ["calcn_r_imu", "a", "pelvis_imu_x"])
def test_written_bytes_are_what_ros_reads(frame):
    noise = {"acc_mps2": 0.02, "orientation_deg": 2.0, "mag_ut": 0.5}
    data = ImuWriter(frame, noise)(1_700_000_000_123_456_789, (1.0, 2.0, 9.8), (0.1, 0.2, 0.3), (0.5, 0.5, -0.5, 0.5))
    message = deserialize_message(data, Imu)
    assert message.header.frame_id == frame
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert (message.linear_acceleration.x, message.linear_acceleration.z) == (1.0, 9.8)
    assert message.angular_velocity.y == 0.2
    assert (message.orientation.w, message.orientation.y) == (0.5, -0.5)
    assert message.linear_acceleration_covariance[4] == pytest.approx(4e-4)
    assert message.angular_velocity_covariance[0] == 0.0  # not known
    assert message.orientation_covariance[8] == pytest.approx(np.radians(2.0) ** 2)
    assert imu_sample(data).gyr_radps == (0.1, 0.2, 0.3)
    bare = deserialize_message(ImuWriter(frame, {})(5, (0.0, 0.0, 9.8), None, None), Imu)
    assert bare.angular_velocity_covariance[0] == bare.orientation_covariance[0] == -1.0
    assert np.isnan(bare.angular_velocity.x)
    field = deserialize_message(MagWriter(frame, noise)(7, (20.0, 0.0, -40.0)), MagneticField)
    assert field.magnetic_field.z == pytest.approx(-40e-6)
    assert field.magnetic_field_covariance[0] == pytest.approx(0.25e-12)


class Bench:
    """The node, and a listener, spun together."""

    def __init__(self, body, **parameters):
        from gait_twin.nodes import imu_driver

        given = [Parameter(k, value=v) for k, v in {"body": str(body), **parameters}.items()]
        self.listener = rclpy.create_node("listener")
        self.got: dict[str, list] = {}
        self.statuses: dict[str, DiagnosticStatus] = {}
        for topic in (imu_raw("calcn_r"), imu_raw("calcn_l"), mag("calcn_l")):
            self.got[topic.name] = []
            self.listener.create_subscription(topic.message_class, topic.name, self.got[topic.name].append, qos(topic))
        self.listener.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 100)

        self.node = make_node(imu_driver.ImuDriverNode, given)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.listener)

    def _diagnose(self, message):
        for status in message.status:
            self.statuses[status.name] = status

    def spin(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.executor.spin_once(timeout_sec=0.05)
        return until()

    def call(self, kind, name, request):
        client = self.listener.create_client(kind, f"/imu_driver/{name}")
        future = client.call_async(request)
        assert self.spin(10.0, future.done), name
        return future.result()

    def change(self, transition):
        return self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=transition))).success

    def state(self):
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def close(self):
        self.node.close()
        self.node.destroy_node()
        self.listener.destroy_node()


def make_node(kind, parameters):
    """A node of ours with parameters, as the command line would give them."""
    original = rclpy.node.Node.__init__

    def init(node, name, **more):
        original(node, name, parameter_overrides=parameters, **more)

    rclpy.node.Node.__init__ = init
    try:
        return kind()
    finally:
        rclpy.node.Node.__init__ = original


@pytest.fixture
def worn(tmp_path):
    """Two emulated sensors and their body.yaml; a third is missing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    body = tmp_path / "body.yaml"
    body.write_text(
        "sensors:\n"
        f"  calcn_r: {{protocol: xsens_mti, device: {tmp_path / 'mti'}, noise: {{acc_mps2: 0.02}}}}\n"
        f"  calcn_l: {{protocol: ximu3, port: {port}}}\n"
        "  pelvis: {protocol: xsens_mti, device: /dev/not-there}\n"
    )
    time_s = np.arange(3000) / 100.0
    rng = np.random.default_rng(0)
    imus = {
        s: ImuStream(
            s, time_s, np.array([0, 0, 9.8]) + rng.normal(0, 0.1, (3000, 3)), rng.normal(0, 0.1, (3000, 3)),
            mag_ut=np.array([20, 0, -40]) + rng.normal(0, 1, (3000, 3)), sampling_rate_hz=100.0,
        )
        for s in ("calcn_r", "calcn_l")
    }  # fmt: skip
    sensors = {
        "calcn_r": (EmulatedSensor("xsens_mti"), PtyOutlet(tmp_path / "mti")),
        "calcn_l": (EmulatedSensor("ximu3"), UdpOutlet(port)),
    }
    stop, held = threading.Event(), set()
    player = threading.Thread(
        target=play, args=(Recording(imus), sensors), kwargs={"stop": stop, "hold": held.__contains__}
    )
    player.start()
    time.sleep(0.1)
    yield body, held
    stop.set()
    player.join()


@pytest.mark.graph
def test_started_at_once_it_streams_what_is_there_and_tells_what_is_not(worn, ros):
    body, held = worn
    bench = Bench(body)
    right, left, field = bench.got.values()
    assert bench.spin(10.0, lambda: len(right) > 100 and len(left) > 100 and len(field) > 50)
    assert bench.state() == "active"
    message = right[-1]
    assert message.header.frame_id == "calcn_r_imu"
    assert message.linear_acceleration.z == pytest.approx(9.8, abs=1.0)
    assert message.linear_acceleration_covariance[0] == pytest.approx(4e-4)
    stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
    assert abs(time.time() - stamp) < 0.5
    statuses = bench.statuses
    assert bench.spin(3.0, lambda: "/imu_driver: pelvis" in statuses)
    assert statuses["/imu_driver: pelvis"].level == DiagnosticStatus.ERROR
    assert "is the cable in" in statuses["/imu_driver: pelvis"].message
    assert statuses["/imu_driver: calcn_r"].level == DiagnosticStatus.OK
    held.add("calcn_r")
    assert bench.spin(3.0, lambda: statuses["/imu_driver: calcn_r"].level == DiagnosticStatus.ERROR)
    held.clear()
    assert bench.spin(4.0, lambda: statuses["/imu_driver: calcn_r"].level != DiagnosticStatus.ERROR)
    bench.close()


@pytest.mark.graph
def test_transitions_open_stream_stop_and_let_go(worn, ros):
    body, _ = worn
    bench = Bench(body, autostart=False, segments=["calcn_r"])
    right = bench.got[imu_raw("calcn_r").name]
    assert bench.state() == "unconfigured"
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    bench.spin(0.5)
    assert (bench.state(), len(right)) == ("inactive", 0)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    assert bench.spin(5.0, lambda: len(right) > 20)
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.spin(0.3)
    count = len(right)
    bench.spin(0.5)
    assert len(right) == count
    assert bench.change(Transition.TRANSITION_CLEANUP)
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    assert bench.spin(5.0, lambda: len(right) > count + 20)
    bench.close()


@pytest.mark.graph
def test_a_body_without_devices_is_refused_with_a_sentence(processes, tmp_path):
    body = tmp_path / "body.yaml"
    body.write_text("sensors:\n  calcn_r: {imu: /a}\n")
    node = processes(["gait_twin.nodes.imu_driver", "--ros-args", "-p", f"body:={body}"])
    assert node.wait(30.0) == 1
    assert "there is nothing to serve" in node.output()
    assert "Traceback" not in node.output()
