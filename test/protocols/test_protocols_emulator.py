"""The emulator: a recording comes back from the bytes, and what goes wrong does so as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import ImuStream, Recording
from gait_twin.sensing.protocols import PROTOCOLS, EmulatedSensor, EmulatorSettings, emulate, emulate_stream

RATE_HZ = 200.0


def stream(segment: str = "calcn_r", seconds: float = 5.0, seed: int = 0) -> ImuStream:
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE_HZ)
    quat = rng.normal(size=(n, 4))
    return ImuStream(
        segment,
        np.arange(n) / RATE_HZ,
        rng.uniform(-20, 20, (n, 3)),
        rng.uniform(-10, 10, (n, 3)),
        rng.uniform(-50, 50, (n, 3)),
        quat / np.linalg.norm(quat, axis=1, keepdims=True),
        RATE_HZ,
    )


def played(imu: ImuStream, protocol: str = "xsens_mti", **values: object):
    emissions = list(emulate_stream(imu, EmulatedSensor(protocol, settings=EmulatorSettings(**values))))
    decoder = PROTOCOLS[protocol].make_decoder()
    return emissions, [s for e in emissions for s in decoder.feed(e.data)], decoder.stats


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_faults_every_sample_arrives_when_measured(protocol: str) -> None:
    imu = stream()
    emissions, samples, stats = played(imu, protocol)
    assert [e.send_s for e in emissions] == imu.time_s.tolist()
    acc = np.array([s.acc_mps2 for s in samples if s.acc_mps2 is not None])
    assert np.abs(acc[: len(imu.acc_mps2)] - imu.acc_mps2[: len(acc)]).max() < 0.01
    assert len(acc) >= len(imu.time_s) - 1  # WitMotion: the last instant is not ended
    assert stats.dropped_bytes == 0


def test_a_clock_that_drifts() -> None:
    _, samples, _ = played(stream(seconds=20.0), drift_ppm=100.0, clock_offset_s=50.0)
    assert samples[0].device_time_s == pytest.approx(50.0)
    assert samples[-1].device_time_s - 50.0 == pytest.approx((20.0 - 1 / RATE_HZ) * 1.0001, abs=1e-4)


def test_lost_frames_show_in_the_counter() -> None:
    _, samples, _ = played(stream(seconds=20.0), loss=0.1, seed=3)
    counters = np.array([s.counter for s in samples])
    assert len(counters) == pytest.approx(0.9 * 4000, rel=0.03)
    assert (np.diff(counters) - 1).sum() == counters[-1] - counters[0] + 1 - len(counters)


def test_corrupted_frames_are_refused() -> None:
    _, samples, stats = played(stream(seconds=20.0), corruption=0.05)
    assert len(samples) == pytest.approx(0.95 * 4000, rel=0.03)
    assert stats.dropped_bytes > 0


@given(latency=st.floats(0, 50), jitter=st.floats(0, 50), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("protocol", ["xsens_mti", "ngimu_udp"])
def test_sending_is_never_early_and_in_order(protocol: str, latency: float, jitter: float, seed: int) -> None:
    imu = stream(seconds=1.0)
    emissions, samples, _ = played(imu, protocol, latency_ms=latency, jitter_ms=jitter, seed=seed)
    times = [e.send_s for e in emissions]
    assert times == sorted(times)
    assert len(times) == len(imu.time_s)
    measured = [s.device_time_s for s in samples if s.acc_mps2 is not None]
    for sent, at in zip(times, measured, strict=True):
        assert sent >= at + latency / 1e3 - 1e-4
        assert sent <= at + (latency + jitter) / 1e3 + 1e-4 or protocol == "xsens_mti"
    if protocol == "xsens_mti":  # a stream keeps its order; datagrams overtake one another
        assert measured == sorted(measured)


def test_datagrams_overtake_one_another() -> None:
    _, samples, _ = played(stream(seconds=2.0), "ngimu_udp", jitter_ms=20.0)
    measured = [s.device_time_s for s in samples if s.acc_mps2 is not None]
    assert measured != sorted(measured)


@pytest.mark.parametrize("restarts", [False, True])
def test_unplugging(restarts: bool) -> None:
    emissions, samples, _ = played(stream(), unplugged_s=(1.0, 2.5, 4.0, 4.5), restarts=restarts)
    sent = np.array([e.send_s for e in emissions])
    assert not ((sent >= 1.0) & (sent < 2.5)).any()
    assert not ((sent >= 4.0) & (sent < 4.5)).any()
    assert len(sent) == 600
    after = int(np.searchsorted(sent, 2.5))
    assert samples[after].device_time_s == pytest.approx(0.0 if restarts else 2.5, abs=1e-3)


def test_gaps_and_nan_rows_of_the_recording_are_losses_not_values() -> None:
    imu = stream()
    keep = np.r_[0:100, 150 : len(imu.time_s)]
    acc = imu.acc_mps2[keep].copy()
    acc[10] = np.nan
    gappy = ImuStream("calcn_r", imu.time_s[keep], acc, imu.gyr_radps[keep], None, None, RATE_HZ)
    _, samples, _ = played(gappy)
    assert [s.counter for s in samples] == [i for i in keep.tolist() if i != 10]
    assert all(s.mag_ut is None and s.quat_wxyz is None for s in samples)


def test_several_sensors_of_different_kinds_play_together() -> None:
    recording = Recording({name: stream(name, seed=i) for i, name in enumerate(("calcn_r", "calcn_l", "pelvis"))})
    sensors = {
        "calcn_r": EmulatedSensor("ximu3", settings=EmulatorSettings(jitter_ms=15.0)),
        "calcn_l": EmulatedSensor("movella_dot", {"mode": "rate"}),
        "pelvis": EmulatedSensor("lines", {"json": True}),
    }
    emissions = list(emulate(recording, sensors))
    assert [e.send_s for e in emissions] == sorted(e.send_s for e in emissions)
    assert {e.segment for e in emissions} == set(sensors)
    again = list(emulate(recording, sensors))
    assert emissions == again


@pytest.mark.parametrize(
    ("sensors", "said"),
    [
        ({"torso": EmulatedSensor("lines")}, "no sensor on 'torso'"),
        ({"calcn_r": EmulatedSensor("lnies")}, "no protocol 'lnies'; choose one of"),
        ({"calcn_r": EmulatedSensor("lines", {"rate": 1})}, "no option 'rate'; it has columns"),
    ],
)
def test_what_cannot_be_played_is_refused_at_once(sensors, said: str) -> None:
    with pytest.raises(InputError, match=said):
        emulate(Recording({"calcn_r": stream()}), sensors)


@pytest.mark.parametrize("times", [(1.0,), (2.0, 1.0), (1.0, 1.0)])
def test_times_without_connection_come_in_pairs_that_increase(times: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="unplugged_s"):
        EmulatorSettings(unplugged_s=times)
