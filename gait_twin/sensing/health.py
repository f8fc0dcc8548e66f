"""Whether what a sensor sends can be a measurement: constant, saturated or gravity-less values, or no numbers."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.standing import GRAVITY_MPS2, GRAVITY_TOLERANCE

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BUCKET_S = 0.25
"""Samples are judged in buckets of this length, two at a time, s: a fault is known after 0.5 to 0.75 s."""
LEAST = 8
"""Two buckets with fewer samples are not judged: a sensor of less than 16 Hz."""
PERFECT_S = 10.0
"""Values of perfect rest that never show noise are believed for so long, s: a simulated sensor may have none."""
STILL_ACC_MPS2, STILL_GYR_RADPS = 0.15, 0.05
"""Largest standard deviations of a sensor at rest (a breathing, swaying person included)."""
DRIFT_MPS2 = 0.1
"""Largest change of the mean specific force from one bucket to the next at rest."""
MOVING_ACC_MPS2, MOVING_GYR_RADPS = 0.5, 0.3
"""Standard deviations that a sensor cannot reach in one channel while the other stands still."""
CLIPPED_MPS2 = 1.8 * GRAVITY_MPS2
"""An axis that keeps one value beyond this is at the end of its range, whatever that is."""


class SensorHealth:
    """Judges the samples of one sensor; results do not depend on how the stream is cut.

    Parameters
    ----------
    segment
        Who wears it, for the sentences.
    settings
        Ranges of the sensors.
    """

    def __init__(self, segment: str, settings: HubSettings) -> None:
        self.segment = segment
        self.fault = ""
        """What is wrong now, in a sentence; empty when nothing is."""
        self.past: list[str] = []
        """Faults that there were, one sentence for each kind."""
        self._settings = settings
        self._bucket = -1
        self._rows: list[FloatArray] = []
        self._last: FloatArray | None = None
        self._noisy = False
        self._weightless = ""
        self._perfect_from_s = math.nan
        self._nothing_from_s = math.nan

    def refused(self, time_s: FloatArray) -> None:
        """Note samples that were left out because they are no numbers, or impossible ones."""
        known = time_s[np.isfinite(time_s)]
        if len(known):
            if math.isnan(self._nothing_from_s) or known[0] < self._nothing_from_s:
                self._nothing_from_s = float(known[0])
            if known[-1] - self._nothing_from_s >= 2.0 * BUCKET_S:
                self._find(
                    f"{self.segment} sends NaN or impossible values; it is left out until it measures again: "
                    "check its cable and its settings."
                )

    def judge(self, rows: FloatArray) -> BoolArray:
        """Which samples belong to a sensor that is in order.

        Parameters
        ----------
        rows
            (m, 7) time, s; specific force, m/s²; angular rate, rad/s; in increasing time.

        Returns
        -------
        (m,) False from the instant at which a fault is known until it is over.
        """
        self._nothing_from_s = math.nan
        buckets = np.floor(rows[:, 0] / BUCKET_S).astype(np.int64)
        if len(rows) and buckets[0] == buckets[-1] == self._bucket:
            self._rows.append(rows)
            return np.full(len(rows), not self.fault)
        good = np.empty(len(rows), bool)
        starts = np.flatnonzero(np.diff(buckets, prepend=self._bucket))
        edges = [0, *[i for i in starts.tolist() if i], len(rows)]
        for first, end in pairwise(edges):
            if first == end:
                continue
            if buckets[first] != self._bucket:
                self._close(int(buckets[first]))
            self._rows.append(rows[first:end])
            good[first:end] = not self.fault
        return good

    def _find(self, fault: str) -> None:
        if fault and all(kind_of(fault) != kind_of(known) for known in self.past):
            self.past.append(fault)
        self.fault = fault

    def _close(self, following: int) -> None:
        """A bucket is full: judge it with the one before."""
        full = np.vstack(self._rows) if self._rows else np.empty((0, 7))
        pair = full if self._last is None else np.vstack([self._last, full])
        if self._last is not None and len(pair) >= LEAST:
            self._find(self._fault(pair))
        self._last = full if following == self._bucket + 1 and len(full) else None
        self._bucket, self._rows = following, []

    def _fault(self, rows: FloatArray) -> str:
        acc, gyr = rows[:, 1:4], rows[:, 4:7]
        name, tell = self.segment, "it is left out until this is over"
        flat_acc, flat_gyr = np.ptp(acc, axis=0) == 0.0, np.ptp(gyr, axis=0) == 0.0
        acc_sd, gyr_sd = acc.std(axis=0).max(), gyr.std(axis=0).max()
        size = float(np.linalg.norm(acc.mean(axis=0)))
        half = len(rows) // 2
        drift = float(np.abs(acc[half:].mean(axis=0) - acc[:half].mean(axis=0)).max())
        still = acc_sd < STILL_ACC_MPS2 and gyr_sd < STILL_GYR_RADPS and drift < DRIFT_MPS2
        frozen = bool(flat_acc.all() and flat_gyr.all())
        self._noisy |= still and not flat_acc.any()
        clipped = np.abs(acc) >= self._settings.acc_range_mps2
        if not frozen and (clipped.any(axis=1).mean() > 0.5 or (flat_acc & (np.abs(acc[0]) > CLIPPED_MPS2)).any()):
            return f"{name}: the accelerometer stays at the end of its range ({np.abs(acc).max():.0f} m/s^2); {tell}."
        if (np.abs(gyr) >= self._settings.gyr_range_radps).any(axis=1).mean() > 0.5:
            return f"{name}: the gyroscope stays at the end of its range ({np.abs(gyr).max():.0f} rad/s); {tell}."
        if frozen:
            return self._frozen(rows, size)
        self._perfect_from_s = math.nan
        if flat_acc.all() and gyr_sd > MOVING_GYR_RADPS:
            return f"{name}: the accelerometer sends one value while the gyroscope turns; {tell}."
        if flat_gyr.all() and acc_sd > MOVING_ACC_MPS2:
            return f"{name}: the gyroscope sends one value while the accelerometer moves; {tell}."
        if still:
            self._weigh(size)
        return self._weightless

    def _weigh(self, size: float) -> None:
        """At rest: note whether the specific force is gravity's, m/s²."""
        off = abs(size / GRAVITY_MPS2 - 1.0) > GRAVITY_TOLERANCE
        self._weightless = (
            f"{self.segment} shows {size:.1f} m/s^2 at rest instead of 9.8: check its unit and range; it is left out "
            "until it rests with the right one."
            if off
            else ""
        )

    def _frozen(self, rows: FloatArray, size: float) -> str:
        """All channels have sent one value: a perfect simulated sensor at rest, or one that hangs."""
        turning = float(np.abs(rows[0, 4:7]).max())
        at_rest = abs(size - GRAVITY_MPS2) < 0.02 * GRAVITY_MPS2 and turning < STILL_GYR_RADPS
        if math.isnan(self._perfect_from_s):
            self._perfect_from_s = float(rows[0, 0])
        if not self._noisy and turning < STILL_GYR_RADPS and size > 1.0:
            self._weigh(size)
            at_rest |= self._weightless != ""
        if at_rest and not self._noisy and rows[-1, 0] - self._perfect_from_s < PERFECT_S:
            return self._weightless
        return (
            f"{self.segment} sends the same values over and over; it is left out until it measures again: "
            "switch it off and on."
        )


def kind_of(sentence: str) -> str:
    """The sentence without its numbers: two of one kind say the same."""
    return re.sub(r"\d+(\.\d+)?", "", sentence)
