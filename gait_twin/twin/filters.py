"""Causal filter behind velocities, accelerations and forces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """Coordinates and their derivatives at one instant, all with the same delay.

    Attributes
    ----------
    values, rates, accelerations
        (c,) of each channel, its unit, per second, per second squared.
    complete
        The whole window is measured: no gap lies within.
    """

    values: FloatArray
    rates: FloatArray
    accelerations: FloatArray
    complete: bool


class CausalDerivatives:
    """Value, slope and curvature at the middle of the last frames.

    A parabola is fitted to the window (Savitzky and Golay 1964); at its middle, half a window back, value,
    slope and curvature belong to the same instant exactly.

    Parameters
    ----------
    window_s
        Length of the window, s; at least three frames are taken.

    Attributes
    ----------
    delay_s
        Age of what is returned, s; NaN until `start`.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self.delay_s = float("nan")
        self.frames = 0

    def start(self, period_s: float) -> None:
        """Set the frame period, s."""
        half = max(1, round(0.5 * self._window_s / period_s))
        self.frames = 2 * half + 1
        self.delay_s = half * period_s
        # oldest first
        self._fit = np.array(
            [savgol_coeffs(self.frames, 2, deriv=order, delta=period_s, use="dot") for order in range(3)]
        )
        # a curvature is the second derivative averaged with the weights that, differenced twice, give its
        # coefficients: the same average makes a measured acceleration comparable with it
        average = period_s**2 * np.cumsum(np.cumsum(self._fit[2]))
        self._average = average[:-2] / average[:-2].sum()
        self._history: FloatArray | None = None
        self._seen = 0

    @property
    def started(self) -> bool:
        """The frame period is known."""
        return self.frames > 0

    def update(self, values: FloatArray, *, gap: bool) -> Motion:
        """Take the next frame's (c,) values; after a gap the past is taken to have been as now."""
        if self._history is None or gap or len(values) != self._history.shape[1]:
            self._history, self._seen = np.tile(values, (self.frames, 1)), 0
        self._history[:-1] = self._history[1:]
        self._history[-1] = values
        self._seen += 1
        middle, slope, curvature = self._fit @ self._history
        return Motion(middle, slope, curvature, self._seen >= self.frames)

    def averaged(self, channels: slice) -> FloatArray:
        """Weighted mean of some channels, low-passed as the curvature of a position is."""
        assert self._history is not None
        return self._average @ self._history[1:-1, channels]
