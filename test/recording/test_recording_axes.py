"""Axes and quaternion algebra, against scipy's Rotation."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gait_twin.recording import axes


def wxyz(rotation: Rotation) -> np.ndarray:
    return np.roll(rotation.as_quat(), 1, axis=-1)


def test_opensim_axes_in_ros():
    assert axes.opensim_to_ros([1, 0, 0]) == pytest.approx([1, 0, 0])  # forward
    assert axes.opensim_to_ros([0, 1, 0]) == pytest.approx([0, 0, 1])  # up
    assert axes.opensim_to_ros([0, 0, 1]) == pytest.approx([0, -1, 0])  # right


def test_conversion_forms_agree():
    v = np.random.default_rng(0).normal(size=(4, 5, 3))
    ros = axes.opensim_to_ros(v)
    np.testing.assert_allclose(ros, v @ axes.OPENSIM_TO_ROS.T)
    np.testing.assert_allclose(ros, axes.quat_rotate(axes.OPENSIM_TO_ROS_QUAT_WXYZ, v), atol=1e-12)
    np.testing.assert_allclose(axes.ros_to_opensim(ros), v)


def test_algebra_agrees_with_scipy():
    rng = np.random.default_rng(1)
    a, b = Rotation.random(50, rng=rng), Rotation.random(50, rng=rng)
    v = rng.normal(size=(50, 3))
    np.testing.assert_allclose(np.abs(np.sum(axes.quat_multiply(wxyz(a), wxyz(b)) * wxyz(a * b), axis=1)), 1.0)
    np.testing.assert_allclose(axes.quat_rotate(wxyz(a), v), a.apply(v))
    np.testing.assert_allclose(axes.quat_rotate(axes.quat_conjugate(wxyz(a)), v), a.inv().apply(v))
    np.testing.assert_allclose(axes.rotvec_from_quat(wxyz(a)), a.as_rotvec(), atol=1e-12)
    np.testing.assert_allclose(axes.rotvec_from_quat(-wxyz(a)), a.as_rotvec(), atol=1e-12)
    np.testing.assert_allclose(axes.rotvec_from_quat(axes.quat_from_rotvec(a.as_rotvec())), a.as_rotvec(), atol=1e-12)
    np.testing.assert_allclose(axes.angle_between(wxyz(a), wxyz(b)), (a.inv() * b).magnitude(), atol=1e-12)


def test_no_rotation_is_exact():
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(axes.rotvec_from_quat(identity), np.zeros(3))
    np.testing.assert_array_equal(axes.quat_from_rotvec(np.zeros(3)), identity)
    tiny = np.array([1e-12, 0.0, 0.0])
    np.testing.assert_allclose(axes.rotvec_from_quat(axes.quat_from_rotvec(tiny)), tiny)


def test_slerp_takes_the_shorter_arc():
    a, b = axes.quat_about_z(0.2), -axes.quat_about_z(0.6)
    assert axes.angle_between(axes.quat_slerp(a, b, 0.25), axes.quat_about_z(0.3)) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(axes.quat_rotate(axes.quat_about_z(np.pi / 2), [1, 0, 0]), [0, 1, 0], atol=1e-12)
