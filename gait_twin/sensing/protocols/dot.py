"""Movella DOT (formerly Xsens DOT): payloads of its Bluetooth LE measurement service.

Source: Movella, *Movella DOT BLE Services Specifications* (revision C, July 2023; formerly Xsens XD0506P),
sections 2.2 (device control), 3.1 to 3.4 (control and payload characteristics) and 3.5 (data types).

Payloads are little-endian: a 32-bit time in µs, then the mode's channels, then zeros up to the length of
the characteristic. They carry no mode and no checksum: the mode is known because it was asked for, and
Bluetooth's own checksum guards the link. The scale of the magnetometer's fixed-point numbers is not in the
specification, so the field of mode "rate_mag" is not given. The modes with Euler angles or with delta
quantities alone are left out, and the high-fidelity modes can only be read by Movella's own library.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, pack

from gait_twin.errors import InputError
from gait_twin.sensing.protocols.base import (
    BleProfile,
    Buffer,
    Command,
    Decoder,
    Encoder,
    Quaternion,
    Sample,
    SampleFlag,
    Vector,
)
from gait_twin.sensing.protocols.framing import Unwrapper
from gait_twin.sensing.protocols.units import DEG, free_acceleration, plausible, specific_force
from gait_twin.settings import check, setting


@dataclass(frozen=True, slots=True)
class _Mode:
    """A payload mode: its number, its fields in order, the characteristic and length of its notifications."""

    number: int
    channels: tuple[str, ...]
    characteristic: int
    length: int

    @property
    def layout(self) -> Struct:
        sizes = {"quat": "4f", "free": "3f", "acc": "3f", "gyr": "3f", "mag": "3h", "status": "H2B"}
        return Struct("<I" + "".join(sizes[c] for c in self.channels))


MODES = {
    "custom_5": _Mode(26, ("quat", "acc", "gyr"), 0x2002, 63),
    "rate": _Mode(21, ("acc", "gyr"), 0x2003, 40),
    "rate_mag": _Mode(20, ("acc", "gyr", "mag"), 0x2003, 40),
    "extended_quaternion": _Mode(2, ("quat", "free", "status"), 0x2003, 40),
    "complete_quaternion": _Mode(3, ("quat", "free"), 0x2003, 40),
    "custom_3": _Mode(24, ("quat", "gyr"), 0x2003, 40),
    "orientation_quaternion": _Mode(5, ("quat",), 0x2004, 20),
}
"""Payload modes by name; the first, orientation with both inertial channels, is the default."""

RATES_HZ = (1, 4, 10, 12, 15, 20, 30, 60)
"""Output rates for streaming (table 7; 120 Hz is for recording on the device)."""


@dataclass(frozen=True, slots=True)
class DotOptions:
    """What to ask of a DOT; decoder and device must be given the same."""

    mode: str = setting("custom_5", "Payload mode.", choices=tuple(MODES))
    rate_hz: int = setting(60, "Output rate, Hz: 1, 4, 10, 12, 15, 20, 30 or 60.", low=1, high=60)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)
        if self.rate_hz not in RATES_HZ:
            raise InputError(f"DotOptions.rate_hz is {self.rate_hz}; choose one of {', '.join(map(str, RATES_HZ))}.")


class DotDecoder(Decoder):
    """Decoder of measurement payloads: every call takes exactly one notification."""

    def __init__(self, options: DotOptions | None = None) -> None:
        super().__init__()
        self._mode = MODES[(options or DotOptions()).mode]
        self._layout = self._mode.layout
        self._clock = Unwrapper(32)

    def reset(self) -> None:
        """Forget the clock: it begins anew when the device does."""
        self._clock = Unwrapper(32)

    def feed(self, data: Buffer) -> list[Sample]:
        """Take one notification and give its sample."""
        payload, stats, layout = bytes(data), self.stats, self._layout
        stats.received_bytes += len(payload)
        size = layout.size
        if len(payload) < size or payload.count(0, size) != len(payload) - size:
            return self._refuse(payload)
        ticks, *values = layout.unpack_from(payload)
        acc: Vector | None = None
        gyr: Vector | None = None
        free: Vector | None = None
        quat: Quaternion | None = None
        flags = at = 0
        for channel in self._mode.channels:
            if channel == "quat":
                quat = (values[at], values[at + 1], values[at + 2], values[at + 3])
                at += 4
            elif channel == "acc":
                acc = (values[at], values[at + 1], values[at + 2])
                at += 3
            elif channel == "gyr":
                gyr = (values[at] * DEG, values[at + 1] * DEG, values[at + 2] * DEG)
                at += 3
            elif channel == "free":
                free = (values[at], values[at + 1], values[at + 2])
                at += 3
            elif channel == "status":
                flags = _clipping(*values[at:])
        if not plausible(acc or free, gyr, None, quat):
            return self._refuse(payload)
        if free is not None and quat is not None:
            acc = specific_force(quat, free)
            flags |= SampleFlag.ACC_DERIVED.value
        stats.frames += 1
        stats.samples += 1
        return [Sample(acc, gyr, None, quat, self._clock(ticks) * 1e-6, None, 0.0, "", flags)]

    def _refuse(self, payload: bytes) -> list[Sample]:
        self.stats.malformed += 1
        self.stats.dropped_bytes += len(payload)
        return []


class DotEncoder(Encoder):
    """Encoder of measurement payloads; channels that the sample lacks are sent as NaN (orientation as none)."""

    def __init__(self, options: DotOptions | None = None) -> None:
        self._mode = MODES[(options or DotOptions()).mode]

    def encode(self, sample: Sample) -> bytes:
        """One notification, padded with zeros to its characteristic's length."""
        nan = (float("nan"),) * 3
        quat = sample.quat_wxyz or (1.0, 0.0, 0.0, 0.0)
        acc = sample.acc_mps2 or nan
        payload = pack("<I", round((sample.device_time_s or 0.0) * 1e6) & 0xFFFFFFFF)
        for channel in self._mode.channels:
            if channel == "quat":
                payload += pack("<4f", *quat)
            elif channel == "acc":
                payload += pack("<3f", *acc)
            elif channel == "gyr":
                payload += pack("<3f", *(w / DEG for w in sample.gyr_radps or nan))
            elif channel == "free":
                payload += pack("<3f", *free_acceleration(quat, acc))
            elif channel == "mag":
                payload += bytes(6)
            elif channel == "status":
                flags = sample.flags
                payload += pack("<H2B", flags & 1 | (flags & 2) << 2 | (flags & 4) << 4, flags & 1, flags >> 1 & 1)
        return payload.ljust(self._mode.length, b"\0")


