"""Parts of the step estimator, and the estimator on recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.events import EventDetector
from gait_twin.recording import Side
from gait_twin.recording.importers import find_importer
from gait_twin.sensing import SensorHub
from gait_twin.steps import StepEstimator, StepSettings
from gait_twin.steps.pair import FeetPair
from gait_twin.steps.quaternion import rotate, turn
from gait_twin.steps.stance import FootFlatFinder, MotionMeasure
from gait_twin.steps.swing import integral, small_rotation


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_quaternions_agree_with_scipy(first, second):
    q = turn(turn((1.0, 0.0, 0.0, 0.0), *first), *second)
    reference = Rotation.from_rotvec(first) * Rotation.from_rotvec(second)
    assert np.allclose(rotate(q, 0.3, -0.2, 0.9), reference.apply([0.3, -0.2, 0.9]), atol=1e-9)
    assert np.allclose(small_rotation(np.array(first)), Rotation.from_rotvec(first).as_matrix(), atol=1e-9)


def test_integral_of_a_line():
    assert np.allclose(integral(np.arange(5.0)[:, None], 0.5)[:, 0], 0.25 * np.arange(5.0) ** 2)


def motion_of(swing, stance, strides=5, dt_s=0.01):
    """Motion of a walk: rests of `stance` rad/s between swings of `swing` rad/s."""
    t = np.arange(0, strides * 1.1, dt_s) % 1.1
    return np.where(t < 0.6, stance + 0.8 * np.abs(t - 0.3), swing * np.sin(np.pi * (t - 0.6) / 0.5) + stance)


@pytest.mark.parametrize(("swing", "stance"), [(9.0, 0.08), (2.5, 0.05), (9.0, 0.8)])
def test_one_flat_a_stance_for_any_walker(swing, stance):
    finder = FootFlatFinder(StepSettings(), 0.01)
    found = [finder.step(i, m) for i, m in enumerate(motion_of(swing, stance))]
    flats = [f for f in found if f is not None and not f.doubtful]
    assert 4 <= len(flats) <= 5  # the first stance comes before the walker is known
    for flat in flats:
        assert (flat.index * 0.01) % 1.1 == pytest.approx(0.3, abs=0.05)


def test_standing_gives_a_flat_a_second():
    finder = FootFlatFinder(StepSettings(), 0.01)
    motion = 0.02 + 0.01 * np.random.default_rng(1).random(1000)
    found = [f for f in (finder.step(i, m) for i, m in enumerate(motion)) if f is not None]
    assert 9 <= len(found) <= 13
    assert not found[0].resting
    assert all(f.resting for f in found[1:])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=10))
@settings(max_examples=20, deadline=None)
def test_motion_measure_is_the_same_however_cut(sizes):
    rng = np.random.default_rng(3)
    acc, gyr = rng.standard_normal((200, 3)) + np.array([0, 0, 9.81]), rng.standard_normal((200, 3))
    whole = MotionMeasure(8).update(acc, gyr)
    measure, parts, at, k = MotionMeasure(8), [], 0, 0
    while at < 200:
        parts.append(measure.update(acc[at : at + sizes[k % len(sizes)]], gyr[at : at + sizes[k % len(sizes)]]))
        at, k = at + sizes[k % len(sizes)], k + 1
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("heading", [0.0, 2.0])
def test_pair_learns_that_one_sensor_measures_too_long(heading):
    """The right foot's frame is turned by `heading` and its strides come out 4 % long."""
    pair = FeetPair(StepSettings())
    rng = np.random.default_rng(0)
    turn_right = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    steps = []
    for k in range(40):
        side = Side.LEFT if k % 2 == 0 else Side.RIGHT
        length = 0.65 if k == 0 else 1.3
        way = np.array([length, 0.0]) + 0.01 * rng.standard_normal(2)
        if side is Side.RIGHT:
            way = turn_right @ way * 1.04
        found = pair.land(side, way, np.eye(2) * 0.01**2, 0.0)
        if found is not None:
            steps.append((side, *found))
    for _side, length, sd, width, width_sd in steps[6:]:
        assert length == pytest.approx(0.65, abs=max(2.5 * sd, 0.08))
        assert 0.0 < sd < 0.08
        assert width == pytest.approx(0.15, abs=3 * width_sd)


def analysed(path):
    recording = find_importer(path).load(path)
    feet = {side.foot: recording.imus[side.foot] for side in Side if side.foot in recording.imus}
    hub, detector, estimator = SensorHub(tuple(feet)), EventDetector(), StepEstimator()
    for name, s in feet.items():
        hub.push(name, s.time_s, s.acc_mps2, s.gyr_radps)
    frames = hub.flush()
    out = estimator.update(frames, detector.update(frames)[0])
    end = estimator.flush()
    return recording, out.strides + end.strides, out.steps + end.steps, out.poses


def test_stride_length_against_motion_capture(data_dir):
    path = data_dir / "foot_vicon" / "2017-11-22-11-26-05.mat"
    recording, strides, _, _ = analysed(path)
    truth = recording.truth.foot_positions[Side.RIGHT]
    errors = []
    for s in strides:
        ends = [
            np.median(truth.position_m[(truth.time_s > t + 0.25) & (truth.time_s < t + 0.35)], axis=0)
            for t in (s.start_s, s.end_s)
        ]
        errors.append(s.stride_length_m - np.hypot(*(ends[1] - ends[0])[:2]))
    assert len(errors) >= 20
    assert abs(np.median(errors)) < 0.02
    assert np.median(np.abs(errors)) < 0.03


def test_treadmill_mean_stride(data_dir):
    recording, strides, steps, _ = analysed(data_dir / "treadmill_7imu")
    steady = [s for s in strides if 20.0 < s.start_s < 130.0]
    ref = [s for s in recording.truth.strides if 35.0 < s.start_s < 145.0]
    assert len(steady) == pytest.approx(len(ref), abs=2)
    assert all(s.valid for s in steady)
    mean = {name: np.mean([getattr(s, name) for s in steady]) for name in ("stride_time_s", "stride_length_m")}
    for name, value in mean.items():
        assert value == pytest.approx(np.mean([getattr(s, name) for s in ref]), rel=0.03)
    assert all(0.3 < s.step_length_m < 1.0 for s in steps if 20.0 < s.time_s < 130.0)


def test_closed_loop(data_dir):
    _, strides, _, poses = analysed(data_dir / "foot_loop" / "short_walk.csv.gz")
    way = sum(s.stride_length_m for s in strides if s.valid)
    gap = np.hypot(*(poses[-1].position_m - poses[0].position_m)[:2])
    assert gap < 0.02 * way
