"""Gait events of the network beside the classical detector's and a plain baseline's, on people it was not trained on.

    python benchmarks/events.py [--data DIR] [--folds DIR] [--quick] [--json FILE]

The shipped weights have learned from everyone in foot_healthy_10m; here each person is scored with the network of
the fold that leaves that person out (benchmarks/event_folds, written by `gait-twin train events --folds`). Fold 1 are
the test subjects, on whom no setting was chosen. The same frames go to every detector; one scorer takes off each
event kind's constant bias. Also: delay against accuracy, persons, elderly, turns and ends of walks apart, any
mounting, frame rates, one foot alone, virtual subjects, false events while standing, sitting and fidgeting, phase,
confidence, and cost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from event_cases import (
    FOLDS,
    BaselineDetector,
    Found,
    Make,
    Trial,
    agreement,
    all_trials,
    detect,
    one_foot,
    run,
    scores,
    turned,
    walk_frames,
)
from rich.console import Console
from rich.table import Table
from scoring import event_scores, matched

from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.events.network import Weights
from gait_twin.events.neural import NeuralDetector
from gait_twin.events.training.idle import fidgeting, sitting
from gait_twin.events.training.walks import frames_of, patient, splits, virtual
from gait_twin.recording import BodyFrames, EventKind, Side

console = Console(width=180)
LOOK_AHEADS_S = (0.0, 0.02, 0.04, 0.06, 0.08)
ELDERLY = 65
COLUMNS = ("who", "event", "bias ms", "F1 ±50 ms", "F1 ±100 ms", "labels", "missed", "false", "median ms", "p95 ms",
           "delay ms median / p95")  # fmt: skip
Results = dict[str, Any]


def table(title: str, columns: tuple[str, ...] = COLUMNS) -> Table:
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column)
    return made


def add(made: Table, who: str, result: Results) -> Results:
    for kind in EventKind:
        s = result[kind.value]
        made.add_row(
            who,
            kind.value,
            f"{s['bias_ms']:+.1f}",
            f"{s['f1_50ms']:.4f}",
            f"{s['f1_100ms']:.4f}",
            *(str(s[k]) for k in ("labels", "missed", "false")),
            f"{s['median_ms']:.1f}",
            f"{s['p95_ms']:.1f}",
            f"{s['delay_median_ms']:.0f} / {s['delay_p95_ms']:.0f}",
        )
    return result


def people(held: list[Trial], network: Callable[..., Make], makers: dict[str, Make]) -> tuple[Results, Found]:
    """Main tables: test subjects, everyone, persons, and places; and what the network found of everyone."""
    result: Results = {}
    test = [t for t in held if t.fold == 0]
    made = table(f"Test subjects {splits()['folds'][0]} (network trained on the other nine)")
    for who, make in makers.items():
        result[f"test, {who}"] = add(made, who, scores(test, run(test, make)))
    for look_ahead_s in LOOK_AHEADS_S:
        who = f"network, look-ahead {1e3 * look_ahead_s:.0f} ms"
        result[f"test, {who}"] = add(made, who, scores(test, run(test, network(look_ahead_s))))
    console.print(made)
    found = {who: run(held, make) for who, make in makers.items()}
    made = table("Everyone, each by a network that has not seen them (the classical detector was made on odd numbers)")
    for who in makers:
        result[f"everyone, {who}"] = add(made, who, scores(held, found[who]))
    mine = found["network"]
    for look_ahead_s in LOOK_AHEADS_S:
        who = f"network, look-ahead {1e3 * look_ahead_s:.0f} ms"
        result[f"everyone, {who}"] = add(made, who, scores(held, run(held, network(look_ahead_s))))
    for name, part in (("test", test), ("everyone", held)):
        who = f"network, {name}: labels' own offset by trial and foot off"
        result[who] = add(made, who, scores(part, mine, own_offsets=True))
    for name, part in (
        (f"elderly (from {ELDERLY} y)", [t for t in held if t.age >= ELDERLY]),
        ("younger", [t for t in held if t.age < ELDERLY]),
    ):
        for who in makers:
            result[f"{name}, {who}"] = add(made, f"{name}, {who}", scores(part, found[who]))
    console.print(made)
    made = table("Person by person")
    for subject in sorted({t.subject for t in held}):
        part = [t for t in held if t.subject == subject]
        for who in ("classical", "network"):
            name = f"{subject} ({part[0].age} y), {who}"
            result[name] = add(made, name, scores(part, found[who]))
    console.print(made)
    made = table("By place, everyone", ("who", "event", "place", "labels", "missed", "false", "F1 ±50 ms"))
    for who in makers:
        for kind in EventKind:
            for place, row in result[f"everyone, {who}"][kind.value]["places"].items():
                counts = (str(row[k]) for k in ("labels", "missed", "false"))
                made.add_row(who, kind.value, place, *counts, f"{row['f1_50ms']:.4f}")
    console.print(made)
    made = table(
        "Labels that the network misses, everyone, ±50 ms",
        ("event", "place", "missed", "another meets", "another with us"),
    )
    result["missed labels"] = agreement(held, found, "network")
    for kind_name, places in result["missed labels"].items():
        for place, row in places.items():
            made.add_row(kind_name, place, *(str(row[k]) for k in ("missed", "label", "event")))
    console.print(made)
    return result, mine


def conditions(test: list[Trial], network: Make) -> Results:
    made, result = table("The network under other conditions, test subjects"), {}
    changes: dict[str, Callable[[Trial], BodyFrames]] = {"sensors turned at random": turned}
    for rate_hz in (50.0, 200.0, 400.0):
        changes[f"frames at {rate_hz:.0f} Hz"] = lambda t, r=rate_hz: frames_of(t.recording, r)
    for foot in ("calcn_l", "calcn_r"):
        changes[f"{foot} alone"] = lambda t, s=foot: one_foot(t.frames, s)
    for name, change in changes.items():
        result[name] = add(made, name, scores(test, run(test, network, change)))
    console.print(made)
    return result


def phase_errors(held: list[Trial], found: Found) -> dict[str, float]:
    """Error of the phase at each frame inside labelled strides, in per cent of the stride."""
    errors, frames, inside = [], 0, 0
    for trial in held:
        for side in Side:
            mine = [p for p in found[trial.name][1] if p.side is side]
            t, phase = np.array([p.time_s for p in mine]), np.array([p.phase for p in mine])
            for a, b in itertools.pairwise(trial.labels[side, EventKind.HEEL_STRIKE]):
                rows = (t >= a) & (t < b)
                if b - a > 2.0:
                    continue
                error = phase[rows] - (t[rows] - a) / (b - a)
                inside += int(rows.sum())
                error = error[np.isfinite(error)]
                frames += len(error)
                errors += list(np.abs((error + 0.5) % 1.0 - 0.5))
    return {
        "median_pct": 100.0 * float(np.median(errors)),
        "p95_pct": 100.0 * float(np.percentile(errors, 95)),
        "given_pct": 100.0 * frames / inside,
    }


def reliability(held: list[Trial], found: Found, biases_s: dict[EventKind, float]) -> list[dict[str, float]]:
    """Share of events that met a label (±50 ms), by their confidence."""
    rows = []
    for trial in held:
        for kind, side in itertools.product(EventKind, Side):
            mine = trial.inside(found[trial.name][0], side, kind)
            at = np.array([e.time_s for e in mine]) - biases_s[kind]
            hits = {j for _, j in matched(trial.labels[side, kind], at, 0.05)}
            rows += [(e.confidence, j in hits) for j, e in enumerate(mine)]
    confidence, real = np.array(rows, dtype=float).T
    bins = []
    for low, high in itertools.pairwise([0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0001]):
        part = (confidence >= low) & (confidence < high)
        if part.any():
            bins.append({"n": int(part.sum()), "said": float(confidence[part].mean()), "was": float(real[part].mean())})
    return bins


def confidence_table(held: list[Trial], results: dict[str, tuple[Found, Results]]) -> Results:
    made, result = table("Confidence", ("who", "events", "said", "share that met a label within 50 ms")), {}
    for who, (found, row) in results.items():
        biases_s = {kind: row[kind.value]["bias_ms"] / 1e3 for kind in EventKind}
        result[who] = reliability(held, found, biases_s)
        for b in result[who]:
            made.add_row(who, str(b["n"]), f"{b['said']:.3f}", f"{b['was']:.3f}")
    console.print(made)
    return result


def idle(held: list[Trial], makers: dict[str, Make]) -> Results:
    """False events a foot's minute: standing before each walk, virtual standing, and feet that move without a step."""
    result: Results = {}
    first, last = splits()["idle_test"]
    still = [walk_frames(virtual(s, 124.0, standing_start_s=120.0))[: 119 * 100] for s in (51, 52, 53)]
    made_up = {
        "virtual standing": still,
        "fidgeting": [walk_frames(fidgeting(s, 120.0)) for s in range(first, last + 1)],
        "sitting: taps, bounces, swings": [walk_frames(sitting(s, 120.0)) for s in range(first, last + 1)],
    }
    made = table("False events while not walking", ("who", "where", "events", "feet's minutes", "per minute"))
    for who, make in makers.items():
        starts = {t.name: min(min(x) for x in t.labels.values() if len(x)) - 0.7 for t in held}
        early = sum(e.time_s < starts[t.name] for t in held for e in detect(make(t), t.frames)[0])
        rows = {"standing before walks": (early, 2 * sum(starts.values()) / 60.0)}
        for where, parts in made_up.items():
            minutes = 2 * sum(len(f) for f in parts) / 6000.0
            rows[where] = (sum(len(detect(make(held[0]), f)[0]) for f in parts), minutes)
        result[who] = rows
        for where, (n, minutes) in rows.items():
            made.add_row(who, where, str(n), f"{minutes:.1f}", f"{n / minutes:.2f}")
    console.print(made)
    return result


