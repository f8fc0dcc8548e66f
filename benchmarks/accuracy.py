"""Accuracy of events, strides and trajectories on real recordings, beside a plain baseline.

    python benchmarks/accuracy.py [--data DIR] [--only healthy vicon treadmill loop] [--json FILE] [--rate HZ]

Subjects with odd numbers served to choose constants, even ones are reported apart; of the motion-captured trials
those of the first day served. Streams run through the same sensor hub, detector and estimator as live; events of
foot_healthy_10m come from networks that never saw the person.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import baseline
import numpy as np
from rich.console import Console
from rich.table import Table
from running import Run, left_out
from scipy import signal
from scoring import event_scores, spread

from gait_twin.events import EventDetector
from gait_twin.recording import Side, Stride
from gait_twin.recording.importers import find_importer
from gait_twin.steps import StepEstimator

console = Console(width=200)


def healthy(data: Path, rate_hz: float) -> dict[str, Any]:
    """Events against labels, and the distance walked on each known 10 m leg."""
    cases: dict[tuple[str, str, str], list] = defaultdict(list)
    legs: dict[tuple[str, str], list[float]] = defaultdict(list)
    feet: dict[str, list[float]] = defaultdict(list)
    trials, delays = [], defaultdict(list)
    for path in sorted(data.glob("foot_healthy_10m/*.json"), key=lambda p: [int(n) for n in p.stem.split("-")]):
        meta = json.loads(path.read_text())
        run = Run(find_importer(path).load(path), rate_hz, left_out(meta["Subject"]))
        part = "tuning" if meta["Subject"] % 2 else "reporting"
        start_s, end_s = (i / 100.0 for i in meta["TrialBoundaries"])
        out_s, back_s = (i / 100.0 for i in meta["UTurnBoundaries"])
        row: dict[str, Any] = {"trial": path.stem, "age": meta["Age"], "part": part}
        trial_cases = defaultdict(list)
        plain = {side: baseline.run(*run.samples(side)) for side in Side}
        for side, key in ((Side.LEFT, "LeftFootEvents"), (Side.RIGHT, "RightFootEvents")):
            labels = np.array(meta[key]) / 100.0
            labels = labels[labels[:, 1] <= min(end_s + 0.1, run.time_s[-1])]
            for kind, column in (("toe_off", 0), ("heel_strike", 1)):
                ours = run.times(side, kind)
                theirs = plain[side].heel_strikes_s if column else plain[side].toe_offs_s
                for who, found in (("gait_twin", ours), ("baseline", theirs)):
                    near = found[(found > start_s - 0.5) & (found < end_s + 0.5)]
                    trial_cases[who, kind].append((labels[:, column], near))
                    cases[part, who, kind].append((labels[:, column], near))
        for kind in ("heel_strike", "toe_off"):
            delays[part, kind] += [e.delay_s for e in run.events if e.kind == kind]
            scores = event_scores(trial_cases["gait_twin", kind])
            row |= {f"{kind}_{k}": scores[k] for k in ("f1_100ms", "f1_50ms", "bias_ms")}
        for name, a, b in (("out", start_s, out_s), ("back", back_s, end_s)):
            for who in ("gait_twin", "baseline"):
                ways = [
                    np.linalg.norm(run.position(side, b) - run.position(side, a))
                    if who == "gait_twin"
                    else _baseline_way(plain[side], a, b)
                    for side in Side
                ]
                error = float(np.mean(ways)) / 10.0 - 1.0
                legs[part, who].append(100.0 * error)
                if who == "gait_twin":
                    row[f"{name}_pct"] = 100.0 * error
                    row[f"{name}_left_right_pct"] = 100.0 * float(ways[0] / ways[1] - 1.0)
        feet[part] += _feet_apart(run, start_s, out_s)
        inside = [s for s in run.strides if start_s - 0.3 < s.start_s and s.end_s < end_s + 0.5]
        row["strides"], row["valid"] = len(inside), sum(s.valid for s in inside)
        full = [s.stride_length_m for s in inside if s.valid and s.stride_length_m > 0.8]
        row["full_strides"], row["stride_m"] = len(full) / 4.0, float(np.mean(full))
        trials.append(row)
    result: dict[str, Any] = {"trials": trials}
    table = Table(title="foot_healthy_10m: events", title_justify="left")
    for column in (
        "part",
        "who",
        "event",
        "bias ms",
        "F1 ±100 ms",
        "F1 ±50 ms",
        "labels",
        "missed",
        "false",
        "median ms",
        "p95 ms",
        "delay ms median / p95",
    ):
        table.add_column(column)
    for (part, who, kind), pool in sorted(cases.items()):
        s = event_scores(pool)
        result[f"{part}.{who}.{kind}"] = s
        known = delays[part, kind] if who == "gait_twin" else []
        delay = f"{1e3 * np.median(known):.0f} / {1e3 * np.percentile(known, 95):.0f}" if known else "offline"
        table.add_row(
            part,
            who,
            kind,
            f"{s['bias_ms']:.1f}",
            f"{s['f1_100ms']:.4f}",
            f"{s['f1_50ms']:.4f}",
            str(s["labels"]),
            str(s["missed"]),
            str(s["false"]),
            f"{s['median_ms']:.1f}",
            f"{s['p95_ms']:.1f}",
            delay,
        )
    console.print(table)
    table = Table(title="foot_healthy_10m: known 10 m legs, error %", title_justify="left")
    for column in ("part", "who", "legs", "mean", "sd", "median |e|", "worst"):
        table.add_column(column)
    for (part, who), errors in sorted(legs.items()):
        s = spread(errors)
        result[f"{part}.{who}.legs_pct"] = s
        table.add_row(part, who, str(s["n"]), *(f"{s[k]:+.2f}" for k in ("mean", "sd", "median_abs", "worst")))
    console.print(table)
    table = Table(
        title="foot_healthy_10m: way out at full stride, left over right foot's speed, %", title_justify="left"
    )
    for column in ("part", "trials", "mean", "sd", "median |e|", "worst"):
        table.add_column(column)
    for part, errors in sorted(feet.items()):
        s = result[f"{part}.left_over_right_pct"] = spread(errors)
        table.add_row(part, str(s["n"]), *(f"{s[k]:+.2f}" for k in ("mean", "sd", "median_abs", "worst")))
    console.print(table)
    table = Table(title="foot_healthy_10m: legs of each subject, m (both feet, out and back)", title_justify="left")
    for column in ("subject", "age", "legs", "mean", "sd", "full strides a leg", "their length"):
        table.add_column(column)
    for subject in sorted({int(row["trial"].split("-")[0]) for row in trials}):
        own = [row for row in trials if int(row["trial"].split("-")[0]) == subject]
        ways = [10.0 + row[f"{leg}_pct"] / 10.0 for row in own for leg in ("out", "back")]
        shown = (subject, own[0]["age"], len(ways), f"{np.mean(ways):.2f}", f"{np.std(ways):.2f}")
        counts, lengths = ([row[k] for row in own] for k in ("full_strides", "stride_m"))
        table.add_row(*map(str, shown), f"{np.mean(counts):.1f}", f"{np.mean(lengths):.2f}")
    console.print(table)
    table = Table(
        title="foot_healthy_10m: the twelve trials with most wrong heel strikes or legs", title_justify="left"
    )
    keys = [
        "trial",
        "age",
        "part",
        "heel_strike_f1_100ms",
        "heel_strike_f1_50ms",
        "heel_strike_bias_ms",
        "toe_off_f1_50ms",
        "out_pct",
        "back_pct",
        "out_left_right_pct",
        "strides",
        "valid",
    ]
    for key in keys:
        table.add_column(key.replace("heel_strike", "HS").replace("toe_off", "TO"))
    worst = sorted(trials, key=lambda r: r["heel_strike_f1_50ms"] - 0.02 * max(abs(r["out_pct"]), abs(r["back_pct"])))
    for row in worst[:12]:
        table.add_row(*(f"{row[k]:.3f}" if isinstance(row[k], float) else str(row[k]) for k in keys))
    console.print(table)
    return result


def _feet_apart(run: Run, start_s: float, end_s: float) -> list[float]:
    """Both feet walk the same way, each with a sensor of its own: how far apart their speeds come out, %."""
    speeds = []
    for side in Side:
        strides = [s for s in run.strides if s.side is side and s.valid]
        strides = [s for s in strides if s.start_s > start_s + 0.8 and s.end_s < end_s - 0.4]
        if not strides:
            return []
        speeds.append(sum(s.stride_length_m for s in strides) / sum(s.stride_time_s for s in strides))
    return [100.0 * (speeds[0] / speeds[1] - 1.0)]


def _baseline_way(plain: baseline.Baseline, start_s: float, end_s: float) -> float:
    """Foot-flat to foot-flat lengths within a leg; those across its ends by their share of time."""
    a, b = plain.flats_s[:-1], plain.flats_s[1:]
    # A foot moves in the last 0.6 s or so of the time between two calm instants
    a = np.maximum(a, b - 0.6)
    share = np.clip((np.minimum(b, end_s) - np.maximum(a, start_s)) / (b - a), 0.0, 1.0)
    return float(share @ plain.lengths_m)


def vicon(data: Path, rate_hz: float) -> dict[str, Any]:
    """Stride length against motion capture, between the calmest instants of stance as captured."""
    rows, pools = [], defaultdict(list)
    covered, counts = defaultdict(list), defaultdict(int)
    for path in sorted(data.glob("foot_vicon/*.mat")):
        recording = find_importer(path).load(path)
        truth = recording.truth.foot_positions[Side.RIGHT]
        run = Run(recording, rate_hz)
        part = "tuning" if path.stem < "2017-11-23" else "reporting"
        walk = path.stem < "2018"  # the trials of 2018 are not walks: hand-held, crawling, stairs
        calm = captured_flats(truth.time_s, truth.position_m)
        errors = []
        for stride, length in captured_strides(run.strides, calm):
            counts[group_of(stride, length, part, walk)] += 1
            if not stride.valid:
                continue
            error = stride.stride_length_m - length
            errors.append(100.0 * error)
            pools[group_of(stride, length, part, walk), "gait_twin"].append(100.0 * error)
            covered[group_of(stride, length, part, walk), "gait_twin"].append(abs(error) / stride.stride_length_sd_m)
        for stride, length in captured_strides(run.early, calm):
            key = group_of(stride, length, part, walk), "at heel strike"
            pools[key].append(100.0 * (stride.stride_length_m - length))
            covered[key].append(abs(stride.stride_length_m - length) / stride.stride_length_sd_m)
        plain = baseline.run(*run.samples(Side.RIGHT))
        theirs = []
        for a, b, way in zip(plain.flats_s[:-1], plain.flats_s[1:], plain.lengths_m, strict=True):
            first, last = (
                truth.position_m[int(np.searchsorted(truth.time_s, t).clip(0, len(truth.time_s) - 1))] for t in (a, b)
            )
            length = float(np.hypot(*(last - first)[:2]))
            if length > 0.3:
                theirs.append(100.0 * (way - length))
        group = part if walk else "other"
        pools[group, "baseline"] += theirs
        rows.append({"trial": path.stem, "part": group, "strides": len(run.strides), **spread(errors)})
    result: dict[str, Any] = {"trials": rows}
    table = Table(title="foot_vicon: stride length against motion capture, cm", title_justify="left")
    for column in ("part", "who", "strides", "given", "mean", "sd", "median |e|", "worst", "within 1 sd, %"):
        table.add_column(column)
    for (part, who), errors in sorted(pools.items()):
        s = spread(errors)
        if s["n"] == 0:
            continue
        within = 100.0 * np.mean(np.array(covered[part, who]) < 1.0) if (part, who) in covered else np.nan
        result[f"{part}.{who}"] = s | {"within_1sd_pct": float(within)}
        table.add_row(
            part,
            who,
            str(counts[part]) if who == "gait_twin" else "",
            str(s["n"]),
            *(f"{s[k]:+.2f}" for k in ("mean", "sd", "median_abs", "worst")),
            f"{within:.0f}",
        )
    console.print(table)
    table = Table(title="foot_vicon: each trial, cm", title_justify="left")
    for column in ("trial", "part", "strides", "n", "mean", "sd", "median_abs", "worst"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            *(
                f"{v:+.1f}" if isinstance(v, float) else str(v)
                for v in (
                    row.get(c, "") for c in ("trial", "part", "strides", "n", "mean", "sd", "median_abs", "worst")
                )
            )
        )
    console.print(table)
    return result


RUNNING_MPS = 2.0
"""Strides that are faster as captured are runs."""


def group_of(stride: Stride, length_m: float, part: str, walk: bool) -> str:
    """Part of the trials, walks and runs apart."""
    return (f"{part}, runs" if length_m / stride.stride_time_s > RUNNING_MPS else part) if walk else "other"


def captured_strides(strides: list[Stride], calm) -> list[tuple[Stride, float]]:
    """Strides with their captured length, m; those that capture does not show, or that are under 0.3 m, are left out.

    A stance ends before the next heel strike: a calm instant is looked for within 0.6 of the shorter stride.
    """
    durations = {s.start_s: s.stride_time_s for s in strides}
    found = []
    for stride in strides:
        after_s = min(stride.stride_time_s, durations.get(stride.end_s, np.inf))
        first, last = calm(stride.start_s, 0.6 * stride.stride_time_s), calm(stride.end_s, 0.6 * after_s)
        if first is None or last is None:
            continue
        length = float(np.hypot(*(last - first)[:2]))
        if length > 0.3:
            found.append((stride, length))
    return found


def captured_flats(time_s: np.ndarray, position: np.ndarray):
    """Captured position at the calmest 0.1 s of the stance after a heel strike; None where it never calms.

    The captured track holds single samples that leap by metres, and stretches in which it was lost and stands still.
    """
    rate = 1.0 / float(np.median(np.diff(time_s)))
    frozen = np.concatenate([[False], (np.diff(position, axis=0) == 0.0).all(axis=1)])
    lost = np.convolve(frozen, np.ones(3), "same") >= 3
    position = signal.medfilt(position, (2 * int(0.02 * rate) + 1, 1))
    width = max(3, int(0.1 * rate))
    kernel = np.ones(width) / width
    mean = np.column_stack([np.convolve(c, kernel, "same") for c in position.T])
    scatter = np.sqrt(
        sum(
            np.maximum(np.convolve(c**2, kernel, "same") - np.convolve(c, kernel, "same") ** 2, 0)
            for c in (position - position.mean(axis=0)).T
        )
    )
    scatter[np.convolve(lost, np.ones(width), "same") > 0] = np.inf

    def at(strike_s: float, within_s: float) -> np.ndarray | None:
        rows = np.flatnonzero((time_s > strike_s + 0.05) & (time_s < strike_s + within_s))
        rows = rows[(rows > width) & (rows < len(time_s) - width)]
        if not len(rows):
            return None
        best = rows[int(np.argmin(scatter[rows]))]
        return mean[best] if scatter[best] < 0.01 else None

    return at


def treadmill(data: Path, rate_hz: float) -> dict[str, Any]:
    """Counts, durations and lengths against OptoGait, whose clock is another."""
    recording = find_importer(data / "treadmill_7imu").load(data / "treadmill_7imu")
    run = Run(recording, rate_hz)
    result: dict[str, Any] = {}
    table = Table(title="treadmill_7imu against OptoGait", title_justify="left")
    for column in (
        "foot",
        "strides ours / ref",
        "stride time s",
        "%",
        "stride length m",
        "%",
        "SD ours / ref cm",
        "stance s",
        "step length m (ours, sd / ref)",
    ):
        table.add_column(column)
    first_ref = min(s.start_s for s in recording.truth.strides if s.side is Side.RIGHT)
    for side in Side:
        ours = [s for s in run.strides if s.side is side]
        ref = [s for s in recording.truth.strides if s.side is side]
        ref = _steady(ref)
        shift = _clock_shift(np.array([s.start_s for s in ours]), np.array([s.start_s for s in ref]), first_ref)
        ours = [s for s in ours if ref[0].start_s - 0.3 < s.start_s - shift < ref[-1].start_s + 0.3]
        time_o, time_r = (np.mean([s.stride_time_s for s in x]) for x in (ours, ref))
        length_o, length_r = (np.mean([s.stride_length_m for s in x if s.valid]) for x in (ours, ref))
        sd_o, sd_r = (100 * np.std([s.stride_length_m for s in x if s.valid]) for x in (ours, ref))
        stance_o, stance_r = (np.nanmean([s.stance_time_s for s in x]) for x in (ours, ref))
        steps_o = [s for s in run.steps if s.side is side and s.valid]
        steps_r = [s.step_length_m for s in recording.truth.steps if s.side is side and 0.3 < s.step_length_m < 1.2]
        step_o = np.mean([s.step_length_m for s in steps_o])
        result[side.value] = {
            "strides": len(ours),
            "reference_strides": len(ref),
            "stride_time_pct": 100 * (time_o / time_r - 1),
            "stride_length_pct": 100 * (length_o / length_r - 1),
            "step_length_m": step_o,
            "reference_step_length_m": float(np.mean(steps_r)),
        }
        table.add_row(
            side.value,
            f"{len(ours)} / {len(ref)}",
            f"{time_o:.4f} / {time_r:.4f}",
            f"{100 * (time_o / time_r - 1):+.2f}",
            f"{length_o:.3f} / {length_r:.3f}",
            f"{100 * (length_o / length_r - 1):+.2f}",
            f"{sd_o:.1f} / {sd_r:.1f}",
            f"{stance_o:.3f} / {stance_r:.3f}",
            f"{step_o:.3f}, {np.mean([s.step_length_sd_m for s in steps_o]):.3f} / {np.mean(steps_r):.3f}",
        )
    console.print(table)
    return result


def _steady(strides: list) -> list:
    """Longest run of strides at the belt's steady speed: the walk onto it and its stop have no counterpart."""
    usual = np.median([s.stride_time_s for s in strides])
    runs: list[list] = [[]]
    for stride in strides:
        if abs(stride.stride_time_s / usual - 1.0) < 0.15:
            runs[-1].append(stride)
        elif runs[-1]:
            runs.append([])
    return max(runs, key=len)


