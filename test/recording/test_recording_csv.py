"""Any lab's text files by a YAML: what is read, and what is refused with which sentence."""

import gzip
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording import import_csv
from gait_twin.recording.axes import quat_rotate

G = 9.80665
RATE_HZ = 100.0


def tumbling(seconds=40.0, seed=0):
    """(n,) s, (n, 3) m/s² and rad/s of a sensor that rests and turns about all axes, in turn."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    gyr = np.zeros((n, 3))
    for start in np.arange(1.0, seconds - 1.0, 2.0):
        moving = (t >= start) & (t < start + 1.0)
        gyr[moving] += np.outer(np.sin(np.pi * (t[moving] - start)) ** 2, rng.normal(size=3) * 3.0)
    rotation = Rotation.identity()
    acc = np.empty((n, 3))
    for i in range(n):
        acc[i] = rotation.inv().apply([0.0, 0.0, G])
        rotation = rotation * Rotation.from_rotvec(gyr[i] / RATE_HZ)
    acc += rng.normal(scale=0.02, size=acc.shape)
    # it is also shaken a little, as everything that a person wears
    return t, acc + np.where(gyr.any(axis=1), rng.normal(scale=0.8, size=n), 0.0)[:, None], gyr


T, ACC, GYR = tumbling()


def write(path, columns, names=None, separator=",", opener=open, fmt="%.9g"):
    with opener(path, "wt") as file:
        if names:
            file.write(separator.join(names) + "\n")
        np.savetxt(file, np.column_stack(columns), delimiter=separator, fmt=fmt)
    return path


NAMES = ["t", "ax", "ay", "az", "gx", "gy", "gz"]
SENSOR = """\
rate_hz: 100.0
subject: {name: Ann, height_m: 1.72, mass_kg: 70.5}
sensors:
  calcn_r:
    file: foot.csv
    time: {column: t, unit: s}
    acc: {columns: [ax, ay, az], unit: m/s^2}
    gyr: {columns: [gx, gy, gz], unit: rad/s}
