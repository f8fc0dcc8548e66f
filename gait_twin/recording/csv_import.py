"""Any lab's text files, described by a YAML (docs/recordings.md), as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import units
from gait_twin.recording.importers.base import quaternions_or_nan
from gait_twin.recording.plausibility import check_plausible
from gait_twin.recording.recording import ImuStream, Recording, Subject
from gait_twin.recording.schema import Described, Sensor, Time, read_description
from gait_twin.recording.streams import Assembled, Source, assemble, nominal_rate_hz
from gait_twin.recording.tables import Table, read_table, separator_hint

_SEPARATORS = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";"}
# A counter of 8, 16, 24 or 32 bits that began anew has fallen by nearly all of its size.
_COUNTER_SIZES = (2**8, 2**16, 2**24, 2**32)
_NEARLY = 0.9
_RATES_HZ = (5.0, 8000.0)  # of sensors that can tell of gait
_RATE_FACTOR = 1.5


def import_csv(path: Path | str) -> Recording:
    """Read the files that a YAML describes.

    Parameters
    ----------
    path
        The YAML; names of files in it are relative to its folder.

    Returns
    -------
    Recording
        Rows without numbers or at a time that does not increase are left out and counted in
        `Recording.losses`.

    Raises
    ------
    InputError
        If the YAML does not hold what it should, a file or column is not there, or the values cannot be
        what the YAML says (`gait_twin.recording.plausibility`).
    """
    described = read_description(path)
    description = described.description
    tables: dict[Any, Table] = {}
    sources = []
    for segment, sensor in description.sensors.items():
        table = _table(described, segment, sensor, tables)
        stream = _stream(described, segment, sensor, table)
        sources.append(Source(stream, f"{table.path} ({segment})", table.lines))
    assembled = assemble(sources)
    for segment, sensor in description.sensors.items():
        _check_rate(described, segment, sensor, assembled.imus[segment].time_s)
    _check_overlap(described, assembled)
    for segment, stream in assembled.imus.items():
        sensor = description.sensors[segment]
        gyr_unit = sensor.gyr.unit if sensor.gyr else "rad/s"
        check_plausible(stream, f"{described.where('sensors', segment)}: {segment}", sensor.acc.unit, gyr_unit)
    start = description.start_time
    return Recording(
        imus=assembled.imus,
        subject=Subject(**description.subject.model_dump()),
        start_time_ns=round(start.timestamp() * 1e6) * 1000 if start else 0,
        notices=assembled.notices,
        losses=(*(loss for table in tables.values() for loss in table.losses), *assembled.losses),
    )


def _table(described: Described, segment: str, sensor: Sensor, tables: dict[Any, Table]) -> Table:
    """Rows of a sensor's file; a file that several sensors share is read once."""
    general = described.description

    def either(key: str, default: Any) -> Any:
        own = getattr(sensor, key)
        own = getattr(general, key) if own is None else own
        return default if own is None else own

    separator = either("separator", ",")
    options = {
        "separator": _SEPARATORS.get(separator, separator),
        "decimal": either("decimal", "."),
        "skip_rows": either("skip_rows", 0),
        "header": either("header", True),
        "comment": either("comment", None),
    }
    file = described.path.parent / Path(sensor.file).expanduser()
    key = (file, *options.values())
    if key not in tables:
        try:
            tables[key] = read_table(file, **options)
        except InputError as problem:
            raise InputError(f"{described.where('sensors', segment, 'file')}: {problem}") from None
    return tables[key]


def _stream(described: Described, segment: str, sensor: Sensor, table: Table) -> ImuStream:
    rate_hz = sensor.rate_hz or described.description.rate_hz
    if sensor.time is None and rate_hz is None:
        raise InputError(f"{described.where('sensors', segment)}: {segment} has neither `time` nor `rate_hz`.")

    def values(kind: str, known: dict[str, float]) -> NDArray[np.float64] | None:
        channel = getattr(sensor, kind)
        if channel is None:
            return None
        columns = []
        for i, name in enumerate(channel.columns):
            columns.append(_column(described, ("sensors", segment, kind, "columns", i), table, name))
        return np.stack(columns, axis=1) * (units.factor(channel.unit, known) if known else 1.0)

    acc, quat = values("acc", units.ACC), values("quat", {})
    assert acc is not None
    if sensor.time is None:
        assert rate_hz is not None
        time_s = np.arange(len(table)) / rate_hz
    else:
        time_s = _time(described, segment, sensor.time, table, rate_hz)
    return ImuStream(
        segment=segment,
        time_s=time_s,
        acc_mps2=acc,
        gyr_radps=values("gyr", units.GYR),
        mag_ut=values("mag", units.MAG),
        quat_wxyz=None if quat is None else quaternions_or_nan(quat),
        sampling_rate_hz=rate_hz or float("nan"),
    )


