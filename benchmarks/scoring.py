"""Scores of found events against labels, and of errors."""

from __future__ import annotations

import numpy as np


def matched(labels: np.ndarray, found: np.ndarray, within_s: float) -> list[tuple[int, int]]:
    """One-to-one pairs, nearest first."""
    pairs: list[tuple[int, int]] = []
    if not len(labels) or not len(found):
        return pairs
    distance = np.abs(labels[:, None] - found[None])
    rows, columns = set(), set()
    for flat in np.argsort(distance, axis=None):
        i, j = (int(k) for k in np.unravel_index(flat, distance.shape))
        if distance[i, j] > within_s:
            break
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            pairs.append((i, j))
    return pairs


def event_scores(cases: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """F1 at ±100 and ±50 ms after the constant bias (median over all cases) is taken off, and the errors left."""
    errors = [found[j] - labels[i] for labels, found in cases for i, j in matched(labels, found, 0.25)]
    bias = float(np.median(errors)) if errors else 0.0
    scores: dict[str, float] = {"bias_ms": 1e3 * bias}
    for within in (0.1, 0.05):
        hits = labels_n = found_n = 0
        left = []
        for labels, found in cases:
            pairs = matched(labels, found - bias, within)
            hits, labels_n, found_n = hits + len(pairs), labels_n + len(labels), found_n + len(found)
            left += [abs(found[j] - bias - labels[i]) for i, j in pairs]
        scores[f"f1_{within * 1e3:.0f}ms"] = 2 * hits / max(labels_n + found_n, 1)
        if within == 0.1:
            scores |= {
                "labels": labels_n,
                "missed": labels_n - hits,
                "false": found_n - hits,
                "median_ms": 1e3 * float(np.median(left)) if left else np.nan,
                "p95_ms": 1e3 * float(np.percentile(left, 95)) if left else np.nan,
            }
    return scores


def spread(errors: list[float] | np.ndarray) -> dict[str, float]:
    values = np.asarray(errors, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"n": 0}
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "median_abs": float(np.median(np.abs(values))),
        "worst": float(values[np.argmax(np.abs(values))]),
    }
