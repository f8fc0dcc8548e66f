"""Standing and walking: where each sensor sits, for any mounting, against a person whose truth is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sensing_person import joined, play, push_blocks, wear

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, SlotStatus
from gait_twin.recording.axes import angle_between, quat_about_z, quat_conjugate, quat_multiply, quat_rotate
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.sensing.trunk import set_off
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.simulation.sensors import mounting_quat

LEGS = tuple(s for s in SEGMENTS if s not in ("pelvis", "torso"))


def mounted(seed: int) -> np.ndarray:
    return np.roll(Rotation.random(rng=np.random.default_rng(seed)).as_quat(), 1)


def person(segments=SEGMENTS, seed=0, **options):
    return {s: wear(s, mounting=mounted(100 * seed + i), seed=i, **options) for i, s in enumerate(segments)}


def errors_deg(blocks, sensors, heading_only=True):
    """RMS angle between estimated and true body orientation of each segment where HEADING is set."""
    time, status, body = (joined(blocks, n) for n in ("time_s", "status", "body_quat_wxyz"))
    result = {}
    for i, (segment, worn) in enumerate(sensors.items()):
        rows = (status[:, i] & SlotStatus.HEADING) > 0 if heading_only else np.isfinite(body[:, i, 0])
        truth = worn.body_quat[np.round((time[rows] - worn.time_s[0]) / np.diff(worn.time_s[:2])).astype(int)]
        result[segment] = (
            np.degrees(np.sqrt(np.mean(angle_between(truth, body[rows, i]) ** 2))) if rows.any() else np.nan
        )
    return result


@pytest.mark.parametrize("seed", range(4))
def test_body_orientation_from_any_mounting(seed):
    sensors = person(seed=seed, acc_scale=1.05, gyro_bias=(0.005, -0.01, 0.003), noise=0.05)
    hub = SensorHub(tuple(sensors), HubSettings())
    blocks = play(hub, sensors)
    for segment, error in errors_deg(blocks, sensors).items():
        assert error < 6.0, (segment, error)
        found = hub.calibration.segments[segment]
        assert found.calibrated
        assert found.heading_from == "walking"
        assert found.gravity_mps2 == pytest.approx(1.05 * 9.81, abs=0.05)
    assert hub.calibration.notices == ()


def test_shared_earth_frame_needs_fewer_strides_and_drifts_nowhere():
    sensors = person(facing_rad=2.0)
    hub = SensorHub(tuple(sensors), HubSettings())
    blocks = play(hub, sensors, device_orientation=True)
    # the person faced 2 rad in the earth frame; frames' x points where the person faced
    for worn in sensors.values():
        worn.body_quat = quat_multiply(quat_about_z(-2.0), worn.body_quat)
    assert max(errors_deg(blocks, sensors).values()) < 4.0
    assert {c.heading_from for c in hub.calibration.segments.values()} == {"shared"}
    assert hub.calibration.segments["pelvis"].heading_deg == pytest.approx(np.degrees(2.0), abs=4.0)


def test_orientation_only_sensors_give_derived_rates():
    sensors = person(("pelvis", "tibia_r", "tibia_l", "calcn_r"))
    blocks = play(SensorHub(tuple(sensors), HubSettings()), sensors, device_orientation=True, gyro=False)
    status, gyr = joined(blocks, "status"), joined(blocks, "gyr_radps")
    assert np.all(status[:-2] & SlotStatus.GYRO_DERIVED)
    for i, worn in enumerate(sensors.values()):
        np.testing.assert_allclose(gyr[5:-5, i], worn.gyr[5:-5], atol=0.05)


def test_mounting_hint_needs_no_walking():
    # the sensor's z axis points backwards, x to the left, y down
    mounting = np.roll(Rotation.from_matrix([[0, 0, -1], [1, 0, 0], [0, -1, 0]]).as_quat(), 1)
    worn = wear("pelvis", end_s=4.0, stand_s=10.0, mounting=mounting)
    hub = SensorHub(("pelvis",), HubSettings(mounting=("pelvis=-z",)))
    blocks = play(hub, {"pelvis": worn})
    assert hub.calibration.segments["pelvis"].heading_from == "mounting"
    assert errors_deg(blocks, {"pelvis": worn})["pelvis"] < 0.1


def test_vertical_mounting_hint_is_said_and_left():
    worn = wear("pelvis", mounting=np.array([1.0, 0, 0, 0]))
    hub = SensorHub(("pelvis",), HubSettings(mounting=("pelvis=z",)))
    play(hub, {"pelvis": worn})
    assert hub.calibration.segments["pelvis"].heading_from == "walking"
    assert any("nearly vertical" in n for n in hub.calibration.notices)


def test_mounting_hint_in_a_shared_frame_tells_all():
    sensors = person(("torso", "pelvis", "tibia_r"), end_s=3.0)
    sensors["pelvis"] = wear("pelvis", end_s=3.0)
    hub = SensorHub(tuple(sensors), HubSettings(mounting=("pelvis=x",)))
    blocks = play(hub, sensors, device_orientation=True)
    assert max(errors_deg(blocks, sensors).values()) < 0.1


@pytest.mark.parametrize("entry", ["pelvis", "pelvis=w", "hip=x", "=x"])
def test_mounting_that_is_not_understood_is_refused(entry):
    with pytest.raises(InputError, match="mounting"):
        HubSettings(mounting=(entry,))


def test_no_standing_is_said():
    sensors = person(("calcn_r", "calcn_l"), stand_s=-5.0)
    hub = SensorHub(tuple(sensors), HubSettings())
    blocks = play(hub, sensors)
    assert not np.any(joined(blocks, "status") & SlotStatus.CALIBRATED)
    assert np.isnan(joined(blocks, "body_quat_wxyz")).all()
    (notice,) = hub.calibration.notices
    assert "No quiet standing found in the first 25 s" in notice
    assert "calcn" in notice


def test_given_instant_is_used_as_it_is():
    sensors = person(("calcn_r", "calcn_l"), stand_s=6.0)
    hub = SensorHub(tuple(sensors), HubSettings(rest_at_s=3.5))
    play(hub, sensors)
    assert hub.calibration.rest_start_s == pytest.approx(3.5, abs=0.1)


def test_one_bad_sensor_does_not_stop_the_rest():
    sensors = person(("pelvis", "calcn_r", "calcn_l"), stand_s=8.0)
    rng = np.random.default_rng(0)
    bad = sensors["calcn_l"]
    bad.gyr += np.repeat(rng.normal(size=(len(bad.gyr) // 50 + 1, 3)), 50, axis=0)[: len(bad.gyr)]
    hub = SensorHub(tuple(sensors), HubSettings())
    play(hub, sensors)
    assert [c.calibrated for c in hub.calibration.segments.values()] == [True, True, False]
    assert any("calcn_l was not there, or not still" in n for n in hub.calibration.notices)


def test_wrong_unit_of_acceleration_is_said():
    sensors = person(("calcn_r", "calcn_l"))
    sensors["calcn_l"].acc *= 2.0
    hub = SensorHub(tuple(sensors), HubSettings())
    play(hub, sensors)
    assert hub.calibration.segments["calcn_r"].calibrated
    assert not hub.calibration.segments["calcn_l"].calibrated
    assert any("calcn_l shows 19.6 m/s^2 at rest" in n for n in hub.calibration.notices)


def test_late_joiner_waits_for_the_next_standing():
    walk = {s: person((s,), end_s=20.0, turn_s=(8.0, 10.0))[s] for s in ("pelvis", "tibia_r", "tibia_l")}
    hub = SensorHub((*walk, "calcn_r"), HubSettings())
    late = wear("calcn_r", start_s=6.0, end_s=20.0, turn_s=(8.0, 10.0), mounting=mounted(9))
    play(hub, {**walk, "calcn_r": late})
    assert not hub.calibration.segments["calcn_r"].calibrated
    assert any("stays uncalibrated until all sensors stand still again" in n for n in hub.calibration.notices)


def test_late_joiner_is_calibrated_while_standing_turned_round():
    """The person has turned by half a turn before the second standing: the late sensor's heading follows."""
    walk = {s: wear(s, end_s=20.0, turn_s=(8.0, 10.0), mounting=mounted(i)) for i, s in enumerate(LEGS[:2])}
    late = wear("calcn_r", end_s=20.0, turn_s=(8.0, 10.0), mounting=mounted(9))
    for worn in (*walk.values(), late):  # everyone stands again, as at the end of the walk
        n = 500
        worn.time_s = np.append(worn.time_s, worn.time_s[-1] + 0.01 * np.arange(1, n + 1))
        still = Rotation.from_quat(np.roll(worn.quat[-1], -1)).inv().apply([0, 0, 9.80665])
        worn.acc, worn.gyr = np.vstack([worn.acc, np.tile(still, (n, 1))]), np.vstack([worn.gyr, np.zeros((n, 3))])
    start = np.searchsorted(late.time_s, 19.0)
    late.time_s, late.acc, late.gyr = late.time_s[start:], late.acc[start:], late.gyr[start:]
    hub = SensorHub((*walk, "calcn_r"), HubSettings())
    blocks = play(hub, {**walk, "calcn_r": late})
    assert hub.calibration.segments["calcn_r"].rest_start_s > 20.0
    assert any("was calibrated in a later standing" in n for n in hub.calibration.notices)
    body = joined(blocks, "body_quat_wxyz")[-1]
    x = Rotation.from_quat(np.roll(body[2], -1)).apply([1, 0, 0])
    assert x[0] < -0.8  # facing backwards, as the others


