"""Alignment of two sensors by their motion: known shifts, on one body and on one leg."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing.alignment import align


def waved(time_s, seed=0):
    """Angular rate of a thing waved about in a hand."""
    rng = np.random.default_rng(seed)
    gyr = np.zeros((len(time_s), 3))
    for frequency in rng.uniform(0.3, 4.0, 12):
        gyr += rng.normal(0, 1, 3) * np.sin(2 * np.pi * frequency * time_s + rng.uniform(0, 6))[:, None]
    return gyr


def two(shift_s, ppm=0.0, seed=0, seconds=30.0, rates=(100.0, 128.0)):
    """Two sensors in one hand; the second one's clock is late by `shift_s`."""
    rng = np.random.default_rng(seed)
    a, b = (np.arange(int(seconds * rate)) / rate for rate in rates)
    turn = Rotation.random(random_state=seed)
    gyr_a = waved(a, seed) + rng.normal(0, 0.01, (len(a), 3))
    gyr_b = turn.apply(waved(b, seed)) + rng.normal(0, 0.01, (len(b), 3)) + 0.02
    return a, gyr_a, b * (1 - ppm * 1e-6) - shift_s, gyr_b


@settings(max_examples=8, deadline=None)
@given(st.floats(-0.9, 0.9), st.integers(0, 10_000))
def test_two_sensors_in_one_hand_are_aligned_to_well_below_a_millisecond(shift_s, seed):
    found = align(*two(shift_s, seed=seed))
    assert found.as_one
    assert abs(found.shift_s - shift_s) < 0.0005
    assert abs(found.shift_s - shift_s) < 6 * found.sd_s
    assert found.sd_s < 0.001


def test_drift_of_one_clock_is_found():
    found = align(*two(0.1, ppm=200.0, seconds=120.0))
    assert found.drift_ppm == pytest.approx(200.0, abs=10.0)
    assert found.shift_s == pytest.approx(0.1 + 200e-6 * found.at_s, abs=0.0005)


def test_gaps_and_nan_are_left_out():
    time_a, gyr_a, time_b, gyr_b = two(0.25, seconds=60.0)
    gyr_a[1000:1100] = np.nan
    kept = np.r_[0:3000, 3400 : len(time_b)]
    found = align(time_a, gyr_a, time_b[kept], gyr_b[kept])
    assert found.shift_s == pytest.approx(0.25, abs=0.0005)
    assert found.pieces < 11


def test_stillness_and_short_overlap_are_refused():
    time = np.arange(3000) / 100.0
    with pytest.raises(InputError, match="hardly move"):
        align(time, np.full((3000, 3), 0.01), time, np.full((3000, 3), 0.01))
    with pytest.raises(InputError, match="overlap for"):
        align(time, waved(time), time + 25.0, waved(time))
    with pytest.raises(InputError, match="overlap for"):
        align(time[:0], np.empty((0, 3)), time, waved(time))


@cache
def loaded(folder):
    return IMPORTERS["physilog"].load(folder).imus


@pytest.fixture
def treadmill(data_dir):
    return loaded(data_dir / "treadmill_7imu")


@pytest.mark.data
@pytest.mark.parametrize("shift_s", [-0.3127, 0.0, 0.0041, 0.2])
@pytest.mark.parametrize("side", ["l", "r"])
def test_known_shift_between_foot_and_shank_of_a_real_walk(treadmill, side, shift_s):
    foot, shank = treadmill[f"calcn_{side}"], treadmill[f"tibia_{side}"]
    walk = (foot.time_s > 20.0) & (foot.time_s < 80.0)
    one = (foot.time_s[walk], foot.gyr_radps[walk])
    plain = align(*one, shank.time_s, shank.gyr_radps, max_shift_s=0.5)
    moved = align(*one, shank.time_s - shift_s, shank.gyr_radps, max_shift_s=0.6)
    assert moved.shift_s - plain.shift_s == pytest.approx(shift_s, abs=0.005)
    assert not moved.as_one
    assert moved.sd_s >= 0.02


@pytest.mark.data
@pytest.mark.parametrize("segment", ["calcn_l", "tibia_r"])
def test_two_halves_of_a_real_sensor_are_one_body(treadmill, segment):
    """Every other sample to each of two virtual sensors, one turned and late."""
    stream = treadmill[segment]
    turn = Rotation.random(random_state=3)
    found = align(
        stream.time_s[::2], stream.gyr_radps[::2], stream.time_s[1::2] - 0.137, turn.apply(stream.gyr_radps[1::2]),
        max_shift_s=0.4,
    )  # fmt: skip
    assert found.as_one
    assert found.shift_s == pytest.approx(0.137, abs=0.001)
