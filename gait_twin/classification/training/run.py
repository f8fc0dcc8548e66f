"""The training loop: from cycles to a model with its calibration."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gait_twin.classification.channels import GROUPS
from gait_twin.classification.network import NONE, Model, Output
from gait_twin.classification.training.data import CycleSet
from gait_twin.classification.training.fitting import allowed, calibrated
from gait_twin.classification.training.masking import drawn
from gait_twin.classification.training.strange import strange
from gait_twin.errors import InputError
from gait_twin.settings import check, setting

Progress = Callable[[float, str], None]

OFFSET_RAD, SCALE, NOISE = 0.04, 0.05, 0.03
"""Augmentation: a sensor put on askew moves an angle's curve; a model's size is wrong; curves tremble (in SD)."""
EMA = 0.995


def silent(share: float, text: str) -> None:
    """No progress is shown."""
    del share, text


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train a classifier; the defaults made the shipped weights."""

    epochs: int = setting(50, "Passes over all walks, at most.", low=1, high=1000)
    steps: int = setting(
        800,
        "Steps of the optimiser, at most: the longer a network trains, the surer it is of gaits that it never saw.",
        low=1,
        high=1_000_000,
    )
    members: int = setting(3, "Networks that are averaged.", low=1, high=20)
    batch: int = setting(128, "Cycles a step of the optimiser.", low=2, high=4096)
    learning_rate: float = setting(3e-3, "Highest learning rate.", low=1e-6, high=0.1)
    weight_decay: float = setting(2e-2, "Decay of the weights.", low=0.0, high=1.0)
    strange_share: float = setting(
        0.3, "Share of cycles that are made into ones like no known gait, to learn what is unknown.", low=0.0, high=0.9
    )
    validation_share: float = setting(
        0.2, "Share of subjects that calibration and thresholds are fitted on.", low=0.01, high=0.5
    )
    threads: int = setting(1, "Threads of torch.", low=1, high=64)
    seed: int = setting(1, "Seed of everything random.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)


def train(data: CycleSet, name: str, settings: TrainSettings | None = None, progress: Progress = silent) -> Model:
    """Train a classifier.

    Parameters
    ----------
    data
        Cycles of labelled walks; a part of the subjects is kept apart for calibration and thresholds.
    name
        Of the model, as messages show it.
    settings
        Defaults when None.
    progress
        Called with the share done, 0 to 1, and a line about it.

    Raises
    ------
    InputError
        With fewer than two classes, or a class of fewer than two subjects.
    """
    s = settings or TrainSettings()
    train_part, held = split(data, s)
    began = time.perf_counter()
    model = blank(train_part, name)
    members = []
    for k in range(s.members):

        def told(share: float, text: str, k: int = k) -> None:
            progress((k + share) / s.members, f"network {k + 1}, {text}")

        members.append(_member(model, train_part, s, k, told))
    notes = {
        "settings": asdict(s),
        "subjects": {"train": len(train_part.subjects), "validation": len(held.subjects)},
        "walks": {"train": len(train_part.walks), "validation": len(held.walks)},
        "cycles": {"train": len(train_part), "validation": len(held)},
        "seconds": round(time.perf_counter() - began),
    }
    model = Model(**{**_parts(model), "members": tuple(members), "notes": notes})
    return calibrated(model, held)


def split(data: CycleSet, settings: TrainSettings) -> tuple[CycleSet, CycleSet]:
    """Training and validation walks, by subject and of every class in both.

    Raises
    ------
    InputError
        As `train` says.
    """
    if len(data.labels) < 2:
        raise InputError(f"There is one class, {', '.join(data.labels) or 'none'}; a classifier needs two or more.")
    rng = np.random.default_rng(settings.seed)
    held: set[str] = set()
    for label in data.labels:
        own = sorted({walk.subject for walk in data.walks if walk.label == label})
        if len(own) < 2:
            raise InputError(f"The class {label!r} has {len(own)} subject; give at least two, better ten.")
        wanted = max(1, round(settings.validation_share * len(own)))
        wanted -= len(held.intersection(own))
        rest = [subject for subject in own if subject not in held]
        held.update(str(one) for one in rng.permutation(rest)[: max(0, min(wanted, len(rest) - 1))])
    return data.of_subjects(set(data.subjects) - held), data.of_subjects(held)


def blank(data: CycleSet, name: str) -> Model:
    """A model without members: its classes, outputs and how inputs are standardised."""
    outputs = []
    for k, label in enumerate(data.labels):
        sided = any(walk.side for walk in data.walks if walk.label == label)
        outputs += [Output(k, leg) for leg in (("near", "far") if sided else ("",))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel that no one has is NaN, and made zero below
        curve_mean, curve_sd = np.nanmean(data.curves, axis=(0, 1)), np.nanstd(data.curves, axis=(0, 1))
        first = np.array([walk.label == data.labels[0] for walk in data.walks])[data.walk]
        usual = np.nanmean(data.curves[first], axis=0)
        number_mean, number_sd = np.nanmean(data.numbers, axis=0), np.nanstd(data.numbers, axis=0)
    return Model(
        name=name,
        labels=data.labels,
        outputs=(*outputs, NONE),
        members=(),
        curve_mean=np.nan_to_num(curve_mean).astype(np.float32),
        curve_sd=np.where(curve_sd > 1e-6, curve_sd, 1.0).astype(np.float32),
        number_mean=np.nan_to_num(number_mean).astype(np.float32),
        number_sd=np.where(number_sd > 1e-6, number_sd, 1.0).astype(np.float32),
        usual=usual.astype(np.float32),
    )


def _parts(model: Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in Model.__dataclass_fields__}


def _member(model: Model, data: CycleSet, s: TrainSettings, k: int, progress: Progress) -> dict[str, Any]:
    import torch

    from gait_twin.classification.training.network import Network

    torch.manual_seed(s.seed + 1000 * k)
    torch.set_num_threads(s.threads)
    rng = np.random.default_rng([s.seed, k])
    network = Network(len(model.outputs))
    mean = torch.optim.swa_utils.AveragedModel(network, avg_fn=_averaged)
    optimiser = torch.optim.AdamW(network.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay)
    steps = max(8, len(data) // s.batch)
    epochs = max(1, min(s.epochs, s.steps // steps))
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.learning_rate, total_steps=epochs * steps, pct_start=0.15)
    draws = _shares(data)
    right = _as_seen(model, data)
    none = np.array([output == NONE for output in model.outputs])
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for _ in range(steps):
            rows = rng.choice(len(data), s.batch, p=draws)
            made_up = round(s.strange_share * s.batch)
            wanted = right[rows]
            wanted[:made_up] = none
            logits = network(*_augmented(model, data, rows, made_up, rng))
            good = torch.from_numpy(wanted)
            loss = (logits.logsumexp(1) - logits.masked_fill(~good, -torch.inf).logsumexp(1)).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            plan.step()
            mean.update_parameters(network)
            total += float(loss.detach()) / steps
        progress((epoch + 1) / epochs, f"epoch {epoch + 1}: loss {total:.3f}")
    averaged: Any = mean.module
    return dict(averaged.member())


def _averaged(mean: Any, now: Any, count: Any) -> Any:
    """Mean of the weights over the last steps, which holds better on new people; short while there are few."""
    decay = min(EMA, (1.0 + float(count)) / (10.0 + float(count)))
    return decay * mean + (1.0 - decay) * now


def _shares(data: CycleSet) -> np.ndarray:
    """How often each cycle is drawn: classes alike, and in a class its walks alike."""
    labels = np.array([data.labels.index(walk.label) for walk in data.walks])
    walks = 1.0 / np.bincount(labels)[labels]
    shares = (walks / np.bincount(data.walk, minlength=len(data.walks)))[data.walk]
    return np.asarray(shares / shares.sum())


def _as_seen(model: Model, data: CycleSet) -> np.ndarray:
    """(n, o) outputs that are right for each cycle, as its near leg sees it."""
    swapped = [
        model.outputs.index(Output(o.label, {"": "", "near": "far", "far": "near"}[o.leg])) for o in model.outputs
    ]
    left = allowed(model, data)[data.walk]
    return np.where(data.right[:, None], left[:, swapped], left)


def _augmented(model: Model, data: CycleSet, rows: np.ndarray, made_up: int, rng: np.random.Generator) -> Any:
    """Inputs of some cycles, varied; the first `made_up` of them made into ones like no known gait."""
    import torch

    x, y, known = model.inputs(data.curves[rows], data.numbers[rows])
    if made_up:
        labels = np.array([data.labels.index(data.walks[w].label) for w in data.walk[rows[:made_up]]])
        x[:made_up] = strange(x[:made_up], labels, model.curve_sd, rng)
    n, c = len(rows), x.shape[2]
    offsets = np.concatenate([GROUPS[g] for g in ("angles", "pelvis", "trunk")])
    moved = np.zeros((n, 1, c), np.float32)
    moved[:, 0, offsets] = OFFSET_RAD * rng.standard_normal((n, len(offsets)), np.float32) / model.curve_sd[offsets]
    x = x * (1.0 + SCALE * rng.standard_normal((n, 1, c), np.float32)) + moved
    x = np.asarray(x + NOISE * rng.standard_normal(x.shape, np.float32), np.float32)
    channels, numbers = drawn(n, rng)
    known *= channels
    x *= known[:, None, :]
    y *= np.concatenate([numbers, numbers], axis=1)
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(known)
