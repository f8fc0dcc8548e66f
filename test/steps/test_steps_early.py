"""Strides told with their heel strike, and strides whose foot-flat only the heel strike shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.recording import BodyFrames, EventKind, GaitEvent, Side, SlotStatus
from gait_twin.steps import StepEstimator, StepSettings
from gait_twin.steps.clipping import clipped

RATE_HZ, STRIDE_S, STRIDE_M, STANCE = 100.0, 1.1, 1.3, 0.6


def walk(strides=7, rise_m=0.0, restless_radps=0.0, step_up=False):
    """One foot's frames and events: level ground, a slope, or stairs (the rise in the middle of the swing)."""
    fine = np.arange(-2, 3) / (RATE_HZ * 4)
    h = fine[1] - fine[0]
    time_s = np.arange(int((3.5 + strides * STRIDE_S + 1.5) * RATE_HZ)) / RATE_HZ

    def place(t):
        cycle = (t - 2.0) / STRIDE_S
        done = np.clip(np.floor(cycle), 0, strides)
        part = np.where((cycle >= 0) & (cycle < strides), np.clip((cycle % 1.0 - STANCE) / (1 - STANCE), 0, 1), 0.0)
        bump = part**3 * (10 - 15 * part + 6 * part**2)
        pitch = -0.9 * np.sin(np.pi * np.clip(part / 0.6, 0, 1)) ** 3
        pitch = pitch + 0.3 * np.sin(np.pi * np.clip((part - 0.5) / 0.5, 0, 1)) ** 3
        stance = np.where((cycle >= 0) & (cycle < strides), (cycle % 1.0) / STANCE, 0.0)
        rocking = (stance > 0.0) & (stance < 1.0)
        pitch = pitch + np.where(rocking, restless_radps * STANCE * STRIDE_S / 9.0 * np.sin(9.0 * np.pi * stance), 0.0)
        tilt = 0.0 if step_up else np.arctan2(rise_m, STRIDE_M)
        way = (done + bump) * np.hypot(STRIDE_M, 0.0)
        up = (done + bump) * rise_m + (0.12 + (0.1 if step_up else 0.0)) * np.sin(np.pi * part) ** 4
        return np.column_stack([way, np.zeros_like(way), up]), pitch + np.where(cycle > 0, tilt, 0.0) * 0.0

    path = np.stack([place(time_s + d)[0] for d in fine])
    pitch = np.stack([place(time_s + d)[1] for d in fine])
    force = (-path[0] + 16 * path[1] - 30 * path[2] + 16 * path[3] - path[4]) / (12 * h * h) + [0.0, 0.0, 9.80665]
    rate = (pitch[0] - 8 * pitch[1] + 8 * pitch[3] - pitch[4]) / (12 * h)
    rotation = Rotation.from_rotvec(np.outer(-pitch[2], [0.0, 1.0, 0.0]))
    acc, gyr = rotation.inv().apply(force)[:, None], np.column_stack([0.0 * rate, -rate, 0.0 * rate])[:, None]
    events = []
    for k in range(strides):
        off_s, strike_s = (2.0 + (k + part) * STRIDE_S for part in (STANCE, 1.0))
        events.append(GaitEvent(off_s, Side.RIGHT, EventKind.TOE_OFF, 1.0, 0.06))
        events.append(GaitEvent(strike_s, Side.RIGHT, EventKind.HEEL_STRIKE, 1.0, 0.06))
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (len(time_s), 1, 1))
    status = np.full((len(time_s), 1), int(SlotStatus.VALID), np.uint8)
    return BodyFrames(("calcn_r",), time_s, acc, gyr, quat, quat, status), events


def run(frames, events, sizes=(10_000,), late_s=0.0, settings_=None):
    estimator = StepEstimator(settings_)
    waiting, at, turn, outs = list(events), 0, 0, []
    while at < len(frames):
        block = frames[at : at + sizes[turn % len(sizes)]]
        arrived = [e for e in waiting if e.time_s + e.delay_s <= block.time_s[-1] - late_s]
        waiting = waiting[len(arrived) :]
        outs.append(estimator.update(block, arrived))
        at, turn = at + len(block), turn + 1
    outs += [estimator.update(frames[:0], waiting), estimator.flush()]
    return [s for out in outs for s in out.strides], [s for out in outs for s in out.early]


