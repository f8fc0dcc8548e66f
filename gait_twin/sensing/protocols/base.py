"""What every device protocol looks like from outside: bytes in, samples out, and back for the emulator.

Nothing in this package does input or output: a transport (serial port, socket, Bluetooth link, file)
hands its bytes to a `Decoder` and sends the bytes of a `Command`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntFlag, StrEnum
from typing import Any, NamedTuple

from gait_twin.errors import InputError

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Buffer = bytes | bytearray | memoryview


class SampleFlag(IntFlag):
    """What is to be known of a sample beside its numbers."""

    ACC_SATURATED = 1
    """The accelerometer is at the end of its range."""
    GYR_SATURATED = 2
    """The gyroscope is at the end of its range."""
    MAG_SATURATED = 4
    """The magnetometer is at the end of its range."""
    MAG_RELATIVE = 8
    """The device gives the field in arbitrary units; µT by the nominal field of the protocol's options."""
    ACC_DERIVED = 16
    """Specific force was put together from gravity-free acceleration and the device's orientation."""


class Sample(NamedTuple):
    """What one sensor measured at one instant; a channel it did not measure then is None.

    Attributes
    ----------
    acc_mps2
        Specific force in sensor axes, gravity included (+9.81 upwards at rest, REP-145), m/s².
    gyr_radps
        Angular rate in sensor axes, rad/s.
    mag_ut
        Magnetic flux density in sensor axes, µT.
    quat_wxyz
        The device's own orientation, rotating sensor axes into its z-up earth frame.
    device_time_s
        Instant on the device's clock, unwrapped, s from an arbitrary origin; None when it sends none.
    counter
        The device's sample counter, unwrapped; None when it sends none. A step over 1 is a loss.
    age_s
        By how much the instant lies before the arrival of the bytes, where the device says so, s.
    sensor
        Which sensor, where one stream carries several; empty otherwise.
    flags
        `SampleFlag` bits.
    """

    acc_mps2: Vector | None = None
    gyr_radps: Vector | None = None
    mag_ut: Vector | None = None
    quat_wxyz: Quaternion | None = None
    device_time_s: float | None = None
    counter: int | None = None
    age_s: float = 0.0
    sensor: str = ""
    flags: int = 0


@dataclass(slots=True)
class DecoderStats:
    """Counts since the decoder was made.

    Attributes
    ----------
    received_bytes
        Bytes fed.
    frames
        Whole frames or messages accepted, whether or not they carry measurements.
    samples
        Samples given.
    checksum_errors
        Frames refused because their checksum is wrong.
    malformed
        Messages refused because their length, type or content cannot be right.
    device_errors
        Messages in which the device itself reports an error.
    dropped_bytes
        Bytes that belong to no accepted frame.
    """

    received_bytes: int = 0
    frames: int = 0
    samples: int = 0
    checksum_errors: int = 0
    malformed: int = 0
    device_errors: int = 0
    dropped_bytes: int = 0


class Decoder(ABC):
    """Turns the bytes of one stream into samples, in whatever pieces the bytes come.

    Attributes
    ----------
    stats
        Counts of what came and what was refused.
    """

    def __init__(self) -> None:
        self.stats = DecoderStats()

    @abstractmethod
    def feed(self, data: Buffer) -> list[Sample]:
        """Take the next bytes and give the samples that are now complete, in order. Never raises."""

    @abstractmethod
    def reset(self) -> None:
        """Forget unfinished frames and counters: the device was unplugged or restarted."""


class Encoder(ABC):
    """Turns samples into the bytes that the device would send: the heart of its emulator."""

    @abstractmethod
    def encode(self, sample: Sample) -> bytes:
        """Bytes of one instant; channels that are None or that the protocol cannot carry are left out."""


class Session(ABC):
    """A device that listens before, or while, it talks: its side of the conversation, for its emulator."""

    @abstractmethod
    def take(self, data: bytes) -> bytes:
        """Hear what the host sent, in whatever pieces; gives the answer."""

    @abstractmethod
    def stream(self, frame: bytes) -> bytes:
        """What is sent by itself now that this frame of measurements is ready."""


