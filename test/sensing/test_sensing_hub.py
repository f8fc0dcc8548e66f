"""Streams onto one grid: known signals, gaps, disturbed clocks, and no dependence on how pushes are cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, SlotStatus
from gait_twin.recording.axes import angle_between, quat_about_z
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.simulation import SensorSettings, WalkSettings, simulate

NAMES = ("time_s", "acc_mps2", "gyr_radps", "quat_wxyz", "body_quat_wxyz", "status")
UP = np.array([0.0, 0.0, 9.81])


def samples(time, level=0.0):
    """A known signal: acc z a line in time, gyr x a slow sine, orientation a turn of 1 rad/s."""
    time = np.asarray(time, dtype=float)
    acc = np.stack([np.full_like(time, level), np.zeros_like(time), 9.81 + time], axis=1)
    gyr = np.stack([np.sin(time), np.zeros_like(time), np.zeros_like(time)], axis=1)
    return time, acc, gyr, quat_about_z(time)


def stamped(stamp):
    """One unremarkable sample with any time stamp."""
    return (np.array([stamp]), *samples([0.0])[1:])


def everything(hub, streams, block_s=0.05):
    """Push all streams side by side, poll each time; arrays of all frames."""
    begin, end = min(s[0].min() for s in streams.values()), max(s[0].max() for s in streams.values())
    edges = np.append(np.arange(begin, end + block_s, block_s), np.inf)
    blocks = []
    for a, b in pairwise(edges.tolist()):
        for segment, (time, *values) in streams.items():
            rows = (time >= a) & (time < b)
            hub.push(segment, time[rows], *[v[rows] for v in values])
        blocks.append(hub.poll())
    blocks.append(hub.flush())
    return {n: np.concatenate([getattr(b, n) for b in blocks]) for n in NAMES}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([50.0, 100.0, 128.0, 200.0, 400.0]), min_size=2, max_size=3), st.floats(0.0, 0.01))
def test_before_the_awaited_instant_no_frame_is_complete(rates_hz, shift_s):
    streams = {
        segment: samples(i * shift_s + np.arange(0.0, 0.6, 1.0 / rate_hz))
        for i, (segment, rate_hz) in enumerate(zip(("pelvis", "calcn_r", "calcn_l"), rates_hz, strict=False))
    }
    eager, patient = SensorHub(tuple(streams), HubSettings()), SensorHub(tuple(streams), HubSettings())
    arrivals = sorted((float(t), name, i) for name, stream in streams.items() for i, t in enumerate(stream[0]))
    given_out, skipped = ([], []), 0
    for time_s, name, i in arrivals:
        for hub in (eager, patient):
            hub.push(name, *(values[i : i + 1] for values in streams[name]))
        given_out[0].extend(eager.poll().time_s.tolist())
        if time_s >= patient.awaits_s:
            given_out[1].extend(patient.poll().time_s.tolist())
        else:
            skipped += 1
        assert given_out[0] == given_out[1]  # not a frame later
    assert len(given_out[0]) > 25
    assert skipped or min(rates_hz) < 133.0


def test_different_rates_and_phases_meet_on_one_grid():
    rng = np.random.default_rng(0)
    streams = {
        "pelvis": samples(np.arange(0.0, 5.0, 0.02)),
        "calcn_r": samples(0.003 + np.arange(0.0, 5.0, 1 / 128)),
        "calcn_l": samples(0.0011 + np.arange(0.0, 5.0, 0.0025) + rng.uniform(0, 5e-4, 2000)),
    }
    frames = everything(SensorHub(tuple(streams), HubSettings()), streams)
    time = frames["time_s"]
    np.testing.assert_allclose(time, np.arange(len(time)) / 100)
    inside = (time > 0.02) & (time < 4.97)
    assert np.all(frames["status"][inside] & SlotStatus.VALID)
    assert not np.any(frames["status"] & SlotStatus.BRIDGED)
    truth = samples(time[inside])
    for i in range(3):
        np.testing.assert_allclose(frames["acc_mps2"][inside, i], truth[1], atol=1e-6)
        np.testing.assert_allclose(frames["gyr_radps"][inside, i], truth[2], atol=1e-4)
        assert np.max(angle_between(frames["quat_wxyz"][inside, i], truth[3])) < 1e-6


def test_down_sampling_damps_what_the_grid_cannot_hold():
    time = np.arange(0.0, 4.0, 1 / 400)
    for hertz, most, least in ((90.0, 0.12, 0.0), (130.0, 0.12, 0.0), (10.0, 1.0, 0.96)):
        acc = np.cos(2 * np.pi * hertz * time)[:, None] * [1.0, 0, 0] + UP
        frames = everything(SensorHub(("pelvis",)), {"pelvis": (time, acc, 1e-3 * acc)})
        height = np.abs(frames["acc_mps2"][20:-20, 0, 0]).max()
        assert least <= height <= most


def test_missing_sensor_is_an_invalid_slot_after_bounded_waiting():
    hub = SensorHub(("pelvis", "calcn_r"), HubSettings(max_wait_s=0.2))
    got = 0
    for n in range(300):
        hub.push("pelvis", *samples([n * 0.01]))
        got += len(hub.poll())
        behind = n + 1 - got
        assert behind <= (21 if n < 105 else 1)  # after a second of silence nobody waits for it
    frames = hub.flush()
    assert got + len(frames) == 300
    assert hub.reports["calcn_r"].received == 0


def test_gaps_are_bridged_or_invalid():
    time = np.arange(0.0, 4.0, 0.01)
    short, long = (time > 1.0) & (time < 1.085), (time > 2.0) & (time < 2.5)
    streams = {"pelvis": samples(time), "calcn_r": samples(time[~(short | long)])}
    frames = everything(SensorHub(tuple(streams), HubSettings(max_gap_s=0.1, max_wait_s=0.3)), streams)
    status, grid = frames["status"][:, 1], np.round(frames["time_s"] * 100)
    bridged, gone = (grid > 100) & (grid < 109), (grid > 200) & (grid < 250)
    np.testing.assert_array_equal((status & SlotStatus.BRIDGED) > 0, bridged)
    np.testing.assert_array_equal(status == 0, gone)
    np.testing.assert_array_equal(np.isnan(frames["gyr_radps"][:, 1, 0]), gone)
    np.testing.assert_allclose(frames["gyr_radps"][bridged, 1], samples(frames["time_s"][bridged])[2], atol=1e-3)


def test_disorder_is_counted_and_survived():
    time, acc, gyr, quat = samples(np.arange(0.0, 3.0, 0.01))
    order = np.arange(300)
    order[100], order[101] = 101, 100  # overtaken
    order = np.insert(order, 150, 149)  # sent twice
    acc = acc.copy()
    acc[200] = np.nan
    acc[201, 0] = 1e30
    hub = SensorHub(("pelvis",))
    for i in order:
        hub.push("pelvis", time[i : i + 1], acc[i : i + 1], gyr[i : i + 1], quat[i : i + 1])
    frames, report = hub.flush(), hub.reports["pelvis"]
    assert (report.received, report.disordered, report.duplicate, report.invalid) == (301, 1, 1, 2)
    assert len(frames) == 300
    assert np.all(frames.status & SlotStatus.VALID)
    np.testing.assert_allclose(frames.acc_mps2[:, 0, 2], 9.81 + frames.time_s, atol=1e-6)


def test_saturation_is_flagged():
    time, acc, gyr, quat = samples(np.arange(0.0, 1.0, 0.01))
    gyr[50] = 34.9
    hub = SensorHub(("pelvis",))
    hub.push("pelvis", time, acc, gyr, quat)
    assert np.flatnonzero(hub.flush().status[:, 0] & SlotStatus.SATURATED).tolist() == [50]


def test_bag_that_starts_again_makes_a_new_timeline():
    hub, times = SensorHub(("pelvis", "calcn_r", "calcn_l")), []
    for loop in range(3):
        for n in range(500):
            for i, segment in enumerate(hub.segments):
                hub.push(segment, *samples([n * 0.01 + 0.001 * i]))
            times += hub.poll().time_s.tolist()
        assert hub.reports["pelvis"].clock_jumps <= loop
    times += hub.flush().time_s.tolist()
    restarts = np.flatnonzero(np.diff(times) < 0)
    assert len(restarts) == 2
    assert len(times) == pytest.approx(1500, abs=3)
    assert [r.off_clock for r in hub.reports.values()] == [0, 0, 0]


def test_corrected_clock_leaves_a_gap_out():
    hub, times = SensorHub(("pelvis", "calcn_r")), []
    for n in range(600):
        for segment in hub.segments:
            hub.push(segment, *stamped(n * 0.01 + (1e9 if n >= 300 else 0.0)))
        times += hub.poll().time_s.tolist()
    times += hub.flush().time_s.tolist()
    assert len(times) == pytest.approx(600, abs=2)
    assert np.sum(np.diff(times) > 1.0) == 1


@pytest.mark.parametrize("offset", [1000.0, -1000.0])
def test_a_clock_that_leaps_alone_is_left_out(offset):
    hub, frames = SensorHub(("pelvis", "calcn_r", "calcn_l")), []
    for n in range(900):
        for segment in hub.segments:
            away = segment == "calcn_l" and 300 <= n < 600
            hub.push(segment, *stamped(n * 0.01 + (offset if away else 0.0)))
        frames.append(hub.poll())
    frames.append(hub.flush())
    time = np.concatenate([f.time_s for f in frames])
    status = np.concatenate([f.status for f in frames])
    np.testing.assert_allclose(time, np.arange(900) / 100, atol=1e-9)
    assert np.all(status[:, :2] & SlotStatus.VALID)
    assert np.all(status[:299, 2]) and not status[301:599, 2].any() and np.all(status[610:, 2])  # noqa: PT018
    assert hub.reports["calcn_l"].off_clock == pytest.approx(300, abs=3)


def test_single_wild_stamps_change_nothing():
    hub, count = SensorHub(("pelvis", "calcn_r")), 0
    for n in range(300):
        for segment in hub.segments:
            wild = {50: -5e5, 100: 1e9, 101: 3e9, 200: float("nan")}.get(n, n * 0.01)
            hub.push(segment, *stamped(n * 0.01 if segment == "pelvis" else wild))
        count += len(hub.poll())
    frames = hub.flush()
    assert count + len(frames) == 300
    assert hub.reports["calcn_r"].off_clock == 3
    assert hub.reports["calcn_r"].invalid == 1


def test_wild_first_stamp_is_not_the_anchor():
    hub = SensorHub(("pelvis", "calcn_r"))
    for segment in hub.segments:
        hub.push(segment, *samples([0.0]))
    for n in range(300):
        for segment in hub.segments:
            hub.push(segment, *stamped(1e6 + n * 0.01))
    assert hub.flush().time_s[0] == pytest.approx(1e6)


def test_bad_calls_are_refused():
    with pytest.raises(InputError, match="femur_x"):
        SensorHub(("pelvis", "femur_x"))
    with pytest.raises(InputError, match="each once"):
        SensorHub(())
    hub = SensorHub(("pelvis",))
    with pytest.raises(InputError, match="no segment 'torso'"):
        hub.push("torso", *samples([0.0]))
    with pytest.raises(InputError, match="acc has shape"):
        hub.push("pelvis", np.zeros(2), np.zeros((3, 3)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="neither angular rate nor orientation"):
        hub.push("pelvis", np.zeros(2), np.zeros((2, 3)))
    with pytest.raises(InputError, match="max_gap_s"):
        HubSettings(max_gap_s=0.5, max_wait_s=0.2)


def test_empty_and_tiny_streams():
    hub = SensorHub(("pelvis", "calcn_r"))
    assert len(hub.poll()) == 0
    hub.push("pelvis", *samples(np.empty(0)))
    hub.push("pelvis", *samples([0.0]))
    assert len(hub.flush()) == 0  # one sample is no stream
    assert hub.poll().quat_wxyz.shape == (0, 2, 4)


SENSOR = st.fixed_dictionaries({
    "rate_hz": st.sampled_from([50.0, 100.0, 128.0, 400.0]),
    "loss": st.sampled_from([0.0, 0.05]),
    "gap_s": st.sampled_from([0.0, 0.04, 0.09, 0.6]),
    "channels": st.sampled_from(["gyr", "quat", "both"]),
})  # fmt: skip


def disturbed(rng, rate_hz, loss, gap_s, channels):
    """Four seconds of a sensor with jitter, losses, a gap, overtaken and doubled samples."""
    time = rng.uniform(0, 0.05) + np.arange(0.0, 4.0, 1 / rate_hz)
    time += rng.uniform(-0.3, 0.3, len(time)) / rate_hz
    keep = (rng.uniform(size=len(time)) > loss) & ((time < 1.0) | (time > 1.0 + gap_s))
    index = np.flatnonzero(keep)
    for i in rng.integers(0, len(index) - 1, 3):
        index[i], index[i + 1] = index[i + 1], index[i]
    index = np.insert(index, len(index) // 2, index[len(index) // 2])
    gyr, acc = rng.normal(0, 0.3, (len(time), 3)), UP + rng.normal(0, 0.5, (len(time), 3))
    return (
        time[index], acc[index],
        None if channels == "quat" else gyr[index],
        None if channels == "gyr" else quat_about_z(np.sin(time[index])),
    )  # fmt: skip


def pushed(streams, rng, longest_s):
    """Push in random slices of time, sensors within a slice in random order; poll now and then."""
    hub, blocks, now = SensorHub(tuple(streams), HubSettings(max_wait_s=0.4)), [], 0.0
    done = dict.fromkeys(streams, 0)
    while now < 4.5:
        now += rng.uniform(0.005, longest_s)
        for segment in rng.permutation(list(streams)).tolist():
            time, *values = streams[segment]
            i = done[segment]
            # what was measured until now has been sent, in the order of sending
            j = max(i, int(np.searchsorted(np.maximum.accumulate(time), now)))
            done[segment] = j
            for a, b in ((i, (i + j) // 2), ((i + j) // 2, j)):
                hub.push(segment, time[a:b], *[None if v is None else v[a:b] for v in values])
        if rng.uniform() < 0.7:
            blocks.append(hub.poll())
    blocks.append(hub.flush())
    return {n: np.concatenate([getattr(b, n) for b in blocks]) for n in NAMES}, hub


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(SENSOR, SENSOR, SENSOR))
def test_frames_do_not_depend_on_cutting_and_interleaving(seed, sensors):
    rng = np.random.default_rng(seed)
    names = ("pelvis", "calcn_r", "calcn_l")
    streams = {name: disturbed(rng, **sensor) for name, sensor in zip(names, sensors, strict=True)}
    first, hub_a = pushed(streams, rng, 0.02)
    second, hub_b = pushed(streams, rng, 0.15)
    for name in NAMES:
        np.testing.assert_allclose(second[name], first[name], atol=1e-9, err_msg=name)
    for segment in streams:
        a, b = hub_a.reports[segment], hub_b.reports[segment]
        assert (a.received, a.invalid, a.duplicate, a.disordered) == (b.received, b.invalid, b.duplicate, b.disordered)
        assert a.gaps == b.gaps


def test_a_found_forward_direction_serves_the_next_hub_from_its_first_calibrated_frame() -> None:
    """What walking told is handed over in sensor axes, and the mounting may be askew."""
    recording = simulate(WalkSettings(duration_s=20.0), SensorSettings())

    def run(settings: HubSettings) -> tuple[SensorHub, BodyFrames]:
        hub = SensorHub(tuple(recording.imus), settings)
        for name, stream in recording.imus.items():
            hub.push(name, stream.time_s, stream.acc_mps2, stream.gyr_radps)
        return hub, hub.flush()

    first, _ = run(HubSettings())
    second, frames = run(HubSettings(mounting=first.calibration.mounting()))
    calibrated = (frames.status & SlotStatus.CALIBRATED) != 0
    assert calibrated.any()
    assert ((frames.status[calibrated] & SlotStatus.HEADING) != 0).all()
    for name, one in first.calibration.segments.items():
        assert one.heading_known
        assert abs(one.heading_deg - second.calibration.segments[name].heading_deg) < 1e-3


@pytest.mark.parametrize("entry", ["pelvis", "pelvis=0 0 0", "pelvis=1 2", "pelvis=nan 0 1", "nose=x"])
def test_a_mounting_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(InputError, match="mounting"):
        HubSettings(mounting=(entry,))
