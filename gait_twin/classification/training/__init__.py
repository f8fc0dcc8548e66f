"""Training of gait classifiers: cycles of labelled walks, the loop, calibration, cross-validation by subject.

Needs torch; a running classifier does not.
"""

from gait_twin.classification.training.chain import Chain, cycles_of
from gait_twin.classification.training.data import CycleSet, Walk
from gait_twin.classification.training.run import TrainSettings, train

__all__ = ["Chain", "CycleSet", "TrainSettings", "Walk", "cycles_of", "train"]
