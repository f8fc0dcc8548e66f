"""Devices that listen: conversations over real ptys, and ports whose protocol is to be found out."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from gait_twin.recording import ImuStream, Recording
from gait_twin.sensing.devices import make_device
from gait_twin.sensing.driver import Driver
from gait_twin.sensing.players import outlet_for, play
from gait_twin.sensing.protocols import EmulatedSensor, EmulatorSettings
from gait_twin.sensing.scanning import probe_serial
from gait_twin.sensing.transports import TransportError

RATE_HZ = 100.0


def recording(seconds):
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    acc = np.stack([np.sin(time_s), np.cos(3.0 * time_s), 9.8 + 0.0 * time_s], axis=1)
    gyr = np.stack([np.sin(2.0 * time_s), np.cos(time_s), np.sin(3.0 * time_s)], axis=1)
    quat = np.tile([0.6, 0.0, 0.8, 0.0], (len(time_s), 1))
    return Recording({"calcn_r": ImuStream("calcn_r", time_s, acc, gyr, quat_wxyz=quat, sampling_rate_hz=RATE_HZ)})


class Playing:
    """An emulated device in a thread."""

    def __init__(self, device, seconds, **settings):
        self.stop = threading.Event()
        self.held = False
        sensor = EmulatedSensor(device.protocol.name, device.options, EmulatorSettings(**settings))
        self.thread = threading.Thread(
            target=play,
            args=(recording(seconds), {"calcn_r": (sensor, outlet_for(device))}),
            kwargs={"stop": self.stop, "hold": lambda _segment: self.held},
        )

    def __enter__(self):
        self.thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.mark.parametrize(
    ("protocol", "options"),
    [("bno055", {"rate_hz": 50}), ("bno055", {"mode": "amg"}), ("bno08x_shtp", {"rate_hz": 100})],
)
def test_device_that_waits_for_the_host_streams_and_comes_back(tmp_path, protocol, options):
    device = make_device(protocol, f"serial:{tmp_path}/imu", options=options)
    got, said = [], []
    driver = Driver([device], got.append, lambda level, text: said.append(text))
    with Playing(device, 20.0) as player:
        assert driver.open() == []
        time.sleep(0.3)
        assert not got  # nobody has asked yet
        driver.start()
        time.sleep(1.5)
        before = len(got)
        assert before > 30, said
        player.held = True
        time.sleep(0.7)
        quiet, back_s = len(got), time.monotonic()
        player.held = False
        while len(got) < quiet + 20 and time.monotonic() < back_s + 3.0:
            time.sleep(0.01)
        assert len(got) >= quiet + 20, said  # a chip that was switched off has to be configured again
        assert driver.states()[0].report.gaps >= 1
    driver.close()
    assert driver.failure is None
    sample = got[-1].sample
    assert sample.acc_mps2[2] == pytest.approx(9.8, abs=0.02)
    assert np.linalg.norm(sample.gyr_radps) > 0.01
    if options.get("mode") != "amg":
        assert abs(np.dot(sample.quat_wxyz, (0.6, 0.0, 0.8, 0.0))) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "protocol",
    [
        "xsens_mti",
        "witmotion",
        "witmotion_ble",
        "ximu3",
        "ngimu_serial",
        "bno08x_rvc",
        "bno08x_shtp",
        "bno055",
        "lines",
    ],
)
def test_protocol_of_a_port_is_found_out(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("gait_twin.sensing.scanning.LISTEN_S", 0.15)
    device = make_device(protocol, f"serial:{tmp_path}/imu")
    with Playing(device, 30.0):
        found = probe_serial(f"{tmp_path}/imu")
    assert f"protocol: {protocol}" in found.entry.split(", ")
    assert found.where == f"{tmp_path}/imu"


def test_port_that_is_not_there_or_says_nothing_known_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("gait_twin.sensing.scanning.LISTEN_S", 0.02)
    monkeypatch.setattr("gait_twin.sensing.scanning.ASK_S", 0.02)
    with pytest.raises(TransportError, match="is not there"):
        probe_serial(f"{tmp_path}/nothing")
    device = make_device("lines", f"serial:{tmp_path}/imu")
    outlet = outlet_for(device)
    outlet.plug()
    assert probe_serial(f"{tmp_path}/imu").what == "silent"
    stop = threading.Event()

    def babble():
        while not stop.wait(0.005):
            outlet.send(b"hello world\n" * 5)

    thread = threading.Thread(target=babble)
    thread.start()
    found = probe_serial(f"{tmp_path}/imu")
    stop.set()
    thread.join()
    outlet.unplug()
    assert "that no protocol understands" in found.what
    assert found.entry == ""
