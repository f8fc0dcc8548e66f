r"""x-io NGIMU: Open Sound Control over UDP, and in SLIP frames over USB and serial.

Sources: x-io Technologies, *NGIMU User Manual* v1.6, section on the communication protocol, and the units in
its published software ("/sensors": °/s, g, µT, hPa; "/quaternion": orientation of the device relative to the
Earth); M. Wright, *The Open Sound Control 1.0 Specification*, 2002 (opensoundcontrol.org); RFC 1055 (SLIP);
RFC 5905 (NTP time format).

A packet is a bundle ``#bundle\0 time(8) [size(4) message]*`` or a bare message ``address types values``,
big-endian, strings padded with zeros to four bytes. There is no checksum in OSC; UDP and USB have their own.
A general OSC library is not used: it would take a whole packet only, round the time to a float since 1900,
and cost several times what is spent on the two messages that matter.
"""

from __future__ import annotations

from math import isnan
from struct import Struct, pack

from gait_twin.sensing.protocols.base import Buffer, Decoder, Encoder, NoOptions, Sample
from gait_twin.sensing.protocols.framing import DelimitedDecoder, stuff, unstuff
from gait_twin.sensing.protocols.units import DEG, G_MPS2, plausible

_SENSORS = b"/sensors\0\0\0\0,ffffffffff\0"
_QUATERNION = b"/quaternion\0,ffff\0\0\0"
_SENSORS_VALUES, _QUATERNION_VALUES = Struct(">10f"), Struct(">4f")
_BUNDLE = b"#bundle\0"
_TIME, _SIZE = Struct(">II"), Struct(">I")
_ESCAPING = (b"\xc0", b"\xdb", b"\xdc", b"\xdd")
_NTP_TO_UNIX_S = 2208988800
_DEEPEST = 4
"""Bundles within bundles deeper than this are refused."""


def _packet(packet: bytes, samples: list[Sample], time_s: float | None = None, depth: int = 0) -> bool:
    """Samples of one OSC packet; False when it is none (samples of its good part may have been added)."""
    if packet.startswith(_BUNDLE):
        if len(packet) < 16 or depth == _DEEPEST:
            return False
        seconds, fraction = _TIME.unpack_from(packet, 8)
        time_s = seconds - _NTP_TO_UNIX_S + fraction * 2.0**-32
        at, end = 16, len(packet)
        while at < end:
            if at + 4 > end:
                return False
            (size,) = _SIZE.unpack_from(packet, at)
            at += 4
            if (
                size == 0
                or size % 4
                or at + size > end
                or not _packet(packet[at : at + size], samples, time_s, depth + 1)
            ):
                return False
            at += size
        return True
    if packet.startswith(_SENSORS):
        if len(packet) != len(_SENSORS) + 40:
            return False
        v = _SENSORS_VALUES.unpack_from(packet, len(_SENSORS))
        gyr = (v[0] * DEG, v[1] * DEG, v[2] * DEG)
        acc = (v[3] * G_MPS2, v[4] * G_MPS2, v[5] * G_MPS2)
        mag = None if isnan(v[6] + v[7] + v[8]) else (v[6], v[7], v[8])
        if not plausible(acc, gyr, mag):
            return False
        samples.append(Sample(acc, gyr, mag, None, time_s))
        return True
    if packet.startswith(_QUATERNION):
        if len(packet) != len(_QUATERNION) + 16:
            return False
        w, x, y, z = _QUATERNION_VALUES.unpack_from(packet, len(_QUATERNION))
        if not plausible(quat=(w, x, y, z)):
            return False
        samples.append(Sample(quat_wxyz=(w, x, y, z), device_time_s=time_s))
        return True
    return _is_message(packet)


def _is_message(packet: bytes) -> bool:
    """Whether this is some other message of the device: a printable address and a type string."""
    address, comma, _ = packet.partition(b"\0")
    return (
        len(packet) % 4 == 0
        and bool(comma)
        and address[:1] == b"/"
        and address.isascii()
        and address.decode("ascii").isprintable()
        and packet[(len(address) // 4 + 1) * 4 :][:1] == b","
    )


class NgimuUdpDecoder(Decoder):
    """Decoder of OSC packets: every call takes exactly one datagram.

    Sensors and orientation are sent at rates and times of their own, so each message makes a sample of its
    own. Times are Unix time, s, once the device's clock has been set.
    """

    def __init__(self, _options: NoOptions | None = None) -> None:
        super().__init__()

    def reset(self) -> None:
        """Nothing is kept between datagrams."""

    def feed(self, data: Buffer) -> list[Sample]:
        """Take one datagram and give its samples."""
        packet, samples, stats = bytes(data), list[Sample](), self.stats
        stats.received_bytes += len(packet)
        if _packet(packet, samples):
            stats.frames += 1
            stats.samples += len(samples)
            return samples
        stats.malformed += 1
        stats.dropped_bytes += len(packet)
        return []


class NgimuSerialDecoder(DelimitedDecoder):
    """Decoder of OSC packets in SLIP frames, in any pieces; otherwise as `NgimuUdpDecoder`."""

    _delimiter = b"\xc0"

    def __init__(self, _options: NoOptions | None = None) -> None:
        super().__init__()

    def _message(self, message: bytes, samples: list[Sample]) -> bool:
        packet = unstuff(message, *_ESCAPING)
        found: list[Sample] = []
        if packet is None or not _packet(packet, found):
            self.stats.malformed += 1
            return False
        samples += found
        return True


class NgimuUdpEncoder(Encoder):
    """Encoder of one bundle with the messages of one instant."""

    def __init__(self, _options: NoOptions | None = None) -> None:
        pass

    def encode(self, sample: Sample) -> bytes:
        """One datagram; absent channels of "/sensors" are NaN."""
        nan = (float("nan"),) * 3
        messages = []
        if sample.acc_mps2 is not None or sample.gyr_radps is not None or sample.mag_ut is not None:
            values = (
                *(w / DEG for w in sample.gyr_radps or nan),
                *(a / G_MPS2 for a in sample.acc_mps2 or nan),
                *(sample.mag_ut or nan),
                1013.25,
            )
            messages.append(_SENSORS + pack(">10f", *values))
        if sample.quat_wxyz is not None:
            messages.append(_QUATERNION + pack(">4f", *sample.quat_wxyz))
        time = round(((sample.device_time_s or 0.0) + _NTP_TO_UNIX_S) * 2**32) & 0xFFFFFFFFFFFFFFFF
        return _BUNDLE + pack(">Q", time) + b"".join(pack(">I", len(m)) + m for m in messages)


class NgimuSerialEncoder(NgimuUdpEncoder):
    """Encoder of the same bundle in a SLIP frame."""

    def encode(self, sample: Sample) -> bytes:
        """One SLIP frame."""
        return b"\xc0" + stuff(super().encode(sample), *_ESCAPING) + b"\xc0"
