"""Calibrations that a person asked for: guided, judged, saved, and used on another day."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from ruamel.yaml import YAML

from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, SlotStatus
from gait_twin.recording.axes import angle_between, quat_rotate
from gait_twin.sensing import HubSettings, SensorHub, Stage, read_calibration, write_calibration
from gait_twin.sensing.accelerometer import Accelerometer, AccelerometerFit
from gait_twin.simulation import default_demo, simulate
from gait_twin.twin import Twin, build_default_model

KNEE = "knee_angle_r"


@cache
def walk(duration_s=16.0, stand_s=3.0, seed=7):
    """A virtual subject whose sensors sit askew; the seed decides how, and their errors."""
    settings, sensors = default_demo()
    settings = dataclasses.replace(
        settings, duration_s=duration_s, straight_length_m=40.0, standing_start_s=max(0.5, stand_s)
    )
    return simulate(settings, dataclasses.replace(sensors, seed=seed))


def played(hub, recording, names=None, block_s=0.5):
    """Frames of a recording's streams, pushed (under other names) in blocks of time."""
    for begin_s in np.arange(0.0, recording.duration_s + block_s, block_s):
        for name, stream in recording.imus.items():
            rows = slice(*np.searchsorted(stream.time_s, [begin_s, begin_s + block_s]))
            to = (names or {}).get(name, name)
            hub.push(to, stream.time_s[rows], stream.acc_mps2[rows], stream.gyr_radps[rows])
        yield hub.poll()
    yield hub.flush()


def guided(recording, exchanged=(), **settings):
    """The hub after a guided calibration on a recording."""
    hub = SensorHub(tuple(recording.imus), HubSettings(**settings))
    calibration = hub.calibrate()
    said = [calibration.guidance]
    names = dict(zip(exchanged, reversed(exchanged), strict=True))
    for _ in played(hub, recording, names):
        if calibration.guidance.split(".")[0] != said[-1].split(".")[0]:
            said.append(calibration.guidance)
    return hub, said


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    hub, said = guided(walk())
    assert [sentence.split(",")[0] for sentence in said[:2]] == ["Stand still and straight", "Walk straight ahead"]
    assert said[-1] == "The calibration is good and in use."
    assert hub.guided.stage is Stage.DONE
    path = tmp_path_factory.mktemp("calibration") / "calibration.yaml"
    write_calibration(path, hub.guided.saved)
    return path


def test_what_is_saved_is_what_is_read(file, tmp_path):
    found = read_calibration(file)
    assert set(found.sensors) == set(walk().imus)
    assert found.side_score > 0.5
    assert found.findings == ()
    again = tmp_path / "again.yaml"
    write_calibration(again, found)
    assert again.read_text() == file.read_text()


def knee_error(recording, settings):
    """First instant of the twin, s; mean and standard deviation of its knee angle's error up to 6 s, degrees."""
    hub = SensorHub(tuple(recording.imus), settings)
    model = build_default_model(recording.subject.height_m, recording.subject.mass_kg)
    twin, states = Twin(model, hub.segments), []
    for frames in played(hub, recording):
        states += twin.update(frames)
    states = [state for state in states if state.quality > 0.0 and state.time_s < 6.0]
    at, truth = [state.time_s for state in states], recording.truth.joints
    found = np.array([state.positions[twin.coordinates.index(KNEE)] for state in states])
    error = np.degrees(found - np.interp(at, truth.time_s, truth.positions[:, truth.coordinates.index(KNEE)]))
    return at[0], error.mean(), error.std()


def test_joint_angles_are_right_from_the_first_second_on(file):
    """Another walk with the sensors left on, that begins after a short standing.

    The standing of the virtual subject bends the knee by 4 degrees, which a calibration takes for 0: any calibration
    of it is off by as much.
    """
    begins_s, mean_deg, sd_deg = knee_error(walk(8.0, stand_s=1.5), HubSettings(calibration_file=str(file)))
    assert begins_s < 1.3
    assert abs(mean_deg + 4.0) < 2.0
    assert sd_deg < 2.0


