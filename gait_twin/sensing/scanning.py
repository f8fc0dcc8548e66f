"""What is plugged in, near by, or sending: for a person who is writing a body.yaml."""

from __future__ import annotations

import selectors
import time
from typing import NamedTuple

from gait_twin.sensing.protocols import PROTOCOLS, Protocol
from gait_twin.sensing.transports import TransportError, UdpLink

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
