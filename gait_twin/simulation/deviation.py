"""What sets one virtual person's gait apart: the pattern at its severity, and a person's own style."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from gait_twin.recording import Side
from gait_twin.simulation.patterns import PATTERNS, FootChange, LegChange, Pattern, Table
from gait_twin.simulation.random_patterns import RANDOM, random_pattern
from gait_twin.simulation.settings import WalkSettings

FloatArray = NDArray[np.float64]

_EXPRESSION_CV, _PERSISTENCE = 0.08, 0.5
"""A deviation is more or less marked from stride to stride, by this coefficient of variation at variability 1."""
_DIAL_SD = 0.22
"""Of the logarithm of each part of a pattern over persons: who hikes the pelvis more swings the leg out less."""
_STANDING_SHARE = (0.15, 0.5)
"""Of a lasting posture (knees bent, trunk bent) in quiet standing: least and most over persons."""

# Standard deviations between adults at style 1. Foot angles, lift and timing: over the 13 people whose feet shaped
# `feet.py`; pelvis and trunk: somewhat under the published spreads (Kadaba 1990), for a sensor's zero is in those too.
_OFFSET_SD = {
    "pelvis_tilt": 3.5,
    "trunk_flexion": 3.0,
    "trunk_lean": 1.3,
    "pelvis_drop": 1.0,
    "pelvis_ahead": 9.0,
    "pelvis_height": 3.5,
}
"""Degrees and thousandths of body height; people only ever walk lower than upright."""
_AMPLITUDE_SD, _STANCE_SD = 0.2, 0.008
"""Of the logarithm of pelvic rotations; of the stance fraction."""
_SWING_SD = ((0.0, 0.25, 0.5, 0.75, 1.0), (1.5, 3.0, 3.5, 3.5, 3.5))
"""Of the foot's pitch at fractions of the swing, degrees."""
_PUSH_SD, _LIFT_SD, _OUTWARD_SD, _FLAT_SD, _RISE_SD = 0.06, 0.12, 0.005, 0.012, 0.025
"""Of `FootChange`'s fields."""


@dataclass(frozen=True)
class Deviation:
    """One person's gait against the normal one; all zero, or factors of 1, where nothing is different.

    Attributes
    ----------
    pattern
        Factors and additions of the whole body at this person's severity.
    legs
        Of each leg likewise.
    standing
        Share of the lasting posture in standing.
    offsets
        Constant offsets of the body of a person's style: names of `LegChange.curves` (right positive) and
        `pelvis_tilt`, degrees and thousandths of body height; `pelvis_ahead` likewise.
    amplitudes
        Factors of `rotation` and `list` of the pelvis.
    expression_sd
        Standard deviation of how marked the deviation is from stride to stride.
    seed
        For the strides.
    """

    pattern: Pattern
    legs: dict[Side, LegChange]
    standing: float
    offsets: dict[str, float]
    amplitudes: dict[str, float]
    expression_sd: float
    seed: int

    def foot(self, side: Side) -> FootChange:
        """What a foot does otherwise."""
        return self.legs[side].foot

    @cached_property
    def differs(self) -> bool:
        """Whether anything is different at all."""
        return bool(self.offsets) or any(leg.curves or leg.foot != FootChange() for leg in self.legs.values())

    def expression(self, side: Side, strides: int) -> FloatArray:
        """(strides,) how marked the deviation is in each: 1 on average, persistent from one to the next."""
        rng = np.random.default_rng([self.seed, 5, side is Side.LEFT])
        drawn = rng.standard_normal(strides)
        for k in range(1, strides):
            drawn[k] = _PERSISTENCE * drawn[k - 1] + np.sqrt(1.0 - _PERSISTENCE**2) * drawn[k]
        return 1.0 + self.expression_sd * np.clip(drawn, -2.5, 2.5)

    def curve(self, name: str, side: Side, phase: ArrayLike) -> FloatArray:
        """Added to a curve of a leg at phases (...,), 0 at heel strike, 0.6 at toe-off; in the table's unit."""
        table = self.legs[side].curves.get(name)
        if table is None:
            return np.zeros(np.shape(phase))
        percent, values = np.array(table[0]) / 100.0, np.array(table[1])
        return np.asarray(CubicSpline(percent, values, bc_type="periodic")(np.mod(phase, 1.0)))


def swing_pitch_deg(foot: FootChange, fraction: Iterable[float]) -> FloatArray:
    """Added to a foot's pitch at fractions of the swing, degrees."""
    places, values = foot.swing_deg
    return np.asarray(PchipInterpolator(np.asarray(places, float), np.asarray(values, float))(np.array([*fraction])))


