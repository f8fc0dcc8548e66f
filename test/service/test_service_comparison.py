"""Comparison with truth: known answers and properties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_twin.recording import (
    EventKind,
    GaitEvent,
    ImuStream,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    Truth,
)
from gait_twin.service import Analysis, compare
from gait_twin.service.comparison import score_joints
from gait_twin.service.matching import clock_offset, match
from gait_twin.service.parameters import PARAMETERS, Spread, symmetry_index, value

INSTANTS = st.lists(st.floats(0, 20), max_size=25)


def recording(truth: Truth | None = None) -> Recording:
    time = np.arange(200) / 100
    return Recording({"calcn_r": ImuStream("calcn_r", time, np.zeros((200, 3)), None)}, truth=truth)


def strikes(*times: float, side: Side = Side.RIGHT) -> tuple[GaitEvent, ...]:
    return tuple(GaitEvent(t, side, EventKind.HEEL_STRIKE) for t in times)


@given(INSTANTS, INSTANTS, st.floats(0.001, 0.5))
def test_match_pairs_one_to_one_within_the_tolerance(
    estimated: list[float], true: list[float], tolerance: float
) -> None:
    pairs = match(estimated, true, tolerance)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(abs(estimated[i] - true[j]) <= tolerance + 1e-8 for i, j in pairs)
    # nobody is left alone who could still be paired
    free_estimated = set(range(len(estimated))) - {i for i, _ in pairs}
    free_true = set(range(len(true))) - {j for _, j in pairs}
    assert all(abs(estimated[i] - true[j]) > tolerance for i in free_estimated for j in free_true)


@given(INSTANTS, st.floats(0.001, 0.5))
def test_match_finds_all_of_the_same_instants(times: list[float], tolerance: float) -> None:
    assert len(match(times, times, tolerance)) == len(times)


def test_events_are_counted_as_found_missed_and_false() -> None:
    truth = Truth(events=strikes(1.0, 2.0, 3.0, 4.0))
    analysis = Analysis(recording(truth), events=strikes(1.02, 2.04, 3.2, 5.0))
    (score,) = compare(analysis).events
    assert (score.n_true, score.n_estimated, score.n_found) == (4, 4, 2)
    assert score.f1 == score.precision == score.recall == 0.5
    assert score.error_ms.mean == pytest.approx(30.0)
    assert score.error_ms.sd == pytest.approx(math.sqrt(200.0))


def test_a_foot_that_the_truth_does_not_speak_of_is_left_out() -> None:
    truth = Truth(events=strikes(1.0, 2.0))
    analysis = Analysis(recording(truth), events=strikes(1.0, 2.0) + strikes(1.5, 2.5, side=Side.LEFT))
    (score,) = compare(analysis).events
    assert score.n_estimated == 2
    assert score.f1 == 1.0


def test_only_the_same_strides_are_compared_and_invalid_lengths_are_not_believed() -> None:
    true = [Stride(Side.RIGHT, t, t + 1, stride_length_m=1.3) for t in range(4)]
    ours = [
        Stride(Side.RIGHT, 0.02, 1.03, stride_length_m=1.25),
        Stride(Side.RIGHT, 1.03, 2.01, stride_length_m=9.0, valid=False),
        Stride(Side.RIGHT, 2.0, 4.0, stride_length_m=2.6),  # one heel strike was missed
    ]
    scores = {
        s.parameter.key: s
        for s in compare(Analysis(recording(Truth(strides=tuple(true))), strides=tuple(ours))).parameters
    }
    assert scores["stride_length_m"].error.n == 1
    assert scores["stride_length_m"].error.mean == pytest.approx(-0.05)
    assert scores["stride_time_s"].error.n == 2
    assert scores["stride_time_s"].error.mean == pytest.approx(-0.005)
    assert "stance_time_s" not in scores  # not known on either side


def test_steps_are_paired_by_their_heel_strike() -> None:
    truth = Truth(steps=(Step(Side.LEFT, 1.0, 0.5, 0.65, step_width_m=0.1), Step(Side.RIGHT, 1.5, 0.5, 0.6)))
    ours = (Step(Side.LEFT, 1.01, 0.52, 0.66, step_width_m=0.12), Step(Side.LEFT, 1.5, 0.5, 0.6))
    scores = {s.parameter.key: s for s in compare(Analysis(recording(truth), steps=ours)).parameters}
    assert scores["step_length_m"].error.n == 1
    assert scores["step_width_m"].error.mean == pytest.approx(2.0)  # cm


def test_joint_errors_split_into_offset_and_rest() -> None:
    time = np.linspace(0, 4, 401)
    angle = np.radians(30 * np.sin(2 * np.pi * time))
    true = JointTrajectory(time, ("knee_angle_r", "pelvis_tx"), np.column_stack([angle, time]))
    ours_time = np.linspace(-1, 5, 700)
    ours = JointTrajectory(
        ours_time,
        ("pelvis_tx", "knee_angle_r", "unknown"),
        np.column_stack(
            [
                ours_time + 0.1,
                np.radians(30 * np.sin(2 * np.pi * ours_time) + 4 + 2 * np.cos(ours_time * 40)),
                ours_time,
            ]
        ),
    )
    scores = {score.coordinate: score for score in score_joints(ours, true)}
    assert set(scores) == {"knee_angle_r", "pelvis_tx"}
    assert scores["knee_angle_r"].offset == pytest.approx(4, abs=0.1)
    assert scores["knee_angle_r"].rmse_aligned == pytest.approx(math.sqrt(2), abs=0.1)
    assert scores["knee_angle_r"].rmse == pytest.approx(math.sqrt(18), abs=0.1)
    assert scores["knee_angle_r"].unit == "°"
    assert scores["pelvis_tx"].rmse == pytest.approx(0.1)


def test_whole_turns_of_the_heading_are_no_error() -> None:
    time = np.linspace(0, 10, 500)
    heading = np.linspace(0, 4 * np.pi, 500)
    wrapped = (heading + np.pi) % (2 * np.pi) - np.pi
    true = JointTrajectory(time, ("pelvis_rotation",), heading[:, None])
    ours = JointTrajectory(time, ("pelvis_rotation",), wrapped[:, None] + 2 * np.pi)
    (score,) = score_joints(ours, true)
    assert score.rmse < 1e-6


@given(st.floats(-30, 30), st.integers(0, 1000))
def test_the_clock_of_a_reference_without_events_is_found(offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.normal(1.2, 0.03, 60))
    true = [Stride(Side.RIGHT, a, b, stride_length_m=1.3) for a, b in itertools.pairwise(ends)]
    seen = [
        Stride(Side.RIGHT, s.start_s + offset, s.end_s + offset + rng.normal(0, 0.008), stride_length_m=1.3)
        for s in true[3:-2]
    ]
    assert clock_offset(seen, true) == pytest.approx(offset, abs=0.01)
    comparison = compare(Analysis(recording(Truth(strides=tuple(true))), strides=tuple(seen)))
    assert comparison.clock_offset_s == pytest.approx(offset, abs=0.01)
    assert comparison.parameters[0].error.n == len(seen)


def test_no_truth_is_an_empty_comparison() -> None:
    comparison = compare(Analysis(recording(), events=strikes(1.0)))
    assert not comparison
    assert comparison.as_dict() == {"clock_offset_s": 0.0, "events": [], "parameters": [], "joints": []}


def test_spread_leaves_nan_out_and_says_when_it_does_not_know() -> None:
    assert Spread.of([1.0, math.nan, 3.0]) == Spread(2, 2.0, math.sqrt(2))
    assert Spread.of([]).n == 0
    assert math.isnan(Spread.of([]).mean)
    assert math.isnan(Spread.of([5.0]).sd)


def test_symmetry_index() -> None:
    assert symmetry_index(1.0, 1.0) == 0.0
    assert symmetry_index(0.9, 1.1) == pytest.approx(20.0)
    assert symmetry_index(1.1, 0.9) == pytest.approx(-20.0)


def test_every_parameter_reads_from_a_stride_or_a_step() -> None:
    stride = Stride(Side.LEFT, 1.0, 2.0, stride_length_m=1.2, stance_time_s=0.6, swing_time_s=0.4)
    step = Step(Side.LEFT, 2.0, 0.5)
    known = {p.key: value(step if p.of_step else stride, p) for p in PARAMETERS}
    assert known["stance_percent"] == pytest.approx(60.0)
    assert known["speed_mps"] == pytest.approx(1.2)
    assert known["cadence_spm"] == pytest.approx(120.0)
    assert math.isnan(known["step_length_m"])
