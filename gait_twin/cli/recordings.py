"""``import`` and ``info``, and how every command opens what it is given."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.show import busy, out, report, sensors_table, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.recording import Recording

ImporterOption = Annotated[
    str, typer.Option("--importer", "-i", help="How to read IN: auto, bag, csv, or a format of import --list.")
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="Option of the importer; import --list names them."),
]
SubjectOption = Annotated[
    str | None, typer.Option("--subject", help="Whose walk, where a bag holds several: its namespace.")
]
TopicOption = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="SEGMENT=TOPIC", help="Topic of a segment's sensor, in a bag that names them otherwise."
    ),
]
HeightOption = Annotated[float | None, typer.Option("--height", help="Body height, m, instead of the recording's.")]
MassOption = Annotated[float | None, typer.Option("--mass", help="Body mass, kg, instead of the recording's.")]

BAG_SUFFIXES = (".mcap", ".db3", ".bag")


def read(
    path: Path,
    importer: str = "auto",
    options: list[str] | None = None,
    subject: str | None = None,
    topics: list[str] | None = None,
) -> Recording:
    """Open a bag, a recording.yaml, or a device's export.

    `topics` names the topic of each segment's sensor, ``SEGMENT=TOPIC``, for a bag.

    Raises
    ------
    InputError
        When there is nothing at `path`, no such importer or option, or the file cannot be used.
    """
    from gait_twin.recording import load
    from gait_twin.recording.importers import IMPORTERS, find_importer

    known = ("auto", "bag", "csv", *IMPORTERS)
    if importer not in known:
        raise InputError(f"There is no importer {importer!r}; choose one of {', '.join(known)}.")
    if importer == "auto":
        if path.suffix in (".yaml", ".yml") and path.name != "metadata.yaml":
            importer = "csv"
        elif is_bag(path, importer):
            importer = "bag"
        else:
            importer = find_importer(path).name
    if topics and importer != "bag":
        raise InputError(f"--topic {topics[0]}: only a bag has topics, and {path} is none.")
    if importer in ("bag", "csv"):
        if options:
            raise InputError(f"--option {options[0]}: {importer} has no options.")
        if importer == "csv":
            from gait_twin.recording import import_csv

            return import_csv(path)
        return load(path.parent if path.name == "metadata.yaml" else path, subject, _topics(topics))
    chosen = IMPORTERS[importer]
    given: dict[str, Any] = {}
    for option in options or ():
        name, equals, text = option.partition("=")
        if not equals or name not in chosen.options:
            names = ", ".join(chosen.options) or "none"
            raise InputError(f"--option {option} is none of {importer}; write NAME=VALUE with a NAME of: {names}.")
        given[name] = _option_value(name, text)
    return chosen.load(path, **given)


def _topics(entries: list[str] | None) -> dict[str, str] | None:
    """``SEGMENT=TOPIC`` by segment; None where none is given."""
    found = {}
    for entry in entries or ():
        segment, equals, topic = (part.strip() for part in entry.partition("="))
        if not (segment and equals and topic):
            raise InputError(f"--topic {entry} is not of the form SEGMENT=TOPIC, as calcn_r=/imu/right_foot.")
        found[segment] = topic if topic.startswith("/") else f"/{topic}"
    return found or None


def _option_value(name: str, text: str) -> Any:
    if name == "mapping" and "=" in text:
        pairs = (part.partition("=") for part in text.split(","))
        return {device.strip(): segment.strip() for device, _, segment in pairs}
    if name.endswith(("_m", "_kg", "_hz")):
        try:
            return float(text)
        except ValueError:
            raise InputError(f"--option {name}={text}: {text!r} is no number.") from None
    return text


def is_bag(path: Path, importer: str = "auto") -> bool:
    """Whether a path is read as a bag."""
    if importer != "auto":
        return importer == "bag"
    if path.suffix in BAG_SUFFIXES or path.name == "metadata.yaml":
        return True
    if not path.is_dir():
        return False
    # an empty folder, too, is best answered by what reads bags
    return (path / "metadata.yaml").exists() or any(path.glob("*.mcap")) or not any(path.iterdir())


def with_subject(recording: Recording, height_m: float | None, mass_kg: float | None) -> Recording:
    """The recording with the given height and mass in place of its own."""
    given: dict[str, Any] = {}
    for option, field, value, low, high, unit in (
        ("--height", "height_m", height_m, 0.5, 2.5, "m"),
        ("--mass", "mass_kg", mass_kg, 5.0, 400.0, "kg"),
    ):
        if value is not None:
            if not low <= value <= high:
                raise InputError(f"{option} is {value:g} {unit}; give a value from {low:g} to {high:g} {unit}.")
            given[field] = value
    return dataclasses.replace(recording, subject=dataclasses.replace(recording.subject, **given))


def _list_formats(wanted: bool) -> None:
    if not wanted:
        return
    from gait_twin.recording.importers import IMPORTERS

    made = table("Format")
    made.add_column("what it reads, and its options", overflow="fold")
    made.add_row("csv", "any lab's files, described by a recording.yaml (docs/recordings.md)")
    for name, importer in IMPORTERS.items():
        made.add_row(name, importer.description)
        for option, description in importer.options.items():
            made.add_row("", f"--option {option}=…   {description}")
    out.print(made)
    raise typer.Exit


def import_(
    importer: Annotated[str, typer.Argument(metavar="FORMAT", help="csv, a format of --list, or auto.")],
    source: Annotated[Path, typer.Argument(metavar="IN", help="recording.yaml, or the device's file or folder.")],
    bag: Annotated[Path, typer.Argument(metavar="OUT", help="Bag to write (a new folder).")],
    options: OptionsOption = None,
    height_m: HeightOption = None,
    mass_kg: MassOption = None,
    listed: Annotated[
        bool, typer.Option("--list", callback=_list_formats, is_eager=True, help="List formats and options, and exit.")
    ] = False,
) -> int:
    """Turn a lab's or a device's files into a bag.

    Every command reads bags, and so do ros2 bag, RViz and Foxglove. csv takes any lab's files, described by a
    recording.yaml (docs/recordings.md).

    [bold]Examples[/bold]

      gait-twin import csv recording.yaml walk

      gait-twin import physilog measured/ walk --height 1.72 --mass 70.5

      gait-twin import xio sensor.csv walk --option segment=calcn_l
    """
    del listed
    if bag.exists():
        raise InputError(f"{bag} is there already; give a new name, or remove it first.")
    with busy(f"Reading {source}"):
        recording = with_subject(read(source, importer, options), height_m, mass_kg)
    with busy(f"Writing {bag}"):
        from gait_twin.recording import save

        save(recording, bag)
    out.print(sensors_table(recording))
    wrote([bag])
    return report(recording.notices, recording.losses)


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A bag, a recording.yaml, or a device's export.")],
    importer: ImporterOption = "auto",
    options: OptionsOption = None,
    subject: SubjectOption = None,
    topics: TopicOption = None,
) -> int:
    """Say what a recording holds.

    Duration, sensors, rates, gaps, gravity at rest, subject, truth, and what was lost.

    [bold]Examples[/bold]

      gait-twin info walk

      gait-twin info recording.yaml
    """
    with busy(f"Reading {path}"):
        recording = read(path, importer, options, subject, topics)
    for line in describe(recording):
        out.print(line, soft_wrap=True)
    out.print()
    out.print(sensors_table(recording))
    return report(recording.notices, recording.losses)


def describe(recording: Recording) -> list[str]:
    """Sentences on subject, duration, start and truth."""
    from datetime import UTC, datetime

    subject, truth = recording.subject, recording.truth
    height = f"{subject.height_m:.2f} m" if math.isfinite(subject.height_m) else "height not known"
    mass = f"{subject.mass_kg:.1f} kg" if math.isfinite(subject.mass_kg) else "mass not known"
    lines = [f"Subject   {', '.join(part for part in (subject.name, height, mass) if part)}"]
    lines.append(f"Duration  {recording.duration_s:.2f} s")
    if recording.start_time_ns:
        start = datetime.fromtimestamp(recording.start_time_ns / 1e9, UTC)
        lines.append(f"Start     {start:%Y-%m-%d %H:%M:%S} UTC")
    known = []
    if truth is not None:
        counted = (("events", truth.events), ("strides", truth.strides), ("steps", truth.steps))
        known = [f"{len(items)} {name}" for name, items in counted if items]
        known += [f"{len(truth.joints.coordinates)} joint coordinates"] if truth.joints is not None else []
        known += ["foot positions"] if truth.foot_positions else []
    lines.append(f"Truth     {', '.join(known) or 'none'}")
    return lines
