"""Gait events of the network beside the classical detector's, on subjects that neither was made with.

    python benchmarks/events.py [--data DIR] [--fold 1] [--weights FILE] [--json FILE]

Test subjects of gait_twin/events/training/splits.json; the same frames go to every detector, and one scorer takes
off each event kind's constant bias. Also: delay against accuracy, persons apart, any mounting, frame rates, one
foot alone, virtual subjects, false events while standing and fidgeting, phase, confidence, and cost.
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
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation
from scoring import event_scores, matched

from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.events.network import Weights
from gait_twin.events.neural import NeuralDetector
from gait_twin.events.training.idle import fidgeting
from gait_twin.events.training.walks import frames_of, splits, trials, virtual
from gait_twin.recording import BodyFrames, EventKind, Side, SlotStatus
from gait_twin.recording.importers import find_importer

console = Console(width=180)
Make = Callable[[], Any]
LOOK_AHEADS_S = (0.0, 0.02, 0.04, 0.05, 0.06, 0.08)


class Trial:
    """Frames and labels of one recording."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.recording = find_importer(path).load(path)
        meta = json.loads(path.read_text())
        self.subject, self.age = meta["Subject"], meta["Age"]
        self.start_s, self.end_s = (i / 100.0 for i in meta["TrialBoundaries"])
        self.frames = frames_of(self.recording)
        self.labels = {
            (side, kind): np.array(
                [
                    e.time_s
                    for e in self.recording.truth.events
                    if e.side is side and e.kind is kind and e.time_s <= self.end_s + 0.1
                ]
            )
            for side in Side
            for kind in EventKind
        }


def detect(make: Make, frames: BodyFrames) -> tuple[list, list]:
    detector = make()
    events, phases = detector.update(frames)
    more, last = detector.flush()
    return events + more, phases + last


def found(events: list, side: Side, kind: EventKind, start_s: float, end_s: float) -> np.ndarray:
    near = (e.time_s for e in events if e.side is side and e.kind is kind)
    return np.array([t for t in near if start_s - 0.5 < t < end_s + 0.5])


def scores(trials_: list[Trial], make: Make, change: Callable[[Trial], BodyFrames] | None = None) -> dict[str, Any]:
    """Scores of each kind, events of each trial, and their delays."""
    result: dict[str, Any] = {"events": {}}
    cases, delays = defaultdict(list), defaultdict(list)
    for trial in trials_:
        events, phases = detect(make, change(trial) if change else trial.frames)
        result["events"][trial.name] = events, phases
        for kind in EventKind:
            for side in Side:
                if any(e.side is side for e in events):
                    cases[kind].append(
                        (trial.labels[side, kind], found(events, side, kind, trial.start_s, trial.end_s))
                    )
            delays[kind] += [e.delay_s for e in events if e.kind is kind]
    for kind in EventKind:
        late = 1e3 * np.array(delays[kind] or [np.nan])
        result[kind.value] = event_scores(cases[kind]) | {
            "delay_median_ms": float(np.median(late)),
            "delay_p95_ms": float(np.percentile(late, 95)),
        }
    return result


COLUMNS = ("who", "event", "bias ms", "F1 ±50 ms", "F1 ±100 ms", "labels", "missed", "false", "median ms", "p95 ms",
           "delay ms median / p95")  # fmt: skip


def table(title: str, columns: tuple[str, ...] = COLUMNS) -> Table:
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column)
    return made


def add(made: Table, who: str, result: dict[str, Any]) -> dict[str, Any]:
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
    return {kind.value: result[kind.value] for kind in EventKind}


def turned(trial: Trial) -> BodyFrames:
    """The frames as if each sensor sat turned some way on its foot."""
    f = trial.frames
    acc, gyr = f.acc_mps2.copy(), f.gyr_radps.copy()
    for column in range(len(f.segments)):
        turn = Rotation.random(rng=np.random.default_rng(len(trial.name) + 17 * column + trial.subject))
        acc[:, column], gyr[:, column] = turn.apply(acc[:, column]), turn.apply(gyr[:, column])
    return BodyFrames(f.segments, f.time_s, acc, gyr, f.quat_wxyz, f.body_quat_wxyz, f.status)


