"""config/*.yaml says what the code says."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from gait_twin.graph import DRIVER, MODES, ROOMS, SOURCES, config_dir
from gait_twin.nodes.topics import KNOWN, qos
from gait_twin.recording import SEGMENTS
from gait_twin.sensing import read_body

ROOT = Path(__file__).resolve().parents[2]


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("write_config", ROOT / "tools" / "write_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NODES = (DRIVER, *ROOMS, "recorder", *SOURCES.values())


@pytest.mark.parametrize("node", NODES)
def test_a_yaml_has_every_parameter_with_its_default_and_a_comment(node: str) -> None:
    path = config_dir() / f"{node}.yaml"
    expected = generator().text(node)
    assert path.read_text() == expected, "run tools/write_config.py"
    lines = expected.splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("    ") and ":" in line and not line.strip().startswith("#") and not line.endswith(":"):
            assert before.strip().startswith("#"), f"{line.strip()} has no comment"


@pytest.mark.parametrize("node", NODES)
def test_values_in_a_yaml_read_back_as_the_defaults(node: str) -> None:
    parameters = YAML(typ="safe").load(config_dir() / f"{node}.yaml")["/**"]["ros__parameters"]
    for group, settings in generator().NODES[node]:
        values = parameters[group] if group else parameters
        read = {
            name: tuple(v for v in value if v != "") if isinstance(value, list) else value
            for name, value in values.items()
            if name in settings.__dataclass_fields__
        }
        assert settings(**read) == settings()
        assert {name: type(value) for name, value in read.items()} == {
            name: type(field.default) for name, field in settings.__dataclass_fields__.items()
        }


def test_body_yaml_names_every_segment_on_its_default_topic() -> None:
    body = read_body(config_dir() / "body.yaml")
    assert body.imus == {segment: f"imu/{segment}/data_raw" for segment in body.imus}
    assert set(body.imus) == set(SEGMENTS)


def test_rviz_asks_for_what_the_nodes_offer() -> None:
    displays = YAML(typ="safe").load(config_dir() / "gait_twin.rviz")["Visualization Manager"]["Displays"]
    topics = [display[key] for display in displays for key in ("Topic", "Description Topic") if key in display]
    assert len(topics) == 5
    for topic in topics:
        offered = qos(KNOWN[topic["Value"].lstrip("/")])
        assert topic["Reliability Policy"] == (
            "Reliable" if offered.reliability is ReliabilityPolicy.RELIABLE else "Best Effort"
        )
        assert topic["Durability Policy"] == (
            "Transient Local" if offered.durability is DurabilityPolicy.TRANSIENT_LOCAL else "Volatile"
        )


def test_each_mode_has_a_launch_file() -> None:
    assert {path.name for path in (ROOT / "launch").glob("*.launch.py")} == {f"{mode}.launch.py" for mode in MODES}
