"""`sensors` and `emulate` through the real command line."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest


def gait_twin(*words, timeout_s=60.0):
    done = subprocess.run(
        [sys.executable, "-m", "gait_twin.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def body(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "body.yaml"
    path.write_text(
        "sensors:\n"
        f"  calcn_r: {{protocol: xsens_mti, device: {tmp_path}/calcn_r}}\n"
        f"  calcn_l: {{protocol: ximu3, port: {port}}}\n"
    )
    return path


def test_emulated_sensors_are_checked(body, processes):
    emulator = processes(["gait_twin.cli", "emulate", body, "--duration", "30", "--drift", "100"], name="emulator")
    emulator.wait_for("calcn_l", 60.0)
    done = gait_twin("sensors", "check", body, "--seconds", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("good") == 2
    assert emulator.popen.poll() is None


def test_missing_sensors_are_told_with_exit_code_3(body):
    done = gait_twin("sensors", "check", body, "--seconds", "1.5")
    assert done.returncode == 3
    assert "is the cable in" in done.stderr
    assert "nothing has come from it yet" in done.stderr


def test_what_cannot_be_emulated_is_refused(body, tmp_path):
    done = gait_twin("emulate", body, "--unplug", "calcn_r:now")
    assert (done.returncode, "SEGMENT:FROM,TO" in done.stderr) == (1, True)
    done = gait_twin("emulate", body, "--unplug", "pelvis:1,2")
    assert (done.returncode, "there is no device on 'pelvis'" in done.stderr) == (1, True)
    radio = tmp_path / "radio.yaml"
    radio.write_text('sensors:\n  calcn_r: {protocol: movella_dot, device: "D4:22:CD:00:12:34"}\n')
    done = gait_twin("emulate", radio, "--duration", "5")
    assert (done.returncode, "Bluetooth device" in done.stderr) == (1, True)


def test_scan_runs_on_a_bare_machine():
    assert gait_twin("sensors", "scan", "--bluetooth", "0", "--udp", "0.2").returncode == 0


@pytest.mark.slow
def test_person_is_walked_through_a_calibration(body, processes, tmp_path):
    path = tmp_path / "calibration.yaml"
    run = processes(["gait_twin.cli", "calibrate", body, "--out", path], name="calibrate")
    run.wait_for("Stand still and straight", 60.0)  # the sensors are switched on only now
    processes(["gait_twin.cli", "emulate", body, "--duration", "60", "--stand", "8"], name="emulator")
    run.wait_for("Walk straight ahead", 60.0)
    assert run.wait(60.0) == 0, run.output()
    from gait_twin.sensing import read_calibration

    found = read_calibration(path)
    assert set(found.sensors) == {"calcn_r", "calcn_l"}
    assert found.walking_s >= 5.0
    assert found.sensors["calcn_r"].accelerometer.poses >= 1
    assert "forward" in run.output()


@pytest.mark.slow
def test_sensors_in_one_hand_are_put_on_one_clock(body):
    """The same motion, one sensor turned and 40 ms late; the body.yaml keeps everything else."""
    import threading

    import numpy as np

    from gait_twin.recording import ImuStream, Recording
    from gait_twin.sensing import read_body
    from gait_twin.sensing.players import outlet_for, play
    from gait_twin.sensing.protocols import EmulatedSensor, EmulatorSettings

    body.write_text("# mine\n" + body.read_text())
    time_s = np.arange(6000) / 100.0
    rng = np.random.default_rng(0)
    gyr = sum(
        rng.uniform(0.5, 2.0) * np.sin(2.0 * np.pi * f * time_s[:, None] + rng.uniform(0.0, 6.0, 3))
        for f in (0.7, 1.1, 1.9, 2.3)
    )
    acc = np.tile([0.0, 0.0, 9.8], (len(time_s), 1))
    streams = {
        "calcn_r": ImuStream("calcn_r", time_s, acc, gyr, sampling_rate_hz=100.0),
        "calcn_l": ImuStream("calcn_l", time_s, acc, gyr[:, [1, 2, 0]], sampling_rate_hz=100.0),
    }
    sensors = {
        device.segment: (
            EmulatedSensor(
                device.protocol.name,
                settings=EmulatorSettings(latency_ms=40.0 * (device.segment == "calcn_l"), jitter_ms=3.0),
            ),
            outlet_for(device),
        )
        for device in read_body(body).devices
    }
    stop = threading.Event()
    player = threading.Thread(target=play, args=(Recording(streams), sensors), kwargs={"stop": stop})
    player.start()
    done = gait_twin("sensors", "align", body, "--seconds", "16")
    stop.set()
    player.join()
    assert done.returncode == 0, done.stdout + done.stderr
    right, left = read_body(body).devices
    assert right.latency_s == 0.0
    assert left.latency_s == pytest.approx(0.040, abs=0.005)
    assert body.read_text().startswith("# mine\n")
    assert "latency_sd_s" in body.read_text()


def test_port_is_scanned_for_its_protocol(body, processes, tmp_path):
    emulator = processes(["gait_twin.cli", "emulate", body, "--duration", "60"], name="emulator")
    emulator.wait_for("calcn_l", 60.0)
    done = gait_twin("sensors", "scan", "--bluetooth", "0", "--udp", "0", "--port", f"{tmp_path}/calcn_r")
    assert "protocol: xsens_mti" in "".join(done.stdout.split("│")).replace("\n", "").replace("  ", ""), done.stdout
