"""Bluetooth LE links, by bleak: its asyncio runs in one thread of its own for all devices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from gait_twin.sensing.transports import Chunk, Link, TransportError

FIND_S = 8.0
"""Longest search for a device, s; they tell of themselves each second or so."""
CONNECT_S = 15.0
WRITE_S = 3.0


class _Loop:
    """The event loop in its thread, made when first needed, ended with the program."""

    _made: asyncio.AbstractEventLoop | None = None
    _lock = threading.Lock()

    @classmethod
    def run(cls, job: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """Run a coroutine there and wait for its result."""
        with cls._lock:
            if cls._made is None:
                cls._made = asyncio.new_event_loop()
                threading.Thread(target=cls._made.run_forever, name="bluetooth", daemon=True).start()
        future: Future[Any] = asyncio.run_coroutine_threadsafe(job, cls._made)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise


class BleLink(Link):
    """Notifications of one characteristic of a device.

    Parameters
    ----------
    address
        Address (on macOS its UUID), or the advertised name.
    notify
        UUID of the characteristic to be notified of.
    client
        Makes the client of an address or device; bleak's, or another of the same methods in tests.
    finder
        Finds a device by name or address, or gives None; bleak's, or another in tests.
    """

    slow = True

    def __init__(self, address: str, notify: str, client: Any = None, finder: Any = None) -> None:
        super().__init__(address)
        self._address, self._notify = address, notify
        self._make_client, self._find = client, finder
        self._client: Any = None
        self._chunks: deque[Chunk] = deque()
        self._gone = ""
        self._pipe: tuple[int, int] | None = None

    def open(self) -> None:
        """Find the device, connect, and subscribe."""
        try:
            import bleak
        except ImportError:
            raise TransportError("Bluetooth needs the Python package bleak; install it.") from None
        make_client = self._make_client or bleak.BleakClient
        self._chunks.clear()
        self._gone = ""
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[0], False)
        os.set_blocking(self._pipe[1], False)

        async def connect() -> Any:
            device = await (self._find or _find)(self._address)
            if device is None:
                raise TransportError(f"{self._address} does not answer; is it on, near, and connected to nobody else?")
            client = make_client(device, disconnected_callback=self._lost)
            await client.connect()
            await client.start_notify(self._notify, self._take)
            return client

        try:
            self._client = _Loop.run(connect(), FIND_S + CONNECT_S)
        except TransportError:
            self.close()
            raise
        except Exception as problem:  # noqa: BLE001  bleak raises what its backends raise: D-Bus, OS, its own
            self.close()
            raise TransportError(_bluetooth_problem(self._address, problem)) from None

    def _take(self, _characteristic: Any, data: bytearray) -> None:
        self._chunks.append(Chunk(bytes(data), time.monotonic()))
        self._wake()

    def _lost(self, _client: Any) -> None:
        self._gone = f"The radio link to {self._address} is lost; is it on, and near?"
        self._wake()

    def _wake(self) -> None:
        pipe = self._pipe
        if pipe is not None:
            with contextlib.suppress(OSError):  # full: the reader is awake already; or closed meanwhile
                os.write(pipe[1], b"!")

    def fileno(self) -> int | None:
        """Descriptor of a pipe that each notification writes to."""
        return self._pipe[0] if self._pipe is not None else None

    def read(self) -> list[Chunk]:
        """All notifications that came."""
        assert self._pipe is not None
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe[0], 65536)
        chunks = []
        while self._chunks:
            chunks.append(self._chunks.popleft())
        if not chunks and self._gone:
            raise TransportError(self._gone)
        return chunks

    def write(self, data: bytes, characteristic: str = "", /) -> None:
        """Write to a characteristic."""
        if self._client is None:
            raise TransportError(f"{self._address} is not connected.")
        try:
            _Loop.run(self._client.write_gatt_char(characteristic, data), WRITE_S)
        except Exception as problem:  # noqa: BLE001  as above
            raise TransportError(_bluetooth_problem(self._address, problem)) from None

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # it is gone: that was the aim
                _Loop.run(client.disconnect(), WRITE_S)
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe[0])
            os.close(pipe[1])


async def _find(address: str) -> Any:
    import bleak

    wanted = address.lower()
    return await bleak.BleakScanner.find_device_by_filter(
        lambda device, seen: wanted in (device.address.lower(), (seen.local_name or device.name or "").lower()), FIND_S
    )


def discover(seconds: float = 5.0) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """Devices near by: address, advertised name, signal strength (dBm), UUIDs of services.

    Raises
    ------
    TransportError
        When there is no Bluetooth.
    """

    async def scan() -> Any:
        import bleak

        return await bleak.BleakScanner.discover(seconds, return_adv=True)

    try:
        found = _Loop.run(scan(), seconds + 5.0)
    except Exception as problem:  # noqa: BLE001  as above
        raise TransportError(_bluetooth_problem("Bluetooth", problem)) from None
    return [
        (device.address, seen.local_name or device.name or "", seen.rssi, tuple(seen.service_uuids))
        for device, seen in found.values()
    ]


def _bluetooth_problem(address: str, problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return f"{address} does not answer; is it on, near, and connected to nobody else?"
    text = " ".join(str(problem).split()).rstrip(".") or type(problem).__name__
    if isinstance(problem, FileNotFoundError | ConnectionError) or "org.bluez" in text or "dbus" in text.lower():
        return f"There is no Bluetooth on this machine ({text}); is the adapter in, and bluetoothd running?"
    return f"{address} cannot be used over Bluetooth ({text})."