def _clock_shift(ours: np.ndarray, ref: np.ndarray, near_s: float) -> float:
    """Offset of our clock over the reference's that fits most heel strikes."""
    offsets = (ours[:, None] - ref[None]).ravel()
    offsets = offsets[np.abs(offsets) < near_s]
    best = max(np.arange(offsets.min(), offsets.max(), 0.02), key=lambda o: np.sum(np.abs(offsets - o) < 0.06))
    return float(best)


def loop(data: Path, rate_hz: float) -> dict[str, Any]:
    """End against start of a closed way."""
    path = data / "foot_loop/short_walk.csv.gz"
    run = Run(find_importer(path).load(path), rate_hz)
    track = np.array([p.position_m for p in run.poses])
    way = sum(s.stride_length_m for s in run.strides if s.valid)
    gap = track[-1] - track[0]
    result = {
        "way_m": way,
        "horizontal_m": float(np.hypot(*gap[:2])),
        "height_m": float(gap[2]),
        "strides": len(run.strides),
        "valid": sum(s.valid for s in run.strides),
    }
    console.print(
        f"[b]foot_loop[/b] way {way:.1f} m in {len(run.strides)} strides, end from start "
        f"{result['horizontal_m']:.2f} m ({100 * result['horizontal_m'] / way:.1f} %), height {gap[2]:+.2f} m"
    )
    return result | {"cost_s": run.seconds, "duration_s": run.duration_s}


