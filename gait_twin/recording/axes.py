"""The one place for axes: OpenSim's y-up against ROS's z-up, and the quaternion algebra used everywhere.

OpenSim: x forward, y up, z right. ROS (REP-103): x forward, y left, z up. Both are right-handed and share
x, so the conversion is a quarter turn about x. Quaternions are (..., 4), scalar first, unit, and rotate the
first-named frame's vectors into the second's: ``quat_rotate(q_ab, v_a)`` gives ``v_b``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

OPENSIM_TO_ROS: FloatArray = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""(3, 3) rotation of OpenSim vectors into ROS axes."""
OPENSIM_TO_ROS_QUAT_WXYZ: FloatArray = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
"""(4,) the same rotation as a quaternion; also the orientation of every body in the neutral standing pose."""

OPENSIM_TO_ROS.setflags(write=False)
OPENSIM_TO_ROS_QUAT_WXYZ.setflags(write=False)


def opensim_to_ros(vectors: ArrayLike) -> FloatArray:
    """(..., 3) vectors in OpenSim's y-up world as vectors in the ROS z-up world."""
    v = np.asarray(vectors, dtype=float)
    return np.stack([v[..., 0], -v[..., 2], v[..., 1]], axis=-1)


def ros_to_opensim(vectors: ArrayLike) -> FloatArray:
    """(..., 3) vectors in the ROS z-up world as vectors in OpenSim's y-up world."""
    v = np.asarray(vectors, dtype=float)
    return np.stack([v[..., 0], v[..., 2], -v[..., 1]], axis=-1)


# rows of the matrix that multiplies from the left by a quaternion, as places and signs of its elements
_LEFT = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
_LEFT_SIGN = np.array([[1.0, -1, -1, -1], [1, 1, -1, 1], [1, 1, 1, -1], [1, -1, 1, 1]])
# components of a cross product
_NEXT, _AFTER = np.array([1, 2, 0]), np.array([2, 0, 1])


def quat_multiply(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """(..., 4) Hamilton product of two broadcastable quaternions: rotate by `b`, then by `a`."""
    left = np.asarray(a, dtype=float)[..., _LEFT] * _LEFT_SIGN
    return np.asarray(np.einsum("...ij,...j->...i", left, np.asarray(b, dtype=float)))


def quat_conjugate(q: ArrayLike) -> FloatArray:
    """(..., 4) the inverse rotation of a unit quaternion."""
    return np.asarray(q, dtype=float) * np.array([1.0, -1.0, -1.0, -1.0])


def quat_rotate(q: ArrayLike, vectors: ArrayLike) -> FloatArray:
    """(..., 3) vectors rotated by broadcastable unit quaternions."""
    q, v = np.asarray(q, dtype=float), np.asarray(vectors, dtype=float)
    xyz = q[..., 1:]
    t = 2.0 * cross(xyz, v)
    return v + q[..., :1] * t + cross(xyz, t)


def cross(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """(..., 3) cross product of broadcastable vectors; several times as fast as numpy's on single ones."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a[..., _NEXT] * b[..., _AFTER] - a[..., _AFTER] * b[..., _NEXT]


def quat_from_rotvec(rotvec: ArrayLike) -> FloatArray:
    """(..., 4) quaternion turning about `rotvec` (..., 3) by its length, rad."""
    half = 0.5 * np.asarray(rotvec, dtype=float)
    angle = np.linalg.norm(half, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle), half * np.sinc(angle / np.pi)], axis=-1)


def rotvec_from_quat(q: ArrayLike) -> FloatArray:
    """(..., 3) rotation vector, rad, of at most half a turn."""
    q = np.asarray(q, dtype=float)
    q = np.where(q[..., :1] < 0.0, -q, q)
    xyz = q[..., 1:]
    length = np.linalg.norm(xyz, axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(length, q[..., :1])
    # sin(x) ~ x keeps small rotations exact
    return xyz * np.where(length > 1e-9, angle / np.maximum(length, 1e-9), 2.0)


def quat_about_z(angle_rad: ArrayLike) -> FloatArray:
    """(..., 4) quaternion turning the z-up world to the left by `angle_rad` (...,)."""
    half = 0.5 * np.asarray(angle_rad, dtype=float)
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def quat_slerp(a: ArrayLike, b: ArrayLike, fraction: ArrayLike) -> FloatArray:
    """(..., 4) spherical interpolation from `a` (fraction 0) to `b` (1) along the shorter arc."""
    a, b, f = np.asarray(a, dtype=float), np.asarray(b, dtype=float), np.asarray(fraction, dtype=float)
    step = rotvec_from_quat(quat_multiply(quat_conjugate(a), b))
    return quat_multiply(a, quat_from_rotvec(f[..., None] * step))


def angle_between(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """(...,) angle of the rotation from `a` to `b`, rad, 0 to pi."""
    return np.asarray(np.linalg.norm(rotvec_from_quat(quat_multiply(quat_conjugate(a), b)), axis=-1))
