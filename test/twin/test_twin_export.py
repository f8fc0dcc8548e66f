"""Tables and curves of the twin's states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_twin.recording import GroundReaction, TwinState
from gait_twin.twin import (
    Skeleton,
    Table,
    build_default_model,
    cycle_curves,
    ground_reactions_table,
    moments_table,
    powers_table,
    write_table,
)
from gait_twin.twin.opensim_api import opensim


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return Skeleton(build_default_model(1.75, 70.0))


def state(skeleton: Skeleton, time_s: float, *, known: bool = True) -> TwinState:
    m = len(skeleton.coordinates)
    right_only = time_s > 0.05
    nowhere = [np.nan] * 3
    ground = GroundReaction(
        time_s=time_s - 0.08,
        force_n=np.array([[0.0, 0.0, 0.0] if right_only else [1.0, 2.0, 300.0], [10.0, 20.0, 700.0]]),
        center_of_pressure_m=np.array([nowhere if right_only else [0.1, 0.2, 0.0], [0.3, -0.1, 0.0]]),
        free_moment_nm=np.array([0.0, 4.0]),
        residual_force_n=np.zeros(3),
        residual_moment_nm=np.zeros(3),
        confidence=0.5,
    )
    return TwinState(
        time_s=time_s,
        coordinates=skeleton.coordinates,
        positions=np.zeros(m),
        velocities=np.full(m, time_s - 0.03),
        velocity_delay_s=0.03,
        moments=np.full(m, 2.0) if known else np.full(m, np.nan),
        sensors=("pelvis",),
        residuals_rad=np.zeros(1),
        stance_side=None,
        quality=1.0,
        ground=ground if known else None,
        moment_delay_s=0.08,
        powers=np.full(m, 2.0 * (time_s - 0.08)),
    )


def test_moments_and_powers_at_their_own_instants(skeleton: Skeleton, tmp_path: Path) -> None:
    states = [state(skeleton, 0.01 * k, known=k >= 16) for k in range(40)]
    moments, powers = moments_table(states, skeleton), powers_table(states, skeleton)
    assert "knee_angle_r_moment" in moments.columns
    assert "pelvis_ty_force" in moments.columns
    assert moments.time_s[0] == pytest.approx(0.08)
    np.testing.assert_allclose(powers["knee_angle_r_power"], 2.0 * powers.time_s, atol=1e-12)
    assert not any(name.startswith("pelvis") for name in powers.columns)
    write_table(tmp_path / "moments.sto", moments, "moments")
    assert opensim.TimeSeriesTable(str(tmp_path / "moments.sto")).getNumRows() == 24


def test_ground_reactions_in_opensims_axes(skeleton: Skeleton, tmp_path: Path) -> None:
    table = ground_reactions_table([state(skeleton, 0.01 * k) for k in range(10)])
    assert table.columns[:3] == ("ground_force_r_vx", "ground_force_r_vy", "ground_force_r_vz")
    np.testing.assert_allclose([table[f"ground_force_r_v{a}"][0] for a in "xyz"], [10.0, 700.0, -20.0])
    np.testing.assert_allclose([table[f"ground_force_r_p{a}"][0] for a in "xyz"], [0.3, 0.0, 0.1])
    assert table["ground_torque_r_y"][0] == 4.0
    # the left foot leaves: no force, and its point stays
    assert table["ground_force_l_vy"][-1] == 0.0
    np.testing.assert_allclose([table[f"ground_force_l_p{a}"][-1] for a in "xyz"], [0.1, 0.0, -0.2])
    write_table(tmp_path / "ground_reactions.mot", table, "ground_reactions")
    assert opensim.Storage(str(tmp_path / "ground_reactions.mot")).getSize() == 10


def test_no_states_give_empty_tables(skeleton: Skeleton) -> None:
    for table in (moments_table([], skeleton), powers_table([], skeleton), ground_reactions_table([])):
        assert table.values.shape == (0, len(table.columns))


@given(start=st.floats(0.0, 1.0), length=st.floats(0.5, 2.0))
def test_a_curve_is_what_it_was_over_the_cycle(start: float, length: float) -> None:
    time_s = np.arange(0.0, 4.0, 0.01)
    table = Table(time_s, ("a", "b"), np.column_stack([2.0 * time_s, np.sin(time_s)]))
    curves = cycle_curves(table, [(start, start + length), (3.5, 4.5)], ["a"])
    assert curves.cycles.shape == (1, 101, 1)  # the second one is not covered
    np.testing.assert_allclose(curves.mean[:, 0], 2.0 * np.linspace(start, start + length, 101), atol=1e-9)
    assert np.isnan(curves.sd).all()
    assert np.isnan(cycle_curves(table, []).mean).all()
