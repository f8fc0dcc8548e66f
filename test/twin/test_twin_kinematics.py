"""Inverse kinematics: against known poses, against OpenSim's own solver, and with sensors missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.recording import SEGMENTS
from gait_twin.recording.axes import angle_between, quat_from_rotvec, quat_multiply
from gait_twin.twin import InverseKinematics, Skeleton, build_default_model, load_model
from gait_twin.twin.opensim_api import opensim


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return Skeleton(build_default_model(1.75, 70.0))


def random_pose(ik: InverseKinematics, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """A pose within the ranges, the pelvis up to 50° out of the upright, in any heading."""
    skeleton = ik.skeleton
    low, high = np.maximum(skeleton.low, -1.2), np.minimum(skeleton.high, 1.2)
    values = skeleton.default.copy()
    free = ik.free
    values[free] = low[free] + (high - low)[free] * (0.5 + spread * (rng.random(len(free)) - 0.5))
    for name in ("pelvis_tilt", "pelvis_list"):
        if name in skeleton.coordinates:
            values[skeleton.coordinates.index(name)] *= 0.7
    return values


def walk(skeleton: Skeleton, n: int, period_s: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Times and poses of a smooth motion of every coordinate."""
    time_s = period_s * np.arange(n)
    values = np.tile(skeleton.default, (n, 1))
    for i in np.flatnonzero(~skeleton.fixed & skeleton.rotational):
        low, high = max(skeleton.low[i], -0.5), min(skeleton.high[i], 0.9)
        phase = 2.0 * np.pi * time_s / 1.1 + i
        values[:, i] = 0.5 * (low + high) + 0.3 * (high - low) * np.sin(phase)
    return time_s, values


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_any_pose_is_found_from_a_cold_start(skeleton: Skeleton, seed: int) -> None:
    ik = InverseKinematics(skeleton, SEGMENTS)
    truth = random_pose(ik, np.random.default_rng(seed))
    skeleton.set(truth)
    quats = skeleton.quaternions(SEGMENTS)
    solution = ik.solve(0.0, quats)
    assert solution.converged
    np.testing.assert_allclose(solution.residuals_rad, 0.0, atol=1e-5)
    off = solution.values - truth
    heading = skeleton.coordinates.index("pelvis_rotation")
    off[heading] = (off[heading] + np.pi) % (2.0 * np.pi) - np.pi
    np.testing.assert_allclose(off, 0.0, atol=1e-5)


def test_thirty_degrees_off_is_found_from_the_pose_before(skeleton: Skeleton) -> None:
    ik = InverseKinematics(skeleton, SEGMENTS)
    rng = np.random.default_rng(5)
    for _ in range(40):
        before = random_pose(ik, rng, 0.3)
        after = before.copy()
        low, high = np.maximum(skeleton.low, -1.3)[ik.free], np.minimum(skeleton.high, 1.3)[ik.free]
        after[ik.free] = np.clip(before[ik.free] + np.radians(30.0) * rng.choice([-1, 1], len(ik.free)), low, high)
        ik.reset()
        for k, pose in enumerate((before, after)):
            skeleton.set(pose)
            solution = ik.solve(0.01 * k, skeleton.quaternions(SEGMENTS))
        np.testing.assert_allclose(solution.values, after, atol=1e-4)


def test_turning_on_and_on_is_continuous(skeleton: Skeleton) -> None:
    ik = InverseKinematics(skeleton, SEGMENTS)
    heading = skeleton.coordinates.index("pelvis_rotation")
    for k, angle in enumerate(np.arange(0.0, 6.0 * np.pi, 0.05)):
        pose = skeleton.default.copy()
        pose[heading] = angle
        skeleton.set(pose)
        assert ik.solve(0.01 * k, skeleton.quaternions(SEGMENTS)).values[heading] == pytest.approx(angle, abs=1e-5)


def opensims_own(model: opensim.Model, time_s: np.ndarray, quats: np.ndarray) -> np.ndarray:
    """Coordinates by OpenSim's InverseKinematicsSolver at its tightest, in the order of the model."""
    for segment in SEGMENTS:
        frame = opensim.PhysicalOffsetFrame(f"{segment}_imu", model.getBodySet().get(segment), opensim.Transform())
        model.getBodySet().get(segment).addComponent(frame)
    model.finalizeConnections()
    state = model.initSystem()
    table = opensim.TimeSeriesTableRotation()
    labels = opensim.StdVectorString()
    for segment in SEGMENTS:
        labels.append(f"{segment}_imu")
    for t, frame_quats in zip(time_s, quats, strict=True):
        row = opensim.RowVectorRotation(len(SEGMENTS))
        for j, q in enumerate(frame_quats):
            row.updElt(0, j).setRotationFromQuaternion(opensim.Quaternion(*(float(v) for v in q)))
        table.appendRow(float(t), row)
    table.setColumnLabels(labels)
    orientations, markers = opensim.OrientationsReference(table), opensim.MarkersReference()
    none = opensim.SimTKArrayCoordinateReference()
    solver = opensim.InverseKinematicsSolver(model, markers, orientations, none)
    solver.setAccuracy(1e-10)
    state.setTime(float(time_s[0]))
    solver.assemble(state)
    coordinates = model.getCoordinateSet()
    poses = []
    for t in time_s:
        state.setTime(float(t))
        solver.track(state)
        poses.append([coordinates.get(i).getValue(state) for i in range(coordinates.getSize())])
    return np.array(poses)


