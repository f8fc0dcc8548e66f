"""Bosch/CEVA BNO080, BNO085, BNO086: the simple UART-RVC output, and SHTP over UART.

Sources: Hillcrest Laboratories, *BNO080 Data Sheet* 1000-3927 (October 2017), sections 1.3.3 (UART-SHTP),
1.3.5.2 (UART-RVC; its example message is a test), 1.4.1 (SHTP header), 1.4.5 (sensor reports, timestamps),
5.2.2 (Set Feature); *SH-2 Reference Manual* 1000-3625 (report descriptions); lengths and fixed-point scales
of the reports and the framing bytes as in CEVA's published driver.

UART-RVC is ``AA AA index yaw pitch roll ax ay az 0 0 0 sum``, 100 times a second, without angular rate.
SHTP frames are ``7E 01 length(2) channel sequence cargo 7E`` with 7E and 7D escaped as in RFC 1662, all
little-endian; there is no checksum, so a frame must have the length that it says and reports that fill it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct, pack

from gait_twin.sensing.protocols.base import Command, Encoder, NoOptions, Quaternion, Sample, Session, Vector
from gait_twin.sensing.protocols.framing import MORE, NO_FRAME, DelimitedDecoder, SyncDecoder, Unwrapper
from gait_twin.sensing.protocols.units import DEG, G_MPS2, angles_zyx, int16, plausible, quaternion_zyx
from gait_twin.settings import check, setting

_SHORTS6 = Struct("<6h")
_RVC_ANGLE, _RVC_ACC = 0.01 * DEG, 0.001 * G_MPS2


class RvcDecoder(SyncDecoder):
    """Decoder of UART-RVC: specific force and orientation, no angular rate, an 8-bit counter."""

    _sync = re.compile(rb"\xaa")

    def __init__(self, _options: NoOptions | None = None) -> None:
        super().__init__()
        self._count = Unwrapper(8)

    def reset(self) -> None:
        """Forget an unfinished frame and the counter."""
        super().reset()
        self._count = Unwrapper(8)

    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        if len(buffer) - begin > 1 and buffer[begin + 1] != 0xAA:
            return NO_FRAME
        if len(buffer) - begin < 19:
            return MORE
        if sum(buffer[begin + 2 : begin + 18]) & 0xFF != buffer[begin + 18]:
            self.stats.checksum_errors += 1
            return NO_FRAME
        yaw, pitch, roll, x, y, z = _SHORTS6.unpack_from(buffer, begin + 3)
        samples.append(
            Sample(
                (x * _RVC_ACC, y * _RVC_ACC, z * _RVC_ACC),
                None,
                None,
                quaternion_zyx(yaw * _RVC_ANGLE, pitch * _RVC_ANGLE, roll * _RVC_ANGLE),
                None,
                self._count(buffer[begin + 2]),
            )
        )
        return 19


class RvcEncoder(Encoder):
    """Encoder of UART-RVC; absent channels are sent as zero, for the format has no word for absence."""

    def __init__(self, _options: NoOptions | None = None) -> None:
        pass

    def encode(self, sample: Sample) -> bytes:
        """One frame."""
        angles = angles_zyx(sample.quat_wxyz or (1.0, 0.0, 0.0, 0.0))
        values = [int16(a / _RVC_ANGLE) for a in angles]
        values += [int16(a / _RVC_ACC) for a in sample.acc_mps2 or (0.0, 0.0, 0.0)]
        body = pack("<B6h3x", (sample.counter or 0) & 0xFF, *values)
        return b"\xaa\xaa" + body + bytes((sum(body) & 0xFF,))


_ACC, _GYR, _MAG, _ROTATION, _GAME_ROTATION = 0x01, 0x02, 0x03, 0x05, 0x08
_BASE, _REBASE = 0xFB, 0xFA
_CONTROL, _SET_FEATURE, _FEATURE_RESPONSE = 2, 0xFD, 0xFC
_LENGTHS = {
    _BASE: 5, _REBASE: 5, _ACC: 10, _GYR: 10, _MAG: 10, 0x04: 10, _ROTATION: 14, 0x06: 10, 0x07: 16,
    _GAME_ROTATION: 12, 0x09: 14, 0x0F: 16, 0x14: 16, 0x15: 16, 0x16: 16, 0x28: 14, 0x29: 12,
}  # fmt: skip
"""Length of each report that can come on the input channels, bytes."""
_FEATURE_CARGO = Struct("<BBBHIII")
_SHORTS3, _SHORTS4, _DELTA = Struct("<3h"), Struct("<4h"), Struct("<i")
_TICK_S = 1e-4
_ACC_LSB, _GYR_LSB, _MAG_LSB, _QUAT_LSB = 2.0**-8, 2.0**-9, 2.0**-4, 2.0**-14
_LSB = {_ACC: _ACC_LSB, _GYR: _GYR_LSB, _MAG: _MAG_LSB, _ROTATION: _QUAT_LSB, _GAME_ROTATION: _QUAT_LSB}
"""Reports that are used, and what one count of each is worth: m/s², rad/s, µT, 1."""
_ROTATIONS = (_ROTATION, _GAME_ROTATION)


@dataclass(frozen=True, slots=True)
class ShtpOptions:
    """Which reports to ask for."""

    rate_hz: int = setting(400, "Rate of accelerometer and gyroscope, Hz.", low=1, high=400)
    orientation: str = setting(
        "game", "Orientation report: none, game (no magnetometer) or rotation.", choices=("none", "game", "rotation")
    )
    orientation_rate_hz: int = setting(100, "Rate of the orientation, Hz.", low=1, high=400)
    magnetometer: bool = setting(False, "Ask for the calibrated magnetic field.")

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)


class ShtpDecoder(DelimitedDecoder):
    """Decoder of SHTP input reports over UART.

    The chip reports every channel by itself. A sample is given with each gyroscope report and takes along
    the accelerometer, orientation and magnetometer reports that came since the one before: they are up to
    one period of the gyroscope older. Without gyroscope reports a channel that comes again makes the
    sample. The counter is the report's 8-bit sequence number. The chip has no clock that the host can see:
    it says how long before the transfer a sample was taken: base delta less the report's delay, as in
    CEVA's driver; that is `Sample.age_s`.
    """

    _delimiter = b"\x7e"

    def __init__(self, _options: ShtpOptions | None = None) -> None:
        super().__init__()
        self._vectors: dict[int, Vector] = {}
        self._quat: Quaternion | None = None
        self._leader, self._sequence, self._age_s = _ACC, 0, 0.0
        self._count = Unwrapper(8)

    def reset(self) -> None:
        """Forget unfinished frames and waiting reports."""
        super().reset()
        self._vectors, self._quat, self._leader = {}, None, _ACC
        self._count = Unwrapper(8)

    def _message(self, message: bytes, samples: list[Sample]) -> bool:
        frame = _unescape(message)
        if frame is None or not frame:
            self.stats.malformed += 1
            return False
        if frame[0] == 0 and len(frame) == 3:  # buffer status notification
            return True
        length = (frame[1] | (frame[2] & 0x7F) << 8) if len(frame) >= 5 else -1
        if frame[0] != 1 or length != len(frame) - 1 or frame[3] > 5:
            self.stats.malformed += 1
            return False
        if frame[3] in (3, 4) and not frame[2] & 0x80:
            if not self._reports(frame, samples):
                self.stats.malformed += 1
                return False
        elif frame[3] == 0 and len(frame) > 5 and frame[5] == 1:  # the command channel's list of errors
            self.stats.device_errors += 1
        return True

    def _reports(self, cargo: bytes, samples: list[Sample]) -> bool:
        """Take the reports of an input cargo; False, and nothing taken, when they do not fill it."""
        at, end, base = 5, len(cargo), 0
        found = []
        while at < end:
            report = cargo[at]
            length = _LENGTHS.get(report)
            if length is None or at + length > end:
                return False
            if report == _BASE:
                (base,) = _DELTA.unpack_from(cargo, at + 1)
            elif report == _REBASE:
                base -= _DELTA.unpack_from(cargo, at + 1)[0]
            elif report in _LSB:
                delay = (cargo[at + 2] & 0xFC) << 6 | cargo[at + 3]
                found.append((report, at, base - delay))
                if report in _ROTATIONS and not plausible(quat=_quaternion(cargo, at + 4)):
                    return False
            at += length
        for report, at, age in found:
            if report in self._vectors or (report in _ROTATIONS and self._quat is not None):
                self._give(samples)
            if report in _ROTATIONS:
                self._quat = _quaternion(cargo, at + 4)
            else:
                x, y, z = _SHORTS3.unpack_from(cargo, at + 4)
                lsb = _LSB[report]
                self._vectors[report] = (x * lsb, y * lsb, z * lsb)
            if report == _GYR and self._leader != _GYR:
                self._leader, self._count = _GYR, Unwrapper(8)
            if report == self._leader or len(self._vectors) + (self._quat is not None) == 1:
                self._sequence, self._age_s = cargo[at + 1], age * _TICK_S
            if report == _GYR:
                self._give(samples)
        return True

    def _give(self, samples: list[Sample]) -> None:
        vectors, quat = self._vectors, self._quat
        self._vectors, self._quat = {}, None
        counter = self._count(self._sequence) if self._leader in vectors else None
        acc, gyr, mag = vectors.get(_ACC), vectors.get(_GYR), vectors.get(_MAG)
        samples.append(Sample(acc, gyr, mag, quat, None, counter, self._age_s))


class ShtpEncoder(Encoder):
    """Encoder of one input cargo with a report for each channel of the sample, the gyroscope's last."""

    def __init__(self, options: ShtpOptions | None = None) -> None:
        self._orientation = _ROTATION if (options or ShtpOptions()).orientation == "rotation" else _GAME_ROTATION
        self._sequence = 0

    def encode(self, sample: Sample) -> bytes:
        """One SHTP frame."""
        cargo = pack("<Bi", _BASE, round(sample.age_s / _TICK_S))
        head = ((sample.counter or 0) & 0xFF, 3, 0)  # sequence number, accuracy high, no further delay
        if sample.acc_mps2 is not None:
            cargo += pack("<4B3h", _ACC, *head, *(int16(a / _ACC_LSB) for a in sample.acc_mps2))
        if sample.mag_ut is not None:
            cargo += pack("<4B3h", _MAG, *head, *(int16(m / _MAG_LSB) for m in sample.mag_ut))
        if sample.quat_wxyz is not None:
            w, x, y, z = (int16(q / _QUAT_LSB) for q in sample.quat_wxyz)
            cargo += pack("<4B4h", self._orientation, *head, x, y, z, w)
            cargo += bytes(2) if self._orientation == _ROTATION else b""
        if sample.gyr_radps is not None:
            cargo += pack("<4B3h", _GYR, *head, *(int16(w / _GYR_LSB) for w in sample.gyr_radps))
        frame = shtp_frame(3, self._sequence, cargo)
        self._sequence = (self._sequence + 1) & 0xFF
        return frame


