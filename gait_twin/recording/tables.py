"""Text tables of any lab: columns of numbers, with the line that each row stood on."""

from __future__ import annotations

import difflib
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

_GZIP = b"\x1f\x8b"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "spaces", "|": "bars"}


@dataclass(frozen=True)
class Table:
    """Rows of a text file.

    Attributes
    ----------
    path
        The file.
    lines
        (n,) number of the line of each row, counted from 1.
    cells
        The columns as text.
    decimal
        Decimal mark.
    losses
        Sentences on lines that could not be read.
    """

    path: Path
    lines: NDArray[np.int64]
    cells: pd.DataFrame
    decimal: str = "."
    losses: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.cells.columns]

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str | int) -> FloatArray:
        """(n,) numbers of a column by its name, or its number counted from 1; NaN where there is none.

        Raises
        ------
        InputError
            If there is no such column, or no number in it.
        """
        import pandas as pd

        if isinstance(name, int):
            if not 1 <= name <= len(self.names):
                raise InputError(f"{self.path} has no column {name}; it has {len(self.names)} columns.")
            cells = self.cells.iloc[:, name - 1]
        elif name in self.names:
            cells = self.cells[name]
        else:
            raise InputError(
                f"{self.path} has no column {name!r}{did_you_mean(name, self.names)}; "
                f"its columns are {', '.join(self.names)}."
            )
        if self.decimal != ".":
            cells = cells.str.replace(self.decimal, ".", regex=False)
        numbers = pd.to_numeric(cells.str.strip(), errors="coerce").to_numpy(dtype=float)
        if not np.isfinite(numbers).any():
            shown = next((repr(cell) for cell in cells if isinstance(cell, str) and cell.strip()), "empty")
            raise InputError(f"{self.path}: column {name!r} holds no number; its first cell is {shown}.")
        return numbers

    def columns(self, names: Sequence[str | int]) -> FloatArray:
        """(n, k) numbers of k columns; raises as `column` does."""
        return np.stack([self.column(name) for name in names], axis=1)

    def has(self, *names: str) -> bool:
        """Whether all these columns are there and not empty."""
        return all(
            name in self.names and self.cells[name].str.strip().replace("NaN", "").ne("").any() for name in names
        )


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest known word; empty where none is near."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return f" (did you mean {by_folded[near[0]]!r}?)" if near else ""


def read_text(path: Path) -> tuple[str, list[str]]:
    """Text of a file, gzipped or not, and sentences on what of it is missing.

    Raises
    ------
    InputError
        If the file is not there, is not text, or is empty.
    """
    losses: list[str] = []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"The file {path} is not there.") from None
    except OSError as problem:
        raise InputError(f"The file {path} cannot be read: {problem.strerror}.") from None
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error):
            # a cut file: what was compressed before the cut is good, but for its last line
            try:
                data = zlib.decompressobj(wbits=31).decompress(data)
            except zlib.error as problem:
                raise InputError(f"The file {path} is damaged: {problem}.") from None
            data = data[: data.rfind(b"\n") + 1]
            losses.append(f"{path}: the compressed file is cut off; {data.count(10)} whole lines were read.")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")  # a degree sign from an older Windows program
    if "\0" in text:
        raise InputError(f"{path} is not a text file.")
    if not text.strip():
        raise InputError(f"{path} is empty.")
    return text, losses


def head(path: Path, lines: int = 20) -> list[str]:
    """Return the first lines of a text file, gzipped or not; empty where it is none."""
    try:
        with path.open("rb") as stream:
            data = stream.read(8192)
        if data.startswith(_GZIP):
            data = zlib.decompressobj(wbits=31).decompress(data)
    except (OSError, zlib.error):
        return []
    return data.decode("utf-8-sig", errors="replace").splitlines()[:lines]


def read_table(
    path: Path,
    *,
    separator: str = ",",
    decimal: str = ".",
    skip_rows: int = 0,
    header: bool | Sequence[str] = True,
    comment: str | None = None,
) -> Table:
    r"""Read a text table.

    Parameters
    ----------
    path
        File, gzipped or not.
    separator
        Between cells: one character, or ``"whitespace"`` for any run of blanks.
    decimal
        Decimal mark.
    skip_rows
        Lines before the header (or the first row); comment lines count.
    header
        True where a line names the columns; False where they are called by number; or their names.
    comment
        Lines that begin with this are left out.

    Raises
    ------
    InputError
        If the file is not there, not text, or holds no row.
    """
    import pandas as pd

    text, losses = read_text(path)
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if number > skip_rows and line.strip() and not (comment and line.startswith(comment))
    ]
    if separator == "whitespace":
        numbered = [(number, "\t".join(line.split())) for number, line in numbered]
        separator = "\t"
    names: list[str] | None = None
    if header is True and numbered:
        names = [name.strip().strip('"') for name in numbered.pop(0)[1].split(separator)]
        if all(_is_number(name) for name in names if name):
            raise InputError(
                f"{path}: the line that should name its columns holds numbers ({separator.join(names[:4])} …); check "
                "how many rows to skip, or say that there is no header."
            )
    elif header is not True and header is not False:
        names = list(header)
    if not numbered:
        raise InputError(f"{path} holds no rows after its header.")
    width = len(names) if names else numbered[0][1].count(separator) + 1
    if '"' not in text:  # a quoted cell may hold separators
        ragged = [number for number, line in numbered if line.rstrip(separator).count(separator) >= width]
        if len(ragged) == len(numbered):
            raise InputError(f"{path}: its rows have more cells than the {width} names of its header.")
        if ragged:
            losses.append(f"{path}: {len(ragged)} lines with too many cells left out (first: {ragged[0]}).")
            skip = set(ragged)
            numbered = [(number, line) for number, line in numbered if number not in skip]
    names = names or [str(i) for i in range(1, width + 1)]
    frame = pd.read_csv(
        io.StringIO("\n".join(line for _, line in numbered)),
        sep=separator,
        header=None,
        names=_unique(names),
        index_col=False,
        dtype=str,
        keep_default_na=False,
        na_filter=False,
        skip_blank_lines=False,
        on_bad_lines="skip",
    )
    if len(frame) != len(numbered):
        raise InputError(f"{path} cannot be split into rows; check its separator and quotes.")
    return Table(path, np.array([number for number, _ in numbered]), frame.fillna(""), decimal, losses)


def separator_of(line: str) -> str:
    """Return the separator that occurs most often in a line."""
    return max(_SEPARATORS, key=line.count)


def separator_hint(table: Table, separator: str) -> str:
    """Return a sentence where the header seems to be separated by something else; empty where not."""
    line = separator.join(table.names)
    likely = separator_of(line)
    if len(table.names) == 1 and likely != separator and likely in line:
        return f" Its header seems to be separated by {_SEPARATORS[likely]}."
    return ""


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _unique(names: list[str]) -> list[str]:
    """Give repeated or missing names a number, so that none hides another."""
    seen: dict[str, int] = {}
    unique: list[str] = []
    for number, name in enumerate(names, start=1):
        name = name or f"column {number}"
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def unit_in(name: str) -> str:
    """Return the unit in a column's name: ``Gyroscope X (deg/s)`` has deg/s; empty where there is none."""
    match = re.search(r"[(\[]\s*([^()\[\]]+?)\s*[)\]]\s*$", name)
    return match[1] if match else ""
