"""The cycle network: what it is made of, its file, and its answers without a framework.

Three convolutions around the (closed) gait cycle, halving it each time; what is left of it, the stride's numbers, and
what was known at all go through one hidden layer to one logit for each class and affected side, and one
for "none of these".
Several members, trained from different starts, are averaged. Training (`gait_twin.classification.training`) needs
torch; this does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.channels import CHANNELS, GROUPS, NUMBERS, POINTS
from gait_twin.classification.cycles import Cycle
from gait_twin.classification.settings import ClassifierSettings
from gait_twin.errors import InputError
from gait_twin.recording import Side

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

FORMAT = 2
STEPS = POINTS - 1
"""A cycle is closed: its last point is the next one's first."""
KERNELS = (7, 5, 5)
STRIDE = 2
WIDTHS = (32, 48, 32)
LENGTHS = (50, 25, 13)
SIDE_WIDTH = 48
"""Of the layer that takes the numbers and the masks."""
HIDDEN = 64
PARAMETERS = (
    *(f"{kind}{i}" for i in range(3) for kind in ("kernel", "bias")),
    "mask",
    "side",
    "side_bias",
    "hidden",
    "hidden_bias",
    "head",
    "head_bias",
)
"""Of a member: (kernel, inputs, width) and (width,) of each convolution; (c, width) of the channels' mask into the
first; then matrices (inputs, outputs) and biases."""

MANY = 12
"""Cycles from which on a mean is that of a walk."""
SETS = ("feet", "legs", "trunk")
"""What can be worn: the feet alone; pelvis and legs; the trunk too. Novelty is judged by what is worn."""
DEFAULT_MODEL = Path(__file__).parent / "weights" / "gait_patterns.npz"


def known_channels(curves: Float32Array) -> NDArray[np.bool_]:
    """(n, c) whether each channel of (n, 101, c) curves is known."""
    return np.asarray(np.isfinite(curves).all(axis=1), bool)


