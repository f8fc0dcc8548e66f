"""What part of which curve speaks for a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.channels import CHANNELS, NUMBERS
from gait_twin.classification.cycles import Cycle
from gait_twin.classification.network import STEPS, Model, Output, stacked
from gait_twin.recording import Side

FloatArray = NDArray[np.float64]

CYCLES = 12
"""At most so many are looked at, spread over the walk."""
STEPS_OF_PATH = 24


@dataclass(frozen=True)
class Explanation:
    """How much each point of each curve speaks for a class, against the mean of the training data.

    Attributes
    ----------
    label
        The class.
    near
        The leg that ``near`` stands for, by whose heel strikes the cycles are cut: the affected one where there is one.
    channels
        c names.
    curves, usual
        (101, c) mean of the walk's cycles, and of the training data's first class (the normal one); NaN where not
        known.
    shares
        (101, c) logarithmic odds that a point adds, for the class against the mean of the others.
    numbers
        Logarithmic odds that each number of the stride adds.
    """

    label: str
    near: Side
    channels: tuple[str, ...]
    curves: FloatArray
    usual: FloatArray
    shares: FloatArray
    numbers: dict[str, float]

    def strongest(self, n: int) -> list[int]:
        """Columns of the n channels that say most, for or against."""
        total = np.abs(self.shares).sum(axis=0)
        return [int(i) for i in np.argsort(-total, kind="stable")[:n] if total[i] > 0.0]


def explain(model: Model, cycles: Sequence[Cycle], label: str, side: Side | None = None) -> Explanation:
    """Ask the networks what in a walk's cycles speaks for a class.

    Integrated gradients (Sundararajan et al. 2017, ICML) of the class's logit, less the mean of all others', along the
    straight line from the mean of the training data to each cycle; the mean over cycles and members. Needs torch.

    Parameters
    ----------
    model, cycles
        The classifier, and cycles of the walk, at least one.
    label
        Class to explain.
    side
        Affected leg, of a class that has one.
    """
    import torch
    from captum.attr import IntegratedGradients

    from gait_twin.classification.training.network import Network

    near = side or Side.RIGHT
    own = [cycle for cycle in cycles if cycle.side is near]
    if not own:  # the other foot wore no sensor
        near, own = near.other, list(cycles)
    leg = "" if side is None else ("near" if near is side else "far")
    wanted = [k for k, o in enumerate(model.outputs) if o == Output(model.labels.index(label), leg)]
    target = wanted[0] if wanted else [o.label for o in model.outputs].index(model.labels.index(label))
    picked = [own[i] for i in np.unique(np.linspace(0, len(own) - 1, CYCLES).round().astype(int))]
    curves, numbers = stacked(picked)
    x, y, known = (torch.from_numpy(a) for a in model.inputs(curves, numbers))
    # what is not known stays so along the way
    start = (torch.zeros_like(x), torch.cat([torch.zeros_like(y[:, : len(NUMBERS)]), y[:, len(NUMBERS) :]], dim=1))
    shares, told = np.zeros((STEPS, len(CHANNELS))), np.zeros(len(NUMBERS))
    for member in model.members:
        network = Network.of(member)

        def margin(x: torch.Tensor, y: torch.Tensor, known: torch.Tensor, network: Network = network) -> torch.Tensor:
            logits = network(x, y, known)
            named = logits[:, :-1]
            return named[:, target] - (named.sum(1) - named[:, target]) / (named.shape[1] - 1)

        of_x, of_y = IntegratedGradients(margin).attribute(
            (x, y), start, additional_forward_args=(known,), n_steps=STEPS_OF_PATH
        )
        shares += of_x.detach().numpy().mean(axis=0) / len(model.members)
        told += of_y.detach().numpy().mean(axis=0)[: len(NUMBERS)] / len(model.members)
    return Explanation(
        label=label,
        near=near,
        channels=tuple(c.name for c in CHANNELS),
        curves=curves.mean(axis=0).astype(float),
        usual=np.full(curves.shape[1:], np.nan) if model.usual is None else model.usual.astype(float),
        shares=np.vstack([shares, shares[:1]]),  # the cycle is closed
        numbers=dict(zip(NUMBERS, told.tolist(), strict=True)),
    )
