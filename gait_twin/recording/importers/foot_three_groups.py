"""Both feet of 184 healthy, neurological and orthopaedic walkers, all trials in one compressed file.

The format of the project's copy of Truong et al. 2019, "A data set for the study of human locomotion with inertial
measurements units", Image Processing On Line 9:381-390, doi 10.5201/ipol.2019.265 (CC BY-NC-SA). Its accelerations
come without gravity: what the sensor measured in quiet standing was taken off. `restored_gravity_g` finds it again.
"""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording.importers.base import Importer
from gait_twin.recording.recording import ImuStream, Recording, Subject
from gait_twin.recording.segments import Side
from gait_twin.recording.streams import Source, assemble
from gait_twin.recording.tables import did_you_mean

FloatArray = NDArray[np.float64]

METADATA = "metadata.json.gz"
RATE_HZ = 100.0
G_MPS2 = 9.80665
_ARRAYS = ("signal", "scale", "offsets", "columns", "codes")
_COLUMNS = {
    side: [f"{letter}{kind}{axis}" for kind in "AR" for axis in "XYZ"] for side, letter in zip(Side, "LR", strict=True)
}
_MOVES = {Side.LEFT: "LeftFootActivity", Side.RIGHT: "RightFootActivity"}

_USUAL_G, _USUAL_SD = np.array([0.55, 0.0, 0.83]), 0.35
"""Direction of the sensors' up on a foot of these recordings, and how far a foot may be from it: what is not told by
the strides."""
_SPEED_SD = 0.03
"""Speed of a foot at rest by its sensor after one stride, g·s: 0.3 m/s; strides far beyond count less (Huber)."""
_LONGEST = 250
"""Movements of more samples are not strides."""
_DOUBTFUL_SPEED = 0.08
"""Median speed left at rest, g·s, beyond which the restored gravity is doubted."""


@dataclass(frozen=True, slots=True)
class Collection:
    """The whole file.

    Attributes
    ----------
    signal
        (n, 12) integers of all trials one after the other.
    scale, offsets, columns
        (12,) units of a column; (t + 1,) rows between trials; names of the columns.
    trials
        Metadata of each trial by its code, in order.
    """

    signal: NDArray[np.int16]
    scale: FloatArray
    offsets: NDArray[np.int64]
    columns: tuple[str, ...]
    trials: dict[str, dict[str, Any]]

    def foot(self, trial: str, side: Side) -> tuple[FloatArray, FloatArray]:
        """(n, 3) acceleration without gravity, g, and (n, 3) angular rate, rad/s, of a foot in its sensor's axes."""
        k = list(self.trials).index(trial)
        columns = [self.columns.index(name) for name in _COLUMNS[side]]
        rows = self.signal[self.offsets[k] : self.offsets[k + 1], columns] * self.scale[columns]
        return rows[:, :3], np.radians(rows[:, 3:])


