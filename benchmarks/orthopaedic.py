#!/usr/bin/env python3
"""The shipped orthopaedic screening on healthy people of another study, and strides found against labelled movements.

The 13 healthy adults of Voisard et al. 2023 wore the same brand of sensors on the same way (10 m out, U-turn, back);
their accelerations came with gravity. The screening has never seen them: to be called orthopaedic is a false alarm.
Labelled movements are those of Truong et al. 2019; one counts as found where a stride's toe-off lies within it.

    python benchmarks/orthopaedic.py [--data ../shared/data] [--every 10] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from gait_twin.classification.orthopaedic import OrthopaedicModel, walk_features
from gait_twin.classification.training.orthopaedic import BRAND, GROUPS, strides_of
from gait_twin.recording import Side
from gait_twin.recording.importers import IMPORTERS, find_importer
from gait_twin.recording.importers.foot_three_groups import RATE_HZ, collection, movements


def healthy(data: Path) -> list[dict[str, float]]:
    """Age and probability of ``orthopaedic`` of each healthy subject, over all walks."""
    model = OrthopaedicModel.load()
    odds, ages = defaultdict(list), {}
    for path in sorted((data / "foot_healthy_10m").glob("*-*.json")):
        recording = find_importer(path).load(path)
        features = walk_features(strides_of(recording), recording.subject.height_m)
        subject = int(path.stem.split("-")[0])
        ages[subject] = float(json.loads(path.read_text())["Age"])
        if np.isfinite(features[1]):
            odds[subject].append(float(model.log_odds(features)))
    return [
        {"subject": s, "age": ages[s], "walks": len(odds[s]), "probability": 1.0 / (1.0 + np.exp(-np.mean(odds[s])))}
        for s in sorted(odds)
    ]


def labelled(data: Path, every: int) -> dict[str, float]:
    """Share of labelled movements that a stride was found for, over every so many walks."""
    path = data / "foot_three_groups" / "recordings_int16.npz"
    held = collection(path)
    codes = [c for c, one in held.trials.items() if one["Sensor"] == BRAND and one["PathologyGroup"] in GROUPS][::every]
    moves, found, whole = 0, 0, 0
    for code in codes:
        strides = strides_of(IMPORTERS["foot_three_groups"].load(path, trial=code))
        whole += len(strides) == 0
        for side in Side:
            offs = np.array([s.toe_off_s for s in strides if s.side is side])
            # the first and the last movement are no strides between two heel strikes
            for begin, end in movements(held.trials[code], side)[1:-1] / RATE_HZ:
                moves += 1
                found += bool(((offs > begin - 0.1) & (offs < end)).any())
    return {"walks": len(codes), "walks_without_strides": whole, "movements": moves, "found": found / max(moves, 1)}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", "../shared/data")))
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    people, moves = healthy(args.data), labelled(args.data, args.every)
    table = Table("subject", "age", "walks", "probability of orthopaedic", title="Healthy people of another study")
    for one in people:
        table.add_row(*(f"{one[k]:.0f}" for k in ("subject", "age", "walks")), f"{one['probability']:.2f}")
    console = Console()
    console.print(table)
    right = sum(one["probability"] < 0.5 for one in people)
    console.print(f"{right} of {len(people)} are called healthy")
    console.print(
        f"{100 * moves['found']:.1f} % of {moves['movements']} labelled movements in {moves['walks']} walks have a "
        f"stride; {moves['walks_without_strides']} walks have none"
    )
    if args.json:
        args.json.write_text(json.dumps({"healthy": people, "movements": moves}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
