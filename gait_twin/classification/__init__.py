"""Names the gait from the twin's cycles, and says when it does not know."""

from gait_twin.classification.classifier import GaitClassifier, judge, together
from gait_twin.classification.cycles import Cycle, CycleCutter
from gait_twin.classification.network import Model
from gait_twin.classification.settings import ClassifierSettings

__all__ = ["ClassifierSettings", "Cycle", "CycleCutter", "GaitClassifier", "Model", "judge", "together"]
