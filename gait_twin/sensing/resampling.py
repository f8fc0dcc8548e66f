"""Values on the even grid from one sensor's uneven samples: lines, slerp, and averaging before down-sampling."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gait_twin.recording import SlotStatus
from gait_twin.recording.axes import quat_slerp
from gait_twin.sensing.orientation import LONG_INTERVAL

FloatArray = NDArray[np.float64]

TIME, ACC, GYR, QUAT, MAG = 0, slice(1, 4), slice(4, 7), slice(7, 11), slice(11, 14)
"""Columns of raw rows."""
STATUS, EPOCH, LIMIT = 11, 12, 13
"""Columns of the table of samples after `QUAT`: status bits; orientation restarts; lossy interval, s."""
COLUMNS = 14
ORIENTED, VALID, BRIDGED = int(SlotStatus.ORIENTED), int(SlotStatus.VALID), int(SlotStatus.BRIDGED)
WIDE = 0.75
"""A sensor whose period is below this part of the grid's is averaged."""
TIME_TOLERANCE_S = 1e-6
"""Stamps this close are the same instant (doubles of Unix time resolve 0.2 us)."""


@njit(cache=True)
def reach(limit: float, frame_s: float) -> float:
    """Half width of the averaging window, s: a frame period for sensors much faster than the grid, else 0."""
    return frame_s if limit / LONG_INTERVAL < WIDE * frame_s else 0.0


def on_grid(
    table: FloatArray, grid_s: FloatArray, frame_rate_hz: float, max_gap_s: float
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Values at n increasing instants; orientations are left to `turned`, once for all sensors.

    Parameters
    ----------
    table
        (m, `COLUMNS`) samples in increasing time.
    grid_s
        (n,) instants, s.
    frame_rate_hz
        Rate of the grid, Hz.
    max_gap_s
        Longest interval that is bridged, s.

    Returns
    -------
    values
        (n, 16): specific force, angular rate, orientation before, epoch, orientation after, and how far
        between the two (0 to 1); NaN where invalid.
    status
        (n,) bits of `SlotStatus`.
    """
    values, status = np.full((len(grid_s), 16), np.nan), np.zeros(len(grid_s), np.int64)
    _fill(table, grid_s, 1.0 / frame_rate_hz, max_gap_s, values, status)
    return values, status


@njit(cache=True)
def _fill(
    table: FloatArray,
    grid_s: FloatArray,
    frame_s: float,
    max_gap_s: float,
    values: FloatArray,
    status: NDArray[np.int64],
) -> None:
    """`on_grid`, an instant after the other; rows that stay untouched are invalid."""
    hi = 1
    for k in range(len(grid_s)):
        g = grid_s[k]
        while hi < len(table) and table[hi, 0] < g - TIME_TOLERANCE_S:
            hi += 1
        if hi >= len(table) or table[0, 0] > g + TIME_TOLERANCE_S:
            continue
        a, b, row = table[hi - 1], table[hi], values[k]
        interval = b[0] - a[0]
        f = min(max((g - a[0]) / interval, 0.0), 1.0)
        at_a, at_b = f * interval <= TIME_TOLERANCE_S, (1.0 - f) * interval <= TIME_TOLERANCE_S
        at_sample, near = at_a or at_b, b if at_b else a
        wide = reach(b[LIMIT], frame_s) > 0.0
        if interval > max_gap_s and not at_sample:
            continue
        if at_sample and not wide:
            # at a sample itself nothing is interpolated, whatever lies beside it
            a, b = near, near
        row[:6] = a[1:7] + f * (b[1:7] - a[1:7])
        if wide:
            _local_line(table, g, hi, frame_s, row)
        if not np.isfinite(row[:6]).all():
            row[:] = np.nan
            continue
        row[6:10], row[10], row[11:15], row[15] = a[7:11], b[EPOCH], b[7:11], f
        first, second = int(a[STATUS]), int(b[STATUS])
        status[k] = (first | second) & ~ORIENTED | (first & second & ORIENTED) | VALID
        if interval > b[LIMIT] and not at_sample:
            status[k] |= BRIDGED


@njit(cache=True)
def _local_line(table: FloatArray, g: float, hi: int, reach_s: float, row: FloatArray) -> None:
    """Triangle-weighted straight-line fit over +-1 frame period: low-pass without delay before down-sampling.

    On even samples it is the triangular (linear B-spline) kernel: -3 dB at 0.32 and first zero at 1 of the
    frame rate; the line makes uneven samples and window ends exact to first order. A window that holds a single
    sample has no line: the plain interpolation in `row` stays.
    """
    first, end = hi, hi
    while first > 0 and table[first - 1, 0] > g - reach_s:
        first -= 1
    while end < len(table) and table[end, 0] < g + reach_s:
        end += 1
    s0 = s1 = s2 = 0.0
    for i in range(first, end):
        d = table[i, 0] - g
        w = 1.0 - abs(d) / reach_s
        s0, s1, s2 = s0 + w, s1 + w * d, s2 + w * d * d
    determinant = s0 * s2 - s1 * s1
    if determinant > 1e-3 * (s0 * reach_s) ** 2:
        row[:6] = 0.0
        for i in range(first, end):
            d = table[i, 0] - g
            row[:6] += (s2 - s1 * d) * (1.0 - abs(d) / reach_s) / determinant * table[i, 1:7]


def turned(values: FloatArray) -> FloatArray:
    """Interpolate the orientations of (n, k, 16) `on_grid` values: (n, k, 11), with one orientation."""
    result = values[..., :11].copy()
    result[..., 6:10] = quat_slerp(values[..., 6:10], values[..., 11:15], values[..., 15])
    return result
