"""The training loop: from recordings to a weights file with its curves and what was fitted beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_twin.errors import InputError
from gait_twin.events.features import CHANNELS
from gait_twin.events.network import SPAN, Weights
from gait_twin.events.training.augmentation import augmented, features, targets
from gait_twin.events.training.fitting import event_f1, fit
from gait_twin.events.training.walks import Walk, load_part, splits
from gait_twin.settings import check, setting

WINDOW = 384
"""Steps of a training sample that count; `SPAN` - 1 before them are their past."""

EMA = 0.998
"""Decay of the mean of the weights: some five hundred steps."""

Progress = Callable[[float, str], None]


def _silent(share: float, text: str) -> None:
    del share, text


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train; the defaults made the shipped weights."""

    epochs: int = setting(45, "Passes over newly augmented walks.", low=1, high=1000)
    batch: int = setting(16, "Samples a step of the optimiser.", low=1, high=1024)
    learning_rate: float = setting(2e-3, "Highest learning rate.", low=1e-6, high=0.1)
    virtual_share: float = setting(0.2, "Share of samples of virtual and fidgeting feet.", low=0.0, high=1.0)
    other_foot: float = setting(0.6, "Share of samples that see the other foot as well.", low=0.0, high=1.0)
    threads: int = setting(1, "Threads of torch.", low=1, high=64)
    seed: int = setting(2, "Seed of everything random.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)


def train(data: Path, out: Path, settings: TrainSettings | None = None, progress: Progress = _silent) -> Weights:
    """Train the event network.

    Parameters
    ----------
    data
        Folder that holds foot_healthy_10m.
    out
        Weights file to write (.npz); curves go beside it as .json and .png.
    settings
        Defaults when None.
    progress
        Called with the share done, 0 to 1, and a line about it.

    Raises
    ------
    InputError
        If the recordings are not there or `out` cannot be written.
    """
    import torch

    from gait_twin.events.training.model import SHARES, Network, losses

    s = settings or TrainSettings()
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder; make it, or name another file.")
    began = time.perf_counter()
    walks = load_part("train", data, progress=lambda share: progress(0.04 * share, "reading and simulating walks"))
    held = load_part("validation", data, progress=lambda share: progress(0.04 + 0.02 * share, "validation walks"))
    held_seen = [features(walk) for walk in held]
    rng = np.random.default_rng(s.seed)
    torch.manual_seed(s.seed)
    torch.set_num_threads(s.threads)
    network = Network()
    # What is kept is the mean of the weights over the last steps: it holds better on new people
    averaging: Any = torch.optim.swa_utils.get_ema_multi_avg_fn(EMA)  # type: ignore[no-untyped-call]
    mean = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging)
    kept: Any = mean.module
    optimiser = torch.optim.AdamW(network.parameters(), lr=s.learning_rate, weight_decay=1e-3)
    chunks = sum(2 * len(walk.time_s) // WINDOW for walk in walks)
    steps = max(1, chunks // s.batch)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.learning_rate, total_steps=s.epochs * steps, pct_start=0.1)
    curves: list[dict[str, float]] = []
    for epoch in range(s.epochs):
        pool = Pool([augmented(walk, rng) for walk in walks], s.virtual_share, rng)
        sums: dict[str, float] = dict.fromkeys(SHARES, 0.0)
        network.train()
        for _ in range(steps):
            x, wanted = pool.draw(s.batch, s.other_foot)
            parts = losses(network(torch.from_numpy(x)), {k: torch.from_numpy(v) for k, v in wanted.items()})
            total = torch.stack([SHARES[k] * parts[k] for k in SHARES]).sum()
            optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            plan.step()
            mean.update_parameters(network)
            for k in SHARES:
                sums[k] += float(parts[k].detach()) / steps
        row: dict[str, float] = {"epoch": epoch + 1, "seconds": time.perf_counter() - began, **sums}
        if epoch % 5 == 4 or epoch == s.epochs - 1:
            row |= event_f1(kept.weights({}), held, held_seen) | _held_losses(kept, held, held_seen)
        curves.append(row)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in row.items() if k not in ("epoch", "seconds"))
        progress(0.06 + 0.9 * (epoch + 1) / s.epochs, f"epoch {epoch + 1}: {shown}")
        _write_curves(out, curves)
    progress(0.97, "thresholds and confidences, on the validation walks")
    notes: dict[str, Any] = {
        "subjects": splits(),
        "settings": {k: getattr(s, k) for k in s.__dataclass_fields__},
        "data": "foot_healthy_10m (Voisard et al. 2023, IPOL article 497) and virtual subjects",
        **fit(kept.weights({}), held, held_seen),
    }
    weights = kept.weights(notes)
    weights.save(out)
    _draw_curves(out, curves)
    progress(1.0, f"{weights.count} parameters in {(time.perf_counter() - began) / 60.0:.1f} min")
    return weights


def _held_losses(network: Any, walks: list[Walk], seen: list[np.ndarray]) -> dict[str, float]:
    """Losses of the two events on recorded walks, both feet seen, nothing augmented."""
    import torch

    from gait_twin.events.training.model import losses

    network.eval()
    sums: dict[str, list[float]] = {"heel_strike": [], "toe_off": []}
    for walk, x in zip(walks, seen, strict=True):
        if walk.made:
            continue
        aims = targets(walk)
        own = np.concatenate([np.zeros((SPAN - 1, *x.shape[1:]), np.float32), x])
        both = np.stack([np.concatenate([own[:, f], own[:, 1 - f]], axis=1).T for f in range(2)])
        with torch.no_grad():
            wanted = {k: torch.from_numpy(v.swapaxes(0, 1).copy()) for k, v in aims.items()}
            parts = losses(network(torch.from_numpy(both)), wanted)
        for k, values in sums.items():
            values.append(float(parts[k]))
    return {f"held_{k}": float(np.mean(v)) for k, v in sums.items()}


def _write_curves(out: Path, curves: list[dict[str, float]]) -> None:
    out.with_suffix(".curves.json").write_text(json.dumps(curves, indent=1), encoding="utf-8")


def _draw_curves(out: Path, curves: list[dict[str, float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for axes, names in (
        (losses, [k for k in curves[-1] if k not in ("epoch", "seconds") and not k.startswith("f1_")]),
        (scores, [k for k in curves[-1] if k.startswith("f1_")]),
    ):
        for name in names:
            rows = [row for row in curves if name in row]
            axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=name)
        axes.set_xlabel("epoch")
        axes.legend()
    losses.set_yscale("log")
    losses.set_title("losses, training")
    scores.set_title("F1 at ±50 ms, validation subjects")
    figure.savefig(out.with_suffix(".curves.png"))


class Pool:
    """Windows drawn from walks, with their past (nothing before the first sample) and their targets."""

    def __init__(self, walks: list[tuple[Walk, np.ndarray]], virtual_share: float, rng: np.random.Generator) -> None:
        self._rng = rng
        self._walks = []
        for walk, seen in walks:
            x = np.zeros((len(seen) + SPAN - 1 + WINDOW, *seen.shape[1:]), np.float32)
            x[SPAN - 1 : SPAN - 1 + len(seen)] = seen
            self._walks.append((x, targets(walk)))
        lengths = np.array([len(walk.time_s) for walk, _ in walks], dtype=float)
        made = np.array([walk.made for walk, _ in walks])
        for part, share in ((made, virtual_share), (~made, 1.0 - virtual_share)):
            lengths[part] *= share / max(lengths[part].sum(), 1.0)
        self._shares = lengths / lengths.sum()

    def draw(self, count: int, other_foot: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(count, 2 CHANNELS, SPAN - 1 + WINDOW) inputs and what is wanted of the last WINDOW steps."""
        xs, wanted = [], []
        for k in self._rng.choice(len(self._walks), count, p=self._shares):
            x, aims = self._walks[k]
            n = len(aims["known"])
            start = int(self._rng.integers(-WINDOW // 4, max(n - WINDOW + WINDOW // 4, 1)))
            start = min(max(start, 0), max(n - WINDOW, 0))
            foot = int(self._rng.integers(2))
            part = x[start : start + SPAN - 1 + WINDOW]
            other = part[:, 1 - foot] if self._rng.random() < other_foot else np.zeros_like(part[:, 0])
            xs.append(np.concatenate([part[:, foot], other], axis=1).T)
            aim = {}
            for name, values in aims.items():
                cut = values[start : start + WINDOW, foot]
                if len(cut) < WINDOW:
                    pad = np.full((WINDOW - len(cut), *cut.shape[1:]), 0.0 if name == "known" else np.nan, np.float32)
                    cut = np.concatenate([cut, pad])
                aim[name] = cut
            wanted.append(aim)
        x = np.stack(xs)
        assert x.shape[1] == 2 * CHANNELS
        return x, {name: np.stack([aim[name] for aim in wanted]) for name in wanted[0]}
