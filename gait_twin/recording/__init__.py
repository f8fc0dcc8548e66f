"""Recordings: the vocabulary of what is measured and found, importers, and bags in and out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gait_twin.recording.frames import BodyFrames, SlotStatus
from gait_twin.recording.gait import (
    EventKind,
    FootPose,
    GaitClass,
    GaitEvent,
    GaitPhase,
    GroundReaction,
    Step,
    Stride,
    TwinState,
)
from gait_twin.recording.recording import FootTrajectory, ImuStream, JointTrajectory, Recording, Subject, Truth
from gait_twin.recording.segments import SEGMENTS, Side

if TYPE_CHECKING:
    from gait_twin.recording.bags import Bag, BagWriter, RawMessage, open_bag
    from gait_twin.recording.csv_import import import_csv
    from gait_twin.recording.persistence import Results, load, read_plates, read_results, save

__all__ = [
    "SEGMENTS",
    "Bag",
    "BagWriter",
    "BodyFrames",
    "EventKind",
    "FootPose",
    "FootTrajectory",
    "GaitClass",
    "GaitEvent",
    "GaitPhase",
    "GroundReaction",
    "ImuStream",
    "JointTrajectory",
    "RawMessage",
    "Recording",
    "Results",
    "Side",
    "SlotStatus",
    "Step",
    "Stride",
    "Subject",
    "Truth",
    "TwinState",
    "import_csv",
    "load",
    "open_bag",
    "read_plates",
    "read_results",
    "save",
]

# What reads and writes files is loaded when first asked for: a live node needs the vocabulary alone.
_MODULES = {
    **dict.fromkeys(("Bag", "BagWriter", "RawMessage", "open_bag"), "bags"),
    **dict.fromkeys(("Results", "load", "read_plates", "read_results", "save"), "persistence"),
    "import_csv": "csv_import",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
