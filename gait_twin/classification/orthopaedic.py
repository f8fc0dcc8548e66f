"""Screens a walk of two foot sensors: as healthy people walk, or as people with an orthopaedic condition do.

Six numbers of the walk's strides go into one logistic regression, so that everyone can see what speaks for what. The
weights were learned from Truong et al. 2019 and may not be used commercially: see weights/orthopaedic.NOTICE.txt and
docs/models/orthopaedic.md, which says what they must not be taken for.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import GaitClass, Side, Stride

FloatArray = NDArray[np.float64]

LABELS = ("healthy", "orthopaedic")
FEATURES = (
    "stride length over height",
    "stride time (s)",
    "asymmetry",
    "variability",
    "wobble (rad)",
    "turn rate (rad/s)",
)
"""Of a walk. Asymmetry and variability: mean logarithm, over the parameters of a stride, of the difference of left and
right medians, and of the median absolute deviation, each over what is usual. Wobble: median change of direction of a
straight stride. Turn rate: of the two fastest turning strides; not known without a turn."""
STRAIGHT_RAD = math.radians(25.0)
"""A stride that turns by more is part of a turn."""
FEWEST = 3
"""Straight strides of each foot that a walk takes."""
_USUAL = np.array([1.15, 0.64, 0.27, 0.75, 0.75, 0.043, 0.35, 1.0])
"""Of a stride's parameters, in the order of `_parameters`: about the mean of the training walks."""
_LEAST = 0.003
"""Added to a relative difference before its logarithm: less is not measured."""

FORMAT = 1
DEFAULT_MODEL = Path(__file__).parent / "weights" / "orthopaedic.json"


def walk_features(strides: Sequence[Stride], height_m: float = math.nan) -> FloatArray:
    """Six numbers of a walk.

    Parameters
    ----------
    strides
        All strides of the walk, of both feet.
    height_m
        Of the person; the stride length is not known without.

    Returns
    -------
    ndarray
        (6,) in the order of `FEATURES`; NaN what is not known, and all where a foot has too few straight strides.
    """
    found = np.full(len(FEATURES), math.nan)
    usable = [s for s in strides if s.valid]
    if not usable:
        return found
    values = np.array([_parameters(stride, height_m) for stride in usable])
    turned = np.array([abs(stride.turning_angle_rad) for stride in usable])
    left = np.array([stride.side is Side.LEFT for stride in usable])
    straight = ~(turned > STRAIGHT_RAD)
    feet = [values[straight & side] for side in (left, ~left)]
    if min(len(foot) for foot in feet) < FEWEST:
        return found
    medians = np.array([_medians(foot) for foot in feet])
    spreads = np.array([_medians(np.abs(foot - _medians(foot))) for foot in feet])
    usual = medians.mean(axis=0)
    found[0], found[1] = usual[3], usual[0]
    found[2] = _mean_log(np.abs(medians[0] - medians[1]))
    found[3] = _mean_log(spreads.mean(axis=0))
    found[4] = float(_medians(turned[straight][:, None])[0])
    rate = np.sort((turned / values[:, 0])[turned > STRAIGHT_RAD])
    if len(rate) >= 2:
        found[5] = rate[-2:].mean()
    return found


def _parameters(stride: Stride, height_m: float) -> tuple[float, ...]:
    height = height_m if height_m > 0.0 else math.nan
    return (
        stride.stride_time_s,
        stride.stance_time_s / stride.stride_time_s,
        stride.double_support_time_s / stride.stride_time_s,
        stride.stride_length_m / height,
        stride.speed_mps / math.sqrt(height),
        stride.foot_clearance_m / height,
        stride.foot_angle_heel_strike_rad,
        stride.foot_angle_toe_off_rad,
    )


