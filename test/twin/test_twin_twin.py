"""The twin on frames: known walks, lost sensors, blocks of any size, the real walk."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, BodyFrames, Side, SlotStatus, TwinState
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    opensim_to_ros,
    quat_about_z,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
)
from gait_twin.simulation import WalkSettings, simulate
from gait_twin.twin import Skeleton, Twin, TwinSettings, build_default_model, make_model

GOOD = int(SlotStatus.VALID | SlotStatus.ORIENTED | SlotStatus.CALIBRATED | SlotStatus.HEADING)
Walk = tuple[BodyFrames, np.ndarray]


def frames_of(skeleton: Skeleton, time_s: np.ndarray, poses: np.ndarray) -> BodyFrames:
    """Perfect frames of all segments for (n, m) poses."""
    quats = np.empty((len(time_s), len(SEGMENTS), 4))
    for k, pose in enumerate(poses):
        skeleton.set(pose)
        quats[k] = skeleton.quaternions(SEGMENTS)
    quats = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, quats)
    zero = np.zeros((*quats.shape[:2], 3))
    status = np.full(quats.shape[:2], GOOD, dtype=np.uint8)
    return BodyFrames(
        SEGMENTS, np.asarray(time_s), specific_force(skeleton, time_s, poses, quats), zero, quats, quats, status
    )


def specific_force(skeleton: Skeleton, time_s: np.ndarray, poses: np.ndarray, quats: np.ndarray) -> np.ndarray:
    """(n, k, 3) what ideal accelerometers would feel; only the pelvis' one moves."""
    sacrum = []
    for pose in poses:
        skeleton.set(pose)
        sacrum.append(skeleton.stations("pelvis", [TwinSettings().pelvis_sensor_m])[0])
    place = opensim_to_ros(np.array(sacrum))
    felt = np.zeros((*quats.shape[:2], 3))
    felt[:, 0] = np.gradient(np.gradient(place, time_s, axis=0), time_s, axis=0)
    felt[:, :, 2] += 9.80665
    return quat_rotate(quat_conjugate(quats), felt)


def test_forces_of_a_walk_carry_the_body(walk: Walk) -> None:
    """Over whole strides the ground carries the weight, one foot at a time, and says how far to trust it."""
    frames, _ = walk
    twin = new_twin()
    states = twin.update(frames)
    known = [s for s in states if s.ground is not None]
    assert len(known) > 0.9 * len(states)
    assert known[0].moment_delay_s == pytest.approx(0.08)
    force = np.array([s.ground.force_n for s in known])
    time_s = np.array([s.ground.time_s for s in known])
    np.testing.assert_allclose(time_s, [s.time_s - s.moment_delay_s for s in known])
    weight = 70.0 * 9.80665
    steady = (time_s > 4.0) & (time_s < 11.0)
    assert force[steady].sum(axis=1)[:, 2].mean() == pytest.approx(weight, rel=0.03)
    assert np.abs(force[steady].sum(axis=1)[:, :2].mean(axis=0)).max() < 0.03 * weight
    assert force[..., 2].min() >= 0.0
    single = (force[steady][..., 2] == 0.0).any(axis=1)
    assert 0.6 < single.mean() < 0.9  # double support takes some 25 % of a stride
    confidence = np.array([s.ground.confidence for s in known])
    assert (confidence >= 0.0).all()
    assert (confidence <= 1.0).all()
    assert confidence[steady][single].mean() > confidence[steady][~single].mean()
    ankle = [s.moments[s.coordinates.index("ankle_angle_r")] for s in known]
    assert -3.2 < np.min(np.array(ankle)[steady]) / 70.0 < -0.8  # N m/kg, plantarflexion
    for state in known:
        pressure = state.ground.center_of_pressure_m
        assert (np.isnan(pressure).all(axis=1) == (state.ground.force_n[:, 2] == 0.0)).all()


