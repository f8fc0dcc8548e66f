"""Quiet standing: when all sensors are still together, and what each of them shows then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import angle_between

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
SUB_WINDOWS = 5
"""The window is cut in so many parts and their means compared: noise averages out, motion does not."""
GYR_STILL_RADPS = 0.08
"""Angular rate, averaged over a part, of quiet standing; sway of a standing person stays below 0.05 rad/s."""
ACC_STILL_MPS2 = 0.30
"""Change of specific force between parts in quiet standing, m/s^2 (2 degrees of lean are 0.34)."""
GRAVITY_TOLERANCE = 0.12
"""Relative error of a still accelerometer beyond which it is called broken (cheap ones are 5 % off)."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What each of k sensors showed over a window.

    Attributes
    ----------
    present
        (k,) valid throughout nearly all of the window, and oriented.
    still
        (k,) present and not moving.
    gravity_mps2
        (k,) length of the mean specific force, m/s².
    gravity_ok
        (k,) still and not further from standard gravity than a cheap sensor may be.
    """

    present: NDArray[np.bool_]
    still: NDArray[np.bool_]
    gravity_mps2: FloatArray
    gravity_ok: NDArray[np.bool_]


def stillness(acc: FloatArray, gyr: FloatArray, oriented: NDArray[np.bool_]) -> Stillness:
    """Judge a window of n frames.

    Parameters
    ----------
    acc, gyr
        (n, k, 3) m/s² and rad/s, NaN where invalid.
    oriented
        (n, k) orientation settled.
    """
    present = (oriented & np.isfinite(acc[..., 0])).mean(axis=0) > 0.9
    acc, gyr = np.where(present[:, None], acc, 0.0), np.where(present[:, None], gyr, 0.0)
    parts = np.array_split(np.arange(len(acc)), SUB_WINDOWS)
    acc_means = np.stack([_mean(acc[p]) for p in parts])
    gyr_means = np.stack([_mean(gyr[p]) for p in parts])
    # a constant rate is the gyroscope's bias: nobody turns evenly for a whole window
    turning = np.linalg.norm(gyr_means - gyr_means.mean(axis=0), axis=2).max(axis=0)
    leaning = np.linalg.norm(acc_means - acc_means.mean(axis=0), axis=2).max(axis=0)
    still = present & (turning < GYR_STILL_RADPS) & (leaning < ACC_STILL_MPS2)
    gravity = np.linalg.norm(acc_means.mean(axis=0), axis=1)
    return Stillness(present, still, gravity, still & (np.abs(gravity / GRAVITY_MPS2 - 1.0) < GRAVITY_TOLERANCE))


def _mean(values: FloatArray) -> FloatArray:
    """Mean over axis 0 without NaN; NaN where there is nothing."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_orientation(quat: FloatArray) -> tuple[FloatArray, float]:
    """Mean (4,) of orientations (n, 4) close to each other, and their RMS angle from it, rad."""
    quat = quat[np.isfinite(quat).all(axis=1)]
    mean = (quat * np.where(quat @ quat[0] < 0.0, -1.0, 1.0)[:, None]).mean(axis=0)
    mean /= np.linalg.norm(mean)
    return mean, float(np.sqrt(np.mean(angle_between(mean, quat) ** 2)))
