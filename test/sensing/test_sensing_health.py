"""Sensors that are not in order are found within a second, and only those."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.recording import SlotStatus
from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.sensing.health import SensorHealth

RATE_HZ = 100.0


def walking(seconds=8.0, seed=0):
    """Two seconds of standing, then something like a walk."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    moves = (time_s > 2.0)[:, None]
    acc = np.array([0.3, 0.1, 9.8]) + rng.normal(0, 0.03, (len(time_s), 3))
    acc = acc + moves * 4.0 * np.sin(2 * np.pi * np.outer(time_s, [1.0, 2.0, 2.0]))
    gyr = rng.normal(0, 0.005, (len(time_s), 3)) + moves * 3.0 * np.cos(2 * np.pi * np.outer(time_s, [1.0, 2.0, 1.0]))
    return time_s, acc, gyr


def with_fault(kind, from_s, to_s=np.inf):
    time_s, acc, gyr = walking()
    bad = (time_s >= from_s) & (time_s < to_s)
    acc, gyr = acc.copy(), gyr.copy()
    if kind == "2 g at rest":
        acc[bad] *= 2.0
    elif kind == "NaN":
        acc[bad] = np.nan
    elif kind == "constant":
        acc[bad], gyr[bad] = acc[bad][0], gyr[bad][0]
    elif kind == "constant at rest":
        acc[bad], gyr[bad] = [0.0, 0.0, 9.80665], 0.0
    elif kind == "constant zeros":
        acc[bad] = gyr[bad] = 0.0
    elif kind == "saturated":
        acc[bad] = np.clip(acc[bad] * 100.0, -156.9, 156.9)
    elif kind == "saturated at an unknown range":
        acc[bad, 2] = 39.2
    elif kind == "gyroscope hangs":
        gyr[bad] = 0.25
    elif kind == "accelerometer hangs":
        acc[bad] = [0.0, 0.0, 9.8]
    return time_s, acc, gyr


CASES = [
    ("2 g at rest", 0.0, "shows 19.6 m/s\\^2 at rest instead of 9.8"),
    ("NaN", 4.0, "sends NaN or impossible values"),
    ("NaN", 0.0, "sends NaN or impossible values"),
    ("constant", 4.0, "sends the same values over and over"),
    ("constant", 1.0, "sends the same values over and over"),
    ("constant at rest", 4.0, "sends the same values over and over"),
    ("constant zeros", 0.0, "sends the same values over and over"),
    ("saturated", 4.0, "stays at the end of its range \\(157 m/s\\^2\\)"),
    ("saturated at an unknown range", 4.0, "stays at the end of its range"),
    ("gyroscope hangs", 4.0, "gyroscope sends one value while the accelerometer moves"),
    ("accelerometer hangs", 4.0, "accelerometer sends one value while the gyroscope turns"),
]


@pytest.mark.parametrize(("kind", "from_s", "says"), CASES)
def test_fault_is_named_within_a_second_and_its_slot_invalid(kind, from_s, says):
    hub = SensorHub(("calcn_r", "calcn_l"), HubSettings())
    good, bad = walking(seed=1), with_fault(kind, from_s)
    named_s, blocks = np.nan, []
    for i in range(len(good[0])):
        hub.push("calcn_l", *(x[i : i + 1] for x in good))
        hub.push("calcn_r", *(x[i : i + 1] for x in bad))
        blocks.append(hub.poll())
        if np.isnan(named_s) and "calcn_r" in hub.faults:
            named_s = good[0][i]
    assert from_s <= named_s <= from_s + 1.0
    assert re.search(says, hub.faults["calcn_r"])
    assert any(re.search(says, notice) for notice in hub.calibration.notices)
    assert "calcn_l" not in hub.faults
    blocks.append(hub.flush())
    time_s = np.concatenate([b.time_s for b in blocks])
    status = np.concatenate([b.status for b in blocks])
    after = time_s > from_s + 1.0
    assert not (status[after, 0] & SlotStatus.VALID).any()
    assert (status[time_s < 7.9, 1] & SlotStatus.VALID).all()
    before = (time_s > 0.02) & (time_s < from_s - 0.1)
    assert (status[before, 0] & SlotStatus.VALID).all()


@pytest.mark.parametrize("kind", ["NaN", "constant", "saturated"])
def test_fault_that_is_over_gives_the_slot_back(kind):
    hub = SensorHub(("calcn_r",), HubSettings())
    time_s, acc, gyr = with_fault(kind, 3.0, 5.0)
    hub.push("calcn_r", time_s, acc, gyr)
    frames = hub.flush()
    assert hub.faults == {}
    assert any(notice.startswith("For a while: calcn_r") for notice in hub.calibration.notices)
    valid = (frames.status[:, 0] & SlotStatus.VALID) != 0
    assert valid[(frames.time_s > 6.0) & (frames.time_s < 7.9)].all()
    assert not valid[(frames.time_s > 4.0) & (frames.time_s < 4.9)].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(CASES) - 1), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_judgement_does_not_depend_on_the_cuts(case, cuts):
    kind, from_s, _ = CASES[case]
    rows = np.column_stack(with_fault(kind if kind != "NaN" else "constant", from_s))
    whole = SensorHealth("calcn_r", HubSettings()).judge(rows)
    health, parts, at, n = SensorHealth("calcn_r", HubSettings()), [], 0, 0
    while at < len(rows):
        step = cuts[n % len(cuts)]
        parts.append(health.judge(rows[at : at + step]))
        at, n = at + step, n + 1
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.data
@pytest.mark.parametrize(
    ("importer", "folder"), [("physilog", "treadmill_7imu"), ("xio", "foot_loop"), ("foot_vicon", "foot_vicon")]
)
def test_real_sensors_are_found_in_order(data_dir, importer, folder):
    path = data_dir / folder
    if importer == "xio":
        path = path / "short_walk.csv.gz"
    elif importer == "foot_vicon":
        path = sorted(path.rglob("*.mat"))[0]
    for segment, stream in IMPORTERS[importer].load(path).imus.items():
        rows = np.column_stack([stream.time_s, stream.acc_mps2, stream.gyr_radps])
        rows = rows[np.isfinite(rows).all(axis=1)]
        health = SensorHealth(segment, HubSettings())
        assert health.judge(rows).all()
        assert health.past == []
