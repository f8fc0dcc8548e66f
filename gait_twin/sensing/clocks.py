"""A device's clock on the host's: stamps free of the transport's jitter, from nothing but arrival times.

An arrival is the device's instant, seen through a clock of another rate and start, plus a delay that is never less
than the transport's shortest one. A line under the delays (`clock_line`) is therefore the relation of the two clocks:
E. Olson (2010), "A passive solution to the sensor synchronization problem", IROS. What no one-way method can see is
the shortest delay itself: give it where it is known (`latency_s`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from gait_twin.sensing.clock_line import ClockLine
from gait_twin.settings import check, setting

FIRST_SPAN_S = 1.0
"""The period of a device without a clock is measured over so long, s."""
SKEW_SD, KEPT_SKEW_SD = 0.03, 1e-5
"""Rates of clocks: bare MEMS oscillators are 3 % off; a restart changes a known one by no more than some ppm."""
CONFIRM_SAMPLES = 3
"""So many samples in a row must leap alike before a clock is believed to have been set anew."""
LATE_S = 2.0
"""When nothing came in time for so long, the device's clock has jumped back against the host's, s."""
AT_ONCE_S = 0.05
"""An estimate that was further off is left at once instead of slewed: what a port had stored came first, s."""


@dataclass(frozen=True)
class ClockSettings:
    """How a device's clock is put on the host's."""

    wander_ppm: float = setting(
        1.0, "How much the rate of a device's clock changes in a second (as a random walk), parts per million.",
        low=0.001, high=1000.0,
    )  # fmt: skip
    slew: float = setting(
        0.02, "A better estimate is approached by at most this share of elapsed time, so that stamps stay even.",
        low=0.001, high=0.5,
    )  # fmt: skip
    jump_s: float = setting(
        0.25, "A device's clock that leaps by more against the host's has been set anew: the fit begins again, s.",
        low=0.02, high=60.0,
    )  # fmt: skip
    latency_s: float = setting(0.0, "Shortest time from measurement to arrival, where known, s.", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(slots=True)
class ClockReport:
    """How a device's clock fared.

    Attributes
    ----------
    samples
        Samples that were stamped.
    duplicate, disordered
        Samples that were not, for their device time was there already, or had been passed.
    restarts
        Times that the fit began anew: the device restarted, or one of the clocks was set.
    skew_ppm
        How much faster than the device's clock the host's runs, parts per million.
    jitter_s
        Mean delay above the earliest ones, of about the last thousand samples, s.
    """

    samples: int = 0
    duplicate: int = 0
    disordered: int = 0
    restarts: int = 0
    skew_ppm: float = float("nan")
    jitter_s: float = 0.0


class DeviceClock:
    """Stamps the samples of one device.

    Stamps depend on the sequence of samples only. They increase strictly with device time, run at the device's
    rate to within `ClockSettings.slew`, and settle in the first seconds: the first estimate rests on one
    arrival, and every less delayed sample of the first second betters it.

    Parameters
    ----------
    settings
        See `ClockSettings`.
    """

    def __init__(self, settings: ClockSettings | None = None) -> None:
        self.settings = settings or ClockSettings()
        self.report = ClockReport()
        self.late_s = 0.0
        """Delay of the last sample above the earliest ones, s."""
        self._begin()

    def _begin(self, skew: float = 0.0, skew_sd: float = SKEW_SD) -> None:
        self._origin: tuple[float, float] | None = None  # device time and arrival of the first sample
        self._newest_s = self._last_stamp_s = -math.inf
        # stamp - device time, both since the first sample
        self._line = ClockLine(skew, skew_sd, self.settings.wander_ppm * 1e-6)
        self._correction_s = 0.0  # what is still to be slewed
        self._leaps: list[tuple[float, float]] = []
        self._in_time_s = 0.0
        self._reconnected = False

    def stamp(self, device_s: float, arrival_s: float) -> float | None:
        """Instant of a sample on the host's clock.

        Parameters
        ----------
        device_s
            The sample's instant on the device's clock, unwrapped, s.
        arrival_s
            When its last byte arrived, on a host clock that is not set meanwhile, s.

        Returns
        -------
        Host time, s; None for a sample that came before, was overtaken, or has a time that cannot be believed yet.
        """
        if self._origin is None:
            self._origin = (device_s, arrival_s)
        x = device_s - self._origin[0]
        y = arrival_s - self._origin[1] - x
        late_s, jump_s = y - self._line(x), self.settings.jump_s
        if self._reconnected:
            self._reconnected = False
            # it counts anew, or its clock stood still; a sample that is a little late is none of this
            if x <= self._newest_s or late_s < -AT_ONCE_S or late_s > jump_s:
                return self._restart(device_s, arrival_s)
        if late_s <= -jump_s or (x <= self._newest_s and late_s >= jump_s):
            return self._leap(device_s, arrival_s)
        self.report.disordered += len(self._leaps)  # the clock was right, those times were not
        self._leaps.clear()
        if x <= self._newest_s:
            if x == self._newest_s:
                self.report.duplicate += 1
            else:
                self.report.disordered += 1
            return None
        return self._take(x, y, late_s)

    def instant(self, device_s: float) -> float | None:
        """Instant on the host's clock of something that is not a sample, by what is known; None before any sample."""
        if self._origin is None:
            return None
        x = device_s - self._origin[0]
        return self._origin[1] + x + self._line(x) + self._correction_s - self.settings.latency_s

    def reconnected(self) -> None:
        """The device was away and may have begun to count anew: the next sample tells."""
        self._reconnected = self._origin is not None

    def _take(self, x: float, y: float, late_s: float) -> float | None:
        assert self._origin is not None
        report, settings = self.report, self.settings
        step_s = max(0.0, x - self._newest_s) if self._newest_s > -math.inf else 0.0
        self._newest_s = x
        if late_s < settings.jump_s:
            self._in_time_s = x
        elif x - self._in_time_s > LATE_S:
            return self._restart(x + self._origin[0], y + x + self._origin[1])
        before = self._line(x)
        self._line.take(x, y)
        after = self._line(x)
        self._correction_s += before - after
        if abs(self._correction_s) > AT_ONCE_S:
            self._correction_s = 0.0
        self.late_s = late_s
        self._correction_s -= max(-settings.slew * step_s, min(settings.slew * step_s, self._correction_s))
        report.skew_ppm = self._line.skew * 1e6
        report.jitter_s += (late_s - report.jitter_s) / min(report.samples + 1, 1000)
        stamp_s = self._origin[1] + x + after + self._correction_s - settings.latency_s
        if stamp_s <= self._last_stamp_s:  # until the stamps given too late are passed
            report.disordered += 1
            return None
        self._last_stamp_s = stamp_s
        report.samples += 1
        return stamp_s

    # ---- leaps

    def _leap(self, device_s: float, arrival_s: float) -> float | None:
        """A time that does not continue: believe it when the next ones agree, else leave it out."""
        if self._leaps:
            last_device_s, last_arrival_s = self._leaps[-1]
            step_s = device_s - last_device_s
            if step_s <= 0.0 or abs(arrival_s - last_arrival_s - step_s) >= self.settings.jump_s:
                self.report.disordered += len(self._leaps)
                self._leaps.clear()
        self._leaps.append((device_s, arrival_s))
        if len(self._leaps) < CONFIRM_SAMPLES:
            return None
        self.report.disordered += CONFIRM_SAMPLES - 1
        return self._restart(device_s, arrival_s)

    def _restart(self, device_s: float, arrival_s: float) -> float | None:
        self._begin(self._line.skew, max(self._line.skew_sd, KEPT_SKEW_SD))  # an oscillator keeps its rate
        self.report.restarts += 1
        return self.stamp(device_s, arrival_s)


