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
    processes(["gait_twin.cli", "emulate", body, "--duration", "60"], name="emulator")
    run.wait_for("Walk straight ahead", 60.0)
    assert run.wait(60.0) == 0, run.output()
    from gait_twin.sensing import read_calibration

    found = read_calibration(path)
    assert set(found.sensors) == {"calcn_r", "calcn_l"}
    assert found.walking_s >= 5.0
    assert found.sensors["calcn_r"].accelerometer.poses >= 1
    assert "forward" in run.output()