def deviation_of(walk: WalkSettings) -> Deviation:
    """Work out how a person's gait differs from the normal one."""
    severe = random_pattern(walk.seed)[0] if walk.pattern == RANDOM else PATTERNS[walk.pattern]
    share = severe.mildest + walk.severity * (1.0 - severe.mildest)
    sides = severe.sides if walk.affected_side == "usual" else walk.affected_side
    affected = [side for side in Side if sides in ("both", side.value)]
    rng = np.random.default_rng([walk.seed, 6])
    style = walk.style
    # drawn alike for everyone, so that one person can be seen with several patterns
    common, standing, amplitudes, person = rng.normal(size=40), rng.uniform(), rng.normal(size=3), rng.normal(size=12)
    legs = {}
    for k, side in enumerate((Side.RIGHT, Side.LEFT)):
        own = np.random.default_rng([walk.seed, 7, k])
        # legs of a person are alike, but not equal
        dials = np.exp(_DIAL_SD * style * np.clip(0.8 * common + 0.4 * own.normal(size=40), -2.0, 2.0))
        leg = _scaled(severe.leg if side in affected else severe.other, share, dials)
        legs[side] = _with_style(leg, style * np.clip(0.8 * common[::-1] + 0.5 * own.normal(size=40), -2.5, 2.5))
    one = 0.0 if len(affected) == 2 else (1.0 if Side.RIGHT in affected else -1.0)
    varied = np.exp(0.5 * _DIAL_SD * style * np.clip(person, -2.0, 2.0))
    body = Pattern(
        sides,
        severe.mildest,
        severe.leg,
        severe.other,
        speed=severe.speed ** (share * varied[0]),
        walk_ratio=severe.walk_ratio ** (share * varied[1]),
        rotation=severe.rotation ** (share * varied[2]),
        stance=share * severe.stance * float(varied[3]) + _STANCE_SD * style * float(np.clip(person[8], -2.0, 2.0)),
        time_asymmetry=one * share * severe.time_asymmetry * float(varied[4] ** 2),
        length_asymmetry=one * share * severe.length_asymmetry * float(varied[5] ** 2),
        step_width_m=share * severe.step_width_m * float(varied[6]),
        variability=severe.variability**share,
        trunk_flexion_deg=share * severe.trunk_flexion_deg * float(varied[7]),
        pelvis_tilt_deg=share * severe.pelvis_tilt_deg * float(varied[9]),
        pelvis_ahead=share * severe.pelvis_ahead,
    )
    drawn = style * np.clip(person, -2.5, 2.5)
    offsets = {}
    if style:
        offsets = {name: sd * float(drawn[k]) for k, (name, sd) in enumerate(_OFFSET_SD.items())}
        offsets["pelvis_height"] = -abs(offsets["pelvis_height"])
    factors = np.exp(_AMPLITUDE_SD * style * np.clip(amplitudes, -2.0, 2.0))
    return Deviation(
        body,
        legs,
        _STANDING_SHARE[0] + (_STANDING_SHARE[1] - _STANDING_SHARE[0]) * (standing if style else 0.5),
        offsets,
        {"rotation": float(factors[0]), "list": float(factors[1])},
        _EXPRESSION_CV * walk.variability if walk.pattern != "normal" or style else 0.0,
        walk.seed,
    )


def _scaled(leg: LegChange, share: float, dials: FloatArray) -> LegChange:
    """A leg's changes at a share of the most severe, each part by its own dial (40,)."""
    foot = leg.foot
    curves: dict[str, Table] = {}
    for k, (name, (percent, values)) in enumerate(leg.curves.items()):
        curves[name] = (percent, tuple(float(v * share * dials[k]) for v in values))
    places, pitch = foot.swing_deg
    scaled = FootChange(
        # the foot's push is what bends the knee: it keeps to the knee's dial
        push=foot.push * share * float(np.sqrt(dials[0])),
        lift=foot.lift * share * float(dials[20]),
        swing_deg=(places, tuple(float(v * share * np.sqrt(dials[21])) for v in pitch)),
        stance_deg=foot.stance_deg * share * float(dials[22]),
        outward=foot.outward * share * float(dials[23] ** 1.5),
        flat=foot.flat * share,
        rise=foot.rise * share * float(dials[24]),
    )
    return LegChange(scaled, curves)


def _with_style(leg: LegChange, drawn: FloatArray) -> LegChange:
    """A leg with a person's way of putting the feet, `drawn` (40,) standard normal."""
    if not drawn.any():
        return leg
    foot = leg.foot
    places = sorted({*_SWING_SD[0], *foot.swing_deg[0]})
    own = np.array(_SWING_SD[1]) * drawn[:5]
    swing = swing_pitch_deg(foot, places) + np.interp(places, _SWING_SD[0], own)
    return LegChange(
        FootChange(
            push=foot.push + _PUSH_SD * drawn[5],
            lift=foot.lift + _LIFT_SD * drawn[6],
            swing_deg=(tuple(places), tuple(swing.tolist())),
            stance_deg=foot.stance_deg,
            outward=foot.outward + _OUTWARD_SD * drawn[7],
            flat=foot.flat + _FLAT_SD * drawn[8],
            rise=foot.rise + _RISE_SD * drawn[9],
        ),
        leg.curves,
    )
