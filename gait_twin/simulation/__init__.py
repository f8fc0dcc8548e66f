"""A virtual subject: walks by published gait curves on the twin's model, wears virtual IMUs, knows its truth."""

from gait_twin.simulation.settings import SensorSettings, WalkSettings, default_demo
from gait_twin.simulation.subject import simulate

__all__ = ["SensorSettings", "WalkSettings", "default_demo", "simulate"]
