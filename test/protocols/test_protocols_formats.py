"""Known answers: the examples of the makers' documents, and messages written by hand after them."""

from __future__ import annotations

import struct
from math import nan, pi

import pytest

from gait_twin.errors import InputError
from gait_twin.sensing.protocols import PROTOCOLS, Sample, SampleFlag, Transport, find
from gait_twin.sensing.protocols.bno08x import shtp_frame
from gait_twin.sensing.protocols.units import angles_zyx, free_acceleration, quaternion_zyx, specific_force
from gait_twin.sensing.protocols.xsens import message

G, DEG = 9.80665, pi / 180


def decode(name: str, *pieces: bytes, **options: object) -> list[Sample]:
    decoder = PROTOCOLS[name].make_decoder(options)
    return [sample for piece in pieces for sample in decoder.feed(piece)]


def near(values: object, **tolerance: float) -> object:
    return pytest.approx(values, **({"abs": 1e-6} | tolerance))


# --- x-IMU3: the examples of the user manual, section 8.2


def test_ximu3_inertial_message_of_the_manual() -> None:
    text = b"I,1000000,0.0000,0.0000,0.0000,0.0000,0.0000,1.0000\r\n"
    binary = bytes.fromhex("C9 40420F0000000000 00000000 00000000 00000000 00000000 00000000 0000803F 0A")
    for data in (text, binary):
        (sample,) = decode("ximu3", data)
        assert sample == Sample((0.0, 0.0, G), (0.0, 0.0, 0.0), device_time_s=1.0)


def test_ximu3_magnetometer_and_quaternion_messages_of_the_manual() -> None:
    mag = bytes.fromhex("CD 40420F0000000000 0000803F 00000000 00000000 0A")
    quat = bytes.fromhex("D1 40420F0000000000 0000803F 00000000 00000000 00000000 0A")
    first, second = decode("ximu3", mag, quat, field_ut=48.0)
    assert first == Sample(mag_ut=(48.0, 0.0, 0.0), device_time_s=1.0, flags=SampleFlag.MAG_RELATIVE)
    assert second == Sample(quat_wxyz=(1.0, 0.0, 0.0, 0.0), device_time_s=1.0)


def test_ximu3_other_messages_are_known_but_give_nothing() -> None:
    decoder = PROTOCOLS["ximu3"].make_decoder()
    notes = b"N,1000000,This is a notification message.\r\n" + b'{"ping":null}\r\n' + b"W,1000000,100.000,-50.0000\r\n"
    assert decoder.feed(notes) == []
    assert decoder.stats.frames == 3
    assert decoder.feed(b"F,1000000,This is an error message.\r\n") == []
    assert decoder.stats.device_errors == 1
    assert decoder.stats.malformed == decoder.stats.dropped_bytes == 0


def test_ximu3_bytes_that_look_like_ends_are_stuffed() -> None:
    # a time of 0x0A0A0A µs and an angular rate whose float holds DB: both have to be escaped
    time_us = 0x0A0ADB
    body = struct.pack("<BQ6f", 0xC9, time_us, 0, 0, 0, 0, 0, 1)
    stuffed = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\n", b"\xdb\xdc")
    (sample,) = decode("ximu3", stuffed + b"\n")
    assert sample.device_time_s == near(time_us * 1e-6)


@pytest.mark.parametrize(
    "line",
    [
        b"I,1000000,0.0,0.0,0.0,0.0,0.0\n",  # a value short
        b"I,-5,0,0,0,0,0,1\n",
        b"I,1_000,0,0,0,0,0,1\n",
        b"I,1000,0,0,0,0,0,1_0\n",
        b"I,1000,0,0,0,0,0,x\n",
        b"I,1000,0,0,0,0,0,1e9\n",  # 10 million m/s²
        b"Q,1000,0.5,0.5,0.5,0.6\n",  # no unit quaternion
        b"Z,1000,1\n",
        b"\xc9\x00\n",
        b"\xdb\x00\n",
    ],
)
def test_ximu3_what_cannot_be_a_message_is_refused(line: bytes) -> None:
    decoder = PROTOCOLS["ximu3"].make_decoder()
    assert decoder.feed(line) == []
    assert decoder.stats.malformed == 1


