"""Sensors on the wrong segment are named after some steps, on virtual and real walks; right ones are not."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing import HubSettings, SensorHub, misplaced
from gait_twin.simulation import default_demo, simulate


@cache
def virtual(speed_mps):
    walk, sensors = default_demo()
    return simulate(dataclasses.replace(walk, duration_s=24.0, straight_length_m=40.0, speed_mps=speed_mps), sensors)


def walked(recording, begin_s, end_s, exchanged=(), **settings):
    """Frames of a part of the walk, with two sensors under each other's names."""
    names = {segment: segment for segment in recording.imus}
    if exchanged:
        a, b = exchanged
        names |= {a: b, b: a}
    hub = SensorHub(tuple(recording.imus), HubSettings(**settings))
    for segment, stream in recording.imus.items():
        hub.push(names[segment], stream.time_s, stream.acc_mps2, stream.gyr_radps, stream.quat_wxyz)
    frames = hub.flush()
    first, end = np.searchsorted(frames.time_s, [begin_s, end_s])
    return frames[slice(first, end)]


EXCHANGES = [
    ("calcn_r", "calcn_l"), ("calcn_r", "tibia_r"), ("tibia_l", "femur_l"), ("pelvis", "femur_r"), ("torso", "tibia_l"),
]  # fmt: skip


@pytest.mark.parametrize("speed_mps", [1.0, 1.3])
def test_virtual_walk(speed_mps):
    recording = virtual(speed_mps)
    assert misplaced(walked(recording, 5.0, 22.0)) == []
    for a, b in EXCHANGES:
        sentences = misplaced(walked(recording, 5.0, 22.0, (a, b)))
        assert any("exchanged" in text and (a in text or b in text) for text in sentences), (a, b)


def test_standing_tells_nothing():
    assert misplaced(walked(virtual(1.3), 0.0, 2.0, ("calcn_r", "tibia_r"))) == []
    assert misplaced(walked(virtual(1.3), 0.0, 0.0)) == []


@pytest.mark.data
def test_real_whole_legs(data_dir):
    recording = IMPORTERS["xsens_mt"].load(data_dir / "opensim_xsens_walk" / "raw")
    assert misplaced(walked(recording, 8.0, 14.0)) == []
    for exchange in EXCHANGES[1:4]:
        assert misplaced(walked(recording, 8.0, 14.0, exchange)), exchange


@pytest.mark.data
@pytest.mark.parametrize("trial", ["1-1", "5-3", "8-1", "13-2"])
def test_real_feet_left_and_right(data_dir, trial):
    path = next((data_dir / "foot_healthy_10m").rglob(f"{trial}.json"), None)
    if path is None:
        pytest.skip(f"there is no trial {trial}")
    recording = IMPORTERS["gait_text_json"].load(path)
    begin_s = min(event.time_s for event in recording.truth.events)
    span = (begin_s, begin_s + 6.0)
    assert misplaced(walked(recording, *span, mounting=("pelvis=-z",))) == []
    (sentence,) = misplaced(walked(recording, *span, ("calcn_r", "calcn_l"), mounting=("pelvis=-z",)))
    assert sentence.startswith("Left and right seem to be exchanged (calcn_r and calcn_l)")


def told(recording, exchanged=(), **settings):
    """When the hub itself first says something of the placement, s; all that it said until the end."""
    names = dict(zip(exchanged, reversed(exchanged), strict=True))
    hub, first_s, said = SensorHub(tuple(recording.imus), HubSettings(**settings)), np.inf, set()
    for begin_s in np.arange(0.0, recording.duration_s, 0.5):
        for segment, stream in recording.imus.items():
            rows = slice(*np.searchsorted(stream.time_s, [begin_s, begin_s + 0.5]))
            channels = (None if c is None else c[rows] for c in (stream.gyr_radps, stream.quat_wxyz))
            hub.push(names.get(segment, segment), stream.time_s[rows], stream.acc_mps2[rows], *channels)
        hub.poll()
        if hub.misplaced:
            first_s = min(first_s, begin_s + 0.5)
            said |= set(hub.misplaced)
            assert set(hub.misplaced) <= set(hub.calibration.notices)
    return first_s, said


def test_hub_names_exchanged_sensors_after_the_first_steps():
    recording = virtual(1.3)  # stands for 3 s
    assert told(recording) == (np.inf, set())
    first_s, said = told(recording, ("tibia_r", "femur_r"))
    assert first_s < 8.0
    assert any("tibia_r" in text and "femur_r" in text for text in said)
    # left and right once the pelvis' forward direction is known
    first_s, said = told(recording, ("calcn_r", "calcn_l"))
    assert first_s < 15.0
    assert any("Left and right seem to be exchanged" in text for text in said)


@pytest.mark.data
@pytest.mark.parametrize("trial", ["1-2", "7-3", "10-5", "19-6"])
def test_hub_never_cries_wolf_on_real_walks(data_dir, trial):
    path = next((data_dir / "foot_healthy_10m").rglob(f"{trial}.json"), None)
    if path is None:
        pytest.skip(f"there is no trial {trial}")
    recording = IMPORTERS["gait_text_json"].load(path)
    assert told(recording) == (np.inf, set())
    assert told(recording, mounting=("pelvis=-z",)) == (np.inf, set())
