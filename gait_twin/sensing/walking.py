"""What one sensor's frames of walking tell of where its wearer faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import cross, quat_conjugate, quat_multiply, quat_rotate
from gait_twin.sensing.heading import HeadingEstimate, leg_heading
from gait_twin.sensing.orientation import heading_of
from gait_twin.sensing.standing import GRAVITY_MPS2
from gait_twin.sensing.trunk import trunk_heading

FloatArray = NDArray[np.float64]

TRUNK = ("pelvis", "torso")
"""Segments whose forward direction is told by their acceleration."""


@dataclass(frozen=True, slots=True)
class Walking:
    """Frames of one sensor, with what its standing told.

    Attributes
    ----------
    segment
        What wears it.
    values
        (n, 11) as `SensorStream.on_grid` gives.
    static_inverse
        (4,) from the sensor's world to its axes, in standing.
    scale
        Its gravity in standing over the true one.
    rate_hz
        Rate of the frames, Hz.
    """

    segment: str
    values: FloatArray
    static_inverse: FloatArray
    scale: float
    rate_hz: float

    def heading(self) -> HeadingEstimate | None:
        """Forward direction by this sensor alone."""
        turn = quat_multiply(self.values[:, 6:10], self.static_inverse)
        if self.segment in TRUNK:
            return trunk_heading(self.acceleration(), heading_of(turn), self.rate_hz)
        gyr = quat_rotate(quat_conjugate(self.static_inverse), self.values[:, 3:6])
        foot = self.segment.startswith("calcn")
        return leg_heading(gyr, self.acceleration(), heading_of(turn), self.rate_hz, foot)

    def acceleration(self) -> FloatArray:
        """(n, 3) without gravity, in the sensor's own world, m/s²."""
        acc = quat_rotate(self.values[:, 6:10], self.values[:, :3]) / self.scale
        acc[:, 2] -= GRAVITY_MPS2
        return acc

    def lever(self) -> FloatArray:
        """(n, 3) acceleration of a point one metre above the sensor, less its own, in the sensor's world, m/s²."""
        rate = quat_rotate(self.values[:, 6:10], self.values[:, 3:6])
        up = quat_rotate(quat_multiply(self.values[:, 6:10], self.static_inverse), np.array([0.0, 0.0, 1.0]))
        return cross(np.gradient(rate, axis=0) * self.rate_hz, up) + cross(rate, cross(rate, up))
