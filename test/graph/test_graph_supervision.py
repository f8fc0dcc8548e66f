"""What happens when nodes are killed, stopped, or given what they cannot use."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest
from graph_processes import kill_9, node_pids, wait_until

from gait_twin.errors import InputError
from gait_twin.graph import RECORDER, ROOMS
from gait_twin.recording import load, open_bag

pytestmark = pytest.mark.graph


def holds_samples(bag: Path) -> bool:
    """Whether samples of a sensor have reached the disk in a bag that is being written."""
    try:
        return bool(load(bag).imus)
    except InputError:
        return False


def test_kill_9_of_any_node_leaves_the_rest_running_and_the_bag_readable(graph, tmp_path, walk_bag) -> None:
    out = tmp_path / "out"
    run = graph("replay", bag=walk_bag, rate=0.25, record=out)
    run.wait_for("playing", 60.0)
    for name in (*ROOMS, RECORDER):
        time.sleep(1.0)
        before = node_pids(run.pid)
        kill_9(before[name])
        run.wait_for(f"{name} ended unexpectedly and was started again", 20.0)
        after = node_pids(run.pid)
        assert after[name] != before[name]
        assert {n: pid for n, pid in after.items() if n != name} == {n: p for n, p in before.items() if n != name}
    # the bag of the killed recorder, and that of its successor
    with open_bag(out) as bag:
        assert sum(1 for _ in bag.messages()) > 100
        assert bag.losses
    # a recorder takes seconds to start on a busy machine
    wait_until(lambda: holds_samples(tmp_path / "out-2"), 30.0, "the successor's first samples")
    kill_9(node_pids(run.pid)["replay"])
    assert run.wait(30.0) == 3, run.output()
    assert "replay was stopped before it had played everything" in run.output()
    again = load(tmp_path / "out-2")
    assert again.imus
    assert not again.losses


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_runner_stops_everything_in_order(graph, tmp_path, feet_bag, sign) -> None:
    out = tmp_path / "out"
    run = graph("replay", bag=feet_bag, rate=1.0, record=out)
    run.wait_for("playing", 60.0)
    time.sleep(2.0)
    pids = node_pids(run.pid)
    assert set(pids) == {*ROOMS, RECORDER, "replay"}
    assert run.stop(sign) == 130, run.output()
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert "Traceback" not in run.output()
    assert (out / "metadata.yaml").exists()
    assert not load(out).losses


def test_kill_9_of_the_runner_leaves_no_node_behind(graph, feet_bag) -> None:
    run = graph("replay", bag=feet_bag, rate=1.0)
    run.wait_for("playing", 60.0)
    pids = node_pids(run.pid).values()
    kill_9(run.pid)
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 15.0, "the end of the nodes")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_every_node_ends_cleanly_on_a_signal(processes, tmp_path, feet_bag, sign) -> None:
    nodes = {
        name: processes(
            [f"gait_twin.nodes.{name}", "--ros-args", "-p", "lossless:=true", *more],
            name=name,
            env={"OMP_NUM_THREADS": "1"},
        )
        for name, more in {
            **dict.fromkeys(ROOMS, ()),
            "recorder": ("-p", f"bag:={tmp_path / 'bag'}"),
            "replay": ("-p", f"bag:={feet_bag}", "-p", "rate:=0.5"),
        }.items()
    }
    wait_until(lambda: (tmp_path / "bag").exists() and "playing" in nodes["replay"].output(), 60.0, "the start")
    time.sleep(4.0)
    for name, node in nodes.items():
        node.popen.send_signal(sign)  # twice, as from a terminal and from launch
        time.sleep(0.05)
        code = node.stop(sign)
        assert code == 0, f"{name}: {code}\n{node.output()}"
        assert "Traceback" not in node.output(), name


BAD = {
    "sensor_hub": ["frame_rate_hz:=5.0", "segments:=[nose]"],
    "event_detector": ["cutoff_hz:=99.0"],
    "step_estimator": ["max_stride_s:=fast"],
    "twin": ["model_path:=/nowhere.osim"],
    "classifier": ["model_path:=/nowhere.npz"],
    "recorder": ["extra_topics:=['/x no/such/Type']"],
    "replay": ["bag:=/nowhere"],
    "virtual_subject": ["walk.speed_mps:=0.1"],
}


def test_bad_parameters_are_refused_with_one_sentence(processes, tmp_path) -> None:
    for name, values in BAD.items():
        for value in values:
            node = processes(
                [f"gait_twin.nodes.{name}", "--ros-args", "-p", value], name=f"{name}-{value.partition(':')[0]}"
            )
            assert node.wait(40.0) == 1, f"{name} {value}\n{node.output()}"
            lines = [line for line in node.output().splitlines() if line.strip()]
            assert len(lines) == 1, f"{name} {value}\n{node.output()}"
            assert lines[0].rstrip().endswith(".")
            assert value.partition(":=")[0].rpartition(".")[2] in lines[0] or "nowhere" in lines[0], lines[0]


def test_a_node_that_refuses_ends_the_graph_with_its_sentence(graph, feet_bag) -> None:
    run = graph("replay", bag=feet_bag, parameters={"event_detector": {"cutoff_hz": 99.0}})
    assert run.wait(60.0) == 1, run.output()
    assert "refused: event_detector: The parameter cutoff_hz" in run.output()
    assert "Traceback" not in run.output()


def test_live_takes_any_drivers_topics(graph, processes, tmp_path, feet_bag) -> None:
    body = tmp_path / "body.yaml"
    body.write_text(
        "subject: {name: Ada, height_m: 1.7, mass_kg: 60}\n"
        "sensors:\n  calcn_r: {imu: /vendor/right}\n  calcn_l: {imu: /vendor/left}\n"
    )
    out = tmp_path / "out"
    run = graph("live", body=body, record=out, namespace="ada")
    run.wait_for("Recording to", 30.0)
    time.sleep(3.0)
    driver = processes(
        ["gait_twin.nodes.replay", "--ros-args", "-p", f"bag:={feet_bag}", "-p", "rate:=1.0",
         "-r", "imu/calcn_r/data_raw:=/vendor/right", "-r", "imu/calcn_l/data_raw:=/vendor/left"],
        name="driver",
    )  # fmt: skip
    assert driver.wait(60.0) == 0, driver.output()
    time.sleep(1.0)
    assert run.stop(signal.SIGINT) == 0, run.output()
    recorded = load(out)
    assert recorded.subject.name == "Ada"
    assert set(recorded.imus) == {"calcn_r", "calcn_l"}
    # best effort: a busy machine may lose some of the 1200
    assert len(recorded.imus["calcn_r"].time_s) > 600
    with open_bag(out) as bag:
        assert bag.topics["/ada/strides"].message_count >= 4


def test_parameters_at_run_time(processes, ros) -> None:
    import rclpy
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    processes(["gait_twin.nodes.event_detector"], name="detector")
    processes(["gait_twin.nodes.sensor_hub"], name="hub")
    node = rclpy.create_node("tester")

    def change(of: str, name: str, value: float):
        client = node.create_client(SetParameters, f"/{of}/set_parameters")
        assert client.wait_for_service(30.0)
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
        return future.result().results[0]

    assert change("event_detector", "cutoff_hz", 10.0).successful
    refused = change("event_detector", "cutoff_hz", 99.0)
    assert not refused.successful
    assert "cutoff_hz" in refused.reason
    assert "read-only" in change("sensor_hub", "frame_rate_hz", 50.0).reason
    node.destroy_node()
