"""Emulated devices on real transports: pseudo terminals, UDP, TCP and files play a recording's bytes in time."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from gait_twin.errors import InputError
from gait_twin.recording import Recording
from gait_twin.sensing.devices import Device
from gait_twin.sensing.protocols import EmulatedSensor, Session, Transport, emulate


class Outlet(ABC):
    """Where an emulated device is plugged in.

    Attributes
    ----------
    address
        How `gait_twin.sensing.devices.make_device` reaches it, as ``serial:/tmp/calcn_r``.
    """

    address = ""

    @abstractmethod
    def plug(self) -> None:
        """Appear, at the same address each time."""

    @abstractmethod
    def unplug(self) -> None:
        """Vanish, as when the cable is pulled or the radio dies."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send one frame, if anyone is there."""


class PtyOutlet(Outlet):
    """A pseudo terminal under a name of its own.

    Parameters
    ----------
    path
        Name to appear under: a link to the terminal.
    session
        Makes the device's side of the conversation, anew each time that it is switched on; without it, what is
        written to the device is thrown away.
    """

    def __init__(self, path: Path, session: Callable[[], Session] | None = None) -> None:
        self._path, self._master = path, -1
        self._make_session, self._session = session, session() if session else None
        self.address = f"serial:{path}"
        if path.exists() and not path.is_symlink():
            raise InputError(f"{path} is there already; give the emulated device another name.")

    def plug(self) -> None:
        """Make a terminal and the link to it."""
        self._session = self._make_session() if self._make_session else None
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(os.ttyname(slave))
        os.close(slave)

    def unplug(self) -> None:
        """Close the terminal: its reader meets the end."""
        if self._master >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._master)
            self._master = -1

    def send(self, data: bytes) -> None:
        """Answer, and write; what nobody reads is lost, as on a cable."""
        heard = b""
        with contextlib.suppress(BlockingIOError, OSError):
            heard = os.read(self._master, 4096)
        if self._session is not None:
            data = self._session.take(heard) + self._session.stream(data)
        if data:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._master, data)


class UdpOutlet(Outlet):
    """Datagrams to a port.

    Parameters
    ----------
    port
        To which port.
    host
        Of which host.
    source
        Address to send from: tells senders on one machine apart (127.0.0.2, 127.0.0.3, …).
    """

    def __init__(self, port: int, host: str = "127.0.0.1", source: str = "") -> None:
        self._to, self._source = (host, port), source
        self._socket: socket.socket | None = None
        self.address = f"udp:{source}:{port}"

    def plug(self) -> None:
        """Make a socket."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if self._source:
            self._socket.bind((self._source, 0))

    def unplug(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, data: bytes) -> None:
        """Send a datagram."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(data, self._to)


class TcpOutlet(Outlet):
    """A device that listens.

    Parameters
    ----------
    port
        Where; 0 takes a free one, which `address` names.
    """

    def __init__(self, port: int = 0) -> None:
        self._server: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._port = port
        if not port:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self._port = probe.getsockname()[1]
        self.address = f"tcp:127.0.0.1:{self._port}"

    def plug(self) -> None:
        """Listen."""
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._server.setblocking(False)

    def unplug(self) -> None:
        """Close everything."""
        for one in (*self._clients, self._server):
            if one is not None:
                one.close()
        self._clients, self._server = [], None

    def send(self, data: bytes) -> None:
        """Send to whoever is connected."""
        if self._server is None:
            return
        with contextlib.suppress(BlockingIOError):
            client, _ = self._server.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.append(client)
        for client in list(self._clients):
            try:
                client.sendall(data)
            except BlockingIOError:
                pass  # nobody reads
            except OSError:
                self._clients.remove(client)
                client.close()


class FileOutlet(Outlet):
    """A file of the bytes, for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.address = f"file:{path}"
        if path.exists():
            raise InputError(f"{path} is there already; give a new name, or remove it first.")

    def plug(self) -> None:
        """Nothing to do: the file is appended to."""

    def unplug(self) -> None:
        """Nothing to do."""

    def send(self, data: bytes) -> None:
        """Append."""
        with self._path.open("ab") as file:
            file.write(data)


def outlet_for(device: Device) -> Outlet:
    """Outlet at which a device of a body.yaml finds its emulator, on this machine.

    Raises
    ------
    InputError
        Where its transport cannot be emulated.
    """
    address = device.address
    match address.transport:
        case Transport.SERIAL:
            session, options = device.protocol.session, device.protocol.make_options(device.options)
            return PtyOutlet(Path(address.device), partial(session, options) if session else None)
        case Transport.UDP:
            # a sender of this machine's own network can be had, another host's address cannot
            source = address.device if address.device.startswith("127.") else ""
            return UdpOutlet(address.port, source=source)
        case Transport.TCP:
            return TcpOutlet(address.port)
        case Transport.FILE:
            return FileOutlet(Path(address.device))
    raise InputError(
        f"{device.segment} is a Bluetooth device, which cannot be emulated; give it another transport for the trial."
    )


def play(
    recording: Recording,
    sensors: Mapping[str, tuple[EmulatedSensor, Outlet]],
    *,
    speed: float = 1.0,
    stop: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
    hold: Callable[[str], bool] = lambda _segment: False,
) -> int:
    """Play streams as bytes, in time; returns the number of frames sent.

    Parameters
    ----------
    recording
        What was measured, or simulated.
    sensors
        For each segment its device, and where that is plugged in.
    speed
        Multiple of real time; 0 as fast as possible (files).
    stop
        Ends it early.
    progress
        Told the share that is played.
    hold
        Asked for a segment before each of its frames: whether it is unplugged now (besides its settings).

    Raises
    ------
    InputError
        As of `emulate`.
    """
    emissions = emulate(recording, {segment: sensor for segment, (sensor, _) in sensors.items()})
    outlets = {segment: outlet for segment, (_, outlet) in sensors.items()}
    times = sorted(
        (at_s, segment) for segment, (sensor, _) in sensors.items() for at_s in sensor.settings.unplugged_s
    )  # fmt: skip
    plugged = dict.fromkeys(outlets, False)
    stop = stop or threading.Event()

    def plug(segment: str, wanted: bool) -> None:
        if plugged[segment] != wanted:
            plugged[segment] = wanted
            (outlets[segment].plug if wanted else outlets[segment].unplug)()

    sent = 0
    try:
        for segment in outlets:
            plug(segment, True)
        began_s = time.monotonic()
        told_s = 0.0
        for send_s, segment, data in emissions:
            while times and times[0][0] <= send_s:
                at_s, switched = times.pop(0)
                _wait(began_s, at_s, speed, stop)
                plug(switched, not plugged[switched])
            if not _wait(began_s, send_s, speed, stop):
                break
            if hold(segment):
                plug(segment, False)
                continue
            unplugged = sensors[segment][0].settings.unplugged_s
            if not sum(at_s <= send_s for at_s in unplugged) % 2:
                plug(segment, True)
                outlets[segment].send(data)
                sent += 1
            if progress is not None and send_s - told_s > 0.5:
                told_s = send_s
                progress(min(1.0, send_s / max(recording.duration_s, 1e-9)))
    finally:
        for segment in outlets:
            plug(segment, False)
    return sent


def _wait(began_s: float, at_s: float, speed: float, stop: threading.Event) -> bool:
    """Wait for an instant of the recording; False when it is to end."""
    if speed > 0.0:
        wait_s = began_s + at_s / speed - time.monotonic()
        if wait_s > 0.0005:
            return not stop.wait(wait_s)
    return not stop.is_set()
