"""Strides of the step estimator against the twin's legs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.recording import Side, Stride
from gait_twin.twin.reconciliation import EFFECT_S, Reconciliation

PERIOD_S, STRIDE_M = 1.1, 1.3


def strides(factor: float, n: int = 40, **values: float) -> list[Stride]:
    """Of both feet alternately, `factor` times as long as the twin's."""
    return [
        Stride(side, start, start + PERIOD_S, stride_length_m=factor * STRIDE_M, stride_length_sd_m=0.02, **values)
        for i in range(n)
        for side, start in ((Side.RIGHT, 2.0 + i * PERIOD_S), (Side.LEFT, 2.0 + (i + 0.5) * PERIOD_S))
    ]


def walked(reconciliation: Reconciliation, duration_s: float) -> np.ndarray:
    """(n, 2, 2) places of two feet that stand, swing forward, and stand, as the twin corrects them."""
    place, last, places = np.zeros(2), np.zeros((2, 2)), []
    for time_s in np.arange(0.0, duration_s, 0.01):
        phase = (time_s - 2.0) / PERIOD_S - np.array([0.0, 0.5])
        feet = np.zeros((2, 2))
        feet[:, 0] = STRIDE_M * (np.floor(phase) + np.clip((phase % 1.0 - 0.6) / 0.4, 0.0, 1.0))
        place = place + (feet - last).mean(axis=0) * (reconciliation.scale - 1.0) + reconciliation.move(time_s, 0.01)
        last = feet
        reconciliation.note(time_s, feet + place)
        places.append(feet + place)
    return np.array(places)


def test_the_way_takes_the_length_of_the_strides() -> None:
    reconciliation = Reconciliation()
    reconciliation.take(strides(1.08))
    places = walked(reconciliation, 40.0)
    assert reconciliation.scale == pytest.approx(1.08, abs=0.015)
    assert reconciliation.scale_sd < 0.015
    way = places[3900, :, 0].mean() - places[2800, :, 0].mean()
    assert way == pytest.approx(1.08 * STRIDE_M * 11.0 / PERIOD_S, rel=0.01)
    assert np.abs(np.diff(places, axis=0)).max() < 0.06  # nothing jumps


@given(order=st.randoms(), late=st.floats(0.0, EFFECT_S - 0.1))
@settings(max_examples=10, deadline=None)
def test_when_and_in_which_order_strides_come_does_not_matter(order, late: float) -> None:
    at_once, one_by_one = Reconciliation(), Reconciliation()
    all_strides = strides(0.95, n=8)
    at_once.take(all_strides)
    feet = np.zeros((2, 2))
    order.shuffle(all_strides)
    coming = all_strides
    for time_s in np.arange(0.0, 14.0, 0.02):
        one_by_one.take(s for s in coming if s.end_s + late <= time_s)
        coming = [s for s in coming if s.end_s + late > time_s]
        feet = feet + np.array([0.02 * STRIDE_M / PERIOD_S, 0.0])
        moves = []
        for one in (at_once, one_by_one):
            moves.append(one.move(time_s, 0.02))
            one.note(time_s, feet)
        np.testing.assert_array_equal(*moves)
    assert at_once.strides > 8
    assert at_once.scale == one_by_one.scale < 1.0


@pytest.mark.parametrize(
    "bad",
    [strides(1.6), strides(float("nan")), strides(1.1, valid=False), strides(0.0)],
    ids=["far", "nan", "invalid", "none"],
)
def test_strides_that_cannot_be_are_left_out(bad: list[Stride]) -> None:
    reconciliation = Reconciliation()
    reconciliation.take(bad)
    walked(reconciliation, 15.0)
    assert (reconciliation.scale, reconciliation.strides) == (1.0, 0)


def test_a_stride_over_a_break_is_left_out() -> None:
    reconciliation = Reconciliation()
    reconciliation.take(strides(1.1, n=2))
    for time_s in np.arange(0.0, 8.0, 0.01):
        reconciliation.move(time_s, 0.01)
        reconciliation.note(time_s, np.full((2, 2), time_s))
        if time_s == pytest.approx(3.9):
            reconciliation.break_off()
    assert reconciliation.strides == 0


def test_legs_are_spoken_of_when_it_is_sure() -> None:
    """8 % is more than two standard deviations, 3 % is not; so are a few strides of 8 %."""
    for factor, n, said in ((1.08, 40, "8 % longer"), (0.92, 40, "8 % shorter"), (1.03, 40, ""), (1.08, 2, "")):
        reconciliation = Reconciliation()
        reconciliation.take(strides(factor, n))
        walked(reconciliation, 6.0 + n * PERIOD_S)
        legs = reconciliation.legs(0.530 * 1.70)
        assert legs.factor == pytest.approx(reconciliation.scale)
        assert legs.significant == bool(said)
        assert said in legs.sentence()
        assert bool(legs.sentence()) == bool(said)
    assert legs.sd > 0.02
    assert legs.height_m == pytest.approx(1.70 * legs.factor)
