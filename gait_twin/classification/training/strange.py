"""Cycles like no known gait, made from known ones: what a classifier learns "unknown" from.

Outlier exposure (Hendrycks et al. 2019, ICLR): a network that has to tell known gaits from many made-up ones draws its
borders closer around the known ones. A made-up cycle has smooth changes of a few joints, or parts of two different
gaits, or a deviation turned round or overdone. None is meant to be a gait that anyone has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.channels import CHANNELS
from gait_twin.classification.network import STEPS

Float32Array = NDArray[np.float32]

SHARES = (0.45, 0.4, 0.15)
"""Of changed joints, of mixed gaits, and of deviations turned round or overdone."""
STRIDE_S = 1.2
_NAMES = [channel.name for channel in CHANNELS]


def _places() -> list[tuple[int, int | None, float]]:
    """Curves that may change: column, that of its velocity, and how many of its units a rad/s is."""
    found: list[tuple[int, int | None, float]] = []
    for i, channel in enumerate(CHANNELS):
        if channel.group in ("angles", "pelvis", "trunk"):
            rate = f"{channel.source} velocity {channel.leg}"
            found.append((i, _NAMES.index(rate) if rate in _NAMES else None, 1.0))
        elif channel.source == "foot_pitch":
            found.append((i, _NAMES.index(f"foot_pitch_rate {channel.leg}"), 0.2))
    return found


PLACES = _places()


PLANES = tuple(
    tuple(k for k, (column, _, _) in enumerate(PLACES) if CHANNELS[column].source in sources)
    for sources in (
        ("hip_flexion", "knee_angle", "ankle_angle", "foot_pitch", "pelvis_tilt", "pelvis_height", "lumbar_extension"),
        ("hip_adduction", "pelvis_list", "lumbar_bending"),
        ("hip_rotation", "pelvis_rotation", "lumbar_rotation"),
    )
)
"""Places that move in the sagittal, frontal and transverse plane: joints of a plane change together."""


_FRONTAL = ("hip_adduction", "pelvis_list", "lumbar_bending")
PARTS = tuple(
    np.array([i for i, channel in enumerate(CHANNELS) if wanted(channel)])
    for wanted in (
        lambda c: c.leg == "near",
        lambda c: c.leg == "far",
        lambda c: not c.leg,
        lambda c: c.source in _FRONTAL,
        lambda _: True,
    )
)
"""Of the body: a leg, the pelvis and the trunk, what moves in the frontal plane; and last the whole."""


def _chosen(rng: np.random.Generator) -> list[int]:
    """Places that change in one made-up cycle."""
    among = PLANES[int(rng.choice(3, p=(0.5, 0.35, 0.15)))] if rng.random() < 0.7 else range(len(PLACES))
    most = min(6, len(among))
    return [int(k) for k in rng.choice(np.array(among), int(rng.integers(1, most + 1)), replace=False)]


def bumps(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, STEPS) smooth changes over the cycle of size 1, and their derivatives by the cycle's phase."""
    phase = np.arange(STEPS) / STEPS
    middle, width = rng.random((n, 1)), rng.uniform(0.25, 1.0, (n, 1))
    apart = np.mod(phase - middle + 0.5, 1.0) - 0.5
    inside = np.abs(apart) < 0.5 * width
    shape = np.where(inside, 0.5 + 0.5 * np.cos(2.0 * np.pi * apart / width), 0.0)
    slope = np.where(inside, -np.pi / width * np.sin(2.0 * np.pi * apart / width), 0.0)
    lasting = rng.random((n, 1)) < 0.25  # held through the whole cycle
    return np.where(lasting, 1.0, shape), np.where(lasting, 0.0, slope)


def strange(
    x: Float32Array, labels: NDArray[np.intp], curve_sd: Float32Array, rng: np.random.Generator
) -> Float32Array:
    """Turn cycles into made-up ones.

    Parameters
    ----------
    x
        (n, STEPS, c) curves of `Model.inputs`.
    labels
        (n,) class of each.
    curve_sd
        (c,) that curves were standardised with.
    rng
        Draws.
    """
    x = x.copy()
    n = len(x)
    kinds = rng.choice(3, n, p=SHARES)
    for row in np.flatnonzero(kinds == 0):
        chosen = _chosen(rng)
        shapes, slopes = bumps(len(chosen), rng)
        if rng.random() < 0.5:  # all at once
            shapes[:], slopes[:] = shapes[0], slopes[0]
        for k, place in enumerate(chosen):
            column, rate, factor = PLACES[place]
            size = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.8))
            x[row, :, column] += size * shapes[k]
            if rate is not None:
                x[row, :, rate] += factor * size * curve_sd[column] * slopes[k] / STRIDE_S / curve_sd[rate]
    before, usual = x.copy(), x.mean(axis=0)
    order = rng.permutation(n)
    for row in np.flatnonzero(kinds == 1):
        other = int(order[row])
        if labels[other] == labels[row]:
            other = int(np.argmax(labels != labels[row]))  # the first of another class
        part = PARTS[int(rng.integers(4))]
        x[row, :, part] = before[other, :, part]
    for row in np.flatnonzero(kinds == 2):
        by = float(rng.uniform(-1.2, -0.3) if rng.random() < 0.5 else rng.uniform(1.6, 2.5))
        part = PARTS[-1] if rng.random() < 0.5 else PARTS[int(rng.integers(4))]
        x[row, :, part] = (usual[:, part] + by * (before[row][:, part] - usual[:, part])).T
    return x
