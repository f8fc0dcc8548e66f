"""The classical event detector on a synthetic foot and on recordings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.recording import BodyFrames, EventKind, Side, SlotStatus
from gait_twin.recording.importers import find_importer
from gait_twin.sensing import SensorHub

CLASSICAL = DetectorSettings(detector="classical")
CHANNELS = ("acc_mps2", "gyr_radps", "quat_wxyz", "body_quat_wxyz", "status")


def pitch_rate(phase):
    """A foot's pitch rate over a stride that begins at heel strike: landing, foot-flat, push-off, swing."""
    push = -8.0 * np.exp(-(((phase - 0.58) / 0.06) ** 2))
    swing = 4.6 * np.exp(-(((phase - 0.79) / 0.13) ** 2))
    landing = -4.0 * np.exp(-(((phase - 0.03) / 0.03) ** 2)) - 4.0 * np.exp(-(((phase - 1.03) / 0.03) ** 2))
    return push + swing + landing


def walking_frames(rate_hz=100.0, strides=8, stride_s=1.1, rotation=None, lead_s=2.0, noise=0.02, scale=1.0):
    """Frames of both feet: standing, walking, standing; sensor axes x forward, y up, z right on a flat foot."""
    rng = np.random.default_rng(0)
    n = int((2 * lead_s + (strides + 1) * stride_s) * rate_hz)
    time_s = np.arange(n) / rate_hz
    gyr = noise * rng.standard_normal((n, 2, 3))
    acc = 2 * noise * rng.standard_normal((n, 2, 3))
    starts = {}
    for column, offset in enumerate((0.5, 1.0)):
        phase = (time_s - lead_s) / stride_s - offset + 0.5
        moving = (phase > 0.3) & (phase < strides + 0.25)
        rate = np.where(moving, pitch_rate(np.mod(phase, 1.0)), 0.0)
        pitch = np.cumsum(rate) / rate_hz
        part = np.clip((np.mod(phase, 1.0) - 0.5) / 0.5, 0.0, 1.0)
        forward = np.gradient(np.where(moving, 3.0 * np.sin(np.pi * part) ** 2, 0.0), time_s)
        gyr[:, column, 2] += rate
        acc[:, column, 0] += np.cos(pitch) * forward + np.sin(pitch) * 9.81
        acc[:, column, 1] += -np.sin(pitch) * forward + np.cos(pitch) * 9.81
        starts[Side.LEFT if column == 0 else Side.RIGHT] = (
            lead_s + (offset - 0.5 + np.arange(1, strides + 1)) * stride_s
        )
    acc *= scale
    if rotation is not None:
        gyr = rotation.apply(gyr.reshape(-1, 3)).reshape(gyr.shape)
        acc = rotation.apply(acc.reshape(-1, 3)).reshape(acc.shape)
    quat = np.tile([1.0, 0, 0, 0], (n, 2, 1))
    status = np.full((n, 2), int(SlotStatus.VALID), np.uint8)
    return BodyFrames(("calcn_l", "calcn_r"), time_s, acc, gyr, quat, quat, status), starts


def heel_strikes(events, side):
    return np.array([e.time_s for e in events if e.side == side and e.kind is EventKind.HEEL_STRIKE])


def test_finds_every_stride_of_both_feet():
    frames, starts = walking_frames()
    events, phases = EventDetector(CLASSICAL).update(frames)
    assert len(phases) == 2 * len(frames)
    for side in Side:
        found = heel_strikes(events, side)
        assert len(found) == len(starts[side])
        assert np.abs(found - starts[side]).max() < 0.03
    for event in events:
        assert 0.0 < event.confidence <= 1.0
        assert 0.0 < event.delay_s < 0.3


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
@settings(max_examples=15, deadline=None)
def test_same_however_cut(sizes):
    frames, _ = walking_frames(strides=3)
    whole = EventDetector(CLASSICAL).update(frames)
    detector = EventDetector(CLASSICAL)
    events, phases, at, turn = [], [], 0, 0
    while at < len(frames):
        block = frames[at : at + sizes[turn % len(sizes)]]
        more = detector.update(block)
        events += more[0]
        phases += more[1]
        at, turn = at + len(block), turn + 1
    assert events == whole[0]
    assert repr(phases) == repr(whole[1])


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_any_mounting(seed):
    frames, _ = walking_frames(strides=4)
    turned, _ = walking_frames(strides=4, rotation=Rotation.random(rng=seed))
    a, b = EventDetector(CLASSICAL).update(frames)[0], EventDetector(CLASSICAL).update(turned)[0]
    assert [(e.side, e.kind) for e in a] == [(e.side, e.kind) for e in b]
    assert np.allclose([e.time_s for e in a], [e.time_s for e in b], atol=1e-6)


