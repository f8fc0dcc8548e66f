"""What an importer is, and what importers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.recording import Recording
from gait_twin.recording.segments import SEGMENTS
from gait_twin.recording.tables import did_you_mean


@dataclass(frozen=True, slots=True)
class Importer:
    """Reads one kind of file.

    Attributes
    ----------
    name, description
        What the command line shows.
    load
        ``load(path, **options) -> Recording``; raises InputError where the files are not what they should be.
    sniff
        Whether a path looks like this kind of file.
    options
        What can be given beside the path: name and description.
    """

    name: str
    description: str
    load: Callable[..., Recording]
    sniff: Callable[[Path], bool]
    options: Mapping[str, str] = field(default_factory=dict)


def checked_segment(segment: str) -> str:
    """Return the segment.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if segment not in SEGMENTS:
        raise InputError(
            f"{segment!r} is not a segment{did_you_mean(segment, SEGMENTS)}; choose of {', '.join(SEGMENTS)}."
        )
    return segment


def is_data_file(path: Path, *suffixes: str) -> bool:
    """Whether a path is a file with one of the suffixes, gzipped or not."""
    return path.is_file() and path.name.lower().removesuffix(".gz").endswith(suffixes)


def quaternions_or_nan(quat_wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) unit quaternions; NaN where the device wrote none (a norm far from 1, as all zeros)."""
    norm = np.linalg.norm(quat_wxyz, axis=1, keepdims=True)
    known = np.abs(norm - 1.0) < 0.05
    return np.where(known, quat_wxyz / np.where(known, norm, 1.0), np.nan)