@pytest.mark.parametrize("lost", ["tibia_r", "femur_l", "pelvis"])
def test_without_a_leg_there_are_no_forces_but_velocities(walk: Walk, lost: str) -> None:
    frames, _ = walk
    states = new_twin().update(without(frames[300:500], lost, slice(100, None)))
    assert states[90].ground is not None
    assert np.isfinite(states[90].moments[states[90].coordinates.index("knee_angle_r")])
    for state in states[102:]:
        assert np.isfinite(state.velocities).all()
        if lost != "pelvis":
            assert state.ground is None
            assert np.isnan(state.moments).all()


def test_a_trunk_without_a_sensor_stays_upright(walk: Walk) -> None:
    frames = walk[0][300:600]
    keep = [i for i, s in enumerate(frames.segments) if s != "torso"]
    segments = tuple(frames.segments[i] for i in keep)
    legs = BodyFrames(
        segments,
        frames.time_s,
        frames.acc_mps2[:, keep],
        frames.gyr_radps[:, keep],
        frames.quat_wxyz[:, keep],
        frames.body_quat_wxyz[:, keep],
        frames.status[:, keep],
    )
    # a sensor on the trunk would also tell of the others' headings
    twin = Twin(build_default_model(1.75, 70.0), segments, TwinSettings(refine=False))
    all_on = new_twin(refine=False).update(frames)
    lumbar = [i for i, name in enumerate(twin.coordinates) if name.startswith("lumbar")]
    rest = [i for i in range(len(twin.coordinates)) if i not in lumbar]
    for state, full in list(zip(twin.update(legs), all_on, strict=True))[100::20]:
        up = quat_rotate(twin.body_poses(state)["torso"][1], [0.0, 1.0, 0.0])
        np.testing.assert_allclose(up, [0.0, 0.0, 1.0], atol=1e-3)
        # nothing that is measured moves by it
        np.testing.assert_allclose(state.positions[rest], full.positions[rest], atol=2e-4)
        assert state.ground is None or np.isnan(state.moments[lumbar]).all()
        assert len(state.residuals_rad) == len(segments)


def without(frames: BodyFrames, segment: str, rows: slice) -> BodyFrames:
    """The same frames with nothing from one segment in some rows."""
    status, quats = frames.status.copy(), frames.body_quat_wxyz.copy()
    column = frames.segments.index(segment)
    status[rows, column] = 0
    quats[rows, column] = np.nan
    return dataclasses.replace(frames, status=status, body_quat_wxyz=quats)


def column(states: list[TwinState], name: str) -> np.ndarray:
    return np.array([s.positions[s.coordinates.index(name)] for s in states])


@pytest.fixture(scope="module")
def walk() -> Walk:
    """12 s of the virtual subject on a straight way: frames at 100 Hz, and the true place of the pelvis."""
    plan = WalkSettings(duration_s=12.0, straight_length_m=100.0)
    truth = simulate(plan).truth
    assert truth is not None
    assert truth.joints is not None
    skeleton = Skeleton(build_default_model(plan.height_m, plan.mass_kg))
    joints = truth.joints
    poses = np.tile(skeleton.default, (len(joints.time_s), 1))
    poses[:, [skeleton.coordinates.index(name) for name in joints.coordinates]] = joints.positions
    # the model's subtalar and toe joints are locked; the subject's are not
    poses[:, skeleton.fixed] = 0.0
    place = poses[:, [skeleton.coordinates.index(f"pelvis_t{axis}") for axis in "xyz"]]
    return frames_of(skeleton, joints.time_s[::2], poses[::2]), place[::2]


def new_twin(**changes: object) -> Twin:
    return Twin(build_default_model(1.75, 70.0), SEGMENTS, TwinSettings(**changes))  # type: ignore[arg-type]


