"""The driver: links to many devices, kept alive in one thread; their bytes decoded, stamped and handed on.

Everything that reads runs in one thread around one selector, without waiting anywhere; what may take time (opening,
commands with pauses) runs in a short-lived thread for each attempt. A device that is missing or goes away never
ends anything: it is said, and tried again at growing intervals for as long as the driver is open.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from gait_twin.sensing.channel import Channel, State
from gait_twin.sensing.clocks import ClockSettings
from gait_twin.sensing.devices import Address, Device
from gait_twin.sensing.feed import Feed, FeedReport, Reading
from gait_twin.settings import check, setting

CARE_S = 0.1
"""Silence and reconnecting are looked after so often, s."""


class Level(StrEnum):
    """How grave a sentence is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Say = Callable[[Level, str], None]


@dataclass(frozen=True)
class DriverSettings:
    """How devices are kept connected."""

    first_retry_s: float = setting(
        0.25, "A device that cannot be reached is tried again after so long, s.", low=0.05, high=60.0
    )
    longest_retry_s: float = setting(1.5, "The interval doubles up to this, s.", low=0.05, high=600.0)
    silence_s: float = setting(
        2.0, "A device that is connected and sends nothing for so long is connected anew, s.", low=0.5, high=600.0
    )
    open_s: float = setting(5.0, "Longest wait for all devices when the driver is opened, s.", low=0.0, high=60.0)
    clock_wander_ppm: float = setting(
        1.0, "How much the rate of a device's clock changes in a second (as a random walk), parts per million.",
        low=0.001, high=1000.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SensorState:
    """How one sensor is.

    Attributes
    ----------
    segment
        Who wears it.
    problem
        What is wrong, in a sentence; empty when it streams.
    report
        Counters.
    clock
        Skew of its clock, ppm, and mean delay of its samples over the shortest one, s.
    refused
        Frames that the decoder refused because of a checksum or their content, and bytes that belong to none.
    """

    segment: str
    problem: str
    report: FeedReport
    clock: tuple[float, float]
    refused: tuple[int, int]


class Driver:
    """Serves the sensors of a body.

    Parameters
    ----------
    devices
        What to serve.
    sink
        Takes readings, in the driver's thread; must not wait.
    say
        Told what happens, in sentences, from any thread.
    settings
        See `DriverSettings`.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        sink: Callable[[Reading], None],
        say: Say,
        settings: DriverSettings | None = None,
    ) -> None:
        self.settings = settings or DriverSettings()
        self._say = say
        self.feeds = {
            device.segment: Feed(
                device, sink, lambda text: say(Level.INFO, text),
                ClockSettings(wander_ppm=self.settings.clock_wander_ppm, latency_s=device.latency_s),
            )
            for device in devices
        }  # fmt: skip
        groups: dict[Address, list[Feed]] = {}
        for feed in self.feeds.values():
            groups.setdefault(feed.device.address.link_key, []).append(feed)
        self._channels = [Channel(feeds, self._post) for feeds in groups.values()]
        self._jobs: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._open = False
        self._wake = (-1, -1)
        self._told_s = 0.0
        self.failure: Exception | None = None
        """What ended the driver's thread, if anything did."""

    # ---- from outside

    def open(self) -> list[str]:
        """Connect to every device, as far as it is there; gives sentences on those that are not, yet."""
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._open = True
        self._thread = threading.Thread(target=self._run, name="imu driver", daemon=True)
        self._thread.start()
        end_s = time.monotonic() + self.settings.open_s
        while time.monotonic() < end_s and any(c.state is State.NEW for c in self._channels):
            time.sleep(0.01)
        return [f"{c.who}: {c.problem or 'no answer yet'}" for c in self._channels if c.state is not State.OPEN]

    def start(self) -> None:
        """Begin to hand on readings; devices that wait for a command to stream get it."""
        for feed in self.feeds.values():
            feed.active = True
        self._post(lambda: self._command(True))

    def stop(self) -> None:
        """Hand on nothing more, and let devices stop streaming."""
        for feed in self.feeds.values():
            feed.active = False
        self._post(lambda: self._command(False))

    def close(self) -> None:
        """Let go of all devices."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._open = False
        self._post(lambda: None)
        thread.join(5.0)
        for channel in self._channels:
            channel.close()
        for end in self._wake:
            os.close(end)
        self._wake = (-1, -1)

    def states(self) -> list[SensorState]:
        """How each sensor is now."""
        now_s = time.monotonic()
        states = []
        for channel in self._channels:
            refused = channel.refused()
            for feed in channel.feeds:
                problem = ""
                if channel.state is not State.OPEN:
                    problem = channel.problem or f"{channel.name} is being opened."
                elif feed.is_silent(now_s):
                    since = feed.report.silent_s
                    problem = (
                        f"{channel.name} is open, but nothing has come from it yet." if since != since
                        else f"{channel.name} has sent nothing for {since:.0f} s."
                    )  # fmt: skip
                clock = (feed.clock.skew_ppm, feed.clock.jitter_s)
                states.append(SensorState(feed.device.segment, problem, feed.report, clock, refused))
        return states

    def strangers(self) -> list[str]:
        """Senders and sensors that were heard and that no segment wears."""
        return sorted({f"{name} on {c.name}" for c in self._channels for name in c.strangers})

    # ---- the thread

    def _post(self, job: Callable[[], None]) -> None:
        """Let the driver's thread do something."""
        self._jobs.append(job)
        with contextlib.suppress(OSError):  # full: it is awake; or closed
            os.write(self._wake[1], b"!")

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as failure:  # noqa: BLE001  a defect, of this program or of the sink; whoever asks is told
            self.failure = failure

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            self._selector = selector
            selector.register(self._wake[0], selectors.EVENT_READ)
            care_s = 0.0
            while self._open:
                now_s = time.monotonic()
                if now_s >= care_s:
                    care_s = now_s + CARE_S
                    self._care(now_s)
                due_s = care_s
                for channel in self._channels:
                    if channel.state is State.OPEN and channel.next_s < due_s:
                        if channel.next_s <= now_s:
                            self._guard(channel, channel.tick)
                        due_s = min(due_s, channel.next_s)
                for key, _ in selector.select(max(0.0, due_s - time.monotonic())):
                    if key.data is None:
                        self._work()
                    elif key.data.fd == key.fd:  # it may have been lost since, by a command that failed
                        self._guard(key.data, key.data.read)

    def _work(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake[0], 65536)
        while self._jobs:
            self._jobs.popleft()()

    def _guard(self, channel: Channel, action: Callable[[], str]) -> None:
        """Do something with a link; what goes wrong with it concerns it alone."""
        problem = action()
        if problem:
            self._lose(channel, problem)

    def _lose(self, channel: Channel, problem: str) -> None:
        if channel.fd is not None:
            self._selector.unregister(channel.fd)
            channel.fd = None
        channel.lost(problem, time.monotonic() + self.settings.first_retry_s)
        self._say(Level.ERROR, f"{channel.who}: {problem} Trying again.")

    def _care(self, now_s: float) -> None:
        settings = self.settings
        for channel in self._channels:
            if channel.state in (State.NEW, State.LOST) and not channel.busy and now_s >= channel.retry_s:
                channel.connect(partial(self._connected, channel))
            elif channel.state is State.OPEN and channel.reconnects and not channel.busy:
                quiet_s = now_s - channel.heard_s
                if quiet_s > settings.silence_s and any(feed.active for feed in channel.feeds):
                    self._lose(channel, f"{channel.name} has sent nothing for {quiet_s:.1f} s.")
        if now_s - self._told_s >= 1.0:
            elapsed_s, self._told_s = now_s - self._told_s, now_s
            for feed in self.feeds.values():
                feed.each_second(now_s, elapsed_s)

    def _connected(self, channel: Channel, problem: str) -> None:
        """An attempt ended: in the driver's thread."""
        if problem:
            is_new = channel.problem != problem
            channel.failed(problem, time.monotonic(), self.settings.first_retry_s, self.settings.longest_retry_s)
            if is_new:
                self._say(Level.WARNING, f"{channel.who}: {problem} Trying again.")
            return
        channel.opened(time.monotonic())
        if channel.fd is not None:
            self._selector.register(channel.fd, selectors.EVENT_READ, channel)
        self._say(Level.INFO, f"{channel.who}: {channel.name} is open.")

    def _command(self, start: bool) -> None:
        for channel in self._channels:
            if channel.state is State.OPEN:
                channel.command(start, partial(self._commanded, channel))

    def _commanded(self, channel: Channel, problem: str) -> None:
        if problem and channel.state is State.OPEN:
            self._lose(channel, problem)
