"""Every topic of the graph with its type, and the quality of service that goes with it: the one place."""

from __future__ import annotations

import importlib
import math
from enum import Enum
from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from gait_twin.recording import SEGMENTS, Side


class Flow(Enum):
    """What a topic carries decides how it is sent."""

    SENSOR = "sensor"
    """Samples: the newest counts. Best effort, 0.1 s queued; reliable where nothing may be lost (a bag)."""
    RESULT = "result"
    """What is found, and commands: reliable, with room for a slow reader."""
    LATCHED = "latched"
    """Descriptions and states that who comes later needs too: reliable, the last one kept."""


class Topic(NamedTuple):
    """Name relative to the subject's namespace (or absolute), type and flow."""

    name: str
    type_name: str
    flow: Flow = Flow.RESULT

    @property
    def message_class(self) -> Any:
        """Class of the messages, as rclpy publishes them."""
        return message_class(self.type_name)


QUEUED_S = 0.1
"""Samples of this time are queued for a best-effort reader: older ones are of no use to a controller."""
RESULT_DEPTH = 1000
LOSSLESS_DEPTH = 4000
"""Deeper than the source of a bag runs ahead of the graph (`FlowSettings.max_lead_s` at 1000 Hz)."""


def imu_raw(segment: str) -> Topic:
    """What a segment's sensor measures."""
    return Topic(f"imu/{segment}/data_raw", "sensor_msgs/msg/Imu", Flow.SENSOR)


def imu_data(segment: str) -> Topic:
    """The same on the hub's grid, with orientation."""
    return Topic(f"imu/{segment}/data", "sensor_msgs/msg/Imu", Flow.SENSOR)


def mag(segment: str) -> Topic:
    """Magnetic field at a segment's sensor."""
    return Topic(f"imu/{segment}/mag", "sensor_msgs/msg/MagneticField", Flow.SENSOR)


def foot_odometry(side: Side) -> Topic:
    """Way of a foot's sensor through the walk's world."""
    return Topic(f"foot_odometry/{side}", "nav_msgs/msg/Odometry")


def ground_reaction(side: Side) -> Topic:
    """What the ground does to a foot; its frame has its origin in the centre of pressure."""
    return Topic(f"ground_reaction/{side}", "geometry_msgs/msg/WrenchStamped")


def center_of_pressure(side: Side) -> Topic:
    """Where it acts, in the walk's world."""
    return Topic(f"center_of_pressure/{side}", "geometry_msgs/msg/PointStamped")


def plate(side: Side) -> Topic:
    """What a plate or an insole measures of it."""
    return Topic(f"plates/{side}", "geometry_msgs/msg/WrenchStamped", Flow.SENSOR)


def truth_foot_position(side: Side) -> Topic:
    """Known position of a foot's sensor."""
    return Topic(f"truth/foot_position/{side}", "geometry_msgs/msg/PointStamped")


BODY_IMUS = Topic("body_imus", "gait_twin_msgs/msg/BodyImus", Flow.SENSOR)
GAIT_EVENTS = Topic("gait_events", "gait_twin_msgs/msg/GaitEvent")
GAIT_PHASE = Topic("gait_phase", "gait_twin_msgs/msg/GaitPhase")
STRIDES = Topic("strides", "gait_twin_msgs/msg/Stride")
EARLY_STRIDES = Topic("strides/early", "gait_twin_msgs/msg/Stride")
STEPS = Topic("steps", "gait_twin_msgs/msg/Step")
TWIN_STATE = Topic("twin_state", "gait_twin_msgs/msg/TwinState")
GAIT_CLASS = Topic("gait_class", "gait_twin_msgs/msg/GaitClass")
ORTHOPAEDIC = Topic("gait_class/orthopaedic", "gait_twin_msgs/msg/GaitClass")
JOINT_STATES = Topic("joint_states", "sensor_msgs/msg/JointState")
ROBOT_DESCRIPTION = Topic("robot_description", "std_msgs/msg/String", Flow.LATCHED)
SUBJECT = Topic("subject", "gait_twin_msgs/msg/Subject", Flow.LATCHED)
PROGRESS = Topic("progress", "gait_twin_msgs/msg/Progress", Flow.LATCHED)
TF = Topic("/tf", "tf2_msgs/msg/TFMessage")
TF_STATIC = Topic("/tf_static", "tf2_msgs/msg/TFMessage", Flow.LATCHED)
CLOCK = Topic("/clock", "rosgraph_msgs/msg/Clock")
DIAGNOSTICS = Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
TRUTH = (
    Topic("truth/gait_events", "gait_twin_msgs/msg/GaitEvent"),
    Topic("truth/strides", "gait_twin_msgs/msg/Stride"),
    Topic("truth/steps", "gait_twin_msgs/msg/Step"),
    Topic("truth/joint_states", "sensor_msgs/msg/JointState"),
    *(truth_foot_position(side) for side in Side),
)
PLATES = tuple(plate(side) for side in Side)
RESULTS = (
    GAIT_EVENTS,
    GAIT_PHASE,
    STRIDES,
    EARLY_STRIDES,
    STEPS,
    *(foot_odometry(side) for side in Side),
    TWIN_STATE,
    GAIT_CLASS,
    ORTHOPAEDIC,
    *(make(side) for side in Side for make in (ground_reaction, center_of_pressure)),
    JOINT_STATES,
    ROBOT_DESCRIPTION,
    TF,
    TF_STATIC,
    DIAGNOSTICS,
)
KNOWN = {
    topic.name: topic
    for topic in (
        *RESULTS,
        *TRUTH,
        BODY_IMUS,
        SUBJECT,
        PROGRESS,
        *PLATES,
        *(make(segment) for segment in SEGMENTS for make in (imu_raw, imu_data, mag)),
    )
}
"""Topics by name."""


def message_class(type_name: str) -> Any:
    """Class of ``package/msg/Name``."""
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def qos(topic: Topic, *, lossless: bool = False, rate_hz: float = 100.0) -> QoSProfile:
    """Quality of service of a topic, the same for who publishes and who subscribes.

    Parameters
    ----------
    topic
        The topic.
    lossless
        Send samples reliably too.
    rate_hz
        Rate of the samples, Hz.
    """
    if topic.flow is Flow.LATCHED:
        return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    if topic.flow is Flow.SENSOR:
        if lossless:
            return QoSProfile(depth=LOSSLESS_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        return QoSProfile(depth=max(1, math.ceil(QUEUED_S * rate_hz)), reliability=ReliabilityPolicy.BEST_EFFORT)
    return QoSProfile(depth=RESULT_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
