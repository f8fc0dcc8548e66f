"""Physical layer: streams of real sensors become synchronised frames of calibrated segments."""

from gait_twin.sensing.calibration import Calibration, SegmentCalibration
from gait_twin.sensing.hub import SensorHub
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.stream import StreamReport

__all__ = ["Calibration", "HubSettings", "SegmentCalibration", "SensorHub", "StreamReport"]
