"""All protocols by name."""

from __future__ import annotations

from gait_twin.errors import InputError
from gait_twin.sensing.protocols import bno055, bno08x, dot, lines, ngimu, witmotion, ximu3, xsens
from gait_twin.sensing.protocols.base import Protocol, Transport

_SERIAL, _BLE, _UDP, _TCP, _FILE = Transport.SERIAL, Transport.BLE, Transport.UDP, Transport.TCP, Transport.FILE

_ALL = (
    Protocol(
        name="xsens_mti",
        title="Xsens MTi (MTData2)",
        description="Specific force, angular rate, magnetic field and orientation, 400 Hz and more.",
        transports=(_SERIAL, _FILE),
        datagram=False,
        checksum=True,
        decoder=xsens.XsensDecoder,
        encoder=xsens.XsensEncoder,
        options=xsens.XsensOptions,
        start=xsens.start,
        stop=xsens.stop,
        baud_rate=115200,
        documents=("Xsens MT Low Level Communication Protocol Documentation, MT0101P",),
    ),
    Protocol(
        name="movella_dot",
        title="Movella DOT, Xsens DOT",
        description="Specific force, angular rate and orientation over Bluetooth LE, up to 60 Hz.",
        transports=(_BLE,),
        datagram=True,
        checksum=False,
        decoder=dot.DotDecoder,
        encoder=dot.DotEncoder,
        options=dot.DotOptions,
        start=dot.start,
        stop=dot.stop,
        ble=dot.ble,
        documents=("Movella DOT BLE Services Specifications, revision C",),
    ),
    Protocol(
        name="witmotion",
        title="WitMotion serial (WT901, HWT901, …)",
        description="Specific force, angular rate, orientation and magnetic field, up to 200 Hz; ±16 g, ±2000 °/s.",
        transports=(_SERIAL, _TCP, _FILE),
        datagram=False,
        checksum=True,
        decoder=witmotion.WitDecoder,
        encoder=witmotion.WitEncoder,
        options=witmotion.WitOptions,
        start=witmotion.start(),
        baud_rate=9600,
        documents=("WIT Standard Communication Protocol", "WT901 Datasheet v20-0702"),
    ),
    Protocol(
        name="witmotion_ble",
        title="WitMotion Bluetooth LE (WT901BLE, BWT901BLE)",
        description="Specific force, angular rate and orientation, up to 200 Hz; no time of its own.",
        transports=(_BLE, _SERIAL, _FILE),
        datagram=False,
        checksum=False,
        decoder=witmotion.WitBleDecoder,
        encoder=witmotion.WitBleEncoder,
        options=witmotion.WitOptions,
        start=witmotion.start(witmotion.ble(witmotion.WitOptions()).write),
        baud_rate=115200,
        ble=witmotion.ble,
        documents=("WT901BLECL Datasheet v20-0707",),
    ),
    Protocol(
        name="ximu3",
        title="x-io x-IMU3",
        description="Specific force and angular rate at 400 Hz, magnetic field and orientation at rates of their own.",
        transports=(_UDP, _TCP, _SERIAL, _FILE),
        datagram=False,
        checksum=False,
        decoder=ximu3.XImu3Decoder,
        encoder=ximu3.XImu3Encoder,
        options=ximu3.XImu3Options,
        baud_rate=115200,
        udp_port=8000,
        tcp_port=7000,
        documents=("x-IMU3 User Manual v0.11 and v1.7",),
    ),
    Protocol(
        name="ngimu_udp",
        title="x-io NGIMU over Wi-Fi (OSC)",
        description="Specific force, angular rate, magnetic field and orientation, up to 400 Hz.",
        transports=(_UDP,),
        datagram=True,
        checksum=False,
        decoder=ngimu.NgimuUdpDecoder,
        encoder=ngimu.NgimuUdpEncoder,
        documents=("NGIMU User Manual v1.6", "Open Sound Control 1.0 Specification"),
    ),
    Protocol(
        name="ngimu_serial",
        title="x-io NGIMU over USB or serial (OSC in SLIP)",
        description="Specific force, angular rate, magnetic field and orientation, up to 400 Hz.",
        transports=(_SERIAL, _FILE),
        datagram=False,
        checksum=False,
        decoder=ngimu.NgimuSerialDecoder,
        encoder=ngimu.NgimuSerialEncoder,
        baud_rate=115200,
        documents=("NGIMU User Manual v1.6", "Open Sound Control 1.0 Specification", "RFC 1055"),
    ),
    Protocol(
        name="bno08x_rvc",
        title="BNO080/085/086, UART-RVC",
        description="Specific force and orientation at 100 Hz; no angular rate.",
        transports=(_SERIAL, _FILE),
        datagram=False,
        checksum=True,
        decoder=bno08x.RvcDecoder,
        encoder=bno08x.RvcEncoder,
        baud_rate=115200,
        documents=("BNO080 Data Sheet 1000-3927",),
    ),
    Protocol(
        name="bno08x_shtp",
        title="BNO080/085/086, SHTP over UART",
        description="Specific force and angular rate up to 400 Hz, orientation, magnetic field; a 3 Mbaud line.",
        transports=(_SERIAL, _FILE),
        datagram=False,
        checksum=False,
        decoder=bno08x.ShtpDecoder,
        encoder=bno08x.ShtpEncoder,
        options=bno08x.ShtpOptions,
        start=bno08x.start,
        stop=bno08x.stop,
        session=bno08x.ShtpSession,
        baud_rate=3_000_000,
        documents=("BNO080 Data Sheet 1000-3927", "SH-2 Reference Manual 1000-3625"),
    ),
    Protocol(
        name="bno055",
        title="BNO055, UART",
        description="Specific force, angular rate, orientation and magnetic field at 100 Hz, polled.",
        transports=(_SERIAL,),
        datagram=False,
        checksum=False,
        decoder=bno055.Bno055Decoder,
        encoder=bno055.Bno055Encoder,
        options=bno055.Bno055Options,
        start=bno055.start,
        poll=bno055.poll,
        session=bno055.Bno055Session,
        polling_rate_hz=lambda options: float(options.rate_hz),
        baud_rate=115200,
        documents=("BNO055 Data Sheet BST-BNO055-DS000",),
    ),
    Protocol(
        name="lines",
        title="Home-made sensor (lines of text or JSON)",
        description="Whatever the names of its columns say; with a checksum at the end of the line, if it sends one.",
        transports=(_SERIAL, _TCP, _UDP, _FILE),
        datagram=False,
        checksum=False,
        decoder=lines.LinesDecoder,
        encoder=lines.LinesEncoder,
        options=lines.LinesOptions,
        baud_rate=115200,
        udp_port=9763,
        tcp_port=9763,
        documents=("docs/devices/lines.md",),
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""Every protocol by its name."""


def find(name: str) -> Protocol:
    """Protocol of this name.

    Raises
    ------
    InputError
        When there is none, with the names that there are.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
