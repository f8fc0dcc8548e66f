"""Scores on people left out, and what is fitted on them beside the weights: thresholds and confidences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize

from gait_twin.events.network import NetworkStream, Weights
from gait_twin.events.neural import EventPicker, Found
from gait_twin.events.training.walks import Walk
from gait_twin.recording import EventKind, Side

LOOK_AHEAD_S = 0.06
WITHIN_S = 0.05
"""An event is found when it lies this near to a label."""

THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65)

FloatArray = NDArray[np.float64]


def pairs(labels: FloatArray, found: FloatArray, within_s: float = WITHIN_S) -> list[tuple[int, int]]:
    """One-to-one pairs of labels and found events that are near each other."""
    if not len(labels) or not len(found):
        return []
    distance = np.abs(labels[:, None] - found[None])
    rows, columns = linear_sum_assignment(np.minimum(distance, 10.0 * within_s))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if distance[i, j] <= within_s]


def outputs(weights: Weights, seen: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """The network's outputs on each walk, (n, 2, OUTPUTS)."""
    return [NetworkStream(weights, 2).update(x) for x in seen]


def picked(
    walk: Walk, out: NDArray[np.float32], thresholds: Mapping[str, float], look_ahead_s: float = LOOK_AHEAD_S
) -> list[tuple[Side, Found]]:
    """What pickers find on both feet, where it is known what is there."""
    found = []
    for i, side in enumerate(Side):
        for event in EventPicker(walk.step_s, look_ahead_s, thresholds).update(walk.time_s, out[:, i]):
            row = min(int(np.searchsorted(walk.time_s, event.time_s)), len(walk.time_s) - 1)
            if walk.known[row, i]:
                found.append((side, event))
    return found


def _score(
    walks: list[Walk], found: list[list[tuple[Side, Found]]], kind: EventKind
) -> tuple[float, FloatArray, FloatArray]:
    """F1, and spread (s) and truth (0 or 1) of every found event."""
    hits = found_n = labels_n = 0
    spread_s, real = [], []
    for walk, events in zip(walks, found, strict=True):
        for side in Side:
            mine = [event for whose, event in events if whose is side and event.kind is kind]
            labels = walk.events[side, kind]
            near = {j for _, j in pairs(labels, np.array([event.time_s for event in mine]))}
            hits, found_n, labels_n = hits + len(near), found_n + len(mine), labels_n + len(labels)
            spread_s += [event.spread_s for event in mine]
            real += [float(j in near) for j in range(len(mine))]
    return 2.0 * hits / max(found_n + labels_n, 1), np.array(spread_s), np.array(real)


def event_f1(weights: Weights, walks: list[Walk], seen: list[NDArray[np.float32]]) -> dict[str, float]:
    """F1 at ±50 ms of each kind, threshold one half."""
    found = [picked(walk, out, {}) for walk, out in zip(walks, outputs(weights, seen), strict=True)]
    return {f"f1_{kind.value}": _score(walks, found, kind)[0] for kind in EventKind}


def fit(walks: list[Walk], outs: list[NDArray[np.float32]]) -> dict[str, Any]:
    """Threshold of each kind with the best F1, and the line that makes confidences of events calibrated.

    Parameters
    ----------
    walks
        Walks of people whom the networks that gave the outputs were not trained on.
    outs
        (n, 2, OUTPUTS) of each walk.
    """
    notes: dict[str, Any] = {"thresholds": {}, "confidence": {}}
    found = {
        t: [picked(walk, out, dict.fromkeys(EventKind, t)) for walk, out in zip(walks, outs, strict=True)]
        for t in THRESHOLDS
    }
    for kind in EventKind:
        scores = {t: _score(walks, found[t], kind)[0] for t in found}
        # Of the flat top the lowest: ways of walking that are new are the less certain
        threshold = min(t for t, f1 in scores.items() if f1 > max(scores.values()) - 0.001)
        _, spread_s, real = _score(walks, found[threshold], kind)
        size = np.log(spread_s)

        def cost(line: FloatArray, size: FloatArray = size, real: FloatArray = real) -> float:
            z = line[0] + line[1] * size
            return float(np.sum(np.logaddexp(0.0, z) - real * z) + 0.01 * np.sum(line**2))

        line = minimize(cost, [-10.0, -3.0], method="Nelder-Mead").x
        notes["thresholds"][kind.value] = threshold
        notes["confidence"][kind.value] = [float(line[0]), float(min(line[1], 0.0))]
    return notes
