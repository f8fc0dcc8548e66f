"""What is fitted on validation walks beside the network: temperatures, and where novelty begins."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gait_twin.classification.network import SETS, Model, Novelty, known_channels, softmax, worn
from gait_twin.classification.training.data import CycleSet
from gait_twin.classification.training.masking import masked, of_set
from gait_twin.recording import Side

FloatArray = NDArray[np.float64]

CHUNK = 2048
SHRINK = 0.05
"""Share of the mean variance that is added to every direction of the embedding."""
FALSE_ALARMS = 0.05
LEAST = 0.5
"""Temperature: where all validation walks come out right, they do not say how sure one may be."""


def answers(model: Model, data: CycleSet) -> tuple[FloatArray, FloatArray]:
    """Logits (n, o), near read as left, and embeddings (n, e) of all cycles."""
    parts = [model.answer(data.curves[i : i + CHUNK], data.numbers[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]
    logits = np.concatenate([logits for logits, _ in parts])
    sides = [Side.RIGHT if right else Side.LEFT for right in data.right]
    return model.of_sides(logits, sides), np.concatenate([embedding for _, embedding in parts])


def per_walk(values: FloatArray, data: CycleSet) -> FloatArray:
    """(w, …) means over each walk's cycles."""
    sums = np.zeros((len(data.walks), *values.shape[1:]))
    np.add.at(sums, data.walk, values)
    counts = np.bincount(data.walk, minlength=len(data.walks)).astype(float)
    return sums / counts.reshape(-1, *(1,) * (values.ndim - 1))


def allowed(model: Model, data: CycleSet) -> NDArray[np.bool_]:
    """(w, o) outputs that are right for each walk, near read as left."""
    legs = {"left": "near", "right": "far"}
    return np.array(
        [
            [
                model.labels[o.label] == walk.label and (not walk.side or not o.leg or legs[walk.side] == o.leg)
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
    """The model with temperatures fitted to validation walks, in every set of sensors."""
    logits, means, right, right_walks = [], [], [], []
    for _, part in in_sets(data):
        found, _ = answers(model, part)
        good = allowed(model, part)
        logits.append(found)
        right.append(good[part.walk])
        means.append(per_walk(found, part))
        right_walks.append(good)
    one = _temperature(np.concatenate(logits), np.concatenate(right))
    many = _temperature(np.concatenate(means), np.concatenate(right_walks))
    return dataclasses.replace(model, temperatures=(one, many))


def with_novelty(model: Model, train: CycleSet, validation: CycleSet) -> Model:
    """The model with where its training cycles lie, and the distances that one validation walk in twenty passes."""
    held = dict(in_sets(validation))
    novelty = {}
    for name, part in in_sets(train):
        if name not in held:
            continue
        logits, embedding = answers(model, part)
        right = allowed(model, part)[part.walk]
        # a sided class lies in two places: as the near leg's and as the far leg's
        own = np.where(right, logits, -np.inf).argmax(axis=1)
        swapped = [[(o.label, o.leg) for o in model.outputs].index((o.label, _OTHER[o.leg])) for o in model.outputs]
        own = np.where(part.right, np.array(swapped)[own], own)
        means = np.stack([embedding[own == k].mean(axis=0) for k in range(len(model.outputs)) if (own == k).any()])
        of = np.searchsorted(np.array([k for k in range(len(model.outputs)) if (own == k).any()]), own)
        rest = embedding - means[of]
        covariance = rest.T @ rest / len(rest)
        covariance += SHRINK * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(covariance)
        one = Novelty(means, vectors / np.sqrt(values), 1.0, 1.0)
        distance = one.distance(answers(model, held[name])[1])
        novelty[name] = dataclasses.replace(
            one,
            cycle=float(np.quantile(distance, 1.0 - FALSE_ALARMS)),
            walk=float(np.quantile(per_walk(distance, held[name]), 1.0 - FALSE_ALARMS)),
        )
    return dataclasses.replace(model, novelty=novelty)


_OTHER = {"": "", "near": "far", "far": "near"}
