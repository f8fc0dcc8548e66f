"""launch/*.launch.py under ROS's own launch, where that is installed (the wheels of ROS 2 do not have it)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="ROS's launch is not installed here; source a ROS 2 to run this")

from graph_processes import wait_until

from gait_twin.graph import ROOMS
from gait_twin.recording import open_bag

pytestmark = pytest.mark.graph

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [pair.split(":=", 1) for pair in sys.argv[2:]]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service = LaunchService()
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


@pytest.fixture
def launch(processes):
    def start(mode: str, *arguments: str):
        prefixes = [sys.prefix, *filter(None, [os.environ.get("AMENT_PREFIX_PATH")])]
        return processes(
            [sys.executable, "-c", RUN, LAUNCH / f"{mode}.launch.py", *arguments],
            name=mode,
            env={"AMENT_PREFIX_PATH": os.pathsep.join(prefixes)},
        )

    return start


def assert_clean(output: str) -> None:
    for node in (*ROOMS, "recorder"):
        assert any("process has finished cleanly" in line and f"[{node}-" in line for line in output.splitlines()), (
            f"{node}\n{output}"
        )
    assert "Traceback" not in output
    assert "There is no parameter" not in output


def test_demo(launch, tmp_path) -> None:
    run = launch("demo", "duration_s:=8.0", "rate:=0", f"record:={tmp_path / 'out'}", "namespace:=subject_1")
    assert run.wait(120.0) == 0, run.output()
    assert_clean(run.output())
    with open_bag(tmp_path / "out") as bag:
        assert bag.topics["/subject_1/gait_events"].message_count > 4


def test_replay(launch, tmp_path, feet_bag) -> None:
    run = launch("replay", f"bag:={feet_bag}", "rate:=4", f"record:={tmp_path / 'out'}")
    assert run.wait(120.0) == 0, run.output()
    assert_clean(run.output())
    with open_bag(tmp_path / "out") as bag:
        assert bag.topics["/strides"].message_count > 4


def test_live(launch, tmp_path) -> None:
    run = launch("live", f"record:={tmp_path / 'out'}")
    wait_until((tmp_path / "out").exists, 60.0, "the start of the recording")
    run.wait_for("Recording to", 30.0)
    assert run.stop(signal.SIGINT, 30.0) == 0, run.output()
    assert "Traceback" not in run.output()
    assert (tmp_path / "out" / "metadata.yaml").exists()
