"""Vocabulary to messages and back, for the classes of rosbags and of ROS alike."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import (
    SEGMENTS,
    BodyFrames,
    EventKind,
    FootPose,
    GaitClass,
    GaitEvent,
    GaitPhase,
    GroundReaction,
    Side,
    Step,
    Stride,
    Subject,
    TwinState,
)
from gait_twin.recording import messages as m

BASE = m.TimeBase(1_700_000_000_123_456_789)
RNG = np.random.default_rng(0)


@pytest.fixture(params=["bag", "ros"])
def make(request):
    if request.param == "bag":
        return m.make_bag_message
    pytest.importorskip("gait_twin_msgs.msg")
    return m.make_ros_message


def same(a, b):
    for name in a.__dataclass_fields__:
        x, y = getattr(a, name), getattr(b, name)
        if isinstance(x, float | np.ndarray):
            np.testing.assert_allclose(x, y, atol=1e-9, err_msg=name)
        else:
            assert x == y, name


@given(st.integers(0, 2**30 * 10**9), st.integers(0, 10**15))
def test_nanoseconds_survive_the_way_through_seconds(origin_ns, after_ns):
    base = m.TimeBase(origin_ns)
    stamp = m.make_stamp(m.make_bag_message, origin_ns + after_ns)
    assert base.ns(base.seconds(stamp)) == origin_ns + after_ns


def test_time_beyond_a_stamp_is_refused():
    with pytest.raises(InputError, match="2038"):
        m.make_stamp(m.make_bag_message, 2**31 * 10**9)


@pytest.mark.parametrize("gyr", [None, (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("quat", [None, (0.5, 0.5, -0.5, 0.5)])
def test_imu(make, gyr, quat):
    message = m.to_imu(make, 5_000_000_007, m.imu_frame("calcn_r"), (0.1, -9.8, 0.3), gyr, quat)
    assert m.from_imu(message) == (5_000_000_007, (0.1, -9.8, 0.3), gyr, quat)
    assert message.header.frame_id == "calcn_r_imu"
    # REP-145: what is not there has -1 in front of its covariance
    assert message.angular_velocity_covariance[0] == (0.0 if gyr else -1.0)
    assert message.orientation_covariance[0] == (0.0 if quat else -1.0)


def test_imu_with_zero_quaternion_has_no_orientation():
    message = m.to_imu(m.make_bag_message, 0, "", (0.0, 0.0, 9.8), None, (0.0, 0.0, 0.0, 0.0))
    assert m.from_imu(message).quat_wxyz is None


def test_magnetic_field_is_in_tesla(make):
    message = m.to_magnetic_field(make, 7, "x", (20.0, -30.0, 40.0))
    assert message.magnetic_field.x == pytest.approx(20e-6)
    assert m.from_magnetic_field(message) == (7, pytest.approx((20.0, -30.0, 40.0)))


def test_body_imus(make):
    k = len(SEGMENTS)
    frames = BodyFrames(
        SEGMENTS,
        np.array([0.5, 0.51]),
        RNG.normal(size=(2, k, 3)),
        RNG.normal(size=(2, k, 3)),
        RNG.normal(size=(2, k, 4)),
        np.full((2, k, 4), np.nan),
        RNG.integers(0, 127, (2, k)).astype(np.uint8),
    )
    same(m.from_body_imus(BASE, m.to_body_imus(make, BASE, frames, row=1)), frames[1:])


def test_body_imus_of_unequal_lengths_is_refused():
    frames = BodyFrames(("pelvis",), np.zeros(1), *(np.zeros((1, 1, w)) for w in (3, 3, 4, 4)), np.zeros((1, 1), "u1"))
    message = m.to_body_imus(m.make_bag_message, BASE, frames)
    message.segments.append("torso")
    with pytest.raises(InputError, match="2 segments"):
        m.from_body_imus(BASE, message)


@pytest.mark.parametrize(
    ("value", "to", "back"),
    [
        (GaitEvent(1.25, Side.LEFT, EventKind.TOE_OFF, 0.9, 0.04), m.to_gait_event, m.from_gait_event),
        (Step(Side.RIGHT, 3.5, 0.55, 0.7, 0.01), m.to_step, m.from_step),
        (Stride(Side.LEFT, 1.0, 2.1, 1.7, 1.3, 0.02, turning_angle_rad=-0.2, valid=False), m.to_stride, m.from_stride),
        (Stride(Side.RIGHT, 1.0, 2.1), m.to_stride, m.from_stride),
        (
            GaitClass(9.0, 2.5, 11, ("normal", "crouch"), np.array([0.1, 0.9]), 0.7, False, Side.LEFT, 0.8,
                      ("pelvis", "calcn_l"), "gait_patterns"),
            m.to_gait_class,
            m.from_gait_class,
        ),
        (GaitClass(9.0, 2.5, 1, ("a",), np.ones(1), 1.7, True), m.to_gait_class, m.from_gait_class),
        (
            TwinState(2.0, ("a", "b"), np.ones(2), np.zeros(2), 0.02, np.full(2, np.nan), ("pelvis",), np.ones(1),
                      None, 0.5, "few sensors"),
            m.to_twin_state,
            m.from_twin_state,
        ),
    ],
)  # fmt: skip
def test_results(make, value, to, back):
    same(back(BASE, to(make, BASE, value)), value)


def test_stride_carries_speed_and_cadence(make):
    message = m.to_stride(make, BASE, Stride(Side.LEFT, 1.0, 2.0, stride_length_m=1.4))
    assert (message.stride_time, message.speed, message.cadence) == pytest.approx((1.0, 1.4, 120.0))


def test_gait_phase_of_one_leg(make):
    left = GaitPhase(1.0, Side.LEFT, True, False, 0.7, 1.1, 0.8)
    back = m.from_gait_phase(BASE, m.to_gait_phase(make, BASE, left, None))
    assert back[0] == left
    assert not back[1].walking
    assert math.isnan(back[1].phase)
    with pytest.raises(ValueError, match="one instant"):
        m.to_gait_phase(make, BASE, None, None)


def test_odometry_twist_is_in_the_child_frame(make):
    quarter_left = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
    pose = FootPose(1.0, Side.RIGHT, np.array([1.0, 2, 3]), np.array([0.0, 1, 0]), quarter_left, np.full(3, 0.1), False)
    message = m.to_odometry(make, BASE, pose)
    assert message.twist.twist.linear.x == pytest.approx(1.0)
    same(m.from_odometry(BASE, message, Side.RIGHT), pose)


def test_ground_reactions_are_wrenches_at_the_centre_of_pressure(make):
    force, nan3 = np.array([[10.0, 20.0, 700.0], [0.0, 0.0, 0.0]]), np.full(3, np.nan)
    point = np.array([[1.0, 0.1, 0.0], [np.nan] * 3])
    for measured, source in (((False, False), 1), ((True, False), 2), ((True, True), 2)):
        ground = GroundReaction(1.92, force, point, np.array([2.0, 0.0]), nan3, nan3, 0.7, measured)
        state = TwinState(2.0, ("a",), np.ones(1), np.zeros(1), 0.03, np.ones(1), ("pelvis",), np.ones(1), None, 1.0,
                          "", ground, 0.08, np.full(1, 5.0))  # fmt: skip
        message = m.to_twin_state(make, BASE, state)
        # a foot in the air is nobody's measurement
        assert message.ground_source == source
        wrenches = tuple(m.to_wrench(make, BASE, ground, side, "anna/") for side in Side)
        assert wrenches[0].header.frame_id == "anna/center_of_pressure_left"
        points = tuple(m.to_point(make, BASE, ground.time_s, p, "odom") for p in point.tolist())
        back = m.from_ground_messages(BASE, message, wrenches, points)
        np.testing.assert_array_equal(back.force_n, force)
        np.testing.assert_array_equal(back.center_of_pressure_m, point)
        assert (back.time_s, back.confidence, back.measured) == (1.92, 0.7, (source == 2,) * 2)
    mixed = GroundReaction(1.0, np.ones((2, 3)), np.ones((2, 3)), np.zeros(2), nan3, nan3, 1.0, (True, False))
    assert (m.ground_source(mixed), m.ground_source(None)) == (3, 0)


def test_subject_and_points(make):
    same(m.from_subject(m.to_subject(make, Subject("A", 1.7, model="x.osim"))), Subject("A", 1.7, model="x.osim"))
    assert m.from_point(BASE, m.to_point(make, BASE, 0.5, (1.0, 2.0, 3.0), "truth")) == (0.5, (1.0, 2.0, 3.0))
    message = m.to_joint_state(make, BASE, 0.25, ("hip", "knee"), np.array([0.1, 0.2]))
    time_s, names, positions = m.from_joint_state(BASE, message)
    assert (time_s, names, positions.tolist()) == (0.25, ("hip", "knee"), [0.1, 0.2])


def test_ros_reads_what_rosbags_wrote():
    pytest.importorskip("gait_twin_msgs.msg")
    from rclpy.serialization import deserialize_message, serialize_message

    state = TwinState(
        2.0, ("a", "b"), np.ones(2), np.zeros(2), 0.02, np.ones(2), ("pelvis",), np.ones(1), Side.LEFT, 1.0, "é"
    )
    name = "gait_twin_msgs/msg/TwinState"
    data = bytes(m.typestore().serialize_cdr(m.to_twin_state(m.make_bag_message, BASE, state), name))
    live = m.to_twin_state(m.make_ros_message, BASE, state)
    same(m.from_twin_state(BASE, deserialize_message(data, type(live))), state)
    same(m.from_twin_state(BASE, m.typestore().deserialize_cdr(serialize_message(live), name)), state)
