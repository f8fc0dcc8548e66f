"""Learns the orthopaedic screening from recorded walks, and says how good it is and what else tells the groups apart.

Only walkers with XSens sensors are used: nearly no one of these two groups wore the other brand. Scores are
by subject: of the test subjects, whom nothing was chosen or fitted on, and of everyone by nested cross-validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.orthopaedic import FEATURES, LABELS, OrthopaedicModel, walk_features
from gait_twin.classification.training.scores import expected_calibration_error
from gait_twin.errors import InputError
from gait_twin.events import EventDetector
from gait_twin.recording import BodyFrames, Recording, Stride
from gait_twin.recording.importers.foot_three_groups import Collection, collection, load
from gait_twin.sensing import SensorHub
from gait_twin.steps import StepEstimator

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]

GROUPS = {"Healthy": 0, "Orthopedic": 1}
BRAND = "XSens"
TEST_EVERY = 3
"""Of each group's subjects in order of their number, the third, sixth, ... are test subjects."""
PENALTIES = (0.3, 1.0, 3.0, 10.0)
"""Of the squared weights, tried by cross-validation within the training subjects."""
CLIP = 3.0
BLOCK_S = 2.0
LICENCE = (
    "Learned from Truong et al. 2019, Image Processing On Line 9:381-390, doi 10.5201/ipol.2019.265, CC BY-NC-SA: "
    "not for commercial use; share alike."
)


@dataclass(frozen=True)
class Walks:
    """n walks of m subjects.

    Attributes
    ----------
    features
        (n, 6), as `walk_features` gives them.
    subject
        (n,) index into the following.
    group, age, number
        (m,) 0 healthy, 1 orthopaedic; years, NaN where not known; the subject's number in the data.
    """

    features: FloatArray
    subject: NDArray[np.intp]
    group: NDArray[np.intp]
    age: FloatArray
    number: NDArray[np.intp]

    @property
    def test(self) -> NDArray[np.bool_]:
        """(m,) who is a test subject."""
        test = np.zeros(len(self.group), bool)
        for group in (0, 1):
            own = np.flatnonzero(self.group == group)
            test[own[np.argsort(self.number[own])][TEST_EVERY - 1 :: TEST_EVERY]] = True
        return test


def strides_of(recording: Recording) -> list[Stride]:
    """Strides of a recording's feet, through the classes that the live nodes run."""
    hub = SensorHub(tuple(recording.imus))
    detector, estimator = EventDetector(), StepEstimator()
    strides: list[Stride] = []

    def take(frames: BodyFrames) -> None:
        if len(frames):
            strides.extend(estimator.update(frames, detector.update(frames)[0]).strides)

    for start_s in np.arange(0.0, recording.duration_s + BLOCK_S, BLOCK_S):
        for segment, stream in recording.imus.items():
            a, b = np.searchsorted(stream.time_s, [start_s, start_s + BLOCK_S])
            if b > a and stream.gyr_radps is not None:
                hub.push(segment, stream.time_s[a:b], stream.acc_mps2[a:b], stream.gyr_radps[a:b])
        take(hub.poll())
    take(hub.flush())
    strides.extend(estimator.flush().strides)
    return strides


def read(path: Path, progress: Progress = lambda _: None) -> Walks:
    """All walks of both groups, gone through the real chain.

    Raises
    ------
    InputError
        If the data is not there.
    """
    held = collection(path)
    codes = [c for c, one in held.trials.items() if one["Sensor"] == BRAND and one["PathologyGroup"] in GROUPS]
    numbers = sorted({int(held.trials[code]["Subject"]) for code in codes})
    features = []
    for k, code in enumerate(codes):
        recording = load(path, trial=code)
        features.append(walk_features(strides_of(recording), recording.subject.height_m))
        progress((k + 1) / len(codes))
    told = [bool(np.isfinite(row[1])) for row in features]
    subject = np.array([numbers.index(int(held.trials[code]["Subject"])) for code in codes], np.intp)
    firsts = [next(code for code in codes if int(held.trials[code]["Subject"]) == number) for number in numbers]
    return Walks(
        np.array(features)[told],
        subject[told],
        np.array([GROUPS[held.trials[code]["PathologyGroup"]] for code in firsts], np.intp),
        np.array([_age(held, code) for code in firsts]),
        np.array(numbers, np.intp),
    )


def _age(held: Collection, code: str) -> float:
    try:
        return float(held.trials[code]["Age"])
    except (TypeError, ValueError):
        return math.nan