def phase_errors(trials_: list[Trial], result: dict[str, Any]) -> dict[str, float]:
    """Error of the phase at each frame inside labelled strides, in per cent of the stride."""
    errors, frames, inside = [], 0, 0
    for trial in trials_:
        _, phases = result["events"][trial.name]
        for side in Side:
            mine = [p for p in phases if p.side is side]
            t, phase = np.array([p.time_s for p in mine]), np.array([p.phase for p in mine])
            strikes = trial.labels[side, EventKind.HEEL_STRIKE]
            for a, b in itertools.pairwise(strikes):
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


def reliability(trials_: list[Trial], result: dict[str, Any]) -> list[dict[str, float]]:
    """Share of events that met a label (±50 ms), by their confidence."""
    rows = []
    for trial in trials_:
        events, _ = result["events"][trial.name]
        for kind in EventKind:
            for side in Side:
                mine = [e for e in events if e.side is side and e.kind is kind
                        and trial.start_s - 0.5 < e.time_s < trial.end_s + 0.5]  # fmt: skip
                at = np.array([e.time_s for e in mine]) - result[kind.value]["bias_ms"] / 1e3
                hits = {j for _, j in matched(trial.labels[side, kind], at, 0.05)}
                rows += [(e.confidence, j in hits) for j, e in enumerate(mine)]
    confidence, real = np.array(rows, dtype=float).T
    edges = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0001]
    bins = []
    for low, high in itertools.pairwise(edges):
        part = (confidence >= low) & (confidence < high)
        if part.any():
            bins.append({"n": int(part.sum()), "said": float(confidence[part].mean()), "was": float(real[part].mean())})
    return bins


def walk_frames(walk: Any) -> BodyFrames:
    n = len(walk.time_s)
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (n, 2, 1))
    valid = np.isfinite(walk.gyr_radps).all(axis=2)
    status = np.where(valid, int(SlotStatus.VALID), 0).astype(np.uint8)
    return BodyFrames(("calcn_l", "calcn_r"), walk.time_s, walk.acc_mps2, walk.gyr_radps, quat, quat, status)


def idle(trials_: list[Trial], makers: dict[str, Make]) -> dict[str, Any]:
    """False events a foot's minute: standing before each walk, virtual standing, feet that fidget."""
    result: dict[str, Any] = {}
    stand = [walk_frames(virtual(s, 124.0, standing_start_s=120.0)) for s in (51, 52, 53)]
    fidget = [walk_frames(fidgeting(s, 120.0)) for s in (90, 91, 92, 93, 94)]
    for who, make in makers.items():
        before = sum(min(*(min(x) for x in t.labels.values() if len(x)), 99.0) - 0.7 for t in trials_) / 60.0
        early = 0
        for trial in trials_:
            first = min(min(x) for x in trial.labels.values() if len(x))
            early += sum(e.time_s < first - 0.7 for e in detect(make, trial.frames)[0])
        result[who] = {
            "standing before walks": (early, 2 * before),
            "virtual standing": (sum(len(detect(make, f[: 119 * 100])[0]) for f in stand), 2 * 3 * 119 / 60),
            "fidgeting": (sum(len(detect(make, f)[0]) for f in fidget), 2 * 5 * 2.0),
        }
    made = table("False events while not walking", ("who", "where", "events", "feet's minutes", "per minute"))
    for who, rows in result.items():
        for where, (n, minutes) in rows.items():
            made.add_row(who, where, str(n), f"{minutes:.1f}", f"{n / minutes:.2f}")
    console.print(made)
    return result


