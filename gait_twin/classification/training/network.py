"""The cycle network in torch: for training, and for asking what its answers rest on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from gait_twin.classification.channels import CHANNELS, NUMBERS
from gait_twin.classification.network import (
    HIDDEN,
    KERNELS,
    LENGTHS,
    PARAMETERS,
    SIDE_WIDTH,
    STRIDE,
    WIDTHS,
)


class Network(nn.Module):
    """What `gait_twin.classification.network` computes, differentiable; parameters bear the same names."""

    def __init__(self, outputs: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.dropout = dropout
        inputs = (len(CHANNELS), *WIDTHS[:2])
        for i, (kernel, n, width) in enumerate(zip(KERNELS, inputs, WIDTHS, strict=True)):
            self.register_parameter(f"kernel{i}", _weights((kernel, n, width), kernel * n))
            self.register_parameter(f"bias{i}", nn.Parameter(torch.zeros(width)))
        told = 2 * len(NUMBERS) + len(CHANNELS)
        flat = LENGTHS[-1] * WIDTHS[-1] + SIDE_WIDTH
        shapes = {
            "mask": (len(CHANNELS), WIDTHS[0]),
            "side": (told, SIDE_WIDTH),
            "hidden": (flat, HIDDEN),
            "head": (HIDDEN, outputs),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, _weights(shape, shape[0]))
            if name != "mask":
                self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(shape[1])))

    @classmethod
    def of(cls, member: dict[str, NDArray[np.float32]]) -> Network:
        """Network with a shipped member's parameters."""
        network = cls(member["head"].shape[1])
        network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in member.items()})
        return network.eval()

    def member(self) -> dict[str, NDArray[np.float32]]:
        """Copy of the parameters, for `Model.members`."""
        return {name: self.get_parameter(name).detach().numpy().copy() for name in PARAMETERS}

    def forward(self, x: torch.Tensor, y: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Logits (n, o) of inputs as `Model.inputs` gives them."""
        x = x.transpose(1, 2)
        for i, kernel in enumerate(KERNELS):
            x = functional.pad(x, (kernel // 2, kernel // 2), mode="circular")
            x = functional.conv1d(
                x, self.get_parameter(f"kernel{i}").permute(2, 1, 0), self.get_parameter(f"bias{i}"), stride=STRIDE
            )
            if i == 0:
                x = x + (known @ self.get_parameter("mask"))[:, :, None]
            x = functional.relu(x)
        side = torch.cat([y, known], dim=1) @ self.get_parameter("side") + self.get_parameter("side_bias")
        flat = torch.cat([x.transpose(1, 2).flatten(1), functional.relu(side)], dim=1)
        flat = functional.dropout(flat, self.dropout, self.training)
        hidden = functional.relu(flat @ self.get_parameter("hidden") + self.get_parameter("hidden_bias"))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        return hidden @ self.get_parameter("head") + self.get_parameter("head_bias")


def _weights(shape: tuple[int, ...], inputs: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * (2.0 / inputs) ** 0.5)
