"""``train``: the networks' weights, from recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_twin.cli.chosen import SetOption, choose, list_option
from gait_twin.cli.orthopaedic import train_orthopaedic
from gait_twin.cli.show import out as shown
from gait_twin.cli.show import progress, wrote
from gait_twin.errors import InputError

train_app = typer.Typer(
    name="train",
    help="Train anew: events, classifier, orthopaedic.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _settings() -> dict[str, Any]:
    from gait_twin.events.training import TrainSettings

    return {"train": TrainSettings()}


@train_app.command()
def events(
    data: Annotated[
        Path, typer.Option("--data", help="Folder that holds the recordings' folder foot_healthy_10m.")
    ] = Path(os.environ.get("GAIT_TWIN_DATA", "../shared/data")),
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write.")] = Path("events.npz"),
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over newly augmented walks.")] = None,
    folds: Annotated[
        Path | None, typer.Option("--folds", help="Folder for the networks of the cross-validation, too.")
    ] = None,
    settings: SetOption = None,
    listed: Annotated[bool, list_option(_settings)] = False,
) -> int:
    """Train the network that finds heel strikes and toe-offs.

    Learns from recorded and virtual walks and from feet that move without a step. Five networks are trained: one on
    everyone, whose weights are written, and one for each of four folds of people, left out of its training:
    thresholds and confidences are fitted on what these say of people they have never seen. Writes the weights, and
    beside them the curves as .json and .png. The defaults reproduce the shipped weights.

    [bold]Examples[/bold]

      gait-twin train events --data ../shared/data --out events.npz

      gait-twin train events --epochs 3 --out trial.npz --folds .
    """
    from gait_twin.events.training import TrainSettings, train

    del listed
    chosen: TrainSettings = choose(_settings(), settings or (), {"epochs": epochs})["train"]
    with progress("Training") as update:

        def step(share: float, text: str) -> None:
            update(share)
            if "epoch" in text:
                shown.print(f"[dim]{text}[/dim]", soft_wrap=True)

        weights = train(data, out, chosen, step, folds)
    shown.print(f"{weights.count} parameters")
    wrote(path for path in (out, out.with_suffix(".curves.json"), out.with_suffix(".curves.png")) if path.exists())
    return 0


def _classifier_settings() -> dict[str, Any]:
    from gait_twin.classification.training import TrainSettings

    return {"train": TrainSettings()}


@train_app.command()
def classifier(
    sessions: Annotated[
        list[Path] | None, typer.Argument(metavar="SESSIONS...", help="Bags or recordings that --labels names.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="CSV with session, label; and subject, side, sensor, site, ... where known."),
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="patterns: the shipped gait patterns.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write.")] = Path("classifier.npz"),
    name: Annotated[str, typer.Option("--name", help="Name of the model, as messages show it.")] = "",
    folds: Annotated[int, typer.Option("--folds", help="Parts of the cross-validation by subject.", min=2)] = 5,
    walks: Annotated[int | None, typer.Option("--walks", help="Virtual subjects of --preset patterns.")] = None,
    cache: Annotated[Path, typer.Option("--cache", help="Folder that keeps the virtual walks of --preset.")] = Path(
        "build/patterns"
    ),
    processes: Annotated[int, typer.Option("--processes", help="Virtual subjects that walk at once.", min=1)] = 2,
    settings: SetOption = None,
    listed: Annotated[bool, list_option(_classifier_settings)] = False,
) -> int:
    """Train a classifier of gaits: your own classes, or the shipped gait patterns anew.

    With --labels it is cross-validated by subject first: confusion, calibration, and a warning for everything beside
    the gait that the classes can be told from. Writes the weights and a card beside them; the classifier node and
    analyze take them by their setting model_path.

    [bold]Examples[/bold]

      gait-twin train classifier --labels labels.csv walks/* --out my_classes.npz

      gait-twin train classifier --preset patterns --out gait_patterns.npz
    """
    from gait_twin.cli.classes import patterns_trained, trained_on_labels

    del listed
    chosen = choose(_classifier_settings(), settings or (), {})["train"]
    if (preset is None) == (labels is None):
        raise InputError("Give either --labels with sessions, or --preset patterns.")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder; make it, or name another file.")
    if labels is not None:
        return trained_on_labels(labels, sessions or [], out, name or labels.stem, folds, chosen)
    if preset != "patterns":
        raise InputError(f"There is no preset {preset!r}; there is: patterns.")
    return patterns_trained(out, name or "gait_patterns", walks, cache, processes, chosen)


train_app.command("orthopaedic")(train_orthopaedic)
