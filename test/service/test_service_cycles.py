"""Curves over the gait cycle, of a made-up walk whose forces are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gait_twin.recording import JointTrajectory, Recording, Side, Stride
from gait_twin.service import Analysis, write
from gait_twin.service.cycle_plots import force_cycles, joint_cycles
from gait_twin.service.cycles import GRAVITY_MPS2, gait_cycles
from gait_twin.service.motion import Motion
from gait_twin.service.results import longest_run
from gait_twin.twin import Table

MASS_KG = 80.0
NAMES = ("pelvis_tilt", "pelvis_tx", "knee_angle_r", "knee_angle_l", "lumbar_extension")


def walk(heading_rad: float = 0.0, flexion: float = 1.0) -> Analysis:
    """Five strides a second long, the last one around a corner; knee angle, moment and force rise with the phase."""
    time_s = np.arange(0.0, 6.0, 0.01)
    phase = np.mod(time_s, 1.0)
    positions = np.zeros((len(time_s), 5))
    positions[:, 2] = flexion * np.radians(60.0 * phase)
    positions[:, 3] = flexion * np.radians(30.0 * phase)
    strides = tuple(
        Stride(side, k, k + 1.0, k + 0.6, turning_angle_rad=1.0 if k == 4 else 0.0) for side in Side for k in range(5)
    )
    ahead = np.array([np.cos(heading_rad), 0.0, -np.sin(heading_rad)])  # OpenSim's axes: z to the right
    left = np.array([-np.sin(heading_rad), 0.0, -np.cos(heading_rad)])
    weight = MASS_KG * GRAVITY_MPS2
    force = weight * (np.outer(phase, [0.0, 1.0, 0.0]) + 0.2 * ahead + 0.05 * left)
    known = time_s < 4.5
    ground = Table(time_s, tuple(f"ground_force_{s}_v{a}" for s in "rl" for a in "xyz"), np.hstack([force, force]))
    moments = Table(
        time_s[known],
        ("pelvis_tilt_moment", "knee_angle_r_moment", "knee_angle_l_moment"),
        np.column_stack([phase, 80.0 * phase, 40.0 * phase])[known],
    )
    way = np.zeros((len(time_s), 1, 3))
    way[:, 0, :2] = time_s[:, None] * [np.cos(heading_rad), np.sin(heading_rad)]
    return Analysis(
        Recording({}),
        strides=strides,
        joints=JointTrajectory(time_s, NAMES, positions),
        motion=Motion(time_s, ("pelvis",), way, (), 1.7),
        forces={"moments.sto": moments, "ground_reactions.mot": ground},
        confidence=Table(time_s, ("confidence",), np.full((len(time_s), 1), 0.5)),
        mass_kg=MASS_KG,
    )


@pytest.mark.parametrize("heading_rad", [0.0, 2.0, -0.7])
def test_forces_are_of_the_body_and_along_the_walk(heading_rad: float) -> None:
    cycles = gait_cycles(walk(heading_rad))
    percent = np.arange(101.0)
    inner = slice(1, 100)  # the phase falls from 1 to 0 at both ends
    for side, part in ((Side.RIGHT, 1.0), (Side.LEFT, 0.5)):
        one = cycles[side]
        mean, sd, n = one.spread("knee_angle_deg")
        assert n == 4  # the corner is left out
        np.testing.assert_allclose(mean[inner], 0.6 * part * percent[inner], atol=1e-9)
        np.testing.assert_allclose(sd[inner], 0.0, atol=1e-9)
        np.testing.assert_allclose(
            one.spread("knee_angle_moment_nm_per_kg")[0][inner], part * percent[inner] / 100.0, atol=1e-9
        )
        np.testing.assert_allclose(one.spread("ground_force_up_percent_bw")[0][inner], percent[inner], atol=1e-6)
        np.testing.assert_allclose(one.spread("ground_force_forward_percent_bw")[0], 20.0, atol=1e-6)
        medial = 5.0 if side is Side.RIGHT else -5.0
        np.testing.assert_allclose(one.spread("ground_force_medial_percent_bw")[0], medial, atol=1e-6)
        assert one.spread("force_confidence")[0][50] == 0.5
        assert "lumbar_extension_deg" in one.columns
        assert not any(name.startswith(("pelvis_tx", "pelvis_tilt_moment")) for name in one.columns)
        # the last stride's moments are not known to its end
        assert not np.isfinite(one.values[-1, :, one.columns.index("knee_angle_moment_nm_per_kg")]).any()


def test_tables_read_back(tmp_path: Path) -> None:
    analysis = walk()
    written = write(analysis, tmp_path, pictures=False)
    assert {tmp_path / "cycles.csv", tmp_path / "cycles_each.csv"} <= set(written)
    mean, each = pd.read_csv(tmp_path / "cycles.csv"), pd.read_csv(tmp_path / "cycles_each.csv")
    assert len(mean) == 2 * 101
    assert len(each) == 10 * 101
    right = mean[mean["side"] == "right"].set_index("percent")
    assert right["knee_angle_deg_mean"][50] == pytest.approx(30.0)
    assert right["strides"][0] == 4
    turning = each[~each["straight"]]
    assert set(turning["stride_start_s"]) == {4.0}
    assert turning["knee_angle_moment_nm_per_kg"].isna().all()
    write(Analysis(Recording({})), tmp_path, pictures=False)
    assert not (tmp_path / "cycles.csv").exists()


def test_pictures_show_flexion_upwards_for_either_kind_of_knee() -> None:
    peaks = []
    for flexion in (1.0, -1.0):
        figure = joint_cycles(walk(flexion=flexion))
        assert figure is not None
        knee = next(ax for ax in figure.axes if ax.get_title(loc="left") == "Knee flexion")
        peaks.append([max(line.get_ydata()) for line in knee.lines])
    np.testing.assert_allclose(peaks[0], peaks[1])
    figure = force_cycles(walk())
    assert figure is not None
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert "Knee extension moment" in titles
    assert "Ground reaction, forward" in titles
    assert force_cycles(Analysis(Recording({}))) is None


def test_the_longest_run_has_no_gap() -> None:
    time_s = np.r_[np.arange(30) / 100.0, 1.0 + np.arange(50) / 100.0]
    values = np.ones((80, 2))
    values[40, 1] = np.nan
    run = longest_run(Table(time_s, ("a", "b"), values))
    assert (run.time_s[0], run.time_s[-1], len(run.time_s)) == (pytest.approx(1.11), pytest.approx(1.49), 39)
    assert len(longest_run(Table(time_s[:5], ("a", "b"), values[:5])).time_s) == 5