def _column(described: Described, location: tuple[str | int, ...], table: Table, name: str | int) -> Any:
    try:
        return table.column(name)
    except InputError as problem:
        raise InputError(f"{described.where(*location)}: {problem}{separator_hint(table, ',')}") from None


def _time(described: Described, segment: str, time: Time, table: Table, rate_hz: float | None) -> NDArray[np.float64]:
    """(n,) instants, s, a counter that began anew unrolled where the YAML gives its size."""
    location = ("sensors", segment, "time")
    if time.unit == "samples" and rate_hz is None:
        raise InputError(f"{described.where(*location, 'unit')}: a time in samples needs `rate_hz`.")
    count = _column(described, (*location, "column"), table, time.column)
    known = np.isfinite(count)
    step = np.diff(count[known])
    if time.wrap is not None:
        if count[known].max() >= time.wrap:
            raise InputError(
                f"{described.where(*location, 'wrap')}: `wrap` is {time.wrap:g}, but {table.path} counts to "
                f"{count[known].max():g}."
            )
        step = (step + time.wrap / 2) % time.wrap - time.wrap / 2
        count = count.copy()
        count[known] = count[known][0] + np.concatenate([[0.0], np.cumsum(step)])
    elif len(step):
        for size in _COUNTER_SIZES:
            if _NEARLY * size < -step.min() < size and count[known].max() < size:
                row = int(table.lines[known][int(np.argmin(step)) + 1])
                raise InputError(
                    f"{described.where(*location)}: in line {row} of {table.path} the time falls by {-step.min():g}; "
                    f"if it is a counter that begins anew, say `wrap: {size}`."
                )
    factor = 1.0 / rate_hz if time.unit == "samples" and rate_hz else units.TIME[time.unit]
    return np.asarray(count * factor)


def _check_rate(described: Described, segment: str, sensor: Sensor, time_s: NDArray[np.float64]) -> None:
    """Refuse a time whose rate is none of a gait sensor, or not the rate given."""
    if sensor.time is None:
        return
    found = nominal_rate_hz(time_s)
    given = sensor.rate_hz or described.description.rate_hz
    where = described.where("sensors", segment, "time")
    if given and not given / _RATE_FACTOR < found < given * _RATE_FACTOR:
        raise InputError(
            f"{where}: the time of {segment} makes {found:.5g} samples a second, but `rate_hz` is {given:g}; one of "
            "them, or the unit of time, is wrong."
        )
    low, high = _RATES_HZ
    if not low <= found <= high:
        said = units.TIME.get(sensor.time.unit, float("nan"))
        fits = [unit for unit, by in units.TIME.items() if low <= found * said / by <= high]
        says = f"; the values look like {' or '.join(fits)}" if fits else ""
        raise InputError(
            f"{where}: the time of {segment} makes {found:.5g} samples a second, which is no rate of a gait sensor"
            f"{says}."
        )


def _check_overlap(described: Described, assembled: Assembled) -> None:
    """Refuse sensors whose times have nothing in common: their clocks or units differ."""
    starts = {segment: stream.time_s[0] for segment, stream in assembled.imus.items()}
    ends = {segment: stream.time_s[-1] for segment, stream in assembled.imus.items()}
    late, early = max(starts, key=lambda s: starts[s]), min(ends, key=lambda s: ends[s])
    if starts[late] > ends[early]:
        raise InputError(
            f"{described.where('sensors', late)}: {late} begins {starts[late] - ends[early]:.6g} s after {early} has "
            "ended; the times of all sensors must be of one clock and in the units given."
        )
