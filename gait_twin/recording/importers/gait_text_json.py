"""Gait text and JSON: one text file a sensor (left foot, right foot, lower back), labels in a JSON file.

The format of Voisard, de l'Escalopier, Ricard & Oudre, "Automatic gait events detection with inertial
measurement units", Image Processing On Line (2023), article 497.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gait_twin.errors import InputError
from gait_twin.recording.gait import EventKind, GaitEvent
from gait_twin.recording.importers.base import Importer
from gait_twin.recording.importers.lost_packets import hold_over_lost
from gait_twin.recording.recording import ImuStream, Recording, Subject, Truth
from gait_twin.recording.segments import Side
from gait_twin.recording.streams import Source, assemble
from gait_twin.recording.tables import Table, head, read_table

_SEGMENTS = {"_lf": "calcn_l", "_rf": "calcn_r", "_lb": "pelvis"}
_LABELS = {Side.LEFT: "LeftFootEvents", Side.RIGHT: "RightFootEvents"}
_FIRST_LINE = re.compile(r"Acquisition frequency:\s*([\d.]+)\s*Hz")


def load(path: Path | str) -> Recording:
    """Read a trial.

    Parameters
    ----------
    path
        Its JSON file, one of its text files, or their common beginning (``…/1-1``). A text file alone, or
        several, do without JSON: then there is no truth.

    Returns
    -------
    Recording
        Feet and pelvis; heel strikes and toe-offs as truth. Magnetometers are left out: their unit is the
        device's own.

    Raises
    ------
    InputError
        If a file is not there, or is not of this format.
    """
    base = _base(Path(path))
    sources: list[Source] = []
    losses: list[str] = []
    notices = ["The magnetometers were left out: their unit is not µT but the device's own."]
    for suffix, segment in _SEGMENTS.items():
        file = next((f for f in _files(base, suffix) if f.exists()), None)
        if file is None:
            notices.append(f"There is no file of the sensor on {segment} ({base.name}{suffix}.txt).")
            continue
        first = _FIRST_LINE.match("".join(head(file, 1)))
        if not first:
            raise InputError(f"{file} does not begin with a line like 'Acquisition frequency: 100 Hz'.")
        rate_hz = float(first[1])
        table = read_table(file, separator="\t", skip_rows=1)
        losses.extend(table.losses)
        sources.append(Source(_stream(table, segment, rate_hz), str(file), table.lines))
    if not sources:
        raise InputError(f"There is no trial at {path}: no {base.name}_lf.txt, _rf.txt or _lb.txt.")

    assembled = assemble(sources)
    imus = {}
    for segment, stream in assembled.imus.items():
        imus[segment], filled = hold_over_lost(stream)
        if filled:
            notices.append(
                f"{segment}: {filled} packets were lost; the sensor integrates on board, "
                "so that the packet after them brought their mean, which stands in their place."
            )
    labels = base.parent / f"{base.name}.json"
    subject, truth = Subject(), None
    if labels.exists():
        content = _labels(labels)
        subject = Subject(
            name=str(content.get("Subject", "")),
            height_m=float(content.get("Height", "nan")) / 100.0,
            mass_kg=float(content.get("Weight", "nan")),
        )
        end_s = max(stream.time_s[-1] for stream in assembled.imus.values())
        events, dropped = _events(labels, content, rate_hz, assembled.origin_s, end_s)
        truth = Truth(events=tuple(events))
        if dropped:
            notices.append(f"{labels}: {dropped} labels beyond the end of the trial were dropped.")
    return Recording(
        imus=imus,
        subject=subject,
        truth=truth,
        notices=(*notices, *assembled.notices),
        losses=(*losses, *assembled.losses),
    )


def _stream(table: Table, segment: str, rate_hz: float) -> ImuStream:
    # The packets are counted from the start of the trial for all sensors alike; a sensor whose first packet
    # was lost begins with 1. Rows do not count: packets are lost.
    return ImuStream(
        segment=segment,
        time_s=table.column("PacketCounter") / rate_hz,
        acc_mps2=table.columns(["Acc_X", "Acc_Y", "Acc_Z"]),
        gyr_radps=table.columns(["Gyr_X", "Gyr_Y", "Gyr_Z"]),
        sampling_rate_hz=rate_hz,
    )


def _events(
    labels: Path, content: dict[str, Any], rate_hz: float, origin_s: float, end_s: float
) -> tuple[list[GaitEvent], int]:
    """Labelled events in order, and the number of those after the end."""
    events: list[GaitEvent] = []
    for side, key in _LABELS.items():
        for pair in content[key]:
            try:
                toe_off, heel_strike = map(float, pair)
            except (TypeError, ValueError):
                raise InputError(f"{labels}: {key} holds {pair!r} instead of [toe-off, heel-strike].") from None
            for packet, kind in ((toe_off, EventKind.TOE_OFF), (heel_strike, EventKind.HEEL_STRIKE)):
                events.append(GaitEvent(packet / rate_hz - origin_s, side, kind, confidence=1.0, delay_s=0.0))
    within = [event for event in events if event.time_s <= end_s]
    return sorted(within, key=lambda event: event.time_s), len(events) - len(within)


def _labels(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as JSON: {problem}.") from None
    missing = [key for key in _LABELS.values() if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f"{path} holds no {' and no '.join(missing)}.")
    return dict(content)


def _base(path: Path) -> Path:
    """Return the common beginning of a trial's files."""
    if path.is_dir():
        trials = sorted(file.stem for file in path.glob("*.json"))
        some = f", as {path / trials[0]}" if trials else ""
        raise InputError(f"{path} is a folder of {len(trials)} trials; name one of them{some}.")
    name = path.name.removesuffix(".gz").removesuffix(".txt").removesuffix(".json")
    for suffix in _SEGMENTS:
        name = name.removesuffix(suffix)
    return path.with_name(name)


def _files(base: Path, suffix: str) -> tuple[Path, Path]:
    return base.with_name(f"{base.name}{suffix}.txt"), base.with_name(f"{base.name}{suffix}.txt.gz")


def sniff(path: Path) -> bool:
    """Whether the path is a trial of this format."""
    if path.is_dir():
        return False
    base = _base(path)
    first = [head(file, 1) for suffix in _SEGMENTS for file in _files(base, suffix) if file.exists()]
    return any(lines and _FIRST_LINE.match(lines[0]) for lines in first)


GAIT_TEXT_JSON = Importer(
    "gait_text_json",
    "text file a sensor (…_lf, _rf, _lb) with packet counter, gait events in a JSON file beside them",
    load,
    sniff,
)