class Transport(StrEnum):
    """How the bytes of a device travel."""

    SERIAL = "serial"
    BLE = "ble"
    UDP = "udp"
    TCP = "tcp"
    FILE = "file"


class Command(NamedTuple):
    """Bytes to send to a device.

    Attributes
    ----------
    payload
        The bytes.
    pause_s
        Time to wait after sending, s.
    byte_gap_s
        Time to wait between two bytes, where the device cannot take them back to back, s.
    characteristic
        UUID to write to, on Bluetooth LE; empty elsewhere.
    """

    payload: bytes
    pause_s: float = 0.0
    byte_gap_s: float = 0.0
    characteristic: str = ""


class BleProfile(NamedTuple):
    """Where a Bluetooth LE device is found and read.

    Attributes
    ----------
    names
        Beginnings of the advertised name, for scanning.
    service
        UUID of the service.
    notify
        UUID of the characteristic to be notified of; its every notification goes to `Decoder.feed`.
    write
        UUID of the characteristic that takes commands.
    """

    names: tuple[str, ...]
    service: str
    notify: str
    write: str


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Options of a protocol that has none."""


def _no_commands(_options: Any) -> tuple[Command, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way of talking to a kind of device, and all that a driver has to know of it.

    Attributes
    ----------
    name
        Key in `PROTOCOLS` and word in ``body.yaml``.
    title
        Device and format, for lists.
    description
        One or two sentences: what it carries, how fast.
    transports
        What it is used on.
    datagram
        True when every call of `Decoder.feed` must get exactly one datagram or notification; False when
        the bytes may come in any pieces.
    checksum
        True when the format itself protects every measurement with a checksum; otherwise only its
        structure and the plausibility of its numbers are checked.
    decoder, encoder
        Make a decoder or an encoder from an options object.
    options
        The frozen dataclass of options; its fields are described by `gait_twin.settings.setting`.
    start, stop
        Commands that configure the device and start or stop its stream, from an options object.
    poll
        Command that asks for one sample, for devices that do not stream; None elsewhere.
    polling_rate_hz
        How often to poll, from an options object; 0 for devices that stream.
    session
        Makes the emulator's side of the conversation from an options object; None where the device only talks.
    baud_rate
        Default of the serial line, baud; 0 where it does not matter (USB) or there is none.
    udp_port, tcp_port
        Default port at the host (UDP) or the device (TCP); 0 where there is none.
    ble
        Where to find it on Bluetooth LE, from an options object.
    documents
        The public documents that were followed.
    """

    name: str
    title: str
    description: str
    transports: tuple[Transport, ...]
    datagram: bool
    checksum: bool
    decoder: Callable[[Any], Decoder]
    encoder: Callable[[Any], Encoder]
    options: type = NoOptions
    start: Callable[[Any], tuple[Command, ...]] = _no_commands
    stop: Callable[[Any], tuple[Command, ...]] = _no_commands
    poll: Callable[[Any], Command] | None = None
    polling_rate_hz: Callable[[Any], float] = lambda _options: 0.0
    session: Callable[[Any], Session] | None = None
    baud_rate: int = 0
    udp_port: int = 0
    tcp_port: int = 0
    ble: Callable[[Any], BleProfile] | None = None
    documents: tuple[str, ...] = field(default=())

    def make_options(self, values: Mapping[str, Any] | None = None) -> Any:
        """Options object from plain values, such as those of ``body.yaml``.

        Raises
        ------
        InputError
            For an option that the protocol does not have, or a value outside its range.
        """
        known = [f.name for f in fields(self.options)]
        for name in values or {}:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise InputError(f"protocol {self.name} has no option {name!r}; {has}.")
        return self.options(**(values or {}))

    def make_decoder(self, values: Mapping[str, Any] | None = None) -> Decoder:
        """Decoder with these options; raises `InputError` as `make_options` does."""
        return self.decoder(self.make_options(values))

    def make_encoder(self, values: Mapping[str, Any] | None = None) -> Encoder:
        """Encoder with these options; raises `InputError` as `make_options` does."""
        return self.encoder(self.make_options(values))
