"""Bosch BNO055: registers polled over its UART.

Source: Bosch Sensortec, *BNO055 Data Sheet* BST-BNO055-DS000 (revision 1.4, June 2016), sections 3.3 (modes),
3.6.1 and 3.6.5 (units and output data), 4.2 (register map) and 4.7 (UART protocol).

Reading is ``AA 01 register length`` and is answered by ``BB length data`` or ``EE status``. The answer does
not say which registers it holds, has no checksum and the chip has no clock or counter: the host must ask
for always the same registers, one request at a time, and stamp answers as they come. In the fusion modes
the quaternion, whose length must be 1, tells a true answer from noise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct, pack

from gait_twin.sensing.protocols.base import Command, Encoder, Quaternion, Sample, Session
from gait_twin.sensing.protocols.framing import MORE, NO_FRAME, SyncDecoder
from gait_twin.sensing.protocols.units import DEG, int16, plausible
from gait_twin.settings import check, setting

_MODES = {"ndof": 0x0C, "imu": 0x08, "amg": 0x07}
"""Operating modes: fusion with and without the magnetometer; accelerometer, magnetometer, gyroscope alone."""
_FIRST, _OPERATING_MODE = 0x08, 0x3D
_ACC_LSB, _MAG_LSB, _GYR_LSB, _QUAT_LSB = 0.01, 1 / 16, DEG / 16, 2.0**-14
_RAW, _FUSED = Struct("<9h"), Struct("<9h6x4h")
"""Registers 0x08 to 0x19: acc, mag, gyr; to 0x27: Euler angles (not used) and quaternion as well."""


@dataclass(frozen=True, slots=True)
class Bno055Options:
    """Mode of the chip and rate of polling."""

    mode: str = setting(
        "imu", "Operating mode: ndof, imu (fusion without magnetometer) or amg (no fusion).", choices=tuple(_MODES)
    )
    rate_hz: int = setting(100, "Rate of polling, Hz; the fusion gives new values at 100 Hz.", low=1, high=200)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)


class Bno055Decoder(SyncDecoder):
    """Decoder of the answers to `poll`."""

    _sync = re.compile(rb"[\xbb\xee]")

    def __init__(self, options: Bno055Options | None = None) -> None:
        super().__init__()
        self._mode = (options or Bno055Options()).mode
        self._layout = _RAW if self._mode == "amg" else _FUSED

    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        here = len(buffer) - begin
        if buffer[begin] == 0xEE:
            return self._status(buffer, begin)
        if here > 1 and buffer[begin + 1] != self._layout.size:
            return NO_FRAME
        if here < 2 + self._layout.size:
            return MORE
        v = self._layout.unpack_from(buffer, begin + 2)
        acc = (v[0] * _ACC_LSB, v[1] * _ACC_LSB, v[2] * _ACC_LSB)
        mag = (v[3] * _MAG_LSB, v[4] * _MAG_LSB, v[5] * _MAG_LSB)
        gyr = (v[6] * _GYR_LSB, v[7] * _GYR_LSB, v[8] * _GYR_LSB)
        quat: Quaternion | None = None
        if self._layout is _FUSED:
            quat = (v[9] * _QUAT_LSB, v[10] * _QUAT_LSB, v[11] * _QUAT_LSB, v[12] * _QUAT_LSB)
            if v[9:] == (0, 0, 0, 0):  # the fusion has not begun
                quat = None
        if not plausible(acc, gyr, mag, quat):
            self.stats.malformed += 1
            return NO_FRAME
        samples.append(Sample(acc, gyr, None if self._mode == "imu" else mag, quat))
        return 2 + self._layout.size

    def _status(self, buffer: bytes, begin: int) -> int:
        if len(buffer) - begin < 2:
            return MORE
        status = buffer[begin + 1]
        if not 1 <= status <= 0x0A:
            return NO_FRAME
        self.stats.device_errors += status != 1
        return 2


class Bno055Encoder(Encoder):
    """Encoder of an answer; absent channels are zero, as the chip's registers are."""

    def __init__(self, options: Bno055Options | None = None) -> None:
        self._mode = (options or Bno055Options()).mode

    def encode(self, sample: Sample) -> bytes:
        """One answer."""
        zero = (0.0, 0.0, 0.0)
        data = pack(
            "<9h",
            *(int16(a / _ACC_LSB) for a in sample.acc_mps2 or zero),
            *(int16(m / _MAG_LSB) for m in (sample.mag_ut or zero if self._mode != "imu" else zero)),
            *(int16(w / _GYR_LSB) for w in sample.gyr_radps or zero),
        )
        if self._mode != "amg":
            data += bytes(6) + pack("<4h", *(int16(q / _QUAT_LSB) for q in sample.quat_wxyz or (0.0,) * 4))
        return bytes((0xBB, len(data))) + data


class Bno055Session(Session):
    """The chip on its UART: registers are written and read; without a mode there is nothing to read."""

    def __init__(self, _options: Bno055Options | None = None) -> None:
        self._heard = b""
        self._mode = 0
        self._answer = b""

    def take(self, data: bytes) -> bytes:
        """Acknowledge writes, answer reads."""
        self._heard += data
        out = b""
        while (begin := self._heard.find(b"\xaa")) >= 0:
            heard = self._heard = self._heard[begin:]
            if len(heard) < 4:
                break
            register, length = heard[2], heard[3]
            if heard[1] == 0x00:  # write
                if len(heard) < 4 + length:
                    break
                if register == _OPERATING_MODE:
                    self._mode = heard[4]
                out += b"\xee\x01"
                self._heard = heard[4 + length :]
                continue
            self._heard = heard[4:]
            ready = self._mode and register == _FIRST and self._answer[1:2] == bytes([length])
            out += self._answer if ready else b"\xbb" + bytes([length]) + bytes(length)
        return out

    def stream(self, frame: bytes) -> bytes:
        """Keep the measurement for the next question."""
        self._answer = frame
        return b""


def start(options: Bno055Options) -> tuple[Command, ...]:
    """Config mode, SI units (UNIT_SEL 0), operating mode; waits as in table 3-6."""
    return (
        _write(_OPERATING_MODE, 0x00, 0.03),
        _write(0x3B, 0x00, 0.01),
        _write(_OPERATING_MODE, _MODES[options.mode], 0.03),
    )


def poll(options: Bno055Options) -> Command:
    """Ask for one sample."""
    length = _RAW.size if options.mode == "amg" else _FUSED.size
    return Command(bytes((0xAA, 0x01, _FIRST, length)))


def _write(register: int, value: int, pause_s: float) -> Command:
    return Command(bytes((0xAA, 0x00, register, 1, value)), pause_s=pause_s)
