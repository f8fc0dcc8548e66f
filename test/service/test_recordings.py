"""Analysis of real recordings: what must not get worse. Skipped where the recordings are not there."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from gait_twin.recording import JointTrajectory, Recording
from gait_twin.recording.importers import find_importer
from gait_twin.sensing import HubSettings
from gait_twin.service import Analysis, AnalysisSettings, analyze, compare
from gait_twin.service.comparison import score_joints
from gait_twin.service.tables import is_length
from gait_twin.twin import TwinSettings, load_model

pytestmark = pytest.mark.data


def opened(path: Path) -> Recording:
    return find_importer(path).load(path)


def read_mot(path: Path) -> JointTrajectory:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    start = lines.index("endheader")
    names = tuple(lines[start + 1].split("\t")[1:])
    rows = np.array([line.split() for line in lines[start + 2 :] if line.strip()], dtype=float)
    lengths = np.array([is_length(name) for name in names])
    return JointTrajectory(rows[:, 0], names, np.where(lengths, rows[:, 1:], np.radians(rows[:, 1:])))


@pytest.fixture(scope="module")
def analysis(data_dir: Path) -> Analysis:
    """The treadmill walk."""
    return analyze(opened(data_dir / "treadmill_7imu"))


class TestTreadmill:
    """One subject at 3.7 km/h, against OptoGait, whose clock is its own."""

    def test_stride_count_within_1_percent(self, analysis: Analysis) -> None:
        truth = analysis.recording.truth
        assert truth is not None
        offset = compare(analysis).clock_offset_s
        # OptoGait counts nothing while the belt still runs up, and breaks off while it runs down
        ends = sorted(s.end_s + offset for s in truth.strides)
        steady = list(itertools.takewhile(lambda pair: pair[1] - pair[0] < 1.5, itertools.pairwise(ends)))
        first, last = steady[0][0] - 0.2, steady[-1][1] + 0.2
        ours = [s for s in analysis.strides if first <= s.end_s <= last]
        assert len(ours) == pytest.approx(len(steady) + 1, rel=0.01)

    def test_stride_time_within_1_and_length_within_5_percent(self, analysis: Analysis) -> None:
        scores = {score.parameter.key: score for score in compare(analysis).parameters}
        time, length = scores["stride_time_s"], scores["stride_length_m"]
        assert time.error.n > 200
        assert time.estimated.mean == pytest.approx(time.true.mean, rel=0.01)
        assert time.error.sd < 0.025
        assert length.estimated.mean == pytest.approx(length.true.mean, rel=0.05)

    def test_too_few_sensors_for_a_twin_are_said(self, analysis: Analysis) -> None:
        assert analysis.joints is None
        assert any("Too few sensors" in notice for notice in analysis.notices)
        assert not analysis.losses


class TestXsensWalk:
    """A real walk with whole legs, against OpenSim's own offline tools."""

    # without a hint the walk itself tells which way is forward; OpenSim's placer was told the pelvis sensor's z axis
    @pytest.mark.parametrize(
        ("model", "mounting", "limit_deg"),
        [("", (), 3.0), ("", ("pelvis=z",), 3.0), ("Rajagopal_2015.osim", ("pelvis=z",), 0.5)],
    )
    def test_joint_angles_follow_opensim(
        self, model: str, mounting: tuple[str, ...], limit_deg: float, data_dir: Path
    ) -> None:
        folder = data_dir / "opensim_xsens_walk"
        # OpenSim's tool takes the standing for exact: to equal it, the twin must not learn from walking either
        settings = AnalysisSettings(hub=HubSettings(mounting=mounting), twin=TwinSettings(refine=not model))
        analysis = analyze(opened(folder / "raw"), settings, load_model(folder / model) if model else None)
        assert analysis.joints is not None
        scores = {s.coordinate: s for s in score_joints(analysis.joints, read_mot(folder / "derived" / "ik.mot.gz"))}
        names = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")
        wanted = [f"{name}_{side}" for side in "rl" for name in names] + ["pelvis_tilt", "pelvis_list"]
        errors = {name: round(scores[name].rmse_aligned, 2) for name in wanted}
        assert max(errors.values()) <= limit_deg, errors

        assert analysis.motion is not None
        for side in ("left", "right"):
            assert 4 <= sum(s.side == side and s.valid for s in analysis.strides) <= 14
        assert np.linalg.norm(np.ptp(analysis.motion.points_m[:, 0, :2], axis=0)) > 3.0


@pytest.mark.parametrize("trial", ["1-1", "4-1", "8-1"])
def test_ten_metres_and_back(trial: str, data_dir: Path) -> None:
    if not (data_dir / "foot_healthy_10m" / f"{trial}.json").exists():
        pytest.skip(f"trial {trial} is not there")
    analysis = analyze(opened(data_dir / "foot_healthy_10m" / f"{trial}.json"))
    heel_strikes, toe_offs = compare(analysis).events
    assert heel_strikes.recall > 0.85
    assert heel_strikes.precision > 0.85
    assert abs(heel_strikes.error_ms.mean) < 40
    assert abs(toe_offs.error_ms.mean) < 40
    strides = [s.stride_length_m for s in analysis.strides if s.valid]
    assert 0.8 < np.median(strides) < 1.8
