"""Strides and steps on a synthetic walk with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.recording import BodyFrames, EventKind, GaitEvent, Side, SlotStatus
from gait_twin.steps import StepEstimator, StepSettings

STRIDE_M, STRIDE_S, STANCE = 1.3, 1.1, 0.6


def foot_path(time_s, start_s, strides, first=1.0):
    """Position (n, 3) and pitch of a foot that rests in stance and swings on a smooth arc."""
    cycle = (time_s - start_s) / STRIDE_S
    done = np.clip(np.floor(cycle), 0, strides)
    part = np.where((cycle >= 0) & (cycle < strides), np.clip((cycle % 1.0 - STANCE) / (1 - STANCE), 0, 1), 0.0)
    bump = part**3 * (10 - 15 * part + 6 * part**2)
    x = (done + bump) * STRIDE_M
    x -= (1 - first) * STRIDE_M * np.where(done >= 1, 1.0, bump)
    z = 0.12 * np.sin(np.pi * part) ** 4
    pitch = (
        -0.9 * np.sin(np.pi * np.clip(part / 0.6, 0, 1)) ** 3
        + 0.3 * np.sin(np.pi * np.clip((part - 0.5) / 0.5, 0, 1)) ** 3
    )
    return np.column_stack([x, np.zeros_like(x), z]), pitch


def walk(
    rate_hz=200.0, strides=6, scale=1.0, mounting=None, tail_s=1.5, bias=(0.0, 0.0, 0.0), force_bias=(0.0, 0.0, 0.0)
):
    """Frames, events and the truth of two feet."""
    n = int((3.0 + (strides + 1.0) * STRIDE_S + tail_s) * rate_hz)
    time_s = np.arange(n) / rate_hz
    acc, gyr = np.empty((n, 2, 3)), np.empty((n, 2, 3))
    events = []
    fine = np.arange(-2, 3) / (rate_hz * 4)
    for column, (side, start) in enumerate(((Side.LEFT, 2.0), (Side.RIGHT, 2.0 + STRIDE_S / 2))):
        first = 0.5 if side is Side.LEFT else 1.0
        path = np.stack([foot_path(time_s + d, start, strides, first)[0] for d in fine])
        pitch = np.stack([foot_path(time_s + d, start, strides)[1] for d in fine])
        h = fine[1] - fine[0]
        second = (-path[0] + 16 * path[1] - 30 * path[2] + 16 * path[3] - path[4]) / (12 * h * h)
        rate = (pitch[0] - 8 * pitch[1] + 8 * pitch[3] - pitch[4]) / (12 * h)
        rotation = Rotation.from_rotvec(np.outer(-pitch[2], [0.0, 1.0, 0.0]))  # toes up is about -y (y left)
        acc[:, column] = rotation.inv().apply(second + np.array([0, 0, 9.80665])) * scale
        gyr[:, column] = np.column_stack([np.zeros(n), -rate, np.zeros(n)])
        acc[:, column] += force_bias
        if mounting is not None:
            acc[:, column] = mounting.inv().apply(acc[:, column])
            gyr[:, column] = mounting.inv().apply(gyr[:, column])
        gyr[:, column] += bias
        for k in range(strides):
            off = start + (k + STANCE) * STRIDE_S
            events.append(GaitEvent(off, side, EventKind.TOE_OFF, 1.0, 0.1))
            events.append(GaitEvent(start + (k + 1) * STRIDE_S, side, EventKind.HEEL_STRIKE, 1.0, 0.06))
    events.sort(key=lambda e: e.time_s + e.delay_s)
    quat = np.tile([1.0, 0, 0, 0], (n, 2, 1))
    status = np.full((n, 2), int(SlotStatus.VALID), np.uint8)
    return BodyFrames(("calcn_l", "calcn_r"), time_s, acc, gyr, quat, quat, status), events


def everything(frames, events, sizes=(10_000,), late_s=0.0):
    estimator = StepEstimator(StepSettings())
    waiting, at, turn = list(events), 0, 0
    strides, steps, poses = [], [], []
    outs = []
    while at < len(frames):
        block = frames[at : at + sizes[turn % len(sizes)]]
        now = block.time_s[-1] - late_s
        arrived = [e for e in waiting if e.time_s + e.delay_s <= now]
        waiting = waiting[len(arrived) :]
        outs.append(estimator.update(block, arrived))
        at, turn = at + len(block), turn + 1
    outs.append(estimator.update(frames[:0], waiting))
    outs.append(estimator.flush())
    for out in outs:
        strides += out.strides
        steps += out.steps
        poses += out.poses
    return strides, steps, poses


@pytest.mark.parametrize(
    ("scale", "force_bias"),
    [(1.0, (0.0, 0.0, 0.0)), (0.99, (0.0, 0.0, 0.0)), (1.01, (0.0, 0.0, 0.0)), (1.0, (0.1, -0.1, 0.3))],
)
def test_known_stride_length(scale, force_bias):
    """Standing cannot tell an accelerometer's scale from its bias: real ones are off in bias."""
    frames, events = walk(scale=scale, bias=(0.01, -0.008, 0.005), force_bias=force_bias)
    strides, steps, _ = everything(frames, events)
    assert len(strides) == 2 * 5
    for stride in strides:
        assert stride.valid
        assert stride.stride_length_m == pytest.approx(STRIDE_M, abs=0.02)
        assert stride.stride_time_s == pytest.approx(STRIDE_S)
        assert stride.swing_time_s == pytest.approx((1 - STANCE) * STRIDE_S)
        assert stride.height_change_m == pytest.approx(0.0, abs=0.02)
        assert stride.foot_clearance_m == pytest.approx(0.12, abs=0.02)
        assert abs(stride.turning_angle_rad) < 0.02
        assert 0.0 < stride.stride_length_sd_m < 0.1
    assert len(steps) == 2 * 6 - 1
    for step in steps[4:]:
        assert step.step_length_m == pytest.approx(STRIDE_M / 2, abs=2.5 * step.step_length_sd_m)


