"""Plays a recording as the bytes that real devices would have sent, with all that goes wrong on the way.

Pure: it says when to send which bytes, and a player on a pseudo terminal, a socket or a file does so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gait_twin.errors import InputError
from gait_twin.recording import ImuStream, Recording
from gait_twin.sensing.protocols.base import Protocol, Sample
from gait_twin.sensing.protocols.registry import find
from gait_twin.settings import check, setting


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """What goes wrong with one emulated sensor; by default nothing does."""

    drift_ppm: float = setting(0.0, "By how much its clock runs fast, parts per million.", low=-1e5, high=1e5)
    clock_offset_s: float = setting(0.0, "What its clock shows when it is switched on, s.", low=0.0)
    latency_ms: float = setting(0.0, "Least time from measurement to sending, ms.", low=0.0)
    jitter_ms: float = setting(0.0, "Largest time on top of the latency, evenly spread, ms.", low=0.0)
    loss: float = setting(0.0, "Share of frames that are never sent.", low=0.0, high=1.0)
    corruption: float = setting(0.0, "Share of frames that are damaged: bits, end or middle.", low=0.0, high=1.0)
    unplugged_s: tuple[float, ...] = setting((), "Beginnings and ends of times without connection, in turn, s.")
    restarts: bool = setting(False, "Losing the connection restarts the device, its clock and its counter.")
    seed: int = setting(0, "Seed of all that is random.", low=0)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)
        times = self.unplugged_s
        if len(times) % 2 or any(b <= a for a, b in pairwise(times)):
            raise InputError(
                f"EmulatorSettings.unplugged_s is {times}; give an even number of times, s, that increase."
            )


@dataclass(frozen=True, slots=True)
class EmulatedSensor:
    """Which device plays a segment's stream.

    Attributes
    ----------
    protocol
        Name in `PROTOCOLS`.
    options
        Options of the protocol.
    settings
        What goes wrong.
    """

    protocol: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: EmulatorSettings = EmulatorSettings()


class Emission(NamedTuple):
    """Bytes to send.

    Attributes
    ----------
    send_s
        When, s on the recording's time; never decreases.
    segment
        Which sensor.
    data
        One frame or datagram.
    """

    send_s: float
    segment: str
    data: bytes


def emulate(recording: Recording, sensors: Mapping[str, EmulatedSensor]) -> Iterator[Emission]:
    """Play the streams of these segments.

    Parameters
    ----------
    recording
        What was measured, or simulated.
    sensors
        Device of each segment to be played.

    Returns
    -------
    Iterator
        Emissions of all sensors in the order of sending.

    Raises
    ------
    InputError
        At once, for a segment that the recording lacks, an unknown protocol or unknown options.
    """
    for segment in sensors:
        if segment not in recording.imus:
            raise InputError(f"the recording has no sensor on {segment!r}; it has {', '.join(recording.imus)}.")
    streams = [emulate_stream(recording.imus[segment], sensor) for segment, sensor in sensors.items()]
    return heapq.merge(*streams, key=lambda emission: emission.send_s)


def emulate_stream(stream: ImuStream, sensor: EmulatedSensor) -> Iterator[Emission]:
    """Play one stream; parameters and errors as of `emulate`."""
    protocol = find(sensor.protocol)
    options = protocol.make_options(sensor.options)
    return _emissions(stream, protocol, options, sensor.settings)


def samples(stream: ImuStream, settings: EmulatorSettings | None = None) -> Iterator[tuple[float, Sample]]:
    """What the device measures while it is connected: true instant, s, and sample with the device's time.

    The counter counts what the device measured, so it steps over gaps of the recording and rows with NaN,
    which are left out.
    """
    settings = settings or EmulatorSettings()
    rate = stream.sampling_rate_hz
    channels = [stream.acc_mps2, stream.gyr_radps, stream.mag_ut, stream.quat_wxyz]
    columns = [None if c is None else np.asarray(c, dtype=float).tolist() for c in channels]
    whole = np.all([np.isfinite(c).all(axis=1) for c in channels if c is not None], axis=0)
    unplugged = settings.unplugged_s
    begun_s, counter, before = 0.0, -1, None
    for i, t in enumerate(stream.time_s.tolist()):
        steps = 1 if before is None or not rate > 0 else max(1, round((t - before) * rate))
        before = t
        counter += steps
        passed = int(np.searchsorted(unplugged, t, side="right"))
        if passed % 2:
            continue
        if settings.restarts and passed and begun_s < unplugged[passed - 1]:
            begun_s, counter = unplugged[passed - 1], 0
        if not whole[i]:
            continue
        acc, gyr, mag, quat = (None if c is None else tuple(c[i]) for c in columns)
        device_s = settings.clock_offset_s + (t - begun_s) * (1 + settings.drift_ppm * 1e-6)
        yield t, Sample(acc, gyr, mag, quat, device_s, counter)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some bits flipped, the end cut off, or strange bytes in their middle."""
    kind, at = rng.integers(3), int(rng.integers(max(1, len(data))))
    if kind == 0:
        damaged = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        return bytes(damaged)
    if kind == 1:
        return data[:at]
    return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at:]


def _emissions(stream: ImuStream, protocol: Protocol, options: Any, settings: EmulatorSettings) -> Iterator[Emission]:
    rng = np.random.default_rng(settings.seed)
    encoder = protocol.encoder(options)
    latency_s, jitter_s = settings.latency_ms * 1e-3, settings.jitter_ms * 1e-3
    waiting: list[tuple[float, int, bytes]] = []
    latest = -np.inf
    for i, (t, sample) in enumerate(samples(stream, settings)):
        while waiting and waiting[0][0] <= t + latency_s:  # nothing measured from now on can be sent before
            send_s, _, data = heapq.heappop(waiting)
            yield Emission(send_s, stream.segment, data)
        data = encoder.encode(sample)
        lost, damaged, late = rng.random(3)
        if damaged < settings.corruption:
            data = damage(data, rng)
        if lost < settings.loss or not data:
            continue
        send_s = float(t + latency_s + late * jitter_s)
        if not protocol.datagram:  # a stream keeps its order: what is held up holds up what follows
            send_s = latest = max(latest, send_s)
        heapq.heappush(waiting, (send_s, i, data))
    while waiting:
        send_s, _, data = heapq.heappop(waiting)
        yield Emission(send_s, stream.segment, data)
