"""Analysis of real recordings: what must not get worse. Skipped where the recordings are not there."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from gait_twin.recording import JointTrajectory, Recording
from gait_twin.recording.importers import find_importer
from gait_twin.service import Analysis, analyze, compare
from gait_twin.service.comparison import score_joints
from gait_twin.service.tables import is_length

pytestmark = pytest.mark.data


def opened(path: Path) -> Recording:
    return find_importer(path).load(path)


def read_mot(path: Path) -> JointTrajectory:
    lines = gzip.open(path, "rt").read().splitlines()
    start = lines.index("endheader")
    names = tuple(lines[start + 1].split("\t")[1:])
    rows = np.array([line.split() for line in lines[start + 2 :] if line.strip()], dtype=float)
    lengths = np.array([is_length(name) for name in names])
    return JointTrajectory(rows[:, 0], names, np.where(lengths, rows[:, 1:], np.radians(rows[:, 1:])))


class TestTreadmill:
    """One subject at 3.7 km/h, against OptoGait, whose clock is its own."""

    @pytest.fixture(scope="class")
    def analysis(self, data_dir: Path) -> Analysis:
        return analyze(opened(data_dir / "treadmill_7imu"))

    def test_stride_count_within_1_percent(self, analysis: Analysis) -> None:
        truth = analysis.recording.truth
        assert truth is not None
        offset = compare(analysis).clock_offset_s
        first, last = (f(s.end_s for s in truth.strides) + offset for f in (min, max))
        # OptoGait sees the walk only once the treadmill's belt runs evenly
        ours = [s for s in analysis.strides if first - 0.2 <= s.end_s <= last + 0.2]
        assert len(ours) == pytest.approx(len(truth.strides), rel=0.01)

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

    @pytest.fixture(scope="class")
    def analysis(self, data_dir: Path) -> Analysis:
        from gait_twin.twin import load_model

        folder = data_dir / "opensim_xsens_walk"
        return analyze(opened(folder / "raw"), model=load_model(folder / "Rajagopal_2015.osim"))

    def test_joint_angles_follow_opensim(self, analysis: Analysis, data_dir: Path) -> None:
        assert analysis.joints is not None
        reference = read_mot(data_dir / "opensim_xsens_walk" / "derived" / "ik.mot.gz")
        scores = {score.coordinate: score for score in score_joints(analysis.joints, reference)}
        legs = [f"{name}_{side}" for side in "rl" for name in ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")]
        errors = {name: round(scores[name].rmse_aligned, 2) for name in [*legs, "pelvis_tilt", "pelvis_list"]}
        assert max(errors.values()) <= 3.0, errors

    def test_about_five_cycles_forward(self, analysis: Analysis) -> None:
        assert analysis.motion is not None
        for side in ("left", "right"):
            assert 4 <= sum(s.side == side and s.valid for s in analysis.strides) <= 14
        pelvis = analysis.motion.points_m[:, 0]
        assert np.linalg.norm(np.ptp(pelvis[:, :2], axis=0)) > 3.0


@pytest.mark.parametrize("trial", ["1-1", "4-1", "9-2"])
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
