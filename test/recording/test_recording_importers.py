"""Importers: files written here as the devices write them, the real recordings, and wrong files."""

import gzip
import itertools
import json

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording import EventKind, Side, load, save
from gait_twin.recording.importers import IMPORTERS, find_importer

ACC = np.tile([0.1, -0.2, 9.8], (50, 1)) + np.random.default_rng(0).normal(scale=0.01, size=(50, 3))
GYR = np.random.default_rng(1).normal(size=(50, 3))
TURNS = Rotation.random(50, rng=np.random.default_rng(2))
MATRIX = [f"Mat[{row}][{column}]" for column in (1, 2, 3) for row in (1, 2, 3)]


def quat(rotation):
    wxyz = rotation.as_quat(scalar_first=True)
    return wxyz * np.sign(wxyz[:, :1])


def mapping_xml(**segments):
    sensors = "".join(
        f'<ExperimentalSensor name="_{serial}"><name_in_model>{segment}_imu</name_in_model></ExperimentalSensor>'
        for serial, segment in segments.items()
    )
    return f"<OpenSimDocument><XsensDataReaderSettings>{sensors}</XsensDataReaderSettings></OpenSimDocument>"


def write_xsens(folder, serial="00B42268", separator="\t", counter=None, header="", trial="walk", **columns):
    counter = np.arange(50) + 472 if counter is None else counter
    columns = {"Acc_": (["X", "Y", "Z"], ACC), **columns}
    names, values = ["PacketCounter", "SampleTimeFine"], [counter, [""] * len(counter)]
    for prefix, (axes, table) in columns.items():
        names += [f"{prefix}{axis}" for axis in axes]
        values += list(np.asarray(table).T)
    lines = ["// Update Rate: 100.0Hz", *([f"// {header}"] if header else []), separator.join(names)]
    lines += [
        separator.join(cell if isinstance(cell, str) else f"{cell:.6f}" for cell in row)
        for row in zip(*values, strict=True)
    ]
    folder.mkdir(exist_ok=True)
    file = folder / f"{trial}_{serial}.txt"
    file.write_text("\n".join(lines))
    return file


# --- Xsens MT Manager ---


@pytest.mark.parametrize("separator", ["\t", ",", ";", " "])
@pytest.mark.parametrize("kind", ["matrix", "quaternion", "euler"])
def test_xsens_orientations_and_separators(tmp_path, separator, kind):
    orientation = {
        "matrix": {"": (MATRIX, TURNS.as_matrix().transpose(0, 2, 1).reshape(-1, 9))},
        "quaternion": {"Quat_q": ("0123", TURNS.as_quat(scalar_first=True))},
        "euler": {"": (["Roll", "Pitch", "Yaw"], TURNS.as_euler("ZYX", degrees=True)[:, ::-1])},
    }[kind]
    write_xsens(tmp_path / "a", separator=separator, Gyr_=("XYZ", GYR), **orientation)
    made = IMPORTERS["xsens_mt"].load(tmp_path / "a", mapping={"00B42268": "torso"})
    imu = made.imus["torso"]
    np.testing.assert_allclose(imu.time_s, np.arange(50) / 100)
    np.testing.assert_allclose(imu.acc_mps2, ACC, atol=1e-6)
    np.testing.assert_allclose(imu.gyr_radps, GYR, atol=1e-6)
    np.testing.assert_allclose(imu.quat_wxyz * np.sign(imu.quat_wxyz[:, :1]), quat(TURNS), atol=1e-5)
    assert made.losses == ()


def test_xsens_earth_frame_pointing_down_is_turned_up(tmp_path):
    down = Rotation.from_euler("x", 180, degrees=True) * TURNS
    columns = {"Quat_q": ("0123", down.as_quat(scalar_first=True))}
    write_xsens(tmp_path / "a", header="Coordinate system: NED", **columns)
    imu = IMPORTERS["xsens_mt"].load(tmp_path / "a", mapping={"00B42268": "torso"}).imus["torso"]
    np.testing.assert_allclose(imu.quat_wxyz * np.sign(imu.quat_wxyz[:, :1]), quat(TURNS), atol=1e-5)


