"""Links over real ptys, sockets and files; Bluetooth with a client of the same methods as bleak's."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import threading
import time
import tty

import pytest

from gait_twin.sensing.ble import BleLink
from gait_twin.sensing.transports import FileLink, SerialLink, TcpLink, TransportError, UdpLink


def read_until(link, size, timeout_s=5.0):
    """Read as the driver does: when the descriptor is readable."""
    chunks, end = [], time.monotonic() + timeout_s
    while sum(len(c.data) for c in chunks) < size:
        assert time.monotonic() < end, chunks
        if link.fileno() is None or select.select([link.fileno()], [], [], 0.1)[0]:
            chunks += link.read()
    return chunks


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    yield master, path
    with contextlib.suppress(OSError):
        os.close(master)


def test_serial_port_is_read_written_and_missed_when_it_goes(terminal):
    master, path = terminal
    link = SerialLink(path, 460800)
    link.open()
    assert link.read() == []
    before = time.monotonic()
    os.write(master, b"\xfa\x00\x11\x13")
    (chunk,) = read_until(link, 4)
    assert chunk.data == b"\xfa\x00\x11\x13"
    assert before <= chunk.arrival_s <= time.monotonic()
    link.write(b"go")
    assert os.read(master, 10) == b"go"
    os.close(master)
    with pytest.raises(TransportError, match="is the cable in"):
        read_until(link, 1)
    link.close()
    link.close()


def test_serial_port_in_use_or_absent_is_said(terminal, tmp_path):
    _, path = terminal
    link = SerialLink(path, 115200)
    link.open()
    with pytest.raises(TransportError, match="in use by another program"):
        SerialLink(path, 115200).open()
    link.close()
    with pytest.raises(TransportError, match="is not there"):
        SerialLink(str(tmp_path / "ttyUSB9"), 115200).open()


def test_udp_keeps_datagrams_apart_and_tells_their_senders():
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    link = UdpLink(port)
    with pytest.raises(TransportError, match="nobody has sent"):
        link.open() or link.write(b"x")
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"one", ("127.0.0.1", port))
    sender.sendto(b"two", ("127.0.0.1", port))
    chunks = read_until(link, 6)
    assert [(c.data, c.sender) for c in chunks] == [(b"one", "127.0.0.1"), (b"two", "127.0.0.1")]
    link.write(b"answer")
    assert sender.recv(10) == b"answer"
    with pytest.raises(TransportError, match="another program"):
        UdpLink(port).open()
    link.close()
    sender.close()


def test_tcp_connects_reads_writes_and_notices_the_end():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    link = TcpLink("127.0.0.1", port)
    link.open()
    there, _ = server.accept()
    there.sendall(b"hello")
    assert b"".join(c.data for c in read_until(link, 5)) == b"hello"
    link.write(b"go")
    assert there.recv(10) == b"go"
    there.close()
    with pytest.raises(TransportError, match="closed the connection"):
        read_until(link, 1)
    link.close()
    server.close()
    with pytest.raises(TransportError, match="cannot be reached"):
        link.open()


def test_file_is_read_at_its_pace_to_its_end(tmp_path):
    path = tmp_path / "walk.bin"
    path.write_bytes(bytes(range(200)))
    link = FileLink(str(path))
    link.open()
    assert link.read()[0].data == bytes(range(200))
    with pytest.raises(TransportError, match="at its end"):
        link.read()
    link.close()
    slow = FileLink(str(path), bytes_per_s=1000.0)
    slow.open()
    time.sleep(0.05)
    assert 20 < len(slow.read()[0].data) < 200
    slow.close()
    with pytest.raises(TransportError, match="No such file"):
        FileLink(str(tmp_path / "none")).open()


def test_named_pipe_waits_for_its_writer(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    link = FileLink(str(path))
    link.open()
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"abc")
    assert read_until(link, 3)[0].data == b"abc"
    os.close(writer)
    with pytest.raises(TransportError, match="at its end"):
        read_until(link, 1)
    link.close()


class Radio:
    """What `BleLink` uses of bleak's client."""

    def __init__(self, device, disconnected_callback):
        self.device, self.lost, self.written = device, disconnected_callback, []

    async def connect(self):
        if self.device == "deaf":
            raise OSError("org.bluez.Error.Failed")

    async def start_notify(self, characteristic, callback):
        self.notify = lambda data: callback(characteristic, bytearray(data))

    async def write_gatt_char(self, characteristic, data):
        self.written.append((characteristic, data))

    async def disconnect(self):
        self.connected = False


def radio_link(name="dot", found=True):
    made = []

    def make(device, disconnected_callback):
        made.append(Radio(device, disconnected_callback))
        return made[-1]

    async def find(address):
        return address if found else None

    return BleLink(name, "2002", make, find), made


def test_bluetooth_notifications_come_whole_and_the_lost_link_is_said():
    link, made = radio_link()
    link.open()
    (radio,) = made
    threading.Thread(target=lambda: [radio.notify(b"abc"), radio.notify(b"de")]).start()
    assert [c.data for c in read_until(link, 5)] == [b"abc", b"de"]
    link.write(b"\x01", "2001")
    assert radio.written == [("2001", b"\x01")]
    radio.lost(radio)
    with pytest.raises(TransportError, match="radio link to dot is lost"):
        read_until(link, 1)
    link.close()


def test_bluetooth_device_that_is_not_there_or_no_adapter_is_said():
    with pytest.raises(TransportError, match="does not answer"):
        radio_link(found=False)[0].open()
    with pytest.raises(TransportError, match="no Bluetooth on this machine"):
        radio_link("deaf")[0].open()
