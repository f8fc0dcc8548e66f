"""The YAML that describes any lab's files: its keys, and errors that name file, line and column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gait_twin.errors import InputError
from gait_twin.recording import units
from gait_twin.recording.segments import SEGMENTS
from gait_twin.recording.tables import did_you_mean

Column = Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)]
"""A column by its name, or by its number counted from 1."""


def _unit(known: dict[str, float], *more: str) -> AfterValidator:
    def check(unit: str) -> str:
        spelled = units.spelled(unit)
        if spelled not in more:
            try:
                units.factor(spelled, known)
            except InputError as problem:
                raise ValueError(", or ".join([str(problem), *more])) from None
        return spelled

    return AfterValidator(check)


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _separator(separator: str) -> str:
    words = ("tab", "space", "comma", "semicolon", "whitespace")
    if len(separator) != 1 and separator not in words:
        raise ValueError(f"a separator is one character or one of {', '.join(words)}")
    return separator


def _with_zone(instant: dt.datetime) -> dt.datetime:
    if instant.tzinfo is None:
        raise ValueError("the time zone is missing; end it with Z or an offset as +02:00")
    return instant


class Format(_Keys):
    """How the text is cut into cells; given for all files, or for one sensor's."""

    separator: Annotated[str, AfterValidator(_separator)] | None = None
    decimal: Literal[".", ","] | None = None
    skip_rows: Annotated[int, Field(ge=0)] | None = None
    header: bool | None = None
    comment: Annotated[str, Field(min_length=1)] | None = None


class Time(_Keys):
    """The column of time."""

    column: Column
    unit: Annotated[str, _unit(units.TIME, "samples")]
    wrap: Annotated[float, Field(gt=0)] | None = None


class Acc(_Keys):
    """Specific force."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.ACC)]


class Gyr(_Keys):
    """Angular rate."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.GYR)]


class Mag(_Keys):
    """Magnetic flux density."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.MAG)]


class Quat(_Keys):
    """The device's own orientation: w x y z, sensor to a z-up earth."""

    columns: Annotated[list[Column], Field(min_length=4, max_length=4)]


class Sensor(Format):
    """One sensor and its columns."""

    file: Annotated[str, Field(min_length=1)]
    acc: Acc
    gyr: Gyr | None = None
    mag: Mag | None = None
    quat: Quat | None = None
    time: Time | None = None
    rate_hz: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _each_column_once(self) -> Sensor:
        channels = [channel.columns for channel in (self.acc, self.gyr, self.mag, self.quat) if channel]
        used = [column for columns in channels for column in columns] + ([self.time.column] if self.time else [])
        if twice := [column for column in used if used.count(column) > 1]:
            raise ValueError(f"column {twice[0]!r} is used twice; each column holds one thing")
        return self


class SubjectKeys(_Keys):
    """The person."""

    name: str = ""
    height_m: Annotated[float, Field(ge=0.4, le=2.6)] = float("nan")
    mass_kg: Annotated[float, Field(ge=2, le=400)] = float("nan")


class Description(Format):
    """A whole recording."""

    sensors: Annotated[dict[str, Sensor], Field(min_length=1)]
    subject: SubjectKeys = SubjectKeys()
    rate_hz: Annotated[float, Field(gt=0)] | None = None
    start_time: Annotated[dt.datetime, AfterValidator(_with_zone)] | None = None


Location = Sequence[str | int]
"""Keys from the top of the YAML down, as ``("sensors", "calcn_r", "acc")``."""


@dataclass(frozen=True)
class Described:
    """A checked description, and where in its file everything stands."""

    path: Path
    description: Description
    _tree: Any

    def where(self, *location: str | int) -> str:
        """Return ``recording.yaml, line 4, column 7`` of a value."""
        return _where(self.path, self._tree, location)


