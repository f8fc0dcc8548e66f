"""CSV exports of x-io Technologies' sensors (NGIMU, x-IMU3): one file, one sensor, units in the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.gait import NAN
from gait_twin.recording.importers.base import Importer, checked_segment, is_data_file
from gait_twin.recording.recording import ImuStream, Recording, Subject
from gait_twin.recording.streams import Source, assemble
from gait_twin.recording.tables import Table, head, read_table, unit_in
from gait_twin.recording.units import ACC, GYR, MAG, TIME, factor


def load(path: Path | str, segment: str | None = None, height_m: float = NAN, mass_kg: float = NAN) -> Recording:
    """Read one sensor.

    Parameters
    ----------
    path
        The CSV file.
    segment
        Segment that wore the sensor; ``calcn_r``, with a notice, if None: the file does not say.
    height_m, mass_kg
        The person, m and kg.

    Raises
    ------
    InputError
        If the file is not there or not of this format.
    """
    path = Path(path)
    notices: list[str] = []
    if segment is None:
        segment = "calcn_r"
        notices.append(f"{path} does not say where the sensor was worn; taken as {segment} (option `segment`).")
    checked_segment(segment)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name one CSV file of it.")
    table = read_table(path)
    time = _named(table, "Time", "Timestamp")
    if len(time) != 1:
        raise InputError(f"{path} has no column 'Time (s)'; its columns are {', '.join(table.names)}.")
    stream = ImuStream(
        segment=segment,
        time_s=_converted(table, time, TIME)[:, 0],
        acc_mps2=_converted(table, _axes(table, "Accelerometer"), ACC),
        gyr_radps=_converted(table, _axes(table, "Gyroscope"), GYR),
        mag_ut=_magnetometer(table, notices),
    )
    assembled = assemble([Source(stream, str(path), table.lines)])
    return Recording(
        imus=assembled.imus,
        subject=Subject(height_m=height_m, mass_kg=mass_kg),
        notices=(*notices, *assembled.notices),
        losses=(*table.losses, *assembled.losses),
    )


def _named(table: Table, *words: str) -> list[str]:
    return [name for name in table.names if name.split(" (")[0] in words]


def _axes(table: Table, sensor: str) -> list[str]:
    names = _named(table, *(f"{sensor} {axis}" for axis in "XYZ"))
    if len(names) != 3:
        raise InputError(
            f"{table.path} has no columns '{sensor} X', '{sensor} Y' and '{sensor} Z' with their unit; its "
            f"columns are {', '.join(table.names)}."
        )
    return names


def _converted(table: Table, names: list[str], known: dict[str, float]) -> NDArray[np.float64]:
    try:
        return table.columns(names) * factor(unit_in(names[0]), known)
    except InputError as problem:
        raise InputError(f"{table.path}: column {names[0]!r}: {problem}") from None


def _magnetometer(table: Table, notices: list[str]) -> NDArray[np.float64] | None:
    names = _named(table, *(f"Magnetometer {axis}" for axis in "XYZ"))
    if len(names) != 3:
        return None
    if unit_in(names[0]) not in MAG:
        notices.append(f"{table.path}: the magnetometer was left out: its unit is {unit_in(names[0])!r}.")
        return None
    return _converted(table, names, MAG)


def sniff(path: Path) -> bool:
    """Whether the path is such a file."""
    return is_data_file(path, ".csv") and "Gyroscope X (" in "".join(head(path, 1))


XIO = Importer(
    "xio",
    "CSV of an x-io sensor (NGIMU, x-IMU3): one file of one sensor",
    load,
    sniff,
    {
        "segment": "segment that wore the sensor (default calcn_r)",
        "height_m": "body height, m",
        "mass_kg": "body mass, kg",
    },
)
