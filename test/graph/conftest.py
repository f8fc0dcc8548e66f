"""Graphs of real processes over real DDS, on short walks."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from gait_twin.recording import save
from gait_twin.simulation import SensorSettings, default_demo, simulate

RUN = """
import dataclasses, json, sys
from pathlib import Path
from gait_twin.errors import InputError
from gait_twin.graph import GraphOptions
from gait_twin.graph_runner import run_graph
given = json.loads(sys.argv[2])
options = GraphOptions(**{k: Path(v) if k in ("bag", "record", "body") else v for k, v in given.items()})
try:
    result = run_graph(sys.argv[1], options, lambda name, line: print(f"{name}| {line}", flush=True))
except InputError as problem:
    print("refused:", problem)
    sys.exit(1)
for notice in result.notices:
    print("notice:", notice)
print("bag:", result.bag_path)
sys.exit(result.exit_code)
"""


@pytest.fixture(scope="session")
def walk_bag(tmp_path_factory) -> Path:
    """A virtual subject with eight sensors of different rates, clocks and losses, 14 s."""
    walk, sensors = default_demo()
    path = tmp_path_factory.mktemp("walk") / "walk"
    save(simulate(dataclasses.replace(walk, duration_s=14.0), sensors), path)
    return path


@pytest.fixture(scope="session")
def feet_bag(tmp_path_factory) -> Path:
    """The feet alone, 12 s."""
    walk, _ = default_demo()
    path = tmp_path_factory.mktemp("feet") / "feet"
    sensors = SensorSettings(segments=("calcn_r", "calcn_l"), rates_hz=(100.0, 128.0))
    save(simulate(dataclasses.replace(walk, duration_s=12.0), sensors), path)
    return path


@pytest.fixture
def graph(processes):
    """Start a graph by the runner: ``graph("replay", bag=…, rate=4.0)``."""

    def start(mode: str, *, name: str | None = None, **options):
        given = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        return processes([sys.executable, "-c", RUN, mode, json.dumps(given)], name=name or f"graph-{mode}")

    return start
