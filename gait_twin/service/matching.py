"""Which estimated instant belongs to which true one, and what lies between two clocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait_twin.recording import Side, Stride

PAIR_TOLERANCE_S = 0.15
"""Strides and steps are paired when their heel strikes lie this close: parameters of late events still count."""
CLOCK_BIN_S, CLOCK_CANDIDATES, CLOCK_SHARPNESS_S = 0.05, 40, 0.06
"""Search for the offset of a reference's clock: coarse step (s), candidates, and residual that counts nothing (s)."""


def match(estimated_s: Sequence[float], true_s: Sequence[float], tolerance_s: float) -> list[tuple[int, int]]:
    """Pair instants one to one, the closest first, none further apart than `tolerance_s`.

    Returns
    -------
    list of (int, int)
        Indices into `estimated_s` and `true_s`, by the latter.
    """
    true = np.asarray(true_s, dtype=float)
    order = np.argsort(true)
    candidates = []
    for i, instant in enumerate(estimated_s):
        low, high = np.searchsorted(true[order], [instant - tolerance_s, instant + tolerance_s])
        candidates += [(abs(instant - true[j]), i, int(j)) for j in order[low : high + 1]]
    pairs: list[tuple[int, int]] = []
    used_estimated: set[int] = set()
    used_true: set[int] = set()
    for distance, i, j in sorted(candidates):
        # the margin lets two instants that are exactly the tolerance apart match despite rounding
        if distance <= tolerance_s + 1e-9 and i not in used_estimated and j not in used_true:
            used_estimated.add(i)
            used_true.add(j)
            pairs.append((i, j))
    return sorted(pairs, key=lambda pair: true[pair[1]])


def clock_offset(strides: Sequence[Stride], true: Sequence[Stride]) -> float:
    """Time to add to a reference whose clock is not the sensors', s: the one that fits most strides best.

    Every difference of an estimated and a true heel strike is a candidate; stride times vary enough from one
    to the next to tell the right one from its neighbours a stride away.
    """
    times = {side: np.array([s.end_s for s in strides if s.side is side]) for side in Side}
    truths = {side: np.array([s.end_s for s in true if s.side is side]) for side in Side}
    differences = np.concatenate([(times[side][:, None] - truths[side]).ravel() for side in Side])
    if not len(differences):
        return 0.0
    bins, counts = np.unique(np.round(differences / CLOCK_BIN_S).astype(int), return_counts=True)
    best, best_score = 0.0, -np.inf
    for candidate in bins[np.argsort(-counts, kind="stable")][:CLOCK_CANDIDATES] * CLOCK_BIN_S:
        near = differences[np.abs(differences - candidate) <= PAIR_TOLERANCE_S / 2]
        offset = float(np.median(near)) if len(near) else candidate
        residuals = np.concatenate(
            [
                np.min(np.abs(times[side][:, None] - truths[side] - offset), axis=0)
                for side in Side
                if len(times[side]) and len(truths[side])
            ]
        )
        score = float(np.sum(np.maximum(0.0, 1.0 - (residuals / CLOCK_SHARPNESS_S) ** 2)))
        if score > best_score:
            best, best_score = offset, score
    return best