def test_early_lengths_are_near_and_marked():
    strides, early = run(*walk(), sizes=(1,))
    final = {s.end_s: s for s in strides}
    assert len(early) >= 5
    for stride in early:
        assert stride.provisional
        assert stride.stride_length_m == pytest.approx(final[stride.end_s].stride_length_m, abs=0.05)
        assert 0.0 < stride.stride_length_sd_m < 0.1
    assert not any(s.provisional for s in strides)


@given(st.lists(st.integers(1, 120), min_size=1, max_size=12), st.floats(0.0, 2.5))
@settings(max_examples=4, deadline=None)
def test_early_lengths_do_not_depend_on_cuts_or_on_when_events_arrive(sizes, late_s):
    frames, events = walk(strides=4)
    whole = run(frames, events, sizes=(1,))
    cut = run(frames, events, sizes, late_s)
    assert repr(cut[0]) == repr(whole[0])
    assert [(s.end_s, s.side) for s in cut[1]] == [(s.end_s, s.side) for s in whole[1]]
    for a, b in zip(cut[1], whole[1], strict=True):
        assert a.stride_length_m == pytest.approx(b.stride_length_m, abs=1e-9)
        assert a.stride_length_sd_m == pytest.approx(b.stride_length_sd_m, abs=1e-9)


@pytest.mark.parametrize("rise_m", [0.0, 0.02, -0.02])
def test_nearly_level_ground_is_levelled(rise_m):
    strides, _ = run(*walk(rise_m=rise_m))
    assert sum(s.height_change_m for s in strides) == pytest.approx(0.0, abs=0.5 * abs(rise_m) * len(strides) + 0.01)


@pytest.mark.parametrize("rise_m", [0.17, -0.17, 0.34, 0.1])
def test_stairs_and_ramps_are_not_levelled(rise_m):
    strides, _ = run(*walk(rise_m=rise_m, step_up=True))
    for stride in strides:
        assert stride.valid
        assert stride.height_change_m == pytest.approx(rise_m, abs=0.03)
        assert stride.stride_length_m == pytest.approx(STRIDE_M, abs=0.03)


def test_a_heel_strike_shows_the_foot_flat_that_samples_do_not():
    """A foot that rocks in all of its stance: no foot-flat passes the limits, the heel strike says where to look."""
    frames, events = walk(strides=8, restless_radps=2.5)
    blind, _ = run(frames, events, settings_=StepSettings(flats_from_events=False, max_surprise=0.5))
    told, _ = run(frames, events, settings_=StepSettings(flats_from_events=True, max_surprise=10.0))
    assert sum(s.valid for s in told) > sum(s.valid for s in blind)
    assert {s.reason for s in blind if not s.valid} == {"no foot-flat"}


def test_a_missed_heel_strike_makes_no_long_stride():
    frames, events = walk(strides=10)
    strikes = [e for e in events if e.kind is EventKind.HEEL_STRIKE]
    strides, _ = run(frames, [e for e in events if e is not strikes[7]])
    long = max(strides, key=lambda s: s.stride_time_s)
    assert long.stride_time_s == pytest.approx(2 * STRIDE_S)
    assert not long.valid
    assert long.reason == "two strides: a heel strike was missed"
    assert all(s.valid for s in strides if s is not long)


def test_early_waits_for_no_broken_stream():
    frames, events = walk(strides=4)
    frames.acc_mps2[350:420], frames.gyr_radps[350:420], frames.status[350:420] = np.nan, np.nan, 0
    strides, early = run(frames, events, sizes=(7,))
    assert all(np.isfinite(s.stride_length_m) for s in early)
    assert any(not s.valid and s.reason for s in strides)


def test_plateau_is_clipped_and_a_round_peak_is_not():
    time_s = np.arange(100) / 100.0
    round_peak = 9.0 * np.sin(2 * np.pi * 1.5 * time_s)
    steep = 20.0 * np.sin(2 * np.pi * 2.0 * time_s)
    rate = np.column_stack([round_peak, np.clip(steep, -9.1, 9.1), 0.0 * time_s])
    flags = clipped(rate, np.abs(rate).max(axis=0))
    assert np.array_equal(flags, np.abs(steep) > 9.1)
    assert not clipped(np.column_stack([round_peak] * 3), np.full(3, 9.0)).any()


def test_saturated_swings_know_less():
    frames, events = walk()
    fine = run(frames, events)[0]
    status = frames.status.copy()
    status[np.abs(frames.gyr_radps[:, 0, 1]) > 5.0] |= int(SlotStatus.SATURATED)
    marked = run(replace(frames, status=status), events)[0]
    for a, b in zip(fine, marked, strict=True):
        assert b.stride_length_sd_m > a.stride_length_sd_m
