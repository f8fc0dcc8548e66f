"""The planned walk and the moving body: events, strides, contact with the floor, joints."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import EventKind, Side
from gait_twin.simulation import SensorSettings, WalkSettings, published, simulate
from gait_twin.simulation.body import BodyMotion, move_body
from gait_twin.simulation.feet import Flight, plan_flights
from gait_twin.simulation.plan import WalkPlan, plan_walk
from gait_twin.simulation.skeleton import Skeleton
from gait_twin.twin import build_default_model

SHORT = WalkSettings(duration_s=14.0, straight_length_m=4.0)
FEET = SensorSettings(segments=("calcn_r", "calcn_l"))


def walk_of(walk: WalkSettings) -> tuple[WalkPlan, BodyMotion]:
    plan = plan_walk(walk)
    return plan, move_body(plan, build_default_model(walk.height_m, walk.mass_kg))


def lowest_m(body: BodyMotion, side: Side) -> float:
    """Lowest height of the round heel, the round forefoot and the toe's tip of a foot over the floor."""
    shape, foot = body.shape, body.feet[side]
    rotation, origin = body.pose(side.foot)

    def height(x: float, over_sole: float) -> np.ndarray:
        point = np.array([x, over_sole - shape.origin_height_m, 0.0])
        return origin[:, 1] + rotation[:, 1] @ point

    heel = height(shape.heel_x_m, shape.heel_radius_m) - shape.heel_radius_m
    ball = height(shape.ball_x_m, shape.ball_radius_m) - shape.ball_radius_m
    toes = shape.toe_x_m - shape.ball_x_m
    toe = height(shape.ball_x_m, 0.0) + toes * np.sin(foot.pitch_rad + foot.toe_bend_rad)
    return float(min(heel.min(), ball.min(), toe.min()))


@settings(max_examples=25, deadline=None)
@given(
    speed=st.floats(0.5, 1.8),
    height=st.floats(1.5, 2.0),
    turn=st.sampled_from([-180.0, -90.0, 0.0, 90.0, 180.0]),
    variability=st.floats(0.0, 2.0),
    seed=st.integers(0, 1000),
)
def test_any_walk_is_possible(speed: float, height: float, turn: float, variability: float, seed: int) -> None:
    """No coordinate is undefined or out of its range, no foot in the floor, events alternate."""
    walk = dataclasses.replace(
        SHORT, speed_mps=speed, height_m=height, turn_angle_deg=turn, variability=variability, seed=seed
    )
    plan, body = walk_of(walk)
    for name, position in body.positions.items():
        assert np.isfinite(position).all(), name
        low, high = body.skeleton.ranges[name]
        # the pelvis goes where the walk goes; a tight turn takes the hips a few degrees past their range
        slack = np.radians(6.0) if name.startswith("hip_rotation") else np.radians(3.0)
        if not name.startswith("pelvis"):
            assert low - slack <= position.min(), name
            assert position.max() <= high + slack, name
    for side in Side:
        assert lowest_m(body, side) > -1e-4
        contacts = [(fall.strike_s, fall.off_s) for fall in plan.footfalls[side]]
        times = [t for pair in contacts for t in pair if np.isfinite(t)]
        assert all(a + 0.1 < b for a, b in itertools.pairwise(times))
    sides = [fall.side for fall in plan.landings]
    assert all(a is not b for a, b in itertools.pairwise(sides))


def test_feet_are_where_they_were_planned() -> None:
    """Legs reach their feet exactly, and a foot on the ground does not slip."""
    plan, body = walk_of(SHORT)
    for side in Side:
        _, origin = body.pose(side.foot)
        np.testing.assert_allclose(origin[:, 0], body.feet[side].place_m[:, 0], atol=1e-9)
        np.testing.assert_allclose(origin[:, 1], body.feet[side].place_m[:, 2], atol=1e-9)
        for fall in plan.footfalls[side]:
            flat = (body.time_s > fall.flat_s) & (body.time_s < fall.rise_s)
            assert np.ptp(origin[flat], axis=0).max() < 1e-9
            np.testing.assert_allclose(body.feet[side].pitch_rad[flat], 0.0, atol=1e-12)