# --- BNO08x: the example of the datasheet, figure 1-25 and text


def test_bno08x_rvc_message_of_the_datasheet() -> None:
    data = bytes.fromhex("AAAA DE 0100 92FF 2508 8DFE ECFF D103 000000 E7")
    (sample,) = decode("bno08x_rvc", data)
    assert sample.acc_mps2 == near((-3.638, -0.196, 9.581), abs=1e-3)
    yaw, pitch, roll = angles_zyx(sample.quat_wxyz)
    assert (yaw / DEG, pitch / DEG, roll / DEG) == near((0.01, -1.10, 20.85))
    assert sample.counter == 0xDE
    assert sample.gyr_radps is None
    assert PROTOCOLS["bno08x_rvc"].make_encoder().encode(sample) == data


def test_bno08x_start_up_text_is_passed_over() -> None:
    data = bytes.fromhex("AAAA DE 0100 92FF 2508 8DFE ECFF D103 000000 E7")
    assert len(decode("bno08x_rvc", b"%Hillcrest Labs 10003608\n%SW Ver 3.2.x\n" + data)) == 1


def report(kind: int, sequence: int, *values: int, status: int = 3, delay: int = 0) -> bytes:
    return struct.pack(f"<4B{len(values)}h", kind, sequence, status, delay, *values)


def test_bno08x_shtp_reports_of_one_cargo() -> None:
    base = struct.pack("<Bi", 0xFB, 120)
    acc, gyr = report(1, 7, 0, 0, 2511), report(2, 9, 512, 0, -512, delay=20)
    quat = report(8, 3, 0, 0, 0, 16384)
    (sample,) = decode("bno08x_shtp", shtp_frame(3, 0, base + acc + quat + gyr))
    assert sample.acc_mps2 == near((0.0, 0.0, 9.80859375))
    assert sample.gyr_radps == near((1.0, 0.0, -1.0))
    assert sample.quat_wxyz == (1.0, 0.0, 0.0, 0.0)
    assert sample.counter == 9
    assert sample.age_s == near(0.010)  # 120 ticks before the transfer, less 20


def test_bno08x_shtp_accelerometer_alone() -> None:
    frames = [shtp_frame(3, i, struct.pack("<Bi", 0xFB, 0) + report(1, i, i, 0, 2511)) for i in range(4)]
    samples = decode("bno08x_shtp", *frames)
    assert [s.counter for s in samples] == [0, 1, 2]  # one waits for a gyroscope report that may come
    assert all(s.gyr_radps is None for s in samples)


@pytest.mark.parametrize(
    "frame",
    [
        shtp_frame(3, 0, struct.pack("<Bi", 0xFB, 0) + report(1, 0, 0, 0, 0)[:-1]),  # cut report
        shtp_frame(3, 0, b"\x77" + bytes(9)),  # unknown report
        shtp_frame(9, 0, report(1, 0, 0, 0, 0)),  # no such channel
        shtp_frame(3, 0, report(8, 0, 0, 0, 0, 9000)),  # no unit quaternion
        b"\x7e\x01\x20\x00\x03\x00" + report(1, 0, 0, 0, 0) + b"\x7e",  # wrong length
        b"\x7e\x05abc\x7e",
        b"\x7e\x01\x7d\x7e",  # escape without a byte
    ],
)
def test_bno08x_shtp_what_cannot_be_a_frame_is_refused(frame: bytes) -> None:
    decoder = PROTOCOLS["bno08x_shtp"].make_decoder()
    assert decoder.feed(frame) == []
    assert decoder.stats.malformed == 1


def test_bno08x_shtp_commands_ask_for_reports() -> None:
    first, *_ = PROTOCOLS["bno08x_shtp"].start(PROTOCOLS["bno08x_shtp"].make_options({"rate_hz": 100}))
    # figure 1-33: Set Feature, accelerometer, flags, sensitivity, interval 10000 µs
    assert first.payload == bytes.fromhex("7E01 15000200 FD 01 00 0000 10270000 00000000 00000000 7E")
    assert first.byte_gap_s >= 100e-6


# --- BNO055: datasheet, sections 3.6.5 and 4.7