@pytest.mark.parametrize("noise_deg", [0.0, 5.0])
def test_equals_opensims_own_solver(noise_deg: float) -> None:
    """Within 0.01°, also where sensors contradict each other and where a knee is at the end of its range."""
    model = build_default_model(1.75, 70.0)
    skeleton = Skeleton(model)
    time_s, poses = walk(skeleton, 30)
    knee = skeleton.coordinates.index("knee_angle_r")
    poses[:, knee] = skeleton.low[knee] + 0.03 * np.sin(12.0 * time_s)
    rng = np.random.default_rng(3)
    lasting = quat_from_rotvec(np.radians(noise_deg) * rng.standard_normal((len(SEGMENTS), 3)))
    quats = []
    for pose in poses:
        skeleton.set(pose)
        quats.append(quat_multiply(lasting, skeleton.quaternions(SEGMENTS)))
    theirs = opensims_own(model, time_s, np.array(quats))
    ik = InverseKinematics(skeleton, SEGMENTS)
    ours = np.array([ik.solve(t, q).values for t, q in zip(time_s, quats, strict=True)])
    assert np.degrees(np.abs(ours - theirs))[:, ik.free].max() < 0.01


@pytest.mark.data
@pytest.mark.parametrize("name", ["gait10dof18musc", "gait2392_thelen2003muscle", "Rajagopal2016"])
def test_published_models_track(data_dir: Path, name: str) -> None:
    skeleton = Skeleton(load_model(data_dir / "opensim_gait" / "models" / f"{name}.osim"))
    ik = InverseKinematics(skeleton, SEGMENTS)
    time_s, poses = walk(skeleton, 120)
    for t, pose in zip(time_s, poses, strict=True):
        skeleton.set(pose)
        truth = skeleton.values.copy()
        solution = ik.solve(t, skeleton.quaternions(SEGMENTS))
        assert solution.converged
        np.testing.assert_allclose(solution.values[ik.free], truth[ik.free], atol=2e-4)


@pytest.mark.parametrize("lost", ["pelvis", "femur_r", "tibia_l", "calcn_r", "torso"])
def test_a_lost_sensor_is_carried_and_marked(skeleton: Skeleton, lost: str) -> None:
    ik = InverseKinematics(skeleton, SEGMENTS, hold_s=0.1, relax_s=0.1)
    time_s, poses = walk(skeleton, 200)
    column = SEGMENTS.index(lost)
    for k, (t, pose) in enumerate(zip(time_s, poses, strict=True)):
        skeleton.set(pose)
        quats = skeleton.quaternions(SEGMENTS)
        if k >= 20:
            quats[column] = np.nan
        solution = ik.solve(t, quats)
        assert np.isfinite(solution.values).all()
        assert (solution.values <= skeleton.high + 1e-9).all()
        assert np.isnan(solution.residuals_rad[column]) == (k >= 20)
        if k < 20:
            assert solution.measured[ik.free].all()
    assert not solution.measured[ik.free].all()
    # the other side of the body is as exact as ever
    side = "l" if lost.endswith("_r") else "r"
    others = [skeleton.coordinates.index(f"{name}_{side}") for name in ("knee_angle", "ankle_angle")]
    np.testing.assert_allclose(solution.values[others], pose[others], atol=1e-3)


def test_all_sensors_lost_holds_then_relaxes_to_neutral(skeleton: Skeleton) -> None:
    ik = InverseKinematics(skeleton, SEGMENTS, hold_s=0.5, relax_s=0.2)
    pose = skeleton.default.copy()
    knee, heading = (skeleton.coordinates.index(name) for name in ("knee_angle_r", "pelvis_rotation"))
    pose[knee], pose[heading] = 1.0, 2.0
    skeleton.set(pose)
    quats = skeleton.quaternions(SEGMENTS)
    ik.solve(0.0, quats)
    nothing = np.full_like(quats, np.nan)
    course = np.array([ik.solve(0.01 * k, nothing).values for k in range(1, 400)])
    assert course[30, knee] == pytest.approx(1.0, abs=1e-3)
    assert course[-1, knee] == pytest.approx(0.0, abs=1e-3)
    assert np.abs(np.diff(course[:, knee])).max() < 0.06
    assert course[-1, heading] == pytest.approx(2.0, abs=1e-3)
    # and the pose is found again at once
    np.testing.assert_allclose(ik.solve(4.1, quats).values, pose, atol=1e-5)


def test_weights_decide_who_is_believed(skeleton: Skeleton) -> None:
    skeleton.set(skeleton.default)
    quats = skeleton.quaternions(SEGMENTS)
    foot = SEGMENTS.index("calcn_r")
    # a turn that no joint of the leg below the hip can make
    quats[foot] = quat_multiply(quat_from_rotvec([0.0, 0.2, 0.0]), quats[foot])
    errors = []
    for weight in (0.01, 1.0, 100.0):
        weights = np.ones(len(SEGMENTS))
        weights[foot] = weight
        solution = InverseKinematics(skeleton, SEGMENTS, weights).solve(0.0, quats)
        errors.append(solution.residuals_rad[foot])
        modelled = skeleton.quaternions(SEGMENTS)
        np.testing.assert_allclose(solution.residuals_rad, angle_between(quats, modelled), atol=1e-4)
    assert errors[0] > errors[1] > errors[2]
