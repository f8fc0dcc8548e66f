"""x-io x-IMU3: text and binary data messages, alike on USB, serial, TCP, UDP and Bluetooth.

Source: x-io Technologies, *x-IMU3 User Manual* (v0.11, April 2022, and v1.7, January 2024), sections 8
(communication protocol), 8.2.1 (byte stuffing), 8.2.2 inertial, 8.2.3 magnetometer, 8.2.4 quaternion, and
10 (network announcement, for the ports); the manual's example messages are tests.

Every message ends with a line feed. Text messages are a letter, the time in µs and values to four
decimals, separated by commas. Binary messages are the letter plus 0x80, the time as 64-bit integer and
32-bit floats, little-endian, with line feeds stuffed as in SLIP. There is no checksum: a message must have
exactly its length and plausible values.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, pack

from gait_twin.sensing.protocols.base import Encoder, Sample, SampleFlag
from gait_twin.sensing.protocols.framing import DelimitedDecoder, stuff, unstuff
from gait_twin.sensing.protocols.units import DEG, G_MPS2, plausible
from gait_twin.settings import check, setting

_ESCAPING = (b"\n", b"\xdb", b"\xdc", b"\xdd")
_HEAD = Struct("<Q")
_VALUES = {"I": Struct("<6f"), "M": Struct("<3f"), "Q": Struct("<4f")}
_OTHER = "RALEHTBWSU"
"""Messages that are known but not used: derived orientations and accelerations, temperature, battery, …"""
_LATEST_US = 1 << 57
"""Times beyond this (the year 6500) are no times."""


@dataclass(frozen=True, slots=True)
class XImu3Options:
    """How to read an x-IMU3; text or binary is found out by itself."""

    field_ut: float = setting(
        50.0, "Magnetic flux density that the device's calibration calls 1, µT.", low=10.0, high=100.0
    )
    binary: bool = setting(True, "Emulator: send binary messages instead of text.")

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check(self)


class XImu3Decoder(DelimitedDecoder):
    """Decoder of data messages, text and binary.

    Inertial, magnetometer and quaternion messages have rates and times of their own, so each makes a sample
    of its own that holds only its channels. The magnetometer's unit is that of its calibration.
    """

    _delimiter = b"\n"

    def __init__(self, options: XImu3Options | None = None) -> None:
        super().__init__()
        self._field_ut = (options or XImu3Options()).field_ut

    def _message(self, message: bytes, samples: list[Sample]) -> bool:
        first = message[0]
        sample: Sample | bool
        if first >= 0x80:
            sample = self._binary(chr(first - 0x80), message)
        elif first == 0x7B:  # "{": a command or its answer
            return True
        else:
            sample = self._text(chr(first), message)
        if isinstance(sample, bool):
            self.stats.malformed += not sample
            return sample
        samples.append(sample)
        return True

    def _binary(self, letter: str, message: bytes) -> Sample | bool:
        body = unstuff(message, *_ESCAPING)
        if body is None or len(body) < 9:
            return False
        (time_us,) = _HEAD.unpack_from(body, 1)
        values = _VALUES.get(letter)
        if values is None:
            return self._other(letter, time_us)
        if len(body) != 9 + values.size:
            return False
        return self._sample(letter, time_us, values.unpack_from(body, 9))

    def _text(self, letter: str, message: bytes) -> Sample | bool:
        fields = message.rstrip(b"\r").split(b",")
        # int() and float() would let underscores and blanks pass
        if len(fields) < 2 or len(fields[0]) != 1 or not fields[1].isdigit() or len(fields[1]) > 18:
            return False
        values = _VALUES.get(letter)
        if values is None:
            return self._other(letter, int(fields[1]))
        if len(fields) - 2 != values.size // 4 or b"_" in message or b" " in message:
            return False
        try:
            return self._sample(letter, int(fields[1]), tuple(map(float, fields[2:])))
        except ValueError:
            return False

    def _other(self, letter: str, time_us: int) -> bool:
        if letter == "F":
            self.stats.device_errors += 1
        return time_us < _LATEST_US and (letter in _OTHER or letter in "FN")

    def _sample(self, letter: str, time_us: int, v: tuple[float, ...]) -> Sample | bool:
        if time_us >= _LATEST_US:
            return False
        time_s = time_us * 1e-6
        if letter == "I":
            gyr = (v[0] * DEG, v[1] * DEG, v[2] * DEG)
            acc = (v[3] * G_MPS2, v[4] * G_MPS2, v[5] * G_MPS2)
            return plausible(acc, gyr) and Sample(acc, gyr, None, None, time_s)
        if letter == "Q":
            quat = (v[0], v[1], v[2], v[3])
            return plausible(quat=quat) and Sample(quat_wxyz=quat, device_time_s=time_s)
        unit = self._field_ut
        mag = (v[0] * unit, v[1] * unit, v[2] * unit)
        flag = SampleFlag.MAG_RELATIVE.value
        return plausible(mag=mag) and Sample(mag_ut=mag, device_time_s=time_s, flags=flag)


class XImu3Encoder(Encoder):
    """Encoder of data messages: one for each kind of channel that the sample has."""

    def __init__(self, options: XImu3Options | None = None) -> None:
        self._options = options or XImu3Options()

    def encode(self, sample: Sample) -> bytes:
        """Quaternion, magnetometer and inertial message of one instant."""
        time_us = round((sample.device_time_s or 0.0) * 1e6)
        out = b""
        if sample.quat_wxyz is not None:
            out += self._message("Q", time_us, sample.quat_wxyz)
        if sample.mag_ut is not None:
            out += self._message("M", time_us, tuple(m / self._options.field_ut for m in sample.mag_ut))
        if sample.acc_mps2 is not None or sample.gyr_radps is not None:
            nan = (float("nan"),) * 3
            gyr = tuple(w / DEG for w in sample.gyr_radps or nan)
            acc = tuple(a / G_MPS2 for a in sample.acc_mps2 or nan)
            out += self._message("I", time_us, gyr + acc)
        return out

    def _message(self, letter: str, time_us: int, values: tuple[float, ...]) -> bytes:
        if self._options.binary:
            body = bytes((ord(letter) | 0x80,)) + pack(f"<Q{len(values)}f", time_us, *values)
            return stuff(body, *_ESCAPING) + b"\n"
        return f"{letter},{time_us},{','.join(f'{v:.4f}' for v in values)}\r\n".encode()
