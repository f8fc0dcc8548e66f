"""Bags: what goes in comes out, and damaged ones give what is whole."""

import dataclasses
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer

from gait_twin.errors import InputError
from gait_twin.recording import (
    BagWriter,
    EventKind,
    FootTrajectory,
    GaitEvent,
    GaitPhase,
    ImuStream,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    Subject,
    Truth,
    load,
    open_bag,
    read_results,
    save,
)
from gait_twin.recording import messages as m

START_NS = 1_700_000_000_123_456_789
IMU = "sensor_msgs/msg/Imu"


def stream(segment, n=300, rate_hz=100.0, first_s=0.0, **channels):
    rng = np.random.default_rng(len(segment))
    return ImuStream(
        segment,
        first_s + np.arange(n) / rate_hz,
        rng.normal(size=(n, 3)),
        channels.pop("gyr_radps", rng.normal(size=(n, 3))),
        sampling_rate_hz=rate_hz,
        **channels,
    )


def recording(**changes):
    rng = np.random.default_rng(0)
    quat = rng.normal(size=(300, 4))
    quat[5] = np.nan
    imus = {
        "pelvis": stream("pelvis", mag_ut=rng.normal(size=(300, 3)), quat_wxyz=quat),
        "torso": stream("torso", gyr_radps=None),
        "calcn_r": stream("calcn_r", n=400, rate_hz=128.0, first_s=0.003),
    }
    return dataclasses.replace(Recording(imus, Subject("Ann", 1.7, 65.0), START_NS), **changes)


TRUTH = Truth(
    events=(GaitEvent(1.25, Side.LEFT, EventKind.TOE_OFF, 1.0, 0.0),),
    strides=(Stride(Side.LEFT, 1.0, 2.0, stride_length_m=1.2),),
    steps=(Step(Side.RIGHT, 1.5, 0.5, 0.6),),
    joints=JointTrajectory(np.arange(5) / 100, ("hip", "knee"), np.arange(10.0).reshape(5, 2)),
    foot_positions={Side.LEFT: FootTrajectory(np.arange(3) / 10, np.arange(9.0).reshape(3, 3))},
)


def assert_same_streams(a, b):
    assert list(a) == list(b)
    for segment in a:
        for field in ("time_s", "acc_mps2", "gyr_radps", "mag_ut", "quat_wxyz", "sampling_rate_hz"):
            x, y = getattr(a[segment], field), getattr(b[segment], field)
            assert (x is None) == (y is None), (segment, field)
            if x is not None:
                np.testing.assert_allclose(x, y, atol=1e-9, err_msg=f"{segment} {field}")


def imu_bytes(time_ns, acc=(0.0, 0.0, 9.8), gyr=(0.0, 0.0, 0.0)):
    return bytes(m.typestore().serialize_cdr(m.to_imu(m.make_bag_message, time_ns, "x", acc, gyr), IMU))


def write_bag(path, topics, n=50):
    with BagWriter(path) as writer:
        for i in range(n):
            for topic in topics:
                writer.write(topic, IMU, START_NS + i * 10_000_000, imu_bytes(START_NS + i * 10_000_000))
    return path


def test_what_is_saved_is_loaded(tmp_path):
    before = recording(truth=TRUTH, notices=("unequal",), losses=("row 3",))
    save(before, tmp_path / "a b")
    after = load(tmp_path / "a b")
    assert_same_streams(before.imus, after.imus)
    assert (after.subject, after.start_time_ns) == (before.subject, START_NS)
    # what was lost at import is no loss of this bag
    assert (after.notices, after.losses) == (("unequal", "row 3"), ())
    assert after.truth.events == TRUTH.events
    assert after.truth.strides[0].stride_length_m == 1.2
    assert after.truth.steps[0].step_length_m == 0.6
    np.testing.assert_array_equal(after.truth.joints.positions, TRUTH.joints.positions)
    np.testing.assert_array_equal(
        after.truth.foot_positions[Side.LEFT].position_m, TRUTH.foot_positions[Side.LEFT].position_m
    )


def test_unknown_start_stays_unknown(tmp_path):
    save(recording(start_time_ns=0), tmp_path / "bag")
    after = load(tmp_path / "bag")
    assert after.start_time_ns == 0
    assert after.truth is None


def test_definitions_are_inside_and_subject_comes_first(tmp_path):
    save(recording(), tmp_path / "bag", namespace="s1")
    with open_bag(tmp_path / "bag") as bag:
        assert next(bag.messages()).topic == "/s1/subject"
        times = [message.log_ns for message in bag.messages()]
        assert times == sorted(times)
        assert bag.topics["/s1/imu/pelvis/data_raw"].message_count == 300
    data = (tmp_path / "bag" / "bag.mcap").read_bytes()
    assert b"float64 height" in data
    assert (tmp_path / "bag" / "metadata.yaml").exists()


