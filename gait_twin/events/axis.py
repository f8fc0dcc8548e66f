"""The mediolateral axis of a foot, found on line from its inertial data whatever the mounting."""

from __future__ import annotations

import math

MOVING_RADPS = 1.0
"""Slower rotation says little about the axis."""
REST_RADPS = 0.6
"""Around this rate and below, the foot is taken for flat: excursion and velocity decay ..."""
REST_S = 0.06
"""... with this time constant: faster than a foot-flat, slower than a zero crossing."""
AXIS_MEMORY_S = 20.0
"""Time of movement after which the axis has forgotten where it was (some forty strides)."""
SIGN_MEMORY_S = 4.0
"""Time constant of the vote on the axis' sign: a few strides."""
EARLY_RAD = 1.5
"""The vote counts most before the foot has turned this much since foot-flat: later the velocity drifts."""
SETTLED_M2PS2 = 0.2
"""Least vote for a sign (way walked along the axis' forward, times gravity: 2 cm)."""
DRIFT_S = 2.0
"""Time constant with which excursion and velocity are forgotten at any rate: two strides."""
FAST_RADPS = 2.0
"""The vote counts where the foot turns faster than this: in swing, not in a stance that never quite rests."""
UP_MEMORY_S = 0.3
"""Time constant with which a flat foot's specific force becomes its vertical."""

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)


class MediolateralAxis:
    """Signed pitch rate of one foot from its samples: positive turns the toes up.

    In walking the foot turns almost only about one axis. Its direction is the leading principal
    component of the rate vectors, followed by one power iteration a sample with forgetting (Oja 1982,
    "A simplified neuron model as a principal component analyzer", J Math Biol 15). Its sign comes from
    where the foot goes: the velocity since foot-flat, from the specific force turned back by the rotation
    since foot-flat, points forward in swing; forward, up and right then are a right-handed frame, and
    right is toes-up. Rough integration is enough for a sign. Nothing depends on how the sensor sits on
    the foot, and the first swing already decides.
    """

    def __init__(self) -> None:
        self._axis = ZERO
        self._norm = 0.0
        self._excursion = ZERO
        self._velocity = ZERO
        self._up = ZERO
        self._right = ZERO
        self._path = 0.0

    @property
    def settled(self) -> bool:
        """True while the way walked so far leaves no doubt of the sign."""
        rx, ry, rz = self._right
        sx, sy, sz = self._axis
        return abs(rx * sx + ry * sy + rz * sz) > SETTLED_M2PS2 * self._norm

    def restart(self) -> None:
        """After a gap: keep axis, sign and vertical, start excursion and velocity anew."""
        self._excursion = self._velocity = ZERO
        self._path = 0.0

    def project(self, rate: Vector, force: Vector, dt_s: float) -> float:
        """Take one sample (rad/s and m/s², sensor axes) and give its pitch rate, rad/s."""
        x, y, z = rate
        squared = x * x + y * y + z * z
        sx, sy, sz = self._axis
        if self._norm == 0.0 and squared > MOVING_RADPS**2:
            sx, sy, sz, self._norm = x * dt_s, y * dt_s, z * dt_s, math.sqrt(squared) * dt_s
        pitch = (x * sx + y * sy + z * sz) / self._norm if self._norm else 0.0
        if squared > MOVING_RADPS**2:
            keep, gain = 1.0 - dt_s / AXIS_MEMORY_S, pitch * dt_s
            sx, sy, sz = keep * sx + gain * x, keep * sy + gain * y, keep * sz + gain * z
            self._norm = math.sqrt(sx * sx + sy * sy + sz * sz) or 1e-12
        self._axis = sx, sy, sz
        self._vote(x, y, z, squared, force, dt_s)
        rx, ry, rz = self._right
        return -pitch if rx * sx + ry * sy + rz * sz < 0.0 else pitch

    def _vote(self, x: float, y: float, z: float, squared: float, force: Vector, dt_s: float) -> None:
        slowness = squared / REST_RADPS**2
        slowness *= slowness
        keep = (1.0 - dt_s / (dt_s + REST_S * (1.0 + slowness))) * (1.0 - dt_s / DRIFT_S)
        ex, ey, ez = self._excursion
        ex, ey, ez = keep * ex + x * dt_s, keep * ey + y * dt_s, keep * ez + z * dt_s
        self._excursion = ex, ey, ez
        fx, fy, fz = force
        ux, uy, uz = self._up
        if self._up is ZERO:
            ux, uy, uz = force
        gain = dt_s / (dt_s + UP_MEMORY_S * (1.0 + slowness))
        self._up = ux, uy, uz = ux + gain * (fx - ux), uy + gain * (fy - uy), uz + gain * (fz - uz)
        # Turn the force back into the axes of the foot-flat (Rodrigues)
        angle = math.sqrt(ex * ex + ey * ey + ez * ez)
        if angle > 1e-6:
            s, c = math.sin(angle) / angle, math.cos(angle)
            d = (1.0 - c) * (ex * fx + ey * fy + ez * fz) / (angle * angle)
            fx, fy, fz = (
                c * fx + s * (ey * fz - ez * fy) + d * ex,
                c * fy + s * (ez * fx - ex * fz) + d * ey,
                c * fz + s * (ex * fy - ey * fx) + d * ez,
            )
        vx, vy, vz = self._velocity
        vx, vy, vz = keep * vx + (fx - ux) * dt_s, keep * vy + (fy - uy) * dt_s, keep * vz + (fz - uz) * dt_s
        self._velocity = vx, vy, vz
        self._path = keep * self._path + math.sqrt(squared) * dt_s
        gain = math.exp(-self._path / EARLY_RAD) * squared / (squared + FAST_RADPS**2) * dt_s
        keep = 1.0 - dt_s / SIGN_MEMORY_S
        rx, ry, rz = self._right
        self._right = (
            keep * rx + gain * (vy * uz - vz * uy),
            keep * ry + gain * (vz * ux - vx * uz),
            keep * rz + gain * (vx * uy - vy * ux),
        )