def virtual_subjects(makers: dict[str, Make]) -> dict[str, Any]:
    first, last = splits()["virtual_test"]
    walks = [virtual(seed) for seed in range(first, last + 1)]
    made, result = table("Virtual subjects unseen in training (exact events), mounting at random"), {}
    for who, make in makers.items():
        cases, delays = defaultdict(list), defaultdict(list)
        for walk in walks:
            events, _ = detect(make, walk_frames(walk))
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
        result[who] = add(made, who, row)
    console.print(made)
    return result


def cost(trial: Trial, makers: dict[str, Make]) -> dict[str, Any]:
    """One core's time for both feet at 100 Hz, whole and frame by frame."""
    result = {}
    for who, make in makers.items():
        detector = make()
        began = time.process_time()
        detector.update(trial.frames)
        whole = time.process_time() - began
        detector, taken = make(), []
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
    parser.add_argument("--fold", type=int, choices=(1, 2, 3, 4), default=1, help="fold whose subjects are scored")
    parser.add_argument("--weights", type=Path, help="weights other than the shipped ones")
    parser.add_argument("--quick", action="store_true", help="the main table only")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    weights = Weights.load(args.weights)
    held = [Trial(path) for path in trials(args.data, splits()["folds"][args.fold - 1])]
    results: dict[str, Any] = {"subjects": splits()["folds"][args.fold - 1]}

    def network(look_ahead_s: float = 0.06) -> Make:
        return lambda: NeuralDetector(look_ahead_s, weights=weights)

    makers: dict[str, Make] = {
        "classical": lambda: EventDetector(DetectorSettings(detector="classical")),
        "network": network(),
    }
    made = table(f"foot_healthy_10m, subjects {results['subjects']}: events")
    main_rows = {who: scores(held, make) for who, make in makers.items()}
    results["events"] = {who: add(made, who, row) for who, row in main_rows.items()}
    for look_ahead_s in LOOK_AHEADS_S:
        who = f"network, look-ahead {1e3 * look_ahead_s:.0f} ms"
        results["events"][who] = add(made, who, scores(held, network(look_ahead_s)))
    console.print(made)
    made, results["subjects_apart"] = table("Subject by subject"), {}
    for subject in sorted({t.subject for t in held}):
        part = [t for t in held if t.subject == subject]
        for who, make in makers.items():
            name = f"{subject} ({part[0].age} y), {who}"
            results["subjects_apart"][name] = add(made, name, scores(part, make))
    console.print(made)
    if not args.quick:
        made, results["changed"] = table("The network under other conditions"), {}
        changes: dict[str, Callable[[Trial], BodyFrames]] = {"sensors turned at random": turned}
        for rate_hz in (50.0, 200.0, 400.0):
            changes[f"frames at {rate_hz:.0f} Hz"] = lambda t, r=rate_hz: frames_of(t.recording, r)
        for foot in ("calcn_l", "calcn_r"):
            changes[f"{foot} alone"] = lambda t, s=foot: one_foot(t.frames, s)
        for name, change in changes.items():
            results["changed"][name] = add(made, name, scores(held, makers["network"], change))
        console.print(made)
        results["virtual"] = virtual_subjects(makers)
        results["idle"] = idle(held, makers)
        results["phase"] = {who: phase_errors(held, row) for who, row in main_rows.items()}
        results["confidence"] = {who: reliability(held, row) for who, row in main_rows.items()}
        for who in makers:
            console.print(who, "phase", results["phase"][who])
            console.print(who, "confidence said / was", [
                f"{b['said']:.3f} / {b['was']:.3f} ({b['n']})" for b in results["confidence"][who]
            ])  # fmt: skip
        results["cost"] = cost(held[0], makers)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, default=float))
        console.print(f"Figures written to {args.json}.")


def one_foot(frames: BodyFrames, segment: str) -> BodyFrames:
    columns = [frames.segments.index(segment)]
    return BodyFrames(
        (segment,),
        frames.time_s,
        frames.acc_mps2[:, columns],
        frames.gyr_radps[:, columns],
        frames.quat_wxyz[:, columns],
        frames.body_quat_wxyz[:, columns],
        frames.status[:, columns],
    )


if __name__ == "__main__":
    main()