def joined(hub, recording, block_s=0.5):
    return BodyFrames.joined(list(played(hub, recording, block_s=block_s)))


def test_bodies_agree_with_the_calibration_walk(file):
    """The same walk through the calibration that it made: every body orientation from the first second on."""
    recording = walk()
    known = joined(SensorHub(tuple(recording.imus), HubSettings(calibration_file=str(file))), recording)
    found = joined(SensorHub(tuple(recording.imus)), recording)
    assert np.mean((known.status[130:1400] & SlotStatus.CALIBRATED) != 0) > 0.99
    assert np.mean((known.status[230:1400] & SlotStatus.HEADING) != 0) > 0.99
    late = slice(1200, 1400)
    # the accelerometers are righted by the file, so that not even the inclinations are the same to the last bit
    assert np.degrees(np.nanmedian(angle_between(known.body_quat_wxyz[late], found.body_quat_wxyz[late]))) < 2.0


def test_frames_do_not_depend_on_the_cut(file):
    recording = walk(duration_s=8.0, stand_s=1.0)

    def frames(block_s):
        hub = SensorHub(tuple(recording.imus), HubSettings(calibration_file=str(file)))
        return joined(hub, recording, block_s), hub.calibration.notices

    (first, said), (second, again) = frames(0.05), frames(3.0)
    np.testing.assert_array_equal(first.status, second.status)
    np.testing.assert_allclose(first.body_quat_wxyz, second.body_quat_wxyz, atol=1e-9)
    assert said == again


def turned(recording, segment, rotvec):
    """The recording with one sensor turned about its segment."""
    half = 0.5 * np.array(rotvec)
    turn = np.concatenate([[np.cos(np.linalg.norm(half))], half * np.sinc(np.linalg.norm(half) / np.pi)])
    stream = recording.imus[segment]
    moved = dataclasses.replace(
        stream, acc_mps2=quat_rotate(turn, stream.acc_mps2), gyr_radps=quat_rotate(turn, stream.gyr_radps)
    )
    return dataclasses.replace(recording, imus={**recording.imus, segment: moved})


def notices(recording, **settings):
    """What is said of the sensors' placement while standing, and at the end."""
    hub, standing = SensorHub(tuple(recording.imus), HubSettings(**settings)), None
    for frames in played(hub, recording):
        if standing is None and len(frames) and frames.time_s[-1] > 2.8:
            standing = hub.misplaced
    return standing, hub.misplaced


def test_sensor_that_moved_since_is_named_standing_and_walking(file):
    assert notices(walk(), calibration_file=str(file)) == ((), ())
    slipped = turned(walk(), "tibia_r", (0.0, 0.0, np.radians(25.0)))
    standing, walking = notices(slipped, calibration_file=str(file))
    assert len(standing) == 1
    assert standing[0].startswith("tibia_r stands 25 degrees from the standing of its calibration")
    assert any(text.startswith("The sensor of tibia_r is turned by 25 degrees") for text in walking)


def test_sensor_upside_down_is_named_while_standing():
    up = tuple(f"{segment}=y" for segment in walk().imus)
    assert notices(walk(), up=up) == ((), ())
    for rotvec, sentence in (((np.pi, 0.0, 0.0), "is upside down"), ((np.pi / 2, 0.0, 0.0), "lies on its side")):
        standing, walking = notices(turned(walk(), "femur_l", rotvec), up=up)
        assert len(standing) == 1
        assert standing[0].startswith(f"The sensor of femur_l {sentence}")
        assert walking == standing


@pytest.mark.parametrize("pair", [("calcn_r", "calcn_l"), ("tibia_r", "femur_r")])
def test_exchanged_sensors_are_refused_with_the_reason(pair):
    hub, said = guided(walk(), pair)
    assert hub.guided.stage is Stage.REFUSED
    assert said[-1].startswith("No calibration: ")
    assert "exchanged" in said[-1]
    assert all(name in said[-1] for name in pair)
    assert hub.guided.saved is None