def uuid(number: int) -> str:
    """Full UUID of a characteristic or service (section 1.1)."""
    return f"1517{number:04x}-4947-11e9-8646-d663bd873d93"


def ble(options: DotOptions) -> BleProfile:
    """The measurement service, with the payload characteristic of the chosen mode."""
    return BleProfile(
        ("Movella DOT", "Xsens DOT"), uuid(0x2000), uuid(MODES[options.mode].characteristic), uuid(0x2001)
    )


def start(options: DotOptions) -> tuple[Command, ...]:
    """Set the output rate (table 7, visit bit 4), then start measuring (table 13)."""
    control = bytes((0x10,)) + bytes(23) + pack("<H", options.rate_hz) + bytes(6)
    return (
        Command(control, pause_s=0.1, characteristic=uuid(0x1002)),
        Command(bytes((1, 1, MODES[options.mode].number)), characteristic=uuid(0x2001)),
    )


def stop(options: DotOptions) -> tuple[Command, ...]:
    """Stop measuring."""
    return (Command(bytes((1, 0, MODES[options.mode].number)), characteristic=uuid(0x2001)),)


def _clipping(status: int, acc_clips: int, gyr_clips: int) -> int:
    """Flags of the status bits (section 3.5.1) and of the clip counts."""
    return bool(status & 0x7 or acc_clips) * 1 | bool(status & 0x38 or gyr_clips) * 2 | bool(status & 0x1C0) * 4