@functools.lru_cache(maxsize=1)
def collection(path: Path) -> Collection:
    """Read all trials at once (60 MB).

    Raises
    ------
    InputError
        If the file or its metadata is not there, or not of this format.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in _ARRAYS}
        metadata = json.loads(gzip.decompress((path.parent / METADATA).read_bytes()))
        trials = {str(one["Code"]): one for one in metadata}
    except (OSError, KeyError, ValueError, TypeError, EOFError) as problem:
        raise InputError(f"{path} and {METADATA} beside it cannot be read as foot trials: {problem}.") from None
    columns = tuple(str(name) for name in arrays["columns"])
    if list(trials) != [str(code) for code in arrays["codes"]] or set(columns) != {
        c for names in _COLUMNS.values() for c in names
    }:
        raise InputError(f"{path} and {METADATA} beside it do not fit: other trials or other columns.")
    return Collection(arrays["signal"], np.asarray(arrays["scale"], float), arrays["offsets"], columns, trials)


def load(path: Path | str, trial: str = "") -> Recording:
    """Read a trial.

    Parameters
    ----------
    path
        The .npz file, with metadata.json.gz beside it.
    trial
        Its code, as ``3-1``: subject and trial.

    Returns
    -------
    Recording
        Both feet at 100 Hz, gravity restored. No truth: the labels are heel-off and foot-flat, not toe-off and heel
        strike.

    Raises
    ------
    InputError
        If the file is not there or not of this format, or there is no such trial.
    """
    path = Path(path)
    held = collection(path)
    if trial not in held.trials:
        near = did_you_mean(trial, tuple(held.trials)) if trial else ""
        raise InputError(
            f"{path} has no trial {trial!r}{near}; give one of {len(held.trials)}, as {next(iter(held.trials))}."
        )
    about = held.trials[trial]
    sources, notices = [], ["Gravity was restored from the strides: these accelerations come without it."]
    for side in Side:
        acc_g, gyr = held.foot(trial, side)
        gravity_g, left_g_s = restored_gravity_g(acc_g, gyr, movements(about, side))
        if not left_g_s < _DOUBTFUL_SPEED:
            notices.append(
                f"{side.foot}: the restored gravity is doubtful, it leaves {left_g_s * G_MPS2:.1f} m/s at rest."
            )
        time_s = np.arange(len(acc_g)) / RATE_HZ
        stream = ImuStream(side.foot, time_s, (acc_g + gravity_g) * G_MPS2, gyr, sampling_rate_hz=RATE_HZ)
        sources.append(Source(stream, f"{path} {trial}"))
    assembled = assemble(sources)
    return Recording(
        imus=assembled.imus,
        subject=Subject(str(about["Subject"]), _number(about.get("Height")), _number(about.get("Weight"))),
        notices=(*notices, *assembled.notices),
        losses=assembled.losses,
    )


def movements(about: dict[str, Any], side: Side) -> NDArray[np.int64]:
    """(m, 2) samples of heel-off and foot-flat of each labelled movement of a foot."""
    return np.asarray(about[_MOVES[side]], dtype=np.int64).reshape(-1, 2)


def restored_gravity_g(acc_g: FloatArray, gyr_radps: FloatArray, moves: NDArray[np.int64]) -> tuple[FloatArray, float]:
    """Find the gravity that was taken off a foot's accelerations.

    Between two rests the foot's speed changes by nothing. Turned by the gyroscope into the axes of the rest before,
    the measured specific force f = a + g (a as given, g what was taken off) less g then integrates to zero:
    ∫ R a dt + ∫ (R - 1) dt g = 0, three equations for g from each stride. They are solved together, strides that do
    not fit weighted down, under |g| = 1, with a weak prior for what straight walking does not tell (the lateral axis).

    Parameters
    ----------
    acc_g, gyr_radps
        (n, 3) acceleration without gravity, g, and angular rate, rad/s.
    moves
        (m, 2) samples between which the foot moves.

    Returns
    -------
    gravity_g
        (3,) of length 1, in the sensor's axes: what it measures at rest.
    left_g_s
        Median over strides of the speed left at rest, g·s; NaN without strides.
    """
    rests = _rests(gyr_radps, moves)
    prior = _USUAL_G / np.linalg.norm(_USUAL_G)
    spans = [(a, b) for a, b in itertools.pairwise(rests) if 20 < b - a <= _LONGEST]
    if not spans:
        return prior, math.nan
    bias = np.median(gyr_radps[: max(int(rests[0]) - 50, 50)], axis=0)
    turning, way = _integrals(acc_g, gyr_radps - bias, spans)
    gravity, weights = prior, np.ones(len(spans))
    for _ in range(10):
        scaled = weights[:, None, None] * turning / _SPEED_SD**2
        matrix = np.einsum("kij,kil->jl", scaled, turning) + np.eye(3) / _USUAL_SD**2
        right = -np.einsum("kij,ki->j", scaled, way) + prior / _USUAL_SD**2
        gravity = _on_sphere(matrix, right)
        left = np.linalg.norm(turning @ gravity + way, axis=1)
        weights = np.minimum(1.0, 2.0 * _SPEED_SD / np.maximum(left, 1e-12))
    return gravity, float(np.median(left))


def _rests(gyr_radps: FloatArray, moves: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m + 1,) quietest samples before, between and after movements."""
    if not len(moves):
        return np.zeros(0, np.int64)
    quiet = uniform_filter1d(np.linalg.norm(gyr_radps, axis=1), 7)
    begins, ends = [max(int(moves[0, 0]) - 100, 0), *(moves[:, 1] - 5)], [*(moves[:, 0] + 5), int(moves[-1, 1]) + 100]
    rests = []
    for begin, end in zip(begins, ends, strict=True):
        begin = min(max(int(begin), 0), len(quiet) - 1)
        rests.append(begin + int(np.argmin(quiet[begin : max(int(end), begin) + 1])))
    return np.maximum.accumulate(np.array(rests, np.int64))


def _integrals(acc_g: FloatArray, gyr_radps: FloatArray, spans: list[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    """(k, 3, 3) integral of R - 1 and (k, 3) of R a over each span, R from the axes now to those at its start."""
    turning, way = [], []
    for begin, end in spans:
        rate = 0.5 * (gyr_radps[begin:end] + gyr_radps[begin + 1 : end + 1])
        turned = np.empty((end - begin + 1, 3, 3))
        turned[0] = np.eye(3)
        for k, step in enumerate(Rotation.from_rotvec(rate / RATE_HZ).as_matrix()):
            turned[k + 1] = turned[k] @ step
        turning.append((turned - np.eye(3)).sum(axis=0) / RATE_HZ)
        way.append(np.einsum("kij,kj->i", turned, acc_g[begin : end + 1]) / RATE_HZ)
    return np.array(turning), np.array(way)


def _on_sphere(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Least g·M·g/2 - r·g with |g| = 1, by bisection of the multiplier."""
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ right
    low, high = -float(values[0]), float(np.linalg.norm(right)) + float(values[-1])
    for _ in range(200):
        middle = 0.5 * (low + high)
        longer = float(((along / (values + middle)) ** 2).sum()) > 1.0
        low, high = (middle, high) if longer else (low, middle)
    found = vectors @ (along / (values + high))
    return np.asarray(found / np.linalg.norm(found))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan  # "NC": not communicated


def sniff(path: Path) -> bool:
    """Whether the path is such a file."""
    if path.suffix != ".npz" or not path.is_file() or not (path.parent / METADATA).is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as held:
            return set(_ARRAYS) <= set(held.files)
    except (OSError, ValueError, EOFError):
        return False


FOOT_THREE_GROUPS = Importer(
    "foot_three_groups",
    "Collection of foot trials of healthy, neurological and orthopaedic walkers (Truong et al. 2019, non-commercial)",
    load,
    sniff,
    {"trial": "code of the trial, as 3-1"},
)
