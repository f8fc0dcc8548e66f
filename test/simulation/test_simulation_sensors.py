"""Virtual IMUs: exactly consistent when perfect, spoilt exactly as asked otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, ImuStream, Side
from gait_twin.simulation import SensorSettings, WalkSettings, default_demo, simulate
from gait_twin.simulation.body import BodyMotion, move_body
from gait_twin.simulation.plan import WalkPlan, plan_walk
from gait_twin.simulation.sensors import GRAVITY_MPS2, measure, sensor_motion
from gait_twin.twin import build_default_model

WALK = WalkSettings(duration_s=12.0, straight_length_m=3.0)


@pytest.fixture(scope="module")
def walk() -> tuple[WalkPlan, BodyMotion]:
    plan = plan_walk(WALK)
    return plan, move_body(plan, build_default_model(WALK.height_m, WALK.mass_kg))


def integrate(time_s: np.ndarray, acc: np.ndarray, gyr: np.ndarray, start: Rotation) -> tuple[Rotation, np.ndarray]:
    """Strapdown integration with the coning term; start at rest at the origin."""
    dt = np.diff(time_s)[:, None]
    turns = 0.5 * (gyr[1:] + gyr[:-1]) * dt + np.cross(gyr[:-1], gyr[1:]) * dt**2 / 12.0
    orientations = [start]
    for turn in Rotation.from_rotvec(turns):
        orientations.append(orientations[-1] * turn)
    orientation = Rotation.concatenate(orientations)
    free = orientation.apply(acc) - [0.0, 0.0, GRAVITY_MPS2]
    velocity = np.vstack([np.zeros(3), np.cumsum(0.5 * (free[1:] + free[:-1]) * dt, axis=0)])
    place = np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * dt - (free[1:] - free[:-1]) * dt**2 / 12.0, axis=0)
    return orientation, np.vstack([np.zeros(3), place])


@pytest.mark.parametrize("segment", ["pelvis", "torso", "femur_l", "tibia_r", "calcn_r", "calcn_l"])
@pytest.mark.parametrize("transient", [0.0, 30.0])
def test_perfect_samples_integrate_back(walk: tuple[WalkPlan, BodyMotion], segment: str, transient: float) -> None:
    """Angular rate and specific force give orientation and place back: they belong to one motion."""
    sensors = SensorSettings(mounting="random", rates_hz=(1000.0,), heel_strike_transient_mps2=transient)
    motion = sensor_motion(segment, walk[1], sensors, WALK.height_m)
    stream = measure(segment, motion, sensors, WALK.duration_s)
    t = stream.time_s
    start = Rotation.from_quat(motion.quat_wxyz(t[:1])[0][[1, 2, 3, 0]])
    orientation, moved = integrate(t, stream.acc_mps2, stream.gyr_radps, start)
    truth = Rotation.from_quat(motion.quat_wxyz(t)[:, [1, 2, 3, 0]])
    assert np.degrees((orientation * truth.inv()).magnitude().max()) < 0.01
    drift = motion.position(t) - motion.position(t[0]) - motion.position(t[0], 1) * (t - t[0])[:, None]
    np.testing.assert_allclose(moved, drift, atol=0.02)


def test_feet_are_still_in_foot_flat(walk: tuple[WalkPlan, BodyMotion]) -> None:
    """In foot-flat the gyroscope shows nothing and the accelerometer gravity alone."""
    plan, body = walk
    for side in Side:
        motion = sensor_motion(side.foot, body, SensorSettings(), WALK.height_m)
        for fall in plan.footfalls[side]:
            start, end = max(fall.flat_s, 0.0), min(fall.rise_s, WALK.duration_s)
            middle = np.linspace(start + 0.1 * (end - start), end - 0.1 * (end - start), 30)
            assert np.abs(motion.angular_rate(middle)).max() < 1e-3
            force = np.linalg.norm(motion.specific_force(middle), axis=1)
            np.testing.assert_allclose(force, GRAVITY_MPS2, atol=1e-2)
            assert np.abs(motion.position(middle, 1)).max() < 1e-3


def test_signals_are_those_of_feet(walk: tuple[WalkPlan, BodyMotion]) -> None:
    """Peaks lie where recorded feet have them: swing 5-8 rad/s toes up, push-off twice as fast toes down."""
    plan, body = walk
    motion = sensor_motion("calcn_r", body, SensorSettings(), WALK.height_m)
    fall, following = plan.footfalls[Side.RIGHT][2:4]
    swing = motion.angular_rate(np.linspace(fall.off_s, following.strike_s, 200))[:, 2]
    push = motion.angular_rate(np.linspace(fall.rise_s, fall.off_s, 200))[:, 2]
    assert 5.0 < swing.max() < 8.0
    assert -13.0 < push.min() < -7.0
    force = motion.specific_force(np.linspace(fall.strike_s, following.strike_s, 500))
    assert 20.0 < np.linalg.norm(force, axis=1).max() < 60.0
    pelvis = sensor_motion("pelvis", body, SensorSettings(), WALK.height_m)
    upward = pelvis.specific_force(np.linspace(fall.strike_s, following.strike_s, 500))[:, 1]
    assert 11.0 < upward.max() < 24.0
    assert upward.min() > 2.0


def test_same_settings_same_recording() -> None:
    walk, sensors = default_demo()
    walk = dataclasses.replace(walk, duration_s=9.0)
    one, two = simulate(walk, sensors), simulate(walk, sensors)
    for segment in SEGMENTS:
        np.testing.assert_array_equal(one.imus[segment].time_s, two.imus[segment].time_s)
        np.testing.assert_array_equal(one.imus[segment].acc_mps2, two.imus[segment].acc_mps2)
    assert one.truth.strides == two.truth.strides
    other = simulate(dataclasses.replace(walk, seed=8), sensors)
    assert other.truth.strides != one.truth.strides


def test_a_sensor_more_changes_no_other() -> None:
    walk, sensors = default_demo()
    walk = dataclasses.replace(walk, duration_s=6.0)
    alone = simulate(walk, dataclasses.replace(sensors, segments=("tibia_l",))).imus["tibia_l"]
    among = simulate(walk, sensors).imus["tibia_l"]
    np.testing.assert_array_equal(alone.gyr_radps, among.gyr_radps)
    np.testing.assert_allclose(np.diff(alone.time_s), np.diff(among.time_s), atol=1e-12)


@pytest.fixture(scope="module")
def standing() -> BodyMotion:
    walk = WalkSettings(duration_s=120.0, standing_start_s=119.0, sway=0.0)
    return move_body(plan_walk(walk), build_default_model(walk.height_m, walk.mass_kg))


@pytest.fixture
def still(standing: BodyMotion) -> Callable[..., ImuStream]:
    """What a foot sensor of these settings measures in two minutes of standing."""

    def samples(**values: object) -> ImuStream:
        sensors = SensorSettings(**{"segments": ("calcn_r",), **values})
        motion = sensor_motion("calcn_r", standing, sensors, 1.75)
        return measure("calcn_r", motion, sensors, 120.0)

    return samples


def test_noise_and_bias_are_as_set(still: Callable[..., ImuStream]) -> None:
    foot = still(gyro_noise_radps_rthz=1e-3, acc_noise_mps2_rthz=2e-2, rates_hz=(200.0,))
    np.testing.assert_allclose(foot.gyr_radps.std(axis=0), 1e-3 * np.sqrt(100.0), rtol=0.05)
    np.testing.assert_allclose(foot.acc_mps2.std(axis=0), 2e-2 * np.sqrt(100.0), rtol=0.05)
    means = [still(gyro_bias_radps=0.01, seed=k).gyr_radps.mean(axis=0) for k in range(25)]
    assert np.std(means) == pytest.approx(0.01, rel=0.3)
    scales = [np.linalg.norm(still(acc_scale_error=0.05, seed=k).acc_mps2[0]) for k in range(25)]
    assert np.std(scales) / GRAVITY_MPS2 == pytest.approx(0.05, rel=0.4)
    wander = still(gyro_bias_instability_radps=0.01, bias_correlation_s=5.0).gyr_radps
    assert wander.std() == pytest.approx(0.01, rel=0.5)
    assert np.abs(np.diff(wander, axis=0)).max() < 0.01


def test_range_and_quantisation_are_as_set() -> None:
    foot = simulate(
        WALK,
        SensorSettings(segments=("calcn_r",), gyro_range_radps=4.0, acc_range_mps2=20.0, quantisation_bits=12),
    ).imus["calcn_r"]
    assert np.abs(foot.gyr_radps).max() == 4.0
    assert np.abs(foot.acc_mps2).max() == 20.0
    steps = foot.gyr_radps / (8.0 / 2**12)
    inside = np.abs(foot.gyr_radps) < 4.0
    np.testing.assert_allclose(steps[inside], np.round(steps[inside]), atol=1e-6)


def test_clock_is_as_set(still: Callable[..., ImuStream]) -> None:
    """Drift, offset and start spread stretch and shift the stamps; jitter never swaps two."""
    ppm = []
    for seed in range(30):
        t = still(clock_drift_ppm=100.0, seed=seed).time_s
        # samples are evenly spaced on their own clock; the number that fits tells its rate
        np.testing.assert_allclose(np.diff(t), 0.01, atol=1e-9)
        ppm.append((len(t) - 12000) / 12000.0 * 1e6)
    assert 30.0 < np.std(ppm) < 200.0
    jittery = still(jitter_s=0.05).time_s
    assert (np.diff(jittery) > 0.0).all()
    assert np.diff(jittery).std() > 1e-3
    walk = dataclasses.replace(WALK, duration_s=6.0)
    both = simulate(walk, SensorSettings(clock_offset_s=0.5, start_spread_s=1.0))
    starts = [s.time_s[0] for s in both.imus.values()]
    assert min(starts) == 0.0
    assert np.std(starts) > 0.1


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loss=st.floats(0.0, 0.5), seed=st.integers(0, 100))
def test_losses_are_as_set(still: Callable[..., ImuStream], loss: float, seed: int) -> None:
    t = still(packet_loss=loss, seed=seed).time_s
    assert t[0] == 0.0
    assert 1.0 - len(t) / 12000.0 == pytest.approx(loss, abs=0.02)
    # what is left stays on the grid of the clock
    np.testing.assert_allclose(t * 100.0, np.round(t * 100.0), atol=1e-6)


def test_bursts_are_gaps(still: Callable[..., ImuStream]) -> None:
    gaps = np.diff(still(burst_loss_per_min=10.0, burst_length_s=0.3).time_s)
    assert 8 <= (gaps > 0.011).sum() <= 40
    assert gaps.max() > 0.3


def test_rates_and_mounting_are_as_set() -> None:
    walk = dataclasses.replace(WALK, duration_s=4.0)
    sensors = SensorSettings(
        segments=("pelvis", "calcn_r"), rates_hz=(50.0, 400.0), mounting="askew", mounting_askew_deg=30.0
    )
    recording = simulate(walk, sensors)
    assert [round(1.0 / np.diff(s.time_s).mean()) for s in recording.imus.values()] == [50, 400]
    assert [s.sampling_rate_hz for s in recording.imus.values()] == [50.0, 400.0]
    askew = recording.imus["calcn_r"].acc_mps2[0]
    assert np.degrees(np.arccos(askew[1] / np.linalg.norm(askew))) <= 30.0 + 1e-6
    straight = simulate(walk, SensorSettings(segments=("calcn_r",))).imus["calcn_r"].acc_mps2[0]
    np.testing.assert_allclose(straight, [0.0, GRAVITY_MPS2, 0.0], atol=1e-6)


def test_magnetometer_shows_the_field(still: Callable[..., ImuStream]) -> None:
    foot = still(magnetometer=True, mag_noise_ut=0.0, mounting="random")
    np.testing.assert_allclose(np.linalg.norm(foot.mag_ut, axis=1), np.hypot(20.0, 43.0), rtol=1e-9)


def test_demo_is_worth_showing() -> None:
    """Eight sensors, turns, standing at both ends, losses, and progress on the way."""
    shares: list[float] = []
    recording = simulate(*default_demo(), progress=shares.append)
    assert tuple(recording.imus) == SEGMENTS
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 8
    truth = recording.truth
    assert len(truth.strides) > 80
    assert truth.events[0].time_s > 2.0
    assert recording.duration_s - truth.events[-1].time_s > 1.5
    assert max(s.turning_angle_rad for s in truth.strides) > 0.5
    assert all(5900 < len(s.time_s) < 6000 for s in recording.imus.values())
    assert all(np.isfinite(s.acc_mps2).all() and np.isfinite(s.gyr_radps).all() for s in recording.imus.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"segments": ("hand",)},
        {"segments": ()},
        {"segments": ("pelvis", "pelvis")},
        {"rates_hz": (100.0, 50.0)},
        {"rates_hz": (1.0,)},
        {"quantisation_bits": 16},
        {"packet_loss": 1.5},
        {"mounting": "sideways"},
    ],
)
def test_impossible_sensors_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"SensorSettings.*(give|choose|name)"):
        SensorSettings(**wrong)