@pytest.mark.parametrize("block_s", [0.01, 0.13, 5.0])
def test_calibration_does_not_depend_on_blocks(block_s):
    sensors = person(("pelvis", "tibia_r", "calcn_l"), seed=3, end_s=18.0, noise=0.05)
    reference = play(SensorHub(tuple(sensors), HubSettings()), sensors)
    blocks = play(SensorHub(tuple(sensors), HubSettings()), sensors, block_s=block_s)
    np.testing.assert_array_equal(joined(blocks, "status"), joined(reference, "status"))
    for name in ("time_s", "acc_mps2", "gyr_radps", "quat_wxyz", "body_quat_wxyz"):
        np.testing.assert_allclose(joined(blocks, name), joined(reference, name), atol=1e-9)


def test_heading_is_set_once_and_then_constant():
    sensors = person(("tibia_r", "tibia_l"))
    hub = SensorHub(tuple(sensors), HubSettings())
    known = None
    for _ in push_blocks(hub, sensors):
        block = hub.poll()
        found = hub.calibration.segments["tibia_r"]
        if known is not None:
            assert found.heading_deg == known
            assert np.all(block.status[:, 0] & SlotStatus.HEADING)
        elif found.heading_known:
            known = found.heading_deg
    assert known is not None


def test_pelvis_and_torso_take_their_heading_from_the_thighs():
    """Known with the legs', some strides after the first step, where steps alone would need eight seconds more."""
    sensors = SensorSettings(mounting="random", gyro_bias_radps=3e-3, acc_bias_mps2=0.05, seed=3)
    recording = simulate(WalkSettings(duration_s=10.0, standing_start_s=3.0), sensors)
    hub = SensorHub(tuple(recording.imus), HubSettings())
    for segment, imu in recording.imus.items():
        hub.push(segment, imu.time_s, imu.acc_mps2, imu.gyr_radps)
    frames = hub.flush()
    for segment in ("pelvis", "torso"):
        known = (frames.status[:, hub.segments.index(segment)] & SlotStatus.HEADING) > 0
        assert frames.time_s[np.argmax(known)] < 7.6
        forward = quat_rotate(quat_conjugate(mounting_quat(segment, sensors)), [1.0, 0.0, 0.0])
        found = hub.calibration.segments[segment].forward
        assert np.degrees(np.arccos(np.dot(forward, found))) < 8.0


