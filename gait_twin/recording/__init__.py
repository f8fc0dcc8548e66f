"""Recordings: the vocabulary of what is measured and found, importers, and bags in and out."""

from gait_twin.recording.bags import Bag, BagWriter, RawMessage, open_bag
from gait_twin.recording.frames import BodyFrames, SlotStatus
from gait_twin.recording.gait import EventKind, FootPose, GaitEvent, GaitPhase, Step, Stride, TwinState
from gait_twin.recording.persistence import Results, load, read_results, save
from gait_twin.recording.recording import (
    FootTrajectory,
    ImuStream,
    JointTrajectory,
    Recording,
    Subject,
    Truth,
)
from gait_twin.recording.segments import SEGMENTS, Side

__all__ = [
    "SEGMENTS",
    "Bag",
    "BagWriter",
    "BodyFrames",
    "EventKind",
    "FootPose",
    "FootTrajectory",
    "GaitEvent",
    "GaitPhase",
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
    "load",
    "open_bag",
    "read_results",
    "save",
]
