"""WitMotion: frames that begin with 0x55, on a serial line and over Bluetooth LE.

Sources: WitMotion, *WIT Standard Communication Protocol* (register table; outputs 0x50 to 0x5A); *WT901
Datasheet* v20-0702, sections 5.1 and 5.2; *WT901BLECL Datasheet* v20-0707, section 6 (frames 0x61, 0x71);
UUIDs from WitMotion's published software for the BWT901BLE5.0.

Serial frames are ``55 type 8 bytes sum``, little-endian; one instant is a row of frames of ascending type.
The Bluetooth frame ``55 61`` carries acceleration, angular rate and angles in 20 bytes without a checksum.
The unit of the magnetic output is given as mG for the Bluetooth devices only; the datasheets of the serial
ones name none, so it is an option.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from struct import Struct, pack
from typing import Any

from gait_twin.errors import InputError
from gait_twin.sensing.protocols.base import BleProfile, Command, Encoder, Quaternion, Sample, Vector
from gait_twin.sensing.protocols.framing import MORE, NO_FRAME, SyncDecoder
from gait_twin.sensing.protocols.units import DEG, G_MPS2, angles_zyx, int16, plausible, quaternion_zyx
from gait_twin.settings import check, setting

_TIME, _ACC, _GYR, _ANGLE, _MAG, _QUATERNION = 0x50, 0x51, 0x52, 0x53, 0x54, 0x59
_ACC_LSB = 16 * G_MPS2 / 32768
_GYR_LSB = 2000 * DEG / 32768
_ANGLE_LSB = 180 * DEG / 32768
_QUAT_LSB = 1 / 32768
_SHORTS3, _SHORTS4, _SHORTS9 = Struct("<3h"), Struct("<4h"), Struct("<9h")
_EPOCH = date(2000, 1, 1)

RATES_HZ = {1: 0x03, 2: 0x04, 5: 0x05, 10: 0x06, 20: 0x07, 50: 0x08, 100: 0x09, 200: 0x0B}
"""Output rates and their codes in the register RRATE."""


@dataclass(frozen=True, slots=True)
class WitOptions:
    """What to ask of a WitMotion sensor and how to read it."""

    rate_hz: int = setting(100, "Output rate, Hz: 1, 2, 5, 10, 20, 50, 100 or 200.", low=1, high=200)
    magnetometer: bool = setting(False, "Ask for the magnetic field (serial; over Bluetooth it has to be polled).")
    quaternion: bool = setting(True, "Ask for orientation as a quaternion instead of angles (serial).")
    mag_lsb_ut: float = setting(0.1, "Magnetic flux density of one count, µT; 0.1 when counts are mG.", low=1e-3)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)
        if self.rate_hz not in RATES_HZ:
            raise InputError(f"WitOptions.rate_hz is {self.rate_hz}; choose one of {', '.join(map(str, RATES_HZ))}.")


class WitDecoder(SyncDecoder):
    """Decoder of serial frames; the frames of one instant make one sample.

    The row of frames that makes an instant is learned from the stream, so that a sample is given with its
    last frame and not with the first of the next instant. A lost frame leaves its channel None. The time
    is that of the device's calendar clock, s since 2000, to a millisecond.
    """

    _sync = re.compile(rb"\x55")

    def __init__(self, options: WitOptions | None = None) -> None:
        super().__init__()
        self._mag_lsb = (options or WitOptions()).mag_lsb_ut
        self._row: dict[int, bytes] = {}
        self._last = 0
        self._usual: tuple[int, ...] = ()
        self._candidate: tuple[int, ...] = ()
        self._day = (b"", 0.0)

    def reset(self) -> None:
        """Forget unfinished frames and the row of the instant."""
        super().reset()
        self._row, self._last, self._usual, self._candidate = {}, 0, (), ()

    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        if len(buffer) - begin < 11:
            return NO_FRAME if len(buffer) - begin > 1 and not 0x50 <= buffer[begin + 1] <= 0x5A else MORE
        kind = buffer[begin + 1]
        if not 0x50 <= kind <= 0x5A:
            return NO_FRAME
        if sum(buffer[begin : begin + 10]) & 0xFF != buffer[begin + 10]:
            self.stats.checksum_errors += 1
            return NO_FRAME
        if kind > self._last:
            if not self._row:  # the instant goes on behind what was taken for its end
                self._usual = ()
        elif self._row:  # a new instant, and the one before was not given yet
            row = tuple(self._row)
            if row == self._candidate:
                self._usual = row
            self._candidate = row
            self._give(samples)
        self._row[kind] = buffer[begin + 2 : begin + 10]
        self._last = kind
        if len(self._row) == len(self._usual) and tuple(self._row) == self._usual:
            self._candidate = ()
            self._give(samples)
        return 11

    def _give(self, samples: list[Sample]) -> None:
        row, self._row = self._row, {}
        acc: Vector | None = None
        gyr: Vector | None = None
        mag: Vector | None = None
        quat: Quaternion | None = None
        flags = 0
        if _ACC in row:
            raw = _SHORTS3.unpack_from(row[_ACC])
            acc = (raw[0] * _ACC_LSB, raw[1] * _ACC_LSB, raw[2] * _ACC_LSB)
            flags |= _at_limit(raw)
        if _GYR in row:
            raw = _SHORTS3.unpack_from(row[_GYR])
            gyr = (raw[0] * _GYR_LSB, raw[1] * _GYR_LSB, raw[2] * _GYR_LSB)
            flags |= _at_limit(raw) << 1
        if _MAG in row:
            x, y, z = _SHORTS3.unpack_from(row[_MAG])
            mag = (x * self._mag_lsb, y * self._mag_lsb, z * self._mag_lsb)
        if _QUATERNION in row:
            w, x, y, z = _SHORTS4.unpack_from(row[_QUATERNION])
            quat = (w * _QUAT_LSB, x * _QUAT_LSB, y * _QUAT_LSB, z * _QUAT_LSB)
        elif _ANGLE in row:
            quat = _quaternion(*_SHORTS3.unpack_from(row[_ANGLE]))
        if acc or gyr or mag or quat:
            time_s = self._time_s(row[_TIME]) if _TIME in row else None
            samples.append(Sample(acc, gyr, mag, quat, time_s, None, 0.0, "", flags))

    def _time_s(self, clock: bytes) -> float | None:
        day = clock[:3]
        if day != self._day[0]:
            try:
                days = (date(2000 + day[0], day[1], day[2]) - _EPOCH).days
            except ValueError:  # a clock that was never set
                return None
            self._day = (day, days * 86400.0)
        hour, minute, second = clock[3:6]
        return self._day[1] + hour * 3600 + minute * 60 + second + (clock[6] | clock[7] << 8) * 1e-3


class WitEncoder(Encoder):
    """Encoder of one instant as the serial devices send it."""

    def __init__(self, options: WitOptions | None = None) -> None:
        self._options = options or WitOptions()

    def encode(self, sample: Sample) -> bytes:
        """The frames of one instant, in ascending type."""
        out = b""
        if sample.device_time_s is not None:
            ms = round(sample.device_time_s * 1000)
            day = _EPOCH + timedelta(days=ms // 86_400_000)
            second, ms = divmod(ms % 86_400_000, 1000)
            out += _serial_frame(
                _TIME,
                pack("<6BH", day.year % 100, day.month, day.day, second // 3600, second // 60 % 60, second % 60, ms),
            )
        if sample.acc_mps2 is not None:
            out += _serial_frame(_ACC, _shorts(sample.acc_mps2, _ACC_LSB) + bytes(2))
        if sample.gyr_radps is not None:
            out += _serial_frame(_GYR, _shorts(sample.gyr_radps, _GYR_LSB) + bytes(2))
        if sample.quat_wxyz is not None and not self._options.quaternion:
            yaw, pitch, roll = angles_zyx(sample.quat_wxyz)
            out += _serial_frame(_ANGLE, _shorts((roll, pitch, yaw), _ANGLE_LSB) + bytes(2))
        if sample.mag_ut is not None:
            out += _serial_frame(_MAG, _shorts(sample.mag_ut, self._options.mag_lsb_ut) + bytes(2))
        if sample.quat_wxyz is not None and self._options.quaternion:
            out += _serial_frame(_QUATERNION, _shorts(sample.quat_wxyz, _QUAT_LSB))
        return out


class WitBleDecoder(SyncDecoder):
    """Decoder of the Bluetooth frames 0x61 (inertial data and angles) and 0x71 (registers asked for).

    There is neither time nor counter nor checksum in them; a pitch beyond ±90° or a register that is not
    known is refused.
    """

    _sync = re.compile(rb"\x55")

    def __init__(self, options: WitOptions | None = None) -> None:
        super().__init__()
        self._mag_lsb = (options or WitOptions()).mag_lsb_ut

    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        if len(buffer) - begin > 1 and buffer[begin + 1] not in (0x61, 0x71):
            return NO_FRAME
        if len(buffer) - begin < 20:
            return MORE
        if buffer[begin + 1] == 0x71:
            return self._registers(buffer, begin, samples)
        raw = _SHORTS9.unpack_from(buffer, begin + 2)
        if abs(raw[7]) > 16384:
            self.stats.malformed += 1
            return NO_FRAME
        acc = (raw[0] * _ACC_LSB, raw[1] * _ACC_LSB, raw[2] * _ACC_LSB)
        gyr = (raw[3] * _GYR_LSB, raw[4] * _GYR_LSB, raw[5] * _GYR_LSB)
        flags = _at_limit(raw[:3]) | _at_limit(raw[3:6]) << 1
        samples.append(Sample(acc, gyr, None, _quaternion(*raw[6:]), flags=flags))
        return 20

    def _registers(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        register = buffer[begin + 2] | buffer[begin + 3] << 8
        if register == 0x3A:
            x, y, z = _SHORTS3.unpack_from(buffer, begin + 4)
            samples.append(Sample(mag_ut=(x * self._mag_lsb, y * self._mag_lsb, z * self._mag_lsb)))
        elif register == 0x51:
            w, x, y, z = _SHORTS4.unpack_from(buffer, begin + 4)
            quat = (w * _QUAT_LSB, x * _QUAT_LSB, y * _QUAT_LSB, z * _QUAT_LSB)
            if not plausible(quat=quat):
                self.stats.malformed += 1
                return NO_FRAME
            samples.append(Sample(quat_wxyz=quat))
        elif register > 0x7F:
            self.stats.malformed += 1
            return NO_FRAME
        return 20


class WitBleEncoder(Encoder):
    """Encoder of frames 0x61, and of the answer 0x71 for the magnetic field."""

    def __init__(self, options: WitOptions | None = None) -> None:
        self._options = options or WitOptions()

    def encode(self, sample: Sample) -> bytes:
        """One frame, or two when there is a magnetic field; absent channels of frame 0x61 are zero."""
        out = b""
        if sample.acc_mps2 is not None or sample.gyr_radps is not None:
            zero = (0.0, 0.0, 0.0)
            yaw, pitch, roll = angles_zyx(sample.quat_wxyz or (1.0, 0.0, 0.0, 0.0))
            out += b"\x55\x61" + _shorts(sample.acc_mps2 or zero, _ACC_LSB)
            out += _shorts(sample.gyr_radps or zero, _GYR_LSB) + _shorts((roll, pitch, yaw), _ANGLE_LSB)
        if sample.mag_ut is not None:
            out += b"\x55\x71\x3a\x00" + _shorts(sample.mag_ut, self._options.mag_lsb_ut) + bytes(10)
        return out


def ble(_options: WitOptions) -> BleProfile:
    """The one service of the Bluetooth devices."""
    tail = "-0000-1000-8000-00805f9a34fb"
    return BleProfile(("WT",), "0000ffe5" + tail, "0000ffe4" + tail, "0000ffe9" + tail)


def start(characteristic: str = "") -> Callable[[Any], tuple[Command, ...]]:
    """Maker of the commands that unlock the registers and set contents (serial only) and rate.

    Nothing is saved: a sensor that is switched off and on is as it was.
    """

    def commands(options: WitOptions) -> tuple[Command, ...]:
        registers = [(0x69, 0xB588)]
        if not characteristic:
            contents = 0b0111 | (0x200 if options.quaternion else 0x8) | (0x10 if options.magnetometer else 0)
            registers.append((0x02, contents))
        registers.append((0x03, RATES_HZ[options.rate_hz]))
        return tuple(
            Command(pack("<3BH", 0xFF, 0xAA, register, value), pause_s=0.1, characteristic=characteristic)
            for register, value in registers
        )

    return commands


def _serial_frame(kind: int, data: bytes) -> bytes:
    frame = bytes((0x55, kind)) + data
    return frame + bytes((sum(frame) & 0xFF,))


def _shorts(values: tuple[float, ...], lsb: float) -> bytes:
    return pack(f"<{len(values)}h", *(int16(v / lsb) for v in values))


def _quaternion(roll: int, pitch: int, yaw: int) -> Quaternion:
    """Orientation from raw angles, turned in the order z, y, x in an earth frame east-north-up."""
    return quaternion_zyx(yaw * _ANGLE_LSB, pitch * _ANGLE_LSB, roll * _ANGLE_LSB)


def _at_limit(raw: tuple[int, ...]) -> int:
    return int(max(raw) >= 32767 or min(raw) <= -32767)
