"""Recordings: the vocabulary of what is measured and found, importers, and bags in and out."""

from gait_twin.recording.frames import BodyFrames, SlotStatus
from gait_twin.recording.gait import EventKind, FootPose, GaitEvent, GaitPhase, Step, Stride, TwinState
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
    "BodyFrames",
    "EventKind",
    "FootPose",
    "FootTrajectory",
    "GaitEvent",
    "GaitPhase",
    "ImuStream",
    "JointTrajectory",
    "Recording",
    "Side",
    "SlotStatus",
    "Step",
    "Stride",
    "Subject",
    "Truth",
    "TwinState",
]
