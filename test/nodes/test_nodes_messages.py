"""Topics, their quality of service, and samples read from bytes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import serialize_message

from gait_twin.errors import InputError
from gait_twin.nodes.cdr import header_stamp_ns, imu_sample
from gait_twin.nodes.topics import BODY_IMUS, GAIT_EVENTS, KNOWN, ROBOT_DESCRIPTION, Flow, imu_raw, qos
from gait_twin.recording.messages import from_imu, make_ros_message, to_imu

number = st.floats(-1e6, 1e6)
triple = st.tuples(number, number, number)


@given(
    stamp=st.integers(0, 2**31 * 10**9 - 1),
    frame=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    acc=triple,
    gyr=st.none() | triple,
    quat=st.none() | st.tuples(number, number, number, number),
)
def test_a_sample_read_from_bytes_is_the_decoded_one(stamp, frame, acc, gyr, quat) -> None:
    message = to_imu(make_ros_message, stamp, frame, acc, gyr, quat)
    data = serialize_message(message)
    assert imu_sample(data) == from_imu(message)
    assert header_stamp_ns(data) == stamp


def test_acceleration_that_is_not_there_is_nan() -> None:
    message = to_imu(make_ros_message, 1, "x", (1.0, 2.0, 3.0))
    message.linear_acceleration_covariance[0] = -1.0
    assert all(math.isnan(value) for value in imu_sample(serialize_message(message)).acc_mps2)


def test_a_cut_sample_is_refused_with_a_sentence() -> None:
    data = serialize_message(to_imu(make_ros_message, 1, "x", (1.0, 2.0, 3.0)))
    with pytest.raises(InputError, match="not whole"):
        imu_sample(data[:200])


@pytest.mark.parametrize("topic", KNOWN.values(), ids=str)
def test_every_topic_has_a_type_that_is_installed(topic) -> None:
    assert topic.message_class


def test_samples_are_best_effort_for_a_tenth_of_a_second() -> None:
    profile = qos(imu_raw("pelvis"), rate_hz=200.0)
    assert profile.reliability is ReliabilityPolicy.BEST_EFFORT
    assert profile.depth == 20
    assert qos(BODY_IMUS, lossless=True).reliability is ReliabilityPolicy.RELIABLE


def test_results_are_reliable_and_descriptions_are_kept() -> None:
    assert qos(GAIT_EVENTS).reliability is ReliabilityPolicy.RELIABLE
    assert qos(ROBOT_DESCRIPTION).durability is DurabilityPolicy.TRANSIENT_LOCAL
    assert {topic.flow for topic in KNOWN.values()} == set(Flow)
