#!/usr/bin/env python3
"""How well events and strides of each gait pattern are found from two foot sensors, and how fast a walk is made.

Virtual subjects of every severity, with a style of their own, wear everyday sensors on both feet; events count as found
within 50 ms of the true ones, no bias taken off. Steps follow the found events, as live.

    python benchmarks/patterns.py [--patterns crouch ...] [--walks 10] [--json out.json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from scoring import matched

from gait_twin.events import EventDetector
from gait_twin.events.training.walks import frames_of
from gait_twin.recording import EventKind, GaitEvent, Recording, Side
from gait_twin.simulation import WalkSettings, default_demo, simulate
from gait_twin.simulation.patterns import PATTERNS
from gait_twin.steps import StepEstimator

FIRST_SEED = 910_000
"""Of virtual subjects that nothing was trained or tuned on."""
WITHIN_S, DURATION_S = 0.05, 20.0


def walked(pattern: str, k: int, walks: int) -> Recording:
    """One virtual subject's walk, the severer the later."""
    rng = np.random.default_rng(FIRST_SEED + k)
    sensors = dataclasses.replace(
        default_demo()[1], segments=("calcn_l", "calcn_r"), mounting="random", seed=FIRST_SEED + k
    )
    return simulate(
        WalkSettings(
            duration_s=DURATION_S,
            height_m=float(rng.uniform(1.5, 1.95)),
            straight_length_m=float(rng.uniform(5.0, 10.0)),
            pattern=pattern,
            severity=(k + 0.5) / walks,
            affected_side="usual" if rng.uniform() < 0.5 else str(rng.choice(["left", "right"])),
            style=1.0,
            seed=FIRST_SEED + k,
        ),
        sensors,
    )


def times(events: list[GaitEvent] | tuple[GaitEvent, ...], side: Side, kind: EventKind) -> np.ndarray:
    return np.array([e.time_s for e in events if e.side is side and e.kind is kind])


def measured(pattern: str, walks: int) -> dict[str, float]:
    """Scores over all walks of a pattern."""
    counts = {kind: np.zeros(3) for kind in EventKind}
    errors: dict[EventKind, list[float]] = {kind: [] for kind in EventKind}
    lengths: list[float] = []
    strides = lost = 0
    spent = 0.0
    for k in range(walks):
        began = time.process_time()
        recording = walked(pattern, k, walks)
        spent += time.process_time() - began
        frames = frames_of(recording)
        detector, estimator = EventDetector(), StepEstimator()
        events = [*detector.update(frames)[0], *detector.flush()[0]]
        found = [*estimator.update(frames, events).strides, *estimator.flush().strides]
        assert recording.truth is not None
        for side in Side:
            for kind in EventKind:
                true, seen = times(recording.truth.events, side, kind), times(events, side, kind)
                counts[kind] += [len(true), len(seen), len(matched(true, seen, WITHIN_S))]
                errors[kind] += [seen[j] - true[i] for i, j in matched(true, seen, 0.2)]
        for stride in recording.truth.strides:
            strides += 1
            same = [s for s in found if s.side is stride.side and s.valid and abs(s.end_s - stride.end_s) < 0.15]
            if same:
                lengths.append(100.0 * (same[0].stride_length_m - stride.stride_length_m))
            else:
                lost += 1
    scores = {"real_time_factor": walks * DURATION_S / spent}
    for kind, (true_n, seen_n, hits) in counts.items():
        scores[f"{kind.value}_f1"] = 2.0 * hits / max(true_n + seen_n, 1.0)
        scores[f"{kind.value}_bias_ms"] = 1e3 * float(np.median(errors[kind]))
    return scores | {
        "strides": strides,
        "strides_lost": lost,
        "length_bias_cm": float(np.median(lengths)),
        "length_p95_cm": float(np.percentile(np.abs(lengths), 95)),
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", nargs="+", choices=tuple(PATTERNS), default=tuple(PATTERNS))
    parser.add_argument("--walks", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {pattern: measured(pattern, args.walks) for pattern in args.patterns}
    columns = list(next(iter(results.values())))
    table = Table(*["pattern", *(key.replace("_", " ") for key in columns)])
    for pattern, scores in results.items():
        table.add_row(pattern, *(f"{scores[key]:.3f}" if "f1" in key else f"{scores[key]:.1f}" for key in columns))
    Console(width=200).print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
