"""``import`` and ``info``, and how every command opens what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.show import busy, out, report, sensors_table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.recording import Recording

ImporterOption = Annotated[
    str,
    typer.Option("--importer", "-i", help="How to read IN: auto, bag, csv, or a device's name as in import."),
]


def read(path: Path, importer: str = "auto") -> Recording:
    """Open a bag, a recording.yaml, or a device's export.

    Raises
    ------
    InputError
        When there is nothing at `path`, no such importer, or the file cannot be used.
    """
    from gait_twin.recording import load
    from gait_twin.recording.importers import IMPORTERS, import_csv

    known = ("auto", "bag", "csv", *sorted(IMPORTERS))
    if importer not in known:
        raise InputError(f"There is no importer {importer!r}; choose one of {', '.join(dict.fromkeys(known))}.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if importer == "auto":
        if path.suffix in (".yaml", ".yml") and path.name != "metadata.yaml":
            importer = "csv"
        elif path.suffix in (".mcap", ".db3") or path.name == "metadata.yaml" or _is_bag(path):
            importer = "bag"
        else:
            raise InputError(
                f"{path} is no bag and no recording.yaml; name its format with --importer, one of {', '.join(known[1:])}."
            )
    if importer == "bag":
        return load(path.parent if path.name == "metadata.yaml" else path)
    return import_csv(path) if importer == "csv" else IMPORTERS[importer](path)


def _is_bag(path: Path) -> bool:
    return path.is_dir() and ((path / "metadata.yaml").exists() or any(path.glob("*.mcap")))


def import_(
    importer: Annotated[str, typer.Argument(metavar="FORMAT", help="csv, a device's name, or auto.")],
    source: Annotated[Path, typer.Argument(metavar="IN", help="recording.yaml, or the device's file or folder.")],
    bag: Annotated[Path, typer.Argument(metavar="OUT", help="Bag to write (a new folder).")],
) -> int:
    """Turn a lab's or a device's files into a bag.

    Every command reads bags, and so do ros2 bag, RViz and Foxglove. csv takes any lab's files, described by a
    recording.yaml (docs/recordings.md).

    [bold]Examples[/bold]

      gait-twin import csv recording.yaml walk

      gait-twin import xsens measured/ walk --height 1.72 --mass 70.5
    """
    if bag.exists():
        raise InputError(f"{bag} already exists; give a new name, or remove it first.")
    with busy(f"Reading {source}"):
        recording = read(source, importer)
    with busy(f"Writing {bag}"):
        from gait_twin.recording import save

        save(recording, bag)
    out.print(sensors_table(recording))
    wrote([bag])
    return report(recording.notices, recording.losses)


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A bag, a recording.yaml, or a device's export.")],
    importer: ImporterOption = "auto",
) -> int:
    """Say what a recording holds.

    Duration, sensors, rates, gaps, gravity at rest, subject, truth, and what was lost.

    [bold]Examples[/bold]

      gait-twin info walk

      gait-twin info recording.yaml
    """
    with busy(f"Reading {path}"):
        recording = read(path, importer)
    for line in describe(recording):
        out.print(line, soft_wrap=True)
    out.print()
    out.print(sensors_table(recording))
    return report(recording.notices, recording.losses)


def describe(recording: Any) -> list[str]:
    """Sentences on duration, start, subject and truth."""
    import math
    from datetime import UTC, datetime

    subject, truth = recording.subject, recording.truth
    height = f"{subject.height_m:.2f} m" if math.isfinite(subject.height_m) else "height not known"
    mass = f"{subject.mass_kg:.1f} kg" if math.isfinite(subject.mass_kg) else "mass not known"
    lines = [f"Subject   {', '.join(part for part in (subject.name, height, mass) if part)}"]
    lines.append(f"Duration  {recording.duration_s:.2f} s")
    if recording.start_time_ns:
        start = datetime.fromtimestamp(recording.start_time_ns / 1e9, UTC)
        lines.append(f"Start     {start:%Y-%m-%d %H:%M:%S} UTC")
    if truth is not None:
        known = [
            f"{len(items)} {name}"
            for name, items in (("events", truth.events), ("strides", truth.strides), ("steps", truth.steps))
            if items
        ]
        known += [f"{len(truth.joints.coordinates)} joint coordinates"] if truth.joints is not None else []
        lines.append(f"Truth     {', '.join(known) or 'none'}")
    else:
        lines.append("Truth     none")
    return lines