@pytest.mark.parametrize("settle", [False, True])
def test_rolling_does_not_slip(settle: bool) -> None:
    """While the foot rolls over heel or forefoot, the point of contact has no velocity."""
    plan, body = walk_of(dataclasses.replace(SHORT, turn_angle_deg=0.0))
    shape = body.shape
    flights: list[Flight] = plan_flights(plan, Side.RIGHT)
    foot = body.feet[Side.RIGHT]
    heading, pitch = foot.heading_rad, foot.pitch_rad
    x, z = (shape.heel_x_m, shape.heel_radius_m) if settle else (shape.ball_x_m, shape.ball_radius_m)
    along = x * np.cos(pitch) - (z - shape.origin_height_m) * np.sin(pitch)
    center = foot.place_m[:, 0] * np.cos(heading) + foot.place_m[:, 1] * np.sin(heading) + along
    # a rolling centre moves by radius times turn
    slip = np.gradient(center + z * pitch, body.time_s)
    for flight in flights:
        start, end = (flight.settle_s, flight.end.flat_s) if settle else (flight.start.rise_s, flight.release_s)
        rows = (body.time_s > start + 0.01) & (body.time_s < end - 0.01)
        assert np.abs(slip[rows]).max() < 2e-3


def test_numpy_kinematics_equal_opensim() -> None:
    model = build_default_model(1.8, 80.0)
    skeleton = Skeleton(model, ("torso", "toes_r", "toes_l"))
    state = model.initSystem()
    rng = np.random.default_rng(0)
    for _ in range(5):
        positions = {}
        for name, (low, high) in skeleton.ranges.items():
            positions[name] = np.array([rng.uniform(max(low, -1.0), min(high, 1.0))])
            coordinate = model.getCoordinateSet().get(name)
            coordinate.setLocked(state, False)
            coordinate.setValue(state, float(positions[name][0]), False)
        model.realizePosition(state)
        for body in ("pelvis", "torso", "femur_l", "tibia_r", "calcn_l", "toes_r"):
            rotation, place = skeleton.pose(body, positions)
            pose = model.getBodySet().get(body).getTransformInGround(state)
            expected = [[pose.R().get(i, j) for j in range(3)] for i in range(3)]
            np.testing.assert_allclose(rotation[0], expected, atol=1e-12)
            np.testing.assert_allclose(place[0], [pose.p().get(k) for k in range(3)], atol=1e-12)


def test_strides_add_up_to_the_way() -> None:
    """Straight on: stride lengths add up to the way of each foot, steps to the way of both."""
    walk = dataclasses.replace(SHORT, turn_angle_deg=0.0, variability=0.0)
    truth = simulate(walk, FEET).truth
    plan = plan_walk(walk)
    for side in Side:
        own = plan.footfalls[side]
        length = sum(s.stride_length_m for s in truth.strides if s.side is side)
        assert length == pytest.approx(own[-1].place_m[0] - own[1].place_m[0], abs=1e-9)
    assert sum(s.step_length_m for s in truth.steps) == pytest.approx(
        plan.landings[-1].place_m[0] - plan.landings[0].place_m[0], abs=1e-9
    )
    np.testing.assert_allclose([s.step_width_m for s in truth.steps], walk.step_width_m)


