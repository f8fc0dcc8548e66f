"""Sensors taken off, heights and masses not told: what a classifier must do without, tried on whole cycles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.channels import CHANNELS, GROUPS, NUMBERS, SCALED, STRIDE_NUMBERS

BoolArray = NDArray[np.bool_]

WORN = ("pelvis", "torso", *(f"{part} {leg}" for part in ("femur", "tibia", "calcn") for leg in ("near", "far")))
"""Segments as a cycle sees them."""


def _rests_on() -> BoolArray:
    """(segments, channels) whether a channel needs the segment's sensor."""
    table = np.zeros((len(WORN), len(CHANNELS)), bool)
    for i, channel in enumerate(CHANNELS):
        for need in channel.needs:
            table[WORN.index(need if need in WORN else f"{need} {channel.leg}"), i] = True
        if channel.group == "moments":  # the ground's forces are known only with both legs
            table[[k for k, name in enumerate(WORN) if name.split()[0] in ("pelvis", "femur", "tibia")], i] = True
    return table


RESTS_ON = _rests_on()
_NUMBERS_OF = np.array([[name.endswith(leg) for name in NUMBERS] for leg in ("near", "far")])
_SCALED = np.zeros(len(NUMBERS), bool)
for _leg in range(2):
    _SCALED[_leg * len(STRIDE_NUMBERS) + SCALED.start : _leg * len(STRIDE_NUMBERS) + SCALED.stop] = True
ON_TWIN = np.array([channel.group != "feet" for channel in CHANNELS])
SETS: dict[str, BoolArray] = {
    "feet": np.array([name.startswith("calcn") for name in WORN]),
    "legs": np.array([name != "torso" for name in WORN]),
    "trunk": np.ones(len(WORN), bool),
}
"""Sensors worn in each of `network.SETS`."""


def kept(sensors: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Channels (n, c) and numbers (n, s) that are known with (n, segments) sensors worn."""
    off = ~sensors
    channels = ~(off.astype(np.uint8) @ RESTS_ON.astype(np.uint8)).astype(bool)
    # without the pelvis, or a whole leg, there is no skeleton
    index = {name: i for i, name in enumerate(WORN)}
    legs = [sensors[:, index[f"femur {leg}"]] & sensors[:, index[f"tibia {leg}"]] for leg in ("near", "far")]
    channels &= (sensors[:, index["pelvis"]] & (legs[0] | legs[1]))[:, None] | ~ON_TWIN
    numbers = np.ones((len(sensors), len(NUMBERS)), bool)
    for leg, own in zip(("near", "far"), _NUMBERS_OF, strict=True):
        numbers &= sensors[:, [index[f"calcn {leg}"]]] | ~own
    return channels, numbers


def drawn(n: int, rng: np.random.Generator, one_off: float = 0.3, untold: float = 0.15) -> tuple[BoolArray, BoolArray]:
    """Channels and numbers that stay in each of n samples, drawn for training.

    Parameters
    ----------
    n, rng
        How many, by what.
    one_off
        Share of samples in which one more sensor is missing.
    untold
        Share in which the mass is not told, and of those in which the height is not.
    """
    which = rng.choice(len(SETS), n, p=(0.3, 0.3, 0.4))
    sensors = np.array(list(SETS.values()))[which].copy()
    rows = np.flatnonzero(rng.random(n) < one_off)
    sensors[rows, rng.integers(0, len(WORN), len(rows))] = False
    channels, numbers = kept(sensors)
    channels[np.ix_(rng.random(n) < untold, GROUPS["moments"])] = False
    numbers[np.ix_(rng.random(n) < untold, np.flatnonzero(_SCALED))] = False
    return channels, numbers


def of_set(name: str, n: int) -> tuple[BoolArray, BoolArray]:
    """Channels and numbers of n samples in one of `SETS`."""
    return kept(np.tile(SETS[name], (n, 1)))


def masked(
    curves: NDArray[np.float32], numbers: NDArray[np.float32], keep: tuple[BoolArray, BoolArray]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Curves and numbers with NaN where they are not kept."""
    nan = np.float32(np.nan)
    return np.where(keep[0][:, None, :], curves, nan), np.where(keep[1], numbers, nan)