@pytest.mark.parametrize(
    ("speed_mps", "straight_m", "pattern"),
    [
        (0.6, 10.0, "normal"),
        (0.8, 10.0, "normal"),
        (0.8, 2.5, "normal"),
        (1.8, 10.0, "normal"),
        (0.6, 10.0, "shuffling"),
    ],
)
def test_a_pelvis_without_thighs_does_not_face_backward(speed_mps, straight_m, pattern):
    """Slow walkers rise and fall twice a step about as much as once, and twice a step forward looks like backward."""
    sensors = SensorSettings(mounting="random", segments=("pelvis",), gyro_bias_radps=3e-3, acc_bias_mps2=0.05, seed=3)
    walk = WalkSettings(duration_s=22.0, speed_mps=speed_mps, straight_length_m=straight_m, pattern=pattern)
    imu = simulate(walk, sensors).imus["pelvis"]
    hub = SensorHub(("pelvis",), HubSettings())
    hub.push("pelvis", imu.time_s, imu.acc_mps2, imu.gyr_radps)
    hub.flush()
    found = hub.calibration.segments["pelvis"]
    assert found.heading_known
    forward = quat_rotate(quat_conjugate(mounting_quat("pelvis", sensors)), [1.0, 0.0, 0.0])
    assert np.degrees(np.arccos(np.dot(forward, found.forward))) < 20.0


def test_the_first_steps_tell_which_way_is_forward():
    """The same motion, seen from a sensor turned by any angle; who never sets off tells nothing."""
    rate_hz, turned = 100.0, 2.0
    time_s = np.arange(0.0, 5.0, 1.0 / rate_hz)
    acc = np.zeros((len(time_s), 3))
    acc[:, 0] = 0.03 + np.where((time_s > 1.0) & (time_s < 2.0), 1.0, 0.0)  # a sensor that is off by 0.03 m/s^2
    acc[:, 1] = np.where(time_s > 1.0, 0.8 * np.sin(6.0 * time_s), 0.0)
    c, s = np.cos(turned), np.sin(turned)
    acc[:, :2] = acc[:, :2] @ np.array([[c, s], [-s, c]])
    gained = set_off(acc, np.zeros(len(time_s)), rate_hz)
    assert np.angle(gained) == pytest.approx(turned, abs=0.3)
    assert abs(gained) == pytest.approx(0.9, abs=0.15)
    assert set_off(0.0 * acc, np.zeros(len(time_s)), rate_hz) == 0.0


def test_forward_directions_are_taken_over_smoothly_and_improved():
    """Segments move no faster for it than the person does; more strides still move the direction a little."""
    sensors = person(LEGS, seed=3)
    blocks = {}
    for best in (1, 8):
        hub = SensorHub(tuple(sensors), HubSettings(heading_best_strides=best))
        blocks[best] = (joined(play(hub, sensors), "body_quat_wxyz"), hub.calibration.segments)
    (first, early), (smooth, late) = blocks[1], blocks[8]
    standing = np.isfinite(first[:-1, :, 0]) & np.isfinite(first[1:, :, 0])
    assert np.degrees(angle_between(smooth[1:], smooth[:-1])[standing].max()) < 9.0
    assert any(late[s].heading_deg != early[s].heading_deg for s in LEGS)
