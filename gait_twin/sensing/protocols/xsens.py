"""Xsens MTi: MTData2 messages of the Xbus protocol.

Sources: Xsens, *MT Low Level Communication Protocol Documentation*, MT0101P (2019.A and later), sections
"Message structure", "MTData2" and "SetOutputConfiguration"; *MTi User Manual*, MT0605P, section 5.3;
"An Explanation of the MTi Fixed Point Output Formats" (Xsens knowledge base). Checked against messages
recorded from an MTi-300 with MT Manager.

A message is ``FA BID MID LEN data CS``, big-endian; ``LEN`` FF is followed by a 16-bit length; the sum of
all bytes from BID to CS is 0 modulo 256. The data of MTData2 (MID 36) is a row of packets ``id(2) size(1)
data``; the low four bits of the id give coordinate system and number format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct, pack

from gait_twin.sensing.protocols.base import Command, Encoder, Quaternion, Sample, SampleFlag, Vector
from gait_twin.sensing.protocols.framing import MORE, NO_FRAME, SyncDecoder, Unwrapper
from gait_twin.sensing.protocols.units import specific_force
from gait_twin.settings import check, setting

_MTDATA2 = 0x36
_ERROR = 0x42
_CONFIGURATION = 0xC1
_OTHER_MIDS = {0x11: 0, 0x31: 0, 0x3E: 0, 0x3F: 0, _ERROR: 1, _CONFIGURATION: 128}
"""Answers met while streaming is started, and the longest data each may have; any other MID is no frame."""
_LONGEST = 1024
"""Longest data of an MTData2 message that is believed, bytes; all outputs of an MTi together take a third."""
_GROUPS = frozenset((0x08, 0x10, 0x20, 0x30, 0x40, 0x50, 0x70, 0x80, 0xA0, 0xC0, 0xD0, 0xE0))
"""High bytes of all data identifiers (temperature, time, orientation, pressure, …, status)."""

_COUNTER, _TIME_FINE, _QUATERNION = 0x1020, 0x1060, 0x2010
_ACC, _FREE_ACC, _ACC_HR = 0x4020, 0x4030, 0x4040
_GYR, _GYR_HR, _MAG, _STATUS_WORD = 0x8020, 0x8040, 0xC020, 0xE020

_FLOATS = {3: {12: Struct(">3f"), 24: Struct(">3d")}, 4: {16: Struct(">4f"), 32: Struct(">4d")}}
_FP1220 = {3: Struct(">3i"), 4: Struct(">4i")}
_FP1632 = {3: Struct(">IhIhIh"), 4: Struct(">IhIhIhIh")}
_U16, _U32 = Struct(">H"), Struct(">I")


@dataclass(frozen=True, slots=True)
class XsensOptions:
    """What to ask of an MTi and how to read it."""

    rate_hz: int = setting(100, "Output rate, Hz; the device takes divisors of its own highest rate.", low=1, high=2000)
    orientation: bool = setting(True, "Ask for the device's orientation (MTi-2/20/200 and higher).")
    magnetometer: bool = setting(True, "Ask for the magnetic field.")
    field_ut: float = setting(
        50.0, "Magnetic flux density that the device's calibration calls 1, µT.", low=10.0, high=100.0
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)


class XsensDecoder(SyncDecoder):
    """Decoder of MTData2 messages; several devices on one Xbus are told apart by their bus identifier.

    Calibrated (4020) and high-rate (4040, 8040) channels are both taken; a message with free acceleration
    and orientation in the same frame but no acceleration gives a derived specific force. Orientation in NED
    is turned into the z-up frame NWU; ENU and NWU are z-up already. The device gives the magnetic field in
    units of the field where it was calibrated.
    """

    _sync = re.compile(rb"\xfa")

    def __init__(self, options: XsensOptions | None = None) -> None:
        super().__init__()
        self._options = options or XsensOptions()
        self._unwrappers: dict[int, tuple[Unwrapper, Unwrapper]] = {}

    def reset(self) -> None:
        """Forget unfinished messages and counters."""
        super().reset()
        self._unwrappers.clear()

    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        here = len(buffer) - begin
        if here < 4:
            ahead = buffer[begin + 1 : begin + 3]
            return MORE if _possible(*ahead) else NO_FRAME
        bid, mid, length = buffer[begin + 1], buffer[begin + 2], buffer[begin + 3]
        if not _possible(bid, mid):
            return NO_FRAME
        head = 4
        if length == 0xFF:
            if here < 6:
                return MORE
            length, head = _U16.unpack_from(buffer, begin + 4)[0], 6
        first, end = begin + head, begin + head + length
        if mid != _MTDATA2:
            if length > _OTHER_MIDS[mid] or not _GROUPS.issuperset(
                buffer[first:end:4] if mid == _CONFIGURATION else b""
            ):
                return NO_FRAME
        elif length > _LONGEST:
            return NO_FRAME
        elif not _is_row_of_packets(buffer, first, end):
            self.stats.malformed += 1
            return NO_FRAME
        if len(buffer) <= end:
            return MORE
        if sum(buffer[begin + 1 : end + 1]) & 0xFF:
            self.stats.checksum_errors += 1
            return NO_FRAME
        if mid == _MTDATA2:
            sample = self._sample(buffer, first, end, bid)
            if sample is not None:
                samples.append(sample)
        elif mid == _ERROR:
            self.stats.device_errors += 1
        return end + 1 - begin

    def _sample(self, buffer: bytes, at: int, end: int, bid: int) -> Sample | None:
        acc: Vector | None = None
        gyr: Vector | None = None
        mag: Vector | None = None
        free: Vector | None = None
        quat: Quaternion | None = None
        counter = ticks = None
        flags = quat_frame = free_frame = 0
        while at < end:
            identifier, size = buffer[at] << 8 | buffer[at + 1], buffer[at + 2]
            at += 3
            kind = identifier & 0xFFF0
            if kind in (_ACC, _ACC_HR):
                acc = _vector(buffer, at, size, identifier) or acc
            elif kind in (_GYR, _GYR_HR):
                gyr = _vector(buffer, at, size, identifier) or gyr
            elif kind == _MAG:
                mag = _vector(buffer, at, size, identifier)
            elif kind == _QUATERNION:
                quat = _quaternion(buffer, at, size, identifier)
                quat_frame = identifier & 0xC
            elif kind == _FREE_ACC:
                free = _vector(buffer, at, size, identifier)
                if free is not None and identifier & 0xC == 0x4:
                    free = (free[0], -free[1], -free[2])
                free_frame = identifier & 0xC
            elif kind == _COUNTER and size == 2:
                (counter,) = _U16.unpack_from(buffer, at)
            elif kind == _TIME_FINE and size == 4:
                (ticks,) = _U32.unpack_from(buffer, at)
            elif kind == _STATUS_WORD and size == 4:
                (status,) = _U32.unpack_from(buffer, at)
                if status & 0x1FF00:
                    flags |= _clipping(status)
            at += size
        if acc is None and free is not None and quat is not None and quat_frame == free_frame:
            acc = specific_force(quat, free)
            flags |= SampleFlag.ACC_DERIVED.value
        if acc is None and gyr is None and mag is None and quat is None:
            return None
        if mag is not None:
            unit = self._options.field_ut
            mag = (mag[0] * unit, mag[1] * unit, mag[2] * unit)
            flags |= SampleFlag.MAG_RELATIVE.value
        count, clock = self._unwrappers.setdefault(bid, (Unwrapper(16), Unwrapper(32)))
        return Sample(
            acc,
            gyr,
            mag,
            quat,
            None if ticks is None else clock(ticks) * 1e-4,
            None if counter is None else count(counter),
            0.0,
            "" if bid == 0xFF else str(bid),
            flags,
        )


class XsensEncoder(Encoder):
    """Encoder of MTData2 messages as an MTi sends them with 32-bit floats and orientation in ENU."""

    def __init__(self, options: XsensOptions | None = None) -> None:
        self._options = options or XsensOptions()

    def encode(self, sample: Sample) -> bytes:
        """One MTData2 message."""
        data = b""
        if sample.counter is not None:
            data += pack(">HBH", _COUNTER, 2, sample.counter & 0xFFFF)
        if sample.device_time_s is not None:
            data += pack(">HBI", _TIME_FINE, 4, round(sample.device_time_s * 1e4) & 0xFFFFFFFF)
        if sample.quat_wxyz is not None:
            data += pack(">HB4f", _QUATERNION, 16, *sample.quat_wxyz)
        if sample.acc_mps2 is not None:
            data += pack(">HB3f", _ACC, 12, *sample.acc_mps2)
        if sample.gyr_radps is not None:
            data += pack(">HB3f", _GYR, 12, *sample.gyr_radps)
        if sample.mag_ut is not None:
            data += pack(">HB3f", _MAG, 12, *(m / self._options.field_ut for m in sample.mag_ut))
        flags = sample.flags
        # one axis stands for all: a sample's flags do not tell which
        status = 3 | bool(flags & 1) << 8 | bool(flags & 2) << 11 | bool(flags & 4) << 14
        data += pack(">HBI", _STATUS_WORD, 4, status)
        return message(_MTDATA2, data, int(sample.sensor) if sample.sensor else 0xFF)


def message(mid: int, data: bytes = b"", bid: int = 0xFF) -> bytes:
    """An Xbus message with its checksum; data of up to 254 bytes."""
    body = bytes((bid, mid, len(data))) + data
    return b"\xfa" + body + bytes((-sum(body) & 0xFF,))


def start(options: XsensOptions) -> tuple[Command, ...]:
    """Go to config state, choose outputs and rate, go to measurement state."""
    wanted = [(_COUNTER, 0xFFFF), (_TIME_FINE, 0xFFFF), (_ACC, options.rate_hz), (_GYR, options.rate_hz)]
    if options.orientation:
        wanted.append((_QUATERNION, options.rate_hz))
    if options.magnetometer:
        wanted.append((_MAG, min(options.rate_hz, 100)))  # the magnetometer itself gives no more than 100 Hz
    wanted.append((_STATUS_WORD, 0xFFFF))
    outputs = b"".join(pack(">HH", *output) for output in wanted)
    return (
        Command(message(0x30), pause_s=0.1),
        Command(message(0xC0, outputs), pause_s=0.1),
        Command(message(0x10), pause_s=0.1),
    )


def stop(_options: XsensOptions) -> tuple[Command, ...]:
    """Go to config state, in which nothing is streamed."""
    return (Command(message(0x30)),)


def _possible(bid: int = 0xFF, mid: int = _MTDATA2) -> bool:
    return (bid == 0xFF or 0 < bid <= 0x20) and (mid == _MTDATA2 or mid in _OTHER_MIDS)


def _is_row_of_packets(buffer: bytes, at: int, end: int) -> bool:
    """Whether what is here of the data can be packets: false beginnings are found out by their second byte."""
    here = len(buffer)
    while at < end and at < here:
        if buffer[at] not in _GROUPS or at + 3 > end:
            return False
        if at + 3 > here:
            return True
        at += 3 + buffer[at + 2]
        if at > end:
            return False
    return True


def _numbers(buffer: bytes, at: int, size: int, identifier: int, n: int) -> tuple[float, ...] | None:
    """Read n numbers in the format that the identifier names; None when the size does not fit."""
    form = identifier & 3
    if form in (0, 3):
        floats = _FLOATS[n].get(size)
        return None if floats is None else floats.unpack_from(buffer, at)
    if form == 1:
        return None if size != 4 * n else tuple(v * 2.0**-20 for v in _FP1220[n].unpack_from(buffer, at))
    if size != 6 * n:
        return None
    raw = _FP1632[n].unpack_from(buffer, at)
    return tuple(whole + fraction * 2.0**-32 for fraction, whole in zip(raw[::2], raw[1::2], strict=True))


def _vector(buffer: bytes, at: int, size: int, identifier: int) -> Vector | None:
    values = _numbers(buffer, at, size, identifier, 3)
    return None if values is None else (values[0], values[1], values[2])


def _quaternion(buffer: bytes, at: int, size: int, identifier: int) -> Quaternion | None:
    values = _numbers(buffer, at, size, identifier, 4)
    if values is None:
        return None
    w, x, y, z = values
    if identifier & 0xC == 0x4:  # north-east-down to north-west-up: half a turn about north
        return (-x, w, -z, y)
    return (w, x, y, z)


def _clipping(status: int) -> int:
    """Flags of the status word's clipping bits: 8-10 accelerometer, 11-13 gyroscope, 14-16 magnetometer."""
    return bool(status & 0x700) * 1 | bool(status & 0x3800) * 2 | bool(status & 0x1C000) * 4