def test_walks_where_the_subject_walks(walk: Walk) -> None:
    frames, place = walk
    states = new_twin().update(frames)
    mine = np.column_stack([column(states, f"pelvis_t{axis}") for axis in "xyz"])
    distance = place[-1, 0] - place[0, 0]
    assert distance > 5.0
    assert mine[-1, 0] - mine[0, 0] == pytest.approx(distance, rel=0.03)
    assert np.abs(mine[:, 2] - mine[0, 2] - (place[:, 2] - place[0, 2])).max() < 0.05
    assert np.abs(mine[:, 1] - place[:, 1]).max() < 0.03
    # no jumps: the pelvis never moves faster than a person's, nor is thrown by a change of foot
    speed = np.linalg.norm(np.diff(mine, axis=0), axis=1) / np.diff(frames.time_s)
    assert speed.max() < 2.5
    assert np.abs(np.diff(speed)).max() < 0.4
    assert {s.stance_side for s in states} >= {Side.LEFT, Side.RIGHT}
    assert all(s.quality > 0.9 and not s.message for s in states)


def test_standing_foot_stays_on_the_ground_and_still(walk: Walk) -> None:
    frames, _ = walk
    twin = new_twin()
    states = twin.update(frames)
    heights: list[float] = []
    speeds: list[float] = []
    last: dict[str, np.ndarray] = {}
    for state in states:
        poses = twin.body_poses(state)
        feet = {side: poses[side.foot] for side in Side}
        ball = {s: origin + quat_rotate(quat, [0.18, 0.0, 0.0]) for s, (origin, quat) in feet.items()}
        standing = state.stance_side
        assert standing is not None
        heights.append(min(feet[standing][0][2], ball[standing][2]))
        moves = [
            float(np.linalg.norm(now[standing] - last[f"{standing}{k}"]))
            for k, now in enumerate(({s: p[0] for s, p in feet.items()}, ball))
            if last
        ]
        speeds.append(float(min(moves, default=0.0)) / 0.01)
        last = {f"{s}{k}": now[s] for k, now in enumerate(({s: p[0] for s, p in feet.items()}, ball)) for s in Side}
    assert np.percentile(np.abs(heights), 95) < 0.02
    assert np.percentile(speeds, 95) < 0.15


def test_turned_world_turns_the_way(walk: Walk) -> None:
    frames, _ = walk
    turn = quat_about_z(1.0)
    turned = dataclasses.replace(frames, body_quat_wxyz=quat_multiply(turn, frames.body_quat_wxyz))
    twin = new_twin()
    straight = twin.body_poses(twin.update(frames)[-1])["pelvis"][0]
    twin.reset()
    aside = twin.body_poses(twin.update(turned)[-1])["pelvis"][0]
    np.testing.assert_allclose(aside, quat_rotate(turn, straight), atol=0.02)


@given(cuts=st.lists(st.integers(0, 250), max_size=8), lost=st.sampled_from(SEGMENTS))
@settings(max_examples=8, deadline=None)
def test_blocks_of_any_size_give_the_same_states(walk: Walk, cuts: list[int], lost: str) -> None:
    frames = without(walk[0][300:550], lost, slice(60, 140))
    whole = new_twin().update(frames)
    twin, pieces = new_twin(), []
    edges = [0, *sorted(cuts), len(frames)]
    for start, end in itertools.pairwise(edges):
        pieces += twin.update(frames[start:end])
    assert len(pieces) == len(whole)
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.velocities, b.velocities)
        np.testing.assert_array_equal(a.moments, b.moments)
        assert (a.ground is None) == (b.ground is None)
        if a.ground is not None and b.ground is not None:
            np.testing.assert_array_equal(a.ground.force_n, b.ground.force_n)
            np.testing.assert_array_equal(a.ground.center_of_pressure_m, b.ground.center_of_pressure_m)
        assert (a.quality, a.message, a.stance_side) == (b.quality, b.message, b.stance_side)