def test_bno055_answer() -> None:
    raw = struct.pack("<9h6x4h", 0, 0, 981, 16, 0, -32, 16, -16, 0, 0, 0, 0, 16384)
    (sample,) = decode("bno055", b"\xbb\x20" + raw, mode="ndof")
    assert sample.acc_mps2 == near((0.0, 0.0, 9.81))
    assert sample.mag_ut == near((1.0, 0.0, -2.0))
    assert sample.gyr_radps == near((DEG, -DEG, 0.0))
    assert sample.quat_wxyz == (0.0, 0.0, 0.0, 1.0)
    assert sample.device_time_s is None


def test_bno055_acknowledgements_and_refusals() -> None:
    decoder = PROTOCOLS["bno055"].make_decoder()
    assert decoder.feed(b"\xee\x01\xee\x07") == []
    assert (decoder.stats.frames, decoder.stats.device_errors) == (2, 1)


def test_bno055_before_the_fusion_has_begun_there_is_no_orientation() -> None:
    (sample,) = decode("bno055", b"\xbb\x20" + struct.pack("<9h14x", 0, 0, 981, 0, 0, 0, 0, 0, 0))
    assert sample.quat_wxyz is None
    assert sample.mag_ut is None  # mode imu: the magnetometer sleeps


def test_bno055_commands() -> None:
    protocol = PROTOCOLS["bno055"]
    options = protocol.make_options({"mode": "ndof"})
    assert [c.payload.hex() for c in protocol.start(options)] == ["aa003d0100", "aa003b0100", "aa003d010c"]
    assert protocol.poll(options).payload.hex() == "aa010820"


# --- Xsens


def packet(identifier: int, form: str, *values: float) -> bytes:
    data = struct.pack(">" + form, *values)
    return struct.pack(">HB", identifier, len(data)) + data


def test_xsens_commands() -> None:
    # the low-level documentation's own: GoToConfig and GoToMeasurement
    assert message(0x30).hex() == "faff3000d1"
    assert message(0x10).hex() == "faff1000f1"
    protocol = PROTOCOLS["xsens_mti"]
    options = protocol.make_options({"rate_hz": 100, "orientation": False, "magnetometer": False})
    outputs = protocol.start(options)[1].payload
    assert outputs[:4].hex() == "faffc014"
    assert outputs[4:-1].hex() == "1020ffff" + "1060ffff" + "40200064" + "80200064" + "e020ffff"
    assert sum(outputs[1:]) % 256 == 0


def test_xsens_numbers_in_every_format() -> None:
    vector = (-1.25, 0.5, 9.75)
    fixed12 = packet(0x4021, "3i", *(int(v * 2**20) for v in vector))
    # 16.32: the fraction comes first, then the whole number
    fixed16 = b"".join(struct.pack(">Ih", round(v * 2**32) & 0xFFFFFFFF, round(v * 2**32) >> 32) for v in vector)
    for data in (
        packet(0x4020, "3f", *vector),
        packet(0x4023, "3d", *vector),
        fixed12,
        struct.pack(">HB", 0x4022, 18) + fixed16,
        packet(0x4040, "3f", *vector),  # high-rate
    ):
        (sample,) = decode("xsens_mti", message(0x36, data))
        assert sample.acc_mps2 == near(vector)


def test_xsens_time_counter_and_clipping() -> None:
    data = packet(0x1020, "H", 42581) + packet(0x1060, "I", 5719854) + packet(0x8020, "3f", 1, 2, 3)
    data += packet(0xE020, "I", 0x00481401) + packet(0x3010, "I", 100062) + packet(0x0810, "f", 37.6)
    (sample,) = decode("xsens_mti", message(0x36, data))
    assert sample.counter == 42581
    assert sample.device_time_s == near(571.9854)
    assert sample.flags == SampleFlag.ACC_SATURATED | SampleFlag.GYR_SATURATED
    assert sample.acc_mps2 is None


def test_xsens_counters_wrap() -> None:
    data = [
        packet(0x1020, "H", n & 0xFFFF) + packet(0x1060, "I", (n * 100) & 0xFFFFFFFF) for n in (65535, 65536, 65538)
    ]
    data = [d + packet(0x8020, "3f", 0, 0, 0) for d in data]
    assert [s.counter for s in decode("xsens_mti", *(message(0x36, d) for d in data))] == [65535, 65536, 65538]


