"""Gait patterns: the shipped classifier on virtual subjects that training and tuning never saw.

    python benchmarks/classification.py [--cache build/patterns] [--walks 450] [--hard 450] [--strangers 420]
        [--processes 2] [--weights FILE] [--leave-out] [--json FILE]

Subjects of other seeds, bodies, ways of walking, sensors and places of these than in training. Each walk goes through
virtual IMUs, sensor hub, event detector, step estimator and twin. Tables: by pattern, by severity, by sensors worn;
every sensor and every forward direction 15° off with one sensor missing; calibration; cost. How many walks with random
deviations that are none of the patterns (`simulation/random_patterns.py`) are called unknown; nothing was trained on
them. `--leave-out` also trains eight times without one pattern each, and counts how often that one is called unknown.
Walks are made where they are not in the cache, some 2.2 s of processor time each (the same for 720 training walks with
`--leave-out`); a network without a pattern takes a minute.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gait_twin.classification import Model, judge
from gait_twin.classification.cycles import Cycle
from gait_twin.classification.training import CycleSet, TrainSettings, train
from gait_twin.classification.training.fitting import in_sets
from gait_twin.classification.training.patterns import (
    STRANGE,
    STRANGERS,
    TEST,
    TRAINING,
    WALKS,
    Wearing,
    generate,
    without,
)
from gait_twin.classification.training.scores import WalkScores, expected_calibration_error, score
from gait_twin.recording import SEGMENTS, Side

console = Console(width=160)
LEFT_OUT = TrainSettings(members=1)
"""Of the eight trainings without a pattern: one network each, for time."""
HARD = TEST + 100_000
"""First seed of the walks with everything off and one sensor missing."""
SEVERITIES = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.001))


def table(title: str, *columns: str) -> Table:
    made = Table(*columns, title=title, title_justify="left")
    return made


def wilson(right: int, n: int) -> str:
    """95 % interval of a share."""
    if not n:
        return "-"
    p, z = right / n, 1.96
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{(middle - half) / (1 + z * z / n):.3f}-{min(1.0, (middle + half) / (1 + z * z / n)):.3f}"


def row(scores: WalkScores) -> dict[str, Any]:
    right = scores.guessed == scores.true
    return {
        "walks": len(right),
        "accuracy": scores.accuracy,
        "interval": wilson(int(right.sum()), len(right)),
        "ece": scores.ece,
        "unknown": float((scores.novelty > 1.0).mean()),
    }


def shown(title: str, rows: dict[str, dict[str, Any]]) -> None:
    made = table(title, "", "walks", "accuracy", "95 %", "ECE", "called unknown")
    for name, r in rows.items():
        made.add_row(
            name, str(r["walks"]), f"{r['accuracy']:.3f}", r["interval"], f"{r['ece']:.3f}", f"{r['unknown']:.3f}"
        )
    console.print(made)


def picked(scores: WalkScores, rows: np.ndarray) -> WalkScores:
    return WalkScores(
        scores.labels,
        scores.true[rows],
        scores.probabilities[rows],
        scores.novelty[rows],
        tuple(side for side, take in zip(scores.sides, rows, strict=True) if take),
    )


def by_pattern(scores: WalkScores) -> dict[str, dict[str, Any]]:
    return {label: row(picked(scores, scores.true == k)) for k, label in enumerate(scores.labels)}


def confusion(scores: WalkScores) -> None:
    made = table("Walks (rows) by what they were taken for", "", *(label[:10] for label in scores.labels))
    for label, counts in zip(scores.labels, scores.confusion, strict=True):
        made.add_row(label, *(str(n) if n else "·" for n in counts))
    console.print(made)


def cost_ms(model: Model, data: CycleSet) -> float:
    """Processor time of one cycle, one by one as live."""
    cycles = [
        Cycle(Side.RIGHT, 0.0, 1.0, data.curves[i], data.numbers[i], SEGMENTS) for i in range(min(200, len(data)))
    ]
    judge(model, cycles[:1])
    began = time.process_time()
    for cycle in cycles:
        judge(model, [cycle])
    return 1e3 * (time.process_time() - began) / len(cycles)


def cycles_scores(model: Model, data: CycleSet) -> WalkScores:
    """Each cycle as a walk of its own."""
    walks = tuple(data.walks[w] for w in data.walk)
    return score(model, CycleSet(data.curves, data.numbers, data.right, np.arange(len(data)), walks))


def of_strangers(model: Model, data: CycleSet) -> dict[str, Any]:
    """Share of random deviations that is called unknown, by how large they are."""
    scores = score(model, data)
    severity = np.array([walk.facts["severity"] for walk in data.walks])
    mixed = np.array(["of" in walk.facts for walk in data.walks])
    unknown = scores.novelty > 1.0
    return {
        "walks": len(unknown),
        "flagged": float(unknown.mean()),
        "flagged_mild": float(unknown[severity < 0.34].mean()),
        "flagged_severe": float(unknown[severity > 0.67].mean()),
        "flagged_free": float(unknown[~mixed].mean()),
        "flagged_mixed": float(unknown[mixed].mean()),
    }


def left_out(training: CycleSet, test: CycleSet, cache: Path) -> dict[str, Any]:
    """For each pattern: train without it, then ask about it; the threshold is the model's own."""
    found: dict[str, Any] = {}
    for pattern in training.labels[1:]:
        path = cache / f"without_{pattern}_{len(training.walks)}.npz"
        known, _ = without(pattern, training)
        if not path.exists():
            train(known, f"without {pattern}", LEFT_OUT).save(path)
        model = Model.load(path)
        rest, its = without(pattern, test)
        new, old = score(model, its), score(model, rest)
        severity = np.array([walk.facts["severity"] for walk in its.walks])
        found[pattern] = {
            "flagged": float((new.novelty > 1.0).mean()),
            "flagged_mild": float((new.novelty[severity < 0.34] > 1.0).mean()),
            "flagged_severe": float((new.novelty[severity > 0.67] > 1.0).mean()),
            "false_alarms": float((old.novelty > 1.0).mean()),
            "flagged_at_5_percent": float((new.novelty > np.quantile(old.novelty, 0.95)).mean()),
            "walks": len(its.walks),
        }
        console.print(f"without {pattern}: {found[pattern]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("build/patterns"))
    parser.add_argument("--walks", type=int, default=450)
    parser.add_argument("--hard", type=int, default=450)
    parser.add_argument("--strangers", type=int, default=420)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--leave-out", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    model = Model.load(given.weights)
    worn = Wearing(segments=SEGMENTS, frame_rate_hz=100.0)
    askew = Wearing(segments=SEGMENTS, askew_deg=15.0, one_missing=True, frame_rate_hz=100.0)
    test = generate(TEST, given.walks, given.cache, worn, given.processes)
    hard = generate(HARD, given.hard, given.cache, askew, given.processes)
    result: dict[str, Any] = {"model": model.name, "notes": model.notes}

    whole = score(model, test)
    result["patterns"] = {"all": row(whole)} | by_pattern(whole)
    shown("All eight sensors, by pattern", result["patterns"])
    confusion(whole)

    severity = np.array([walk.facts["severity"] for walk in test.walks])
    sick = whole.true != 0
    result["severity"] = {
        f"{low:.1f}-{min(high, 1.0):.1f}": row(picked(whole, sick & (severity >= low) & (severity < high)))
        for low, high in SEVERITIES
    }
    shown("The eight patterns by severity (0: the mildest that bears the name)", result["severity"])

    sets = {
        "feet": "feet alone (2)",
        "legs": "feet, shanks, thighs, pelvis (7)",
        "trunk": "and the trunk (8)",
    }
    scored = {sets[name]: score(model, part) for name, part in in_sets(test)}
    result["sensors"] = {name: row(one) for name, one in scored.items()}
    shown("By sensors worn", result["sensors"])

    off = score(model, hard)
    result["hard"] = {"all": row(off)} | by_pattern(off)
    shown("Every sensor and every forward direction 15° off, one of eight sensors missing", result["hard"])
    confusion(off)

    sided = np.array([bool(walk.side) for walk in test.walks]) & (whole.guessed == whole.true)
    right = [side == walk.side for side, walk in zip(whole.sides, test.walks, strict=True)]
    result["affected_side"] = float(np.mean(np.array(right)[sided]))
    alone = cycles_scores(model, test)
    result["one_cycle"] = {"accuracy": alone.accuracy, "ece": alone.ece}
    every = WalkScores.joined([*scored.values(), off])
    result["ece_all"] = expected_calibration_error(every.probabilities.max(axis=1), every.guessed == every.true)
    result["cost_ms"] = cost_ms(model, test)
    console.print(
        f"affected side right in {result['affected_side']:.3f} of the sided walks whose pattern is right; one cycle "
        f"alone: accuracy {alone.accuracy:.3f}, ECE {alone.ece:.3f}; ECE over all of these walks "
        f"{result['ece_all']:.3f}; "
        f"{result['cost_ms']:.2f} ms a cycle"
    )
    if given.strangers:
        strangers = generate(STRANGERS, given.strangers, given.cache, STRANGE, given.processes)
        result["strangers"] = of_strangers(model, strangers)
        console.print(f"random deviations: {result['strangers']}")
    if given.leave_out:
        training = generate(TRAINING, WALKS, given.cache, processes=given.processes)
        result["left_out"] = left_out(training, test, given.cache)
        made = table("Left out of training", "", "flagged", "mild", "severe", "false alarms", "flagged at 5 %")
        for pattern, r in result["left_out"].items():
            made.add_row(
                pattern,
                *(
                    f"{r[name]:.2f}"
                    for name in ("flagged", "flagged_mild", "flagged_severe", "false_alarms", "flagged_at_5_percent")
                ),
            )
        mean = np.mean([r["flagged"] for r in result["left_out"].values()])
        console.print(made)
        at_5 = np.mean([r["flagged_at_5_percent"] for r in result["left_out"].values()])
        alarms = np.mean([r["false_alarms"] for r in result["left_out"].values()])
        console.print(f"flagged on average: {mean:.3f} at {alarms:.3f} false alarms, {at_5:.3f} at 5 %")
        result["left_out_mean"] = {"flagged": float(mean), "false_alarms": float(alarms), "at_5_percent": float(at_5)}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
