"""What an analysis leaves on disk, read back by other programs' readers."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gait_twin.errors import InputError
from gait_twin.recording import (
    EventKind,
    GaitEvent,
    ImuStream,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    Subject,
    Truth,
)
from gait_twin.service import Analysis, write
from gait_twin.service.motion import figure
from gait_twin.service.results import FootPath, SensorReport
from gait_twin.twin import Table, read_table

PICTURES = {"joint_cycles.png", "strides.png", "path.png", "foot_rate.png", "estimated_against_true.png"}


def walk(full: bool = True) -> Analysis:
    """Ten seconds of made-up walking: stride time 1 s, 1.2 m a stride."""
    time = np.arange(1000) / 100
    events, strides, steps = [], [], []
    for i, side in enumerate(Side):
        for k in range(8):
            start = 1.0 + k + 0.5 * i
            events.append(GaitEvent(start, side, EventKind.HEEL_STRIKE, 0.9, 0.1))
            events.append(GaitEvent(start + 0.6, side, EventKind.TOE_OFF, 0.8, 0.05))
            if k:
                length = 1.2 + 0.01 * (k % 3)
                strides.append(
                    Stride(side, start - 1, start, start - 0.4, length, 0.01, 0.6, 0.4, 0.2, 0.01, valid=k != 3)
                )
                steps.append(Step(side, start, 0.5, 0.6))
    names = ("pelvis_tilt", "pelvis_tx", "hip_flexion_r", "knee_angle_r", "hip_flexion_l", "knee_angle_l")
    angles = np.radians(20 * np.sin(2 * np.pi * time[:, None] + np.arange(6)))
    angles[:, 1] = 1.2 * time
    angles[5] = np.nan  # the twin was not ready
    joints = JointTrajectory(time, names, angles)
    upright = np.array([math.sqrt(0.5), math.sqrt(0.5), 0, 0])
    poses = [
        {
            "pelvis": (np.array([1.2 * t, 0, 1.0]), upright),
            "femur_r": (np.array([1.2 * t, -0.1, 0.9]), upright),
            "tibia_r": (np.array([1.2 * t, -0.1, 0.5]), upright),
        }
        for t in time
    ]
    feet = {
        side: FootPath(
            time, np.column_stack([1.2 * time, 0 * time + 0.1 - 0.2 * i, 0 * time]), np.sin(2 * np.pi * time) > 0
        )
        for i, side in enumerate(Side)
    }
    return Analysis(
        recording=Recording(
            {side.foot: ImuStream(side.foot, time, np.zeros((1000, 3)), None) for side in Side},
            Subject("Eva <b>&", 1.7, math.nan),
            start_time_ns=1_700_000_000_000_000_000,
            truth=Truth(events=tuple(events), strides=tuple(strides)),
        ),
        events=tuple(events),
        strides=tuple(strides),
        steps=tuple(steps),
        time_s=time,
        foot_rate_radps={side: np.abs(5 * np.sin(2 * np.pi * time)) for side in Side},
        feet=feet,
        joints=joints if full else None,
        motion=figure(time, poses, 1.7) if full else None,
        sensors={side.foot: SensorReport(100.0, {"received": 1000}) for side in Side},
        notices=("Something odd.",),
        losses=("Three packets <lost>.",),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("out") / "a" / "b"
    written = write(walk(), target)
    assert sorted(written) == sorted(target.iterdir())
    return target


def test_events_table(folder: Path) -> None:
    table = pd.read_csv(folder / "events.csv")
    assert list(table.columns[:4]) == ["time_s", "side", "event", "confidence"]
    assert set(table["event"]) == {"heel_strike", "toe_off"}
    assert set(table["side"]) == {"left", "right"}
    assert table["time_s"].is_monotonic_increasing
    assert len(table) == 32


def test_strides_table(folder: Path) -> None:
    table = pd.read_csv(folder / "strides.csv")
    wanted = "side,start_s,end_s,stride_length_m,stride_time_s,stance_time_s,swing_time_s,speed_mps"
    assert ",".join(table.columns[:8]) == wanted
    assert np.allclose(table["end_s"] - table["start_s"], table["stride_time_s"])
    assert np.allclose(table["stride_length_m"] / table["stride_time_s"], table["speed_mps"])
    assert table["valid"].dtype == bool
    assert (~table["valid"]).sum() == 2
    assert table["foot_clearance_m"].isna().all()  # not known is an empty cell


def test_steps_table(folder: Path) -> None:
    table = pd.read_csv(folder / "steps.csv")
    assert list(table.columns[:4]) == ["side", "time_s", "step_length_m", "step_time_s"]
    assert len(table) == 14


def test_joints_open_in_opensim(folder: Path) -> None:
    opensim = pytest.importorskip("opensim")
    table = opensim.TimeSeriesTable(str(folder / "joints.mot"))
    assert table.getTableMetaDataAsString("inDegrees") == "yes"
    assert list(table.getColumnLabels())[:3] == ["pelvis_tilt", "pelvis_tx", "hip_flexion_r"]
    assert table.getNumRows() == 999  # the instant that was not known is left out
    knee = table.getDependentColumn("knee_angle_r").to_numpy()
    assert 19 < knee.max() < 20.01
    assert table.getDependentColumn("pelvis_tx").to_numpy()[-1] == pytest.approx(1.2 * 9.99)


def test_summary_is_plain_json(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    summary = json.loads((folder / "summary.json").read_text(), parse_constant=refuse)
    assert summary["subject"] == {"name": "Eva <b>&", "height_m": 1.7, "mass_kg": None}
    assert summary["counts"]["left"] == {
        "heel_strikes": 8, "toe_offs": 8, "strides": 7, "strides_valid": 6, "steps": 7,
    }  # fmt: skip
    length = summary["parameters"]["stride_length_m"]
    assert length["both"]["n"] == 12  # lengths of strides that are not valid are not counted
    assert length["symmetry_index_percent"] == pytest.approx(0, abs=1e-9)
    assert summary["parameters"]["cadence_spm"]["both"]["mean"] == pytest.approx(120)
    assert summary["comparison"]["events"][0]["f1"] == 1.0
    assert summary["losses"] == ["Three packets <lost>."]
    assert summary["versions"]["gait_twin"]


class Links(HTMLParser):
    """Whatever a page would load from elsewhere, and the tags it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("data:")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_needs_nothing_from_outside_and_escapes_what_people_write(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.outside == []
    assert "{{" not in page.replace("{{", "", 0).split("<script")[0]
    text = "".join(links.text)
    assert "Walk of Eva <b>&" in text
    assert "Three packets <lost>." in text
    assert "Estimated against true" in text
    assert page.count("data:image/png") == 5


def test_page_of_feet_alone_moves_the_feet(tmp_path: Path) -> None:
    written = {path.name for path in write(walk(full=False), tmp_path)}
    assert "joints.mot" not in written
    assert "joint_cycles.png" not in written
    assert '"limbs":[["left",0,0' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_found_still_writes_tables_and_a_page(tmp_path: Path) -> None:
    time = np.arange(10) / 100
    empty = Analysis(Recording({"calcn_r": ImuStream("calcn_r", time, np.zeros((10, 3)), None)}))
    written = {path.name for path in write(empty, tmp_path)}
    assert written == {"events.csv", "strides.csv", "steps.csv", "summary.json", "report.html"}
    assert pd.read_csv(tmp_path / "strides.csv").empty


def test_writing_again_leaves_nothing_of_another_recording(tmp_path: Path) -> None:
    write(walk(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= PICTURES
    write(walk(full=False), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "joints.mot" not in names
    assert "joint_cycles.png" not in names


def test_writing_is_repeatable_to_the_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(walk(), tmp_path / name, pictures=False)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken"):
        write(walk(), tmp_path / "taken", pictures=False)


def test_moments_and_ground_reactions_are_written_and_an_old_one_is_removed(tmp_path: Path) -> None:
    table = Table(np.array([0.1, 0.2]), ("knee_angle_r_moment",), np.array([[1.5], [np.nan]]), False)
    write(Analysis(Recording({}), forces={"moments.sto": table}), tmp_path, pictures=False)
    read = read_table(tmp_path / "moments.sto")
    assert read.columns == table.columns
    np.testing.assert_allclose(read.values, table.values)
    write(Analysis(Recording({})), tmp_path, pictures=False)
    assert not (tmp_path / "moments.sto").exists()
