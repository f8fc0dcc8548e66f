"""Bluetooth devices through bleak's own BlueZ backend, on a D-Bus where BlueZ and the peripherals are emulated.

Everything runs but the kernel and the radio: scanning, connecting, GATT writes and notifications, and a broken link.
"""

from __future__ import annotations

import shutil
import threading
import time

import numpy as np
import pytest

pytest.importorskip("dbus_fast")
if shutil.which("dbus-daemon") is None:
    pytest.skip("there is no dbus-daemon", allow_module_level=True)

from sensing_bluez import Bluez, Peripheral

from gait_twin.sensing.devices import make_device
from gait_twin.sensing.driver import Driver
from gait_twin.sensing.protocols import PROTOCOLS, Sample
from gait_twin.sensing.scanning import bluetooth_devices

RADIOS = {"movella_dot": ("D4:22:CD:00:12:34", "Movella DOT"), "witmotion_ble": ("C8:00:00:00:00:07", "WT901BLE67")}
RATE_HZ = 60.0


def peripheral(name):
    protocol = PROTOCOLS[name]
    options = protocol.make_options()
    profile = protocol.ble(options)
    commands = protocol.start(options) + protocol.stop(options)
    writes = tuple(sorted({profile.write} | {command.characteristic for command in commands}))
    return Peripheral(*RADIOS[name], profile.service, profile.notify, writes)


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    """BlueZ with two sensors on the air."""
    radios = {name: peripheral(name) for name in RADIOS}
    bluez = Bluez(tmp_path_factory.mktemp("bluez"), list(radios.values()))
    patch = pytest.MonkeyPatch()
    patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluez.address)
    yield bluez, radios
    patch.undo()
    bluez.close()


def test_devices_near_by_are_found_by_name_and_service(air):
    found = bluetooth_devices(1.0)
    assert sorted(one.entry for one in found) == [
        'device: "C8:00:00:00:00:07", protocol: witmotion_ble',
        'device: "D4:22:CD:00:12:34", protocol: movella_dot',
    ]


@pytest.mark.parametrize("name", list(RADIOS))
def test_radio_sensor_is_started_streams_breaks_off_and_comes_back(air, name):
    bluez, radios = air
    radio = radios[name]
    protocol = PROTOCOLS[name]
    encoder, stop = protocol.make_encoder(), threading.Event()

    def play():
        n = 0
        while not stop.wait(1.0 / RATE_HZ):
            n += 1
            sample = Sample((0.5, n % 7 * 0.1, 9.8), (0.1, 0.2, -0.3), None, (0.8, 0.0, 0.6, 0.0), n / RATE_HZ, n)
            bluez.notify(radio, encoder.encode(sample))

    got, said = [], []
    driver = Driver([make_device(name, f"ble:{RADIOS[name][0]}")], got.append, lambda level, text: said.append(text))
    player = threading.Thread(target=play)
    player.start()
    try:
        assert driver.open() == []
        driver.start()
        time.sleep(1.5)
        assert len(got) > 40, said
        expected = protocol.start(protocol.make_options())
        assert [(c.characteristic, c.payload) for c in expected] == radio.written[: len(expected)]
        written = len(radio.written)
        bluez.lose(radio)
        lost_s, before = time.monotonic(), len(got)
        while len(got) < before + 20 and time.monotonic() < lost_s + 5.0:
            time.sleep(0.01)
        assert time.monotonic() - lost_s < 3.0, said
        assert len(radio.written) > written  # it was told again to measure
        assert any("radio link" in text for text in said)
    finally:
        driver.stop()
        time.sleep(0.3)
        driver.close()
        stop.set()
        player.join()
    assert driver.failure is None
    sample = got[-1].sample
    np.testing.assert_allclose(sample.gyr_radps, (0.1, 0.2, -0.3), atol=2e-3)
    assert sample.acc_mps2[2] == pytest.approx(9.8, abs=0.01)