class CountedTime:
    """Time of devices that have no clock on the line: the count of their samples, in periods.

    The period is measured over the first second of arrivals; what is wrong with it is skew to `DeviceClock`. Where
    the device sends no counter either, samples are counted here, and a lost one shows as a lasting delay.
    """

    SLIP_S = 0.5
    """When even the least delayed sample of so long is late by most of a period, samples were lost, s."""

    def __init__(self) -> None:
        self.lost = 0
        self._first: tuple[int, float] | None = None
        self._period_s = 0.0
        self._count = 0
        self._least_s, self._since = math.inf, 0.0

    def __call__(self, counter: int | None, arrival_s: float) -> float | None:
        """Device time of the next sample, s; None while the period is being measured.

        Parameters
        ----------
        counter
            The device's own, unwrapped; None where it sends none.
        arrival_s
            When the sample arrived, s.
        """
        if counter is None:
            self._count += 1
            counter = self._count
        if self._first is None or counter < self._first[0]:
            self._first = (counter, arrival_s)
        if not self._period_s:
            first, began_s = self._first
            if arrival_s - began_s < FIRST_SPAN_S or counter <= first:
                return None
            self._period_s = (arrival_s - began_s) / (counter - first)
        return counter * self._period_s

    def late(self, late_s: float, arrival_s: float) -> None:
        """Note how late the last sample was; call it only where the device sends no counter."""
        self._least_s = min(self._least_s, late_s)
        if arrival_s - self._since > self.SLIP_S:
            slipped = round(self._least_s / self._period_s) if self._least_s < math.inf and self._period_s else 0
            if slipped > 0 and self._least_s > 0.75 * self._period_s * slipped:
                self._count += slipped
                self.lost += slipped
            self._least_s, self._since = math.inf, arrival_s

    def restart(self) -> None:
        """The device was away: its counter and the lost samples are unknown. The period is kept."""
        self._first = None


class HostClock:
    """The host's steady clock with the Unix time of when it was made.

    Arrivals are taken on the steady clock, which nobody sets; so a system clock that is set during a walk (by NTP,
    by hand) leaves no trace in the stamps. `step_s` tells of it.

    Parameters
    ----------
    steady_ns, system_ns
        Clocks to read; others in tests.
    """

    STEP_S = 0.005
    """Differences below this are the two readings' own spread, s."""

    def __init__(
        self, steady_ns: Callable[[], int] = time.monotonic_ns, system_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._steady_ns, self._system_ns = steady_ns, system_ns
        self._offset_ns = self._measure_ns()

    def _measure_ns(self) -> int:
        best: tuple[int, int] | None = None
        for _ in range(5):
            before, system, after = self._steady_ns(), self._system_ns(), self._steady_ns()
            if best is None or after - before < best[0]:
                best = (after - before, system - (before + after) // 2)
        assert best is not None
        return best[1]

    def now_s(self) -> float:
        """Return now on the steady clock, s."""
        return self._steady_ns() / 1e9

    def unix_ns(self, steady_s: float) -> int:
        """Unix time of an instant of the steady clock, ns, as the system's clock stood when this was made."""
        return round(steady_s * 1e9) + self._offset_ns

    def step_s(self) -> float:
        """How much the system's clock has been set since, s; 0 where it was not."""
        step_s = (self._measure_ns() - self._offset_ns) / 1e9
        return step_s if abs(step_s) > self.STEP_S else 0.0