def virtual_subjects(trial: Trial, makers: dict[str, Make]) -> Results:
    made, result = table("Virtual subjects and patients unseen in training (exact events), mounting at random"), {}
    walks = {}
    for name, simulated, part in (("subjects", virtual, "virtual_test"), ("patients", patient, "patient_test")):
        first, last = splits()[part]
        walks[name] = [simulated(seed) for seed in range(first, last + 1)]
    for (name, them), (who, make) in itertools.product(walks.items(), makers.items()):
        cases, delays = defaultdict(list), defaultdict(list)
        for walk in them:
            events, _ = detect(make(trial), walk_frames(walk))
            for (side, kind), labels in walk.events.items():
                cases[kind].append((labels, np.array([e.time_s for e in events if e.side is side and e.kind is kind])))
            for e in events:
                delays[e.kind].append(1e3 * e.delay_s)
        row = {
            kind.value: event_scores(cases[kind])
            | {
                "delay_median_ms": float(np.median(delays[kind])),
                "delay_p95_ms": float(np.percentile(delays[kind], 95)),
            }
            for kind in EventKind
        }
        result[f"{name}, {who}"] = add(made, f"{name}, {who}", row)
    console.print(made)
    return result


def cost(trial: Trial, makers: dict[str, Make]) -> Results:
    """One core's time for both feet at 100 Hz, whole and frame by frame."""
    result = {}
    for who, make in makers.items():
        detector = make(trial)
        began = time.process_time()
        detector.update(trial.frames)
        whole = time.process_time() - began
        detector, taken = make(trial), []
        for i in range(len(trial.frames)):
            began = time.perf_counter()
            detector.update(trial.frames[i : i + 1])
            taken.append(1e3 * (time.perf_counter() - began))
        result[who] = {
            "times_real_time": len(trial.frames) / 100.0 / whole,
            "frame_median_ms": float(np.median(taken)),
            "frame_p99_ms": float(np.percentile(taken, 99)),
        }
    console.print({who: {k: round(v, 3) for k, v in row.items()} for who, row in result.items()})
    return result


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", root / "../shared/data")))
    parser.add_argument("--folds", type=Path, default=FOLDS, help="folder of the networks of cross-validation")
    parser.add_argument("--quick", action="store_true", help="people's tables only")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    weights = [Weights.load(args.folds / f"fold{k + 1}.npz") for k in range(len(splits()["folds"]))]
    for fold, subjects in enumerate(splits()["folds"]):
        assert weights[fold].notes["left_out"] == subjects, "networks of other folds"
    held = all_trials(args.data)

    def network(look_ahead_s: float = DetectorSettings().look_ahead_s) -> Make:
        return lambda trial: NeuralDetector(look_ahead_s, weights=weights[trial.fold])

    streaming: dict[str, Make] = {
        "classical": lambda _: EventDetector(DetectorSettings(detector="classical")),
        "network": network(),
    }
    makers: dict[str, Make] = {"plain baseline (offline)": lambda _: BaselineDetector()} | streaming
    results: Results = {"folds": splits()["folds"]}
    results["people"], mine = people(held, network, makers)
    test = [t for t in held if t.fold == 0]
    results["confidence"] = confidence_table(held, {
        "network": (mine, results["people"]["everyone, network"]),
        **{
            f"network, look-ahead {1e3 * s:.0f} ms": (
                run(held, network(s)), results["people"][f"everyone, network, look-ahead {1e3 * s:.0f} ms"]
            )
            for s in (0.0, 0.02)
        },
    })  # fmt: skip
    if not args.quick:
        results["conditions"] = conditions(test, network())
        results["virtual"] = virtual_subjects(test[0], streaming)
        results["idle"] = idle(held, streaming)
        results["phase"] = {who: phase_errors(held, run(held, make)) for who, make in streaming.items()}
        console.print({who: {k: round(v, 2) for k, v in row.items()} for who, row in results["phase"].items()})
        results["cost"] = cost(test[0], streaming)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, default=float))
        console.print(f"Figures written to {args.json}.")


if __name__ == "__main__":
    main()
