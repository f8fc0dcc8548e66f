"""The training loop: from recordings to weights, with cross-validation by subject beside them.

A network is trained on all people but those of a fold, for each fold, and one on everyone. The first ones show how
well the network does on people never seen; from what they say of the people they were not trained on, thresholds
and confidences are fitted. The last one is shipped with these.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gait_twin.errors import InputError
from gait_twin.events.network import Weights
from gait_twin.events.training.augmentation import augmented, features
from gait_twin.events.training.fitting import event_f1, fit, outputs
from gait_twin.events.training.idle import fidgeting, sitting
from gait_twin.events.training.pool import WINDOW, Pool
from gait_twin.events.training.walks import Walk, patient, people, recorded, splits, trials, virtual
from gait_twin.settings import check, setting

EMA = 0.998
"""Decay of the mean of the weights: some five hundred steps."""
EVERYONE = -1
"""In place of a fold's number: nobody is left out."""

Progress = Callable[[float, str], None]


def _silent(share: float, text: str) -> None:
    del share, text


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train; the defaults made the shipped weights."""

    epochs: int = setting(20, "Passes over newly augmented walks.", low=1, high=1000)
    batch: int = setting(16, "Samples a step of the optimiser.", low=1, high=1024)
    learning_rate: float = setting(2e-3, "Highest learning rate.", low=1e-6, high=0.1)
    made_share: float = setting(0.25, "Share of samples of virtual subjects and idle feet.", low=0.0, high=1.0)
    other_foot: float = setting(0.6, "Share of samples that see the other foot as well.", low=0.0, high=1.0)
    workers: int = setting(2, "Networks trained at a time, each on one core.", low=1, high=64)
    seed: int = setting(2, "Seed of everything random.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Fitted:
    """A trained network's weights, without notes, and its losses and scores epoch by epoch."""

    weights: Weights
    curves: list[dict[str, float]]


def train(
    data: Path,
    out: Path,
    settings: TrainSettings | None = None,
    progress: Progress = _silent,
    folds: Path | None = None,
) -> Weights:
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
    folds
        Folder to write the networks of the cross-validation to (fold1.npz, …); not written when None.

    Raises
    ------
    InputError
        If the recordings are not there or `out` cannot be written.
    """
    s = settings or TrainSettings()
    for folder in (out.parent, folds):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is not a folder; make it, or name another.")
    walks = load_walks(data, lambda share: progress(0.05 * share, "reading and simulating walks"))
    jobs = [*range(len(splits()["folds"])), EVERYONE]
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(s.workers, mp_context=context) as pool:
        told = manager.Queue()
        running = {fold: pool.submit(fit_network, walks, fold, s, told.put) for fold in jobs}
        done = 0
        while not all(future.done() for future in running.values()) or not told.empty():
            try:
                text = told.get(timeout=0.5)
            except queue.Empty:
                continue
            done += 1
            progress(0.05 + 0.92 * done / (len(jobs) * s.epochs), text)
        fitted = {fold: future.result() for fold, future in running.items()}
    progress(0.98, "thresholds and confidences")
    weights = finish(walks, fitted, s, out, folds)
    progress(1.0, f"{weights.count} parameters")
    return weights


def load_walks(data: Path, progress: Callable[[float], None] = lambda _: None) -> list[Walk]:
    """Every person's walks, virtual ones, and idle feet."""
    split = splits()
    makers: list[Callable[[], Walk]] = [partial(recorded, path) for path in trials(data, people())]
    for make, part in ((virtual, "virtual"), (patient, "patient"), (fidgeting, "idle"), (sitting, "idle")):
        first, last = split[f"{part}_train"]
        makers += [partial(make, seed) for seed in range(first, last + 1)]
    walks = []
    for done, maker in enumerate(makers):
        walks.append(maker())
        progress((done + 1) / len(makers))
    return walks


