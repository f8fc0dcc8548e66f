"""What is fitted on validation walks beside the network: temperatures, and where novelty begins."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gait_twin.classification.network import NONE, SETS, Model, known_channels, softmax, worn
from gait_twin.classification.training.data import CycleSet
from gait_twin.classification.training.masking import masked, of_set
from gait_twin.recording import Side

FloatArray = NDArray[np.float64]

CHUNK = 2048
FALSE_ALARMS = 0.05
LEAST = 0.5
"""Temperature: where all validation walks come out right, they do not say how sure one may be."""


def answers(model: Model, data: CycleSet) -> FloatArray:
    """(n, o) logits of all cycles, near read as left."""
    parts = [model.answer(data.curves[i : i + CHUNK], data.numbers[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]
    return model.of_sides(np.concatenate(parts), [Side.RIGHT if right else Side.LEFT for right in data.right])


def per_walk(values: FloatArray, data: CycleSet) -> FloatArray:
    """(w, …) means over each walk's cycles."""
    sums = np.zeros((len(data.walks), *values.shape[1:]))
    np.add.at(sums, data.walk, values)
    counts = np.bincount(data.walk, minlength=len(data.walks)).astype(float)
    return sums / counts.reshape(-1, *(1,) * (values.ndim - 1))


def allowed(model: Model, data: CycleSet) -> NDArray[np.bool_]:
    """(w, o) outputs that are right for each walk, near read as left; of a class that is not known none."""
    legs = {"left": "near", "right": "far"}
    return np.array(
        [
            [
                o != NONE
                and model.labels[o.label] == walk.label
                and (not walk.side or not o.leg or legs[walk.side] == o.leg)
                for o in model.outputs
            ]
            for walk in data.walks
        ],
        bool,
    ).reshape(len(data.walks), len(model.outputs))


def in_sets(data: CycleSet) -> list[tuple[str, CycleSet]]:
    """The data as each of `SETS` of sensors would see them, where all of its sensors are worn."""
    found = []
    have = worn(known_channels(data.curves))
    for k, name in enumerate(SETS):
        rows = np.bincount(data.walk, weights=have >= k, minlength=len(data.walks))
        enough = rows >= 0.5 * np.bincount(data.walk, minlength=len(data.walks))
        part = data.of_walks(enough)
        if len(part):
            found.append((name, part.with_inputs(*masked(part.curves, part.numbers, of_set(name, len(part))))))
    return found


def _temperature(logits: FloatArray, right: NDArray[np.bool_]) -> float:
    """That makes the probability of what is right most likely."""

    def loss(log_t: float) -> float:
        p = softmax(logits / np.exp(log_t))
        return float(-np.log((p * right).sum(axis=1) + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(LEAST), 3.0), method="bounded").x))


def calibrated(model: Model, data: CycleSet) -> Model:
    """The model with what is fitted to validation walks, in every set of sensors.

    Temperatures make the probability of what is right most likely. Novelty begins where one walk in twenty would be
    called unknown; a set of sensors that no walk wears takes that of the next smaller one.
    """
    logits, means, right, right_walks = [], [], [], []
    limits: dict[str, tuple[float, float]] = {}
    for name, part in in_sets(data):
        found = answers(model, part)
        good = allowed(model, part)[:, :-1]
        logits.append(found[:, :-1])
        right.append(good[part.walk])
        means.append(per_walk(found, part)[:, :-1])
        right_walks.append(good)
        odds = model.odds_of_none(found)
        of_walks = per_walk(odds, part)
        limits[name] = tuple(float(np.quantile(values, 1.0 - FALSE_ALARMS)) for values in (odds, of_walks))  # type: ignore[assignment]
    one = _temperature(np.concatenate(logits), np.concatenate(right))
    many = _temperature(np.concatenate(means), np.concatenate(right_walks))
    last = next(iter(limits.values()))
    for name in SETS:
        last = limits.setdefault(name, last)
    return dataclasses.replace(model, temperatures=(one, many), novelty={name: limits[name] for name in SETS})