def test_existing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="there already"):
        save(recording(), tmp_path)


def test_several_subjects_want_a_choice(tmp_path):
    path = write_bag(tmp_path / "bag", ["/ann/imu/pelvis/data_raw", "/bob/imu/pelvis/data_raw"])
    with pytest.raises(InputError, match="choose one of ann, bob"):
        load(path)
    with pytest.raises(InputError, match="no subject 'eve'"):
        load(path, "eve")
    assert len(load(path, "bob").imus["pelvis"].time_s) == len(load(path, "/ann/").imus["pelvis"].time_s) == 50


def test_foreign_topics_by_mapping(tmp_path):
    path = write_bag(tmp_path / "bag", ["/left/imu", "/right/imu"])
    with pytest.raises(InputError, match="/left/imu, /right/imu; say which segment"):
        load(path)
    with pytest.raises(InputError, match="no IMU on /up"):
        load(path, topics={"calcn_l": "/up"})
    with pytest.raises(InputError, match="'foot' is not a segment"):
        load(path, topics={"foot": "/left/imu"})
    assert list(load(path, topics={"calcn_l": "/left/imu"}).imus) == ["calcn_l"]


def test_oriented_data_is_read_where_there_is_no_raw(tmp_path):
    path = write_bag(tmp_path / "bag", ["/imu/pelvis/data", "/imu/torso/data", "/imu/torso/data_raw", "/imu/hat/data"])
    after = load(path)
    assert list(after.imus) == ["pelvis", "torso"]
    assert after.losses == ("/imu/hat/data left out: 'hat' is not a segment.",)


def test_bags_without_imus(tmp_path):
    BagWriter(tmp_path / "empty").close()
    with pytest.raises(InputError, match="is empty"):
        load(tmp_path / "empty")
    with BagWriter(tmp_path / "none") as writer:
        text = m.typestore().serialize_cdr(m.make_bag_message("std_msgs/msg/String", data="x"), "std_msgs/msg/String")
        writer.write("/hello", "std_msgs/msg/String", 1, text)
    with pytest.raises(InputError, match="no sensor_msgs/Imu"):
        load(tmp_path / "none")


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 100])
def test_what_is_no_bag(tmp_path, content):
    with pytest.raises(InputError, match="There is no bag"):
        load(tmp_path / "missing")
    folder = tmp_path / "bag"
    folder.mkdir()
    if content is not None:
        (folder / "bag.mcap").write_bytes(content)
        (folder / "metadata.yaml").write_bytes(content)
    with pytest.raises(InputError, match=str(folder)):
        load(folder)