def test_poses_are_told_before_the_forces(walk: Walk) -> None:
    told: list[tuple[float, np.ndarray]] = []
    twin = new_twin()
    states = twin.update(walk[0][300:400], posed=lambda time_s, values: told.append((time_s, values.copy())))
    assert [time_s for time_s, _ in told] == [state.time_s for state in states]
    for (_, values), state in zip(told, states, strict=True):
        np.testing.assert_array_equal(values, state.positions)


def test_reset_begins_anew(walk: Walk) -> None:
    frames = walk[0][400:500]
    twin = new_twin()
    first = twin.update(frames)
    twin.reset()
    second = twin.update(frames)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)


def test_velocities_lag_by_what_is_said() -> None:
    skeleton = Skeleton(build_default_model(1.75, 70.0))
    time_s = np.arange(300) * 0.01
    knee = skeleton.coordinates.index("knee_angle_r")
    poses = np.tile(skeleton.default, (300, 1))
    poses[:, knee] = 0.6 + 0.5 * np.sin(2.0 * np.pi * time_s)
    states = new_twin().update(frames_of(skeleton, time_s, poses))
    delay = states[-1].velocity_delay_s
    assert delay == pytest.approx(0.03)
    truth = np.pi * np.cos(2.0 * np.pi * (time_s - delay))
    got = np.array([s.velocities[knee] for s in states])
    # a parabola over 0.07 s leaves half a percent of a 1 Hz sine
    np.testing.assert_allclose(got[20:], truth[20:], atol=0.03)


@pytest.mark.parametrize("lost", ["pelvis", "tibia_r", "calcn_l"])
def test_a_lost_sensor_is_said_and_the_rest_goes_on(walk: Walk, lost: str) -> None:
    frames = without(walk[0][300:700], lost, slice(100, 250))
    states = new_twin().update(frames)
    assert all(np.isfinite(s.positions).all() and np.isfinite(s.velocities).all() for s in states)
    during, after = states[150], states[-1]
    assert lost in during.message
    assert during.quality < states[90].quality
    assert np.isnan(during.residuals_rad[SEGMENTS.index(lost)])
    assert after.message == ""
    assert after.quality > 0.9


def test_nothing_measured_holds_and_recovers(walk: Walk) -> None:
    frames = walk[0][300:900]
    for segment in SEGMENTS:
        frames = without(frames, segment, slice(100, 400))
    states = new_twin().update(frames)
    assert all(np.isfinite(s.positions).all() for s in states)
    assert states[200].quality == 0.0
    assert states[200].stance_side is None
    assert states[390].positions[states[0].coordinates.index("knee_angle_r")] == pytest.approx(0.0, abs=0.02)
    gap = column(states, "pelvis_tx")[99:402]
    assert np.ptp(gap) < 0.05
    assert states[-1].quality > 0.9


def test_time_that_jumps_back_is_a_gap(walk: Walk) -> None:
    frames = walk[0][300:500]
    again = dataclasses.replace(frames, time_s=frames.time_s - 100.0)
    twin = new_twin()
    states = twin.update(frames) + twin.update(again)
    assert all(np.isfinite(s.positions).all() and np.isfinite(s.velocities).all() for s in states)
    assert np.abs(np.diff(column(states, "pelvis_tx"))).max() < 0.05


def test_before_calibration_the_twin_stands_and_says_so(walk: Walk) -> None:
    frames = walk[0][:50]
    raw = dataclasses.replace(frames, status=np.full_like(frames.status, SlotStatus.VALID | SlotStatus.ORIENTED))
    states = new_twin().update(raw)
    assert all(s.quality == 0.0 and "Not calibrated" in s.message for s in states)
    assert all(np.isfinite(s.positions).all() for s in states)


