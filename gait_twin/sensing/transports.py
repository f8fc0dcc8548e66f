"""Bytes in and out of a device, whatever lies between: serial port, UDP, TCP, Bluetooth LE, a file.

A link knows nothing of protocols. It is opened, read whenever its `fileno` is readable (or now and then, where it
has none), written to, and closed; it never waits for data. Reconnecting is the driver's business.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

READ_BYTES = 65536
CONNECT_S = 2.0
"""Longest wait for a TCP connection, s; it is made in the driver's worker threads."""


class TransportError(Exception):
    """A device cannot be reached, or is gone: one sentence for a person."""


class Chunk(NamedTuple):
    """Bytes as they came.

    Attributes
    ----------
    data
        One datagram or notification, or any piece of a stream.
    arrival_s
        When they were read, on `time.monotonic`, s.
    sender
        Address of the sender, where one link hears several (UDP); empty otherwise.
    """

    data: bytes
    arrival_s: float
    sender: str = ""


class Link(ABC):
    """One way to a device.

    Attributes
    ----------
    name
        What a person calls it, as ``/dev/ttyUSB0`` or ``udp port 9000``.
    slow
        Opening may take seconds, so it must not be done where others wait.
    """

    slow = False

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def open(self) -> None:
        """Connect; raises `TransportError`. What a port had stored from before is thrown away."""

    @abstractmethod
    def fileno(self) -> int | None:
        """File descriptor that is readable when there is something to read; None where there is no such thing."""

    @abstractmethod
    def read(self) -> list[Chunk]:
        """All that has come, possibly nothing; raises `TransportError` when the device is gone."""

    def write(self, data: bytes, _characteristic: str = "", /) -> None:
        """Send bytes; a characteristic names where to on Bluetooth LE. Raises `TransportError`."""
        raise TransportError(f"{self.name} cannot take the {len(data)} bytes that start the device.")

    @abstractmethod
    def close(self) -> None:
        """Let go of it; may be called at any time, and again."""