def test_xsens_orientation_is_given_in_a_frame_with_z_up() -> None:
    # lying flat and facing north: no turn in NED when x is north and z down, half a turn about x in NWU
    (ned,) = decode("xsens_mti", message(0x36, packet(0x2014, "4f", 1, 0, 0, 0)))
    assert ned.quat_wxyz == near((0.0, 1.0, 0.0, 0.0))
    (enu,) = decode("xsens_mti", message(0x36, packet(0x2010, "4f", 1, 0, 0, 0)))
    assert enu.quat_wxyz == (1.0, 0.0, 0.0, 0.0)


def test_xsens_specific_force_from_free_acceleration() -> None:
    quat = quaternion_zyx(0.3, -0.4, 0.5)
    acc = (1.0, -2.0, 9.0)
    data = packet(0x2010, "4f", *quat) + packet(0x4030, "3f", *free_acceleration(quat, acc))
    (sample,) = decode("xsens_mti", message(0x36, data))
    assert sample.acc_mps2 == near(acc, abs=1e-5)
    assert sample.flags == SampleFlag.ACC_DERIVED


def test_xsens_devices_on_one_bus_are_told_apart() -> None:
    first = message(0x36, packet(0x1020, "H", 65535) + packet(0x8020, "3f", 0, 0, 0), bid=1)
    other = message(0x36, packet(0x1020, "H", 3) + packet(0x8020, "3f", 0, 0, 0), bid=2)
    samples = decode("xsens_mti", first, other, first.replace(first, other))
    assert [(s.sensor, s.counter) for s in samples] == [("1", 65535), ("2", 3), ("2", 3)]


def test_xsens_long_messages_and_answers() -> None:
    data = packet(0x8020, "3f", 1, 2, 3) * 20
    long = b"\xff\x36\xff" + struct.pack(">H", len(data)) + data
    long = b"\xfa" + long + bytes((-sum(long) & 0xFF,))
    assert len(decode("xsens_mti", long)) == 1
    decoder = PROTOCOLS["xsens_mti"].make_decoder()
    decoder.feed(message(0x31) + message(0x11) + message(0x42, b"\x03"))
    assert (decoder.stats.frames, decoder.stats.device_errors, decoder.stats.dropped_bytes) == (3, 1, 0)


# --- Movella DOT: BLE services specification, sections 3.2 to 3.5


def test_dot_payloads() -> None:
    (sample,) = decode("movella_dot", struct.pack("<I6f12x", 16667, 0, 0, 9.81, 90, 0, -90), mode="rate")
    assert sample.device_time_s == near(0.016667)
    assert sample.acc_mps2 == near((0.0, 0.0, 9.81))
    assert sample.gyr_radps == near((pi / 2, 0.0, -pi / 2))


def test_dot_clipping_of_the_specification() -> None:
    # section 3.5.1: status 0x0012 is accelerometer y and gyroscope y
    payload = struct.pack("<I7fH2B4x", 0, 1, 0, 0, 0, 0, 0, 0, 0x0012, 0, 0)
    (sample,) = decode("movella_dot", payload, mode="extended_quaternion")
    assert sample.acc_mps2 == near((0.0, 0.0, G))
    assert sample.flags == SampleFlag.ACC_SATURATED | SampleFlag.GYR_SATURATED | SampleFlag.ACC_DERIVED


def test_dot_payload_of_another_mode_is_refused() -> None:
    decoder = PROTOCOLS["movella_dot"].make_decoder({"mode": "complete_quaternion"})
    payload = PROTOCOLS["movella_dot"].make_encoder().encode(Sample((0, 0, 9.8), (1, 1, 1), None, (1, 0, 0, 0), 1.0))
    assert decoder.feed(payload) == []
    assert decoder.stats.malformed == 1


