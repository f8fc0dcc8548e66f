"""The multi-task network: what it is made of, its weights, and its stream of steps without a framework.

Three causal convolutions make the trunk; linear heads read it at every step. The layout here is shared by
training (`gait_twin.events.training`, which needs torch) and by the compiled stream below, which computes one
step after the other from what it kept of the past: the same to the last bit however a stream is cut.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.events.features import CHANNELS

Float32Array = NDArray[np.float32]

INPUTS = 2 * CHANNELS
"""The foot's own features, then the other foot's (zeros where there is none)."""
WIDTH = 48
KERNEL = 9
DILATIONS = (1, 4, 12)
"""Of the three convolutions: together they see the last 1.37 s, a slow stride."""
SPAN = 1 + (KERNEL - 1) * sum(DILATIONS)
"""Steps that one output depends on."""

FIRST_LAG, LAST_LAG = -3, 15
"""Steps since an event that a head tells apart: from 30 ms before it to 150 ms after it."""
LAGS = LAST_LAG - FIRST_LAG + 1
HEEL_STRIKE = slice(0, LAGS + 1)
"""Logits of the lags since a heel strike, and last of "none within them"."""
TOE_OFF = slice(LAGS + 1, 2 * (LAGS + 1))
STANCE = 2 * (LAGS + 1)
"""Logit of standing on this foot now."""
PHASE = slice(STANCE + 1, STANCE + 3)
"""Cosine and sine of the phase now, both 0 while not walking."""
TIMES = slice(STANCE + 3, STANCE + 7)
"""Natural logarithms of this stride's stride, stance, swing and double support time (s) over `TYPICAL_S`."""
TYPICAL_S = (1.1, 0.66, 0.42, 0.24)
OUTPUTS = STANCE + 7

DEFAULT_WEIGHTS = Path(__file__).parent / "weights" / "events.npz"


@dataclass(frozen=True)
class Weights:
    """Parameters of a trained network.

    Attributes
    ----------
    kernels
        Three of (KERNEL, inputs, WIDTH), the newest step first.
    biases
        Three of (WIDTH,).
    head, head_bias
        (WIDTH, OUTPUTS) and (OUTPUTS,).
    notes
        What was fitted beside the network (thresholds, calibration of confidences), and where it comes from.
    """

    kernels: tuple[Float32Array, ...]
    biases: tuple[Float32Array, ...]
    head: Float32Array
    head_bias: Float32Array
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of parameters."""
        return sum(a.size for a in (*self.kernels, *self.biases, self.head, self.head_bias))

    def noted(self, notes: dict[str, Any]) -> Weights:
        """The same parameters with other notes."""
        return replace(self, notes=notes)

    def save(self, path: Path) -> None:
        """Write as one .npz file."""
        arrays: dict[str, Any] = {f"kernel_{i}": a for i, a in enumerate(self.kernels)}
        arrays |= {f"bias_{i}": a for i, a in enumerate(self.biases)}
        np.savez_compressed(
            path, **arrays, head=self.head, head_bias=self.head_bias, notes=np.array(json.dumps(self.notes))
        )

    @classmethod
    def load(cls, path: Path | None = None) -> Weights:
        """Read what `save` wrote; the shipped weights when None.

        Raises
        ------
        InputError
            If the file is not there or is not of this layout.
        """
        path = path or DEFAULT_WEIGHTS
        try:
            with np.load(path, allow_pickle=False) as held:
                weights = cls(
                    tuple(held[f"kernel_{i}"] for i in range(3)),
                    tuple(held[f"bias_{i}"] for i in range(3)),
                    held["head"],
                    held["head_bias"],
                    json.loads(str(held["notes"])),
                )
        except (OSError, KeyError, ValueError, EOFError) as problem:
            raise InputError(f"{path} cannot be read as weights of the event network: {problem}.") from None
        shapes = [(KERNEL, n, WIDTH) for n in (INPUTS, WIDTH, WIDTH)] + [(WIDTH, OUTPUTS)]
        if [a.shape for a in (*weights.kernels, weights.head)] != shapes:
            raise InputError(f"{path} holds weights of another network; train new ones with gait-twin train events.")
        return weights


@njit(cache=True)
def _convolve(rings, foot, at, dilation, kernel, bias, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rectified convolution of one foot's past, which ends with step `at`."""
    size = rings.shape[1]
    for k in range(len(out)):
        out[k] = bias[k]
    for j in range(kernel.shape[0]):
        row = (at - j * dilation) % size
        for c in range(kernel.shape[1]):
            x = rings[foot, row, c]
            if x != 0.0:
                for k in range(len(out)):
                    out[k] += x * kernel[j, c, k]
    for k in range(len(out)):
        out[k] = max(out[k], np.float32(0.0))


@njit(cache=True)
def _steps(at, x, r0, r1, r2, k0, k1, k2, b0, b1, b2, head, head_bias, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Advance by n steps of f feet: (n, f, CHANNELS) to (n, f, OUTPUTS); rings hold each layer's inputs."""
    feet, channels = x.shape[1], x.shape[2]
    y = np.empty(len(b0), np.float32)
    for i in range(len(x)):
        for f in range(feet):
            for c in range(channels):
                r0[f, at % r0.shape[1], c] = x[i, f, c]
                if feet == 2:
                    r0[f, at % r0.shape[1], channels + c] = x[i, 1 - f, c]
            _convolve(r0, f, at, DILATIONS[0], k0, b0, y)
            for c in range(len(y)):
                r1[f, at % r1.shape[1], c] = y[c]
            _convolve(r1, f, at, DILATIONS[1], k1, b1, y)
            for c in range(len(y)):
                r2[f, at % r2.shape[1], c] = y[c]
            _convolve(r2, f, at, DILATIONS[2], k2, b2, y)
            for k in range(len(head_bias)):
                out[i, f, k] = head_bias[k]
            for c in range(len(y)):
                if y[c] > 0.0:
                    for k in range(len(head_bias)):
                        out[i, f, k] += y[c] * head[c, k]
        at += 1
    return at


class NetworkStream:
    """The network run step by step over both feet.

    Parameters
    ----------
    weights
        A trained network's.
    feet
        1, or 2 in the order left, right or right, left: each sees the other.
    """

    def __init__(self, weights: Weights, feet: int) -> None:
        self._weights = weights
        self._feet = feet
        self.restart()

    def restart(self) -> None:
        """Forget the past."""
        self._at = 0
        # Before the first step there was nothing, for ever: inputs of zero, and what the layers make of them
        held = np.zeros(INPUTS, np.float32)
        self._rings = []
        for dilation, kernel, bias in zip(DILATIONS, self._weights.kernels, self._weights.biases, strict=True):
            self._rings.append(np.tile(held, (self._feet, (KERNEL - 1) * dilation + 1, 1)))
            held = np.maximum(bias + np.einsum("jck,c->k", kernel, held), np.float32(0.0))

    def update(self, features: Float32Array) -> Float32Array:
        """Take (n, feet, CHANNELS) features of n steps and give (n, feet, OUTPUTS)."""
        w = self._weights
        out = np.empty((*features.shape[:2], OUTPUTS), np.float32)
        self._at = _steps(self._at, features, *self._rings, *w.kernels, *w.biases, w.head, w.head_bias, out)
        return out