def test_xsens_packets_lost_begun_late_and_begun_anew(tmp_path):
    counter = (np.arange(100) + 65500) % 65536
    keep = np.r_[0:20, 25:55]
    write_xsens(tmp_path / "a", "00000001", counter=counter[:50])
    write_xsens(tmp_path / "a", "00000002", counter=counter[keep])
    write_xsens(tmp_path / "a", "00000003", counter=counter[40:90])
    (tmp_path / "a" / "map.xml").write_text(
        mapping_xml(**{"00000001": "pelvis", "00000002": "torso", "00000003": "calcn_r"})
    )
    made = IMPORTERS["xsens_mt"].load(tmp_path / "a")
    np.testing.assert_allclose(made.imus["torso"].time_s, keep / 100, atol=1e-12)
    np.testing.assert_allclose(made.imus["calcn_r"].time_s[0], 0.4)
    assert made.imus["pelvis"].gyr_radps is None
    assert "No angular rate in the files of pelvis, torso, calcn_r" in made.notices[0]
    assert "sensors end at different times" in made.notices[1]
    assert made.losses == ()


def test_xsens_missing_and_unmapped_sensors(tmp_path):
    write_xsens(tmp_path / "a", "00000001")
    write_xsens(tmp_path / "a", "00000002")
    made = IMPORTERS["xsens_mt"].load(tmp_path / "a", mapping={"00000001": "pelvis", "00000009": "torso"})
    assert "no file of sensor 00000009 on torso" in made.losses[0]
    assert "left out: 00000002" in made.notices[0]


def test_xsens_refusals(tmp_path):
    load_xsens = IMPORTERS["xsens_mt"].load
    folder = tmp_path / "a"
    with pytest.raises(InputError, match="no folder"):
        load_xsens(folder)
    folder.mkdir()
    with pytest.raises(InputError, match="no MT Manager exports"):
        load_xsens(folder)
    file = write_xsens(folder)
    with pytest.raises(InputError, match="no XML file says so; give a mapping from the serial numbers 00B42268"):
        load_xsens(folder)
    with pytest.raises(InputError, match=r"'hip' is not a segment"):
        load_xsens(folder, mapping={"00B42268": "hip"})
    with pytest.raises(InputError, match="is not an XML file"):
        load_xsens(folder, mapping=file)
    with pytest.raises(InputError, match="None of the sensors 00B42268"):
        load_xsens(folder, mapping={"00000000": "torso"})
    write_xsens(folder, trial="run")
    with pytest.raises(InputError, match="several trials; choose one of run, walk"):
        load_xsens(folder, mapping={"00B42268": "torso"})
    assert load_xsens(folder, mapping={"00B42268": "torso"}, trial="run").imus
    file.write_text(file.read_text().replace("Update Rate", "Rate"))
    with pytest.raises(InputError, match="does not say its update rate; give rate_hz"):
        load_xsens(folder, mapping={"00B42268": "torso"}, trial="walk")
    assert load_xsens(folder, mapping={"00B42268": "torso"}, trial="walk", rate_hz=50.0).duration_s == 0.98


def test_xsens_sample_exports(data_dir):
    for file in sorted((data_dir / "opensim_xsens_walk" / "formats").glob("MT*.txt")):
        serial = file.stem[-8:]
        made = IMPORTERS["xsens_mt"].load(file, mapping={serial: "torso"}, rate_hz=100.0)
        imu = made.imus["torso"]
        assert np.linalg.norm(imu.acc_mps2, axis=1) == pytest.approx(9.9, abs=0.15)
        if imu.quat_wxyz is not None:
            # at rest, gravity points up in the device's earth frame
            up = Rotation.from_quat(imu.quat_wxyz, scalar_first=True).apply(imu.acc_mps2)
            assert up[:, 2] == pytest.approx(9.9, abs=0.2)
        assert bool(made.losses) == ("NAN" in file.name)


def test_xsens_walk(data_dir):
    made = IMPORTERS["xsens_mt"].load(data_dir / "opensim_xsens_walk" / "raw")
    assert sorted(len(imu.time_s) for imu in made.imus.values()) == [2432, 2452, 2469, 2474, 2481, 2493, 2496, 2505]
    assert len(made.imus) == 8
    assert made.losses == ()
    assert all(imu.gyr_radps is None and imu.time_s[0] == 0.0 for imu in made.imus.values())


# --- Physilog ---

PHYSILOG = """\
Gait Up - Physilog data export
Created on: 2020-01-01
Total data points: 4

Time [128 hz],Gyro [128 hz],,,Accel [128 hz],,,Baro [1 hz],,Event [128 hz],Quaternion [128 hz],,,,
Time,Gyro X,Gyro Y,Gyro Z,Accel X,Accel Y,Accel Z,Pressure,Temperature,Quat W,Quat X,Quat Y,Quat Z,
[s],[deg/s],[deg/s],[deg/s],[g],[g],[g],[mBar],[degree C],[],[],[],[],
0.00781,180,0,0,0,0,1.0,1023.166,25.7,1,0,0,0,
0.01563,0,90,0,0,1.0,0,,,1,0,0,0,
0.02344,0,90,0,0,1.0,0,,,0,0,0,0,
0.03125,0,90,0,0,1.0,0,,,1,0,0,0,
"""


