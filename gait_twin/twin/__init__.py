"""The OpenSim twin: model, streaming inverse kinematics, pose of the whole body, robot description."""

from gait_twin.twin.default_model import build_default_model
from gait_twin.twin.kinematics import InverseKinematics, Solution
from gait_twin.twin.model import load_model, map_segments
from gait_twin.twin.settings import TwinSettings
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.twin import Twin, make_model
from gait_twin.twin.urdf import RobotDescription, robot_description

__all__ = [
    "InverseKinematics",
    "RobotDescription",
    "Skeleton",
    "Solution",
    "Twin",
    "TwinSettings",
    "build_default_model",
    "load_model",
    "make_model",
    "map_segments",
    "robot_description",
]
