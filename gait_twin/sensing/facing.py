"""Forward directions of all sensors: those found, and those applied, which follow them smoothly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SLIDE_S = 0.2
"""Time constant with which a forward direction found anew is taken over: nothing jumps, s."""
ARRIVED_RAD = np.radians(1.0)
"""Nearer than this, a forward direction counts as taken over."""
AGAIN_RAD = np.radians(20.0)
"""What differs by more is no better estimate of the same direction."""


class Facing:
    """Forward directions of k sensors in their own worlds while standing.

    Time is counted in frames, so that results do not depend on how frames come in blocks.

    Parameters
    ----------
    k
        How many sensors.
    rate_hz
        Rate of the frames, Hz.

    Attributes
    ----------
    angle_rad
        (k,) directions found last, rad.
    known, final
        (k,) found well enough to be used; not improved any more.
    """

    def __init__(self, k: int, rate_hz: float) -> None:
        self.angle_rad = np.zeros(k)
        self.known, self.final = np.zeros(k, bool), np.zeros(k, bool)
        self._frames_to_follow = SLIDE_S * rate_hz
        # how far the direction applied was off the one found, and at which frame
        self._lag, self._since = np.zeros(k), np.zeros(k, int)
        self._arrived = np.zeros(k, bool)

    def applied(self, frame: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Directions at n frames (n, 1), rad, and whether they are those found: (n, k) or (k,) where nothing moves."""
        if not self._lag.any():
            return self.angle_rad, np.ones(len(self._lag), dtype=bool)
        lag = self._lag_at(frame)
        return self.angle_rad + lag, self._arrived | (np.abs(lag) < ARRIVED_RAD)

    def turn_to(self, i: NDArray[np.int64] | int, angle_rad: FloatArray | float, frame: int) -> None:
        """Take over the direction of a sensor, or of several, from a frame on."""
        applied = self.angle_rad[i] + self._lag_at(frame)[i]
        self.angle_rad[i] = angle_rad
        self._lag[i] = np.angle(np.exp(1j * (applied - angle_rad)))
        self._since[i] = frame

    def set_to(self, i: int, angle_rad: float) -> None:
        """Take over the direction of a sensor at once, for good."""
        self.angle_rad[i], self._lag[i], self.final[i] = angle_rad, 0.0, True

    def settle(self, frame: int) -> None:
        """Note which directions have been taken over; to be called now and then, at the same frames always."""
        lag = np.abs(self._lag_at(frame))
        self._arrived |= self.known & (lag < ARRIVED_RAD)
        self._lag[lag < 1e-6] = 0.0

    def fits(self, i: int, angle_rad: float) -> bool:
        """Whether a direction is the known one's better estimate; any is where none is known."""
        apart = np.angle(np.exp(1j * (angle_rad - self.angle_rad[i])))
        return bool(not self.known[i] or abs(apart) < AGAIN_RAD)

    def _lag_at(self, frame: NDArray[np.int64] | int) -> FloatArray:
        return np.asarray(self._lag * np.exp((self._since - frame) / self._frames_to_follow))
