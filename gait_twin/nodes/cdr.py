"""What is read straight from serialized messages, where making Python objects of them would cost too much.

Layout: 4 bytes of encapsulation, then the fields, each aligned to its size counted from there (OMG CDR, as
ROS 2 uses it).
"""

from __future__ import annotations

import struct

from gait_twin.errors import InputError
from gait_twin.recording.messages import ImuSample

_HEAD = {0: struct.Struct(">iII"), 1: struct.Struct("<iII")}  # stamp and length of frame_id
_IMU = {0: struct.Struct(">37d"), 1: struct.Struct("<37d")}
_HEAD_BYTES = 12
_ENCAPSULATION_BYTES = 4
_NAN3 = (float("nan"),) * 3


def header_stamp_ns(data: bytes) -> int:
    """Stamp of a serialized message that begins with a ``std_msgs/Header``, ns."""
    sec, nanosec, _ = _HEAD[data[1] & 1].unpack_from(data, _ENCAPSULATION_BYTES)
    return sec * 1_000_000_000 + nanosec


def imu_sample(data: bytes) -> ImuSample:
    """Sample of a serialized ``sensor_msgs/Imu``, as `gait_twin.recording.messages.from_imu` gives it.

    Raises
    ------
    InputError
        If the bytes are too few.
    """
    little = data[1] & 1
    try:
        sec, nanosec, length = _HEAD[little].unpack_from(data, _ENCAPSULATION_BYTES)
        start = (_HEAD_BYTES + length + 7) // 8 * 8
        v = _IMU[little].unpack_from(data, _ENCAPSULATION_BYTES + start)
    except (struct.error, IndexError):
        raise InputError(f"An Imu message of {len(data)} bytes is not whole; mend its sender.") from None
    # orientation x y z w, its covariance, angular velocity, its covariance, acceleration, its covariance
    quat = (v[3], v[0], v[1], v[2]) if v[4] != -1.0 and any(v[:4]) else None
    gyr = v[13:16] if v[16] != -1.0 else None
    acc = v[25:28] if v[28] != -1.0 else _NAN3
    return ImuSample(sec * 1_000_000_000 + nanosec, acc, gyr, quat)
