"""Units of sensor files, and their factors to those of the vocabulary."""

from __future__ import annotations

import math

from gait_twin.errors import InputError
from gait_twin.recording.tables import did_you_mean

STANDARD_GRAVITY_MPS2 = 9.80665
"""Standard acceleration of gravity (CGPM 1901), m/s²: what a "g" is."""

ACC: dict[str, float] = {
    "m/s^2": 1.0,
    "g": STANDARD_GRAVITY_MPS2,
    "mg": 1e-3 * STANDARD_GRAVITY_MPS2,
}
"""Factor to m/s²."""
GYR: dict[str, float] = {
    "rad/s": 1.0,
    "deg/s": math.pi / 180.0,
    "mrad/s": 1e-3,
    "mdeg/s": 1e-3 * math.pi / 180.0,
    "rpm": math.pi / 30.0,
}
"""Factor to rad/s."""
MAG: dict[str, float] = {"uT": 1.0, "mT": 1e3, "nT": 1e-3, "T": 1e6, "gauss": 100.0, "mgauss": 0.1}
"""Factor to µT."""
TIME: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Factor to s; ``samples`` besides, whose factor is one over the rate."""

_SPELLINGS = {
    "m/s2": "m/s^2", "m/s²": "m/s^2", "mps2": "m/s^2", "m/s/s": "m/s^2",
    "dps": "deg/s", "°/s": "deg/s", "degrees/s": "deg/s", "degree/s": "deg/s",
    "µT": "uT", "μT": "uT", "G": "gauss", "Gauss": "gauss", "mG": "mgauss",
    "sec": "s", "seconds": "s", "µs": "us", "μs": "us", "sample": "samples",
}  # fmt: skip


def spelled(unit: str) -> str:
    """Return the unit as the tables above spell it."""
    return _SPELLINGS.get(unit.strip(), unit.strip())


def factor(unit: str, known: dict[str, float]) -> float:
    """Factor from a unit to the vocabulary's.

    Raises
    ------
    InputError
        If the unit is not among those known.
    """
    try:
        return known[spelled(unit)]
    except KeyError:
        raise InputError(
            f"the unit {unit!r} is not known here{did_you_mean(unit, list(known))}; use one of {', '.join(known)}"
        ) from None
