"""Vocabulary to ROS messages and back: the one place, for bags and for live nodes alike.

``to_*`` takes a `Make`, so that the same code fills the classes of `rosbags` and of rclpy; ``from_*`` reads
either by its field names. Times of the vocabulary are float seconds after a `TimeBase`; stamps are absolute.
"""

from gait_twin.recording.messages.parts import WORLD_FRAME, TimeBase, imu_frame, make_stamp, stamp_ns
from gait_twin.recording.messages.results import (
    from_gait_event,
    from_gait_phase,
    from_joint_state,
    from_odometry,
    from_point,
    from_step,
    from_stride,
    from_subject,
    from_twin_state,
    to_gait_event,
    to_gait_phase,
    to_joint_state,
    to_odometry,
    to_point,
    to_step,
    to_stride,
    to_subject,
    to_twin_state,
)
from gait_twin.recording.messages.sensors import (
    ImuSample,
    from_body_imus,
    from_imu,
    from_magnetic_field,
    to_body_imus,
    to_imu,
    to_magnetic_field,
)
from gait_twin.recording.typestore import Make, make_bag_message, make_ros_message, typestore

__all__ = [
    "WORLD_FRAME",
    "ImuSample",
    "Make",
    "TimeBase",
    "from_body_imus",
    "from_gait_event",
    "from_gait_phase",
    "from_imu",
    "from_joint_state",
    "from_magnetic_field",
    "from_odometry",
    "from_point",
    "from_step",
    "from_stride",
    "from_subject",
    "from_twin_state",
    "imu_frame",
    "make_bag_message",
    "make_ros_message",
    "make_stamp",
    "stamp_ns",
    "to_body_imus",
    "to_gait_event",
    "to_gait_phase",
    "to_imu",
    "to_joint_state",
    "to_magnetic_field",
    "to_odometry",
    "to_point",
    "to_step",
    "to_stride",
    "to_subject",
    "to_twin_state",
    "typestore",
]
