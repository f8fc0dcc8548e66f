"""Foot trajectories by zero-velocity updates, and stride and step parameters, streaming."""

from gait_twin.steps.estimator import StepEstimator, StepOutput
from gait_twin.steps.settings import StepSettings

__all__ = ["StepEstimator", "StepOutput", "StepSettings"]
