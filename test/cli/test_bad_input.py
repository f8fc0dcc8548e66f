"""Bad inputs through the real command line: one clear sentence, a non-zero exit, no traceback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "gait_twin.cli"]


def gait_twin(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120"},
        timeout=120,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> str:
    """The one sentence of a refusal, which holds all `words`."""
    said = done.stderr.strip()
    assert done.returncode == code, (done.returncode, done.stdout, said)
    assert "Traceback" not in done.stdout + said
    assert "defect" not in said
    if code == 1:
        assert said.count("\n") == 0, said
        assert said.startswith("gait-twin: ")
        assert said.rstrip(")").endswith(".")
    for word in words:
        assert word in said, said
    return said


@pytest.fixture(scope="session")
def walked() -> np.ndarray:
    """Time, specific force and angular rate of a foot that stands, walks and stands: (n, 7)."""
    from gait_twin.simulation import SensorSettings, WalkSettings, simulate

    walk = WalkSettings(duration_s=14.0, standing_start_s=2.5)
    foot = simulate(walk, SensorSettings(segments=("calcn_r",))).imus["calcn_r"]
    assert foot.gyr_radps is not None
    return np.column_stack([foot.time_s, foot.acc_mps2, foot.gyr_radps])


@pytest.fixture
def lab(tmp_path: Path, walked: np.ndarray) -> Callable[..., Path]:
    """Write a lab's files; gives the recording.yaml."""

    def write(rows: np.ndarray | None = None, segment: str = "calcn_r", **fields: str) -> Path:
        header = "t,ax,ay,az,gx,gy,gz"
        np.savetxt(tmp_path / "foot.csv", walked if rows is None else rows, "%.6f", ",", header=header, comments="")
        described = {
            "file": "foot.csv",
            "time": "{column: t, unit: s}",
            "acc": "{columns: [ax, ay, az], unit: m/s^2}",
            "gyr": "{columns: [gx, gy, gz], unit: rad/s}",
        } | fields
        text = "subject: {height_m: 1.72, mass_kg: 70.5}\nsensors:\n"
        text += f"  {segment}:\n" + "".join(f"    {key}: {value}\n" for key, value in described.items())
        path = tmp_path / "recording.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def bag(lab: Callable[..., Path], tmp_path: Path) -> Path:
    """A small good bag."""
    done = gait_twin("import", "csv", lab(), tmp_path / "bag")
    assert done.returncode == 0, done.stderr
    return tmp_path / "bag"


