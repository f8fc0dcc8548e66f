"""``train orthopaedic`` and ``screen``: healthy against orthopaedic from two foot sensors."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_twin.cli.recordings import read
from gait_twin.cli.show import busy, out, progress, report, table, wrote
from gait_twin.errors import InputError

_SCORES = ("subjects", "balanced_accuracy", "sensitivity", "specificity", "auc", "ece", "ece_if_calibrated")


def train_orthopaedic(
    data: Annotated[
        Path, typer.Option("--data", help="Folder that holds the recordings' folder foot_three_groups.")
    ] = Path(os.environ.get("GAIT_TWIN_DATA", "../shared/data")),
    out_path: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write.")] = Path("orthopaedic.json"),
) -> int:
    """Train the screening for orthopaedic gait anew, and print every score.

    All walks go through the chain of the live graph first. The defaults reproduce the shipped weights. The data and
    what is learned from it are not for commercial use (CC BY-NC-SA, Truong et al. 2019).

    [bold]Example[/bold]

      gait-twin train orthopaedic --data ../shared/data --out orthopaedic.json
    """
    from gait_twin.classification.training.orthopaedic import read as read_walks
    from gait_twin.classification.training.orthopaedic import trained

    path = data / "foot_three_groups" / "recordings_int16.npz"
    if not path.is_file():
        raise InputError(f"There is no {path}; give --data the folder above foot_three_groups.")
    with progress("Walking") as update:
        walks = read_walks(path, update)
    with busy("Training and cross-validating"):
        model, scores = trained(walks)
    names = ("n", "balanced", "sens.", "spec.", "AUC", "ECE", "at best")
    shown = table("by subject", *names, title="Healthy against orthopaedic")
    for name, row in scores.items():
        shown.add_row(name, f"{row['subjects']:.0f}", *(f"{row[key]:.3f}" for key in _SCORES[1:]))
    out.print(shown)
    model.save(out_path)
    wrote([out_path])
    return 0


def screen(
    walks: Annotated[list[Path], typer.Argument(metavar="WALKS...", help="Bags or recordings of one person.")],
    height_m: Annotated[float | None, typer.Option("--height", help="Body height, m; else the recording's.")] = None,
    model_path: Annotated[
        Path | None, typer.Option("--model", help="Weights of train orthopaedic; default: the shipped ones.")
    ] = None,
) -> int:
    """Screen walks for an orthopaedic gait, from two foot sensors. Research only: it diagnoses nobody.

    Learned from walks of 7 to 10 m out, a U-turn, and back. Age alone tells the groups of its data apart nearly as
    well: see docs/models/orthopaedic.md. Weights are not for commercial use.

    [bold]Example[/bold]

      gait-twin screen walk1 walk2 --height 1.72
    """
    import numpy as np

    from gait_twin.classification.orthopaedic import FEATURES, OrthopaedicModel, walk_features
    from gait_twin.classification.orthopaedic import screen as screened
    from gait_twin.service import analyze

    model = OrthopaedicModel.load(model_path)
    strides: list[Any] = []
    notices: list[str] = []
    losses: list[str] = []
    heights = []
    with progress("Analyzing") as update:
        for k, path in enumerate(walks):
            update(k / len(walks))
            analysis = analyze(read(path))
            strides.append(analysis.strides)
            notices += analysis.notices
            losses += analysis.losses
            heights.append(analysis.recording.subject.height_m)
    known = [height for height in heights if math.isfinite(height)]
    height = height_m or (known[0] if known else math.nan)
    found = screened(strides, height, model)
    if found is None:
        raise InputError("There are too few straight strides of both feet; give walks of 7 m or more.")
    features = np.array([walk_features(one, height) for one in strides])
    features = features[np.isfinite(features[:, 1])]
    said = np.mean(model.contributions(features), axis=0)
    shown = table("of the walk", "value", "usual", "speaks for orthopaedic", title="Mean of the walks")
    with np.errstate(all="ignore"):
        values = np.array([column[np.isfinite(column)].mean() for column in features.T])
    for name, value, mean, share in zip(FEATURES, values, model.mean, said, strict=True):
        shown.add_row(name, f"{value:.3f}", f"{mean:.3f}", f"{share:+.2f}")
    out.print(shown)
    label = "unlike the walks that it knows" if found.unknown else f"{found.label}, {found.probabilities.max():.0%}"
    out.print(f"{label} ({found.cycles} strides)")
    return report(dict.fromkeys(notices), dict.fromkeys(losses))
