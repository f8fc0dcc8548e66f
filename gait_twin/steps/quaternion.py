"""Quaternions of single samples in plain floats: for three numbers, faster than arrays by a factor of ten."""

from __future__ import annotations

import math

Quat = tuple[float, float, float, float]
"""w, x, y, z."""


def turn(q: Quat, x: float, y: float, z: float) -> Quat:
    """Quaternion (w, x, y, z) after a further rotation by a rotation vector in body axes, rad."""
    w0, x0, y0, z0 = q
    squared = x * x + y * y + z * z
    if squared > 1e-12:
        angle = math.sqrt(squared)
        s, c = math.sin(0.5 * angle) / angle, math.cos(0.5 * angle)
    else:
        s, c = 0.5, 1.0
    x, y, z = s * x, s * y, s * z
    return (
        w0 * c - x0 * x - y0 * y - z0 * z,
        w0 * x + x0 * c + y0 * z - z0 * y,
        w0 * y - x0 * z + y0 * c + z0 * x,
        w0 * z + x0 * y - y0 * x + z0 * c,
    )


def rotate(q: Quat, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A vector rotated by a unit quaternion."""
    w, a, b, c = q
    u, v, t = 2.0 * (b * z - c * y), 2.0 * (c * x - a * z), 2.0 * (a * y - b * x)
    return x + w * u + b * t - c * v, y + w * v + c * u - a * t, z + w * t + a * v - b * u
