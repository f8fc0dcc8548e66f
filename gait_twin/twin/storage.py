"""OpenSim's tables: motions and forces (.mot, .sto) and markers (.trc), in and out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError

FloatArray = NDArray[np.float64]

LENGTH_UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of OpenSim.

    Attributes
    ----------
    time_s
        (n,) instants, s.
    columns
        c names.
    values
        (n, c), as in the file.
    in_degrees
        The file says that its angles are in degrees.
    """

    time_s: FloatArray
    columns: tuple[str, ...]
    values: FloatArray
    in_degrees: bool = False

    def __getitem__(self, column: str) -> FloatArray:
        """(n,) values of a column."""
        return self.values[:, self.columns.index(column)]


@dataclass(frozen=True, slots=True)
class MarkerTable:
    """Measured markers.

    Attributes
    ----------
    time_s
        (n,) instants, s.
    names
        k names.
    positions_m
        (n, k, 3) in the laboratory's frame, m; NaN where not seen.
    """

    time_s: FloatArray
    names: tuple[str, ...]
    positions_m: FloatArray


def read_table(path: str | Path) -> Table:
    """Read a ``.mot`` or ``.sto``.

    Raises
    ------
    InputError
        No such file, or not such a table.
    """
    lines = _lines(path)
    ends = [i for i, line in enumerate(lines) if line.strip().lower() == "endheader"]
    if not ends or len(lines) < ends[0] + 3:
        raise InputError(f"{path} is not an OpenSim table: it has no 'endheader' line followed by labels and rows.")
    header = "".join(lines[: ends[0]]).replace(" ", "").lower()
    labels = lines[ends[0] + 1].split()
    rows = [line.split() for line in lines[ends[0] + 2 :] if line.strip()]
    values = _numbers(path, rows, len(labels), ends[0] + 3)
    if labels[0].lower() != "time":
        raise InputError(f"The first column of {path} is {labels[0]!r}; it has to be 'time'.")
    return Table(values[:, 0], tuple(labels[1:]), values[:, 1:], "indegrees=yes" in header)


def write_table(path: str | Path, table: Table, name: str) -> None:
    """Write a ``.mot`` or ``.sto`` under a name; rows with values that are not known hold ``nan``."""
    labels = ("time", *table.columns)
    head = [
        name,
        "version=1",
        f"nRows={len(table.time_s)}",
        f"nColumns={len(labels)}",
        f"inDegrees={'yes' if table.in_degrees else 'no'}",
        "endheader",
        "\t".join(labels),
    ]
    rows = np.column_stack([table.time_s, table.values])
    body = ["\t".join(f"{value:.8f}" for value in row) for row in rows.tolist()]
    Path(path).write_text("\n".join([*head, *body]) + "\n", encoding="utf-8")


def read_markers(path: str | Path) -> MarkerTable:
    """Read a ``.trc``.

    Raises
    ------
    InputError
        No such file, not such a table, or of unknown units.
    """
    lines = _lines(path)
    try:
        settings = dict(zip(lines[1].split(), lines[2].split(), strict=True))
        unit = LENGTH_UNITS[settings["Units"]]
        count = int(settings["NumMarkers"])
        names = [name for name in lines[3].rstrip("\r\n").split("\t")[2:] if name.strip()]
    except (IndexError, KeyError, ValueError):
        raise InputError(
            f"{path} is not a table of markers (.trc): its second to fourth line do not give units (mm, cm or m), "
            "number and names of markers."
        ) from None
    if len(names) != count:
        raise InputError(f"{path} names {len(names)} markers and says it has {count}; export it again.")
    width = 2 + 3 * count
    rows = []
    for line in lines[5:]:
        cells = line.rstrip("\r\n").split("\t")
        if any(cell.strip() for cell in cells):
            rows.append([cell.strip() or "nan" for cell in (cells + [""] * width)[:width]])
    if not rows:
        raise InputError(f"{path} has no frames; export it again.")
    values = _numbers(path, rows, width, 6)
    positions = unit * values[:, 2:].reshape(len(values), count, 3)
    # some systems write a marker that was not seen as zero
    positions[(positions == 0.0).all(axis=2)] = np.nan
    return MarkerTable(values[:, 1], tuple(name.strip() for name in names), positions)


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        raise InputError(f"There is no file {path}; give the path of a table.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file.") from None


def _numbers(path: str | Path, rows: list[list[str]], width: int, first: int) -> FloatArray:
    try:
        values = np.array(rows, dtype=float)
    except ValueError:
        values = np.empty((0, 0))
    if values.ndim != 2 or values.shape[1] != width:
        wrong = next((i for i, row in enumerate(rows) if len(row) != width), None)
        where = (
            f"line {first + wrong} has {len(rows[wrong])} of {width} columns" if wrong is not None else "not all are"
        )
        raise InputError(f"The rows of {path} are to be numbers, one for each column: {where}.")
    return values
