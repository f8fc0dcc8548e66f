"""What is plugged in, near by, or sending: for a person who is writing a body.yaml."""

from __future__ import annotations

import selectors
import time
from typing import NamedTuple

from gait_twin.sensing.channel import send
from gait_twin.sensing.protocols import PROTOCOLS, Command, Protocol, Transport
from gait_twin.sensing.transports import SerialLink, TransportError, UdpLink

USB_NAMES = {
    0x2639: "xsens_mti",  # Xsens
    0x1A86: "witmotion, lines (CH340 adapter)",
    0x10C4: "witmotion, bno055, lines (CP210x adapter)",
    0x0403: "any (FTDI adapter)",
    0x2341: "lines (Arduino)",
    0x303A: "lines (Espressif)",
    0x2E8A: "lines (Raspberry Pi Pico)",
    0x16C0: "lines (Teensy)",
}
"""Makers of USB devices by vendor id, and the protocols that are likely behind them."""


BAUD_RATES = (115200, 9600, 921600, 230400, 460800, 57600, 38400, 19200)
"""Tried in this order after each other where a port is listened to, baud."""
LISTEN_S, ASK_S = 0.8, 0.4
"""So long is listened at each rate (devices of 10 Hz give enough), and waited for answers, s."""
ENOUGH, FEW_LOST = 4, 0.3
"""A protocol is spoken when so many samples came, and less than this share of the bytes belonged to none."""


class Found(NamedTuple):
    """Something that may be a sensor.

    Attributes
    ----------
    where
        Port or address.
    what
        What it says of itself.
    entry
        What to write into body.yaml.
    """

    where: str
    what: str
    entry: str


def serial_ports() -> list[Found]:
    """Serial ports of this machine; plain ports of a mainboard that name no device are left out."""
    from serial.tools import list_ports

    found = []
    for port in sorted(list_ports.comports()):
        if port.vid is None and not port.device.startswith(("/dev/rfcomm", "/dev/ttyACM", "/dev/ttyUSB")):
            continue
        likely = USB_NAMES.get(port.vid or 0, "any serial one")
        what = " ".join(part for part in (port.manufacturer, port.product, port.serial_number) if part)
        found.append(Found(port.device, what or port.description, f"device: {port.device}, protocol: {likely}"))
    return found


def probe_serial(path: str) -> Found:
    """Find which protocol answers on a serial port, at which baud rate.

    Listens at the usual rates first. Only where nothing comes, the devices that wait for a question are asked theirs.

    Raises
    ------
    TransportError
        When the port cannot be opened.
    """
    speakers = [p for p in PROTOCOLS.values() if Transport.SERIAL in p.transports]
    heard = 0
    for baud_rate in BAUD_RATES:
        data = _exchange(path, baud_rate, (), LISTEN_S)
        heard += sum(map(len, data))
        if protocol := _spoken(speakers, data):
            return _answers(path, protocol, baud_rate)
    for protocol in speakers if not heard else ():
        options = protocol.make_options()
        questions = protocol.start(options)
        if protocol.poll is not None:
            questions += (protocol.poll(options)._replace(pause_s=ASK_S / ENOUGH),) * (2 * ENOUGH)
        if questions and _spoken([protocol], _exchange(path, protocol.baud_rate, questions, ASK_S)):
            return _answers(path, protocol, protocol.baud_rate)
    return Found(path, f"{heard} bytes that no protocol understands" if heard else "silent", "")


def _answers(path: str, protocol: Protocol, baud_rate: int) -> Found:
    rate = f", baud_rate: {baud_rate}" if baud_rate != protocol.baud_rate else ""
    return Found(path, f"{protocol.title} at {baud_rate} baud", f"device: {path}, protocol: {protocol.name}{rate}")


def _exchange(path: str, baud_rate: int, questions: tuple[Command, ...], seconds: float) -> list[bytes]:
    """What comes from a port after some questions, and for some time more."""
    link = SerialLink(path, baud_rate)
    link.open()
    pieces: list[bytes] = []
    try:
        for question in questions:
            send(link, (question,))
            pieces += [chunk.data for chunk in link.read()]
        end_s = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(link.fileno() or 0, selectors.EVENT_READ)
            while (left_s := end_s - time.monotonic()) > 0.0:
                if selector.select(left_s):
                    pieces += [chunk.data for chunk in link.read()]
    finally:
        link.close()
    return pieces


def _spoken(protocols: list[Protocol], data: list[bytes]) -> Protocol | None:
    """The protocol of some bytes: that which understands most of them, with a checksum if there are two."""
    best: tuple[float, bool, Protocol] | None = None
    for protocol in protocols:
        decoder = protocol.make_decoder()
        samples = sum(len(decoder.feed(piece)) for piece in data)
        lost = decoder.stats.dropped_bytes / max(1, decoder.stats.received_bytes)
        if samples >= ENOUGH and lost < FEW_LOST and (best is None or (1.0 - lost, protocol.checksum) > best[:2]):
            best = (1.0 - lost, protocol.checksum, protocol)
    return best[2] if best else None


def bluetooth_devices(seconds: float) -> list[Found]:
    """Bluetooth LE devices near by that a protocol knows, by name or service.

    Raises
    ------
    TransportError
        When there is no Bluetooth.
    """
    from gait_twin.sensing.ble import discover

    profiles = {protocol.name: protocol.ble(protocol.make_options()) for protocol in PROTOCOLS.values() if protocol.ble}
    found = []
    for address, name, strength_dbm, services in discover(seconds):
        for protocol, profile in profiles.items():
            if name.startswith(profile.names) or profile.service.lower() in (s.lower() for s in services):
                entry = f'device: "{address}", protocol: {protocol}'
                found.append(Found(address, f"{name or 'no name'}, {strength_dbm} dBm", entry))
    return found


def udp_senders(seconds: float) -> tuple[list[Found], list[str]]:
    """Hosts that send to the usual UDP ports, as far as a protocol understands them; and ports that are taken."""
    by_port: dict[int, list[Protocol]] = {}
    for protocol in PROTOCOLS.values():
        for port in {protocol.udp_port, 8001 if protocol.name == "ngimu_udp" else 0} - {0}:
            by_port.setdefault(port, []).append(protocol)
    problems: list[str] = []
    heard: dict[tuple[int, str], list[bytes]] = {}
    with selectors.DefaultSelector() as selector:
        links = []
        for port in by_port:
            link = UdpLink(port)
            try:
                link.open()
            except TransportError as problem:
                problems.append(str(problem))
                continue
            links.append(link)
            selector.register(link.fileno() or 0, selectors.EVENT_READ, (link, port))
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            for key, _ in selector.select(left_s):
                link, port = key.data
                for chunk in link.read():
                    heard.setdefault((port, chunk.sender), []).append(chunk.data)
        for link in links:
            link.close()
    found = []
    for (port, sender), datagrams in sorted(heard.items()):
        names = [protocol.name for protocol in by_port[port] if _understands(protocol, datagrams)]
        entry = f"protocol: {names[0]}, device: {sender}, port: {port}" if names else ""
        rate = len(datagrams) / seconds
        found.append(
            Found(f"udp {sender}:{port}", f"{rate:.0f} datagrams a second" + ("" if names else ", unknown"), entry)
        )
    return found, problems


def _understands(protocol: Protocol, datagrams: list[bytes]) -> bool:
    decoder = protocol.make_decoder()
    samples = sum(len(decoder.feed(data)) for data in datagrams)
    return samples > 0 and decoder.stats.dropped_bytes < decoder.stats.received_bytes / 2
