"""What ``train classifier`` does and shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gait_twin.cli.show import LOST, out, progress, say, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from gait_twin.classification.training import CycleSet, TrainSettings
    from gait_twin.classification.training.scores import WalkScores


def patterns_trained(
    out_path: Path, name: str, walks: int | None, cache: Path, processes: int, settings: TrainSettings
) -> int:
    """Make the shipped model anew."""
    from gait_twin.classification.training import train
    from gait_twin.classification.training.patterns import ABOUT, TRAINING, WALKS, generate

    with progress("Walking") as update:
        data = generate(TRAINING, walks or WALKS, cache, processes=processes, progress=update)
    out.print(f"{len(data.walks)} walks, {len(data)} gait cycles")
    with progress("Training") as update:
        model = train(data, name, settings, lambda share, text: _told(update, share, text))
    model.notes["about"] = ABOUT
    model.save(out_path)
    out.print(f"{model.count} parameters")
    wrote([out_path])
    return 0


def trained_on_labels(
    labels: Path, sessions: list[Path], out_path: Path, name: str, folds: int, settings: TrainSettings
) -> int:
    """Cross-validate a lab's own classes, warn, train on all of them, and write weights and card."""
    from gait_twin.classification.training import train
    from gait_twin.classification.training.card import card
    from gait_twin.classification.training.labels import labelled, read_labels
    from gait_twin.classification.training.scores import cross_validated, nuisances, warnings_of
    from gait_twin.cli.recordings import read

    if not sessions:
        raise InputError("There are no sessions; name the bags or recordings that the labels belong to.")
    rows = read_labels(labels)
    with progress("Walking through the sessions") as update:
        data, notices = labelled(rows, sessions, read, progress=update)
    fewest = min(len({w.subject for w in data.walks if w.label == label}) for label in data.labels)
    if fewest < 3:
        raise InputError(
            f"A class has {fewest} subject{'s' if fewest > 1 else ''}; cross-validation by subject takes three or more."
        )
    folds = min(folds, fewest)
    with progress("Cross-validating by subject") as update:

        def fit(part: CycleSet, k: int) -> object:
            return train(part, name, settings, lambda share, _: update((k + share) / (folds + 1)))

        scores, order = cross_validated(data, fit, folds, settings.seed)  # type: ignore[arg-type]
        model = train(data, name, settings, lambda share, _: update((folds + share) / (folds + 1)))
    found = nuisances(data)
    warned = warnings_of(data, found)
    out.print(confusion_table(scores))
    out.print(
        f"{len(order.walks)} walks of {len(order.subjects)} subjects, {folds} folds by subject: accuracy "
        f"{scores.accuracy:.3f}, balanced {scores.balanced_accuracy:.3f}, expected calibration error {scores.ece:.3f}"
    )
    if found:
        shown = table("told from", "balanced accuracy", "chance as good", title="Each thing beside the gait alone")
        for fact, accuracy, p in found:
            shown.add_row(fact, f"{accuracy:.2f}", f"p = {p:.3f}")
        out.print(shown)
    model.notes.update(
        cross_validation={
            "folds": folds,
            "accuracy": scores.accuracy,
            "balanced_accuracy": scores.balanced_accuracy,
            "expected_calibration_error": scores.ece,
            "confusion": scores.confusion.tolist(),
        },
        nuisances=[[fact, accuracy, p] for fact, accuracy, p in found],
        warnings=warned,
    )
    model.save(out_path)
    card_path = out_path.with_suffix(".md")
    card_path.write_text(card(model, data, scores, labels.name), encoding="utf-8")
    say(warned, "bold yellow", "warning:")
    say(notices, "bold yellow", "lost:")
    wrote([out_path, card_path])
    out.print(f"[dim]next:[/dim] gait-twin analyze IN --out OUT --set classifier.model_path={out_path}", soft_wrap=True)
    return LOST if notices else 0


def confusion_table(scores: WalkScores) -> Table:
    """Walks of each class by what they were taken for."""
    shown = table("class", *scores.labels, "recognised", title="Walks by what they were taken for")
    for label, row in zip(scores.labels, scores.confusion, strict=True):
        own = row[scores.labels.index(label)]
        shown.add_row(label, *(str(n) if n else "·" for n in row), f"{own / max(row.sum(), 1):.0%}")
    return shown


def _told(update: object, share: float, text: str) -> None:
    assert callable(update)
    update(share)
    if text.endswith("0") or "epoch 1:" in text:
        out.print(f"[dim]{text}[/dim]", soft_wrap=True)
