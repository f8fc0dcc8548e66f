"""Scores of a classifier over walks: confusion, calibration, and where a class can be told from something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.network import SETS, Model, between, known_channels, worn
from gait_twin.classification.training.data import CycleSet
from gait_twin.classification.training.fitting import answers, per_walk

FloatArray = NDArray[np.float64]

ECE_BINS = 10
SHUFFLES = 200
MIN_GAIN, MAX_P = 0.15, 0.01
"""A nuisance is warned of when it tells classes by so much better than chance, and chance is so unlikely to."""


@dataclass(frozen=True)
class WalkScores:
    """What a model says of walks.

    Attributes
    ----------
    labels
        k classes.
    true
        (w,) index of each walk's class; -1 for one that the model does not know.
    probabilities
        (w, k).
    novelty
        (w,) as in `GaitClass`.
    sides
        (w,) ``left``, ``right`` or empty, of the most probable class.
    """

    labels: tuple[str, ...]
    true: NDArray[np.intp]
    probabilities: FloatArray
    novelty: FloatArray
    sides: tuple[str, ...]

    @property
    def guessed(self) -> NDArray[np.intp]:
        """(w,) most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """Share of walks whose most probable class is right."""
        return float((self.guessed == self.true).mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes of the share that is recognised."""
        found = [(self.guessed[self.true == k] == k).mean() for k in range(len(self.labels)) if (self.true == k).any()]
        return float(np.mean(found))

    @property
    def ece(self) -> float:
        """Expected calibration error of the most probable class, see `expected_calibration_error`."""
        return expected_calibration_error(self.probabilities.max(axis=1), self.guessed == self.true)

    @property
    def confusion(self) -> NDArray[np.intp]:
        """(k, k) walks of each class (rows) by what they were taken for."""
        table = np.zeros((len(self.labels), len(self.labels)), int)
        np.add.at(table, (self.true, self.guessed), 1)
        return table

    @classmethod
    def joined(cls, scores: Sequence[WalkScores]) -> WalkScores:
        """Walks of several models of the same classes."""
        return cls(
            scores[0].labels,
            np.concatenate([s.true for s in scores]),
            np.concatenate([s.probabilities for s in scores]),
            np.concatenate([s.novelty for s in scores]),
            tuple(side for s in scores for side in s.sides),
        )


def score(model: Model, data: CycleSet) -> WalkScores:
    """Let a model classify whole walks, each from the mean of its cycles."""
    logits = answers(model, data)
    means = per_walk(logits, data)
    odds = per_walk(model.odds_of_none(logits), data)
    limits = np.array([model.novelty[name] for name in SETS])[worn(known_channels(data.curves))]
    limit_of = per_walk(limits, data)
    counts = np.bincount(data.walk, minlength=len(data.walks))
    probabilities = np.zeros((len(data.walks), len(model.labels)))
    novelty, sides = np.zeros(len(data.walks)), []
    for w, n in enumerate(counts.tolist()):
        shares = model.probabilities(means[w], n)
        for output, share in zip(model.outputs[:-1], shares, strict=True):
            probabilities[w, output.label] += share
        novelty[w] = np.exp(np.clip(odds[w] - between(float(limit_of[w, 0]), float(limit_of[w, 1]), n), -20.0, 20.0))
        best = int(probabilities[w].argmax())
        sided = {o.leg: s for o, s in zip(model.outputs[:-1], shares, strict=True) if o.label == best and o.leg}
        sides.append("" if not sided else ("left" if sided.get("near", 0.0) >= sided.get("far", 0.0) else "right"))
    index = {label: k for k, label in enumerate(model.labels)}
    return WalkScores(
        model.labels,
        np.array([index.get(walk.label, -1) for walk in data.walks], np.intp),
        probabilities,
        novelty,
        tuple(sides),
    )


def expected_calibration_error(confidence: FloatArray, right: NDArray[np.bool_]) -> float:
    """Mean difference of confidence and share that is right, over bins of equal number (Nixon et al. 2019)."""
    if not len(confidence):
        return float("nan")
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(ECE_BINS, max(1, len(confidence) // 10)))
    return float(sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts) / len(confidence))


def cross_validated(
    data: CycleSet,
    fit: Callable[[CycleSet, int], Model],
    folds: int,
    seed: int = 1,
) -> tuple[WalkScores, CycleSet]:
    """Scores of walks by models that never saw their subjects.

    Parameters
    ----------
    data
        All walks.
    fit
        Trains a model on walks; also told the fold's number.
    folds
        Parts that the subjects are cut into, each with its share of every class.
    seed
        Of the cut.

    Returns
    -------
    scores, data
        In the order of the folds.
    """
    fold_of = folds_by_subject(data, folds, seed)
    scores, parts = [], []
    for k in range(folds):
        held = {subject for subject, fold in fold_of.items() if fold == k}
        model = fit(data.of_subjects(set(data.subjects) - held), k)
        parts.append(data.of_subjects(held))
        scores.append(score(model, parts[-1]))
    return WalkScores.joined(scores), CycleSet.joined(parts)


def folds_by_subject(data: CycleSet, folds: int, seed: int) -> dict[str, int]:
    """Fold of each subject: subjects of each class are dealt out in turn."""
    rng = np.random.default_rng(seed)
    main: dict[str, str] = {}
    for subject in data.subjects:
        main[subject] = Counter(w.label for w in data.walks if w.subject == subject).most_common(1)[0][0]
    fold_of: dict[str, int] = {}
    for label in data.labels:
        own = [subject for subject in data.subjects if main[subject] == label]
        for subject in rng.permutation(own):
            fold_of[str(subject)] = len(fold_of) % folds
    return fold_of


def nuisances(data: CycleSet, seed: int = 1) -> list[tuple[str, float, float]]:
    """How well the class can be told from each fact of the walks alone.

    For each fact: the classes of other subjects' walks with the same word, or the nearest numbers, vote.

    Returns
    -------
    list of (str, float, float)
        Fact; balanced accuracy; how often it is as good by chance, with labels dealt out anew among subjects.
    """
    labels = np.array([data.labels.index(walk.label) for walk in data.walks])
    subjects = np.array([data.subjects.index(walk.subject) for walk in data.walks])
    rng = np.random.default_rng(seed)
    found = []
    for name in sorted({fact for walk in data.walks for fact in walk.facts}):
        values = [walk.facts.get(name) for walk in data.walks]
        if len({str(v) for v in values}) < 2:
            continue
        near = _alike(values, subjects)
        accuracy = _told(near, labels, len(data.labels))
        reached = 0
        for _ in range(SHUFFLES):
            # a subject's walks keep belonging together
            order = rng.permutation(len(data.subjects))
            first = np.array([labels[subjects == s][0] for s in range(len(data.subjects))])
            reached += _told(near, first[order][subjects], len(data.labels)) >= accuracy - 1e-12
        found.append((name, accuracy, (1 + reached) / (1 + SHUFFLES)))
    return found


def _alike(values: Sequence[Any], subjects: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(w, w) walks of other subjects that are alike in a fact."""
    other = subjects[:, None] != subjects[None, :]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        numbers = np.array(values, float)
        apart = np.where(other & np.isfinite(numbers)[None, :], np.abs(numbers[:, None] - numbers[None, :]), np.inf)
        nearest = np.sort(apart, axis=1)[:, : max(3, len(values) // 10)]
        return np.asarray((apart <= nearest[:, -1:]) & np.isfinite(apart))
    words = np.array([str(v) for v in values])
    return np.asarray((words[:, None] == words[None, :]) & other)


def _told(near: NDArray[np.bool_], labels: NDArray[np.intp], k: int) -> float:
    """Balanced accuracy of votes, each class weighing alike; half right where nothing is alike."""
    onehot = np.eye(k)[labels] / np.maximum(np.bincount(labels, minlength=k), 1)
    votes = near @ onehot
    guessed = np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)
    shares = []
    for label in np.unique(labels):
        own = labels == label
        shares.append(np.mean(np.where(guessed[own] < 0, 1.0 / k, guessed[own] == label)))
    return float(np.mean(shares))


def warnings_of(data: CycleSet, found: Sequence[tuple[str, float, float]]) -> list[str]:
    """Sentences on facts that the class can be told from."""
    chance = 1.0 / len(data.labels)
    return [
        f"The class follows {name}: from it alone {accuracy:.0%} are told right (chance {chance:.0%}), so the scores "
        f"may be its. Record every class with the same {name}, or balance it."
        for name, accuracy, p in found
        if accuracy > chance + MIN_GAIN and p <= MAX_P
    ]
