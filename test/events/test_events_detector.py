"""The event detector on a synthetic foot and on recordings."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.recording import BodyFrames, EventKind, Side, SlotStatus


def pitch_rate(phase):
    """A foot's pitch rate over a stride that begins at heel strike: landing, foot-flat, push-off, swing."""
    push = -8.0 * np.exp(-(((phase - 0.58) / 0.06) ** 2))
    swing = 5.6 * np.exp(-(((phase - 0.79) / 0.13) ** 2))
    landing = -4.0 * np.exp(-(((phase - 0.03) / 0.03) ** 2)) - 4.0 * np.exp(-(((phase - 1.03) / 0.03) ** 2))
    return push + swing + landing


def walking_frames(rate_hz=100.0, strides=8, stride_s=1.1, rotation=None, lead_s=2.0, noise=0.02):
    """Frames of both feet: standing, walking, standing."""
    rng = np.random.default_rng(0)
    n = int((2 * lead_s + (strides + 1) * stride_s) * rate_hz)
    time_s = np.arange(n) / rate_hz
    gyr = noise * rng.standard_normal((n, 2, 3))
    starts = {}
    for column, offset in enumerate((0.5, 1.0)):
        phase = (time_s - lead_s) / stride_s - offset + 0.5
        moving = (phase > 0.3) & (phase < strides + 0.25)
        gyr[:, column, 2] += np.where(moving, pitch_rate(np.mod(phase, 1.0)), 0.0)
        starts[Side.LEFT if column == 0 else Side.RIGHT] = (
            lead_s + (offset - 0.5 + np.arange(1, strides + 1)) * stride_s
        )
    acc = np.tile([0.0, 9.81, 0.0], (n, 2, 1))
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
    events, phases = EventDetector().update(frames)
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
    whole = EventDetector().update(frames)
    detector = EventDetector()
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
    a, b = EventDetector().update(frames)[0], EventDetector().update(turned)[0]
    assert [(e.side, e.kind) for e in a] == [(e.side, e.kind) for e in b]
    assert np.allclose([e.time_s for e in a], [e.time_s for e in b], atol=1e-6)


def test_rates():
    for rate_hz in (50.0, 100.0, 200.0, 400.0):
        frames, starts = walking_frames(rate_hz=rate_hz)
        events, _ = EventDetector().update(frames)
        for side in Side:
            found = heel_strikes(events, side)
            assert len(found) == len(starts[side])
            assert np.abs(found - starts[side]).max() < 0.04


def test_standing_has_no_events():
    frames, _ = walking_frames(strides=0, lead_s=10.0, noise=0.1)
    events, phases = EventDetector(DetectorSettings()).update(frames)
    assert not events
    assert not any(phase.walking for phase in phases)
