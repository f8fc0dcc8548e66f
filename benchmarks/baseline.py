"""A plain threshold-and-integrate estimate of one foot's events and strides, to compare with.

Offline, with the whole recording at hand: what a careful afternoon's script does. Events are zero crossings of the
filtered pitch rate beside its swing peaks; strides are strapdown integrations between the calmest instants of
stance, with the end velocity taken off linearly.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import signal
from scipy.spatial.transform import Rotation


@dataclass
class Baseline:
    heel_strikes_s: np.ndarray
    toe_offs_s: np.ndarray
    flats_s: np.ndarray
    lengths_m: np.ndarray  # from each foot-flat to the next


def run(time_s: np.ndarray, acc: np.ndarray, gyr: np.ndarray) -> Baseline:
    """Events and foot-flat to foot-flat displacements of one foot on an even grid without gaps."""
    rate_hz = 1.0 / (time_s[1] - time_s[0])
    speed = np.linalg.norm(gyr, axis=1)
    moving = gyr[speed > 1.0]
    axis = np.linalg.eigh(moving.T @ moving)[1][:, -1]
    pitch = signal.filtfilt(*signal.butter(2, 10.0 / (rate_hz / 2)), gyr @ axis)
    # Push-off is the sharper lobe: the rate's third moment is negative
    pitch *= -np.sign(np.sum(pitch**3))
    peaks, _ = signal.find_peaks(pitch, height=1.5, distance=int(0.6 * rate_hz), prominence=2.0)
    heel_strikes, toe_offs = [], []
    for peak in peaks:
        after = np.flatnonzero(pitch[peak : peak + int(0.6 * rate_hz)] <= 0.0)
        before = np.flatnonzero(pitch[max(0, peak - int(0.6 * rate_hz)) : peak] <= 0.0)
        if len(after):
            heel_strikes.append(time_s[peak + after[0]])
        if len(before):
            toe_offs.append(time_s[max(0, peak - int(0.6 * rate_hz)) + before[-1]])
    flats = _flats(speed, peaks, rate_hz)
    half = max(1, int(0.04 * rate_hz))
    calm = [acc[max(0, i - half) : i + half + 1].mean(axis=0) for i in flats]
    scale = 9.80665 / _rest(acc, speed, rate_hz)
    lengths = [
        _length(scale * acc[a : b + 1], gyr[a : b + 1], up, 1.0 / rate_hz)
        for a, b, up in zip(flats[:-1], flats[1:], calm, strict=False)
    ]
    return Baseline(np.array(heel_strikes), np.array(toe_offs), time_s[flats], np.array(lengths))


def _rest(acc: np.ndarray, speed: np.ndarray, rate_hz: float) -> float:
    """Gravity as measured in the calmest half second."""
    window = np.ones(int(0.5 * rate_hz))
    at = int(np.argmin(np.convolve(speed, window, "valid")))
    return float(np.linalg.norm(acc[at : at + len(window)].mean(axis=0)))


def _flats(speed: np.ndarray, peaks: np.ndarray, rate_hz: float) -> np.ndarray:
    """Calmest instant between swings, and before the first and after the last."""
    window = int(0.1 * rate_hz)
    calm = np.convolve(speed**2, np.ones(window) / window, "same")
    bounds = np.concatenate([[max(0, peaks[0] - int(2 * rate_hz))], peaks, [len(calm) - 1]]) if len(peaks) else []
    found = [a + int(np.argmin(calm[a : b + 1])) for a, b in itertools.pairwise(bounds)]
    return np.array(found, dtype=int)


def _length(acc: np.ndarray, gyr: np.ndarray, up: np.ndarray, dt_s: float) -> float:
    """Horizontal way between two instants of rest."""
    if len(acc) < 3:
        return 0.0
    rotation = Rotation.align_vectors([[0.0, 0.0, 1.0]], up[None])[0]
    world = np.empty_like(acc)
    for i in range(len(acc)):
        if i:
            rotation = rotation * Rotation.from_rotvec(0.5 * (gyr[i] + gyr[i - 1]) * dt_s)
        world[i] = rotation.apply(acc[i]) - [0.0, 0.0, 9.80665]
    velocity = np.concatenate([np.zeros((1, 3)), np.cumsum(0.5 * (world[1:] + world[:-1]) * dt_s, axis=0)])
    velocity -= np.linspace(0.0, 1.0, len(acc))[:, None] * velocity[-1]
    way = np.sum(0.5 * (velocity[1:] + velocity[:-1]) * dt_s, axis=0)
    return float(np.hypot(way[0], way[1]))
