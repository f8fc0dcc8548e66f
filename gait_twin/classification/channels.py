"""What of a gait cycle a classifier sees: channels over the cycle, and numbers of the stride.

Every cycle is looked at from its own side: ``near`` is the leg whose heel strikes bound it, ``far`` the other one.
Cycles of the left leg are mirrored, so that one network serves both legs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 101
"""Of a curve over the gait cycle: every percent, from heel strike to heel strike."""

LEGS = ("near", "far")
LEG_ANGLES = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")
LEG_RATES = ("hip_flexion", "knee_angle", "ankle_angle")
LEG_MOMENTS = ("hip_flexion", "hip_adduction", "knee_angle", "ankle_angle")
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_height")
"""Angles along the walk; height less its mean over the cycle."""
TRUNK = ("lumbar_extension", "lumbar_bending", "lumbar_rotation")
FOOT = (
    "foot_roll_rate",
    "foot_yaw_rate",
    "foot_pitch_rate",
    "foot_force_forward",
    "foot_force_up",
    "foot_force_right",
    "foot_pitch",
    "foot_speed",
)
"""Of each foot's sensor in the foot's own axes, as `gait_twin.events.FootFeatures` scales them."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One curve.

    Attributes
    ----------
    name
        As it is shown.
    group
        ``angles``, ``rates``, ``moments``, ``pelvis``, ``trunk`` or ``feet``: what is known together.
    source
        Coordinate or foot feature that it comes from.
    leg
        ``near``, ``far``, or empty for the pelvis and the trunk.
    needs
        Segments whose sensors it rests on; those of a leg without the side's letter.
    mirrored
        Changes sign with the side.
    """

    name: str
    group: str
    source: str
    leg: str = ""
    needs: tuple[str, ...] = ()
    mirrored: bool = False


_NEEDS = {
    "hip_flexion": ("pelvis", "femur"),
    "hip_adduction": ("pelvis", "femur"),
    "hip_rotation": ("pelvis", "femur"),
    "knee_angle": ("femur", "tibia"),
    "ankle_angle": ("tibia", "calcn"),
}
_MIRRORED = ("pelvis_list", "pelvis_rotation", "lumbar_bending", "lumbar_rotation")


def _channels() -> tuple[Channel, ...]:
    found = []
    for leg in LEGS:
        found += [Channel(f"{name} {leg}", "angles", name, leg, _NEEDS[name]) for name in LEG_ANGLES]
        found += [Channel(f"{name} velocity {leg}", "rates", name, leg, _NEEDS[name]) for name in LEG_RATES]
        found += [Channel(f"{name} moment {leg}", "moments", name, leg, _NEEDS[name]) for name in LEG_MOMENTS]
        found += [Channel(f"{name} {leg}", "feet", name, leg, ("calcn",)) for name in FOOT]
    found += [Channel(name, "pelvis", name, "", ("pelvis",), name in _MIRRORED) for name in PELVIS]
    found += [Channel(name, "trunk", name, "", ("torso", "pelvis"), name in _MIRRORED) for name in TRUNK]
    return tuple(found)


CHANNELS = _channels()
"""All curves, in the order of `Cycle.curves`."""
GROUPS: dict[str, NDArray[np.intp]] = {
    group: np.array([i for i, channel in enumerate(CHANNELS) if channel.group == group])
    for group in ("angles", "rates", "moments", "pelvis", "trunk", "feet")
}
"""Columns of each group."""

STRIDE_NUMBERS = (
    "stride time (s)",
    "stance share",
    "double support share",
    "stride length over height",
    "speed over root of height",
    "clearance over height",
    "foot angle at heel strike (rad)",
    "foot angle at toe-off (rad)",
)
SPATIAL = slice(3, 8)
"""Numbers that a missed foot-flat spoils."""
SCALED = slice(3, 6)
"""Numbers that need the body height."""
NUMBERS = tuple(f"{name} {leg}" for leg in LEGS for name in STRIDE_NUMBERS)
"""All numbers, in the order of `Cycle.numbers`."""
