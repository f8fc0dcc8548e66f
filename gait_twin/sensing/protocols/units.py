"""Units and rotations that several protocols need, on plain tuples: a sample at a time, numpy is slower."""

from __future__ import annotations

from math import asin, atan2, cos, isnan, pi, sin

from gait_twin.sensing.protocols.base import Quaternion, Vector

G_MPS2 = 9.80665
"""Standard gravity, m/s²: what devices mean by 1 g."""
DEG = pi / 180.0
"""One degree, rad."""

MAX_ACC_MPS2 = 4000.0
"""No worn IMU measures more (±200 g is the most on offer)."""
MAX_GYR_RADPS = 100.0
"""No worn IMU measures more (±4000 °/s is the most on offer)."""
MAX_MAG_UT = 5000.0
"""A hundred times the Earth's field."""


def plausible(
    acc: Vector | None = None, gyr: Vector | None = None, mag: Vector | None = None, quat: Quaternion | None = None
) -> bool:
    """Whether these could be measurements: the only guard of a format without a checksum.

    NaN passes: a sensor that sends it is to be reported, not hidden.
    """
    if acc is not None and (max(acc) > MAX_ACC_MPS2 or min(acc) < -MAX_ACC_MPS2):
        return False
    if gyr is not None and (max(gyr) > MAX_GYR_RADPS or min(gyr) < -MAX_GYR_RADPS):
        return False
    if mag is not None and (max(mag) > MAX_MAG_UT or min(mag) < -MAX_MAG_UT):
        return False
    if quat is not None:
        w, x, y, z = quat
        if abs(w * w + x * x + y * y + z * z - 1.0) > 0.05:
            return False
    return True


def quaternion_zyx(yaw_rad: float, pitch_rad: float, roll_rad: float) -> Quaternion:
    """Quaternion of a turn by yaw about z, then pitch about the new y, then roll about the new x."""
    cy, sy = cos(yaw_rad / 2), sin(yaw_rad / 2)
    cp, sp = cos(pitch_rad / 2), sin(pitch_rad / 2)
    cr, sr = cos(roll_rad / 2), sin(roll_rad / 2)
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def angles_zyx(quat: Quaternion) -> Vector:
    """Yaw, pitch and roll, rad, of which `quaternion_zyx` makes this quaternion (or its negative)."""
    w, x, y, z = quat
    pitch = asin(max(-1.0, min(1.0, 2 * (w * y - x * z))))
    return (
        atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
        pitch,
        atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
    )


def into_sensor(quat: Quaternion, earth: Vector) -> Vector:
    """Components in sensor axes of a vector given in the earth frame that ``quat`` rotates into."""
    w, x, y, z = quat
    a, b, c = earth
    return (
        (1 - 2 * (y * y + z * z)) * a + 2 * (x * y + w * z) * b + 2 * (x * z - w * y) * c,
        2 * (x * y - w * z) * a + (1 - 2 * (x * x + z * z)) * b + 2 * (y * z + w * x) * c,
        2 * (x * z + w * y) * a + 2 * (y * z - w * x) * b + (1 - 2 * (x * x + y * y)) * c,
    )


def specific_force(quat: Quaternion, free_acc_mps2: Vector) -> Vector:
    """Specific force in sensor axes from gravity-free acceleration in the z-up earth frame, m/s²."""
    a, b, c = free_acc_mps2
    return into_sensor(quat, (a, b, c + G_MPS2))


def free_acceleration(quat: Quaternion, acc_mps2: Vector) -> Vector:
    """Gravity-free acceleration in the z-up earth frame from specific force in sensor axes, m/s²."""
    w, x, y, z = quat
    a, b, c = into_sensor((w, -x, -y, -z), acc_mps2)
    return (a, b, c - G_MPS2)


def int16(value: float) -> int:
    """Nearest 16-bit integer; NaN becomes 0, for such formats have no word for it."""
    return 0 if isnan(value) else round(max(-32768.0, min(32767.0, value)))
