"""``up`` through the real command line, over real DDS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gait_twin.recording import load

COMMAND = [sys.executable, "-m", "gait_twin.cli", "up"]


def up(*arguments: object, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.graph
@pytest.mark.slow
def test_demo_compares_with_the_truth_and_can_be_repeated(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    out = tmp_path / "demo results"  # a path with a space
    for _ in range(2):
        done = up("demo", "--out", out, "--duration", 15)
        assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "against the truth",
        "heel strike",
        "Stride length",
        "knee_angle_r",
        "report.html",
        "joint_cycles.png",
        "force_cycles.png",
        "cycles.csv",
    ):
        assert said in done.stdout
    assert load(out / "bag").duration_s == pytest.approx(15.0, abs=0.2)
    scores = json.loads((out / "summary.json").read_text())["comparison"]
    assert min(score["f1"] for score in scores["events"]) > 0.9
    length = next(score for score in scores["parameters"] if score["parameter"] == "Stride length")
    assert abs(length["error_mean"]) < 0.03


def test_demo_does_not_remove_what_it_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "thesis.txt").write_text("years of work")
    done = up("demo", "--out", tmp_path)
    assert done.returncode == 1
    assert "not an earlier demo's" in done.stderr
    assert (tmp_path / "bag" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "nowhere"], "nowhere"),
        (["live", "--body", "nobody.yaml"], "nobody.yaml"),
        (["live", "--set", "twin"], "NODE.PARAMETER=VALUE"),
        (["live", "--set", "toaster.power=1"], "toaster"),
        (["live", "--model", "no.osim"], "no.osim"),
    ],
)
def test_what_cannot_start_is_refused_in_a_sentence(arguments: list[str], words: str) -> None:
    pytest.importorskip("rclpy")
    done = up(*arguments)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert "Traceback" not in done.stderr
