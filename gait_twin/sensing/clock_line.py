"""The straight line that joins a device's clock to the host's, from delays of any distribution.

Each second of samples gives one point: how late the earliest twentieth of them came, in the mean. A Kalman filter
over offset and slope joins the points, with a noise that it measures itself: where the earliest samples of each
second agree to microseconds it follows within seconds, where they scatter by milliseconds it averages over a minute.
The state is that of two-state clock models, offset and rate, the rate a random walk: L. Galleani, P. Tavella (2010),
"Time and the Kalman filter", IEEE Control Systems 30(2).

The line itself is where delays begin: below that mean by what the spacing of the earliest samples says of a density
that is even there (that of queues, polling and radio slots), averaged over two minutes.

Why not the least delay of all, the lower envelope? Where short delays are rare (of a normal distribution, or in a
stream that keeps its order) the least ever seen differs from sensor to sensor and from minute to minute by many
milliseconds; mean and spacing stay. `benchmarks/clock_fit.py` compares.
"""

from __future__ import annotations

import math

BUCKET_S = 1.0
"""The samples of so much device time make one point, s,"""
LEAST = 8
"""or of more, until there are so many."""
EARLIEST, FEWEST = 20, 2
"""One in so many is among the earliest, but never fewer."""
FIRST_SD_S, FIRST_NOISE_S, PRIOR = 0.01, 0.002, 2
"""Scatter of delays and of points before any is measured, s; the latter counts as so many points."""
UNSETTLED, POINTS = 4, 120
"""The scatter of points is measured after the first ones, which find the slope, and averaged over so many."""
LEAST_NOISE_S = 2e-5
"""No host stamps arrivals better, s."""
CLIP = 3.0
"""Points further off than so many standard deviations count as being so far: stalls of the transport."""
SHIFTED = 3
"""So many points in a row beyond the clip on one side are a shortest delay that has changed."""


class ClockLine:
    """Follows the delays of samples, in order of device time; both count from the first sample.

    Until the first bucket is full, the line lies under all delays so far.

    Parameters
    ----------
    skew, skew_sd
        First guess of the slope, and one standard deviation.
    wander
        Change of the slope, 1/sqrt(s).
    """

    def __init__(self, skew: float, skew_sd: float, wander: float) -> None:
        self.skew = skew
        """Slope."""
        self._at_s, self._offset_s = 0.0, 0.0
        self._p = (FIRST_SD_S**2, 0.0, skew_sd**2)  # variances of offset, of both, of slope
        self._q = wander**2
        self._noise_s = FIRST_NOISE_S
        self._edge_s = 0.0  # from the mean of the earliest samples to where their spacing says that delays begin
        self._points = self._beyond = 0
        self._bucket: list[tuple[float, float]] = []

    @property
    def skew_sd(self) -> float:
        """One standard deviation of the slope."""
        return math.sqrt(self._p[2])

    def __call__(self, x: float) -> float:
        """Height of the line, s: of the shortest delay, as far as the earliest samples tell it."""
        return self._earliest(x) - self._edge_s

    def _earliest(self, x: float) -> float:
        """Mean delay of the earliest samples, s."""
        return self._offset_s + self.skew * (x - self._at_s)

    def take(self, x: float, y: float) -> None:
        """Note a sample of device time x, s, with a delay y, s."""
        bucket = self._bucket
        if bucket and x - bucket[0][0] >= BUCKET_S and len(bucket) >= LEAST:
            middle = sum(x for x, _ in bucket) / len(bucket)
            delays = sorted(y - self.skew * (x - middle) for x, y in bucket)
            share = max(FEWEST, len(delays) // EARLIEST)
            mean = sum(delays[:share]) / share
            if self._follow(middle, mean):
                # order statistics of an even density: the mean of the first k lies (k + 1) / (k - 1) times as far
                # from its beginning as the k-th lies from the mean
                edge_s = (delays[share - 1] - mean) * (share + 1) / (share - 1)
                self._edge_s += (edge_s - self._edge_s) / min(self._points + PRIOR, POINTS)
            bucket.clear()
        bucket.append((x, y))
        if not self._points:
            self._offset_s = min(self._offset_s, y - self.skew * x)

    def _follow(self, x: float, y: float) -> bool:
        """Go on to a point of the line; whether it was one like the others."""
        self._points += 1
        if self._points == 1:
            self._at_s, self._offset_s = x, y
            return True
        step, (a, b, c) = x - self._at_s, self._p
        a, b, c = a + step * (2.0 * b + step * c), b + step * c, c + self._q * step
        predicted = self._earliest(x)
        # while the slope is uncertain, so is which samples of a bucket came early
        noise = self._noise_s**2 + c * (0.5 * BUCKET_S) ** 2
        miss, limit = y - predicted, CLIP * math.sqrt(a + noise)
        side = (miss > limit) - (miss < -limit)
        self._beyond = self._beyond + side if side and side * self._beyond >= 0 else side
        if abs(self._beyond) < SHIFTED:
            miss = max(-limit, min(limit, miss))
        else:
            a, self._beyond = a + miss**2, 0
        usual = abs(miss) < limit
        if self._points > UNSETTLED and abs(miss) <= limit:
            seen = min(self._points - UNSETTLED + PRIOR, POINTS)
            # of a normal distribution the mean distance is sqrt(2 / pi) standard deviations
            self._noise_s += (max(1.2533 * abs(miss), LEAST_NOISE_S) - self._noise_s) / seen
        total = a + noise
        gain, turn = a / total, b / total
        self._at_s, self._offset_s, self.skew = x, predicted + gain * miss, self.skew + turn * miss
        self._p = (a * (1.0 - gain), b * (1.0 - gain), max(0.0, c - turn * b))
        return usual