class ShtpSession(Session):
    """The chip on UART-SHTP: after its reset it tells of itself, and reports what a Set Feature asked for."""

    def __init__(self, _options: ShtpOptions | None = None) -> None:
        self._heard = b""
        self._reported: set[int] = set()
        self._told = False

    def take(self, data: bytes) -> bytes:
        """Confirm each feature that is set."""
        *messages, self._heard = (self._heard + data).split(b"\x7e")
        out = b""
        for message in messages:
            frame = _unescape(message) or b""
            if len(frame) < 14 or frame[0] != 1 or frame[3] != _CONTROL or frame[5] != _SET_FEATURE:
                continue
            report, interval_us = frame[6], int.from_bytes(frame[10:14], "little")
            (self._reported.add if interval_us else self._reported.discard)(report)
            out += shtp_frame(_CONTROL, 0, bytes((_FEATURE_RESPONSE,)) + frame[6:22])
        return out

    def stream(self, frame: bytes) -> bytes:
        """Send reports that were asked for; first of all, what the chip is, and that it was reset."""
        begin = b"" if self._told else shtp_frame(0, 0, b"\x00" + bytes(10)) + shtp_frame(1, 0, b"\x01")
        self._told = True
        return begin + (frame if self._reported else b"")


def shtp_frame(channel: int, sequence: int, cargo: bytes) -> bytes:
    """A cargo with header, escapes and flags."""
    body = b"\x01" + pack("<HBB", len(cargo) + 4, channel, sequence & 0xFF) + cargo
    return b"\x7e" + body.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


