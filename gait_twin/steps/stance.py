"""Foot-flats: the instants of a foot's least motion, one a stance, found from its samples alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gait_twin.steps.settings import StepSettings

FloatArray = NDArray[np.float64]

SHAKE_RADPS_PER_MPS2 = 0.3
"""Weight of the acceleration's scatter beside the angular rate, (rad/s)/(m/s²)."""
REST_S = 0.5
"""A foot that is flat for longer is standing."""
DEPARTURE_S = 0.3
"""The last foot-flat of standing lies at most about this long before the swing."""
REST_MOTION_RADPS = 0.15
"""... if it moves less than this."""
REPEAT_S = 1.0
"""A standing foot gives a foot-flat this often."""
PEAK_MEMORY_S = 3.0
"""Time constant with which the recent swings' motion is forgotten."""


@dataclass(frozen=True, slots=True)
class FootFlat:
    """One foot-flat.

    Attributes
    ----------
    index
        Sample, counted from the stream's first.
    motion_radps
        Motion measure there.
    resting
        True when the foot has not moved since the foot-flat before.
    doubtful
        True for a dip of motion that passes no limit: a short stance, or nothing.
    """

    index: int
    motion_radps: float
    resting: bool = False
    doubtful: bool = False


RECURSIVE = (1.0, 0.0)
"""Denominator that keeps `lfilter` from convolving, whose rounding depends on the block's length."""


class MotionMeasure:
    """How much a foot moves: angular rate and scatter of acceleration in a short centred window.

    Both statistics are those of zero-velocity detection (Skog et al. 2010, IEEE TBME 57:2657), joined so
    that neither gravity nor the accelerometer's scale matters: ``sqrt(mean |w|² + c² var(f))``.
    """

    def __init__(self, window: int) -> None:
        self.delay = window // 2
        self._kernel = np.full(2 * self.delay + 1, 1.0 / (2 * self.delay + 1))
        self._state: FloatArray | None = None

    def update(self, acc: FloatArray, gyr: FloatArray) -> FloatArray:
        """(n,) rad/s; value i describes the sample `delay` before i."""
        rows = np.empty((len(acc), 5))
        rows[:, 0], rows[:, 1], rows[:, 2:] = _squared(gyr), _squared(acc), acc
        if self._state is None:
            self._state = signal.lfilter_zi(self._kernel, RECURSIVE)[:, None] * rows[:1]
        mean, self._state = signal.lfilter(self._kernel, RECURSIVE, rows, axis=0, zi=self._state)
        variance = mean[:, 1] - _squared(mean[:, 2:])
        return np.sqrt(mean[:, 0] + SHAKE_RADPS_PER_MPS2**2 * np.maximum(variance, 0.0))


def _squared(vectors: FloatArray) -> FloatArray:
    """(n,) squared lengths; element by element, so that blocks of any length round alike."""
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    return x * x + y * y + z * z


class FootFlatFinder:
    """One foot-flat a stance: the least motion between two swings; in standing one a second.

    The limit below which a foot may be flat follows the person: a fraction of the recent swings' motion,
    so that a runner's short stance is found and a shuffling step is not lost (adaptive thresholds:
    Wahlström & Skog 2021, IEEE Sensors J 21:1139, section IV).
    """

    def __init__(self, settings: StepSettings, dt_s: float) -> None:
        self._floor = settings.flat_motion_radps
        self._fraction = settings.flat_fraction
        self._dip_fraction = settings.dip_fraction
        self._rest = round(REST_S / dt_s)
        self._repeat = round(REPEAT_S / dt_s)
        self._recent_length = round(DEPARTURE_S / dt_s)
        self._keep = 1.0 - dt_s / PEAK_MEMORY_S
        self._peak = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin anew after a gap; the limit is kept."""
        self.flat = False
        self._still_from = self._since = 0
        self._best = (float("inf"), 0)
        self._recent: deque[tuple[float, int]] = deque(maxlen=self._recent_length)
        self._high, self._dip = 0.0, (float("inf"), 0)
        self._given = -1
        self._resting = False

    def step(self, index: int, motion: float) -> FootFlat | None:
        """Take the motion at a sample; give the foot-flat that it made known."""
        self._peak = max(self._peak * self._keep, motion)
        limit = max(self._floor, self._fraction * self._peak)
        if not self.flat:
            if motion < limit:
                self.restart()
                self.flat = True
                self._still_from, self._since, self._best = index, index, (motion, index)
                return None
            return self._dip_before(index, motion)
        if motion > (2.0 * REST_MOTION_RADPS if self._resting else 1.5 * limit):
            self.flat = False
            self._high, self._dip = motion, (float("inf"), index)
            return self.last()
        self._best = min(self._best, (motion, index))
        if self._resting:
            self._recent.append((motion, index))
            return self.last() if index - self._given >= self._repeat else None
        if motion > REST_MOTION_RADPS:
            self._still_from = index
        still = index - self._still_from >= self._rest
        if still or index - self._since >= self._repeat:
            found = FootFlat(self._best[1], self._best[0])
            self._resting, self._given = still, found.index
            self._since, self._best = index, (float("inf"), index)
            return found
        return None

    def _dip_before(self, index: int, motion: float) -> FootFlat | None:
        """A dip of motion that has just ended."""
        if motion > self._high:
            self._high, self._dip = motion, (float("inf"), index)
        elif motion < self._dip[0]:
            self._dip = (motion, index)
        lowest, at = self._dip
        if lowest < self._dip_fraction * self._high and motion > 2.0 * lowest:
            self._high, self._dip = motion, (float("inf"), index)
            return FootFlat(at, lowest, doubtful=True)
        return None

    def last(self) -> FootFlat | None:
        """Foot-flat of the samples since the one given last: when movement begins or the stream ends."""
        if self._resting:
            later = [pair for pair in self._recent if pair[1] > self._given]
            if not later:
                return None
            motion, self._given = min(later)
            return FootFlat(self._given, motion, True)
        if self._best[1] <= self._given or self._best[0] == float("inf"):
            return None
        return FootFlat(self._best[1], self._best[0])