def worn(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(n,) index into `SETS` of what (n, c) known channels tell of."""
    trunk = known[:, GROUPS["trunk"]].any(axis=1)
    legs = known[:, GROUPS["angles"]].any(axis=1)
    return np.where(trunk & legs, 2, np.where(legs, 1, 0))


def between(one: float, many: float, cycles: int) -> float:
    """What was fitted for one cycle and for walks of many, for a number of cycles."""
    share = max(0.0, (1.0 / max(cycles, 1) - 1.0 / MANY) / (1.0 - 1.0 / MANY))
    return many + (one - many) * share


@dataclass(frozen=True)
class Output:
    """One logit: a class, and which leg is affected, as the cycle's near leg sees it (``near``, ``far`` or empty)."""

    label: int
    leg: str


NONE = Output(-1, "")
"""Of the logit of none of the known classes, always the last."""


@dataclass(frozen=True)
class Model:
    """A trained classifier.

    Attributes
    ----------
    name
        As messages and reports show it.
    labels
        k classes.
    outputs
        What each logit stands for.
    members
        Parameters of each network by name, see `PARAMETERS`.
    curve_mean, curve_sd, number_mean, number_sd
        What inputs are standardised with: (c,) and (s,).
    usual
        (101, c) mean cycle of the training data's first class, to compare with in pictures; None where not kept.
    temperatures
        That logits of one cycle, and means of many cycles' logits, are divided by.
    novelty
        For each of `SETS`: odds (logarithmic) of none of the classes that one cycle, and the mean of many, of the known
        classes in twenty passes.
    notes
        Where it comes from: data, settings, scores; plain types.
    """

    name: str
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    members: tuple[dict[str, Float32Array], ...]
    curve_mean: Float32Array
    curve_sd: Float32Array
    number_mean: Float32Array
    number_sd: Float32Array
    usual: Float32Array | None = None
    temperatures: tuple[float, float] = (1.0, 1.0)
    novelty: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def inputs(self, curves: Float32Array, numbers: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Standardised curves (n, 100, c), numbers (n, 2 s) with their mask, and the channels' mask (n, c)."""
        known = known_channels(curves)
        x = (curves[:, :STEPS] - self.curve_mean) / self.curve_sd
        x = np.where(known[:, None, :], x, np.float32(0.0)).astype(np.float32)
        y = (numbers - self.number_mean) / self.number_sd
        told = np.isfinite(y)
        y = np.concatenate([np.where(told, np.clip(y, -8.0, 8.0), 0.0), told], axis=1).astype(np.float32)
        x = np.asarray(np.clip(x, -8.0, 8.0), np.float32)
        return x, y, known.astype(np.float32)

    def answer(self, curves: Float32Array, numbers: Float32Array) -> FloatArray:
        """(n, outputs) logits, the mean of the members', of cycles.

        Parameters
        ----------
        curves, numbers
            (n, 101, c) and (n, s), as in `Cycle`; NaN where not known.
        """
        x, y, known = self.inputs(curves, numbers)
        return np.mean([_forward(member, x, y, known) for member in self.members], axis=0, dtype=float)

    @staticmethod
    def odds_of_none(logits: FloatArray) -> FloatArray:
        """(n,) logarithmic odds of none of the classes, of (n, outputs) logits."""
        top = logits[:, :-1].max(axis=1)
        return np.asarray(logits[:, -1] - top - np.log(np.exp(logits[:, :-1] - top[:, None]).sum(axis=1)))

    def probabilities(self, logits: FloatArray, cycles: int) -> FloatArray:
        """(outputs - 1,) of each class and side, from the mean logits of so many cycles, if it is one of them."""
        return softmax(logits[:-1] / between(*self.temperatures, cycles))

    def of_sides(self, logits: FloatArray, sides: Sequence[Side]) -> FloatArray:
        """(n, o) logits of cycles as those of left and right: near is left in a cycle of the left leg.

        Column order is that of `outputs`, with near read as left and far as right.
        """
        swapped = [self.outputs.index(Output(o.label, _OTHER[o.leg])) for o in self.outputs]
        right = np.array([side is Side.RIGHT for side in sides], bool).reshape(-1, 1)
        return np.where(right, logits[:, swapped], logits)

    def save(self, path: Path) -> None:
        """Write as one .npz file."""
        arrays: dict[str, Any] = {
            f"{k}.{name}": a for k, member in enumerate(self.members) for name, a in member.items()
        }
        about = {
            "format": FORMAT,
            "name": self.name,
            "labels": self.labels,
            "outputs": [[o.label, o.leg] for o in self.outputs],
            "members": len(self.members),
            "channels": [c.name for c in CHANNELS],
            "numbers": NUMBERS,
            "temperatures": self.temperatures,
            "novelty": self.novelty,
            "notes": self.notes,
        }
        arrays |= {"curve_mean": self.curve_mean, "curve_sd": self.curve_sd}
        arrays |= {"number_mean": self.number_mean, "number_sd": self.number_sd}
        if self.usual is not None:
            arrays["usual"] = self.usual
        arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
        np.savez_compressed(path, **arrays, about=np.array(json.dumps(about)))

    @classmethod
    def load(cls, path: Path | None = None) -> Model:
        """Read what `save` wrote; the shipped gait patterns when None.

        Raises
        ------
        InputError
            If the file is not there, or not of this program.
        """
        path = path or DEFAULT_MODEL
        try:
            with np.load(path, allow_pickle=False) as held:
                about = json.loads(str(held["about"]))
                if about["format"] != FORMAT or about["channels"] != [c.name for c in CHANNELS]:
                    raise InputError(f"{path} is of another version; train it anew with gait-twin train classifier.")
                return cls(
                    name=about["name"],
                    labels=tuple(about["labels"]),
                    outputs=tuple(Output(int(label), str(leg)) for label, leg in about["outputs"]),
                    members=tuple({n: held[f"{k}.{n}"] for n in PARAMETERS} for k in range(about["members"])),
                    curve_mean=held["curve_mean"],
                    curve_sd=held["curve_sd"],
                    number_mean=held["number_mean"],
                    number_sd=held["number_sd"],
                    usual=held.get("usual"),
                    temperatures=tuple(about["temperatures"]),
                    novelty={kind: tuple(limits) for kind, limits in about["novelty"].items()},
                    notes=about["notes"],
                )
        except (OSError, KeyError, ValueError, TypeError, EOFError) as problem:
            raise InputError(f"{path} cannot be read as weights of a gait classifier: {problem}.") from None

    @classmethod
    def of_settings(cls, settings: ClassifierSettings) -> Model:
        """The model that settings name."""
        return cls.load(Path(settings.model_path) if settings.model_path else None)

    @property
    def count(self) -> int:
        """Number of parameters of all members."""
        return sum(a.size for member in self.members for a in member.values())


_OTHER = {"": "", "near": "far", "far": "near"}


def stacked(cycles: Sequence[Cycle]) -> tuple[Float32Array, Float32Array]:
    """Curves (n, 101, c) and numbers (n, s) of cycles."""
    curves = np.array([c.curves for c in cycles], np.float32).reshape(-1, POINTS, len(CHANNELS))
    return curves, np.array([c.numbers for c in cycles], np.float32).reshape(-1, len(NUMBERS))


def taps(length: int, kernel: int) -> NDArray[np.intp]:
    """(outputs, kernel) points of a closed curve that each output of a convolution takes."""
    outputs = -(-length // STRIDE)
    return (np.arange(outputs)[:, None] * STRIDE + np.arange(kernel) - kernel // 2) % length


_TAPS = tuple(taps(n, k) for n, k in zip((STEPS, *LENGTHS[:2]), KERNELS, strict=True))


def _forward(p: dict[str, Float32Array], x: Float32Array, y: Float32Array, known: Float32Array) -> Float32Array:
    for i, points in enumerate(_TAPS):
        kernel = p[f"kernel{i}"]
        patches = x[:, points].reshape(len(x), len(points), -1)
        x = patches @ kernel.reshape(-1, kernel.shape[2]) + p[f"bias{i}"]
        if i == 0:
            x = x + (known @ p["mask"])[:, None, :]
        x = np.maximum(x, np.float32(0.0))
    side = np.maximum(np.concatenate([y, known], axis=1) @ p["side"] + p["side_bias"], np.float32(0.0))
    hidden = np.concatenate([x.reshape(len(x), -1), side], axis=1) @ p["hidden"] + p["hidden_bias"]
    hidden = np.maximum(hidden, np.float32(0.0))
    return np.asarray(hidden @ p["head"] + p["head_bias"], np.float32)


def softmax(logits: FloatArray) -> FloatArray:
    """Along the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