def test_truth_agrees_with_itself() -> None:
    """Times of a stride add up, its speed is the walk's, and it ends at the planned heel strikes."""
    walk = dataclasses.replace(SHORT, speed_mps=1.2, variability=0.0, straight_length_m=50.0)
    truth = simulate(walk, FEET).truth
    strikes = [e.time_s for e in truth.events if e.kind is EventKind.HEEL_STRIKE]
    for stride in truth.strides:
        assert stride.stance_time_s + stride.swing_time_s == pytest.approx(stride.stride_time_s)
        assert stride.start_s in strikes
        assert stride.end_s in strikes
        assert 0.0 < stride.double_support_time_s < 0.5 * stride.stride_time_s
    middle = truth.strides[4:-4]
    for stride in middle:
        assert stride.speed_mps == pytest.approx(1.2, rel=1e-3)
        assert stride.stance_time_s / stride.stride_time_s == pytest.approx(
            float(published.stance_fraction(1.2)), abs=1e-3
        )
        assert 0.04 < stride.foot_clearance_m < 0.1
        assert np.degrees(stride.foot_angle_heel_strike_rad) == pytest.approx(20.0, abs=5.0)
        assert np.degrees(stride.foot_angle_toe_off_rad) == pytest.approx(-60.0, abs=8.0)


def test_turns_turn() -> None:
    """Out and back: each foot's turning angles add up to the half turns walked."""
    truth = simulate(dataclasses.replace(SHORT, duration_s=25.0), FEET).truth
    for side in Side:
        total = sum(s.turning_angle_rad for s in truth.strides if s.side is side)
        turns = np.degrees(total) / 180.0
        assert turns >= 1.0
        assert turns == pytest.approx(round(turns), abs=0.05)


def test_joints_follow_the_published_curves() -> None:
    """At normal speed the feet leave room for the published joint angles to a few degrees."""
    plan, body = walk_of(WalkSettings(duration_s=14.0, straight_length_m=50.0, variability=0.0, sway=0.0))
    start, end = plan.footfalls[Side.RIGHT][3:5]
    phase = np.linspace(0.0, 1.0, 101)
    stance, swing = start.off_s - start.strike_s, end.strike_s - start.off_s
    instants = np.where(phase < 0.6, start.strike_s + stance * phase / 0.6, start.off_s + swing * (phase - 0.6) / 0.4)
    for name, limit_deg in (("hip_flexion", 4.0), ("knee_angle", 5.0), ("ankle_angle", 8.0), ("hip_adduction", 5.0)):
        angle = np.interp(instants, body.time_s, body.positions[f"{name}_r"])
        error = np.degrees(angle - published.joint_curve(name, phase))
        assert np.sqrt(np.mean(error**2)) < limit_deg, name


def test_standing_only() -> None:
    recording = simulate(WalkSettings(duration_s=5.0, standing_start_s=3.0, standing_end_s=2.0), FEET)
    assert recording.truth.events == ()
    assert recording.truth.strides == ()
    np.testing.assert_allclose(recording.imus["calcn_r"].gyr_radps, 0.0, atol=1e-9)


@pytest.mark.parametrize("side", list(Side))
def test_asymmetry(side: Side) -> None:
    walk = dataclasses.replace(
        SHORT, length_asymmetry=0.2, time_asymmetry=0.1, variability=0.0, turn_angle_deg=0.0, first_side=side.value
    )
    steps = simulate(walk, FEET).truth.steps[2:-3]
    for value, expected in (("step_length_m", 0.2), ("step_time_s", 0.1)):
        right, left = (np.mean([getattr(s, value) for s in steps if s.side is k]) for k in (Side.RIGHT, Side.LEFT))
        assert (right - left) / (0.5 * (right + left)) == pytest.approx(expected, abs=1e-6)


def test_natural_gait() -> None:
    """Speed and cadence give each other back; taller people take longer, fewer steps."""
    speed, cadence = published.natural_gait(1.7, speed_mps=1.3)
    assert published.natural_gait(1.7, cadence_spm=cadence)[0] == pytest.approx(speed)
    assert 100.0 < cadence < 120.0
    assert published.natural_gait(1.9, speed_mps=1.3)[1] < cadence
    assert published.natural_gait(1.7, 1.0, 90.0) == (1.0, 90.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed_mps": 0.1},
        {"cadence_spm": 10.0},
        {"speed_mps": 2.0, "cadence_spm": 50.0},
        {"height_m": float("nan")},
        {"first_side": "both"},
    ],
)
def test_impossible_walks_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"WalkSettings.*give|choose"):
        plan_walk(WalkSettings(**wrong))