def test_provisional_heading_halves_quality_and_its_end_is_no_step(walk: Walk) -> None:
    frames = walk[0][300:500]
    status = frames.status.copy()
    status[:100] &= ~np.uint8(SlotStatus.HEADING)
    quats = frames.body_quat_wxyz.copy()
    quats[:100] = quat_multiply(quat_about_z(-1.2), quats[:100])
    states = new_twin().update(dataclasses.replace(frames, status=status, body_quat_wxyz=quats))
    assert states[50].quality <= 0.5
    assert "provisional" in states[50].message
    assert states[150].quality > 0.9
    assert np.abs(np.diff(column(states, "pelvis_tx"))).max() < 0.05


@pytest.mark.parametrize("segments", [("calcn_l", "calcn_r"), ("pelvis", "tibia_l", "tibia_r"), ("femur_r", "tibia_r")])
def test_too_few_sensors_give_no_skeleton_and_say_what_is_needed(walk: Walk, segments: tuple[str, ...]) -> None:
    frames = walk[0]
    columns = [SEGMENTS.index(s) for s in segments]
    names = ("acc_mps2", "gyr_radps", "quat_wxyz", "body_quat_wxyz", "status")
    few = BodyFrames(segments, frames.time_s[:10], *(getattr(frames, name)[:10, columns] for name in names))
    twin = Twin(build_default_model(1.75, 70.0), segments)
    states = twin.update(few)
    assert len(states) == 10
    assert twin.coordinates == ()
    assert states[0].coordinates == ()
    assert states[0].quality == 0.0
    assert "pelvis" in states[0].message
    assert "femur" in states[0].message
    assert twin.body_poses(states[0]) == {}
    twin.reset()


def test_a_sensor_put_on_askew_is_named(walk: Walk) -> None:
    frames = walk[0][300:320]
    quats = frames.body_quat_wxyz.copy()
    quats[:, SEGMENTS.index("calcn_r")] = quat_multiply(quat_about_z(1.0), quats[:, SEGMENTS.index("calcn_r")])
    state = new_twin().update(dataclasses.replace(frames, body_quat_wxyz=quats))[-1]
    assert state.quality < 0.6
    assert "calcn_r" in state.message


def test_a_sensor_of_no_weight_is_left_out(walk: Walk) -> None:
    twin = new_twin(weights=("torso=0", "calcn_l=0.5"))
    assert "torso" not in twin.sensors
    assert len(twin.update(walk[0][:3])[-1].residuals_rad) == len(SEGMENTS) - 1


def test_poses_of_another_model_are_refused(walk: Walk) -> None:
    state = new_twin().update(walk[0][:1])[0]
    with pytest.raises(InputError, match="another model"):
        new_twin().body_poses(dataclasses.replace(state, coordinates=("knee",), positions=np.zeros(1)))


@pytest.mark.parametrize(
    "bad",
    [
        {"weights": ("calcn_r=heavy",)},
        {"weights": ("nose=1",)},
        {"weights": ("calcn_r=-1",)},
        {"hold_s": -1.0},
        {"height_m": 7.0},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        TwinSettings(**bad)  # type: ignore[arg-type]


def test_that_a_model_weighs_something_else_than_the_person_is_said() -> None:
    model = build_default_model(1.75, 75.0)

    def about(mass_kg: float) -> list[str]:
        twin = Twin(model, SEGMENTS, TwinSettings(mass_kg=mass_kg))
        return [notice for notice in twin.notices if "weighs" in notice]

    assert len(about(85.0)) == 1
    assert "75.0 kg" in about(85.0)[0]
    assert "85.0 kg" in about(85.0)[0]
    assert not about(75.5)
    assert not about(0.0)


def test_settings_make_the_model(tmp_path: Path) -> None:
    model = make_model(TwinSettings(height_m=1.6, mass_kg=60.0))
    assert model.getTotalMass(model.initSystem()) == pytest.approx(60.0)
    with pytest.raises(InputError, match="no model file"):
        make_model(TwinSettings(model_path=str(tmp_path / "x.osim")))