def test_rates():
    for rate_hz in (50.0, 100.0, 200.0, 400.0):
        frames, starts = walking_frames(rate_hz=rate_hz)
        events, _ = EventDetector(CLASSICAL).update(frames)
        for side in Side:
            found = heel_strikes(events, side)
            assert len(found) == len(starts[side])
            assert np.abs(found - starts[side]).max() < 0.04


def test_standing_has_no_events():
    frames, _ = walking_frames(strides=0, lead_s=10.0, noise=0.1)
    events, phases = EventDetector(CLASSICAL).update(frames)
    assert not events
    assert not any(phase.walking for phase in phases)


def test_phase_rises_from_heel_strike_to_heel_strike():
    frames, starts = walking_frames()
    _, phases = EventDetector(CLASSICAL).update(frames)
    right = [p for p in phases if p.side is Side.RIGHT]
    middle = starts[Side.RIGHT][4:7]
    for part in (0.25, 0.5, 0.75):
        for at_s in middle[:-1] + part * 1.1:
            phase = min(right, key=lambda p, at_s=at_s: abs(p.time_s - at_s))
            assert phase.walking
            assert phase.phase == pytest.approx(part, abs=0.05)
            assert phase.stride_time_s == pytest.approx(1.1, abs=0.02)
    assert not right[0].walking
    assert not right[-1].walking


def test_scale_of_acceleration_does_not_matter():
    a = EventDetector(CLASSICAL).update(walking_frames()[0])[0]
    b = EventDetector(CLASSICAL).update(walking_frames(scale=1.05)[0])[0]
    assert [e.time_s for e in a] == [e.time_s for e in b]


def test_gap_costs_its_own_swing_only():
    frames, starts = walking_frames()
    lost = (frames.time_s > 6.0) & (frames.time_s < 6.5)
    frames.gyr_radps[lost] = np.nan
    frames.acc_mps2[lost] = np.nan
    frames.status[lost] = 0
    events, phases = EventDetector(CLASSICAL).update(frames)
    assert len(phases) == 2 * len(frames)
    for side in Side:
        found = heel_strikes(events, side)
        for strike in starts[side]:
            if not 5.9 < strike < 7.0:
                assert np.abs(found - strike).min() < 0.03


def test_clock_that_leaps_back_begins_anew():
    frames, starts = walking_frames()
    detector = EventDetector(CLASSICAL)
    detector.update(frames)
    events, phases = detector.update(frames)
    assert not phases[0].walking
    assert len(heel_strikes(events, Side.LEFT)) == len(starts[Side.LEFT])


def test_one_foot_and_no_foot():
    frames, _ = walking_frames()
    one = BodyFrames(("calcn_r",), frames.time_s, *(getattr(frames, n)[:, 1:] for n in CHANNELS))
    events, phases = EventDetector(CLASSICAL).update(one)
    assert {e.side for e in events} == {Side.RIGHT}
    assert not any(p.walking for p in phases if p.side is Side.LEFT)
    none = BodyFrames(("pelvis",), frames.time_s, *(getattr(frames, n)[:, 1:] for n in CHANNELS))
    assert EventDetector(CLASSICAL).update(none)[0] == []


@pytest.mark.parametrize("trial", ["1-4", "13-1", "17-5"])
def test_labels_of_recordings(data_dir, trial):
    path = data_dir / "foot_healthy_10m" / f"{trial}.json"
    recording = find_importer(path).load(path)
    meta = json.loads(path.read_text())
    turned = Rotation.random(rng=7)
    feet = {side.foot: recording.imus[side.foot] for side in Side}
    found = []
    for rotation in (Rotation.identity(), turned):
        hub, detector = SensorHub(tuple(feet)), EventDetector(CLASSICAL)
        for name, s in feet.items():
            hub.push(name, s.time_s, rotation.apply(s.acc_mps2), rotation.apply(s.gyr_radps))
        found.append(detector.update(hub.flush())[0])
    start_s, end_s = (i / 100.0 for i in meta["TrialBoundaries"])
    for kind, column, bias_s in ((EventKind.HEEL_STRIKE, 1, 0.006), (EventKind.TOE_OFF, 0, 0.0)):
        hits = total = 0
        for side, key in ((Side.LEFT, "LeftFootEvents"), (Side.RIGHT, "RightFootEvents")):
            labels = np.array(meta[key])[:, column] / 100.0
            times = np.array([e.time_s for e in found[0] if e.side is side and e.kind is kind]) - bias_s
            times = times[(times > start_s - 0.5) & (times < end_s + 0.5)]
            hits += 2 * sum(np.abs(times - label).min() < 0.1 for label in labels)
            total += len(labels) + len(times)
        assert hits / total > 0.94
    assert len(found[0]) == len(found[1])
    assert np.allclose([e.time_s for e in found[0]], [e.time_s for e in found[1]], atol=1e-4)
