"""One link of the driver with its decoders: from an attempt to connect to samples at the right sensor."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from enum import Enum

from gait_twin.sensing.devices import make_link
from gait_twin.sensing.feed import Feed
from gait_twin.sensing.protocols import Command, Decoder, Transport
from gait_twin.sensing.transports import Link, TransportError

MANY = 64
"""More senders or sensors than this on one link are noise."""
TICK_S = 0.01


class State(Enum):
    """How a link is."""

    NEW = "new"
    """Not tried yet."""
    OPEN = "open"
    LOST = "lost"
    """Could not be opened, or is gone; it is tried again."""


class Channel:
    """A link, the sensors on it, and a decoder for each sender.

    All but `connect`'s and `command`'s work is done in the driver's thread.

    Parameters
    ----------
    feeds
        Sensors that share the link; they speak the same protocol.
    post
        Lets the driver's thread do something.
    """

    def __init__(self, feeds: list[Feed], post: Callable[[Callable[[], None]], None]) -> None:
        self.feeds = feeds
        self._post = post
        device = feeds[0].device
        self._device, self._protocol = device, device.protocol
        self._options = self._protocol.make_options(device.options)
        self._link = make_link(device)
        self.name = self._link.name
        self.who = ", ".join(feed.device.segment for feed in feeds)
        self.state = State.NEW
        self.problem = ""
        self.busy = False
        self.retry_s = 0.0
        self.heard_s = 0.0
        self.fd: int | None = None
        self.next_s = float("inf")
        self.strangers: set[str] = set()
        # datagrams come or do not come, and a file may pause: opening it anew changes nothing
        self.reconnects = device.address.transport in (Transport.SERIAL, Transport.TCP, Transport.BLE)
        self._wait_s = 0.0
        self._closed = False
        self._hosts: dict[str, str] = {}
        self._decoders: dict[str, Decoder] = {}
        self._routes: dict[tuple[str, str], Feed | None] = {}
        rate_hz = self._protocol.polling_rate_hz(self._options)
        self._poll_s = 1.0 / rate_hz if self._protocol.poll is not None and rate_hz > 0.0 else 0.0

    # ---- connecting

    def connect(self, done: Callable[[str], None]) -> None:
        """Open the link in a thread; `done` is called in the driver's with a problem or an empty string."""
        self.busy = True

        def attempt() -> None:
            problem = ""
            try:
                self._resolve()
                self._link.open()
                if any(feed.active for feed in self.feeds):
                    send(self._link, self._protocol.start(self._options))
            except TransportError as refused:
                problem = str(refused)
                self._link.close()
            if self._closed:
                self._link.close()

            def finish() -> None:
                self.busy = False
                done(problem)

            self._post(finish)

        threading.Thread(target=attempt, name=f"open {self.name}", daemon=True).start()

    def opened(self, now_s: float) -> None:
        """The link is open."""
        self.state, self.problem, self._wait_s, self.heard_s = State.OPEN, "", 0.0, now_s
        self.fd = self._link.fileno()
        self.next_s = now_s if self._poll_s or self.fd is None else float("inf")
        for decoder in self._decoders.values():
            decoder.reset()
        for feed in self.feeds:
            feed.reconnected()

    def failed(self, problem: str, now_s: float, first_s: float, longest_s: float) -> None:
        """The link could not be opened."""
        self.state, self.problem = State.LOST, problem
        self._wait_s = min(longest_s, 2.0 * self._wait_s or first_s)
        self.retry_s = now_s + self._wait_s

    def lost(self, problem: str, retry_s: float) -> None:
        """The link is gone."""
        self.state, self.problem, self.retry_s, self.next_s = State.LOST, problem, retry_s, float("inf")
        self._link.close()

    def close(self) -> None:
        """Let go of the link; the device is asked to stop streaming."""
        if self.state is State.OPEN and not self.busy:
            with contextlib.suppress(TransportError):
                send(self._link, self._protocol.stop(self._options))
        self._closed = True
        self._link.close()
        self.state, self.fd = State.LOST, None

    def command(self, start: bool, done: Callable[[str], object]) -> None:
        """Let the device start or stop streaming, in a thread."""
        commands = (self._protocol.start if start else self._protocol.stop)(self._options)
        if not commands or self.busy:
            return
        self.busy = True

        def attempt() -> None:
            problem = ""
            try:
                send(self._link, commands)
            except TransportError as refused:
                problem = str(refused)

            def finish() -> None:
                self.busy = False
                self.heard_s = time.monotonic()
                done(problem)

            self._post(finish)

        threading.Thread(target=attempt, name=f"command {self.name}", daemon=True).start()

    def _resolve(self) -> None:
        """Addresses of hosts that are given by name: datagrams are told apart by them."""
        if self._device.address.transport is Transport.UDP:
            for name in {feed.device.address.device for feed in self.feeds} - {""}:
                with contextlib.suppress(OSError):
                    self._hosts[name] = socket.gethostbyname(name)

    # ---- reading

    def read(self) -> str:
        """Take what came; gives a problem or an empty string."""
        try:
            chunks = self._link.read()
        except TransportError as gone:
            return str(gone)
        for data, arrival_s, sender in chunks:
            self.heard_s = arrival_s
            decoder = self._decoders.get(sender)
            if decoder is None:
                if len(self._decoders) >= MANY:
                    continue
                decoder = self._decoders[sender] = self._protocol.decoder(self._options)
            for sample in decoder.feed(data):
                key = (sender, sample.sensor)
                feed = self._routes.get(key)
                if feed is None:
                    if key in self._routes or len(self._routes) >= MANY:
                        continue
                    feed = self._routes[key] = self._route(*key)
                    if feed is None:
                        continue
                feed.take(sample, arrival_s)
        return ""

    def tick(self) -> str:
        """Ask a device that has to be asked, or read a link that has no descriptor; gives a problem or ''."""
        now_s = time.monotonic()
        if self._poll_s and self._protocol.poll is not None:
            self.next_s = max(self.next_s + self._poll_s, now_s)
            if self.busy or not any(feed.active for feed in self.feeds):
                return ""
            try:
                self._link.write(self._protocol.poll(self._options).payload)
            except TransportError as gone:
                return str(gone)
            return ""
        self.next_s = now_s + TICK_S
        return self.read()

    def _route(self, sender: str, sensor: str) -> Feed | None:
        """Sensor that a name in the stream, or a sender, belongs to."""
        hosts = self.feeds
        if sender:
            hosts = [
                f for f in hosts if self._hosts.get(f.device.address.device, f.device.address.device) in (sender, "")
            ]
        # who is named goes before who takes whatever comes
        hosts = sorted(hosts, key=lambda feed: not feed.device.address.device)
        for feed in hosts:
            if feed.device.sensor == sensor:
                return feed
        for feed in hosts:
            if not feed.device.sensor:
                return feed
        if sender or sensor:
            self.strangers.add(" ".join(part for part in (sensor, sender) if part))
        return None

    def refused(self) -> tuple[int, int]:
        """Frames refused, and bytes that belong to none, of all senders."""
        stats = [decoder.stats for decoder in self._decoders.values()]
        return sum(s.checksum_errors + s.malformed for s in stats), sum(s.dropped_bytes for s in stats)


def send(link: Link, commands: tuple[Command, ...]) -> None:
    """Send commands with their pauses; raises `TransportError`."""
    for command in commands:
        if command.byte_gap_s:
            for byte in command.payload:
                link.write(bytes([byte]), command.characteristic)
                time.sleep(command.byte_gap_s)
        else:
            link.write(command.payload, command.characteristic)
        time.sleep(command.pause_s)