@pytest.mark.parametrize("command", ["info", "analyze"])
def test_nothing_at_the_path(command: str, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out"] if command == "analyze" else []
    refused(gait_twin(command, tmp_path / "nowhere", *out), "nowhere")
    assert not (tmp_path / "out").exists()


def test_csv_that_is_named_but_missing(lab: Callable[..., Path], tmp_path: Path) -> None:
    refused(gait_twin("import", "csv", lab(file="left.csv"), tmp_path / "bag"), "left.csv")
    assert not (tmp_path / "bag").exists()


def test_unit_that_is_not_one(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab(acc="{columns: [ax, ay, az], unit: furlong}")
    refused(gait_twin("import", "csv", path, tmp_path / "bag"), "furlong", "recording.yaml", "m/s^2")


def test_unit_that_is_the_wrong_one(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab(acc="{columns: [ax, ay, az], unit: g}")
    refused(gait_twin("import", "csv", path, tmp_path / "bag"), "recording.yaml", "line", "m/s^2")


def test_segment_that_is_none(lab: Callable[..., Path], tmp_path: Path) -> None:
    refused(gait_twin("import", "csv", lab(segment="left_foot"), tmp_path / "bag"), "left_foot", "calcn_l")


def test_column_that_is_not_there(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab(gyr="{columns: [gx, gy, wz], unit: rad/s}")
    refused(gait_twin("import", "csv", path, tmp_path / "bag"), "wz", "foot.csv")


def test_swapped_columns(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab(
        acc="{columns: [gx, gy, gz], unit: m/s^2}",
        gyr="{columns: [ax, ay, az], unit: rad/s}",
    )
    refused(gait_twin("import", "csv", path, tmp_path / "bag"), "swapped", "gravity", "line")


def test_yaml_that_is_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "recording.yaml"
    path.write_text("sensors: {calcn_r: [\n")
    refused(gait_twin("info", path), "recording.yaml", "line")


def test_field_that_is_not_known(lab: Callable[..., Path], tmp_path: Path) -> None:
    refused(gait_twin("info", lab(colour="blue")), "colour", "recording.yaml")


def test_rows_that_are_not_numbers_are_lost_and_said(
    lab: Callable[..., Path], walked: np.ndarray, tmp_path: Path
) -> None:
    rows = walked.copy()
    rows[250:260, 1] = np.nan
    done = gait_twin("import", "csv", lab(rows), tmp_path / "bag")
    refused(done, "foot.csv", "10", code=3)
    assert (tmp_path / "bag").exists()


def test_all_rows_are_not_numbers(lab: Callable[..., Path], walked: np.ndarray, tmp_path: Path) -> None:
    rows = walked.copy()
    rows[:, 1:] = np.nan
    refused(gait_twin("import", "csv", lab(rows), tmp_path / "bag"), "foot.csv")


def test_empty_csv(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab()
    (tmp_path / "foot.csv").write_text("")
    refused(gait_twin("import", "csv", path, tmp_path / "bag"), "foot.csv")


def test_output_that_is_there_already(bag: Path, tmp_path: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in bag.iterdir())
    refused(gait_twin("import", "csv", tmp_path / "recording.yaml", bag), str(bag))
    refused(gait_twin("simulate", bag), str(bag))
    assert sorted(path.stat().st_mtime_ns for path in bag.iterdir()) == before


def test_bag_without_anything(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(gait_twin("info", tmp_path / "empty"), "empty")


def test_bag_of_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "bag.mcap").write_bytes(b"")
    refused(gait_twin("info", tmp_path / "bag"), "bag")


def test_bag_without_messages(tmp_path: Path) -> None:
    from gait_twin.recording.bags import BagWriter

    with BagWriter(tmp_path / "bag"):
        pass
    refused(gait_twin("analyze", tmp_path / "bag", "--out", tmp_path / "out"), "empty")


def test_truncated_bag_gives_what_is_whole(bag: Path, tmp_path: Path) -> None:
    (file,) = bag.glob("*.mcap")
    cut = tmp_path / "cut"
    shutil.copytree(bag, cut)
    target = cut / file.name
    target.write_bytes(file.read_bytes()[: int(0.6 * file.stat().st_size)])
    said = refused(gait_twin("info", cut), "not whole", code=3)
    assert "messages" in said
    done = gait_twin("analyze", cut, "--out", tmp_path / "out", "--no-plots")
    refused(done, "not whole", code=3)
    assert (tmp_path / "out" / "events.csv").exists()


@pytest.mark.parametrize(
    "content", ["not XML at all", "<html></html>", "<OpenSimDocument><Model/></OpenSimDocument>", None]
)
def test_model_that_is_none(content: str | None, bag: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.osim"
    if content is not None:
        model.write_text(content)
    done = gait_twin("analyze", bag, "--out", tmp_path / "out", "--model", model)
    refused(done, "model.osim")


def test_height_of_nobody(bag: Path, tmp_path: Path) -> None:
    refused(gait_twin("analyze", bag, "--out", tmp_path / "out", "--height", "172"), "172", "m")


def test_importer_that_is_none(bag: Path) -> None:
    refused(gait_twin("info", bag, "--importer", "sundial"), "sundial", "csv")


def test_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(bytes(range(256)))
    refused(gait_twin("info", tmp_path / "photo.jpg"), "photo.jpg")


@pytest.mark.parametrize(
    "wrong",
    [["--speed", "50"], ["--set", "nonsense=1"], ["--set", "sway=much"], ["--segments", "tail"], ["--rate", "0"]],
)
def test_settings_out_of_range(wrong: list[str], tmp_path: Path) -> None:
    refused(gait_twin("simulate", tmp_path / "bag", *wrong), wrong[-1].split("=")[0])
    assert not (tmp_path / "bag").exists()


def test_folder_that_cannot_be_written(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    refused(gait_twin("analyze", bag, "--out", tmp_path / "taken"), "taken")
    refused(gait_twin("analyze", bag, "--out", tmp_path / "taken" / "deeper"), "taken")
