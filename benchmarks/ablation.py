"""What each part brings: network alone, zero-velocity updates alone, one way, both ways (closed loop).

    python benchmarks/ablation.py [--data DIR] [--folds DIR] [--json FILE]

The same frames for all. Events of foot_healthy_10m come from networks that left their subject out (--folds, written by
`gait-twin train events --folds`).

- network alone: its events; lengths by integration from stance to stance, no zero-velocity filter.
- ZUPT alone: foot-flats from the samples; a swing lies between two of them, and its ends stand for events.
- open loop: events only say where strides begin and end.
- forward: where no foot-flat shows, a heel strike says where the foot was flattest (as shipped).
- closed loop: besides, what zero-velocity updates make of the strides goes back to the detector (`closed_loop`): a
  stride whose foot-flat was reached at rest teaches the stride time, and the next events are taken more easily when
  they are due, less before. It takes effect 2 s of data after the stride's end, is bounded, and ends with a pause.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import baseline
import numpy as np
from accuracy import _feet_apart, captured_flats, captured_strides, group_of
from event_cases import FOLDS
from rich.console import Console
from rich.table import Table
from running import Run, left_out
from scoring import event_scores, spread

from gait_twin.events.closed_loop import ClosedLoop
from gait_twin.events.neural import NeuralDetector
from gait_twin.recording import BodyFrames, EventKind, GaitEvent, Side, Stride
from gait_twin.recording.importers import find_importer
from gait_twin.steps import StepEstimator, StepSettings

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = ("network alone", "ZUPT alone", "open loop", "forward", "closed loop")
TICK_S = 0.2
console = Console(width=180)


@dataclass
class Found:
    """What a variant makes of one recording."""

    events: list[GaitEvent]
    strides: list[Stride] = field(default_factory=list)
    ways: list[tuple[float, float, float]] = field(default_factory=list)


def looped(frames: BodyFrames, detector: NeuralDetector) -> Found:
    """Detector and estimator tick by tick, strides fed back in between."""
    estimator, loop = StepEstimator(), ClosedLoop(detector)
    found = Found([])
    edges = np.searchsorted(frames.time_s, np.arange(frames.time_s[0], frames.time_s[-1] + TICK_S, TICK_S))
    for a, b in itertools.pairwise(edges):
        block = frames[int(a) : int(b)]
        events, _ = loop.update(block)
        strides = estimator.update(block, events).strides
        loop.take_strides(strides)
        found.events += events
        found.strides += strides
    found.strides += estimator.flush().strides
    return found


def given(run: Run, make: Callable[[], NeuralDetector]) -> dict[str, Found]:
    """All variants of one recording."""
    frames = BodyFrames.joined(run.frames)
    events, _ = make().update(frames)
    found = {"network alone": Found(events), "ZUPT alone": Found([])}
    for side in Side:
        samples = run.samples(side)
        if samples is None:
            continue
        strikes = [e.time_s for e in events if e.side is side and e.kind is EventKind.HEEL_STRIKE]
        found["network alone"].ways += plain_ways(*samples, strikes)
    for name, settings in (("open loop", StepSettings(flats_from_events=False)), ("forward", StepSettings())):
        estimator = StepEstimator(settings)
        strides = estimator.update(frames, events).strides + estimator.flush().strides
        found[name] = Found(events, strides)
    found["ZUPT alone"] = by_flats(frames)
    found["closed loop"] = looped(frames, make())
    return found


def plain_ways(
    time_s: np.ndarray, acc: np.ndarray, gyr: np.ndarray, strikes: list[float]
) -> list[tuple[float, float, float]]:
    """Lengths between the middles of stances, as an afternoon's script integrates them."""
    rate_hz = 1.0 / (time_s[1] - time_s[0])
    scale = 9.80665 / baseline._rest(acc, np.linalg.norm(gyr, axis=1), rate_hz)
    ways = []
    for first_s, last_s in itertools.pairwise(strikes):
        if last_s - first_s > 2.5:
            continue
        middle = 0.25 * (last_s - first_s)
        a, b = np.searchsorted(time_s, [first_s + middle, last_s + middle])
        if b >= len(time_s):
            continue
        up = acc[max(0, a - 4) : a + 5].mean(axis=0)
        ways.append((first_s, last_s, baseline._length(scale * acc[a : b + 1], gyr[a : b + 1], up, 1.0 / rate_hz)))
    return ways


def by_flats(frames: BodyFrames) -> Found:
    """Swings between foot-flats that the samples show: the foot leaves the first and lands before the second."""
    estimator = StepEstimator()
    estimator.update(frames, [])
    estimator.flush()
    found = Found([])
    for side, flats in estimator._flats.items():
        for flat in flats:
            swing = flat.swing
            if swing is None or np.hypot(*swing.displacement_m[:2]) < 0.15:
                continue
            first_s, last_s = float(swing.time_s[0]), float(swing.time_s[-1])
            found.events.append(GaitEvent(first_s, side, EventKind.TOE_OFF, 1.0, 0.0))
            found.events.append(GaitEvent(last_s, side, EventKind.HEEL_STRIKE, 1.0, 0.0))
            found.ways.append((first_s, last_s, float(np.hypot(*swing.displacement_m[:2]))))
    return found


