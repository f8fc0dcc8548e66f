"""Gaits like none that has a name, drawn at random, to see whether a classifier says that it does not know them.

Drawn over everything that a `Pattern` may change, within what legs and feet can do, and tuned to no pattern. Two kinds:

- *free*: smooth random curves of a few joints, of one leg, of both alike or of each for itself, with random feet,
  timing and posture;
- *mixed*: parts of two or three named patterns in one person, some of them turned round.

A mixed one tells which patterns it has parts of.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gait_twin.simulation.patterns import PATTERNS, FootChange, LegChange, Pattern, Table

RANDOM = "random"
"""Name of the pattern in `WalkSettings`."""
FREE = 0.65
"""Share of free ones."""
MILDEST = 0.35
SIZES = {
    "hip_flexion": 16.0,
    "knee_angle": 28.0,
    "ankle_angle": 14.0,
    "trunk_flexion": 5.0,
    "pelvis_height": 12.0,
    "hip_adduction": 9.0,
    "pelvis_drop": 8.0,
    "trunk_lean": 8.0,
    "pelvis_side": 9.0,
    "pelvis_forward": 8.0,
}
"""Largest change of each curve of a leg: degrees, and thousandths of body height."""
SAGITTAL = ("hip_flexion", "knee_angle", "ankle_angle", "trunk_flexion", "pelvis_height")
FRONTAL = ("hip_adduction", "pelvis_drop", "trunk_lean", "pelvis_side")
PLACES = np.arange(0.0, 101.0, 12.5)
SWING = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BODY = ("speed", "walk_ratio", "rotation", "stance", "step_width_m", "variability")
_POSTURE = ("trunk_flexion_deg", "pelvis_tilt_deg", "pelvis_ahead")
_ASYMMETRY = ("time_asymmetry", "length_asymmetry")


def random_pattern(seed: int) -> tuple[Pattern, tuple[str, ...]]:
    """Draw a pattern, and name those that it has parts of."""
    rng = np.random.default_rng([seed, 8])
    return (_free(rng), ()) if rng.random() < FREE else _mixed(rng)


def _free(rng: np.random.Generator) -> Pattern:
    legs = rng.choice(["alike", "one", "each"], p=(0.35, 0.45, 0.2))
    leg = _leg(rng)
    other = leg if legs == "alike" else (_leg(rng) if legs == "each" else LegChange())
    one_sided = legs != "alike"

    def maybe(share: float, low: float, high: float, usual: float = 0.0) -> float:
        value = float(rng.uniform(low, high))
        return value if rng.random() < share else usual

    return Pattern(
        "right" if one_sided else "both",
        MILDEST,
        leg,
        other,
        speed=float(np.exp(maybe(0.6, -0.7, 0.1))),
        walk_ratio=float(np.exp(maybe(0.4, -0.7, 0.15))),
        rotation=maybe(0.4, 0.3, 1.5, 1.0),
        stance=maybe(0.4, -0.02, 0.035),
        time_asymmetry=maybe(0.5 * one_sided, -0.35, 0.35),
        length_asymmetry=maybe(0.4 * one_sided, -0.3, 0.3),
        step_width_m=maybe(0.3, -0.02, 0.06),
        variability=maybe(0.5, 1.0, 1.8, 1.0),
        trunk_flexion_deg=maybe(0.35, -6.0, 18.0),
        pelvis_tilt_deg=maybe(0.35, -6.0, 7.0),
        pelvis_ahead=maybe(0.2, -30.0, 15.0),
    )


def _leg(rng: np.random.Generator) -> LegChange:
    among = {0: SAGITTAL, 1: FRONTAL, 2: tuple(SIZES)}[int(rng.choice(3, p=(0.35, 0.25, 0.4)))]
    names = rng.choice(np.array(among), int(rng.integers(1, len(among) + 1)), replace=False)
    return LegChange(_foot(rng), {str(name): _curve(SIZES[str(name)], rng) for name in names})


def _curve(size: float, rng: np.random.Generator) -> Table:
    """A smooth closed curve: one or two bumps, or an offset with or without them."""
    values = np.zeros(len(PLACES))
    lasting = rng.random() < 0.35
    if lasting:
        values += rng.uniform(-1.0, 1.0)
    for _ in range(int(rng.integers(0 if lasting else 1, 3))):
        middle, width = rng.uniform(0.0, 100.0), rng.uniform(18.0, 45.0)
        apart = np.abs(np.mod(PLACES - middle + 50.0, 100.0) - 50.0)
        values += rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0) * np.cos(np.pi / 2.0 * np.minimum(apart / width, 1.0))
    values *= size / max(1.0, float(np.abs(values).max()))
    values[-1] = values[0]
    return tuple(PLACES.tolist()), tuple(values.tolist())


def _foot(rng: np.random.Generator) -> FootChange:
    """A foot of which about half of all that can change does."""
    said = rng.random(7) < (0.5, 0.5, 0.5, 0.12, 0.3, 0.4, 0.4)
    drawn = rng.uniform((-0.65, -0.45, 0.0, -16.0, -0.01, -0.06, -0.15), (0.15, 0.7, 1.0, -3.0, 0.065, 0.06, 0.08))
    push, lift, _, stance, outward, flat, rise = (float(value) for value in np.where(said, drawn, 0.0))
    pitch = np.zeros(len(SWING))
    if said[2]:
        early, middle, late = rng.uniform(-28.0, 10.0, 3)
        pitch += np.interp(SWING, (0.0, 0.5, 1.0), (0.2 * early, middle, late))
    if stance:  # that stands on its forefoot also comes down on it
        pitch[3:] += (1.0, 1.6, 2.0) * np.array(stance)
    return FootChange(push, lift, (SWING, tuple(pitch.tolist())), stance, outward, flat, rise)


def _mixed(rng: np.random.Generator) -> tuple[Pattern, tuple[str, ...]]:
    named = [name for name in PATTERNS if name != "normal"]
    of = tuple(str(name) for name in rng.choice(named, int(rng.choice([2, 3], p=(0.7, 0.3))), replace=False))
    parts = [PATTERNS[name] for name in of]
    two_legs = rng.random() < 0.3  # each leg its own
    if two_legs:
        leg, other = parts[0].leg, parts[1].leg
    else:
        leg = _united([part.leg for part in parts], rng)
        other = leg if rng.random() < 0.35 else LegChange()
    whose = {name: parts[int(rng.integers(len(parts)))] for name in (*_BODY, *_POSTURE, *_ASYMMETRY)}
    changes = {name: getattr(part, name) for name, part in whose.items()}
    for name in (*_POSTURE, *_ASYMMETRY):
        if rng.random() < 0.3:
            changes[name] = -changes[name]
    return replace(Pattern("both" if other is leg else "right", MILDEST, leg, other), **changes), of


def _united(legs: list[LegChange], rng: np.random.Generator) -> LegChange:
    """Each curve, and the foot, of one of the legs; a third of them turned round or overdone."""
    curves: dict[str, Table] = {}
    for name in SIZES:
        places, values = legs[int(rng.integers(len(legs)))].curves.get(name, ((0.0, 100.0), (0.0, 0.0)))
        factor = float(rng.choice([1.0, -0.7, 1.4], p=(0.66, 0.22, 0.12)))
        if any(values):
            curves[name] = (places, tuple(factor * value for value in values))
    return LegChange(legs[int(rng.integers(len(legs)))].foot, curves)
