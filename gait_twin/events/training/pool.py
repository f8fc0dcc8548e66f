"""Samples of training: windows drawn from walks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.events.network import SPAN
from gait_twin.events.training.augmentation import targets
from gait_twin.events.training.walks import Walk

WINDOW = 384
"""Steps of a sample that count; `SPAN` - 1 before them are their past."""


class Pool:
    """Windows drawn from walks, with their past (nothing before the first sample) and their targets.

    Parameters
    ----------
    walks
        Walks and their features.
    made_share
        Share of windows of virtual subjects and idle feet.
    rng
        Draws the windows.
    """

    def __init__(
        self,
        walks: list[tuple[Walk, NDArray[np.float32]]],
        made_share: float,
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._walks = []
        for walk, seen in walks:
            x = np.zeros((len(seen) + SPAN - 1 + WINDOW, *seen.shape[1:]), np.float32)
            x[SPAN - 1 : SPAN - 1 + len(seen)] = seen
            self._walks.append((x, targets(walk)))
        lengths = np.array([len(walk.time_s) for walk, _ in walks], dtype=float)
        made = np.array([walk.made for walk, _ in walks])
        for part, share in ((made, made_share), (~made, 1.0 - made_share)):
            lengths[part] *= share / max(lengths[part].sum(), 1.0)
        self._shares = lengths / lengths.sum()

    def draw(self, count: int, other_foot: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(count, INPUTS, SPAN - 1 + WINDOW) inputs and what is wanted of the last WINDOW steps."""
        xs, wanted = [], []
        for k in self._rng.choice(len(self._walks), count, p=self._shares):
            x, aims = self._walks[k]
            n = len(aims["known"])
            start = int(self._rng.integers(-WINDOW // 4, max(n - WINDOW + WINDOW // 4, 1)))
            start = min(max(start, 0), max(n - WINDOW, 0))
            foot = int(self._rng.integers(2))
            part = x[start : start + SPAN - 1 + WINDOW]
            other = part[:, 1 - foot] if self._rng.random() < other_foot else np.zeros_like(part[:, 0])
            xs.append(np.concatenate([part[:, foot], other], axis=1).T)
            aim = {}
            for name, values in aims.items():
                cut = values[start : start + WINDOW, foot]
                if len(cut) < WINDOW:
                    pad = np.full((WINDOW - len(cut), *cut.shape[1:]), 0.0 if name == "known" else np.nan, np.float32)
                    cut = np.concatenate([cut, pad])
                aim[name] = cut
            wanted.append(aim)
        return np.stack(xs), {name: np.stack([aim[name] for aim in wanted]) for name in wanted[0]}