"""


@pytest.fixture
def lab(tmp_path):
    """Write a good file and YAML, changed as asked, and import them."""

    def run(*replacements, t=T, acc=ACC, gyr=GYR, text=None, **how):
        yaml = SENSOR
        for old, new in replacements:
            assert old in yaml, old
            yaml = yaml.replace(old, new)
        write(tmp_path / "foot.csv", [t, acc, gyr], NAMES, **how)
        if text is not None:
            (tmp_path / "foot.csv").write_text(text((tmp_path / "foot.csv").read_text()))
        (tmp_path / "recording.yaml").write_text(yaml)
        return import_csv(tmp_path / "recording.yaml")

    return run


def refused(lab, sentence, *replacements, **how):
    with pytest.raises(InputError) as problem:
        lab(*replacements, **how)
    assert re.search(sentence, str(problem.value)), str(problem.value)
    assert "\n" not in str(problem.value)


def test_good_files(lab):
    made = lab()
    imu = made.imus["calcn_r"]
    np.testing.assert_allclose(imu.time_s, T, atol=1e-9)
    np.testing.assert_allclose(imu.acc_mps2, ACC, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(imu.gyr_radps, GYR, rtol=1e-6, atol=1e-7)
    assert (made.subject.name, made.subject.height_m, made.subject.mass_kg) == ("Ann", 1.72, 70.5)
    assert (imu.sampling_rate_hz, made.losses, made.notices) == (100.0, (), ())


@pytest.mark.parametrize(
    ("unit", "factor"), [("g", 1 / G), ("mg", 1000 / G), ("m/s^2", 1.0), ("m/s²", 1.0), ("m/s2", 1.0)]
)
def test_units_of_acc(lab, unit, factor):
    made = lab(("unit: m/s^2", f"unit: {unit}"), acc=ACC * factor)
    np.testing.assert_allclose(made.imus["calcn_r"].acc_mps2, ACC, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("unit", "factor"), [("deg/s", 180 / np.pi), ("dps", 180 / np.pi), ("rpm", 30 / np.pi), ("mrad/s", 1e3)]
)
def test_units_of_gyr(lab, unit, factor):
    made = lab(("unit: rad/s", f"unit: {unit}"), gyr=GYR * factor)
    np.testing.assert_allclose(made.imus["calcn_r"].gyr_radps, GYR, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("unit", "factor"), [("ms", 1e3), ("us", 1e6), ("ns", 1e9), ("samples", 100)])
def test_units_of_time(lab, unit, factor):
    made = lab(("unit: s}", f"unit: {unit}}}"), t=np.round(T * factor) + 7, fmt="%.12g")
    np.testing.assert_allclose(made.imus["calcn_r"].time_s, T, atol=1e-9)


def test_no_time_column(lab):
    made = lab(("    time: {column: t, unit: s}\n", ""))
    np.testing.assert_allclose(made.imus["calcn_r"].time_s, T, atol=1e-9)


@pytest.mark.parametrize(("separator", "word"), [(";", ";"), ("\t", "tab"), (" ", "whitespace"), ("|", "|")])
def test_separators(lab, separator, word):
    lab(("rate_hz: 100.0", f'rate_hz: 100.0\nseparator: "{word}"'), separator=separator)
    refused(lab, r"line 7, column 21: .*no column 'ax'.* Its header seems to be separated by", separator=separator)


def test_decimal_comma_comments_skipped_rows_and_numbered_columns(lab):
    def text(whole):
        lines = whole.replace(";", "#").replace(",", ";").replace(".", ",").splitlines()
        return "\n".join(["Lab of gait", "2024", *lines[1:50], "% a remark", *lines[50:]])

    made = lab(
        ("rate_hz: 100.0", 'rate_hz: 100.0\nseparator: ";"\ndecimal: ","\nskip_rows: 2\nheader: false\ncomment: "%"'),
        ("column: t", "column: 1"),
        ("[ax, ay, az]", "[2, 3, 4]"),
        ("[gx, gy, gz]", "[5, 6, 7]"),
        text=text,
    )
    np.testing.assert_allclose(made.imus["calcn_r"].gyr_radps, GYR, rtol=1e-6, atol=1e-7)


def test_gzip_magnetometer_orientation_and_two_sensors_in_one_file(tmp_path):
    quat = np.tile([0.5, 0.5, 0.5, 0.5], (len(T), 1))
    quat[3] = 0.0
    columns = [ACC, GYR, np.full((len(T), 3), 0.05), quat]
    names = [*NAMES[1:], "mx", "my", "mz", "qw", "qx", "qy", "qz"]
    write(tmp_path / "all.csv.gz", columns, names, opener=gzip.open)
    sensor = (
        "{file: all.csv.gz, acc: {columns: [ax, ay, az], unit: m/s^2}, gyr: {columns: [gx, gy, gz], unit: rad/s}, "
        "mag: {columns: [mx, my, mz], unit: mT}, quat: {columns: [qw, qx, qy, qz]}}"
    )
    (tmp_path / "r.yaml").write_text(
        f"rate_hz: 100\nstart_time: 2024-05-01T10:00:00+02:00\nsensors:\n  tibia_l: {sensor}\n  pelvis: {sensor}\n"
    )
    made = import_csv(tmp_path / "r.yaml")
    assert list(made.imus) == ["pelvis", "tibia_l"]
    imu = made.imus["tibia_l"]
    np.testing.assert_allclose(imu.mag_ut, 50.0)
    assert np.isnan(imu.quat_wxyz[3]).all()
    np.testing.assert_allclose(imu.quat_wxyz[4], 0.5)
    assert made.start_time_ns == 1_714_550_400 * 10**9


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("calcn_r:", "calcn_right:", r"line 4, column 3: 'calcn_right' is not a segment \(did you mean 'calcn_r'\?\)"),
        ("acc:", "accc:", r"line 7, column 5: `accc` is not a key here \(did you mean 'acc'\?\)"),
        ("    file: foot.csv\n", "", r"line 4, column 3: `file` is missing in `sensors.calcn_r`"),
        ("unit: m/s^2", "unit: m/s", r"line 7, column 40: .*the unit 'm/s' is not known here"),
        ("unit: s}", "unit: h}", r"line 6, column 29: .*unit 'h' is not known.* or samples"),
        ("foot.csv", "feet.csv", r"line 5, column 11: The file .*feet.csv is not there"),
        ("[ax, ay, az]", "[ax, ay, a_z]", r"line 7, column 29: .*no column 'a_z' \(did you mean 'az'\?\); its columns"),
        ("[ax, ay, az]", "[ax, ay]", r"line 7, column 11: .* has 2 entries; give 3"),
        ("[ax, ay, az]", "[ax, ay, ay]", r"column 'ay' is used twice"),
        ("[ax, ay, az]", "[1, 2, 30]", r"no column 30; it has 7 columns"),
        ("rate_hz: 100.0", "rate_hz: quick", r"line 1, column 10: `rate_hz` is 'quick'; give a valid number"),
        ("rate_hz: 100.0", "rate_hz: -1", r"line 1, column 10: `rate_hz` is -1; give greater than 0"),
        ("height_m: 1.72", "height_m: 172", r"line 2, column 32: `subject.height_m` is 172; give at most 2.6"),
        ("subject: {", "subject: {{", r"line \d+, column \d+: this is not YAML"),
        ("rate_hz: 100.0", "rate_hz: 1\nrate_hz: 2", r"line 2, column 1: this is not YAML: found duplicate key"),
        ("rate_hz: 100.0", "start_time: 2024-05-01 10:00:00", r"line 1, column 13: .*time zone is missing"),
        ("rate_hz: 100.0", "separator: two", r"line 1, column 12: .*one character or one of tab"),
        ("unit: s}", "unit: s, wrap: 8}", r"line 6, column 38: `wrap` is 8, but .* counts to 39.99"),
        ("rate_hz: 100.0", "skip_rows: 1", r"should name its columns holds numbers"),
        ("rate_hz: 100.0", "rate_hz: 50", r"line 6, column 5: the time of calcn_r makes 100 samples a second, but"),
        ("sensors:", "sensors:\n  pelvis:", r"line 5, column 3: `sensors.pelvis` is None; give keys"),
    ],
)
def test_errors_name_line_and_column(lab, old, new, sentence):
    refused(lab, "^[^ ]*recording.yaml, " + ("" if sentence.startswith("line") else ".*") + sentence, (old, new))


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just words", "\x00\x01", "{"])
def test_what_is_no_description(tmp_path, content):
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(InputError, match=r"r\.yaml"):
        import_csv(tmp_path / "r.yaml")
    with pytest.raises(InputError, match="is not there"):
        import_csv(tmp_path / "none.yaml")


def test_time_in_samples_needs_a_rate(lab):
    refused(lab, r"line 5, column \d+: a time in samples needs `rate_hz`",
            ("rate_hz: 100.0\n", ""), ("unit: s}", "unit: samples}"), t=np.arange(len(T)))  # fmt: skip
    refused(lab, "neither `time` nor `rate_hz`", ("rate_hz: 100.0\n", ""), ("    time: {column: t, unit: s}\n", ""))
    refused(lab, "0.1 samples a second, which is no rate of a gait sensor; the values look like ms",
            ("rate_hz: 100.0\n", ""), t=T * 1000)  # fmt: skip


def test_a_counter_that_begins_anew(lab):
    counter = (np.arange(len(T)) + 64000) % 65536
    samples = ("unit: s}", "unit: samples}")
    refused(lab, r"line 1538 .* falls by 65535; .* say `wrap: 65536`", samples, t=counter)
    made = lab(("unit: s}", "unit: samples, wrap: 65536}"), t=counter)
    np.testing.assert_allclose(made.imus["calcn_r"].time_s, T, atol=1e-9)


def test_rows_without_numbers_are_a_gap_and_said(lab):
    def text(whole):
        lines = whole.splitlines()
        lines[10] = lines[10].rsplit(",", 1)[0] + ",NaN"
        lines[11] = lines[11].rsplit(",", 1)[0] + ",error"
        lines[12] = lines[12].split(",")[0]
        lines[13] += ",1,2"
        return "\n".join(lines)

    made = lab(text=text)
    assert len(made.imus["calcn_r"].time_s) == len(T) - 4
    assert "1 lines with too many cells left out (first: 14)" in made.losses[0]
    assert "3 rows (11-13) without numbers left out as a gap" in made.losses[1]


def test_disordered_time_is_left_out_and_said(lab):
    t = T.copy()
    t[100] = t[99]
    t[200] = t[190]
    made = lab(t=t)
    assert len(made.imus["calcn_r"].time_s) == len(T) - 2
    assert "(102) left out, for the time is that of a row before" in made.losses[0]
    assert "(202) left out, for the time goes back" in made.losses[1]


def test_cut_gzip_gives_whole_lines(tmp_path):
    write(tmp_path / "foot.csv.gz", [T, ACC, GYR], NAMES, opener=gzip.open)
    data = (tmp_path / "foot.csv.gz").read_bytes()
    (tmp_path / "foot.csv.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "r.yaml").write_text(SENSOR.replace("foot.csv", "foot.csv.gz"))
    made = import_csv(tmp_path / "r.yaml")
    assert 0.3 * len(T) < len(made.imus["calcn_r"].time_s) < 0.7 * len(T)
    assert "is cut off" in made.losses[0]


@pytest.mark.parametrize("content", ["", "t,ax,ay,az,gx,gy,gz\n", "\0\1\2"])
def test_files_without_rows(lab, content):
    refused(lab, r"line 5, column 11: .*foot\.csv", text=lambda _: content)


def test_a_column_of_words(lab):
    refused(lab, r"column 't' holds no number; its first cell is '10:00",
            text=lambda whole: re.sub(r"^\d[^,]*", "10:00", whole, flags=re.M))  # fmt: skip


def test_sensors_of_different_clocks(tmp_path):
    write(tmp_path / "foot.csv", [T, ACC, GYR], NAMES)
    write(tmp_path / "late.csv", [T + 100, ACC, GYR], NAMES)
    sensor = SENSOR[SENSOR.index("    file") :]
    (tmp_path / "r.yaml").write_text(SENSOR + "  pelvis:\n" + sensor.replace("foot.csv", "late.csv"))
    with pytest.raises(InputError, match=r"line 9, column 3: pelvis begins 60.01 s after calcn_r has ended"):
        import_csv(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("acc", "gyr", "sentence"),
    [
        (ACC / G, GYR, r"values look like g where m/s\^2 is said"),
        (ACC / G * 1000, GYR, r"values look like mg where m/s\^2 is said"),
        (GYR, ACC, r"acc and gyr seem to be swapped"),
        (ACC - quat_rotate(np.array([1.0, 0, 0, 0]), ACC / np.linalg.norm(ACC, axis=1, keepdims=True) * G), GYR,
         "gravity is not in it"),
        (ACC * 3, GYR, "wrong columns or unit"),
        (ACC, np.rad2deg(GYR), "values look like deg/s where rad/s is said"),
        (ACC, -GYR, "left-handed set of axes, or a gyr that counts the other way round"),
        (ACC * [1, 1, -1], GYR * [1, 1, -1], "left-handed set of axes"),
        (ACC, GYR[:, [1, 0, 2]], r"with \(gyr y, gyr x, gyr z\) in place of"),
        (ACC, GYR[:, [1, 2, 0]], r"with \(gyr z, gyr x, gyr y\) in place of"),
        (ACC, GYR * [1, -1, 1], r"with \(gyr x, -gyr y, gyr z\) in place of"),
    ],
)  # fmt: skip
def test_what_gravity_contradicts_is_refused(lab, acc, gyr, sentence):
    refused(lab, r"recording.yaml, line 4, column 3: calcn_r: .*" + sentence, acc=acc, gyr=gyr)


def test_rad_labelled_deg(lab):
    refused(lab, "values of gyr look like rad/s where deg/s is said", ("unit: rad/s", "unit: deg/s"))


def test_any_mounting_is_accepted(lab):
    for seed in range(4):
        turn = Rotation.random(rng=np.random.default_rng(seed))
        lab(acc=turn.apply(ACC), gyr=turn.apply(GYR))