def cost(data: Path) -> dict[str, Any]:
    """Time of one core for both feet at 100 Hz, in blocks and frame by frame."""
    path = data / "foot_healthy_10m/1-4.json"
    run = Run(find_importer(path).load(path), 100.0)
    result = {f"offline_{k}_realtime": run.duration_s / v for k, v in run.seconds.items()}
    detector, estimator = EventDetector(), StepEstimator()
    taken = []
    for block in run.frames:
        for i in range(len(block)):
            began = time.process_time()
            events, _ = detector.update(block[i : i + 1])
            estimator.update(block[i : i + 1], events)
            taken.append(time.process_time() - began)
    result |= {
        "live_frame_mean_ms": 1e3 * float(np.mean(taken)),
        "live_frame_p99_ms": 1e3 * float(np.percentile(taken, 99)),
        "live_frame_max_ms": 1e3 * max(taken),
    }
    console.print("[b]cost[/b] " + ", ".join(f"{k} {v:.3g}" for k, v in result.items()))
    return result


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", root / "../shared/data")))
    parser.add_argument("--only", nargs="*", default=["healthy", "vicon", "treadmill", "loop", "cost"])
    parser.add_argument("--rate", type=float, default=100.0, help="frame rate, Hz")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    results: dict[str, Any] = {"rate_hz": args.rate}
    parts = {"healthy": healthy, "vicon": vicon, "treadmill": treadmill, "loop": loop}
    for name in args.only:
        results[name] = cost(args.data) if name == "cost" else parts[name](args.data, args.rate)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, default=float))
        console.print(f"Figures written to {args.json}.")


if __name__ == "__main__":
    main()
