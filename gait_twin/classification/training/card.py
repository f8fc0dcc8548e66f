"""The card of a classifier trained on a lab's own labels."""

from __future__ import annotations

from collections import Counter

from gait_twin.classification.network import Model
from gait_twin.classification.training.data import CycleSet
from gait_twin.classification.training.scores import WalkScores


def card(model: Model, data: CycleSet, scores: WalkScores, labels: str) -> str:
    """Markdown: what the model is, its data, and its scores by subjects that it had not seen.

    Parameters
    ----------
    model
        Trained on all of the data, with ``notes`` of its training and cross-validation.
    data
        All walks.
    scores
        Of the cross-validation.
    labels
        Name of the table of labels.
    """
    notes = model.notes
    about = (
        f"Names {', '.join(model.labels)} from gait cycles, by {len(model.members)} networks of {model.count} "
        "parameters in all; what they see and how they are calibrated is in gait_twin's docs/classification.md."
    )
    how = (
        f"Cross-validated in {notes['cross_validation']['folds']} parts by subject; the weights were then trained on "
        "all walks."
    )
    lines = [
        f"# Model card: {model.name}",
        "",
        about,
        "",
        "## Data",
        "",
        f"{len(data.walks)} walks of {len(data.subjects)} subjects, {len(data)} gait cycles, labelled in {labels}.",
        "",
        "| class | subjects | walks |",
        "|---|---|---|",
    ]
    counts = Counter(walk.label for walk in data.walks)
    for label in data.labels:
        subjects = {walk.subject for walk in data.walks if walk.label == label}
        lines.append(f"| {label} | {len(subjects)} | {counts[label]} |")
    lines += [
        "",
        "## Scores",
        "",
        how,
        "",
        f"- accuracy over walks {scores.accuracy:.3f}, balanced {scores.balanced_accuracy:.3f}",
        f"- expected calibration error {scores.ece:.3f}",
        "",
        f"| true, taken for | {' | '.join(scores.labels)} |",
        f"|---|{'---|' * len(scores.labels)}",
    ]
    for label, row in zip(scores.labels, scores.confusion, strict=True):
        lines.append(f"| {label} | {' | '.join(str(n) for n in row)} |")
    lines += ["", "## What else tells the classes apart", ""]
    if notes.get("nuisances"):
        lines += ["| alone | balanced accuracy | chance as good |", "|---|---|---|"]
        lines += [f"| {name} | {accuracy:.2f} | p = {p:.3f} |" for name, accuracy, p in notes["nuisances"]]
        lines += ["", *(f"**{sentence}**" for sentence in notes["warnings"])]
    else:
        lines.append("Nothing else was told of the walks.")
    lines += ["", "## Training", "", f"Settings: {notes['settings']}.", ""]
    return "\n".join(lines)