def test_physilog(tmp_path):
    for name in ("LF", "SA", "RL"):
        (tmp_path / f"{name}.csv").write_text(PHYSILOG)
    assert find_importer(tmp_path).name == "physilog"
    made = IMPORTERS["physilog"].load(tmp_path, height_m=1.7)
    assert list(made.imus) == ["pelvis", "calcn_l"]
    imu = made.imus["calcn_l"]
    np.testing.assert_allclose(imu.gyr_radps[0], [np.pi, 0, 0])
    np.testing.assert_allclose(imu.acc_mps2[1], [0, 9.80665, 0])
    assert np.isnan(imu.quat_wxyz[2]).all()
    assert imu.sampling_rate_hz == pytest.approx(128.0, rel=1e-3)
    assert made.subject.height_m == 1.7
    assert "Left out, for no segment is given: RL" in made.notices[0]
    assert list(IMPORTERS["physilog"].load(tmp_path, mapping={"RL": "femur_r"}).imus) == ["femur_r"]


def test_physilog_refusals(tmp_path):
    with pytest.raises(InputError, match="no Physilog exports"):
        IMPORTERS["physilog"].load(tmp_path)
    (tmp_path / "XX.csv").write_text(PHYSILOG)
    with pytest.raises(InputError, match="XX is mapped to a segment; give a mapping"):
        IMPORTERS["physilog"].load(tmp_path)
    (tmp_path / "LF.csv").write_text(PHYSILOG.replace("Accel Z", "Akzel Z"))
    with pytest.raises(InputError, match="no column 'Accel Z'"):
        IMPORTERS["physilog"].load(tmp_path)
    (tmp_path / "LF.csv").write_text(PHYSILOG.replace("[g]", "[stone]"))
    with pytest.raises(InputError, match="'stone' is not known"):
        IMPORTERS["physilog"].load(tmp_path)


def test_treadmill(data_dir):
    made = IMPORTERS["physilog"].load(data_dir / "treadmill_7imu")
    assert list(made.imus) == ["pelvis", "tibia_r", "calcn_r", "tibia_l", "calcn_l"]
    assert {len(imu.time_s) for imu in made.imus.values()} == {20693}
    strides, steps = made.truth.strides, made.truth.steps
    assert (len(strides), len(steps)) == (221, 226)
    # 3.7 km/h on the belt
    speed = sum(s.stride_length_m for s in strides) / sum(s.stride_time_s for s in strides)
    assert speed == pytest.approx(3.7 / 3.6, rel=0.02)
    whole = [s for s in strides if np.isfinite(s.swing_time_s)]
    assert len(whole) > 215
    assert all(s.stance_time_s + s.swing_time_s == pytest.approx(s.stride_time_s) for s in whole)


# --- x-io ---

XIO = (
    ",".join(["Time (s)"] + [f"Gyroscope {a} (deg/s)" for a in "XYZ"] + [f"Accelerometer {a} (g)" for a in "XYZ"])
    + """
0,180,0,0,0,0,1
0.0025,0,0,0,0,0,1
0.0025,0,0,0,0,0,1
0.005,0,0,0,0,0.1,1
"""
)


