"""Names of body segments and sides, as OpenSim's gait models name them."""

from __future__ import annotations

from enum import StrEnum

SEGMENTS: tuple[str, ...] = (
    "pelvis",
    "torso",
    "femur_r",
    "tibia_r",
    "calcn_r",
    "femur_l",
    "tibia_l",
    "calcn_l",
)
"""Every segment that can wear an IMU, in the order used wherever segments are listed."""


class Side(StrEnum):
    """Body side; the value is what tables and messages show."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def foot(self) -> str:
        """Name of this side's foot segment, ``calcn_l`` or ``calcn_r``."""
        return f"calcn_{self.value[0]}"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT
