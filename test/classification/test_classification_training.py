"""Training: splits by subject, masks, calibration, scores, what else tells classes apart, a lab's own labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from classification_made import QUICK, made_walks
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gait_twin.classification import Model
from gait_twin.classification.channels import CHANNELS, GROUPS, NUMBERS
from gait_twin.classification.network import SETS, STEPS
from gait_twin.classification.training import CycleSet, TrainSettings, masking, train
from gait_twin.classification.training.fitting import allowed, answers, per_walk
from gait_twin.classification.training.labels import read_labels
from gait_twin.classification.training.patterns import BOTH_SIDES, PATTERNS, STRANGE, Wearing, drawn, walked
from gait_twin.classification.training.run import split
from gait_twin.classification.training.scores import (
    cross_validated,
    expected_calibration_error,
    folds_by_subject,
    nuisances,
    score,
    warnings_of,
)
from gait_twin.classification.training.strange import bumps, strange
from gait_twin.cli import app
from gait_twin.errors import InputError
from gait_twin.recording import save
from gait_twin.simulation import SensorSettings, WalkSettings, simulate


def test_a_set_comes_back_from_its_file(tmp_path):
    data = made_walks(4, sensor="A")
    data.save(tmp_path / "set.npz")
    again = CycleSet.load(tmp_path / "set.npz")
    np.testing.assert_allclose(again.curves, data.curves, atol=2e-3)  # kept in half precision
    np.testing.assert_array_equal(again.walk, data.walk)
    assert again.walks == data.walks


def test_a_spoilt_set_is_refused(tmp_path):
    (tmp_path / "set.npz").write_bytes(b"spoilt")
    with pytest.raises(InputError, match="remove it"):
        CycleSet.load(tmp_path / "set.npz")


@settings(max_examples=25, deadline=None)
@given(subjects=st.integers(4, 30), share=st.floats(0.05, 0.5), seed=st.integers(0, 99))
def test_no_subject_is_on_both_sides_of_a_split(subjects, share, seed):
    data = made_walks(subjects)
    train_part, held = split(data, dataclasses.replace(QUICK, validation_share=share, seed=seed))
    assert not set(train_part.subjects) & set(held.subjects)
    assert set(train_part.subjects) | set(held.subjects) == set(data.subjects)
    assert train_part.labels == held.labels == data.labels


def test_one_class_or_one_subject_is_refused():
    data = made_walks(6)
    with pytest.raises(InputError, match="one class"):
        train(data.of_walks(np.array([w.label == "bent" for w in data.walks])), "x", QUICK)
    with pytest.raises(InputError, match="has 1 subject"):
        train(data.of_subjects({"s0", "s2", "s1"}), "x", QUICK)


def test_the_same_seed_gives_the_same_model():
    data = made_walks(8)
    a, b = (train(data, "x", dataclasses.replace(QUICK, epochs=1)) for _ in range(2))
    for left, right in zip(a.members, b.members, strict=True):
        for name, values in left.items():
            np.testing.assert_array_equal(values, right[name])


def test_cross_validation_scores_subjects_that_were_not_seen():
    data = made_walks(18)
    seen = []

    def fit(part, k):
        seen.append(set(part.subjects))
        return train(part, "x", TrainSettings(epochs=10, members=1, batch=32))

    scores, order = cross_validated(data, fit, 3)
    folds = folds_by_subject(data, 3, 1)
    assert all(not {s for s, f in folds.items() if f == k} & seen[k] for k in range(3))
    assert sorted(order.subjects) == sorted(data.subjects)
    assert scores.accuracy >= 0.9
    assert scores.confusion.sum() == 18
    assert 0.0 <= scores.ece <= 1.0


def test_scores_follow_walks_and_know_new_classes(quick):
    data = made_walks(6, seed=7, sided=True)
    scores = score(quick, data)
    assert scores.accuracy == 1.0
    assert scores.balanced_accuracy == 1.0
    assert [side for side, walk in zip(scores.sides, data.walks, strict=True) if walk.side] == [
        walk.side for walk in data.walks if walk.side
    ]
    other = dataclasses.replace(
        data, walks=tuple(dataclasses.replace(walk, label="other", side="") for walk in data.walks)
    )
    assert (score(quick, other).true == -1).all()


def test_calibration_error_of_known_cases():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1.0, 20000)
    assert expected_calibration_error(p, rng.random(20000) < p) < 0.02
    assert expected_calibration_error(np.full(1000, 0.9), np.arange(1000) % 2 == 0) == pytest.approx(0.4)


def test_temperatures_are_fitted_to_walks_and_novelty_to_one_in_twenty(quick):
    data = made_walks(24, sided=True)
    assert set(quick.novelty) == set(SETS)
    logits = answers(quick, data)
    assert (per_walk(logits, data).shape, allowed(quick, data).sum()) == ((24, 4), 24)
    assert (score(quick, data).novelty <= 1.0).mean() >= 0.8
    assert all(0.4 <= t <= 20.0 for t in quick.temperatures)


def test_masks_take_what_rests_on_a_sensor():
    worn = np.ones((2, len(masking.WORN)), bool)
    worn[1, masking.WORN.index("tibia far")] = False
    channels, numbers = masking.kept(worn)
    assert channels[0].all()
    assert numbers.all()
    names = [c.name for c in CHANNELS]
    lost = {name for name, keep in zip(names, channels[1], strict=True) if not keep}
    assert {"knee_angle far", "ankle_angle far", "knee_angle moment near"} <= lost
    assert not {"knee_angle near", "hip_flexion far", "foot_pitch far", "pelvis_tilt"} & lost
    feet, _ = masking.of_set("feet", 3)
    assert feet.shape == (3, len(CHANNELS))
    assert (np.flatnonzero(feet[0]) == np.sort(GROUPS["feet"])).all()
    drawn_channels, drawn_numbers = masking.drawn(200, np.random.default_rng(1))
    assert drawn_channels.any(axis=0).all()
    assert not drawn_channels.all(axis=0).any()
    assert drawn_numbers.shape == (200, len(NUMBERS))


def test_made_up_cycles_are_others_and_smooth():
    rng = np.random.default_rng(2)
    x = 0.1 * np.cumsum(rng.standard_normal((60, STEPS, len(CHANNELS))), axis=1).astype(np.float32)
    made = strange(x, np.arange(60) % 3, np.ones(len(CHANNELS), np.float32), rng)
    assert made.shape == x.shape
    assert (np.abs(made - x).max(axis=(1, 2)) > 0.05).all()
    shapes, slopes = bumps(200, rng)
    assert np.abs(shapes).max() <= 1.0
    np.testing.assert_allclose(np.gradient(shapes, 1.0 / STEPS, axis=1)[:, 2:-2], slopes[:, 2:-2], atol=1.0)


def test_a_fact_that_tells_the_class_is_warned_of_and_others_are_not():
    rng = np.random.default_rng(3)
    data = made_walks(40, sensor=("Alpha", "Beta"), site="here")
    mixed = []
    for k, walk in enumerate(data.walks):
        mixed.append(
            dataclasses.replace(
                walk,
                facts=walk.facts
                | {"room": "ab"[int(rng.integers(2))], "speed": 1.0 + 0.3 * (k % 2) + 0.1 * rng.random()},
            )
        )
    data = dataclasses.replace(data, walks=tuple(mixed))
    found = {name: (accuracy, p) for name, accuracy, p in nuisances(data)}
    assert found["sensor"][0] == found["speed"][0] == 1.0
    assert "site" not in found  # the same for everyone
    warned = warnings_of(data, [(name, *values) for name, values in found.items()])
    assert len(warned) == 2
    assert all(("sensor" in sentence) or ("speed" in sentence) for sentence in warned)
    assert found["room"][0] < 0.75


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("session,label\n", "no rows"),
        ("session\nwalk1\n", "line 2: `label` is missing"),
        ("session,label\nwalk1,\n", "line 2: `label` is missing"),
        ("session,label,side\nwalk1,a,up\n", "line 2: `side` is 'up'"),
        ("session,label\nw,a\nw,b\n", "line 3: the session 'w' is there twice"),
    ],
)
def test_a_wrong_table_of_labels_is_refused_with_its_line(tmp_path, text, says):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_labels(path)


def test_draws_of_virtual_subjects_follow_their_seed():
    for seed in range(18):
        walk, sensors, about, off_deg = drawn(seed)
        assert drawn(seed)[0] == walk
        assert about.label == walk.pattern == PATTERNS[seed % 9]
        assert bool(about.side) == (walk.pattern not in BOTH_SIDES)
        assert (walk.seed, sensors.seed) == (seed, seed)
        assert off_deg >= 0.0
    worn = drawn(3, Wearing(segments=("pelvis", "torso"), one_missing=True, askew_deg=15.0))
    assert len(worn[1].segments) == 1
    assert (worn[1].mounting, worn[1].mounting_askew_deg, worn[3]) == ("askew", 15.0, 15.0)


def test_strangers_are_of_no_class_and_tell_their_parts():
    drawn_ones = [drawn(3_000_000 + k, STRANGE) for k in range(40)]
    assert {walk.pattern for walk, *_ in drawn_ones} == {"random"}
    assert {about.label for _, _, about, _ in drawn_ones} == {"random"}
    parts = [about.facts.get("of", []) for _, _, about, _ in drawn_ones]
    assert all(set(of) <= set(PATTERNS) for of in parts)
    assert 5 < sum(bool(of) for of in parts) < 25
    assert {walk.affected_side for walk, *_ in drawn_ones} == {"left", "right", "usual"}


def test_longer_training_is_cut_short():
    data = made_walks(6)
    told = []
    train(data, "x", dataclasses.replace(QUICK, steps=17, members=1), lambda share, text: told.append((share, text)))
    assert [text.split(",")[1].split(":")[0].strip() for _, text in told] == ["epoch 1", "epoch 2"]
    assert told[-1][0] == 1.0


def test_a_virtual_subject_walks_through_the_chain():
    walk, cycles = walked(2_000_003, Wearing(severity=0.8))
    assert walk.label in PATTERNS
    assert len(cycles) >= 5
    assert np.isfinite(cycles[0].curves[:, GROUPS["feet"]]).any()


@pytest.mark.slow
def test_a_labs_own_labels_become_a_model_with_its_card(tmp_path):
    """Six people with feet sensors, slow and fast, of which the slow all wear another sensor."""
    rows = ["session,label,subject,sensor"]
    for k in range(6):
        fast = k % 2
        walk = WalkSettings(duration_s=10.0, speed_mps=1.6 if fast else 0.7, seed=k, standing_start_s=1.0)
        save(simulate(walk, SensorSettings(segments=("calcn_l", "calcn_r"), seed=k)), tmp_path / f"w{k}")
        rows.append(f"w{k},{('slow', 'fast')[fast]},p{k},{'AB'[fast]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    out = tmp_path / "speeds.npz"
    sessions = [str(tmp_path / f"w{k}") for k in range(6)]
    chosen = ["--folds", "3", "--set", "epochs=8", "--set", "members=1", "--set", "batch=32"]
    ran = CliRunner().invoke(
        app, ["train", "classifier", "--labels", str(tmp_path / "labels.csv"), "-o", str(out), *chosen, *sessions]
    )
    assert ran.exit_code == 0, ran.output
    assert "fast" in ran.output
    model = Model.load(out)
    assert set(model.labels) == {"slow", "fast"}
    card = out.with_suffix(".md").read_text()
    assert "6 walks of 6 subjects" in card
    assert "sensor" in card


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "either --labels"),
        (["--preset", "nonsense"], "There is no preset"),
        (["--labels", "none.csv", "walk"], "cannot be read"),
        (["--preset", "patterns", "--out", "/nowhere/x.npz"], "is not a folder"),
    ],
)
def test_train_classifier_refuses_in_a_sentence(arguments, says):
    ran = CliRunner().invoke(app, ["train", "classifier", *arguments])
    assert isinstance(ran.exception, InputError)
    assert says in str(ran.exception)
