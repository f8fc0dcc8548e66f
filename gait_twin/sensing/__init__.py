"""Physical layer: devices on any transport, one clock, and synchronised frames of calibrated segments."""

from gait_twin.sensing.accelerometer import Accelerometer
from gait_twin.sensing.alignment import Alignment, align, latencies
from gait_twin.sensing.calibration import Calibration, SegmentCalibration
from gait_twin.sensing.calibration_file import SavedCalibration, SavedSensor, read_calibration, write_calibration
from gait_twin.sensing.clocks import ClockReport, ClockSettings, DeviceClock, HostClock
from gait_twin.sensing.devices import Address, Body, Device, make_device, read_body, write_latencies
from gait_twin.sensing.driver import Driver, DriverSettings, Level, SensorState
from gait_twin.sensing.feed import FeedReport, Reading
from gait_twin.sensing.guided import GuidedCalibration, Stage
from gait_twin.sensing.hub import SensorHub
from gait_twin.sensing.placement import misplaced
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.stream import StreamReport

__all__ = [
    "Accelerometer",
    "Address",
    "Alignment",
    "Body",
    "Calibration",
    "ClockReport",
    "ClockSettings",
    "Device",
    "DeviceClock",
    "Driver",
    "DriverSettings",
    "FeedReport",
    "GuidedCalibration",
    "HostClock",
    "HubSettings",
    "Level",
    "Reading",
    "SavedCalibration",
    "SavedSensor",
    "SegmentCalibration",
    "SensorHub",
    "SensorState",
    "Stage",
    "StreamReport",
    "align",
    "latencies",
    "make_device",
    "misplaced",
    "read_body",
    "read_calibration",
    "write_calibration",
    "write_latencies",
]
