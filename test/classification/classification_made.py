"""Made-up cycles of two kinds."""

from __future__ import annotations

import numpy as np

from gait_twin.classification import Cycle
from gait_twin.classification.channels import CHANNELS, NUMBERS, POINTS
from gait_twin.classification.training import CycleSet, TrainSettings, Walk
from gait_twin.recording import Side


def made_cycle(kind: int, rng: np.random.Generator, side: Side, affected: Side | None = None) -> Cycle:
    """A cycle whose knee of the affected leg (of the near one without) bends the more the higher the kind."""
    phase = np.linspace(0.0, 2.0 * np.pi, POINTS)
    curves = np.empty((POINTS, len(CHANNELS)))
    for i, channel in enumerate(CHANNELS):
        size = 1.0
        mine = affected is None or (channel.leg == "near") == (side is affected)
        if channel.source == "knee_angle" and channel.leg and mine:
            size = 1.0 + 0.8 * kind
        if channel.group == "feet" and channel.source == "foot_pitch" and mine:
            size = 1.0 + 0.8 * kind
        curves[:, i] = size * np.sin(phase + 0.1 * i) + 0.1 * rng.standard_normal()
    numbers = 1.0 + 0.1 * rng.standard_normal(len(NUMBERS))
    worn = ("pelvis", "torso", "femur_r", "tibia_r", "calcn_r", "femur_l", "tibia_l", "calcn_l")
    return Cycle(side, 0.0, 1.0, curves.astype(np.float32), numbers.astype(np.float32), worn)


def made_walks(subjects: int, seed: int = 0, sided: bool = False, **facts) -> CycleSet:
    """Two kinds of walks, one walk of eight cycles a subject."""
    rng = np.random.default_rng(seed)
    walks = []
    for k in range(subjects):
        kind = k % 2
        affected = (Side.LEFT if k % 4 == 1 else Side.RIGHT) if sided and kind else None
        cycles = [made_cycle(kind, rng, side, affected) for _ in range(4) for side in Side]
        about = {name: values[kind] if isinstance(values, tuple) else values for name, values in facts.items()}
        walks.append((Walk(f"w{k}", f"s{k}", ("normal", "bent")[kind], str(affected or ""), about), cycles))
    return CycleSet.of(walks)


QUICK = TrainSettings(epochs=3, members=2, batch=32)
