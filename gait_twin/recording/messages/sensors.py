"""Samples of sensors, single and synchronised, to messages and back."""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

import numpy as np

from gait_twin.errors import InputError
from gait_twin.recording.frames import BodyFrames
from gait_twin.recording.gait import NAN
from gait_twin.recording.messages.parts import (
    WORLD_FRAME,
    Quadruple,
    TimeBase,
    Triple,
    floats,
    make_stamp,
    quaternion,
    stamp_ns,
    vector,
)
from gait_twin.recording.typestore import Make

_UNKNOWN = np.zeros(9)
_ABSENT = np.array([-1.0, *[0.0] * 8])
for _covariance in (_UNKNOWN, _ABSENT):
    _covariance.setflags(write=False)


class ImuSample(NamedTuple):
    """One ``sensor_msgs/Imu``: time (ns), m/s², rad/s, w x y z; None for a channel that is not there."""

    time_ns: int
    acc_mps2: Triple
    gyr_radps: Triple | None
    quat_wxyz: Quadruple | None


def to_imu(
    make: Make,
    time_ns: int,
    frame_id: str,
    acc_mps2: Any,
    gyr_radps: Any = None,
    quat_wxyz: Any = None,
) -> Any:
    """``sensor_msgs/Imu`` of one sample (REP-145).

    Parameters
    ----------
    make, time_ns, frame_id
        Factory; instant of the measurement, ns; frame of the sensor's axes, see `imu_frame`.
    acc_mps2, gyr_radps
        3 floats each, m/s² and rad/s; without a gyroscope None: then NaN and covariance[0] = -1.
    quat_wxyz
        4 floats; without orientation None: then the identity and covariance[0] = -1.
    """
    x, y, z = gyr_radps if gyr_radps is not None else (NAN, NAN, NAN)
    qw, qx, qy, qz = quat_wxyz if quat_wxyz is not None else (1.0, 0.0, 0.0, 0.0)
    ax, ay, az = acc_mps2
    return make(
        "sensor_msgs/msg/Imu",
        header=make("std_msgs/msg/Header", stamp=make_stamp(make, time_ns), frame_id=frame_id),
        orientation=quaternion(make, qw, qx, qy, qz),
        orientation_covariance=_ABSENT if quat_wxyz is None else _UNKNOWN,
        angular_velocity=vector(make, x, y, z),
        angular_velocity_covariance=_ABSENT if gyr_radps is None else _UNKNOWN,
        linear_acceleration=vector(make, ax, ay, az),
        linear_acceleration_covariance=_UNKNOWN,
    )


def from_imu(message: Any) -> ImuSample:
    """Sample of a ``sensor_msgs/Imu``; a channel whose covariance[0] is -1 is None, specific force NaN."""
    a, g, q = message.linear_acceleration, message.angular_velocity, message.orientation
    acc = (a.x, a.y, a.z) if message.linear_acceleration_covariance[0] != -1.0 else (NAN, NAN, NAN)
    gyr = (g.x, g.y, g.z) if message.angular_velocity_covariance[0] != -1.0 else None
    quat = (q.w, q.x, q.y, q.z) if message.orientation_covariance[0] != -1.0 else None
    if quat == (0.0, 0.0, 0.0, 0.0):  # drivers without orientation often leave it zero and say nothing
        quat = None
    return ImuSample(stamp_ns(message.header.stamp), acc, gyr, quat)


def to_magnetic_field(make: Make, time_ns: int, frame_id: str, mag_ut: Any) -> Any:
    """``sensor_msgs/MagneticField`` (T) of 3 floats in µT."""
    x, y, z = mag_ut
    return make(
        "sensor_msgs/msg/MagneticField",
        header=make("std_msgs/msg/Header", stamp=make_stamp(make, time_ns), frame_id=frame_id),
        magnetic_field=vector(make, x * 1e-6, y * 1e-6, z * 1e-6),
        magnetic_field_covariance=_UNKNOWN,
    )


def from_magnetic_field(message: Any) -> tuple[int, Triple]:
    """Time (ns) and flux density (µT) of a ``sensor_msgs/MagneticField``."""
    m = message.magnetic_field
    return stamp_ns(message.header.stamp), (m.x * 1e6, m.y * 1e6, m.z * 1e6)


def to_body_imus(make: Make, base: TimeBase, frames: BodyFrames, row: int = 0, frame_id: str = WORLD_FRAME) -> Any:
    """``gait_twin_msgs/BodyImus`` of one row of a block."""
    return make(
        "gait_twin_msgs/msg/BodyImus",
        header=base.header(make, float(frames.time_s[row]), frame_id),
        segments=list(frames.segments),
        status=array("B", frames.status[row].tobytes()),
        specific_force=floats(frames.acc_mps2[row]),
        angular_velocity=floats(frames.gyr_radps[row]),
        orientation=floats(frames.quat_wxyz[row]),
        body_orientation=floats(frames.body_quat_wxyz[row]),
    )


def from_body_imus(base: TimeBase, message: Any) -> BodyFrames:
    """Block of one frame of a ``gait_twin_msgs/BodyImus``.

    Raises
    ------
    InputError
        If an array's length does not fit the number of segments.
    """
    k = len(message.segments)
    try:
        return BodyFrames(
            segments=tuple(message.segments),
            time_s=np.array([base.seconds(message.header.stamp)]),
            acc_mps2=np.array(message.specific_force).reshape(1, k, 3),
            gyr_radps=np.array(message.angular_velocity).reshape(1, k, 3),
            quat_wxyz=np.array(message.orientation).reshape(1, k, 4),
            body_quat_wxyz=np.array(message.body_orientation).reshape(1, k, 4),
            status=np.frombuffer(bytes(message.status), dtype=np.uint8).reshape(1, k),
        )
    except ValueError:
        raise InputError(
            f"A BodyImus message names {k} segments, but its arrays have other lengths; mend its sender."
        ) from None
