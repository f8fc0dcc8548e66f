"""Orientation of one sensor at its own rate: VQF, or the angular rate from a device's orientations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from vqf import VQF

from gait_twin.recording.axes import (
    quat_about_z,
    quat_conjugate,
    quat_multiply,
    rotvec_from_quat,
)

FloatArray = NDArray[np.float64]

LONG_INTERVAL = 1.75
"""An interval of more than so many sampling periods has lost a sample (jitter stays below, one loss above)."""


class OrientationFilter:
    """VQF (Laidig & Seel 2023, doi:10.1016/j.inffus.2022.10.014) over jitter, gaps and clock jumps.

    Jitter and lost samples: VQF has a fixed sampling time, so each angular rate is scaled by its true
    interval, and is the mean of those at both its ends; the integrated angle is then right. After a gap longer
    than `max_gap_s` what the sensor did is unknown: the filter starts anew with the known gyroscope bias, so that
    the inclination comes from gravity at once; the heading goes on as before the gap, `epoch` counts up, and the
    result is unsettled for `settle_time_s`.

    Parameters
    ----------
    max_gap_s
        Longest interval that is integrated over, s.
    settle_time_s
        Time after a start until the inclination is trusted, s.
    use_magnetometer
        Correct the heading by the magnetometer (VQF's 9D mode with its disturbance rejection).
    """

    def __init__(self, max_gap_s: float, settle_time_s: float, use_magnetometer: bool) -> None:
        self._max_gap_s = max_gap_s
        self._settle_time_s = settle_time_s
        self._use_magnetometer = use_magnetometer
        self._filter: VQF | None = None
        self._period_s = float("nan")
        self._bias: tuple[FloatArray, float] | None = None
        self._last_time_s = float("nan")
        self._last_gyr = np.zeros(3)
        self._last_mag = np.full(3, np.nan)
        self._last_quat: FloatArray | None = None
        self._settled_at_s = float("inf")
        self._heading: FloatArray | None = None
        self.epoch = 0
        """Number of restarts after long gaps so far."""

    @property
    def points_north(self) -> bool:
        """True once magnetometers give all sensors one heading."""
        return bool(np.isfinite(self._last_mag).all())

    def shift_bias(self, taken_off: FloatArray) -> None:
        """The gyroscope's bias (3,), rad/s, is taken off before this filter from now on, as far as it is known."""
        if self._filter is not None:
            bias, sd = self._filter.getBiasEstimate()
            self._filter.setBiasEstimate(np.ascontiguousarray(bias - taken_off), sd)

    def update(
        self, time_s: FloatArray, acc: FloatArray, gyr: FloatArray, mag: FloatArray, period_s: float
    ) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
        """Take m consecutive samples.

        Parameters
        ----------
        time_s, acc, gyr, mag
            (m,) s; (m, 3) m/s², rad/s, µT (NaN where there is none).
        period_s
            Sampling period of the sensor, s.

        Returns
        -------
        quat_wxyz, settled, epoch
            (m, 4), (m,), (m,).
        """
        m = len(time_s)
        quat, settled, epoch = np.empty((m, 4)), np.empty(m, bool), np.empty(m, np.int64)
        intervals = differences(time_s, self._last_time_s)
        starts = np.flatnonzero(~((intervals <= self._max_gap_s) & (intervals > 0.0)))
        if self._filter is not None and not abs(period_s / self._period_s - 1.0) < 0.25:
            starts = np.union1d(starts, [0])  # another rate: VQF's coefficients no longer fit
        edges = {0, m, *starts.tolist()}
        if self._use_magnetometer and np.isnan(self._last_mag).any():
            first = np.flatnonzero(np.isfinite(mag).all(axis=1))[:1]
            edges |= set(first.tolist())  # the heading turns north here, however the stream is cut
            self._settled_at_s = max(self._settled_at_s, *(time_s[first] + self._settle_time_s), -np.inf)
        cuts = sorted(edges)
        for i, j in pairwise(cuts):
            rows = slice(i, j)
            fresh = i in starts
            if fresh:
                self._start(time_s[i], period_s)
            quat[rows] = self._run(intervals[rows], acc[rows], gyr[rows], mag[rows], fresh)
            settled[rows] = time_s[rows] >= self._settled_at_s
            epoch[rows] = self.epoch
        self._last_time_s = float(time_s[-1])
        return quat, settled, epoch

    def _start(self, time_s: float, period_s: float) -> None:
        if self._filter is not None:
            self._bias = self._filter.getBiasEstimate()
            self.epoch += 1
        self._period_s = period_s
        self._filter = VQF(period_s)
        if self._bias is not None:
            self._filter.setBiasEstimate(*self._bias)
        self._settled_at_s = time_s + self._settle_time_s

    def _run(self, intervals: FloatArray, acc: FloatArray, gyr: FloatArray, mag: FloatArray, fresh: bool) -> FloatArray:
        assert self._filter is not None
        before = np.vstack([self._last_gyr, gyr[:-1]])
        scale = (intervals / self._period_s)[:, None]
        if fresh:
            scale[0], before[0] = 1.0, gyr[0]
        # between two samples the rate is their mean; the last one alone would turn half a sampling period ahead,
        # which in a swinging shank at 100 Hz is more than a degree
        rate = 0.5 * (before + gyr) * scale
        self._last_gyr = gyr[-1]
        field = self._held(mag) if self._use_magnetometer else None
        acc = np.ascontiguousarray(acc)
        if field is None:
            quat = self._filter.updateBatch(rate, acc)["quat6D"]
        else:
            quat = self._filter.updateBatch(rate, acc, field)["quat9D"]
        if fresh:
            self._heading = None
            if field is None and self._last_quat is not None:
                self._heading = quat_about_z(-heading_of(quat_multiply(quat[0], quat_conjugate(self._last_quat))))
        if self._heading is not None:
            quat = quat_multiply(self._heading, quat)
        self._last_quat = quat[-1]
        return np.asarray(quat)

    def _held(self, mag: FloatArray) -> FloatArray | None:
        """Magnetometers are often slower than gyroscopes: hold their last value; None before the first one."""
        known = np.atleast_1d(np.isfinite(mag).all(axis=1))
        if np.isnan(self._last_mag).any() and not known[:1].any():
            return None
        row = np.maximum.accumulate(np.where(known, np.arange(len(mag)), -1))
        held = np.where((row >= 0)[:, None], mag[row], self._last_mag)
        self._last_mag = held[-1]
        return np.ascontiguousarray(held)


def differences(time_s: FloatArray, before_s: float) -> FloatArray:
    """(m,) intervals before each of m samples, s; ``np.diff(prepend=...)`` at a fifth of its cost for one sample."""
    intervals = np.empty(len(time_s))
    intervals[:1] = time_s[:1] - before_s
    np.subtract(time_s[1:], time_s[:-1], out=intervals[1:])
    return intervals


def heading_of(quat: FloatArray) -> FloatArray:
    """(...,) angle about the vertical, rad, of rotations (..., 4) in a z-up world (swing-twist)."""
    return 2.0 * np.arctan2(quat[..., 3], quat[..., 0])


def angular_rate(time_s: FloatArray, quat: FloatArray, max_gap_s: float) -> FloatArray:
    """Angular rate in sensor axes from orientations, by central differences.

    The difference over two intervals is the mean rate about its middle sample: no delay, and noise and
    quantisation above half the Nyquist frequency are damped (response sin(wT)/wT, 0.94 at 10 Hz for 100 Hz).

    Parameters
    ----------
    time_s, quat
        (m,) s and (m, 4).
    max_gap_s
        Longest interval that is looked over, s.

    Returns
    -------
    (m, 3) rad/s; over the next interval alone after a longer gap, NaN where no successor follows in time (so
    that it does not matter when, or whether, one comes after the gap).
    """
    step = rotvec_from_quat(quat_multiply(quat_conjugate(quat[:-1]), quat[1:]))
    interval = np.diff(time_s)
    rate = np.full((len(time_s), 3), np.nan)
    follows = interval <= max_gap_s
    both = follows[1:] & follows[:-1]
    rate[:-1][follows] = step[follows] / interval[follows, None]
    rate[1:-1][both] = (step[:-1] + step[1:])[both] / (interval[:-1] + interval[1:])[both, None]
    return rate
