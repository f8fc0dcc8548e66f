"""The YAML that describes any lab's files: its keys, and errors that name file, line and column."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from gait_twin.errors import InputError
from gait_twin.recording import units
from gait_twin.recording.segments import SEGMENTS
from gait_twin.recording.yaml_files import CheckedYaml, Keys, Location

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


def _separator(separator: str) -> str:
    words = ("tab", "space", "comma", "semicolon", "whitespace")
    if len(separator) != 1 and separator not in words:
        raise ValueError(f"a separator is one character or one of {', '.join(words)}")
    return separator


def _with_zone(instant: dt.datetime) -> dt.datetime:
    if instant.tzinfo is None:
        raise ValueError("the time zone is missing; end it with Z or an offset as +02:00")
    return instant


class Format(Keys):
    """How the text is cut into cells; given for all files, or for one sensor's."""

    separator: Annotated[str, AfterValidator(_separator)] | None = None
    decimal: Literal[".", ","] | None = None
    skip_rows: Annotated[int, Field(ge=0)] | None = None
    header: bool | None = None
    comment: Annotated[str, Field(min_length=1)] | None = None


class Time(Keys):
    """The column of time."""

    column: Column
    unit: Annotated[str, _unit(units.TIME, "samples")]
    wrap: Annotated[float, Field(gt=0)] | None = None


class Acc(Keys):
    """Specific force."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.ACC)]


class Gyr(Keys):
    """Angular rate."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.GYR)]


class Mag(Keys):
    """Magnetic flux density."""

    columns: Annotated[list[Column], Field(min_length=3, max_length=3)]
    unit: Annotated[str, _unit(units.MAG)]


class Quat(Keys):
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


class SubjectKeys(Keys):
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


@dataclass(frozen=True)
class Described:
    """A checked description, and where in its file everything stands."""

    path: Path
    description: Description
    _yaml: CheckedYaml

    def where(self, *location: str | int) -> str:
        """Return ``recording.yaml, line 4, column 7`` of a value."""
        return self._yaml.where(location)


def read_description(path: Path | str) -> Described:
    """Read and check the YAML.

    Raises
    ------
    InputError
        With file, line and column of the first thing that is wrong.
    """
    yaml = CheckedYaml.read(path, "sensors")
    yaml.check_keys("sensors", SEGMENTS, "a segment")
    return Described(yaml.path, yaml.check(Description, _known_keys), yaml)


def _known_keys(location: Location) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "acc": Acc, "gyr": Gyr, "mag": Mag, "quat": Quat, "time": Time, "subject": SubjectKeys,
    }  # fmt: skip
    if not location:
        return list(Description.model_fields)
    return list(models.get(str(location[-1]), Sensor).model_fields)
