"""How far to trust a pose, and why not further, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_SEGMENTS = (("pelvis", "femur_r", "tibia_r"), ("pelvis", "femur_l", "tibia_l"))
"""One of these must be worn for a skeleton: a leg hanging from a known pelvis."""
LAST_S = 5.0
"""Time constant of the mean residuals: the last strides, s."""
SETTLED_S = 4.0
"""Mean residuals tell nothing before, s."""
MISFIT = 1.2
"""Mean residual of a sensor, in `fit_deg`, beyond which its calibration is called bad: on straps, good ones
leave 5 to 9 degrees in a leg."""
ASKEW_RAD = np.radians(12.0)
"""Correction of a mounting beyond which the standing was not the neutral pose."""
STRAIGHTER_RAD = np.radians(8.0)
"""A knee that straightens in walking by more than this beyond its standing stood bent, or bends backward; on
straps, it seems to by up to 7 degrees."""
KNEES = ("knee_angle_r", "knee_angle_l")
FORGET_RADPS = np.radians(0.5)
"""The straightest knee of the last strides is forgotten at this rate, rad/s."""
MASS_TOLERANCE = 0.03
"""A model's mass may differ so much from the person's before it is said, fraction."""
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


def about_mass(model_kg: float, person_kg: float) -> tuple[str, ...]:
    """A sentence where forces are those of another weight than the person's (0 or NaN: not known), or none."""
    if not person_kg > 0.0 or abs(model_kg / person_kg - 1.0) <= MASS_TOLERANCE:
        return ()
    weights = f"The model weighs {model_kg:.1f} kg and the person {person_kg:.1f} kg"
    return (f"{weights}: forces are the model's; scale it with gait-twin scale.",)


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


class MeanResiduals:
    """Root mean square residual of each of k sensors over the last strides."""

    def __init__(self, k: int) -> None:
        self._sum, self._weight = np.zeros(k), np.zeros(k)
        self._seen_s = np.zeros(k)

    def update(self, elapsed_s: float, residuals_rad: FloatArray) -> None:
        """Take (k,) residuals of one frame, NaN where there is none, so long after the one before."""
        seen = np.isfinite(residuals_rad)
        share = np.where(seen, -np.expm1(-elapsed_s / LAST_S), 0.0)
        self._sum += share * (np.where(seen, residuals_rad, 0.0) ** 2 - self._sum)
        self._weight += share * (1.0 - self._weight)
        self._seen_s += np.where(seen, elapsed_s, 0.0)

    @property
    def rms_rad(self) -> FloatArray:
        """(k,) rad; NaN before some strides were seen."""
        known = self._seen_s > SETTLED_S
        return np.where(known, np.sqrt(self._sum / np.where(known, self._weight, 1.0)), np.nan)


class StraightestKnees:
    """Least flexion of each knee over the last strides.

    Parameters
    ----------
    coordinates, low, high
        Of the model; a knee is a coordinate called ``knee_angle…``, whose wider side of the range is flexion.

    Attributes
    ----------
    names
        Coordinates of the knees.
    """

    def __init__(self, coordinates: Sequence[str], low: FloatArray, high: FloatArray) -> None:
        # without a range, which way flexion is cannot be told
        ranged = np.isfinite(low) & np.isfinite(high)
        self._columns = [i for i, name in enumerate(coordinates) if name in KNEES and ranged[i]]
        self.names = [coordinates[i] for i in self._columns]
        self._signs = np.where(low[self._columns] + high[self._columns] < 0.0, -1.0, 1.0)
        self.flexion_rad = np.full(len(self._columns), np.inf)

    def update(self, elapsed_s: float, values: FloatArray) -> None:
        """Take (m,) coordinates of a frame in which the knees are measured."""
        self.flexion_rad = np.minimum(self.flexion_rad + FORGET_RADPS * elapsed_s, self._signs * values[self._columns])


def findings(
    sensors: Sequence[str],
    residuals_rad: FloatArray,
    mountings_rad: FloatArray,
    fit_deg: float,
    legs: str,
    stood_turned_rad: Mapping[str, float],
    knees: StraightestKnees,
) -> tuple[str, ...]:
    """Sentences on calibrations that do not fit, and on a model that does not.

    Parameters
    ----------
    sensors
        k segments.
    residuals_rad
        (k,) of the last strides, NaN where unknown.
    mountings_rad
        (k, 3) corrections of the mounting.
    fit_deg
        Residual at which quality is one half, deg.
    legs
        Sentence on legs of another length than the model's, or nothing.
    stood_turned_rad
        Thighs that walk turned inward (positive) against a standing that is not trusted for it.
    knees
        How straight they were in walking.
    """
    sentences = []
    turned = np.linalg.norm(mountings_rad, axis=1)
    for name, residual, askew in zip(sensors, residuals_rad, turned, strict=True):
        if residual > np.radians(MISFIT * fit_deg):
            sentences.append(
                f"The sensor on {name} has been about {_fives(residual)}° off the model over the last strides: it "
                "moved, sits on another segment, or was calibrated in another pose; stand straight and calibrate again."
            )
        elif askew > ASKEW_RAD:
            sentences.append(
                f"Walking shows {name} about {_fives(askew)}° from where the standing put it, which is corrected: the "
                "person did not stand straight, or the sensor slipped; calibrate again to be sure."
            )
    for name, turned in stood_turned_rad.items():
        if abs(_fives(turned)) >= 10:
            side, way = ("right" if name.endswith("_r") else "left"), ("in" if turned > 0.0 else "out")
            sentences.append(
                f"In walking the {side} leg is turned about {abs(_fives(turned))}° {way}ward against the standing: "
                "that is taken for the standing's fault and corrected; calibrate again with the feet as in walking."
            )
    for name, flexion in zip(knees.names, knees.flexion_rad, strict=True):
        if flexion < -STRAIGHTER_RAD:
            sentences.append(
                f"In walking {name} goes about {_fives(-flexion)}° beyond straight: the knee was bent in the standing "
                "that calibrated the sensors, or bends backward; stand straight and calibrate again."
            )
    return (*sentences, legs) if legs else tuple(sentences)


def _fives(angle_rad: float) -> int:
    """Degrees in steps of five: a sentence that changes all the time is not read."""
    return 5 * round(float(np.degrees(angle_rad)) / 5.0)


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
