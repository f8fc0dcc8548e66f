"""Gait events and phase of each foot from its inertial sensor, streaming."""

from gait_twin.events.detector import EventDetector
from gait_twin.events.features import FootFeatures, Resampler
from gait_twin.events.settings import DetectorSettings

__all__ = ["DetectorSettings", "EventDetector", "FootFeatures", "Resampler"]