class SerialLink(Link):
    """A serial port, real, USB, Bluetooth classic (rfcomm), or a pty.

    Parameters
    ----------
    path
        Device, as ``/dev/ttyUSB0``.
    baud_rate
        Baud; no matter on USB-only devices and ptys.
    """

    def __init__(self, path: str, baud_rate: int) -> None:
        super().__init__(path)
        self._path, self._baud_rate = path, baud_rate or 115200
        self._port: Any = None
        self._fd = -1

    def open(self) -> None:
        """Open the port for this process alone."""
        import serial

        try:
            self._port = serial.Serial(self._path, self._baud_rate, timeout=0, write_timeout=1.0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as problem:
            raise TransportError(_serial_problem(self._path, self._baud_rate, problem)) from None
        # USB adapters hold bytes back for up to 16 ms otherwise; a pty and some drivers know no such thing
        with contextlib.suppress(ValueError, OSError, AttributeError, NotImplementedError):
            self._port.set_low_latency_mode(True)
        try:
            self._port.reset_input_buffer()
        except (serial.SerialException, OSError) as problem:
            self.close()
            raise TransportError(f"{self._path} is gone: {problem}.") from None
        self._fd = self._port.fileno()

    def fileno(self) -> int | None:
        """Descriptor of the port."""
        return self._fd

    def read(self) -> list[Chunk]:
        """One piece of the stream."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as problem:
            raise TransportError(f"{self._path} is gone ({problem.strerror}); is the cable in?") from None
        if not data:
            if not select.select([self._fd], [], [], 0)[0]:
                return []
            # readable, and nothing there: the port was pulled out
            raise TransportError(f"{self._path} is gone; is the cable in?")
        return [Chunk(data, time.monotonic())]

    def write(self, data: bytes, _characteristic: str = "", /) -> None:
        """Send bytes."""
        import serial

        try:
            self._port.write(data)
        except (serial.SerialException, OSError, AttributeError, TypeError) as problem:  # the latter: closed meanwhile
            raise TransportError(f"{self._path} takes no bytes: {problem}.") from None

    def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):  # it was pulled out
                port.close()


class UdpLink(Link):
    """A UDP port of this host.

    Parameters
    ----------
    port
        Port to listen on.
    peer
        Host (and port, after a colon) that is written to; empty: whoever sent last.
    """

    def __init__(self, port: int, peer: str = "") -> None:
        super().__init__(f"UDP port {port}")
        self._port = port
        host, _, peer_port = peer.partition(":")
        self._peer: tuple[str, int] | None = (host, int(peer_port or port)) if host else None
        self._last: tuple[str, int] | None = None
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Bind the port on all interfaces."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._socket.bind(("", self._port))
        except OSError as problem:
            self.close()
            raise TransportError(
                f"UDP port {self._port} cannot be opened ({problem.strerror}); does another program listen there?"
            ) from None

    def fileno(self) -> int | None:
        """Descriptor of the socket."""
        return self._socket.fileno() if self._socket is not None else None

    def read(self) -> list[Chunk]:
        """All datagrams that wait."""
        chunks: list[Chunk] = []
        assert self._socket is not None
        while len(chunks) < 256:  # then the other devices get their turn
            try:
                data, address = self._socket.recvfrom(READ_BYTES)
            except BlockingIOError:
                break
            except OSError as problem:
                if problem.errno == errno.ECONNREFUSED:  # an answer to something that was sent
                    continue
                raise TransportError(f"{self.name} fails ({problem.strerror}).") from None
            chunks.append(Chunk(data, time.monotonic(), address[0]))
            self._last = (address[0], address[1])
        return chunks

    def write(self, data: bytes, _characteristic: str = "", /) -> None:
        """Send a datagram."""
        to = self._peer or self._last
        if self._socket is None or to is None:
            raise TransportError(f"{self.name}: nobody has sent anything yet, so nobody can be written to.")
        try:
            self._socket.sendto(data, to)
        except OSError as problem:
            raise TransportError(f"{to[0]} cannot be reached ({problem.strerror}).") from None

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class TcpLink(Link):
    """A TCP connection to a device that listens.

    Parameters
    ----------
    host, port
        The device.
    """

    slow = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port}")
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect."""
        try:
            made = socket.create_connection(self._address, CONNECT_S)
            if made.getsockname() == made.getpeername():  # the kernel chose the very port that nobody listens at
                made.close()
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # a device whose battery died sends no farewell
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.setblocking(False)
        except OSError as problem:
            why = "no answer" if isinstance(problem, TimeoutError) else problem.strerror or str(problem)
            raise TransportError(f"{self.name} cannot be reached ({why}).") from None
        self._socket = made

    def fileno(self) -> int | None:
        """Descriptor of the socket."""
        return self._socket.fileno() if self._socket is not None else None

    def read(self) -> list[Chunk]:
        """One piece of the stream."""
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as problem:
            raise TransportError(f"{self.name} is gone ({problem.strerror}).") from None
        if not data:
            raise TransportError(f"{self.name} has closed the connection.")
        return [Chunk(data, time.monotonic())]

    def write(self, data: bytes, _characteristic: str = "", /) -> None:
        """Send bytes."""
        if self._socket is None:
            raise TransportError(f"{self.name} is not connected.")
        try:
            self._socket.sendall(data)
        except OSError as problem:
            raise TransportError(f"{self.name} takes no bytes ({problem.strerror}).") from None

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class FileLink(Link):
    """Bytes of a file, at a given pace, or of a named pipe as they come.

    Parameters
    ----------
    path
        The file.
    bytes_per_s
        Pace of a plain file; 0: as fast as it is read.
    """

    def __init__(self, path: str, bytes_per_s: float = 0.0) -> None:
        super().__init__(path)
        self._path, self._pace = path, bytes_per_s
        self._fd = -1
        self._is_pipe = False
        self._began_s = self._given = 0.0

    def open(self) -> None:
        """Open the file."""
        try:
            self._fd = os.open(Path(self._path).expanduser(), os.O_RDONLY | os.O_NONBLOCK)
            self._is_pipe = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError as problem:
            raise TransportError(f"{self._path} cannot be read ({problem.strerror}).") from None
        self._began_s, self._given = time.monotonic(), 0.0

    def fileno(self) -> int | None:
        """Descriptor of a pipe; None of a plain file, which is always readable."""
        return self._fd if self._is_pipe else None

    def read(self) -> list[Chunk]:
        """The next piece."""
        now_s = time.monotonic()
        wanted = READ_BYTES
        if not self._is_pipe and self._pace:
            wanted = min(READ_BYTES, int((now_s - self._began_s) * self._pace - self._given))
        if wanted <= 0:
            return []
        try:
            data = os.read(self._fd, wanted)
        except BlockingIOError:
            return []
        except OSError as problem:
            raise TransportError(f"{self._path} cannot be read ({problem.strerror}).") from None
        if not data:
            if self._is_pipe and not select.select([self._fd], [], [], 0)[0]:
                return []
            raise TransportError(f"{self._path} is at its end.")
        self._given += len(data)
        return [Chunk(data, now_s)]

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _serial_problem(path: str, baud_rate: int, problem: Exception) -> str:
    number = getattr(problem, "errno", None)
    if number == errno.ENOENT:
        return f"{path} is not there; is the cable in, and the name right?"
    if number in (errno.EACCES, errno.EPERM):
        return f"{path} may not be opened by this user; add the user to the group dialout and log in anew."
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "exclusively lock" in str(problem):
        return f"{path} is in use by another program."
    if isinstance(problem, ValueError):
        return f"{path} cannot run at {baud_rate} baud."
    return f"{path} cannot be opened: {' '.join(str(problem).split()).rstrip('.')}."
