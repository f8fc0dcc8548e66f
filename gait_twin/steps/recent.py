"""The last seconds of one foot's samples, for heel strikes that are told late."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gait_twin.steps.quaternion import Quat, turn
from gait_twin.steps.swing import FlatReading, FlatState, Samples

FloatArray = NDArray[np.float64]

REMEMBERED_S = 10.0
"""Samples are remembered so long."""
DOUBTFUL, LOST = 1, 2
"""Flaws of a sample: saturated or bridged over a short gap; lost in a longer one."""


class Recent:
    """Remembers samples, and gives those since a foot-flat as they would have been integrated from it.

    Parameters
    ----------
    dt_s
        Sampling interval, s.
    """

    def __init__(self, dt_s: float) -> None:
        self._dt_s = dt_s
        self._blocks: deque[tuple[FloatArray, FloatArray, NDArray[np.int_]]] = deque()

    def append(self, time_s: FloatArray, samples: FloatArray, flaws: NDArray[np.int_]) -> None:
        """Take (n,) instants, (n, 6) force and angular rate, (n,) flaws; a leap back of the clock empties it."""
        if self._blocks and time_s[0] <= self._blocks[-1][0][-1]:
            self._blocks.clear()
        self._blocks.append((time_s, samples, flaws))

    def forget(self) -> None:
        """Remember the last samples only."""
        while len(self._blocks) > 1 and self._blocks[0][0][-1] < self._blocks[-1][0][-1] - REMEMBERED_S:
            self._blocks.popleft()

    def since(self, flat_s: float, state: FlatState, until_s: float) -> Samples | None:
        """Samples from a foot-flat up to an instant; `end` says nothing.

        Parameters
        ----------
        flat_s, state
            The foot-flat's instant, s, and what the filter knew there.
        until_s
            Last instant, s.

        Returns
        -------
        None where samples are missing between, or are remembered no longer.
        """
        if not self._blocks:
            return None
        time_s, samples, flaws = (np.concatenate(parts) for parts in zip(*self._blocks, strict=True))
        half = 0.5 * self._dt_s
        a, b = np.searchsorted(time_s, [flat_s - half, until_s + 1e-6])
        if b - a < 3 or abs(time_s[a] - flat_s) > half or np.diff(time_s[a:b]).max() > 3.0 * half:
            return None
        rate = samples[a:b, 3:] - state.rate_bias
        quats: list[Quat] = [(1.0, 0.0, 0.0, 0.0)]
        for x, y, z in (half * (rate[1:] + rate[:-1])).tolist():
            quats.append(turn(quats[-1], x, y, z))
        turned = Rotation.from_quat(np.array(quats), scalar_first=True).as_matrix()
        times = flat_s + np.arange(b - a) * self._dt_s
        unknown = FlatReading(np.zeros(3), np.zeros(3), 0.0)
        lost = bool((flaws[a:b] == LOST).any())
        return Samples(times, samples[a:b, :3], rate, turned, flaws[a:b] > 0, not lost, state, unknown)