def healthy(data: Path, folds: Path) -> dict[str, Any]:
    """Events against labels; subjects of the first fold apart, on whom no setting was chosen."""
    from gait_twin.events.training.walks import splits

    test_people = splits()["folds"][0]
    cases: dict[tuple[str, str, str], list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    legs: dict[tuple[str, str], list[float]] = defaultdict(list)
    valid: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for path in sorted(data.glob("foot_healthy_10m/*.json")):
        meta = json.loads(path.read_text())
        subject = meta["Subject"]
        part = "test subjects" if subject in test_people else "others"
        run = Run(find_importer(path).load(path), 100.0)
        start_s, end_s = (i / 100.0 for i in meta["TrialBoundaries"])
        for who, found in given(run, lambda subject=subject: left_out(subject, folds)).items():
            for side, key in ((Side.LEFT, "LeftFootEvents"), (Side.RIGHT, "RightFootEvents")):
                labels = np.array(meta[key]) / 100.0
                labels = labels[labels[:, 1] <= min(end_s + 0.1, run.time_s[-1])]
                for kind, column in ((EventKind.TOE_OFF, 0), (EventKind.HEEL_STRIKE, 1)):
                    times = np.array([e.time_s for e in found.events if e.side is side and e.kind is kind])
                    near = times[(times > start_s - 0.5) & (times < end_s + 0.5)]
                    cases[part, who, kind.value].append((labels[:, column], near))
            inside = [s for s in found.strides if start_s - 0.3 < s.start_s and s.end_s < end_s + 0.5]
            valid[part, who] += [s.valid for s in inside]
            if found.strides:
                run.strides = found.strides
                legs[part, who] += _feet_apart(run, start_s, meta["UTurnBoundaries"][0] / 100.0)
    title = "foot_healthy_10m: events; strides within the walk; left over right foot's speed, %"
    table = Table(title=title, title_justify="left")
    for column in ("part", "who", "HS F1 ±50", "HS F1 ±100", "HS median / p95 ms", "TO F1 ±50", "TO F1 ±100",
                   "TO median / p95 ms", "strides valid / all", "left over right"):  # fmt: skip
        table.add_column(column)
    result: dict[str, Any] = {}
    for part in ("test subjects", "others"):
        for who in VARIANTS:
            row = [part, who]
            for kind in EventKind:
                s = result[f"{part}.{who}.{kind}"] = event_scores(cases[part, who, kind.value])
                row += [f"{s['f1_50ms']:.4f}", f"{s['f1_100ms']:.4f}", f"{s['median_ms']:.1f} / {s['p95_ms']:.1f}"]
            sides = result[f"{part}.{who}.left_right_pct"] = spread(legs[part, who])
            row += [f"{sum(valid[part, who])} / {len(valid[part, who])}" if valid[part, who] else ""]
            row += [f"{sides['mean']:+.2f} ± {sides['sd']:.2f}" if sides["n"] else ""]
            table.add_row(*row)
    console.print(table)
    return result


def vicon(data: Path) -> dict[str, Any]:
    """Stride length against motion capture, walks and runs."""
    pools: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in sorted(data.glob("foot_vicon/2017*.mat")):
        recording = find_importer(path).load(path)
        truth = recording.truth.foot_positions[Side.RIGHT]
        calm = captured_flats(truth.time_s, truth.position_m)
        part = "first day" if path.stem < "2017-11-23" else "later days"
        for who, found in given(Run(recording, 100.0), NeuralDetector).items():
            strides = list(found.strides)
            strides += [Stride(Side.RIGHT, a, b, stride_length_m=way) for a, b, way in found.ways]
            if who == "ZUPT alone":
                strides = [Stride(s.side, s.start_s - 0.1, s.end_s - 0.1, stride_length_m=s.stride_length_m)
                           for s in strides]  # fmt: skip
            for stride, length in captured_strides(strides, calm):
                if not stride.valid:
                    continue
                pools[group_of(stride, length, part, True), who].append(100.0 * (stride.stride_length_m - length))
    table = Table(title="foot_vicon: stride length against motion capture, cm", title_justify="left")
    for column in ("part", "who", "strides", "mean", "sd", "median |e|", "worst"):
        table.add_column(column)
    result = {}
    for part in sorted({part for part, _ in pools}):
        for who in VARIANTS:
            s = result[f"{part}.{who}"] = spread(pools[part, who])
            if s["n"]:
                shown = (f"{s[k]:+.2f}" for k in ("mean", "sd", "median_abs", "worst"))
                table.add_row(part, who, str(s["n"]), *shown)
    console.print(table)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", ROOT / "../shared/data")))
    parser.add_argument("--folds", type=Path, default=FOLDS, help="folder of the networks of cross-validation")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    result = {"healthy": healthy(args.data, args.folds), "vicon": vicon(args.data)}
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, default=float))
        console.print(f"Figures written to {args.json}.")


if __name__ == "__main__":
    main()
