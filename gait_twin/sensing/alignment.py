"""How far the clocks of two sensors are apart, found from their common motion.

Two sensors on one rigid body turn at the same angular speed, however they are mounted, so the lag at which their
angular speeds correlate best is the shift of their clocks. Held together in a hand and turned for some seconds
they tell it to well below a millisecond. On two segments of a body the joint between them turns as well and shifts
the peak, by some 20 ms between foot and shank: `Alignment.as_one` tells the cases apart, and `sd_s` contains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gait_twin.errors import InputError

FloatArray = NDArray[np.float64]

RATE_HZ = 200.0
"""Angular speeds are compared on a grid of this rate; the peak between two lags is found from a parabola."""
BAND_HZ = (0.3, 20.0)
"""Motion of a body lies in it; bias and noise below and above do not disturb."""
PIECE_S = 5.0
"""The motion is cut in pieces of this length, whose spread gives the uncertainty, s."""
MIN_SPEED_RADPS = 0.3
"""Pieces that move less (RMS of the change of angular speed) tell nothing."""
MAX_GAP_S = 0.1
AS_ONE = 0.97
"""Correlation above which the sensors moved as one body; foot and shank in walking reach 0.85."""
JOINT_SD_S = 0.02
"""Uncertainty from the joint between two sensors that did not move as one (foot and shank: 4 to 21 ms), s."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """What was found.

    Attributes
    ----------
    shift_s, sd_s
        Add this to the second sensor's times to put them on the first one's clock, at `at_s`, and one standard
        deviation, s.
    drift_ppm
        How much the shift grows, parts per million.
    at_s
        Middle of the motion used, on the first sensor's clock, s.
    correlation
        Median correlation of the two angular speeds over the pieces.
    as_one
        Whether the sensors moved as one rigid body.
    pieces
        Number of pieces of `PIECE_S` that were used.
    """

    shift_s: float
    sd_s: float
    drift_ppm: float
    at_s: float
    correlation: float
    as_one: bool
    pieces: int


def align(
    time_a_s: FloatArray,
    gyr_a: FloatArray,
    time_b_s: FloatArray,
    gyr_b: FloatArray,
    *,
    max_shift_s: float = 1.0,
) -> Alignment:
    """Find the shift between the clocks of two sensors from their common motion.

    Parameters
    ----------
    time_a_s, gyr_a
        (n,) increasing, s; (n, 3) angular rate of the first sensor, rad/s, in its own axes.
    time_b_s, gyr_b
        The same of the second sensor, of any other rate.
    max_shift_s
        Longest shift that is looked for, s. In walking keep it below half a stride (about 0.5 s): strides are alike.

    Raises
    ------
    InputError
        If the two do not overlap for long enough, or hardly move.
    """
    start = max(time_a_s[0], time_b_s[0]) if len(time_a_s) and len(time_b_s) else np.inf
    end = min(time_a_s[-1], time_b_s[-1]) if np.isfinite(start) else -np.inf
    if end - start < 2.0 * PIECE_S + 2.0 * max_shift_s:
        raise InputError(
            f"The two sensors overlap for {max(0.0, end - start):.1f} s; give at least "
            f"{2.0 * PIECE_S + 2.0 * max_shift_s:.0f} s of common motion."
        )
    grid = np.arange(start, end, 1.0 / RATE_HZ)
    a, whole_a = _angular_speed(time_a_s, gyr_a, grid)
    b, whole_b = _angular_speed(time_b_s, gyr_b, grid)
    # all pieces together find the peak, each piece its own place of it: single pieces of a walk are ambiguous
    lags = int(np.ceil(max_shift_s * RATE_HZ))
    coarse = _peak(a, b, 0, lags)[0]
    near = int(0.1 * RATE_HZ)
    found = []
    width = int(PIECE_S * RATE_HZ)
    margin = near + 1
    for first in range(abs(round(coarse)) + margin, len(grid) - width - abs(round(coarse)) - margin, width):
        rows = slice(first, first + width)
        other = slice(first - round(coarse) - margin, first + width - round(coarse) + margin)
        if not (whole_a[rows].all() and whole_b[other].all()):
            continue
        if min(np.std(a[rows]), np.std(b[other])) < MIN_SPEED_RADPS:
            continue
        lag, correlation = _peak(a[rows], b[other], -margin, near)
        found.append((grid[first] + PIECE_S / 2.0, (lag + round(coarse)) / RATE_HZ, correlation))
    if len(found) < 2:
        raise InputError(
            "The sensors hardly move together without gaps; hold both in one hand and turn them for ten seconds."
        )
    at, shift, correlation = np.array(found).T
    middle = float(at.mean())
    # the median of pairwise slopes (Theil-Sen), then of the shifts: pieces that went astray do not count
    i, j = np.triu_indices(len(at), 1)
    drift = float(np.median((shift[j] - shift[i]) / (at[j] - at[i]))) if len(at) > 3 else 0.0
    rest = shift - drift * (at - middle)
    best = float(np.median(rest))
    spread = 1.4826 * float(np.median(np.abs(rest - best)))
    typical = float(np.median(correlation))
    as_one = typical >= AS_ONE
    sd = 1.25 * max(spread, 0.02 / RATE_HZ) / np.sqrt(len(rest))
    return Alignment(
        best, float(np.hypot(sd, 0.0 if as_one else JOINT_SD_S)), drift * 1e6, middle, typical, as_one, len(rest)
    )


def latencies(
    streams: Mapping[str, tuple[FloatArray, FloatArray]],
    before_s: Mapping[str, float],
    reference: str,
    *,
    max_shift_s: float = 1.0,
) -> dict[str, tuple[float, float, Alignment | None]]:
    """Latencies that put the clocks of sensors that moved as one on each other.

    Parameters
    ----------
    streams
        For each sensor (n,) times, s, and (n, 3) angular rates, rad/s.
    before_s
        The latencies that its times were made with, s.
    reference
        Whose latency stays, unless another's would become negative: then all grow alike.
    max_shift_s
        As of `align`.

    Returns
    -------
    By sensor: latency and one standard deviation, s, and the alignment to the reference (None for itself).

    Raises
    ------
    InputError
        Where sensors do not overlap, hardly moved, or did not move as one.
    """
    found: dict[str, tuple[float, float, Alignment | None]] = {reference: (before_s[reference], 0.0, None)}
    for name, (time_s, gyr) in streams.items():
        if name == reference:
            continue
        try:
            one = align(*streams[reference], time_s, gyr, max_shift_s=max_shift_s)
        except InputError as problem:
            raise InputError(f"{name} and {reference}: {problem}") from None
        if not one.as_one:
            raise InputError(
                f"{name} and {reference} did not move as one (correlation {one.correlation:.2f}); hold all sensors "
                "together in one hand, or strap them to one box, and turn them for some ten seconds."
            )
        found[name] = (before_s[name] - one.shift_s, one.sd_s, one)
    least_s = min(0.0, *(latency_s for latency_s, _, _ in found.values()))
    return {name: (latency_s - least_s, sd_s, one) for name, (latency_s, sd_s, one) in found.items()}


def _angular_speed(time_s: FloatArray, gyr: FloatArray, grid: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Band-passed angular speed on the grid, rad/s, and where it is measured."""
    good = np.isfinite(gyr).all(axis=1) & np.isfinite(time_s)
    time_s, speed = time_s[good], np.linalg.norm(gyr[good], axis=1)
    after = np.clip(np.searchsorted(time_s, grid), 1, len(time_s) - 1)
    whole = time_s[after] - time_s[after - 1] <= MAX_GAP_S
    sos = signal.butter(2, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos")
    return signal.sosfiltfilt(sos, np.interp(grid, time_s, speed)), whole


def _peak(a: FloatArray, b: FloatArray, offset: int, lags: int) -> tuple[float, float]:
    """Lag of a behind b (samples, fractional) where they correlate best, and the correlation there.

    Row i of `a` lies beside row i - `offset` of `b`.
    """
    products = signal.correlate(a, b, "full", "fft")
    lag = np.arange(-len(b) + 1, len(a)) - offset
    if len(a) == len(b):
        norm = np.full(len(lag), np.sqrt((a @ a) * (b @ b)))
    else:
        energy = np.convolve(b * b, np.ones(len(a)))[::-1]  # of the rows of b that overlap all of a
        norm = np.sqrt((a @ a) * np.maximum(energy, 1e-12))
    inside = np.abs(lag) <= lags
    lag, value = lag[inside], (products / norm)[inside]
    i = int(np.clip(np.argmax(value), 1, len(value) - 2))
    left, top, right = value[i - 1 : i + 2]
    curve = left - 2.0 * top + right
    fraction = 0.5 * (left - right) / curve if curve < 0.0 else 0.0
    return float(lag[i] + np.clip(fraction, -1.0, 1.0)), float(top)
