"""Screening for orthopaedic gait: numbers of known strides, calibration, splits by subject, the shipped weights."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_twin.classification.orthopaedic import (
    FEATURES,
    LABELS,
    OrthopaedicModel,
    OrthopaedicScreen,
    screen,
    walk_features,
)
from gait_twin.classification.training.orthopaedic import Walks, chosen, fit, folds, left_out, nested, scores, trained
from gait_twin.errors import InputError
from gait_twin.recording import Side, Stride


def stride(k: int, side: Side, **other: float) -> Stride:
    start = 0.6 * k
    values = {
        "start_s": start,
        "end_s": start + 1.2,
        "toe_off_s": start + 0.75,
        "stride_length_m": 1.4,
        "stance_time_s": 0.75,
        "swing_time_s": 0.45,
        "double_support_time_s": 0.3,
        "foot_clearance_m": 0.07,
        "foot_angle_heel_strike_rad": 0.35,
        "foot_angle_toe_off_rad": -1.0,
        "turning_angle_rad": 0.02,
    }
    return Stride(side, **(values | other))


def walk(n: int = 20, turns: tuple[int, ...] = (9, 10), **of_left: float) -> list[Stride]:
    made = []
    for k in range(n):
        side = Side.LEFT if k % 2 else Side.RIGHT
        turned = {"turning_angle_rad": 1.2} if k in turns else {}
        made.append(stride(k, side, **((of_left if side is Side.LEFT else {}) | turned)))
    return made


def test_numbers_of_known_strides() -> None:
    found = dict(zip(FEATURES, walk_features(walk(), 1.75), strict=True))
    assert found["stride length over height"] == pytest.approx(0.8)
    assert found["stride time (s)"] == pytest.approx(1.2)
    assert found["asymmetry"] == pytest.approx(math.log(0.003))
    assert found["variability"] == pytest.approx(math.log(0.003))
    assert found["wobble (rad)"] == pytest.approx(0.02)
    assert found["turn rate (rad/s)"] == pytest.approx(1.0)
    limping = dict(zip(FEATURES, walk_features(walk(stance_time_s=0.65), 1.75), strict=True))
    assert limping["asymmetry"] > found["asymmetry"] + 0.3


def test_what_is_not_known_is_nan_and_counts_nothing() -> None:
    model = OrthopaedicModel.load()
    straight = walk_features(walk(turns=()), 1.75)
    assert np.isnan(straight).tolist() == [False] * 5 + [True]
    assert np.isnan(walk_features(walk(), math.nan)).tolist() == [True] + [False] * 5
    assert np.isnan(walk_features(walk(5), 1.75)).all()
    assert np.isnan(walk_features([], 1.75)).all()
    invalid = [dataclasses.replace(one, valid=False) for one in walk()]
    assert np.isnan(walk_features(invalid, 1.75)).all()
    assert model.contributions(straight)[5] == 0.0
    assert screen([walk(4)], 1.75, model) is None


@given(st.permutations(range(20)))
def test_order_of_strides_means_nothing(order: list[int]) -> None:
    strides = walk(stance_time_s=0.7)
    np.testing.assert_allclose(walk_features([strides[k] for k in order], 1.8), walk_features(strides, 1.8))


def test_shipped_weights_say_what_one_expects() -> None:
    """Long regular steps are healthy, short and uneven ones are not; something else is unknown."""
    well = screen([walk(stance_time_s=0.76)], 1.75)
    ill = screen([walk(stride_length_m=0.7, stance_time_s=0.9, turning_angle_rad=0.09) for _ in range(2)], 1.75)
    assert well is not None
    assert ill is not None
    assert well.labels == LABELS
    assert well.probabilities.sum() == pytest.approx(1.0)
    assert well.probabilities[1] < 0.3
    assert ill.probabilities[1] > well.probabilities[1] + 0.2
    crawl = screen([walk(stride_length_m=0.02, stance_time_s=1.19)], 1.75)
    assert crawl is not None
    assert crawl.unknown


def test_streaming_is_screening() -> None:
    strides = walk()
    live = OrthopaedicScreen(1.75)
    found = [answer for one in strides for answer in live.update([one])]
    assert found[-1].probabilities == pytest.approx(screen([strides], 1.75).probabilities)
    at_once = OrthopaedicScreen(1.75).update(strides)
    assert [a.probabilities[1] for a in at_once] == [a.probabilities[1] for a in found]
    # a minute later the first ones are forgotten, and after a leap back everything is
    late = [dataclasses.replace(one, start_s=one.start_s + 100.0, end_s=one.end_s + 100.0) for one in strides]
    assert live.update(late)[-1].cycles == len(strides)
    assert live.update(strides[:3]) == []


def made_walks(effect: float, subjects: int = 60, seed: int = 0) -> Walks:
    rng = np.random.default_rng(seed)
    group = np.arange(subjects) % 2
    person = rng.standard_normal((subjects, len(FEATURES))) + effect * group[:, None] * (np.arange(6) == 0)
    subject = np.repeat(np.arange(subjects), 4)
    features = person[subject] + 0.3 * rng.standard_normal((len(subject), len(FEATURES)))
    return Walks(features, subject, group, 40.0 + 20.0 * rng.standard_normal(subjects), np.arange(subjects))


def test_training_finds_what_is_there_and_nothing_else() -> None:
    strong, table = trained(made_walks(3.0))
    assert table["test subjects"]["balanced_accuracy"] > 0.8
    assert np.argmax(np.abs(strong.weights)) == 0
    assert strong.weights[0] > 0.0
    noise = nested(made_walks(0.0), np.ones(60, bool), repeats=2)
    assert 0.3 < noise["balanced_accuracy"] < 0.68
    assert noise["ece"] < 0.2


def test_splits_are_by_subject() -> None:
    walks = made_walks(0.0)
    assert walks.test.sum() == 20
    assert walks.group[walks.test].mean() == 0.5
    parts = list(folds(walks.group, 5, np.random.default_rng(1)))
    assert np.sum(parts, axis=0).tolist() == [1] * 60
    # a subject's own walks never helped to judge it: noise that all walks of a person share cannot be learned
    odds = left_out(walks, np.ones(60, bool), 0.3, slice(None), 1)
    assert scores(odds, walks.group)["auc"] < 0.72


def test_every_subject_weighs_the_same() -> None:
    walks = made_walks(1.0)
    rows = np.concatenate([np.arange(len(walks.subject)), np.repeat(np.flatnonzero(walks.subject == 7), 5)])
    one = fit(walks.features, walks.subject, walks.group, 1.0)
    many = fit(walks.features[rows], walks.subject[rows], walks.group, 1.0)
    np.testing.assert_allclose(one.weights, many.weights, atol=1e-9)


def test_unknown_numbers_can_be_trained_on() -> None:
    walks = made_walks(3.0)
    walks.features[::3, 5] = np.nan
    model = chosen(walks, ~walks.test)
    assert np.isfinite(model.weights).all()
    assert np.isfinite(model.novelty(walks.features)).all()


def test_file(tmp_path: Path) -> None:
    model = OrthopaedicModel.load()
    model.save(tmp_path / "w.json")
    again = OrthopaedicModel.load(tmp_path / "w.json")
    np.testing.assert_array_equal(again.weights, model.weights)
    assert "not for commercial use" in model.notes["licence"]
    assert not set(model.notes["training_subjects"]) & set(model.notes["test_subjects"])
    for bad in ("", "{}", '{"format": 9, "features": []}', "[1]"):
        (tmp_path / "bad.json").write_text(bad)
        with pytest.raises(InputError, match=r"bad\.json"):
            OrthopaedicModel.load(tmp_path / "bad.json")
    with pytest.raises(InputError, match=r"none\.json"):
        OrthopaedicModel.load(tmp_path / "none.json")


def test_the_notice_lies_beside_the_weights() -> None:
    import gait_twin.classification.orthopaedic as room

    notice = (room.DEFAULT_MODEL.parent / "orthopaedic.NOTICE.txt").read_text()
    assert "NonCommercial" in notice
    assert "Truong" in notice
