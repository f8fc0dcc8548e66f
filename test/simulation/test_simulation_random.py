"""Gaits like none that has a name: drawn from the seed, within what people can do, and honest about their parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.simulation.patterns import PATTERNS
from gait_twin.simulation.random_patterns import SIZES, random_pattern

SEEDS = range(400)


def test_they_follow_the_seed_and_differ():
    drawn = [random_pattern(seed) for seed in SEEDS]
    assert drawn == [random_pattern(seed) for seed in SEEDS]
    assert len({repr(pattern) for pattern, _ in drawn}) == len(drawn)


def test_free_ones_stay_within_their_sizes_and_are_closed():
    free = [pattern for pattern, of in map(random_pattern, SEEDS) if not of]
    assert 0.5 < len(free) / len(SEEDS) < 0.8
    for pattern in free:
        for leg in (pattern.leg, pattern.other):
            for name, (places, values) in leg.curves.items():
                assert (places[0], places[-1]) == (0.0, 100.0)
                assert values[0] == values[-1]
                assert np.abs(values).max() <= SIZES[name] + 1e-9


def test_mixed_ones_name_their_parts_and_are_none_of_them():
    for pattern, of in map(random_pattern, SEEDS):
        if of:
            assert len(set(of)) == len(of) >= 2
            assert "normal" not in of
            assert all(dataclasses.replace(pattern, mildest=p.mildest) != p for p in map(PATTERNS.get, of))


@pytest.mark.parametrize("seed", [3, 5, 7])
def test_they_can_be_walked(seed):
    walk = WalkSettings(duration_s=9.0, pattern="random", severity=1.0, style=1.0, seed=seed)
    recording = simulate(walk, SensorSettings(segments=("calcn_l", "pelvis")))
    assert len(recording.truth.strides) >= 2
    assert np.isfinite(recording.imus["pelvis"].acc_mps2).all()
    usual = simulate(WalkSettings(duration_s=9.0, style=1.0, seed=seed), SensorSettings(segments=("calcn_l", "pelvis")))
    assert usual.imus["pelvis"].acc_mps2.shape != recording.imus["pelvis"].acc_mps2.shape or not np.allclose(
        usual.imus["pelvis"].acc_mps2, recording.imus["pelvis"].acc_mps2
    )
