"""The gait parameters that tables, plots, pages and comparisons show, listed once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gait_twin.recording import Side, Step, Stride

DEG = 180.0 / math.pi


@dataclass(frozen=True, slots=True)
class Parameter:
    """One gait parameter of a stride or a step.

    Attributes
    ----------
    key
        Attribute of `Stride` or `Step` (or one of `_DERIVED`); also its name in ``summary.json``.
    label, unit, digits
        How people read it: name, unit of the shown value, decimals.
    scale
        Shown value over stored value (100 for m shown as cm).
    spatial
        Not to be taken from strides that are not `valid`.
    of_step
        Belongs to `Step` rather than `Stride`.
    """

    key: str
    label: str
    unit: str
    digits: int = 2
    scale: float = 1.0
    spatial: bool = False
    of_step: bool = False


def _stance_share(stride: Stride) -> float:
    return 100.0 * stride.stance_time_s / stride.stride_time_s


_DERIVED = {"stance_percent": _stance_share}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("stride_length_m", "Stride length", "m", 3, spatial=True),
    Parameter("stride_time_s", "Stride time", "s", 3),
    Parameter("speed_mps", "Speed", "m/s", 2, spatial=True),
    Parameter("cadence_spm", "Cadence", "steps/min", 1),
    Parameter("stance_time_s", "Stance time", "s", 3),
    Parameter("swing_time_s", "Swing time", "s", 3),
    Parameter("stance_percent", "Stance", "% of stride", 1),
    Parameter("double_support_time_s", "Double support", "s", 3),
    Parameter("foot_clearance_m", "Foot clearance", "cm", 1, 100.0, spatial=True),
    Parameter("foot_angle_heel_strike_rad", "Foot angle at heel strike", "°", 1, DEG, spatial=True),
    Parameter("foot_angle_toe_off_rad", "Foot angle at toe-off", "°", 1, DEG, spatial=True),
    Parameter("turning_angle_rad", "Turning per stride", "°", 1, DEG, spatial=True),
    Parameter("step_length_m", "Step length", "m", 3, spatial=True, of_step=True),
    Parameter("step_time_s", "Step time", "s", 3, of_step=True),
    Parameter("step_width_m", "Step width", "cm", 1, 100.0, spatial=True, of_step=True),
)


def value(item: Stride | Step, parameter: Parameter) -> float:
    """Shown value of a parameter of one stride or step; NaN where it is not to be trusted."""
    if parameter.spatial and not item.valid:
        return math.nan
    derived: Any = _DERIVED.get(parameter.key)
    stored = derived(item) if derived else getattr(item, parameter.key)
    return float(stored) * parameter.scale


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (n - 1) of the finite values; NaN where too few."""

    n: int
    mean: float
    sd: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Spread of an iterable of numbers, NaN left out."""
        known = np.array([v for v in values if math.isfinite(v)])
        n = len(known)
        return cls(n, float(known.mean()) if n else math.nan, float(known.std(ddof=1)) if n > 1 else math.nan)


def select(
    parameter: Parameter, strides: Iterable[Stride], steps: Iterable[Step], side: Side | None = None
) -> list[Stride | Step]:
    """Strides or steps that a parameter is taken from, of one side or of both."""
    items: Iterable[Stride | Step] = steps if parameter.of_step else strides
    return [item for item in items if side is None or item.side is side]


def symmetry_index(left: float, right: float) -> float:
    """Difference of right and left over their mean, %; 0 is symmetric, positive is a larger right.

    Source: Robinson, Herzog & Nigg (1987), J Manipulative Physiol Ther 10(4):172-176.
    """
    middle = (left + right) / 2
    return 100.0 * (right - left) / middle if middle else math.nan