def test_dot_commands_and_profile() -> None:
    protocol = PROTOCOLS["movella_dot"]
    options = protocol.make_options({"mode": "rate", "rate_hz": 60})
    rate, go = protocol.start(options)
    assert len(rate.payload) == 32
    assert (rate.payload[0], rate.payload[24:26]) == (0x10, b"\x3c\x00")
    assert go.payload == bytes((1, 1, 21))
    assert go.characteristic == "15172001-4947-11e9-8646-d663bd873d93"
    assert protocol.ble(options).notify == "15172003-4947-11e9-8646-d663bd873d93"
    with pytest.raises(InputError, match="rate_hz is 50; choose one of"):
        protocol.make_options({"rate_hz": 50})


# --- WitMotion: datasheets


def wit(kind: int, *values: int) -> bytes:
    frame = struct.pack("<BB4h", 0x55, kind, *values)
    return frame + bytes((sum(frame) & 0xFF,))


def wit_time(*fields: int) -> bytes:
    frame = struct.pack("<8BH", 0x55, 0x50, *fields)
    return frame + bytes((sum(frame) & 0xFF,))


def test_wit_instant_of_several_frames() -> None:
    one = wit_time(24, 2, 29, 12, 30, 15, 250) + wit(0x51, 0, 0, 2048, 0) + wit(0x52, 16384, 0, -16384, 0)
    samples = decode("witmotion", one + wit(0x53, 0, 0, 16384, 0), one)
    assert samples[0].acc_mps2 == near((0.0, 0.0, G))
    assert samples[0].gyr_radps == near((1000 * DEG, 0.0, -1000 * DEG))
    assert angles_zyx(samples[0].quat_wxyz) == near((pi / 2, 0.0, 0.0))
    assert samples[0].device_time_s == near(8825 * 86400 + 45015.25)  # 29 February 2024


def test_wit_sample_comes_with_its_last_frame_once_the_row_is_known() -> None:
    decoder = PROTOCOLS["witmotion"].make_decoder()
    row = [wit(kind, 0, 0, 2048, 0) for kind in (0x51, 0x52, 0x54)]
    for _ in range(3):
        for frame in row:
            decoder.feed(frame)
    assert [len(decoder.feed(frame)) for frame in row] == [0, 0, 1]
    assert [len(decoder.feed(frame)) for frame in row[:2]] == [0, 0]  # the last frame is lost
    assert [len(decoder.feed(frame)) for frame in row] == [1, 0, 1]


def test_wit_a_clock_that_was_never_set_gives_no_time() -> None:
    first, *_ = decode("witmotion", *[wit_time(0, 0, 0, 0, 0, 1, 0) + wit(0x51, 0, 0, 2048, 0)] * 3)
    assert first.device_time_s is None


def test_wit_saturation() -> None:
    sample, *_ = decode("witmotion", *[wit(0x51, 32767, 0, 0, 0) + wit(0x52, 0, -32768, 0, 0)] * 2)
    assert sample.flags == SampleFlag.ACC_SATURATED | SampleFlag.GYR_SATURATED


def test_wit_bluetooth_frames_of_the_datasheet() -> None:
    # section 6.1.2.1: magnetic field 360, 105, 122 mG
    answer = bytes.fromhex("55713A00 68016900 7A000000 00000000 00000000")
    (sample,) = decode("witmotion_ble", answer)
    assert sample.mag_ut == near((36.0, 10.5, 12.2))
    (sample,) = decode("witmotion_ble", struct.pack("<2B9h", 0x55, 0x61, 0, 0, 2048, 16384, 0, 0, 0, 8192, 0))
    assert sample.acc_mps2 == near((0.0, 0.0, G))
    assert sample.gyr_radps == near((1000 * DEG, 0.0, 0.0))
    assert angles_zyx(sample.quat_wxyz) == near((0.0, pi / 4, 0.0))


def test_wit_commands() -> None:
    protocol = PROTOCOLS["witmotion"]
    options = protocol.make_options({"rate_hz": 200})
    payloads = [c.payload.hex() for c in protocol.start(options)]
    assert payloads == ["ffaa6988b5", "ffaa020702", "ffaa030b00"]
    assert {c.characteristic[4:8] for c in PROTOCOLS["witmotion_ble"].start(options)} == {"ffe9"}


# --- NGIMU: Open Sound Control 1.0


