"""The mediolateral axis of a foot, found on line from its angular rate whatever the mounting."""

from __future__ import annotations

import math

MOVING_RADPS = 1.0
"""Slower rotation says little about the axis."""
REST_RADPS = 0.6
"""Around this rate and below, the foot is taken for flat and its excursion decays ..."""
REST_S = 0.06
"""... with this time constant: faster than a foot-flat, slower than a zero crossing."""
AXIS_MEMORY_S = 20.0
"""Time of movement after which the axis has forgotten where it was (some forty strides)."""
SIGN_MEMORY_S = 4.0
"""Time constant of the vote on the axis' sign: a few strides."""
EARLY_RAD = 0.25
"""Rotation out of foot-flat within which the excursion votes on the sign: push-off comes first."""


class MediolateralAxis:
    """Signed pitch rate of one foot from its rate vector: positive turns the toes up.

    In walking the foot turns almost only about one axis. Its direction is the leading principal
    component of the rate vectors, followed by one power iteration a sample with forgetting (Oja 1982,
    "A simplified neuron model as a principal component analyzer", J Math Biol 15). Its sign comes from
    the shape of every stride: out of foot-flat the heel rises by 50-80 degrees before the toes come up by
    20-30, so the third moment of the excursion from foot-flat points toes-down. Nothing depends on how
    the sensor sits on the foot, and the first push-off already decides.
    """

    def __init__(self) -> None:
        self._axis = (0.0, 0.0, 0.0)
        self._norm = 0.0
        self._excursion = (0.0, 0.0, 0.0)
        self._path = 0.0
        self._moment = (0.0, 0.0, 0.0)

    def restart(self) -> None:
        """After a gap: keep axis and sign, start the excursion anew."""
        self._excursion = (0.0, 0.0, 0.0)
        self._path = 0.0

    def project(self, x: float, y: float, z: float, dt_s: float) -> float:
        """Take one rate vector (rad/s, sensor axes) and give its pitch rate, rad/s."""
        squared = x * x + y * y + z * z
        sx, sy, sz = self._axis
        if self._norm == 0.0:
            if squared < MOVING_RADPS**2:
                return 0.0
            sx, sy, sz, self._norm = x * dt_s, y * dt_s, z * dt_s, squared**0.5 * dt_s
        pitch = (x * sx + y * sy + z * sz) / self._norm
        if squared > MOVING_RADPS**2:
            keep, gain = 1.0 - dt_s / AXIS_MEMORY_S, pitch * dt_s
            sx, sy, sz = keep * sx + gain * x, keep * sy + gain * y, keep * sz + gain * z
            self._norm = (sx * sx + sy * sy + sz * sz) ** 0.5 or 1e-12
        self._axis = sx, sy, sz

        slowness = squared / REST_RADPS**2
        keep = 1.0 - dt_s / (dt_s + REST_S * (1.0 + slowness * slowness))
        ex, ey, ez = self._excursion
        ex, ey, ez = keep * ex + x * dt_s, keep * ey + y * dt_s, keep * ez + z * dt_s
        self._excursion = ex, ey, ez
        along = (ex * sx + ey * sy + ez * sz) / self._norm
        self._path = keep * self._path + abs(pitch) * dt_s
        gain = along * along * math.exp(-self._path / EARLY_RAD) * dt_s
        keep = 1.0 - dt_s / SIGN_MEMORY_S
        mx, my, mz = self._moment
        mx, my, mz = keep * mx + gain * ex, keep * my + gain * ey, keep * mz + gain * ez
        self._moment = mx, my, mz
        return -pitch if mx * sx + my * sy + mz * sz > 0.0 else pitch
