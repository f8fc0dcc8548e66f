"""Samples at the end of a gyroscope's range, seen by the plateau that they make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_RADPS = 3.0
"""Below every gyroscope's range (250 deg/s is 4.4 rad/s)."""
FLAT = 0.008
"""Three samples within this fraction of their size are a plateau ..."""
CORNER = 0.03
"""... if the samples beside it fall off by this fraction: the top of a round peak falls off slowly."""
TOP = 0.95
"""A plateau lies near the largest value that its channel has given so far."""


def clipped(rate: FloatArray, largest: FloatArray) -> NDArray[np.bool_]:
    """Where a channel stays at its largest value, though it came and goes steeply.

    Ranges are seldom declared, and calibration turns the end of a range into a value that differs from axis to
    axis and wanders with temperature: the shape tells.

    Parameters
    ----------
    rate
        (n, 3) angular rate, sensor axes, rad/s.
    largest
        (3,) size of the largest rate that each channel has given so far, rad/s.

    Returns
    -------
    (n,) flags.
    """
    flags = np.zeros(len(rate), dtype=bool)
    for axis in range(rate.shape[1]):
        values = rate[:, axis]
        size = np.abs(values)
        limit = TOP * max(float(largest[axis]), LEAST_RADPS)
        if len(values) < 5 or size.max() < limit:
            continue
        least, most = values[:-2].copy(), values[:-2].copy()
        for shift in (1, 2):
            np.minimum(least, values[shift : len(values) - 2 + shift], out=least)
            np.maximum(most, values[shift : len(values) - 2 + shift], out=most)
        first = np.flatnonzero((most - least < FLAT * size[1:-1]) & (size[1:-1] > limit))
        if not len(first):
            continue
        for run in np.split(first, np.flatnonzero(np.diff(first) > 1) + 1):
            begin, end = int(run[0]), int(run[-1]) + 3
            beside = size[[max(begin - 1, 0), min(end, len(size) - 1)]]
            if beside.min() < (1.0 - CORNER) * size[begin]:
                flags[begin:end] = True
    return flags
