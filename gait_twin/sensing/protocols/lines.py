"""Lines of text from home-made sensors: comma-separated values or JSON, over anything that carries bytes.

The format is this project's own and is described in ``docs/devices/lines.md``. A line ends with a line
feed (a carriage return before it is allowed) and may end with ``*HH``: the exclusive or of all bytes
before the ``*`` in two hexadecimal digits, as in NMEA 0183.

Both kinds name their values, and the name says the unit: ``t_us`` or ``t_ms`` or ``t_s``, ``n`` (sample
counter), ``id``, ``ax`` (m/s²), ``ax_g``, ``ax_mg``, ``gx`` (rad/s), ``gx_dps``, ``mx`` (µT), ``mx_mg``
(milligauss), ``qw qx qy qz``. In JSON, ``acc``, ``acc_g``, ``gyr_dps``, ``quat`` … may be arrays.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from gait_twin.errors import InputError
from gait_twin.sensing.protocols.base import Encoder, Quaternion, Sample, Vector
from gait_twin.sensing.protocols.framing import DelimitedDecoder, Unwrapper
from gait_twin.sensing.protocols.units import DEG, G_MPS2, plausible
from gait_twin.settings import check, setting

_TIMES = {"t_us": 1e-6, "t_ms": 1e-3, "t_s": 1.0}
_SUFFIXES = {
    "acc": {"": 1.0, "_g": G_MPS2, "_mg": G_MPS2 * 1e-3},
    "gyr": {"": 1.0, "_dps": DEG},
    "mag": {"": 1.0, "_mg": 0.1},
    "quat": {"": 1.0},
}
_LETTERS = {"acc": "a", "gyr": "g", "mag": "m", "quat": "q"}
_COMPONENTS = {
    f"{_LETTERS[channel]}{axis}{suffix}": (channel, i, unit)
    for channel, suffixes in _SUFFIXES.items()
    for suffix, unit in suffixes.items()
    for i, axis in enumerate("wxyz" if channel == "quat" else "xyz")
}
_ARRAYS = {
    f"{channel}{suffix}": (channel, unit)
    for channel, suffixes in _SUFFIXES.items()
    for suffix, unit in suffixes.items()
}
NAMES = (*_TIMES, "n", "id", *_COMPONENTS)
"""Every column name that a line may have."""
Value = float | str | list[float]
_NUMBER = frozenset(b"0123456789+-.eEnaNifI")
_WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class LinesOptions:
    """What the lines hold."""

    columns: str = setting(
        "t_us,ax,ay,az,gx,gy,gz", "Names of comma-separated columns; a line of such names in the stream replaces them."
    )
    checksum: bool = setting(False, "Refuse lines without a checksum.")
    counter_bits: int = setting(0, "Bits after which the counter n wraps around; 0 when it does not.", low=0, high=64)
    json: bool = setting(False, "Emulator: send JSON instead of comma-separated values.")

    def __post_init__(self) -> None:
        """Refuse columns that are not known."""
        check(self)
        for name in self.columns.split(","):
            if name not in NAMES:
                raise InputError(f"LinesOptions.columns has {name!r}; known are {', '.join(NAMES)}.")


class LinesDecoder(DelimitedDecoder):
    """Decoder of lines; JSON or not is seen from the line.

    The first line after the beginning may be the tail of one: without a checksum it is not used (a line of
    column names or a JSON object is whole by its looks). Integer times in µs or ms below 2^32 are taken as
    a 32-bit clock that wraps, such as Arduino's ``micros()``. Values may be empty or ``nan``: the channel is
    then NaN, and is None where all its values are empty.
    """

    _delimiter = b"\n"

    def __init__(self, options: LinesOptions | None = None) -> None:
        super().__init__()
        self._options = options or LinesOptions()
        self._columns = self._options.columns.split(",")
        self._begun = False
        self._unwrappers: dict[str, Unwrapper] = {}

    def reset(self) -> None:
        """Forget an unfinished line, the clocks, and column names that came in the stream."""
        super().reset()
        self._columns, self._begun = self._options.columns.split(","), False
        self._unwrappers.clear()

    def _message(self, message: bytes, samples: list[Sample]) -> bool:
        begun, self._begun = self._begun, True
        text = message.rstrip(b"\r")
        protected = text[-3:-2] == b"*"
        if protected:
            if _checksum(text[:-3]) != text[-2:].upper():
                self.stats.checksum_errors += 1
                return False
            text = text[:-3]
        elif self._options.checksum:
            self.stats.checksum_errors += 1
            return False
        if text[:1] == b"{":
            values = _json_values(text)
        else:
            cells = text.split(b",")
            names = [cell.decode("ascii", "replace").strip() for cell in cells] if text[:1].isalpha() else []
            if names and all(name in NAMES for name in names):
                self._columns = names
                return True
            if not (begun or protected):
                return False
            values = _csv_values(self._columns, cells)
        sample = None if values is None else self._sample(values)
        if sample is None:
            self.stats.malformed += 1
            return False
        samples.append(sample)
        return True

    def _sample(self, values: dict[str, Value]) -> Sample | None:
        channels: dict[str, list[float]] = {}
        time_s: float | None = None
        counter: int | None = None
        sensor, bits = str(values.get("id", ""))[:32], self._options.counter_bits
        for name, value in values.items():
            if name == "id":
                continue
            if isinstance(value, list):
                channel, unit = _ARRAYS[name]
                channels[channel] = [v * unit for v in value]
            elif isinstance(value, str):
                return None
            elif name in _COMPONENTS:
                channel, i, unit = _COMPONENTS[name]
                channels.setdefault(channel, [math.nan] * (4 if channel == "quat" else 3))[i] = value * unit
            elif not math.isfinite(value):
                return None
            elif name == "n":
                counter = int(value)
                if bits:
                    counter = self._unwrapper(f"n {sensor}", bits)(counter)
            elif name in _TIMES:
                if name != "t_s" and value == int(value) and 0 <= value < _WRAP:
                    value = self._unwrapper(f"t {sensor}", 32)(int(value))
                time_s = value * _TIMES[name]
        acc, gyr, mag = (_vector(channels.get(c)) for c in ("acc", "gyr", "mag"))
        q = channels.get("quat")
        quat: Quaternion | None = (q[0], q[1], q[2], q[3]) if q else None
        if not channels or not plausible(acc, gyr, mag, quat):
            return None
        return Sample(acc, gyr, mag, quat, time_s, counter, 0.0, sensor)

    def _unwrapper(self, key: str, bits: int) -> Unwrapper:
        if len(self._unwrappers) > 64:  # damaged names must not fill the memory
            self._unwrappers.clear()
        return self._unwrappers.setdefault(key, Unwrapper(bits))


class LinesEncoder(Encoder):
    """Encoder of lines with checksum; comma-separated ones hold the columns of the options."""

    def __init__(self, options: LinesOptions | None = None) -> None:
        self._options = options or LinesOptions()

    def encode(self, sample: Sample) -> bytes:
        """One line."""
        if self._options.json:
            text = json.dumps(_object(sample), separators=(",", ":")).encode()
        else:
            values = _named_values(sample)
            text = ",".join(_cell(values.get(name, "")) for name in self._options.columns.split(",")).encode()
        return text + b"*" + _checksum(text) + b"\r\n"


def _checksum(text: bytes) -> bytes:
    """Exclusive or of all bytes; as one long number folded in halves, which is faster than byte by byte."""
    folded, bits = int.from_bytes(text), 8 * (1 << max(0, (len(text) - 1).bit_length()))
    while bits > 8:
        bits //= 2
        folded = (folded >> bits) ^ (folded & ((1 << bits) - 1))
    return b"%02X" % folded


def _csv_values(columns: list[str], cells: list[bytes]) -> dict[str, Value] | None:
    if len(cells) != len(columns):
        return None
    values: dict[str, Value] = {}
    for name, cell in zip(columns, cells, strict=True):
        if name == "id":
            values[name] = cell.decode("ascii", "replace")
        elif cell:
            number = _number(cell)
            if number is None:
                return None
            values[name] = number
    return values


def _number(cell: bytes) -> float | None:
    if not _NUMBER.issuperset(cell.strip(b" ")):
        return None
    try:
        return int(cell) if cell.isdigit() and len(cell) < 20 else float(cell)
    except ValueError:
        return None


def _json_values(text: bytes) -> dict[str, Value] | None:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    values: dict[str, Value] = {}
    for name, value in given.items():
        if name in _ARRAYS:
            n = 4 if name == "quat" else 3
            if not isinstance(value, list) or len(value) != n:
                return None
            array = [_json_number(v) for v in value]
            if None in array:
                return None
            values[name] = array  # type: ignore[assignment]
        elif name in NAMES:  # a home-made sensor may send what else it likes
            number = str(value) if name == "id" else _json_number(value)
            if number is None:
                return None
            values[name] = number
    return values


def _json_number(value: object) -> float | None:
    """A number, NaN for null; None for anything else and for whole numbers beyond all reason."""
    if value is None:
        return math.nan
    if isinstance(value, float) or (type(value) is int and abs(value) < 1 << 64):
        return value
    return None


def _vector(values: list[float] | None) -> Vector | None:
    return (values[0], values[1], values[2]) if values else None


def _named_values(sample: Sample) -> dict[str, float | str]:
    """Every column that the sample can fill, in every unit."""
    values: dict[str, float | str] = {}
    if sample.sensor:
        values["id"] = sample.sensor
    if sample.device_time_s is not None:
        values["t_us"] = round(sample.device_time_s * 1e6)
        values["t_ms"] = round(sample.device_time_s * 1e3)
        values["t_s"] = round(sample.device_time_s, 9)
    if sample.counter is not None:
        values["n"] = sample.counter
    channels = {"acc": sample.acc_mps2, "gyr": sample.gyr_radps, "mag": sample.mag_ut, "quat": sample.quat_wxyz}
    for name, (channel, i, unit) in _COMPONENTS.items():
        vector = channels[channel]
        if vector is not None:
            values[name] = round(vector[i] / unit, 6)
    return values


def _cell(value: float | str) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else str(value)


def _object(sample: Sample) -> dict[str, object]:
    """What a JSON line holds: times and counter, and an array for each channel; null where there is no number."""
    channels = {"acc": sample.acc_mps2, "gyr": sample.gyr_radps, "mag": sample.mag_ut, "quat": sample.quat_wxyz}
    named = _named_values(sample)
    return {name: named[name] for name in ("id", "t_us", "n") if name in named} | {
        name: [None if math.isnan(v) else round(v, 6) for v in vector]
        for name, vector in channels.items()
        if vector is not None
    }
