"""Marker kinematics against known poses and OpenSim's published result; tables in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.twin import (
    MarkerKinematics,
    Skeleton,
    Table,
    build_default_model,
    load_model,
    read_marker_tasks,
    read_markers,
    read_table,
    write_table,
)
from gait_twin.twin.markers import model_markers
from gait_twin.twin.opensim_api import opensim


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    model = build_default_model(1.8, 80.0)
    if not model.getMarkerSet().getSize():
        for body in ("pelvis", "torso", "femur_r", "tibia_r", "calcn_r", "femur_l", "tibia_l", "calcn_l"):
            frame = model.getBodySet().get(body)
            for k, place in enumerate(((0.1, 0.05, 0.0), (0.0, -0.1, 0.08), (-0.06, 0.0, -0.05))):
                model.addMarker(opensim.Marker(f"{body}{k}", frame, opensim.Vec3(*place)))
    model.finalizeConnections()
    return Skeleton(model)


def places(skeleton: Skeleton, names: list[str]) -> np.ndarray:
    markers = model_markers(skeleton.model)
    return np.array([skeleton.stations(markers[n][0], [markers[n][1]])[0] for n in names])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "walk", "setup"),
    [
        ("gait10dof18musc", "subject01_walk.trc", "walk_Setup_IK.xml"),
        ("gait2354", "subject01_walk1.trc", "subject01_Setup_IK.xml"),
    ],
)
def test_reproduces_the_published_result(data_dir: Path, name: str, walk: str, setup: str) -> None:
    folder = data_dir / "opensim_gait" / name
    skeleton = Skeleton(load_model(folder / "subject01_scaled.osim"))
    markers, reference = read_markers(folder / walk), read_table(folder / "reference_ik.mot")
    assert reference.in_degrees
    kinematics = MarkerKinematics(skeleton, list(markers.names), read_marker_tasks(folder / setup))
    rows = [int(np.argmin(np.abs(markers.time_s - t))) for t in reference.time_s]
    solutions = [kinematics.solve(markers.positions_m[row]) for row in rows]
    assert all(solution.converged for solution in solutions)
    values = np.array([solution.values for solution in solutions])
    for i, coordinate in enumerate(skeleton.coordinates):
        unit = np.degrees(1.0) if skeleton.rotational[i] else 1.0
        off = unit * values[:, i] - reference[coordinate]
        assert np.sqrt(np.mean(off**2)) < (0.1 if skeleton.rotational[i] else 1e-4), coordinate


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_any_pose_is_found_from_its_markers(skeleton: Skeleton, seed: int) -> None:
    rng = np.random.default_rng(seed)
    free = ~skeleton.fixed
    low, high = np.maximum(skeleton.low, -0.8), np.minimum(skeleton.high, 0.8)
    values = skeleton.default.copy()
    values[free] = (low + (high - low) * rng.uniform(0.2, 0.8, len(low)))[free]
    values[skeleton.coordinates.index("pelvis_rotation")] = rng.uniform(-3.0, 3.0)
    names = list(model_markers(skeleton.model))
    skeleton.set(values)
    measured = places(skeleton, names)
    found = MarkerKinematics(skeleton, names).solve(measured)
    assert found.converged
    off = found.values - values
    off[skeleton.rotational] = (off[skeleton.rotational] + np.pi) % (2.0 * np.pi) - np.pi
    np.testing.assert_allclose(off, 0.0, atol=1e-4)
    np.testing.assert_allclose(found.residuals_m, 0.0, atol=1e-5)


def test_lost_and_unknown_markers_are_left_out(skeleton: Skeleton) -> None:
    names = list(model_markers(skeleton.model))
    skeleton.set(skeleton.default)
    measured = np.vstack([places(skeleton, names), [[0.0, 9.0, 9.0]]])
    kinematics = MarkerKinematics(skeleton, [*names, "CAMERA"])
    measured[0] = np.nan
    found = kinematics.solve(measured)
    assert np.isnan(found.residuals_m[[0, -1]]).all()
    np.testing.assert_allclose(found.residuals_m[1:-1], 0.0, atol=1e-5)
    measured[2:] = np.nan
    with pytest.raises(InputError, match="at least 3"):
        kinematics.solve(measured)
    with pytest.raises(InputError, match="None of the measured markers"):
        MarkerKinematics(skeleton, ["CAMERA"])


@given(
    values=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=2), min_size=1, max_size=5),
    degrees=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_tables_come_back_and_opensim_reads_them(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[float]], degrees: bool
) -> None:
    path = tmp_path_factory.mktemp("tables") / "motion.mot"
    table = Table(0.01 * np.arange(len(values)), ("a", "b"), np.array(values), degrees)
    write_table(path, table, "walk")
    back = read_table(path)
    assert back.columns == table.columns
    assert back.in_degrees == degrees
    np.testing.assert_allclose(back.values, table.values, atol=1e-8)
    theirs = opensim.TimeSeriesTable(str(path))
    np.testing.assert_allclose(theirs.getMatrix().to_numpy(), table.values, atol=1e-8)
    assert theirs.getTableMetaDataString("inDegrees") == ("yes" if degrees else "no")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "endheader"),
        ("x\nendheader\ntime\ta\n0\t1\n0.1\n", "line 5 has 1 of 2"),
        ("x\nendheader\na\tb\n0\t1\n", "has to be 'time'"),
        ("x\nendheader\ntime\ta\n0\tone\n", "are to be numbers"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.mot"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_table(path)


def test_bad_marker_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.trc"
    with pytest.raises(InputError, match="There is no file"):
        read_markers(path)
    path.write_text("nothing\nof\nthe\nkind\n")
    with pytest.raises(InputError, match="not a table of markers"):
        read_markers(path)
    with pytest.raises(InputError, match="not a setup"):
        read_marker_tasks(path)
    head = "PathFileType\t4\nDataRate\tNumMarkers\tUnits\n100\t2\t{unit}\nFrame#\tTime\tA\t\t\tB\n\tX1\n"
    path.write_text(head.format(unit="furlong") + "1\t0\t1\t2\t3\t4\t5\t6\n")
    with pytest.raises(InputError, match="mm, cm or m"):
        read_markers(path)
    path.write_text(head.format(unit="cm") + "1\t0\t1\t2\t3\t\t\t\n2\t0.01\t1\t2\t3\t4\t5\t6\n")
    markers = read_markers(path)
    np.testing.assert_allclose(markers.positions_m[1], [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]])
    assert np.isnan(markers.positions_m[0, 1]).all()
