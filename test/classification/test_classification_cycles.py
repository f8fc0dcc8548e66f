"""Cycles: known curves come back, what is missing is NaN, and nothing depends on how streams come."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.classification import ClassifierSettings, CycleCutter
from gait_twin.classification.channels import CHANNELS, GROUPS, NUMBERS
from gait_twin.classification.cycles import over_cycle
from gait_twin.recording import BodyFrames, Side, SlotStatus, Stride, TwinState

NAMES = [channel.name for channel in CHANNELS]
PERSON = ClassifierSettings(height_m=1.75, mass_kg=70.0)
COORDINATES = (
    "pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_ty",
    "hip_flexion_r", "knee_angle_r", "ankle_angle_r", "hip_flexion_l", "knee_angle_l", "ankle_angle_l",
)  # fmt: skip
LEGS = ("pelvis", "femur_r", "tibia_r", "calcn_r", "femur_l", "tibia_l", "calcn_l")


def all_of(cutter, streams):
    return cutter.update(streams.frames, streams.states, streams.strides) + cutter.flush()


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert (x.side, x.start_s, x.end_s, x.segments) == (y.side, y.start_s, y.end_s, y.segments)
        np.testing.assert_array_equal(x.curves, y.curves)
        np.testing.assert_array_equal(x.numbers, y.numbers)


def made_states(knee, heading_rad=0.0, sensors=LEGS, until_s=4.0, unsure=()):
    """States at 100 Hz whose right knee is a function of time; velocities and moments are late."""
    states = []
    for t in np.arange(0.0, until_s, 0.01):
        pelvis = Rotation.from_euler("YXZ", [heading_rad, 0.05, 0.1]).as_euler("ZXY")  # rotation, list, tilt
        q = np.array([*pelvis, 1.0, 0.3, knee(t), 0.1, -0.3, 0.7, -0.1])
        v = np.full(10, knee(t - 0.03))
        moments = np.full(10, 70.0 * knee(t - 0.08))
        residuals = np.array([np.nan if s in unsure else 0.01 for s in sensors])
        states.append(
            TwinState(t, COORDINATES, q, v, 0.03, moments, sensors, residuals, None, 1.0, moment_delay_s=0.08)
        )
    return states


def made_frames(until_s=4.0):
    n = int(until_s * 100)
    k = len(LEGS)
    acc = np.tile([0.0, 9.81, 0.0], (n, k, 1))
    unit = np.tile([1.0, 0.0, 0.0, 0.0], (n, k, 1))
    status = np.full((n, k), int(SlotStatus.VALID | SlotStatus.CALIBRATED | SlotStatus.HEADING), np.uint8)
    return BodyFrames(LEGS, np.arange(n) * 0.01, acc, np.zeros((n, k, 3)), unit, unit, status)


def knee(t):
    return 0.5 - 0.4 * np.cos(2.0 * np.pi * t)


RIGHT = Stride(Side.RIGHT, 1.0, 2.0, 1.6, stride_length_m=1.4, stance_time_s=0.6, foot_clearance_m=0.1)


def cut(states, strides=(RIGHT,), person=PERSON):
    cutter = CycleCutter(LEGS, person)
    return cutter.update(made_frames(), states, list(strides)) + cutter.flush()


def test_known_curves_come_back_with_their_delays_taken_off():
    (cycle,) = cut(made_states(knee))
    expected = knee(np.linspace(1.0, 2.0, 101))
    for name, atol in (("knee_angle near", 1e-3), ("knee_angle velocity near", 1e-3), ("knee_angle moment near", 1e-3)):
        np.testing.assert_allclose(cycle.curves[:, NAMES.index(name)], expected, atol=atol)
    np.testing.assert_allclose(cycle.curves[:, NAMES.index("knee_angle far")], 0.7, atol=1e-6)
    assert cycle.numbers[NUMBERS.index("stride length over height near")] == pytest.approx(1.4 / 1.75)
    assert cycle.numbers[NUMBERS.index("stance share near")] == pytest.approx(0.6)
    assert np.isnan(cycle.curves[:, GROUPS["trunk"]]).all()  # no sensor there
    assert cycle.segments == LEGS


@pytest.mark.parametrize("heading_deg", [0.0, 90.0, 180.0, -135.0])
def test_pelvis_angles_do_not_depend_on_where_the_walk_goes(heading_deg):
    (cycle,) = cut(made_states(knee, np.radians(heading_deg)))
    found = cycle.curves[:, [NAMES.index(n) for n in ("pelvis_tilt", "pelvis_list", "pelvis_rotation")]]
    np.testing.assert_allclose(found, np.tile([0.1, 0.05, 0.0], (101, 1)), atol=1e-6)


def test_a_left_cycle_is_mirrored():
    left = dataclasses.replace(RIGHT, side=Side.LEFT)
    (cycle,) = cut(made_states(knee), [left])
    np.testing.assert_allclose(cycle.curves[:, NAMES.index("knee_angle near")], 0.7, atol=1e-6)
    np.testing.assert_allclose(cycle.curves[:, NAMES.index("pelvis_list")], -0.05, atol=1e-6)
    np.testing.assert_allclose(cycle.curves[:, NAMES.index("pelvis_tilt")], 0.1, atol=1e-6)


def test_a_model_that_counts_knee_flexion_negative_gives_the_same():
    (cycle,) = cut(made_states(lambda t: -knee(t)))
    np.testing.assert_allclose(cycle.curves[:, NAMES.index("knee_angle near")], knee(np.linspace(1, 2, 101)), atol=1e-3)


def test_without_mass_and_height_moments_and_lengths_are_left_out():
    (cycle,) = cut(made_states(knee), person=ClassifierSettings())
    assert np.isnan(cycle.curves[:, GROUPS["moments"]]).all()
    assert np.isfinite(cycle.curves[:, NAMES.index("knee_angle near")]).all()
    assert np.isnan(cycle.numbers[NUMBERS.index("stride length over height near")])


def test_a_sensor_that_is_not_there_takes_only_its_channels():
    (cycle,) = cut(made_states(knee, unsure=("femur_r",)))
    known = {name for name, curve in zip(NAMES, cycle.curves.T, strict=True) if np.isfinite(curve).all()}
    assert "knee_angle near" not in known
    assert "hip_flexion near" not in known
    assert {"ankle_angle near", "knee_angle far", "pelvis_tilt"} <= known
    assert "femur_r" not in cycle.segments


def test_turns_are_not_looked_at_and_unsure_strides_lose_their_lengths():
    turned = dataclasses.replace(RIGHT, turning_angle_rad=0.6)
    assert cut(made_states(knee), [turned]) == []
    (cycle,) = cut(made_states(knee), [dataclasses.replace(RIGHT, valid=False)])
    assert np.isnan(cycle.numbers[NUMBERS.index("speed over root of height near")])
    assert np.isfinite(cycle.numbers[NUMBERS.index("stride time (s) near")])


def test_a_gap_makes_a_curve_unknown_and_a_short_one_does_not():
    time_s = np.arange(0.0, 3.0, 0.01)
    rows = np.column_stack([np.sin(time_s), np.sin(time_s)])
    rows[120:124, 0] = np.nan
    rows[120:130, 1] = np.nan
    curves = over_cycle(time_s, rows, 1.0, 2.0)
    assert np.isfinite(curves[:, 0]).all()
    assert np.isnan(curves[:, 1]).all()


def test_the_other_legs_stride_is_there_once_it_overlaps(streams):
    cycles = all_of(CycleCutter(streams.frames.segments, PERSON), streams)
    assert len(cycles) >= 8
    far = [cycle.numbers[NUMBERS.index("stride time (s) far")] for cycle in cycles]
    assert np.isfinite(far[1:]).all()
    assert np.isfinite(cycles[3].curves).all()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_cycles_do_not_depend_on_how_the_streams_come(streams, data):
    whole = all_of(CycleCutter(streams.frames.segments, PERSON), streams)
    cutter, found = CycleCutter(streams.frames.segments, PERSON), []
    n = len(streams.frames)
    at = [0, 0, 0]
    sizes = st.integers(0, 400)
    while at[0] < n or at[1] < n or at[2] < len(streams.strides):
        step = [data.draw(sizes), data.draw(sizes), data.draw(st.integers(0, 6))]
        if not any(step):
            step = [n, n, n]
        a, b, c = at
        at = [a + step[0], b + step[1], c + step[2]]
        found += cutter.update(streams.frames[a : at[0]], streams.states[b : at[1]], streams.strides[c : at[2]])
    same(found + cutter.flush(), whole)


def test_feet_alone_give_their_own_channels(streams):
    feet = [streams.frames.segments.index(side.foot) for side in Side]
    f = streams.frames
    alone = BodyFrames(
        tuple(side.foot for side in Side), f.time_s, f.acc_mps2[:, feet], f.gyr_radps[:, feet],
        f.quat_wxyz[:, feet], f.body_quat_wxyz[:, feet], f.status[:, feet],
    )  # fmt: skip
    cutter = CycleCutter(alone.segments, PERSON, with_twin=False)
    cycles = cutter.update(alone, (), streams.strides) + cutter.flush()
    whole = all_of(CycleCutter(f.segments, PERSON), streams)
    assert len(cycles) == len(whole)
    for few, many in zip(cycles, whole, strict=True):
        np.testing.assert_array_equal(few.curves[:, GROUPS["feet"]], many.curves[:, GROUPS["feet"]])
        assert np.isnan(few.curves[:, GROUPS["angles"]]).all()


def test_states_that_stop_coming_are_not_waited_for_for_ever(streams):
    cutter = CycleCutter(streams.frames.segments, PERSON)
    assert cutter.update(streams.frames, streams.states[:100], streams.strides) == []
    assert len(cutter.flush()) == len(all_of(CycleCutter(streams.frames.segments, PERSON), streams))


def test_a_clock_that_leaps_back_begins_anew(streams):
    cutter = CycleCutter(streams.frames.segments, PERSON)
    cutter.update(streams.frames, streams.states, streams.strides)
    again = all_of(cutter, streams)
    same(again, all_of(CycleCutter(streams.frames.segments, PERSON), streams))
