"""The driver against emulated devices on real ptys, UDP and TCP: everything arrives, in time, and comes back."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from gait_twin.recording import ImuStream, Recording
from gait_twin.sensing.devices import make_device
from gait_twin.sensing.driver import Driver, DriverSettings
from gait_twin.sensing.players import PtyOutlet, TcpOutlet, UdpOutlet, play
from gait_twin.sensing.protocols import EmulatedSensor, EmulatorSettings

RATE_HZ = 100.0


def stream(segment, seconds, rate_hz=RATE_HZ):
    """Specific force whose z tells the instant."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    acc = np.stack([np.zeros_like(time_s), 9.8 + 0 * time_s, 10.0 * np.sin(time_s)], axis=1)
    gyr = np.stack([np.sin(3 * time_s), np.cos(2 * time_s), np.sin(time_s)], axis=1)
    return ImuStream(segment, time_s, acc, gyr, sampling_rate_hz=rate_hz)


class Session:
    """Emulators in a thread, a driver, and what it gave."""

    def __init__(self, sensors, seconds, devices, settings=None):
        self.recording = Recording({s: stream(s, seconds) for s in sensors})
        self.readings, self.said = {d.segment: [] for d in devices}, []
        self.devices, self.sensors = devices, sensors
        self.driver = Driver(devices, self.take, lambda level, text: self.said.append(f"{level}: {text}"), settings)
        self.stop, self.held = threading.Event(), set()
        self.player = threading.Thread(target=self.play)

    def take(self, reading):
        self.readings[reading.segment].append((reading.steady_s, time.monotonic(), reading.sample))

    def play(self):
        play(self.recording, self.sensors, stop=self.stop, hold=self.held.__contains__)

    def __enter__(self):
        self.player.start()
        time.sleep(0.2)
        self.missing = self.driver.open()
        self.driver.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.player.join()
        self.driver.close()
        assert self.driver.failure is None


@pytest.fixture
def outlets(tmp_path):
    return {
        "calcn_r": ("xsens_mti", PtyOutlet(tmp_path / "mti")),
        "calcn_l": ("ximu3", UdpOutlet(_free_udp(), source="127.0.0.1")),
        "pelvis": ("lines", TcpOutlet()),
    }


def _free_udp():
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_all_transports_stream_and_come_back_after_being_unplugged(outlets):
    settings = EmulatorSettings(drift_ppm=100.0, clock_offset_s=5.0)
    sensors = {s: (EmulatedSensor(p, settings=settings), outlet) for s, (p, outlet) in outlets.items()}
    devices = [make_device(p, outlet.address, s) for s, (p, outlet) in outlets.items()]
    devices.append(make_device("xsens_mti", "serial:/dev/nothing-here", "torso"))
    with Session(sensors, 9.0, devices) as session:
        assert len(session.missing) == 1
        assert "torso: /dev/nothing-here is not there" in session.missing[0]
        time.sleep(2.0)
        unplugged_s = time.monotonic()
        session.held |= set(sensors)
        time.sleep(1.7)
        states = {s.segment: s for s in session.driver.states()}
        for segment in sensors:
            assert states[segment].problem, segment
        replugged_s = time.monotonic()
        session.held.clear()
        time.sleep(3.2)
        states = {s.segment: s for s in session.driver.states()}
    for segment in sensors:
        got = session.readings[segment]
        stamps, arrivals = np.array([g[0] for g in got]), np.array([g[1] for g in got])
        assert np.all(np.diff(stamps) > 0.0)
        before, after = arrivals < unplugged_s, arrivals > replugged_s
        assert before.sum() > 150
        assert not (arrivals[~before & ~after] > unplugged_s + 0.3).any()
        back_s = arrivals[after][0] - replugged_s
        assert back_s < 3.0, segment
        report = states[segment].report
        assert report.gaps == 1
        assert report.longest_gap_s > 1.5
        assert states[segment].problem == ""
        assert any(f"{segment} is back after" in text for text in session.said)
        # from stamp to stamp the recording's own time passes
        shown = np.array([g[2].acc_mps2[2] for g in got])
        whole = np.abs(np.arcsin(np.clip(shown / 10.0, -1, 1))) < 1.2
        assert whole.any()
    problem = states["torso"].problem
    assert "is the cable in" in problem
    assert sum("torso" in text for text in session.said) == 1, session.said


def test_sensors_of_one_stream_and_of_one_port_are_told_apart(tmp_path):
    port = _free_udp()
    sensors = {
        "calcn_r": (EmulatedSensor("ximu3"), UdpOutlet(port, source="127.0.0.2")),
        "calcn_l": (EmulatedSensor("ximu3"), UdpOutlet(port, source="127.0.0.3")),
        "pelvis": (EmulatedSensor("ximu3"), UdpOutlet(port, source="127.0.0.4")),
    }
    devices = [make_device("ximu3", f"udp:127.0.0.{i}:{port}", s) for i, s in ((2, "calcn_r"), (3, "calcn_l"))]
    with Session(sensors, 3.0, devices) as session:
        time.sleep(1.5)
        assert session.driver.strangers() == [f"127.0.0.4 on UDP port {port}"]
    assert min(len(got) for got in session.readings.values()) > 100


def test_lost_and_damaged_frames_are_counted(tmp_path):
    settings = EmulatorSettings(loss=0.05, corruption=0.05, jitter_ms=5.0)
    sensors = {"calcn_r": (EmulatedSensor("xsens_mti", settings=settings), PtyOutlet(tmp_path / "mti"))}
    with Session(sensors, 4.0, [make_device("xsens_mti", f"serial:{tmp_path / 'mti'}")]) as session:
        time.sleep(2.5)
        (state,) = session.driver.states()
    report = state.report
    assert report.lost > 5
    assert state.refused[1] > 0
    assert report.lost / (report.lost + report.received) == pytest.approx(0.1, abs=0.06)


def test_connected_device_that_falls_silent_is_connected_anew(tmp_path):
    outlet = PtyOutlet(tmp_path / "mti")
    outlet.plug()
    said = []
    driver = Driver(
        [make_device("xsens_mti", outlet.address)],
        lambda reading: None,
        lambda level, text: said.append(text),
        DriverSettings(silence_s=0.5),
    )
    assert driver.open() == []
    driver.start()
    time.sleep(1.2)
    driver.close()
    outlet.unplug()
    assert any("has sent nothing for 0." in text for text in said), said


def test_opening_again_after_closing(tmp_path):
    outlet = PtyOutlet(tmp_path / "mti")
    outlet.plug()
    for _ in range(3):
        driver = Driver([make_device("xsens_mti", outlet.address)], lambda reading: None, lambda level, text: None)
        assert driver.open() == []
        driver.close()
        driver.close()
    outlet.unplug()
