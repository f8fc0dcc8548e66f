"""Samples of training: windows drawn from walks, more of them where steps are unlike the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.events.network import SPAN
from gait_twin.events.training.augmentation import targets
from gait_twin.events.training.walks import Walk
from gait_twin.recording import EventKind, Side

WINDOW = 384
"""Steps of a sample that count; `SPAN` - 1 before them are their past."""
UNLIKE = 0.15
"""A stride is unlike the others when its time is this much longer or shorter than the walk's median."""
MARGIN = 60
"""Steps that such a stride's events lie from a window's edges."""


def unlike_steps(walk: Walk) -> NDArray[np.intp]:
    """Rows of the first and last events of a walk, and of those that bound strides unlike the others (turns)."""
    instants: list[float] = []
    for side in Side:
        for kind in EventKind:
            times = walk.events[side, kind]
            if len(times) < 4:
                continue
            strides = np.diff(times)
            odd = np.flatnonzero(np.abs(strides / np.median(strides) - 1.0) > UNLIKE)
            instants += [times[0], times[-1], *times[odd], *times[odd + 1]]
    rows = np.round((np.unique(instants) - walk.time_s[0]) / walk.step_s).astype(np.intp)
    return rows[(rows >= 0) & (rows < len(walk.time_s))]


class Pool:
    """Windows drawn from walks, with their past (nothing before the first sample) and their targets.

    Parameters
    ----------
    walks
        Walks and their features.
    made_share
        Share of windows of virtual subjects and idle feet.
    unlike_share
        Share of the windows of people and virtual subjects that are laid over steps unlike the others.
    rng
        Draws the windows.
    """

    def __init__(
        self,
        walks: list[tuple[Walk, NDArray[np.float32]]],
        made_share: float,
        unlike_share: float,
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._unlike_share = unlike_share
        self._walks = []
        for walk, seen in walks:
            x = np.zeros((len(seen) + SPAN - 1 + WINDOW, *seen.shape[1:]), np.float32)
            x[SPAN - 1 : SPAN - 1 + len(seen)] = seen
            self._walks.append((x, targets(walk), unlike_steps(walk)))
        lengths = np.array([len(walk.time_s) for walk, _ in walks], dtype=float)
        made = np.array([walk.made for walk, _ in walks])
        for part, share in ((made, made_share), (~made, 1.0 - made_share)):
            lengths[part] *= share / max(lengths[part].sum(), 1.0)
        self._shares = lengths / lengths.sum()

    def draw(self, count: int, other_foot: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(count, INPUTS, SPAN - 1 + WINDOW) inputs and what is wanted of the last WINDOW steps."""
        xs, wanted = [], []
        for k in self._rng.choice(len(self._walks), count, p=self._shares):
            x, aims, unlike = self._walks[k]
            start = self._start(len(aims["known"]), unlike)
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

    def _start(self, n: int, unlike: NDArray[np.intp]) -> int:
        if len(unlike) and self._rng.random() < self._unlike_share:
            start = int(self._rng.choice(unlike) - self._rng.integers(MARGIN, WINDOW - MARGIN))
        else:
            start = int(self._rng.integers(-WINDOW // 4, max(n - WINDOW + WINDOW // 4, 1)))
        return min(max(start, 0), max(n - WINDOW, 0))