def test_storage_of_sqlite_is_read(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/imu/pelvis/data_raw", IMU, typestore=m.typestore())
        for i in range(20):
            writer.write(connection, START_NS + i * 10**7, imu_bytes(START_NS + i * 10**7))
    assert len(load(tmp_path / "bag").imus["pelvis"].time_s) == 20
    database = next((tmp_path / "bag").glob("*.db3"))
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE messages")
    with pytest.raises(InputError, match=str(tmp_path)):
        load(tmp_path / "bag")


def test_missing_metadata_loses_nothing(tmp_path):
    save(recording(), tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    after = load(tmp_path / "bag")
    assert_same_streams(recording().imus, after.imus)
    assert after.losses == ()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A closed bag of several chunks, and its number of messages."""
    path = tmp_path_factory.mktemp("whole") / "bag"
    write_bag(path, ["/imu/pelvis/data_raw", "/imu/torso/data_raw"], n=350)
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 1.0), keep_metadata=st.booleans())
def test_a_cut_anywhere_gives_what_is_whole(whole, tmp_path_factory, share, keep_metadata):
    data = (whole / "bag.mcap").read_bytes()
    cut = min(int(share * len(data)), len(data) - 1)
    path = tmp_path_factory.mktemp("cut") / "bag"
    path.mkdir()
    (path / "bag.mcap").write_bytes(data[:cut])
    if keep_metadata:
        (path / "metadata.yaml").write_bytes((whole / "metadata.yaml").read_bytes())
    try:
        after = load(path)
    except InputError:
        after = None
    if after is None:
        # the definitions and a first message take the very beginning
        assert cut < 6000
        return
    n = sum(len(imu.time_s) for imu in after.imus.values())
    assert after.losses
    # an IMU message takes 355 bytes, its index 16: all but the last one or two that fit are there
    assert n >= min(700, int((cut - 6000) / (355 + 20)))
    assert after.losses[0].startswith(f"{path} is not whole: {n}" + (" of 700" if keep_metadata else ""))


@pytest.mark.parametrize("keep_index", [True, False])
def test_damage_in_the_middle_keeps_what_is_before(whole, tmp_path, keep_index):
    data = bytearray((whole / "bag.mcap").read_bytes())
    length = (22 + len(imu_bytes(0))).to_bytes(8, "little")
    record = data.index(b"\x05" + length, len(data) // 2)
    data[record + 1 : record + 9] = b"\xff" * 8
    (tmp_path / "bag.mcap").write_bytes(data if keep_index else data[:-20])
    after = load(tmp_path / "bag.mcap")
    assert sum(len(imu.time_s) for imu in after.imus.values()) >= 200
    assert after.losses


def test_killed_writer_leaves_a_readable_bag(tmp_path):
    code = f"""
import sys, time
sys.path.insert(0, {str(__file__.rsplit("/", 1)[0])!r})
from test_recording_bags import *
writer = BagWriter({str(tmp_path / "bag")!r})
for i in range(10**9):
    writer.write("/imu/pelvis/data_raw", IMU, START_NS + i * 10**7, imu_bytes(START_NS + i * 10**7))
    if i == 550:
        print("ready", flush=True)
        time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    after = load(tmp_path / "bag")
    # five whole seconds of samples at 100 Hz, and not the one that was not flushed
    assert len(after.imus["pelvis"].time_s) == 501
    assert "was stopped before it could close it" in after.losses[1]


def test_unusable_samples_are_left_out_and_counted(tmp_path):
    stamps = [0, 10, 20, 20, 15, 30, 40, 50]
    with BagWriter(tmp_path / "bag") as writer:
        for i, ms in enumerate(stamps):
            acc = (np.nan, 0.0, 0.0) if ms == 40 else (float(i), 0.0, 9.8)
            time_ns = START_NS + ms * 10**6
            writer.write("/imu/pelvis/data_raw", IMU, START_NS + i, imu_bytes(time_ns, acc))
        writer.write("/imu/pelvis/data_raw", IMU, START_NS + 9, imu_bytes(START_NS)[:100])
    after = load(tmp_path / "bag")
    np.testing.assert_allclose(after.imus["pelvis"].time_s, [0.0, 0.01, 0.02, 0.03, 0.05])
    assert len(after.losses) == 4
    assert "not a whole sensor_msgs/msg/Imu" in after.losses[0]


def test_log_time_replaces_missing_stamps(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(10):
            writer.write("/imu/pelvis/data_raw", IMU, START_NS + i * 10**7, imu_bytes(0))
    after = load(tmp_path / "bag")
    np.testing.assert_allclose(after.imus["pelvis"].time_s, np.arange(10) / 100)
    assert "times of logging" in after.notices[0]


def test_results_count_from_the_first_sample(tmp_path):
    path = tmp_path / "bag"
    base = m.TimeBase(START_NS)
    event = GaitEvent(0.25, Side.RIGHT, EventKind.HEEL_STRIKE, 0.9, 0.05)
    phases = tuple(GaitPhase(0.3, side, True, True, 0.5, 1.0, 0.9) for side in Side)
    with BagWriter(path) as writer:
        # sensor messages may be logged late; the header says when they were measured
        for i in range(50):
            writer.write("/s/imu/pelvis/data_raw", IMU, START_NS + 10**9 + i, imu_bytes(START_NS + i * 10**7))
        for topic, message in (
            ("/s/gait_events", m.to_gait_event(m.make_bag_message, base, event)),
            ("/s/gait_phase", m.to_gait_phase(m.make_bag_message, base, *phases)),
        ):
            data = m.typestore().serialize_cdr(message, message.__msgtype__)
            writer.write(topic, message.__msgtype__, START_NS + 2 * 10**9, data)
    results = read_results(path)
    assert results.events == (event,)
    assert results.phases == phases
    assert results.losses == ()


def test_latched_topics_and_strangers(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/robot_description", "std_msgs/msg/String", latched=True)
        text = m.make_bag_message("std_msgs/msg/String", data="<robot/>")
        writer.write(
            "/robot_description", "std_msgs/msg/String", 1, m.typestore().serialize_cdr(text, text.__msgtype__)
        )
        with pytest.raises(InputError, match="definition of some_msgs/msg/Thing is not known"):
            writer.write("/thing", "some_msgs/msg/Thing", 1, b"")
        with pytest.raises(InputError, match="carries std_msgs/msg/String"):
            writer.write("/robot_description", IMU, 1, b"")
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics["/robot_description"].latched
        assert bag.decode(next(bag.messages())).data == "<robot/>"
