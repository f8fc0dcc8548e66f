"""The network in torch, its losses, and its weights for the stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from gait_twin.events.network import (
    DILATIONS,
    FIRST_LAG,
    HEEL_STRIKE,
    INPUTS,
    KERNEL,
    LAGS,
    LAST_LAG,
    OUTPUTS,
    PHASE,
    STANCE,
    TIMES,
    TOE_OFF,
    TYPICAL_S,
    WIDTH,
    Weights,
)

DROPOUT = 0.2
SOFT_STEPS = 2.0
"""A label is taken to be as good as this: labels lie on a grid of 10 ms and, trial by trial, are off by 8 ms (SD)."""


class Network(nn.Module):
    """Three dilated causal convolutions and linear heads; (b, INPUTS, t) to (b, t, OUTPUTS)."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = (
            nn.Conv1d(n, WIDTH, KERNEL, dilation=d) for n, d in zip((INPUTS, WIDTH, WIDTH), DILATIONS, strict=True)
        )
        self.trunk = nn.ModuleList(convolutions)
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of every step whose whole past is given: t - SPAN + 1 of them."""
        for layer in self.trunk:
            x = functional.dropout(functional.relu(layer(x)), DROPOUT, self.training)
        return self.head(x.transpose(1, 2))

    def weights(self, notes: dict[str, Any]) -> Weights:
        """Copy for the stream: the newest step first."""
        kernels = tuple(np.ascontiguousarray(_array(layer.weight).transpose(2, 1, 0)[::-1]) for layer in self.trunk)
        biases = tuple(_array(layer.bias) for layer in self.trunk)
        head = np.ascontiguousarray(_array(self.head.weight).T)
        return Weights(kernels, biases, head, _array(self.head.bias), notes)


def _array(parameter: Any) -> NDArray[np.float32]:
    return np.array(parameter.detach().numpy())


def _lag_loss(logits: torch.Tensor, lag: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Cross entropy against the lag, shared among the whole steps within `SOFT_STEPS` of it, or "none"."""
    position = lag - FIRST_LAG
    inside = (position > -0.5) & (position < LAGS - 0.5)  # False for NaN
    position = torch.where(inside, position, torch.zeros_like(position)).clamp(0.0, LAST_LAG - FIRST_LAG)
    share = (1.0 - (torch.arange(LAGS) - position[..., None]).abs() / SOFT_STEPS).clamp(min=0.0)
    log = functional.log_softmax(logits, dim=-1)
    at_lag = (share * log[..., :LAGS]).sum(-1) / share.sum(-1)
    loss = -torch.where(inside, at_lag, log[..., LAGS])
    return (loss * known).sum() / known.sum().clamp(min=1.0)


def _masked(loss: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    good = torch.isfinite(target)
    return torch.where(good, loss, torch.zeros_like(loss)).sum() / good.sum().clamp(min=1)


def losses(out: torch.Tensor, wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Loss of each task; (b, t, OUTPUTS) against what `targets` gives, each (b, t, …)."""
    stance, phase, times = wanted["stance"], wanted["phase"], wanted["times"]
    typical = torch.log(torch.tensor(TYPICAL_S))
    return {
        "heel_strike": _lag_loss(out[..., HEEL_STRIKE], wanted["lag_heel_strike"], wanted["known"]),
        "toe_off": _lag_loss(out[..., TOE_OFF], wanted["lag_toe_off"], wanted["known"]),
        "stance": _masked(
            functional.binary_cross_entropy_with_logits(out[..., STANCE], torch.nan_to_num(stance), reduction="none"),
            stance,
        ),
        "phase": _masked((out[..., PHASE] - torch.nan_to_num(phase)) ** 2, phase),
        "times": _masked(
            functional.smooth_l1_loss(out[..., TIMES] + typical, torch.nan_to_num(times), beta=0.1, reduction="none"),
            times,
        ),
    }


SHARES = {"heel_strike": 1.0, "toe_off": 0.7, "stance": 0.3, "phase": 0.5, "times": 0.1}
"""Weight of each task's loss: heel strikes are the hardest to place."""
