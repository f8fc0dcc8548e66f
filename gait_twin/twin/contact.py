"""Which foot is on the ground, from the twin's own kinematics.

A heel that swings slows down to nothing when it strikes; a ball of the foot that stood gathers speed when the
toes leave. Both thresholds are fractions of the speed that the foot reached in its last swing, so that they
hold for slow and fast walking alike. Deterministic, and late by a frame or two only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HEEL_STRIKE_FRACTION = 0.15
TOE_OFF_FRACTION = 0.30
"""Of the foot's largest speed in its last swing."""
USUAL_SWING_MPS = 3.5
"""Before the first swing has been seen."""
SLOWEST_SWING_MPS = 1.0
"""A foot that never gets faster is not walking."""
SHORTEST_PHASE_S = 0.12
"""Of swing and of stance; what changes back sooner is noise."""
SLOW_S = 0.12
"""A foot that never got fast, as in a small step while turning, is on the ground after being slow for so long."""
USUAL_DOUBLE_SUPPORT_S = 0.15
"""Before the first one has been seen: 12 % of a stride of 1.2 s (Perry and Burnfield 2010)."""
LONGEST_DOUBLE_SUPPORT_S = 0.6
"""Both feet on the ground for longer is standing."""
LEARNING = 0.5
"""Weight of the newest double support in the expected one."""


class _Foot:
    """One foot: on the ground or in the air, since when, and how fast it swings."""

    def __init__(self) -> None:
        self.down = True
        self.since_s = -np.inf
        self.swing_mps = USUAL_SWING_MPS
        self._fastest = 0.0
        self._slow_since_s: float | None = None
        self._before: tuple[float, float, float] | None = None

    def update(self, time_s: float, heel_mps: float, ball_mps: float) -> None:
        limit, speed = self._limit(), ball_mps if self.down else heel_mps
        slow = speed < limit
        if not slow:
            self._slow_since_s = None
        elif self._slow_since_s is None:
            self._slow_since_s = self._crossing(time_s, speed, limit)
        landed = slow and self._slow_since_s is not None and time_s - self._slow_since_s > SLOW_S
        change = not slow if self.down else (slow and self._fastest > SLOWEST_SWING_MPS) or landed
        if not self.down:
            self._fastest = max(self._fastest, heel_mps)
        if change and time_s - self.since_s > SHORTEST_PHASE_S:
            landed_s = self._slow_since_s if slow else None
            self.since_s = self._crossing(time_s, speed, limit) if landed_s is None else landed_s
            self.down = not self.down
            if self.down:
                self.swing_mps = max(self._fastest, SLOWEST_SWING_MPS)
            self._fastest, self._slow_since_s = 0.0, None
        self._before = (time_s, heel_mps, ball_mps)

    def _limit(self) -> float:
        return (TOE_OFF_FRACTION if self.down else HEEL_STRIKE_FRACTION) * max(self.swing_mps, SLOWEST_SWING_MPS)

    def _crossing(self, time_s: float, speed: float, limit: float) -> float:
        """Instant at which the speed passed the limit, between the frame before and this one."""
        if self._before is None:
            return time_s
        before_s, heel, ball = self._before
        last = ball if self.down else heel
        share = (limit - last) / (speed - last) if (last - limit) * (speed - limit) < 0.0 else 1.0
        return before_s + float(np.clip(share, 0.0, 1.0)) * (time_s - before_s)


class ContactTracker:
    """Contacts of both feet, and how the load passes from one to the other.

    Feet are numbered 0 and 1, in the order in which their points are given.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past: both feet are taken to be on the ground."""
        self._feet = (_Foot(), _Foot())
        self._down: list[tuple[float, tuple[bool, bool]]] = []
        self._double_s = USUAL_DOUBLE_SUPPORT_S
        self._strikes: list[tuple[float, int]] = []
        self._ends: dict[float, float] = {}
        self._time_s = float("nan")

    def update(self, time_s: float, speeds_mps: FloatArray) -> None:
        """Take the newest (2, 2) speeds of heel and ball of each foot over the ground."""
        for side, foot in enumerate(self._feet):
            before, since_s = foot.down, foot.since_s
            foot.update(time_s, *speeds_mps[side])
            if foot.down == before:
                continue
            if foot.down and self._feet[1 - side].down:
                self._strikes = [*self._strikes[-3:], (foot.since_s, side)]
            elif not foot.down and self._strikes and self._strikes[-1][1] != side:
                start_s = self._strikes[-1][0]
                if since_s < start_s < foot.since_s < start_s + LONGEST_DOUBLE_SUPPORT_S:
                    self._ends = {start: end for start, end in self._ends.items() if start > time_s - 5.0}
                    self._ends[start_s] = foot.since_s
                    self._double_s += LEARNING * (foot.since_s - start_s - self._double_s)
            self._down = [*self._down[-7:], (foot.since_s, (self._feet[0].down, self._feet[1].down))]
        self._time_s = time_s

    def down(self, time_s: float) -> tuple[bool, bool]:
        """Which feet were on the ground at an instant up to the newest frame's."""
        state = (True, True)
        for since_s, feet in self._down:
            if since_s > time_s:
                break
            state = feet
        return state

    def transfer(self, time_s: float) -> tuple[int, float] | None:
        """How far the load has passed on to the foot that struck last.

        Returns
        -------
        (int, float) or None
            That foot, and the fraction of the double support that has gone by, 0 to 1, its end predicted
            from the last ones until it is known; None outside of double support, and in standing.
        """
        strike = next(((start, side) for start, side in reversed(self._strikes) if start <= time_s), None)
        if strike is None:
            return None
        start_s, side = strike
        end_s = self._ends.get(start_s, max(start_s + self._double_s, self._time_s))
        if time_s >= end_s or end_s - start_s > LONGEST_DOUBLE_SUPPORT_S:
            return None
        return side, (time_s - start_s) / (end_s - start_s)