def fit(features: FloatArray, subject: NDArray[np.intp], group: NDArray[np.intp], penalty: float) -> OrthopaedicModel:
    """Ridge logistic regression in which every subject weighs one, however many walks.

    Parameters
    ----------
    features, subject
        (n, f) walks, NaN where not known, and (n,) whose.
    group
        (m,) of each subject, 0 or 1.
    penalty
        Of half the squared weights, against the sum over subjects of the logarithmic loss.
    """
    share = 1.0 / np.bincount(subject, minlength=len(group))[subject]
    known = np.isfinite(features)
    filled, weight = np.where(known, features, 0.0), known * share[:, None]
    mean = (weight * filled).sum(axis=0) / weight.sum(axis=0)
    sd = np.sqrt((weight * (filled - mean) ** 2).sum(axis=0) / weight.sum(axis=0))
    z = np.where(known, (features - mean) / sd, 0.0)
    limit = float(np.quantile(np.sqrt((z**2).sum(axis=1) / known.sum(axis=1)), 0.95))
    x = np.column_stack([np.clip(z, -CLIP, CLIP), np.ones(len(z))])
    ridge = np.diag([*np.full(x.shape[1] - 1, penalty), 1e-6])
    target, beta = group[subject], np.zeros(x.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-x @ beta))
        slope = x.T @ (share * (p - target)) + ridge @ beta
        step = np.linalg.solve((x * (share * p * (1.0 - p))[:, None]).T @ x + ridge, slope)
        beta = beta - step
        if np.abs(step).max() < 1e-9:
            break
    return OrthopaedicModel(mean, sd, CLIP, beta[:-1], float(beta[-1]), limit)


def by_subject(model: OrthopaedicModel, features: FloatArray, subject: NDArray[np.intp], m: int) -> FloatArray:
    """(m,) mean logarithmic odds of each subject's walks; NaN without any."""
    odds = model.log_odds(features)
    counts = np.bincount(subject, minlength=m)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(subject, odds, m) / counts)