def test_xio(tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text(XIO)
    assert find_importer(path).name == "xio"
    made = IMPORTERS["xio"].load(path)
    assert "does not say where the sensor was worn; taken as calcn_r" in made.notices[0]
    np.testing.assert_allclose(made.imus["calcn_r"].time_s, [0, 0.0025, 0.005])
    np.testing.assert_allclose(made.imus["calcn_r"].gyr_radps[0], [np.pi, 0, 0])
    assert made.losses == ()
    assert list(IMPORTERS["xio"].load(path, segment="tibia_l").imus) == ["tibia_l"]
    path.write_text(XIO.replace("(s)", "(us)").replace("0.0025", "2500").replace("0.005", "5000"))
    np.testing.assert_allclose(IMPORTERS["xio"].load(path).imus["calcn_r"].time_s, [0, 0.0025, 0.005])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Time (s)", "Clock", r"no column 'Time \(s\)'"),
        ("(g)", "(stone)", "'stone' is not known"),
        ("Gyroscope X", "Gyro X", "no columns 'Gyroscope X'"),
    ],
)
def test_xio_refusals(tmp_path, old, new, sentence):
    (tmp_path / "walk.csv").write_text(XIO.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        IMPORTERS["xio"].load(tmp_path / "walk.csv")
    with pytest.raises(InputError, match="is not there"):
        IMPORTERS["xio"].load(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        IMPORTERS["xio"].load(tmp_path)


def test_foot_loop(data_dir):
    made = IMPORTERS["xio"].load(data_dir / "foot_loop" / "short_walk.csv.gz", segment="calcn_l")
    assert made.imus["calcn_l"].sampling_rate_hz == pytest.approx(400, rel=0.01)
    assert made.losses == ()


# --- gait text and JSON ---


def write_gait_text(folder, suffixes=("_lf", "_rf", "_lb"), first=0, **labels):
    counter = np.delete(np.arange(first, 52), [10, 11])
    rows = np.column_stack([counter, np.tile([0, 0, 9.8, 0.1, 0.2, 0.3, 0, 0, 0], (len(counter), 1))])
    rows[:, 1] = counter
    names = "PacketCounter\tAcc_X\tAcc_Y\tAcc_Z\tGyr_X\tGyr_Y\tGyr_Z\tMag_X\tMag_Y\tMag_Z"
    for suffix in suffixes:
        with gzip.open(folder / f"1-1{suffix}.txt.gz", "wt") as file:
            file.write("Acquisition frequency: 100 Hz\n" + names + "\n")
            np.savetxt(file, rows, delimiter="\t")
    if labels:
        content = {"Subject": 1, "Height": 175.0, "Weight": 75.0, "LeftFootEvents": [], "RightFootEvents": []}
        (folder / "1-1.json").write_text(json.dumps({**content, **labels}))


def test_labels_count_packets_and_not_rows(tmp_path):
    write_gait_text(tmp_path, LeftFootEvents=[[8, 20]], RightFootEvents=[[30, 60]])
    made = IMPORTERS["gait_text_json"].load(tmp_path / "1-1.json")
    assert [(e.time_s, e.side, e.kind) for e in made.truth.events] == [
        (pytest.approx(0.08), Side.LEFT, EventKind.TOE_OFF),
        (pytest.approx(0.20), Side.LEFT, EventKind.HEEL_STRIKE),
        (pytest.approx(0.30), Side.RIGHT, EventKind.TOE_OFF),
    ]
    assert "1 labels beyond the end of the trial were dropped" in made.notices[-1]
    # the packet after the two lost ones brought the mean of all three
    stream = made.imus["calcn_l"]
    assert stream.time_s[9:14] == pytest.approx([0.09, 0.10, 0.11, 0.12, 0.13])
    assert stream.acc_mps2[9:14, 0] == pytest.approx([9, 12, 12, 12, 13])
    assert any("calcn_l: 2 packets were lost" in notice for notice in made.notices)
    assert (made.subject.height_m, made.subject.mass_kg) == (1.75, 75.0)


def test_labels_keep_their_packet_where_the_first_was_lost(tmp_path):
    write_gait_text(tmp_path, first=2, LeftFootEvents=[[8, 20]])
    made = IMPORTERS["gait_text_json"].load(tmp_path / "1-1")
    assert made.imus["pelvis"].time_s[0] == 0.0
    assert made.truth.events[0].time_s == pytest.approx(0.06)


def test_gait_text_without_labels_or_sensors(tmp_path):
    write_gait_text(tmp_path, suffixes=("_rf",))
    made = IMPORTERS["gait_text_json"].load(tmp_path / "1-1_rf.txt.gz")
    assert list(made.imus) == ["calcn_r"]
    assert made.truth is None
    assert sum("no file of the sensor" in notice for notice in made.notices) == 2


def test_gait_text_refusals(tmp_path):
    load_text = IMPORTERS["gait_text_json"].load
    with pytest.raises(InputError, match="no trial at"):
        load_text(tmp_path / "9-9")
    write_gait_text(tmp_path, Subject=3)
    with pytest.raises(InputError, match=r"folder of 1 trials; name one of them, as .*1-1"):
        load_text(tmp_path)
    (tmp_path / "1-1.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        load_text(tmp_path / "1-1")
    (tmp_path / "1-1.json").write_text('{"LeftFootEvents": []}')
    with pytest.raises(InputError, match="holds no RightFootEvents"):
        load_text(tmp_path / "1-1")
    write_gait_text(tmp_path, LeftFootEvents=[3, 4])
    with pytest.raises(InputError, match="holds 3 instead of"):
        load_text(tmp_path / "1-1")
    (tmp_path / "1-1_lf.txt.gz").unlink()
    (tmp_path / "1-1_lf.txt").write_text("nothing of the kind\n")
    with pytest.raises(InputError, match="does not begin with a line like 'Acquisition frequency"):
        load_text(tmp_path / "1-1")


def test_swing_lies_between_its_labels(data_dir):
    """In every trial, lost packets or not, the foot turns faster between toe-off and heel strike than outside."""
    trials = sorted((data_dir / "foot_healthy_10m").glob("*.json"))
    assert len(trials) == 74
    ratios = []
    for trial in trials:
        made = IMPORTERS["gait_text_json"].load(trial)
        assert len(made.imus) == 3
        for side in Side:
            imu = made.imus[side.foot]
            events = [event for event in made.truth.events if event.side is side]
            swing = np.zeros(len(imu.time_s), bool)
            for a, b in itertools.pairwise(events):
                if a.kind is EventKind.TOE_OFF:
                    swing |= (imu.time_s > a.time_s) & (imu.time_s < b.time_s)
            walking = (imu.time_s > events[0].time_s) & (imu.time_s < events[-1].time_s)
            speed = np.linalg.norm(imu.gyr_radps, axis=1)
            ratios.append(np.median(speed[swing]) / np.median(speed[walking & ~swing]))
    assert min(ratios) > 2.0


# --- foot with motion capture ---


def vicon(**changes):
    content = {"imu": np.column_stack([ACC, GYR]), "ts": np.arange(50)[None] / 200 + 0.005, "gt": ACC / 10, **changes}
    return {name: value for name, value in content.items() if value is not None}


def test_foot_vicon(tmp_path):
    savemat(tmp_path / "a.mat", vicon())
    assert find_importer(tmp_path / "a.mat").name == "foot_vicon"
    made = IMPORTERS["foot_vicon"].load(tmp_path / "a.mat")
    feet = made.truth.foot_positions[Side.RIGHT]
    np.testing.assert_allclose(feet.time_s, made.imus["calcn_r"].time_s)
    np.testing.assert_allclose(feet.position_m, ACC / 10)
    assert made.imus["calcn_r"].sampling_rate_hz == 200.0
    save(made, tmp_path / "bag")
    np.testing.assert_allclose(load(tmp_path / "bag").truth.foot_positions[Side.RIGHT].position_m, ACC / 10)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (vicon(gt=None), "holds no gt"),
        (vicon(imu=ACC), r"imu \(50, 3\)"),
        (vicon(gt="words"), "arrays of numbers"),
        (b"MATLAB 5.0 but no more", "cannot be read as a MATLAB file"),
        (b"", "cannot be read as a MATLAB file"),
    ],
)
def test_foot_vicon_refusals(tmp_path, content, sentence):
    path = tmp_path / "a.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(InputError, match=sentence):
        IMPORTERS["foot_vicon"].load(path)
    with pytest.raises(InputError, match="give calcn_l or calcn_r"):
        IMPORTERS["foot_vicon"].load(path, segment="pelvis")
    with pytest.raises(InputError, match="is not there"):
        IMPORTERS["foot_vicon"].load(tmp_path / "none.mat")


# --- all of them ---


def test_each_kind_is_found_by_itself(data_dir):
    for path, name in (
        ("opensim_xsens_walk/raw", "xsens_mt"),
        ("treadmill_7imu", "physilog"),
        ("treadmill_7imu/imu/LF.csv.gz", "physilog"),
        ("foot_loop/short_walk.csv.gz", "xio"),
        ("foot_healthy_10m/1-1.json", "gait_text_json"),
        ("foot_healthy_10m/1-1_lf.txt.gz", "gait_text_json"),
        ("foot_vicon/2017-11-22-11-22-03.mat", "foot_vicon"),
    ):
        assert find_importer(data_dir / path).name == name


def test_unknown_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match="nothing at"):
        find_importer(tmp_path / "none")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"is none of xsens_mt, .* import it as csv"):
        find_importer(tmp_path / "a.csv")


@pytest.mark.parametrize("name", list(IMPORTERS))
@pytest.mark.parametrize("content", [b"", b"\0\1\2\3" * 50, "a;b\n1;2\n".encode("utf-16")])
def test_no_importer_falls_over_strange_bytes(tmp_path, name, content):
    for file in ("x_00B42268.txt", "LF.csv", "1-1_lf.txt", "a.mat"):
        (tmp_path / file).write_bytes(content)
        assert not IMPORTERS[name].sniff(tmp_path / file)
        with pytest.raises(InputError):
            IMPORTERS[name].load(tmp_path / file)
    with pytest.raises(InputError):
        IMPORTERS[name].load(tmp_path)
