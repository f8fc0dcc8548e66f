"""How far to trust a pose, and why not further, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_SEGMENTS = (("pelvis", "femur_r", "tibia_r"), ("pelvis", "femur_l", "tibia_l"))
"""One of these must be worn for a skeleton: a leg hanging from a known pelvis."""
NOT_CALIBRATED = "Not calibrated yet: stand still for a few seconds."


def lacking(sensors: Sequence[str]) -> str:
    """Sentence on the sensors that a skeleton needs beyond these; empty when they suffice."""
    if any(set(needed) <= set(sensors) for needed in MIN_SEGMENTS):
        return ""
    worn = ", ".join(sensors) or "none"
    return (
        "Too few sensors for a skeleton: wear one on the pelvis and on thigh and shank (femur, tibia) of at least "
        f"one leg; there are sensors on {worn}."
    )


def pose_quality(residuals_rad: FloatArray, ready: NDArray[np.bool_], heading: bool, fit_deg: float) -> float:
    """From 0 to 1.

    Share of the sensors that are there, less for what they disagree about with the model, and at most half
    without the walk's heading.
    """
    if not ready.any():
        return 0.0
    rms = np.degrees(np.sqrt(np.nanmean(residuals_rad**2)))
    quality = ready.mean() / (1.0 + (rms / fit_deg) ** 2)
    return float(quality if heading else 0.5 * quality)


def explain(
    sensors: Sequence[str],
    residuals_rad: FloatArray,
    ready: NDArray[np.bool_],
    heading: bool,
    carried: Sequence[str],
    fit_deg: float,
) -> str:
    """What is wrong with a pose, in a sentence; empty when nothing is.

    Parameters
    ----------
    sensors
        k segments.
    residuals_rad
        Of the sensors, first in this order; more may follow.
    ready
        (k,) bool: measuring and calibrated.
    heading
        The heading is the walk's.
    carried
        Coordinates that nothing measures at present.
    fit_deg
        Residual at which quality is one half, deg.
    """
    if not ready.any():
        return "No sensor is calibrated and measuring; the pose is held, then relaxed."
    if not ready.all():
        lost = [s for s, r in zip(sensors, ready, strict=True) if not r]
        note = f"; carried on without measurement: {', '.join(carried)}" if carried else ""
        return f"Nothing usable from {', '.join(lost)}{note}."
    if not heading:
        return "The heading is provisional until the person has walked."
    worst = int(np.nanargmax(residuals_rad[: len(ready)]))
    angle = float(np.degrees(residuals_rad[worst]))
    if angle > 2.0 * fit_deg:
        return f"The sensor on {sensors[worst]} is {angle:.0f}° off the model; calibrate again."
    return ""