def test_restless_person_is_refused_with_the_reason():
    recording = walk(duration_s=8.0, stand_s=0.0)
    hub = SensorHub(tuple(recording.imus))
    calibration = hub.calibrate(stand_s=5.0)
    list(played(hub, recording))
    assert calibration.stage is Stage.REFUSED
    assert "No quiet standing" in calibration.guidance


def test_cancelled_calibration_changes_nothing():
    hub = SensorHub(tuple(walk().imus))
    hub.calibrate()
    hub.cancel()
    assert hub.guided is None


def test_six_sides_find_scale_and_bias():
    rng = np.random.default_rng(0)
    scale, bias = np.array([1.03, 0.98, 1.01]), np.array([0.2, -0.3, 0.1])
    fit = AccelerometerFit()
    sides = np.vstack([np.eye(3), -np.eye(3), [[0.6, 0.0, 0.8], [0.0, -0.8, 0.6]]]) * 9.80665
    for force in sides:
        fit.rest(force / scale + bias + rng.normal(0.0, 0.005, 3))
    found = fit.solve()
    np.testing.assert_allclose(found.scale, scale, atol=3e-3)
    np.testing.assert_allclose(found.bias_mps2, bias, atol=0.03)
    assert found.poses == 8
    assert max(found.bias_sd_mps2) < 0.03


def test_standing_alone_rights_the_vertical_and_says_that_it_knows_no_more():
    fit = AccelerometerFit()
    fit.rest(np.array([0.0, 10.2, 0.0]))
    found = fit.solve()
    assert np.linalg.norm(found(np.array([0.0, 10.2, 0.0]))) == pytest.approx(9.80665, abs=0.01)
    assert found.bias_sd_mps2[0] == pytest.approx(0.4, rel=0.01)
    assert found.poses == 1
    twice = found.after(Accelerometer((1.1, 1.1, 1.1), (0.1, 0.2, 0.3)))
    raw = np.array([1.0, 9.0, 2.0])
    np.testing.assert_allclose(twice(raw), found(Accelerometer((1.1, 1.1, 1.1), (0.1, 0.2, 0.3))(raw)))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("sensor_to_segment_wxyz", [1.0, 1.0, 0.0, 0.0], "this quaternion's length is 1.41"),
        ("gyro_bias_radps", [0.0, 0.0], "gyro_bias_radps"),
        ("gyro", 1.0, "`gyro` is not a key here"),
    ],
)
def test_damaged_file_is_refused_with_line_and_column(file, tmp_path, key, value, sentence):
    content = YAML(typ="safe").load(file.read_text())
    content["calibration"]["pelvis"][key] = value
    path = tmp_path / "damaged.yaml"
    YAML().dump(content, path)
    with pytest.raises(InputError, match=sentence) as refused:
        SensorHub(("pelvis",), HubSettings(calibration_file=str(path)))
    assert "line " in str(refused.value)


def test_segments_that_the_file_lacks_are_calibrated_as_usual(file, tmp_path):
    content = YAML(typ="safe").load(file.read_text())
    del content["calibration"]["tibia_l"]
    path = tmp_path / "part.yaml"
    YAML().dump(content, path)
    recording = walk()
    hub = SensorHub(tuple(recording.imus), HubSettings(calibration_file=str(path)))
    frames = joined(hub, recording)
    assert hub.calibration.segments["tibia_l"].heading_from == "walking"
    assert hub.calibration.segments["tibia_r"].heading_from == "file"
    whole = joined(SensorHub(tuple(recording.imus), HubSettings(calibration_file=str(file))), recording)
    i = hub.segments.index("tibia_l")
    off = angle_between(frames.body_quat_wxyz[1200:, i], whole.body_quat_wxyz[1200:, i])
    assert np.degrees(np.nanmedian(off)) < 4.0
