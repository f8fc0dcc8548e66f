"""Names the gait from the twin's cycles, and says when it does not know."""

from gait_twin.classification.classifier import Classified, GaitClassifier, judge, together
from gait_twin.classification.cycles import Cycle, CycleCutter
from gait_twin.classification.network import Model
from gait_twin.classification.orthopaedic import OrthopaedicScreen, screen
from gait_twin.classification.settings import ClassifierSettings, ScreenSettings, of_subject

__all__ = [
    "Classified",
    "ClassifierSettings",
    "Cycle",
    "CycleCutter",
    "GaitClassifier",
    "Model",
    "OrthopaedicScreen",
    "ScreenSettings",
    "judge",
    "of_subject",
    "screen",
    "together",
]
