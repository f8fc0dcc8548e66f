"""The model of a person of whom nothing but the recording is given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gait_twin.recording import Subject
from gait_twin.twin import NOMINAL_MASS_KG, TwinSettings, build_default_model

if TYPE_CHECKING:
    import opensim


DEFAULT = "default"
"""Name of the model of height and mass."""


def default_model(subject: Subject) -> tuple[opensim.Model, tuple[str, ...]]:
    """Build the default model of a subject's size, and say what of it had to be assumed.

    Raises
    ------
    InputError
        When height or mass are those of no person.
    """
    notices = []
    height, mass = subject.height_m, subject.mass_kg
    if not math.isfinite(height):
        height = TwinSettings().height_m
        notices.append(f"The subject's height is not known: the twin is {height} m tall.")
    if not math.isfinite(mass):
        mass = NOMINAL_MASS_KG
        notices.append(f"The subject's mass is not known: the twin weighs {mass} kg.")
    return build_default_model(height, mass), tuple(notices)
