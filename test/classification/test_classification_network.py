"""The network without torch is the one of torch; files; sides; the class of a walk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from classification_made import made_cycle, made_walks
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.classification import ClassifierSettings, GaitClassifier, Model, judge, together
from gait_twin.classification.channels import GROUPS
from gait_twin.classification.explanation import explain
from gait_twin.classification.network import MANY, between, stacked
from gait_twin.classification.training.network import Network
from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, Side


def some(n, seed=0, kind=0):
    rng = np.random.default_rng(seed)
    return [made_cycle(kind, rng, list(Side)[k % 2]) for k in range(n)]


def test_the_network_computes_what_torch_computes(quick):
    curves, numbers = stacked(some(5))
    curves[2][:, GROUPS["trunk"]] = np.nan
    numbers[3, :4] = np.nan
    x, y, known = (torch.from_numpy(a) for a in quick.inputs(curves, numbers))
    with torch.no_grad():
        expected = np.mean([Network.of(member)(x, y, known).numpy() for member in quick.members], axis=0)
    np.testing.assert_allclose(quick.answer(curves, numbers), expected, atol=1e-4)


def test_what_is_not_known_does_not_matter(quick):
    """NaN is taken as not told, whatever stood there."""
    curves, numbers = stacked(some(2))
    curves[1] = curves[0]
    numbers[1] = numbers[0]
    curves[:, :, GROUPS["moments"]] = np.nan
    curves[1, 1:, GROUPS["moments"]] = 5.0  # a curve that is not whole counts as not known
    logits = quick.answer(curves, numbers)
    np.testing.assert_array_equal(logits[0], logits[1])


def test_a_model_comes_back_from_its_file(quick, tmp_path):
    path = tmp_path / "model.npz"
    quick.save(path)
    again = Model.load(path)
    curves, numbers = stacked(some(3))
    np.testing.assert_array_equal(quick.answer(curves, numbers), again.answer(curves, numbers))
    assert (again.labels, again.outputs, again.temperatures) == (quick.labels, quick.outputs, quick.temperatures)
    assert again.novelty == quick.novelty
    assert again.notes == quick.notes
    cycles = some(4)
    assert together(again, judge(again, cycles)).novelty == pytest.approx(together(quick, judge(quick, cycles)).novelty)


@pytest.mark.parametrize("content", [None, b"", b"not weights"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.npz"):
        Model.load(path)
    with pytest.raises(InputError, match=r"model\.npz"):
        GaitClassifier(("calcn_r",), ClassifierSettings(model_path=str(path)))


def test_weights_of_other_channels_are_refused(quick, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    monkeypatch.setattr("gait_twin.classification.network.FORMAT", 0)
    quick.save(path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="train it anew"):
        Model.load(path)


def test_sides_change_places_in_cycles_of_the_other_leg(quick):
    logits = np.arange(2.0 * len(quick.outputs)).reshape(2, -1)
    once = quick.of_sides(logits, [Side.LEFT, Side.RIGHT])
    np.testing.assert_array_equal(once[0], logits[0])
    assert sorted(once[1]) == sorted(logits[1])
    np.testing.assert_array_equal(quick.of_sides(once, [Side.LEFT, Side.RIGHT]), logits)


def test_a_walk_of_each_kind_is_told_with_its_affected_leg(quick):
    rng = np.random.default_rng(99)
    for affected in Side:
        cycles = [made_cycle(1, rng, side, affected) for _ in range(5) for side in Side]
        found = together(quick, judge(quick, cycles))
        assert (found.labels[int(found.probabilities.argmax())], found.side) == ("bent", affected)
        assert found.probabilities.sum() == pytest.approx(1.0)
        assert found.probabilities.max() > 0.9
        assert found.cycles == 10
    found = together(quick, judge(quick, some(10, seed=98)))
    assert (found.labels[int(found.probabilities.argmax())], found.side) == ("normal", None)


def test_a_walk_like_none_is_unknown(quick):
    strange = [dataclasses.replace(c, curves=np.float32(-3.0) * c.curves[::-1]) for c in some(10)]
    found = together(quick, judge(quick, strange))
    assert found.unknown
    assert found.novelty > 1.0
    assert found.label == "unknown"


def test_order_of_cycles_does_not_matter(quick):
    judged = judge(quick, some(9))
    a, b = together(quick, judged), together(quick, judged[::-1])
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=1e-12)
    assert (a.start_s, a.time_s, a.label) == (b.start_s, b.time_s, b.label)


@given(one=st.floats(0.1, 5.0), many=st.floats(0.1, 5.0), n=st.integers(1, 100))
def test_calibration_lies_between_one_cycle_and_many(one, many, n):
    assert between(one, many, 1) == pytest.approx(one)
    assert between(one, many, MANY) == pytest.approx(many)
    assert min(one, many) - 1e-9 <= between(one, many, n) <= max(one, many) + 1e-9


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_classes_do_not_depend_on_how_the_streams_come(streams, quick, data):
    person = ClassifierSettings(height_m=1.75, mass_kg=70.0, cycles=6)
    whole = GaitClassifier(streams.frames.segments, person, quick, keep=True)
    expected = whole.update(streams.frames, streams.states, streams.strides) + whole.flush()
    cut = data.draw(st.lists(st.integers(0, len(streams.frames)), min_size=1, max_size=12).map(sorted))
    classifier, found, strides = GaitClassifier(streams.frames.segments, person, quick), [], list(streams.strides)
    late = data.draw(st.integers(0, 200))
    for a, b in zip([0, *cut], [*cut, len(streams.frames)], strict=True):
        ready = [s for s in strides if s.end_s < streams.frames.time_s[max(0, b - 1 - late)]]
        strides = strides[len(ready) :]
        found += classifier.update(streams.frames[a:b], streams.states[a:b], ready)
    found += classifier.update(streams.frames[:0], (), strides) + classifier.flush()
    assert len(found) == len(expected) > 5
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x.probabilities, y.probabilities)
        assert (x.time_s, x.start_s, x.novelty, x.cycles) == (y.time_s, y.start_s, y.novelty, y.cycles)
    assert max(x.cycles for x in found) == 6
    assert whole.walk().result.cycles == len(expected)


def test_without_a_cycle_there_is_no_class(quick):
    classifier = GaitClassifier(("pelvis",), None, quick, keep=True)
    empty = BodyFrames(("pelvis",), np.empty(0), *(np.empty((0, 1, w)) for w in (3, 3, 4, 4)), np.empty((0, 1), "u1"))
    assert classifier.update(empty) == classifier.flush() == []
    assert classifier.walk() is None


def test_the_explanation_adds_up_and_points_at_the_knee(quick):
    """Integrated gradients are complete: their sum is the difference that they explain."""
    rng = np.random.default_rng(5)
    cycles = [made_cycle(1, rng, Side.LEFT, Side.LEFT) for _ in range(3)]
    found = explain(quick, cycles, "bent", Side.LEFT)
    curves, numbers = stacked(cycles)
    logits = quick.answer(curves, numbers)
    known = np.isfinite(curves).all(axis=1)
    mean = np.where(known[:, None, :], quick.curve_mean, np.nan) * np.ones_like(curves)
    base = quick.answer(mean, np.tile(quick.number_mean, (3, 1)))
    k = next(i for i, o in enumerate(quick.outputs) if quick.labels[o.label] == "bent" and o.leg == "near")

    def margin(z):
        z = z[:, :-1]
        return (z[:, k] - (z.sum(1) - z[:, k]) / (z.shape[1] - 1)).mean()

    total = found.shares[:-1].sum() + sum(found.numbers.values())
    assert total == pytest.approx(margin(logits) - margin(base), rel=0.05)
    assert found.near is Side.LEFT
    strongest = {found.channels[i] for i in found.strongest(4)}
    assert any(name in strongest for name in ("knee_angle near", "knee_angle velocity near", "foot_pitch near"))


def test_the_shipped_model_loads_and_names_nine_gaits():
    model = Model.load()
    assert len(model.labels) == 9
    assert model.labels[0] == "normal"
    assert set(model.novelty) == {"feet", "legs", "trunk"}


def test_made_walks_have_both_kinds():
    assert made_walks(4).labels == ("normal", "bent")
