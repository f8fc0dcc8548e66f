"""Values on the even grid from one sensor's uneven samples: lines, slerp, and averaging before down-sampling."""

from __future__ import annotations

import numpy as np
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
TIME_TOLERANCE_S = 1e-6
"""Stamps this close are the same instant (doubles of Unix time resolve 0.2 us)."""


def reach(limit: FloatArray, frame_rate_hz: float) -> FloatArray:
    """Half width of the averaging window, s: a frame period for sensors much faster than the grid, else 0."""
    frame_s = 1.0 / frame_rate_hz
    return np.where(limit / LONG_INTERVAL < 0.75 * frame_s, frame_s, 0.0)


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
    n = len(grid_s)
    values, status = np.full((n, 16), np.nan), np.zeros(n, np.int64)
    if len(table) < 2:
        return values, status
    after = np.searchsorted(table[:, TIME], grid_s - TIME_TOLERANCE_S)
    after = np.where((after == 0) & (np.abs(grid_s - table[0, TIME]) <= TIME_TOLERANCE_S), 1, after)
    inside = (after > 0) & (after < len(table))
    hi, g = after[inside], grid_s[inside]
    a, b = table[hi - 1], table[hi]
    interval = b[:, TIME] - a[:, TIME]
    f = np.clip((g - a[:, TIME]) / interval, 0.0, 1.0)[:, None]
    near_a, near_b = f[:, 0] * interval <= TIME_TOLERANCE_S, (1.0 - f[:, 0]) * interval <= TIME_TOLERANCE_S
    out = np.empty((len(g), 16))
    out[:, :6] = a[:, 1:7] + f * (b[:, 1:7] - a[:, 1:7])
    out[:, 6:10], out[:, 11:15], out[:, 15] = a[:, QUAT], b[:, QUAT], f[:, 0]
    out[:, 10] = b[:, EPOCH]
    wide = reach(b[:, LIMIT], frame_rate_hz) > 0.0
    if wide.any():
        out[wide, :6] = _local_line(table, g[wide], hi[wide], 1.0 / frame_rate_hz)
    sa, sb = a[:, STATUS].astype(np.int64), b[:, STATUS].astype(np.int64)
    oriented = sa & sb & int(SlotStatus.ORIENTED)
    bits = (sa | sb) & ~int(SlotStatus.ORIENTED) | oriented | int(SlotStatus.VALID)
    lossy = (interval > b[:, LIMIT]) & ~near_a & ~near_b
    bits |= np.where(lossy, int(SlotStatus.BRIDGED), 0)
    bad = (interval > max_gap_s) & ~near_a & ~near_b
    # at a sample itself nothing is interpolated, whatever lies beside it
    for near, row, own in ((near_a & ~wide, a, sa), (near_b & ~wide, b, sb)):
        out[near, :10], out[near, 10] = row[near, 1:11], row[near, EPOCH]
        out[near, 11:15] = row[near, QUAT]
        bits[near] = own[near] | int(SlotStatus.VALID)
    bad |= ~np.isfinite(out[:, :6]).all(axis=1)
    out[bad], bits[bad] = np.nan, 0
    values[inside], status[inside] = out, bits
    return values, status


def turned(values: FloatArray) -> FloatArray:
    """Interpolate the orientations of (n, k, 16) `on_grid` values: (n, k, 11), with one orientation."""
    result = values[..., :11].copy()
    result[..., 6:10] = quat_slerp(values[..., 6:10], values[..., 11:15], values[..., 15])
    return result


def _local_line(table: FloatArray, grid_s: FloatArray, hi: NDArray[np.intp], reach_s: float) -> FloatArray:
    """Triangle-weighted straight-line fit over +-1 frame period: low-pass without delay before down-sampling.

    On even samples it is the triangular (linear B-spline) kernel: -3 dB at 0.32 and first zero at 1 of the
    frame rate; the line makes uneven samples and window ends exact to first order.
    """
    m = int(np.ceil(reach_s / np.nanmin(table[hi, LIMIT] / LONG_INTERVAL))) + 2
    index = hi[:, None] + np.arange(-m, m)
    inside = (index >= 0) & (index < len(table))
    index = np.clip(index, 0, len(table) - 1)
    d = table[index, TIME] - grid_s[:, None]
    w = np.where(inside, np.maximum(0.0, 1.0 - np.abs(d) / reach_s), 0.0)
    s0, s1, s2 = w.sum(1), (w * d).sum(1), (w * d * d).sum(1)
    determinant = s0 * s2 - s1 * s1
    line = (s2[:, None] - s1[:, None] * d) * w / np.maximum(determinant, 1e-12 * reach_s**2)[:, None]
    values = np.einsum("nw,nwc->nc", line, table[index, 1:7])
    # a window that holds a single sample has no line: keep plain interpolation
    a, b = table[hi - 1], table[hi]
    f = ((grid_s - a[:, TIME]) / (b[:, TIME] - a[:, TIME]))[:, None]
    plain = a[:, 1:7] + f * (b[:, 1:7] - a[:, 1:7])
    return np.where((determinant > 1e-3 * (s0 * reach_s) ** 2)[:, None], values, plain)
