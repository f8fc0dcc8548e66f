"""What every conversion shares: stamps, frames, vectors and arrays."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.typestore import Make

WORLD_FRAME = "odom"
"""Frame id of the walk's own z-up world (REP-105: continuous, drifts slowly)."""

Triple = tuple[float, float, float]
Quadruple = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TimeBase:
    """Where the float seconds of the vocabulary begin.

    A recent origin keeps whole nanoseconds exact in a float for 104 days.

    Attributes
    ----------
    origin_ns
        Unix time (or simulated time) of 0 s, ns.
    """

    origin_ns: int = 0

    def ns(self, time_s: float) -> int:
        """Absolute time of `time_s`, ns."""
        return self.origin_ns + round(time_s * 1e9)

    def seconds(self, stamp: Any) -> float:
        """Seconds after the origin of a ``builtin_interfaces/Time``."""
        return self.seconds_of(stamp_ns(stamp))

    def seconds_of(self, time_ns: int) -> float:
        """Seconds after the origin of an absolute time, ns."""
        return (time_ns - self.origin_ns) / 1e9

    def stamp(self, make: Make, time_s: float) -> Any:
        """``builtin_interfaces/Time`` of `time_s`; 0 for NaN."""
        return make_stamp(make, 0 if math.isnan(time_s) else self.ns(time_s))

    def header(self, make: Make, time_s: float, frame_id: str) -> Any:
        """``std_msgs/Header`` of an instant and a frame."""
        return make("std_msgs/msg/Header", stamp=self.stamp(make, time_s), frame_id=frame_id)


def stamp_ns(stamp: Any) -> int:
    """Time of a ``builtin_interfaces/Time``, ns."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def make_stamp(make: Make, time_ns: int) -> Any:
    """``builtin_interfaces/Time`` of a time in ns.

    Raises
    ------
    InputError
        If the message cannot hold the time (before 1902 or after 2038).
    """
    sec, nanosec = divmod(time_ns, 1_000_000_000)
    if not -(2**31) <= sec < 2**31:
        raise InputError(f"The time {sec} s does not fit a ROS time stamp; give one between 1970 and 2038.")
    return make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)


def imu_frame(segment: str) -> str:
    """Frame id of the axes of the IMU on a segment."""
    return f"{segment}_imu"


def floats(values: NDArray[np.float64]) -> array[float]:
    """``float64[]`` without a Python loop: what rclpy copies as one block."""
    return array("d", np.asarray(values, dtype=np.float64).tobytes())


def vector(make: Make, x: float, y: float, z: float) -> Any:
    """``geometry_msgs/Vector3``."""
    return make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def quaternion(make: Make, w: float, x: float, y: float, z: float) -> Any:
    """``geometry_msgs/Quaternion``; its own fields end with w."""
    return make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
