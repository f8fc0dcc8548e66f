"""Settings of the classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gait_twin.recording import Subject
from gait_twin.settings import check, setting


@dataclass(frozen=True)
class ClassifierSettings:
    """Which model, of whom, over how much of the walk."""

    model_path: str = setting("", "Weights (.npz) of `gait-twin train classifier`; empty: gait patterns, as shipped.")
    height_m: float = setting(0.0, "Height of the person, m; 0: not known, lengths are left out.", low=0.0, high=2.5)
    mass_kg: float = setting(0.0, "Mass of the person, kg; 0: not known, moments are left out.", low=0.0, high=300.0)
    cycles: int = setting(20, "Number of last gait cycles, of both legs, that a class is told from.", low=1, high=1000)
    memory_s: float = setting(30.0, "Cycles older than this are not used, s.", low=1.0, high=3600.0)
    max_turning_deg: float = setting(25.0, "Strides that turn by more are not looked at, degrees.", low=1.0, high=360.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class ScreenSettings:
    """Whether a second, separate question is asked."""

    orthopaedic: bool = setting(
        False,
        "Also tell on gait_class/orthopaedic whether the walk is more like that of healthy people or of people with an "
        "orthopaedic condition: see docs/models/orthopaedic.md. Its weights are for non-commercial use.",
    )

    def __post_init__(self) -> None:
        check(self)


def of_subject(settings: ClassifierSettings, subject: Subject) -> ClassifierSettings:
    """Settings with the person's height and mass where they name none."""
    height_m = subject.height_m if math.isfinite(subject.height_m) else 0.0
    mass_kg = subject.mass_kg if math.isfinite(subject.mass_kg) else 0.0
    return replace(settings, height_m=settings.height_m or height_m, mass_kg=settings.mass_kg or mass_kg)
