"""body.yaml: what it gives, and what each mistake is answered with."""

from __future__ import annotations

import math
import re

import pytest

from gait_twin.errors import InputError
from gait_twin.sensing.devices import Address, make_device, make_link, read_body
from gait_twin.sensing.protocols import Transport
from gait_twin.sensing.transports import FileLink, SerialLink, TcpLink, UdpLink

GOOD = """\
subject: {name: Ada, height_m: 1.7}
sensors:
  pelvis: {imu: /other/imu, mag: /other/mag, forward: -z}
  calcn_r:
    protocol: xsens_mti
    device: /dev/ttyUSB0
    noise: {acc_mps2: 0.02, gyr_radps: 0.002}
  calcn_l: {protocol: ximu3, device: 192.168.1.7, port: 8001, latency_s: 0.003}
  tibia_l: {protocol: lines, transport: tcp, device: leg.local, sensor: left}
  tibia_r: {protocol: lines, transport: tcp, device: leg.local, sensor: right}
  femur_l: {protocol: movella_dot, device: "D4:22:CD:00:12:34", options: {rate_hz: 30}}
  torso:
"""


@pytest.fixture
def body_yaml(tmp_path):
    def write(text):
        path = tmp_path / "body.yaml"
        path.write_text(text)
        return path

    return write


def test_good_file(body_yaml):
    body = read_body(body_yaml(GOOD))
    assert body.subject.name == "Ada"
    assert math.isnan(body.subject.mass_kg)
    assert body.imus["pelvis"] == "/other/imu"
    assert body.imus["torso"] == "imu/torso/data_raw"
    assert body.mags == {"pelvis": "/other/mag"}
    assert body.mounting == ("pelvis=-z",)
    by_segment = {device.segment: device for device in body.devices}
    assert list(by_segment) == ["calcn_r", "calcn_l", "tibia_l", "tibia_r", "femur_l"]
    assert by_segment["calcn_r"].address == Address(Transport.SERIAL, "/dev/ttyUSB0", 0, 115200)
    assert by_segment["calcn_r"].noise == {"acc_mps2": 0.02, "gyr_radps": 0.002}
    assert by_segment["calcn_l"].address == Address(Transport.UDP, "192.168.1.7", 8001)
    assert by_segment["calcn_l"].latency_s == 0.003
    assert by_segment["tibia_l"].address == by_segment["tibia_r"].address
    assert str(by_segment["tibia_l"].address) == "tcp leg.local:9763"
    links = [type(make_link(device)) for device in body.devices[:4]]
    assert links == [SerialLink, UdpLink, TcpLink, TcpLink]


@pytest.mark.parametrize(
    ("entry", "line", "says"),
    [
        ("calcn: {}", 2, "'calcn' is not a segment .*choose of pelvis"),
        ("calcn_r: {protocol: xsens, device: /dev/ttyUSB0}", 2, "'xsens' is not a protocol .*xsens_mti"),
        ("calcn_r: {protocol: xsens_mti}", 2, "calcn_r needs `device`: the port, as /dev/ttyUSB0; .*scan"),
        ("calcn_r: {protocol: xsens_mti, device: a, transport: udp}", 2, "does not come over 'udp'; choose serial or"),
        ("calcn_r: {protocol: ngimu_udp}", 2, "calcn_r needs `port`: ngimu_udp has no usual one"),
        ("calcn_r: {protocol: xsens_mti, device: a, port: 8000}", 2, "`port` has no meaning for serial"),
        ("calcn_r: {protocol: ximu3, port: 80000}", 2, "`sensors.calcn_r.port` is 80000; give at most 65535"),
        ("calcn_r: {protocol: ximu3, baud_rate: 9600}", 2, "`baud_rate` has no meaning for udp"),
        ("calcn_r: {protocol: ximu3, options: {speed: 3}}", 2, "calcn_r: .*no option 'speed'"),
        ("calcn_r: {device: /dev/ttyUSB0}", 2, "calcn_r has `device` but no `protocol`; name one of xsens_mti"),
        ("calcn_r: {protocol: ximu3, imu: /a}", 2, "both a topic of another driver .* and a `protocol`"),
        ("calcn_r: {protocl: ximu3}", 2, "`protocl` is not a key here .*`?protocol"),
        ("calcn_r: {imu: /a, forward: up}", 2, "`sensors.calcn_r.forward` is 'up'"),
        ("calcn_r: {protocol: ximu3}\n  calcn_l: {protocol: ximu3}", 3, "are the same device .*tell them apart"),
        (
            "calcn_r: {protocol: ximu3, sensor: a}\n  calcn_l: {protocol: ximu3, sensor: b, options: {field_ut: 40.0}}",
            3,
            "share udp 8000, so protocol and options must be the same",
        ),
        ("calcn_r: {protocol: ximu3, noise: {acc_mps2: 0.0}}", 2, "noise.acc_mps2` is 0.0; give greater than 0"),
    ],
)
def test_each_mistake_is_named_with_its_line(body_yaml, entry, line, says):
    with pytest.raises(InputError) as refused:
        read_body(body_yaml(f"sensors:\n  {entry}\n"))
    assert f"body.yaml, line {line}, column" in str(refused.value)
    assert re.search(says, str(refused.value)), str(refused.value)


def test_what_is_no_yaml_or_not_there(body_yaml, tmp_path):
    with pytest.raises(InputError, match="not YAML"):
        read_body(body_yaml("sensors: [\n"))
    with pytest.raises(InputError, match="needs at least `sensors`"):
        read_body(body_yaml("- 1\n"))
    with pytest.raises(InputError, match="`sensors` is missing"):
        read_body(body_yaml("subject: {name: x}\n"))
    with pytest.raises(InputError, match="is not there"):
        read_body(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("protocol", "text", "address"),
    [
        ("xsens_mti", "serial:/dev/ttyUSB0", Address(Transport.SERIAL, "/dev/ttyUSB0", 0, 115200)),
        ("witmotion", "serial:/dev/ttyUSB0:230400", Address(Transport.SERIAL, "/dev/ttyUSB0", 0, 230400)),
        ("ximu3", "udp::9001", Address(Transport.UDP, "", 9001)),
        ("ximu3", "tcp:10.0.0.7", Address(Transport.TCP, "10.0.0.7", 7000)),
        ("movella_dot", "ble:D4:22:CD:00:12:34", Address(Transport.BLE, "D4:22:CD:00:12:34")),
        ("xsens_mti", "file:walk.bin", Address(Transport.FILE, "walk.bin")),
    ],
)
def test_address_as_a_person_writes_it(protocol, text, address):
    assert make_device(protocol, text).address == address


def test_address_that_cannot_be():
    with pytest.raises(InputError, match="xsens_mti usb:1: xsens_mti does not come over 'usb'"):
        make_device("xsens_mti", "usb:1")
    assert isinstance(make_link(make_device("xsens_mti", "file:walk.bin")), FileLink)