def start(options: ShtpOptions) -> tuple[Command, ...]:
    """Set Feature for each report (figure 1-33); the chip wants 100 µs between the bytes it is sent."""
    wanted = [(_ACC, options.rate_hz), (_GYR, options.rate_hz)]
    if options.orientation != "none":
        report = _GAME_ROTATION if options.orientation == "game" else _ROTATION
        wanted.append((report, options.orientation_rate_hz))
    if options.magnetometer:
        wanted.append((_MAG, min(options.rate_hz, 100)))
    return _features(wanted)


def stop(_options: ShtpOptions) -> tuple[Command, ...]:
    """Turn all reports off: an interval of 0."""
    return _features([(r, 0) for r in (_ACC, _GYR, _GAME_ROTATION, _ROTATION, _MAG)])


def _features(wanted: list[tuple[int, int]]) -> tuple[Command, ...]:
    commands = []
    for i, (report, rate_hz) in enumerate(wanted):
        interval_us = 1_000_000 // rate_hz if rate_hz else 0
        cargo = _FEATURE_CARGO.pack(_SET_FEATURE, report, 0, 0, interval_us, 0, 0)
        commands.append(Command(shtp_frame(_CONTROL, i, cargo), pause_s=0.02, byte_gap_s=1.5e-4))
    return tuple(commands)


def _unescape(message: bytes) -> bytes | None:
    """Undo RFC 1662 escapes; None when an escape has no byte after it."""
    if b"\x7d" not in message:
        return message
    first, *rest = message.split(b"\x7d")
    if not all(rest):
        return None
    return first + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in rest)


def _quaternion(cargo: bytes, at: int) -> Quaternion:
    x, y, z, w = _SHORTS4.unpack_from(cargo, at)
    return (w * _QUAT_LSB, x * _QUAT_LSB, y * _QUAT_LSB, z * _QUAT_LSB)
