"""Serialized IMU messages written straight from numbers, many thousands a second; the layout is that of `cdr`."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from gait_twin.sensing.protocols.base import Quaternion, Vector

_LITTLE = b"\x00\x01\x00\x00"
_ABSENT = (-1.0, *[0.0] * 8)
_NAN3 = (float("nan"),) * 3


def _variance(sd: float) -> tuple[float, ...]:
    """Covariance of three independent channels; all zero where the deviation is not known (REP-145)."""
    v = sd * sd
    return (v, 0.0, 0.0, 0.0, v, 0.0, 0.0, 0.0, v)


def _head(frame_id: str) -> tuple[str, bytes]:
    """Struct of encapsulation and header up to the next double, and the frame's bytes."""
    frame = frame_id.encode() + b"\0"
    return f"<4sIII{len(frame)}s{-(12 + len(frame)) % 8}x", frame


class ImuWriter:
    """Writes ``sensor_msgs/Imu`` (REP-145) of one sensor.

    Parameters
    ----------
    frame_id
        Frame of the sensor's axes.
    noise
        Standard deviations where known: ``acc_mps2``, ``gyr_radps``, ``orientation_deg``.
    """

    def __init__(self, frame_id: str, noise: Mapping[str, float]) -> None:
        head, self._frame = _head(frame_id)
        self._struct = struct.Struct(head + "37d")
        self._acc = _variance(noise.get("acc_mps2", 0.0))
        self._gyr = _variance(noise.get("gyr_radps", 0.0))
        self._quat = _variance(noise.get("orientation_deg", 0.0) * 0.017453292519943295)

    def __call__(self, time_ns: int, acc: Vector, gyr: Vector | None, quat: Quaternion | None) -> bytes:
        """Bytes of one sample: Unix time, ns; m/s²; rad/s; w x y z. None for a channel that is not there."""
        sec, nanosec = divmod(time_ns, 1_000_000_000)
        w, x, y, z = quat or (1.0, 0.0, 0.0, 0.0)
        return self._struct.pack(
            _LITTLE, sec, nanosec, len(self._frame), self._frame,
            x, y, z, w, *(self._quat if quat else _ABSENT),
            *(gyr or _NAN3), *(self._gyr if gyr else _ABSENT),
            *acc, *self._acc,
        )  # fmt: skip


class MagWriter:
    """Writes ``sensor_msgs/MagneticField`` of one sensor; parameters as of `ImuWriter`, noise ``mag_ut``."""

    def __init__(self, frame_id: str, noise: Mapping[str, float]) -> None:
        head, self._frame = _head(frame_id)
        self._struct = struct.Struct(head + "12d")
        self._mag = _variance(noise.get("mag_ut", 0.0) * 1e-6)

    def __call__(self, time_ns: int, mag_ut: Vector) -> bytes:
        """Bytes of one sample: Unix time, ns; µT."""
        sec, nanosec = divmod(time_ns, 1_000_000_000)
        x, y, z = mag_ut
        return self._struct.pack(
            _LITTLE, sec, nanosec, len(self._frame), self._frame, x * 1e-6, y * 1e-6, z * 1e-6, *self._mag
        )
