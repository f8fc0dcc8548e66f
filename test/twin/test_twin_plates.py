"""Measured ground reactions: how they are kept, expressed, and used in place of predicted ones."""

from __future__ import annotations

import numpy as np
import pytest

from gait_twin.recording import Side
from gait_twin.recording.axes import OPENSIM_TO_ROS_QUAT_WXYZ, opensim_to_ros, quat_conjugate, quat_rotate
from gait_twin.twin import Frame, InverseDynamics, Plates, Skeleton, build_default_model
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.ground import GroundPredictor
from gait_twin.twin.model import sole_points

FORCE = np.array([30.0, 690.0, -12.0])
POINT = np.array([0.12, 0.0, -0.1])
FREE_MOMENT = 3.0


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return Skeleton(build_default_model(1.75, 70.0))


def wrench(skeleton: Skeleton, frame: Frame) -> np.ndarray:
    """The same reaction on the right foot, expressed as each kind of device does."""
    moment = np.cross(POINT, FORCE) + np.array([0.0, FREE_MOMENT, 0.0])
    if frame is Frame.FOOT:
        (origin,), (quat,) = skeleton.origins(["calcn_r"]), skeleton.quaternions(["calcn_r"])
        back = quat_conjugate(quat)
        return np.concatenate([quat_rotate(back, FORCE), quat_rotate(back, moment - np.cross(origin, FORCE))])
    return np.concatenate([opensim_to_ros(FORCE), opensim_to_ros(moment)])


@pytest.mark.parametrize("frame", Frame)
def test_every_frame_gives_the_same_force_and_pressure(skeleton: Skeleton, frame: Frame) -> None:
    values = skeleton.default.copy()
    values[skeleton.coordinates.index("ankle_angle_r")] = 0.2
    skeleton.set(values)
    soles = sole_points(skeleton.model, "calcn_r", "calcn_l")
    plates = Plates()
    for time_s in (1.0, 1.01):
        plates.push(Side.RIGHT, time_s, wrench(skeleton, frame), frame)
    right, left = plates.at(1.004, skeleton, soles)
    assert left is None
    np.testing.assert_allclose(right.force, FORCE, atol=1e-9)
    if frame is Frame.LEVEL:
        assert right.point is None
    else:
        np.testing.assert_allclose(right.point, POINT, atol=1e-9)
        np.testing.assert_allclose(right.torque, [0.0, FREE_MOMENT, 0.0], atol=1e-9)


def test_late_lost_and_senseless_samples_are_not_used(skeleton: Skeleton) -> None:
    soles = sole_points(skeleton.model, "calcn_r", "calcn_l")
    plates = Plates()
    assert not plates.used
    good = wrench(skeleton, Frame.WORLD)
    for time_s in (1.0, 1.01, 1.01, 0.9, 1.3):
        plates.push(Side.RIGHT, time_s, good, Frame.WORLD)
    plates.push(Side.RIGHT, 1.31, np.full(6, np.nan), Frame.WORLD)
    assert plates.used
    known = {t: plates.at(t, skeleton, soles)[0] is not None for t in (0.99, 1.0, 1.005, 1.01, 1.1, 1.3, 1.31)}
    assert known == {0.99: False, 1.0: True, 1.005: True, 1.01: True, 1.1: False, 1.3: True, 1.31: False}
    # an empty plate measures too: nothing
    plates.push(Side.LEFT, 1.0, 0.01 * good, Frame.WORLD)
    assert not plates.at(1.0, skeleton, soles)[1].force.any()
    # and one whose sign is turned is found out
    for k in range(200):
        plates.push(Side.LEFT, 2.0 + 0.01 * k, -good, Frame.WORLD)
    assert plates.at(3.0, skeleton, soles)[1] is None
    assert "left foot points down" in plates.message


def test_axes_of_a_treadmill_are_turned(skeleton: Skeleton) -> None:
    plates = Plates(yaw_rad=np.pi / 2)
    plates.push(Side.RIGHT, 1.0, [100.0, 0.0, 700.0, 0.0, 0.0, 0.0], Frame.LEVEL)
    load = plates.at(1.0, skeleton, sole_points(skeleton.model, "calcn_r", "calcn_l"))[0]
    np.testing.assert_allclose(quat_rotate(OPENSIM_TO_ROS_QUAT_WXYZ, load.force), [0.0, 100.0, 700.0], atol=1e-9)


def test_one_plate_leaves_the_rest_to_the_other_foot(skeleton: Skeleton) -> None:
    """Standing on both feet: what one plate does not carry, the other foot must; both measured leave the residual."""
    dynamics = InverseDynamics(skeleton)
    soles = sole_points(skeleton.model, "calcn_r", "calcn_l")
    predictor = GroundPredictor(dynamics, "pelvis", soles, ["tibia_r", "tibia_l"])
    still = np.zeros(len(skeleton.coordinates))
    free = dynamics.solve(skeleton.default, still, still)
    contact = ContactTracker()
    plates = Plates()
    plates.push(Side.RIGHT, 1.0, [0.0, 0.0, 500.0, 0.0, 0.0, 0.0], Frame.LEVEL)
    one = predictor.predict(1.0, free, contact, measured=plates.at(1.0, skeleton, soles))
    np.testing.assert_allclose(one.force[:, 1], [500.0, dynamics.weight_n - 500.0], atol=1e-6)
    assert one.measured == (True, False)
    plates.push(Side.LEFT, 1.0, [0.0, 0.0, 100.0, 0.0, 0.0, 0.0], Frame.LEVEL)
    both = predictor.predict(1.0, free, contact, measured=plates.at(1.0, skeleton, soles))
    np.testing.assert_allclose(both.residual_force, [0.0, dynamics.weight_n - 600.0, 0.0], atol=1e-6)
    assert both.confidence < one.confidence