def folds(group: NDArray[np.intp], parts: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """(m,) who is left out of each part; groups are spread evenly."""
    part = np.empty(len(group), np.intp)
    for k in (0, 1):
        own = np.flatnonzero(group == k)
        part[rng.permutation(own)] = np.arange(len(own)) % parts
    for k in range(parts):
        yield part == k


def left_out(walks: Walks, who: NDArray[np.bool_], penalty: float, columns: slice, seed: int) -> FloatArray:
    """(m,) logarithmic odds of the subjects `who`, each by a model fitted without them; NaN for others."""
    odds = np.full(len(who), np.nan)
    chosen = np.flatnonzero(who)
    for out in folds(walks.group[chosen], 5, np.random.default_rng(seed)):
        rows = np.isin(walks.subject, chosen[~out])
        model = fit(walks.features[rows, columns], walks.subject[rows], walks.group, penalty)
        found = by_subject(model, walks.features[:, columns], walks.subject, len(who))
        odds[chosen[out]] = found[chosen[out]]
    return odds


def chosen(walks: Walks, who: NDArray[np.bool_], columns: slice = slice(None), repeats: int = 4) -> OrthopaedicModel:
    """Fit on the subjects `who`: penalty and calibration by cross-validation among them."""
    odds = {p: [left_out(walks, who, p, columns, seed) for seed in range(repeats)] for p in PENALTIES}
    best = min(PENALTIES, key=lambda p: np.mean([_loss(one[who], walks.group[who]) for one in odds[p]]))
    every = np.concatenate([one[who] for one in odds[best]])
    target = np.tile(walks.group[who], repeats)
    stretches = np.linspace(0.5, 2.0, 61)
    stretch = float(min(stretches, key=lambda a: _loss(a * every, target)))
    rows = np.isin(walks.subject, np.flatnonzero(who))
    model = fit(walks.features[rows, columns], walks.subject[rows], walks.group, best)
    return OrthopaedicModel(
        model.mean,
        model.sd,
        model.clip,
        stretch * model.weights,
        stretch * model.intercept,
        model.limit,
        {"penalty": best, "stretch": round(stretch, 3)},
    )


def _loss(log_odds: FloatArray, group: NDArray[np.intp]) -> float:
    known = np.isfinite(log_odds)
    return float(np.logaddexp(0.0, np.where(group == 1, -log_odds, log_odds))[known].mean())


def scores(log_odds: FloatArray, group: NDArray[np.intp]) -> dict[str, float]:
    """Of subjects: balanced accuracy, sensitivity, specificity, area under the curve, calibration."""
    known = np.isfinite(log_odds)
    log_odds, group = log_odds[known], group[known]
    ill, well = log_odds[group == 1], log_odds[group == 0]
    p = 1.0 / (1.0 + np.exp(-log_odds))
    confidence, right = np.maximum(p, 1.0 - p), (p > 0.5) == (group == 1)
    return {
        "subjects": len(group),
        "balanced_accuracy": float(0.5 * ((ill > 0).mean() + (well <= 0).mean())),
        "sensitivity": float((ill > 0).mean()),
        "specificity": float((well <= 0).mean()),
        "auc": float((ill[:, None] > well).mean() + 0.5 * (ill[:, None] == well).mean()),
        "ece": expected_calibration_error(confidence, right),
        "ece_if_calibrated": _chance_ece(confidence),
        "log_loss": _loss(log_odds, group),
    }


def _chance_ece(confidence: FloatArray, draws: int = 500) -> float:
    """Expected calibration error that so few subjects show on average when the probabilities are exactly right."""
    rng = np.random.default_rng(0)
    drawn = [
        expected_calibration_error(confidence, rng.uniform(size=len(confidence)) < confidence) for _ in range(draws)
    ]
    return float(np.mean(drawn))


def nested(walks: Walks, who: NDArray[np.bool_], columns: slice = slice(None), repeats: int = 5) -> dict[str, float]:
    """Scores of subjects left out of everything, penalty and calibration too; means over repeated splits in five."""
    found = []
    index = np.flatnonzero(who)
    for seed in range(repeats):
        odds = np.full(len(who), np.nan)
        for out in folds(walks.group[index], 5, np.random.default_rng(1000 + seed)):
            inner = np.zeros(len(who), bool)
            inner[index[~out]] = True
            model = chosen(walks, inner, columns, repeats=2)
            said = by_subject(model, walks.features[:, columns], walks.subject, len(who))
            odds[index[out]] = said[index[out]]
        found.append(scores(odds[who], walks.group[who]))
    made = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    made["balanced_accuracy_sd"] = float(np.std([one["balanced_accuracy"] for one in found]))
    return made


def of_age(walks: Walks) -> Walks:
    """The same subjects, of whom nothing is known but the age."""
    m = len(walks.group)
    return Walks(walks.age[:, None], np.arange(m), walks.group, walks.age, walks.number)


def trained(walks: Walks) -> tuple[OrthopaedicModel, dict[str, Any]]:
    """The model of the training subjects, and every score.

    Raises
    ------
    InputError
        Without subjects of both groups.
    """
    if min(np.bincount(walks.group, minlength=2)) < 4 * TEST_EVERY:
        raise InputError("There are too few subjects of a group to train and test; take the whole data.")
    test, everyone = walks.test, np.ones(len(walks.group), bool)
    model = chosen(walks, ~test)
    odds = by_subject(model, walks.features, walks.subject, len(test))
    ages = of_age(walks)
    age_odds = by_subject(chosen(ages, ~test), ages.features, ages.subject, len(test))
    speed = slice(0, 1)
    table = {
        "test subjects": scores(odds[test], walks.group[test]),
        "test subjects, each walk alone": scores(
            model.log_odds(walks.features[test[walks.subject]]), walks.group[walks.subject[test[walks.subject]]]
        ),
        "training subjects, nested cross-validation": nested(walks, ~test),
        "everyone, nested cross-validation": nested(walks, everyone),
        "age alone, test subjects": scores(age_odds[test], walks.group[test]),
        "age alone, everyone, nested": nested(ages, everyone),
        "stride length alone, everyone, nested": nested(walks, everyone, speed),
    }
    middle = (walks.age >= 35.0) & (walks.age <= 70.0)
    table["35 to 70 years old, of everyone, nested"] = nested(walks, middle)
    notes = {
        **model.notes,
        "licence": LICENCE,
        "data": f"foot_three_groups, {BRAND}, {' against '.join(GROUPS)}",
        "training_subjects": walks.number[~test].tolist(),
        "test_subjects": walks.number[test].tolist(),
        "scores": {name: {k: round(v, 4) for k, v in row.items()} for name, row in table.items()},
    }
    shipped = OrthopaedicModel(model.mean, model.sd, model.clip, model.weights, model.intercept, model.limit, notes)
    return shipped, table


assert len(FEATURES) == 6
assert len(LABELS) == len(GROUPS)