@given(st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_any_mounting(seed):
    plain = everything(*walk(strides=3))[0]
    turned = everything(*walk(strides=3, mounting=Rotation.random(rng=seed)))[0]
    assert [s.stride_length_m for s in turned] == pytest.approx([s.stride_length_m for s in plain], abs=1e-6)


@given(st.lists(st.integers(1, 150), min_size=1, max_size=20), st.floats(0.0, 3.0))
@settings(max_examples=10, deadline=None)
def test_same_however_cut_and_however_late_the_events(sizes, late_s):
    frames, events = walk(rate_hz=100.0, strides=3)
    whole = everything(frames, events)
    cut = everything(frames, events, sizes, late_s)
    assert repr(cut[0]) == repr(whole[0])
    assert repr(cut[1]) == repr(whole[1])
    for a, b in zip(whole[2], cut[2], strict=True):
        assert (a.time_s, a.side, a.foot_flat) == (b.time_s, b.side, b.foot_flat)
        assert np.array_equal(a.position_m, b.position_m)
        assert np.array_equal(a.quat_wxyz, b.quat_wxyz)


def test_gap_marks_the_stride_and_nothing_else():
    frames, events = walk(strides=6)
    lost = (frames.time_s > 5.0) & (frames.time_s < 5.15)
    frames.acc_mps2[lost] = np.nan
    frames.gyr_radps[lost] = np.nan
    frames.status[lost] = 0
    strides, _, poses = everything(frames, events)
    left = [s for s in strides if s.side is Side.LEFT]
    assert [s.valid for s in left].count(False) == 1
    assert not next(s for s in left if s.start_s < 5.0 < s.end_s).valid
    assert len(poses) == 2 * int((~lost).sum())