def read_description(path: Path | str) -> Described:
    """Read and check the YAML.

    Raises
    ------
    InputError
        With file, line and column of the first thing that is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"The file {path} is not there.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"The file {path} cannot be read: {problem}.") from None
    try:
        tree = YAML(typ="rt").load(text)
        plain = YAML(typ="safe").load(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{at}: this is not YAML: {str(problem.problem).splitlines()[0]}.") from None
    except (YAMLError, ValueError) as problem:
        raise InputError(f"{path}: this is not YAML: {str(problem).splitlines()[0]}.") from None
    if not isinstance(plain, dict):
        raise InputError(f"{path} does not hold keys and values; it needs at least `sensors`.")
    for segment in plain["sensors"] if isinstance(plain.get("sensors"), dict) else ():
        if segment not in SEGMENTS:
            raise InputError(
                f"{_where(path, tree, ('sensors', segment), key=True)}: {segment!r} is not a segment"
                f"{did_you_mean(str(segment), SEGMENTS)}; choose of {', '.join(SEGMENTS)}."
            )
    try:
        description = Description.model_validate(plain)
    except ValidationError as problem:
        raise InputError(_first_error(path, tree, problem)) from None
    return Described(path, description, tree)


def _first_error(path: Path, tree: Any, problem: ValidationError) -> str:
    # a misspelt key says more than that the right one is missing
    errors = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
    first = errors[0]
    location = _walkable(tree, first["loc"])
    last = str(first["loc"][-1]) if first["loc"] else ""
    name = f"`{'.'.join(map(str, location))}`"
    if first["type"] == "missing":
        inside = f" in {name}" if location else ""
        return f"{_where(path, tree, location, key=True)}: `{last}` is missing{inside}."
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        return (
            f"{_where(path, tree, location, key=True)}: `{last}` is not a key here{did_you_mean(last, known)}; there "
            f"are {', '.join(known)}."
        )
    context = first.get("ctx", {})
    if first["type"] == "value_error":
        says = f"{name}: {context['error']}"
    elif first["type"] in ("too_short", "too_long"):
        wanted = context.get("min_length", context.get("max_length"))
        says = f"{name} has {context['actual_length']} entries; give {wanted}"
    elif first["type"] in ("model_type", "dict_type"):
        says = f"{name} is {first['input']!r}; give keys with values"
    else:
        wanted = first["msg"].removeprefix("Input should be ").replace("less than or equal to", "at most")
        says = f"{name} is {first['input']!r}; give {wanted.replace('greater than or equal to', 'at least')}"
    return f"{_where(path, tree, location)}: {says}."


def _walkable(tree: Any, location: Location) -> tuple[str | int, ...]:
    """Return the keys of a location that are in the YAML (pydantic adds names of alternatives)."""
    found: list[str | int] = []
    for part in location:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            continue
        found.append(part)
    return tuple(found)


def _known_keys(location: Location) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "acc": Acc, "gyr": Gyr, "mag": Mag, "quat": Quat, "time": Time, "subject": SubjectKeys,
    }  # fmt: skip
    if not location:
        return list(Description.model_fields)
    return list(models.get(str(location[-1]), Sensor).model_fields)


def _where(path: Path, tree: Any, location: Location, *, key: bool = False) -> str:
    """Return file, line and column of a value (or of its key)."""
    line, column = 0, 0
    for depth, part in enumerate(location):
        try:
            child = tree[part]
        except (KeyError, IndexError, TypeError):
            break
        as_key = isinstance(part, str) and (key or hasattr(child, "lc")) and hasattr(tree.lc, "key")
        last = depth == len(location) - 1
        line, column = tree.lc.key(part) if as_key and (last or key) else _value_at(tree, part)
        tree = child
    return f"{path}, line {line + 1}, column {column + 1}"


def _value_at(tree: Any, part: str | int) -> tuple[int, int]:
    at: tuple[int, int] = tree.lc.item(part) if isinstance(part, int) else tree.lc.value(part)
    return at
