"""A stride's length at its heel strike, before its foot-flat is known: for controllers."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from statistics import median

import numpy as np

from gait_twin.recording import GaitEvent, Stride
from gait_twin.steps.foot import FLAT_HALF_WIDTH_S, Flat, FootTracker
from gait_twin.steps.recent import REMEMBERED_S
from gait_twin.steps.settings import StepSettings
from gait_twin.steps.swing import FlatReading, Samples, smooth

RESTS = 7
"""What the foot still goes after a heel strike is the median of so many strides before."""
FIRST_REST_M, FIRST_REST_SD_M = 0.02, 0.03
"""... and this before any (foot_vicon, docs/events_and_steps.md)."""
LEAST_SD_M = 0.015
"""No early length is known better."""
SHORTEST_SWING = 0.35
"""From foot-flat to heel strike is at least this part of a stride."""
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class EarlyStrides:
    """Lengths of one foot's strides as soon as their heel strike is known.

    The foot has come down then, but is not flat yet: the swing is smoothed up to this instant as if it ended there,
    with a zero-velocity update that is the weaker the more the foot still moves. What it then still goes until it is
    flat hardly differs from stride to stride, and is learnt from the strides before. All is done in data time, from
    what was known when the heel strike became known, so that nothing depends on when events arrive.

    Parameters
    ----------
    settings
        As given to the estimator.
    """

    def __init__(self, settings: StepSettings) -> None:
        self._settings = settings
        self._flats: deque[Flat] = deque()
        self._strikes: deque[GaitEvent] = deque()
        self._before_s = -math.inf
        self._ways: dict[float, float] = {}
        self._finals: deque[tuple[float, float, float]] = deque()
        self._rests: deque[float] = deque(maxlen=RESTS)

    def restart(self) -> None:
        """The clock has leapt; what was learnt of the person stays."""
        self._flats.clear()
        self._strikes.clear()
        self._before_s = -math.inf
        self._ways.clear()
        self._finals.clear()

    def hear(self, strike: GaitEvent) -> None:
        """Take a heel strike, in the order of becoming known."""
        self._strikes.append(strike)

    def learn(self, known_s: float, stride: Stride) -> None:
        """Take a stride whose length has become known, and when."""
        if stride.valid:
            self._finals.append((known_s, stride.end_s, stride.stride_length_m))

    def update(self, foot: FootTracker, flats: list[Flat], now_s: float) -> list[Stride]:
        """Give the strides whose heel strikes have become known.

        Parameters
        ----------
        foot
            This foot's trajectory up to now.
        flats
            Its new foot-flats.
        now_s
            Instant of the last sample, s.
        """
        self._flats.extend(flats)
        found = []
        while self._strikes and _known_s(self._strikes[0]) <= now_s:
            strike = self._strikes.popleft()
            stride = self._stride(strike, foot)
            self._before_s = strike.time_s
            if stride is not None:
                found.append(stride)
        while self._flats and self._flats[0].time_s < now_s - REMEMBERED_S:
            self._flats.popleft()
        foot.recent.forget()
        return found

    def _stride(self, strike: GaitEvent, foot: FootTracker) -> Stride | None:
        start_s, end_s, known_s = self._before_s, strike.time_s, _known_s(strike)
        if not 0.0 < end_s - start_s <= self._settings.max_stride_s:
            return None
        samples = self._until(known_s, foot)
        if samples is None or not start_s < samples.time_s[0] < end_s < samples.time_s[-1] or not samples.valid:
            return None
        swing, _ = smooth(samples, self._settings)
        if samples.time_s[0] > end_s - SHORTEST_SWING * (end_s - start_s):
            return None  # what passed for a foot-flat lies in the swing
        # Where the foot was flat more than once since the heel strike before, the ways between count as well
        within = [f for f in self._flats if start_s < f.time_s <= samples.time_s[0] + 1e-6 and f.known_s <= known_s]
        ways = [swing.displacement_m] + [f.swing.displacement_m for f in within[1:] if f.swing is not None]
        x, y, _ = sum(ways, np.zeros(3))
        way = math.hypot(x, y)
        along = np.array([x, y]) / max(way, 1e-6)
        while self._finals and self._finals[0][0] <= known_s:
            _, at_s, length = self._finals.popleft()
            if at_s in self._ways:
                self._rests.append(length - self._ways.pop(at_s))
        self._ways = {at_s: w for at_s, w in self._ways.items() if at_s > end_s - 4.0 * self._settings.max_stride_s}
        self._ways[end_s] = way
        rest, spread = FIRST_REST_M, FIRST_REST_SD_M
        if len(self._rests) >= 3:
            rest = median(self._rests)
            spread = NORMAL_MAD * median(abs(r - rest) for r in self._rests)
        own = math.sqrt(along @ swing.covariance[:2, :2] @ along)
        return Stride(
            foot.side,
            start_s,
            end_s,
            stride_length_m=way + rest,
            stride_length_sd_m=math.hypot(LEAST_SD_M, spread, 0.5 * own),
            provisional=True,
        )

    def _until(self, known_s: float, foot: FootTracker) -> Samples | None:
        """Samples from the foot-flat that was known last at an instant, up to it."""
        start = next((f for f in reversed(self._flats) if f.known_s <= known_s), None)
        samples = None if start is None else foot.recent.since(start.time_s, start.state, known_s)
        if samples is None:
            return None
        end = len(samples.time_s)
        dt_s = float(samples.time_s[1] - samples.time_s[0])
        last = slice(max(0, end - 1 - round(FLAT_HALF_WIDTH_S / dt_s)), end)
        rate = samples.rate[last].mean(axis=0)
        motion = float(np.sqrt((samples.rate[last] ** 2).sum(axis=1).mean()))
        reading = FlatReading(samples.force[last].mean(axis=0), rate, motion)
        return replace(samples, end=reading)


def _known_s(strike: GaitEvent) -> float:
    return strike.time_s + (0.0 if math.isnan(strike.delay_s) else strike.delay_s)
