"""``train``: the networks' weights, from recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_twin.cli.chosen import SetOption, choose, list_option
from gait_twin.cli.show import out as shown
from gait_twin.cli.show import progress, wrote

train_app = typer.Typer(
    name="train",
    help="Train the networks anew: events.",
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
