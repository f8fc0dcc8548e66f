"""One sensor of the driver: samples as they are decoded become stamped readings, and everything is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from gait_twin.sensing.clocks import ClockReport, ClockSettings, CountedTime, DeviceClock
from gait_twin.sensing.devices import Device
from gait_twin.sensing.protocols import Sample

SILENT_S = 1.0
"""A sensor that sends nothing for so long is silent, s."""
GAP_S = 0.1
"""Stamps this far apart are a gap worth telling, s; shorter ones only count as lost samples."""

STEPS, LONG_STEP = 64, 1.75
"""The period of a device without a counter is the median of so many steps of its clock; longer steps lost samples."""


class Reading(NamedTuple):
    """What one sensor measured at one instant.

    Attributes
    ----------
    segment
        Who wears it.
    steady_s
        Instant of the measurement on the host's steady clock, s.
    sample
        The channels.
    """

    segment: str
    steady_s: float
    sample: Sample


@dataclass(slots=True)
class FeedReport:
    """Counters of one sensor.

    Attributes
    ----------
    received
        Samples that came.
    lost
        Samples that the device's counter (or clock) shows missing.
    gaps, longest_gap_s
        Times without samples for longer than `GAP_S`, and the longest of them.
    incomplete
        Samples without specific force or magnetic field: nothing can be done with them.
    rate_hz
        Samples a second, of the last second; NaN before.
    silent_s
        Time since the last sample, s; NaN before the first one.
    """

    received: int = 0
    lost: int = 0
    gaps: int = 0
    longest_gap_s: float = 0.0
    incomplete: int = 0
    rate_hz: float = float("nan")
    silent_s: float = float("nan")


class Feed:
    """The samples of one sensor on their way from the decoder.

    Parameters
    ----------
    device
        Whose samples.
    sink
        Takes the readings: specific force with what came with it, or a magnetic field alone.
    say
        Told of gaps, in sentences.
    settings
        How its clock is followed.
    """

    def __init__(
        self, device: Device, sink: Callable[[Reading], None], say: Callable[[str], None], settings: ClockSettings
    ) -> None:
        self.device, self.report = device, FeedReport()
        self.active = False
        self._sink, self._say = sink, say
        self._clock = DeviceClock(settings)
        self._counted = CountedTime()
        self._last_stamp_s = self._last_arrival_s = float("nan")
        self._counter: int | None = None
        self._device_s = self._period_s = float("nan")
        self._steps: list[float] = []
        self._told = 0

    @property
    def clock(self) -> ClockReport:
        """How its clock fares."""
        return self._clock.report

    def reconnected(self) -> None:
        """The device was away."""
        self._clock.reconnected()
        self._counted.restart()
        self._counter = None
        self._device_s = float("nan")

    def take(self, sample: Sample, arrival_s: float) -> None:
        """Stamp a sample and hand it on."""
        if sample.acc_mps2 is None:
            self._take_other(sample, arrival_s)
            return
        report = self.report
        report.received += 1
        arrival_s -= sample.age_s
        self._count_lost(sample)
        device_s = sample.device_time_s
        if device_s is None:
            device_s = self._counted(sample.counter, arrival_s)
        stamp_s: float | None = arrival_s - self._clock.settings.latency_s
        if device_s is not None:
            stamp_s = self._clock.stamp(device_s, arrival_s)
            if sample.device_time_s is None and sample.counter is None:
                self._counted.late(self._clock.late_s, arrival_s)
        self._last_arrival_s = arrival_s
        if stamp_s is None:
            return
        if stamp_s <= self._last_stamp_s:  # after a new fit, until what was stamped before is passed
            self._clock.report.disordered += 1
            return
        gap_s = stamp_s - self._last_stamp_s
        self._last_stamp_s = stamp_s
        if gap_s > GAP_S:
            report.gaps += 1
            report.longest_gap_s = max(report.longest_gap_s, gap_s)
            if gap_s > SILENT_S:
                self._say(f"{self.device.segment} is back after {gap_s:.2f} s without samples.")
        if self.active:
            self._sink(Reading(self.device.segment, stamp_s, sample))

    def _take_other(self, sample: Sample, arrival_s: float) -> None:
        """Magnetic field (or more) in a message of its own, with its own time."""
        if sample.mag_ut is None:
            self.report.incomplete += 1
            return
        known = self._clock.instant(sample.device_time_s) if sample.device_time_s is not None else None
        stamp_s = arrival_s - sample.age_s - self._clock.settings.latency_s if known is None else known
        if self.active and abs(arrival_s - stamp_s) < SILENT_S:
            self._sink(Reading(self.device.segment, stamp_s, sample))

    def _count_lost(self, sample: Sample) -> None:
        """Samples missing before this one, by the device's counter, else by its clock."""
        if sample.counter is not None:
            if self._counter is not None and sample.counter > self._counter + 1:
                self.report.lost += sample.counter - self._counter - 1
            if self._counter is None or sample.counter > self._counter:
                self._counter = sample.counter
            return
        if sample.device_time_s is None:
            self.report.lost = self._counted.lost
            return
        step_s = sample.device_time_s - self._device_s
        self._device_s = sample.device_time_s
        if not step_s > 0.0:
            return
        if step_s > LONG_STEP * self._period_s:
            self.report.lost += round(step_s / self._period_s) - 1
        self._steps.append(step_s)
        if len(self._steps) == STEPS:
            self._period_s = median(self._steps)
            self._steps.clear()

    def each_second(self, now_s: float, elapsed_s: float) -> None:
        """Bring rate and silence up to date."""
        report = self.report
        report.rate_hz = (report.received - self._told) / elapsed_s
        self._told = report.received
        report.silent_s = now_s - self._last_arrival_s

    def is_silent(self, now_s: float) -> bool:
        """Whether nothing came for long, or ever."""
        return not now_s - self._last_arrival_s < SILENT_S