def osc(address: bytes, *values: float) -> bytes:
    types = b"," + b"f" * len(values)
    padded = [text + bytes(4 - len(text) % 4) for text in (address, types)]
    return b"".join(padded) + struct.pack(f">{len(values)}f", *values)


def bundle(*messages: bytes, unix_s: float = 1.5) -> bytes:
    time = struct.pack(">Q", int((unix_s + 2208988800) * 2**32))
    return b"#bundle\0" + time + b"".join(struct.pack(">I", len(m)) + m for m in messages)


def test_ngimu_bundle() -> None:
    sensors = osc(b"/sensors", 90, 0, 0, 0, 0, 1, 20, 0, -40, 1013)
    first, second = decode("ngimu_udp", bundle(sensors, osc(b"/quaternion", 1, 0, 0, 0)))
    assert first == Sample((0.0, 0.0, G), (pi / 2, 0.0, 0.0), (20.0, 0.0, -40.0), None, 1.5)
    assert second == Sample(quat_wxyz=(1.0, 0.0, 0.0, 0.0), device_time_s=1.5)


def test_ngimu_bundles_in_bundles_and_other_messages() -> None:
    inner = bundle(osc(b"/quaternion", 1, 0, 0, 0), unix_s=2.5)
    decoder = PROTOCOLS["ngimu_udp"].make_decoder()
    (sample,) = decoder.feed(bundle(osc(b"/battery", 80, 4, 3), inner))
    assert sample.device_time_s == 2.5
    assert decoder.feed(osc(b"/temperature", 30, 31)) == []
    assert decoder.stats.malformed == 0


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"#bundle\0",
        bundle(b"/x"),
        bundle(osc(b"/quaternion", 1, 0, 0)[:-1]),
        bundle(osc(b"/quaternion", 1, 1, 0, 0)),
        bundle(osc(b"/quaternion", 1, 0, 0, 0))[:-4],
        bundle(bundle(bundle(bundle(bundle(osc(b"/quaternion", 1, 0, 0, 0)))))),
        b"hello world.",
    ],
)
def test_ngimu_what_cannot_be_a_packet_is_refused(datagram: bytes) -> None:
    decoder = PROTOCOLS["ngimu_udp"].make_decoder()
    assert decoder.feed(datagram) == []
    assert decoder.stats.malformed == 1


def test_ngimu_slip_escapes() -> None:
    packet = bundle(osc(b"/quaternion", 1, 0, 0, 0), unix_s=0xC0DB)
    frame = b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
    (sample,) = decode("ngimu_serial", frame)
    assert sample.device_time_s == 0xC0DB


# --- lines


def test_lines_of_comma_separated_values() -> None:
    first = b"0,0,0,0,0,0,0\n"  # may be the tail of a line: not used
    (sample,) = decode("lines", first, b"2500,0,0,9.81,0.1,0.2,-0.3\r\n")
    assert sample == Sample((0.0, 0.0, 9.81), (0.1, 0.2, -0.3), device_time_s=0.0025)


def test_lines_with_names_in_the_stream() -> None:
    data = b"id,n,t_ms,ax_g,ay_g,az_g,gx_dps,gy_dps,gz_dps\nleft,7,1000,0,0,1,90,0,0\nright,9,1000,1,0,0,0,0,0\n"
    left, right = decode("lines", data)
    assert left == Sample((0.0, 0.0, G), (pi / 2, 0.0, 0.0), None, None, 1.0, 7, 0.0, "left")
    assert (right.sensor, right.counter) == ("right", 9)


def test_lines_of_json() -> None:
    data = b'{"t_us":2500,"acc_g":[0,0,1],"gx_dps":180,"gy_dps":0,"gz_dps":0,"quat":[1,0,0,0],"battery":3.9,"id":2}\n'
    (sample,) = decode("lines", data)
    assert sample == Sample((0.0, 0.0, G), (pi, 0.0, 0.0), None, (1.0, 0.0, 0.0, 0.0), 0.0025, None, 0.0, "2")