def fit_network(
    walks: list[Walk], fold: int, settings: TrainSettings, tell: Callable[[str], None] = lambda _: None
) -> Fitted:
    """Train one network on all walks but those of a fold's people; `tell` gets a line an epoch."""
    import torch

    from gait_twin.events.training.model import SHARES, Network, losses

    s, began = settings, time.perf_counter()
    left_out = splits()["folds"][fold] if fold != EVERYONE else []
    held = [walk for walk in walks if walk.subject in left_out]
    held_seen = [features(walk) for walk in held]
    walks = [walk for walk in walks if walk.subject not in left_out]
    rng = np.random.default_rng(s.seed)
    torch.manual_seed(s.seed)
    torch.set_num_threads(1)
    network = Network()
    # What is kept is the mean of the weights over the last steps: it holds better on new people
    averaging: Any = torch.optim.swa_utils.get_ema_multi_avg_fn(EMA)  # type: ignore[no-untyped-call]
    mean = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging)
    kept: Any = mean.module
    optimiser = torch.optim.AdamW(network.parameters(), lr=s.learning_rate, weight_decay=1e-3)
    steps = max(1, sum(2 * len(walk.time_s) // WINDOW for walk in walks) // s.batch)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.learning_rate, total_steps=s.epochs * steps, pct_start=0.1)
    curves: list[dict[str, float]] = []
    for epoch in range(s.epochs):
        pool = Pool([augmented(walk, rng) for walk in walks], s.made_share, rng)
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
        if held and (epoch % 5 == 4 or epoch == s.epochs - 1):
            row |= event_f1(kept.weights({}), held, held_seen)
        curves.append(row)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in row.items() if k not in ("epoch", "seconds"))
        tell(f"{_name(fold)}, epoch {epoch + 1}: {shown}")
    return Fitted(kept.weights({}), curves)


def finish(
    walks: list[Walk], fitted: dict[int, Fitted], settings: TrainSettings, out: Path, folds: Path | None
) -> Weights:
    """Fit thresholds and confidences on people left out, and write weights and curves; gives those of everyone.

    A fold's own network gets what was fitted on the other folds' people.
    """
    split = splits()
    parts = []
    for fold, subjects in enumerate(split["folds"]):
        held = [walk for walk in walks if walk.subject in subjects]
        parts.append((held, outputs(fitted[fold].weights, [features(walk) for walk in held])))
    for fold in (*range(len(parts)), EVERYONE):
        others = [part for k, part in enumerate(parts) if k != fold]
        left_out = split["folds"][fold] if fold != EVERYONE else []
        notes = {
            "trained_on": sorted(set(people()) - set(left_out)),
            "left_out": left_out,
            "settings": {k: getattr(settings, k) for k in settings.__dataclass_fields__},
            "data": "foot_healthy_10m (Voisard et al. 2023, IPOL article 497) and virtual subjects",
            **fit([walk for held, _ in others for walk in held], [out for _, outs in others for out in outs]),
        }
        weights = fitted[fold].weights.noted(notes)
        if fold == EVERYONE:
            weights.save(out)
        elif folds is not None:
            weights.save(folds / f"{_name(fold).replace(' ', '')}.npz")
    curves = {_name(fold): network.curves for fold, network in fitted.items()}
    out.with_suffix(".curves.json").write_text(json.dumps(curves, indent=1), encoding="utf-8")
    _draw_curves(out, curves)
    return weights


def _name(fold: int) -> str:
    return "everyone" if fold == EVERYONE else f"fold {fold + 1}"


def _draw_curves(out: Path, curves: dict[str, list[dict[str, float]]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.0), layout="constrained")
    losses, strikes, offs = figure.subplots(1, 3)
    for who, rows in curves.items():
        for axes, name in ((losses, "heel_strike"), (strikes, "f1_heel_strike"), (offs, "f1_toe_off")):
            given = [row for row in rows if name in row]
            if given:
                axes.plot([row["epoch"] for row in given], [row[name] for row in given], label=who)
    for axes, title in (
        (losses, "loss of heel strikes, training"),
        (strikes, "heel strike F1 at ±50 ms, people left out"),
        (offs, "toe-off F1 at ±50 ms, people left out"),
    ):
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.legend()
    losses.set_yscale("log")
    figure.savefig(out.with_suffix(".curves.png"))
