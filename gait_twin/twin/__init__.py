"""The OpenSim twin: model, streaming inverse kinematics, pose of the whole body, robot description."""

from gait_twin.twin.model import build_default_model

__all__ = ["build_default_model"]