def _medians(values: FloatArray) -> FloatArray:
    """Of each column, of what is known."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([np.median(column) if len(column) else math.nan for column in known])


def _mean_log(differences: FloatArray) -> float:
    relative = np.log(differences / _USUAL + _LEAST)
    known = np.isfinite(relative)
    return float(relative[known].mean()) if known.any() else math.nan


@dataclass(frozen=True)
class OrthopaedicModel:
    """Logistic regression on `FEATURES`.

    Attributes
    ----------
    mean, sd
        (6,) that features are standardised with.
    clip
        Standardised features count no further than this.
    weights, intercept
        (6,) and of the calibrated logarithmic odds of ``orthopaedic``.
    limit
        Root mean square of the standardised features beyond which one training walk in twenty lies.
    notes
        Where it comes from: data, licence, scores.
    """

    mean: FloatArray
    sd: FloatArray
    clip: float
    weights: FloatArray
    intercept: float
    limit: float
    notes: dict[str, Any] = field(default_factory=dict)

    def contributions(self, features: FloatArray) -> FloatArray:
        """(..., 6) what each feature adds to the logarithmic odds against an average walk; 0 where not known."""
        z = (np.asarray(features) - self.mean) / self.sd
        return np.where(np.isfinite(z), np.clip(z, -self.clip, self.clip), 0.0) * self.weights

    def log_odds(self, features: FloatArray) -> FloatArray:
        """(...) of ``orthopaedic`` for walks (..., 6)."""
        return np.asarray(self.contributions(features).sum(axis=-1) + self.intercept)

    def novelty(self, features: FloatArray) -> FloatArray:
        """(...) distance from the training walks over `limit`; NaN where nothing is known."""
        z = (np.asarray(features) - self.mean) / self.sd
        known = np.isfinite(z)
        with np.errstate(invalid="ignore"):
            size = np.sqrt(np.where(known, z**2, 0.0).sum(axis=-1) / known.sum(axis=-1))
        return np.asarray(size / self.limit)

    def save(self, path: Path) -> None:
        """Write as JSON that people can read."""
        about = {
            "format": FORMAT,
            "labels": LABELS,
            "features": FEATURES,
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
            "clip": self.clip,
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
            "limit": self.limit,
            "notes": self.notes,
        }
        path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | None = None) -> OrthopaedicModel:
        """Read what `save` wrote; the shipped weights when None.

        Raises
        ------
        InputError
            If the file is not there, or is not of this program.
        """
        path = path or DEFAULT_MODEL
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            if about["format"] != FORMAT or tuple(about["features"]) != FEATURES:
                raise InputError(f"{path} is of another version; train it anew with gait-twin train orthopaedic.")
            mean, sd, weights = (np.array(about[name], dtype=float) for name in ("mean", "sd", "weights"))
            if not mean.shape == sd.shape == weights.shape == (len(FEATURES),):
                raise ValueError(f"expected {len(FEATURES)} values each of mean, sd and weights")
            numbers = [float(about[name]) for name in ("clip", "intercept", "limit")]
            return cls(mean, sd, numbers[0], weights, numbers[1], numbers[2], about["notes"])
        except (OSError, KeyError, ValueError, TypeError) as problem:
            raise InputError(f"{path} cannot be read as weights of the orthopaedic screening: {problem}.") from None


def screen(
    walks: Sequence[Sequence[Stride]], height_m: float = math.nan, model: OrthopaedicModel | None = None
) -> GaitClass | None:
    """Screen one or several walks of a person.

    Parameters
    ----------
    walks
        Strides of each walk. Walks as those learned from are 7 to 10 m out, a U-turn, and back.
    height_m
        Of the person, m.
    model
        The shipped weights when None.

    Returns
    -------
    GaitClass or None
        None where no walk has enough straight strides of both feet.
    """
    model = model or OrthopaedicModel.load()
    features = np.array([walk_features(walk, height_m) for walk in walks]).reshape(-1, len(FEATURES))
    told = np.isfinite(features[:, 1])
    if not told.any():
        return None
    log_odds = float(model.log_odds(features[told]).mean())
    share = 1.0 / (1.0 + math.exp(-log_odds))
    novelty = float(model.novelty(features[told]).mean())
    strides = [stride for walk, take in zip(walks, told, strict=True) if take for stride in walk]
    return GaitClass(
        time_s=max(stride.end_s for stride in strides),
        start_s=min(stride.start_s for stride in strides),
        cycles=len(strides),
        labels=LABELS,
        probabilities=np.array([1.0 - share, share]),
        novelty=novelty,
        unknown=novelty > 1.0,
        segments=(Side.LEFT.foot, Side.RIGHT.foot),
        model="orthopaedic",
    )


class OrthopaedicScreen:
    """Screens a walk as it goes on, from its strides of the last minute.

    Parameters
    ----------
    height_m
        Of the person, m; NaN where not known.
    model
        The shipped weights when None.
    memory_s
        Strides older than this are not used, s.
    """

    def __init__(
        self, height_m: float = math.nan, model: OrthopaedicModel | None = None, memory_s: float = 60.0
    ) -> None:
        self.model = model or OrthopaedicModel.load()
        self._height_m, self._memory_s = height_m, memory_s
        self._strides: deque[Stride] = deque()

    def update(self, strides: Sequence[Stride]) -> list[GaitClass]:
        """Take strides of both feet in the order in which they became known; one answer each, once there are enough."""
        found = []
        for stride in strides:
            if self._strides and stride.end_s < self._strides[-1].end_s - self._memory_s:
                self._strides.clear()  # the clock has leapt back
            self._strides.append(stride)
            newest = max(one.end_s for one in self._strides)
            while self._strides[0].end_s < newest - self._memory_s:
                self._strides.popleft()
            answer = screen([list(self._strides)], self._height_m, self.model)
            if answer is not None:
                found.append(answer)
        return found
