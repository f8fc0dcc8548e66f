"""A lab's own classes: the table of labels, and the cycles of the recordings it names."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gait_twin.classification.training.chain import Chain, cycles_of
from gait_twin.classification.training.data import CycleSet, Walk
from gait_twin.errors import InputError
from gait_twin.recording import Recording

NEEDED = ("session", "label")
KNOWN = (*NEEDED, "subject", "side")


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a table of labels by session.

    Parameters
    ----------
    path
        CSV with the columns ``session`` (name of a bag or file, without its ending) and ``label``; where given,
        ``subject`` (whose sessions stay together when scores are taken), ``side`` (affected leg: left, right or
        empty), and any more that may tell classes apart without being the gait: sensor, site, …

    Raises
    ------
    InputError
        Naming the line and what is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{path} cannot be read as CSV: {problem}.") from None
    if not rows:
        raise InputError(f"{path} has no rows; give one for each session, with {' and '.join(NEEDED)}.")
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        cells = {str(key).strip(): str(value or "").strip() for key, value in row.items() if key is not None}
        for name in NEEDED:
            if not cells.get(name):
                raise InputError(f"{path}, line {line}: `{name}` is missing.")
        if cells.get("side", "") not in ("", "left", "right"):
            raise InputError(f"{path}, line {line}: `side` is {cells['side']!r}; give left, right or nothing.")
        if cells["session"] in found:
            raise InputError(f"{path}, line {line}: the session {cells['session']!r} is there twice.")
        found[cells["session"]] = cells
    return found


def labelled(
    labels: dict[str, dict[str, str]],
    sessions: Sequence[Path],
    read: Callable[[Path], Recording],
    chain: Chain | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[CycleSet, list[str]]:
    """Cycles of the sessions that labels name, and sentences on those that gave none.

    Parameters
    ----------
    labels
        Of `read_labels`.
    sessions
        Bags or files; those without a label are left out.
    read
        Reads one.
    chain
        Settings of the rooms.
    progress
        Told the fraction done.

    Raises
    ------
    InputError
        When a session of the table is not among those given, or one cannot be read.
    """
    by_name = {_name(path): path for path in sessions}
    if lacking := [name for name in labels if name not in by_name]:
        raise InputError(f"labels name the session {lacking[0]!r}, which is not among the sessions given.")
    walks, notices = [], []
    for done, (name, cells) in enumerate(labels.items()):
        recording = read(by_name[name])
        cycles, strides = cycles_of(recording, chain)
        speeds = [s.speed_mps for s in strides if s.valid and math.isfinite(s.speed_mps)]
        facts: dict[str, Any] = {key: value for key, value in cells.items() if key not in KNOWN and value}
        facts["sensors worn"] = ", ".join(sorted(recording.imus))
        rates = {f"{round(stream.sampling_rate_hz):d}" for stream in recording.imus.values() if stream.sampling_rate_hz}
        facts["sampling rate"] = ", ".join(sorted(rates))
        if speeds:
            facts["speed"] = float(np.median(speeds))
        if recording.start_time_ns:
            facts["day"] = f"{datetime.fromtimestamp(recording.start_time_ns / 1e9, UTC):%Y-%m-%d}"
        subject = cells.get("subject") or recording.subject.name or name
        walks.append((Walk(name, subject, cells["label"], cells.get("side", ""), facts), cycles))
        if not cycles:
            notices.append(f"{name} gave no gait cycles and is left out.")
        progress((done + 1) / len(labels))
    if not any(cycles for _, cycles in walks):
        raise InputError("No session gave gait cycles; look at one with gait-twin analyze.")
    return CycleSet.of(walks), notices


def _name(path: Path) -> str:
    return path.stem if path.is_file() else path.name
