"""Training of the event network: recorded and virtual walks, augmentation, the loop, calibration.

Needs torch and the recordings; a running detector needs neither.
"""

from gait_twin.events.training.run import TrainSettings, train

__all__ = ["TrainSettings", "train"]