def test_lines_with_checksum() -> None:
    decoder = PROTOCOLS["lines"].make_decoder({"checksum": True})
    text = b"2500,0,0,9.81,0.1,0.2,-0.3"
    code = 0
    for byte in text:
        code ^= byte
    assert len(decoder.feed(text + b"*%02X\n" % code)) == 1
    assert len(decoder.feed(text + b"*%02x\r\n" % code)) == 1
    assert decoder.feed(text + b"*%02X\n" % (code ^ 1)) == []
    assert decoder.feed(text + b"\n") == []
    assert decoder.stats.checksum_errors == 2


def test_lines_missing_values_are_nan() -> None:
    _, sample = decode("lines", b'{"ax":1}\n', b"0,,,9.81,nan,0,0\n")
    assert sample.acc_mps2 == pytest.approx((nan, nan, 9.81), nan_ok=True)
    assert sample.gyr_radps == pytest.approx((nan, 0.0, 0.0), nan_ok=True)


def test_lines_clock_of_an_arduino_wraps() -> None:
    lines = [b"%d,0,0,9.81,0,0,0\n" % (t % 2**32) for t in (0, 2**32 - 1000, 2**32 + 1500)]
    samples = decode("lines", *lines)
    assert samples[1].device_time_s - samples[0].device_time_s == near(0.0025)


@pytest.mark.parametrize(
    "line",
    [
        b"1,2,3\n",
        b"1,2,3,4,5,6,7,8\n",
        b"1,0x2,3,4,5,6,7\n",
        b"1,2,3,4,5,6,1_0\n",
        b"1,1e99,3,4,5,6,7\n",
        b"inf,1,3,4,5,6,7\n",
        b"\xff\xfe\x00\n",
        b"{\n",
        b"[1]\n",
        b'{"acc":[1,2]}\n',
        b'{"acc":"up"}\n',
        b'{"acc":[true,0,0]}\n',
        b'{"t_us":1}\n',
        b'{"ax":1' + b"0" * 900 + b"}\n",
        b'{"a":' + b"[" * 900 + b"\n",
    ],
)
def test_lines_what_cannot_be_a_sample_is_refused(line: bytes) -> None:
    decoder = PROTOCOLS["lines"].make_decoder()
    decoder.feed(b"0,0,0,0,0,0,0\n")
    assert decoder.feed(line) == []
    assert decoder.stats.malformed == 1


def test_lines_that_never_end_do_not_fill_the_memory() -> None:
    decoder = PROTOCOLS["lines"].make_decoder()
    decoder.feed(b"0,0,0,0,0,0,0\n")
    before = decoder.stats.dropped_bytes
    for _ in range(1000):
        decoder.feed(b"1" * 1000)
    decoder.feed(b"\n")
    assert decoder.stats.dropped_bytes - before == 1_000_001
    assert len(decoder.feed(b"1,0,0,9.81,0,0,0\n")) == 1


def test_lines_unknown_columns_are_refused() -> None:
    with pytest.raises(InputError, match="columns has 'acc_x'; known are t_us"):
        PROTOCOLS["lines"].make_options({"columns": "t_us,acc_x"})


# --- the registry


def test_every_protocol_says_how_it_is_reached() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.documents
        options = protocol.make_options()
        assert (Transport.BLE in protocol.transports) == (protocol.ble is not None)
        for command in (*protocol.start(options), *protocol.stop(options)):
            assert command.payload
            assert command.pause_s >= 0
        assert protocol.polling_rate_hz(options) > 0 or protocol.poll is None


def test_unknown_names_and_values_are_refused() -> None:
    with pytest.raises(InputError, match="no protocol 'xsense'; choose one of xsens_mti"):
        find("xsense")
    with pytest.raises(InputError, match="protocol ngimu_udp has no option 'rate'; it has none"):
        PROTOCOLS["ngimu_udp"].make_options({"rate": 1})
    with pytest.raises(InputError, match=r"XsensOptions.rate_hz is 0; give a value from 1 to 2000"):
        PROTOCOLS["xsens_mti"].make_options({"rate_hz": 0})


def test_gravity_is_put_back_where_it_was() -> None:
    quat = quaternion_zyx(0.3, 0.8, -2.0)
    acc = (3.0, -1.0, 7.0)
    assert specific_force(quat, free_acceleration(quat, acc)) == near(acc)
    assert specific_force((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) == near((0.0, 0.0, G))
