"""Importers by name, for the files of the devices and data sets that are known here."""

from __future__ import annotations

from pathlib import Path

from gait_twin.errors import InputError
from gait_twin.recording.importers.base import Importer
from gait_twin.recording.importers.foot_three_groups import FOOT_THREE_GROUPS
from gait_twin.recording.importers.foot_vicon import FOOT_VICON
from gait_twin.recording.importers.gait_text_json import GAIT_TEXT_JSON
from gait_twin.recording.importers.physilog import PHYSILOG
from gait_twin.recording.importers.xio import XIO
from gait_twin.recording.importers.xsens_mt import XSENS_MT

__all__ = ["IMPORTERS", "Importer", "find_importer"]

IMPORTERS: dict[str, Importer] = {
    importer.name: importer for importer in (XSENS_MT, PHYSILOG, XIO, GAIT_TEXT_JSON, FOOT_VICON, FOOT_THREE_GROUPS)
}
"""Every importer, by name."""


def find_importer(path: Path | str) -> Importer:
    """Return the importer whose kind of file is at a path.

    Raises
    ------
    InputError
        If nothing is there, or it is none of these kinds.
    """
    path = Path(path)
    found = [importer for importer in IMPORTERS.values() if importer.sniff(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{path} may be of {', '.join(i.name for i in found)}; name the importer.")
    if not path.exists():
        raise InputError(f"There is nothing at {path}.")
    raise InputError(
        f"{path} is none of {', '.join(IMPORTERS)}; describe it in a YAML and import it as csv (docs/recordings.md)."
    )
