"""Devices in the whole live graph: sensors are pulled out and put back during a walk; the rest does not notice."""

from __future__ import annotations

import dataclasses
import signal
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from gait_twin.recording import open_bag
from gait_twin.sensing.players import PtyOutlet, TcpOutlet, UdpOutlet, play
from gait_twin.sensing.protocols import EmulatedSensor, EmulatorSettings
from gait_twin.simulation import default_demo, simulate

SEGMENTS = ("pelvis", "calcn_r", "calcn_l", "tibia_r")
UNPLUGGED_S = {"calcn_r": (12.0, 14.5), "calcn_l": (16.0, 18.5), "pelvis": (20.0, 22.5)}
END_S = 27.0


@pytest.mark.graph
@pytest.mark.slow
def test_unplugged_during_a_walk_each_transport_comes_back_and_the_rest_goes_on(graph, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    outlets = {
        "calcn_r": ("xsens_mti", PtyOutlet(tmp_path / "calcn_r")),
        "calcn_l": ("ximu3", UdpOutlet(port)),
        "pelvis": ("lines", TcpOutlet()),
        "tibia_r": ("witmotion", PtyOutlet(tmp_path / "tibia_r")),
    }
    tcp_port = outlets["pelvis"][1].address.rpartition(":")[2]
    body = tmp_path / "body.yaml"
    body.write_text(
        "subject: {name: Ada, height_m: 1.7, mass_kg: 60}\nsensors:\n"
        f"  pelvis: {{protocol: lines, transport: tcp, device: 127.0.0.1, port: {tcp_port}}}\n"
        f"  calcn_r: {{protocol: xsens_mti, device: {tmp_path}/calcn_r}}\n"
        f"  calcn_l: {{protocol: ximu3, port: {port}}}\n"
        f"  tibia_r: {{protocol: witmotion, device: {tmp_path}/tibia_r}}\n"
    )
    walk, worn = default_demo()
    recording = simulate(
        dataclasses.replace(walk, duration_s=END_S),
        dataclasses.replace(worn, segments=SEGMENTS, rates_hz=(100.0,), packet_loss=0.0),
    )
    settings = [
        EmulatorSettings(drift_ppm=100.0, jitter_ms=3.0, seed=i, unplugged_s=UNPLUGGED_S.get(segment, ()))
        for i, segment in enumerate(SEGMENTS)
    ]
    sensors = {
        segment: (EmulatedSensor(outlets[segment][0], settings=settings[i]), outlets[segment][1])
        for i, segment in enumerate(SEGMENTS)
    }
    out = tmp_path / "out"
    run = graph("live", body=body, record=out)
    run.wait_for("Recording to", 60.0)
    run.wait_for("of 4 links are open", 60.0)  # with all missing but the UDP port: they appear now
    began: list[float] = []
    player = threading.Thread(target=lambda: (began.append(time.time()), play(recording, sensors)))
    player.start()
    player.join(END_S + 30.0)
    time.sleep(1.0)
    assert run.stop(signal.SIGINT) == 0, run.output()
    said = run.output()
    for victim in UNPLUGGED_S:
        assert f"{victim} is back after" in said, said
    stamps: dict[str, list[float]] = {segment: [] for segment in SEGMENTS}
    errors: dict[str, list[float]] = {segment: [] for segment in SEGMENTS}
    with open_bag(out) as bag:
        for message in bag.messages([f"/imu/{segment}/data_raw" for segment in SEGMENTS] + ["/diagnostics"]):
            decoded = bag.decode(message)
            if message.topic == "/diagnostics":
                for status in decoded.status:
                    _, colon, segment = status.name.partition("imu_driver: ")
                    if colon and status.level in (2, b"\x02"):
                        errors[segment].append(message.log_ns / 1e9 - began[0])
            else:
                stamp = decoded.header.stamp
                stamps[message.topic.split("/")[2]].append(stamp.sec + stamp.nanosec * 1e-9 - began[0])
    for segment in SEGMENTS:
        time_s = np.array(stamps[segment])
        assert np.all(np.diff(time_s) > 0.0)
        gaps = np.flatnonzero(np.diff(time_s) > 0.3)
        # the first seconds are the graph's own start, the last one the end of the play
        gaps = gaps[(time_s[gaps] > 8.0) & (time_s[gaps] < END_S - 1.0)]
        assert len(gaps) == (segment in UNPLUGGED_S), (segment, time_s[gaps])
        if segment in UNPLUGGED_S:
            out_s, back_s = UNPLUGGED_S[segment]
            left_s, again_s = time_s[gaps[0]], time_s[gaps[0] + 1]
            assert left_s == pytest.approx(out_s, abs=3.0)  # the player's own start is not that sharp
            assert again_s - left_s < back_s - out_s + 3.0
            assert any(left_s < at_s < again_s + 1.0 for at_s in errors[segment])
