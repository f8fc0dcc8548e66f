"""gait_twin, gaitmap and the plain baseline on the same recordings and by the same scorer.

    python benchmarks/peers.py [--data DIR] [--json FILE] [--rate HZ]

gaitmap (Küderle et al. 2024, IEEE OJEMB 5:163) is installed into a virtual environment of its own,
build/peers, by this script; it is never imported here. It gets the same frames on an even grid, turned into its foot
frame, both as it comes ("default") and tuned on the tuning subjects ("tuned": benchmarks/peer_gaitmap.py says how).
Its event scores there still fall short of what was measured of it on like recordings elsewhere (heel strike / toe-off
F1 at 50 ms: default 0.851 / 0.837, tuned 0.930 / 0.951): see docs/events_and_steps.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import venv
from collections import defaultdict
from pathlib import Path
from typing import Any

import baseline
import numpy as np
from accuracy import RUNNING_MPS, captured_flats
from rich.console import Console
from rich.table import Table
from running import Run, left_out
from scipy import signal
from scoring import event_scores, spread

from gait_twin.recording import Side
from gait_twin.recording.importers import find_importer

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "build/peers"
VARIANTS = ("default", "tuned")
console = Console(width=160)


def environment() -> Path:
    """Python of build/peers, with gaitmap in it."""
    python = PEERS / "bin/python"
    if not python.exists():
        venv.create(PEERS, with_pip=True)
    if subprocess.run([python, "-c", "import gaitmap, gaitmap_mad"], check=False, capture_output=True).returncode:
        console.print("Installing gaitmap into build/peers …")
        subprocess.run([python, "-m", "pip", "install", "-q", "gaitmap", "gaitmap_mad"], check=True)
    return python


def gaitmap(recordings: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], rate_hz: float) -> dict[str, Any]:
    """Events and strides of each foot of each recording, by gaitmap in its own process."""
    folder = PEERS / "exchange"
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, (time_s, acc, gyr) in recordings.items():
        arrays[name] = np.column_stack([time_s, acc, gyr])
    np.savez(folder / "feet.npz", **arrays)
    command = [environment(), Path(__file__).with_name("peer_gaitmap.py"), folder, str(rate_hz)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return json.loads((folder / "found.json").read_text())


def run(data: Path, rate_hz: float) -> dict[str, Any]:
    """All figures, printed on the way."""
    runs: dict[str, Run] = {}
    feet: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    metas: dict[str, dict[str, Any]] = {}
    tracks = {}
    for path in sorted([*data.glob("foot_healthy_10m/*.json"), *data.glob("foot_vicon/2017*.mat")]):
        recording = find_importer(path).load(path)
        detector = None
        if path.suffix == ".json":
            metas[path.stem] = json.loads(path.read_text())
            detector = left_out(metas[path.stem]["Subject"])
        runs[path.stem] = run_ = Run(recording, rate_hz, detector)
        if path.suffix != ".json":
            tracks[path.stem] = recording.truth.foot_positions[Side.RIGHT]
        for side in Side:
            samples = run_.samples(side)
            if samples is not None:
                feet[f"{path.stem}/{side.value}"] = samples
    peer = gaitmap(feet, rate_hz)
    plain = {name: baseline.run(*samples) for name, samples in feet.items()}
    result: dict[str, Any] = {"gaitmap": peer["version"]}
    result["events"] = events(runs, metas, plain, peer)
    result["stride_length_cm"] = lengths(runs, tracks, plain, peer)
    return result


def events(runs: dict[str, Run], metas: dict[str, Any], plain: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    """Heel strikes and toe-offs against labels."""
    cases: dict[tuple[str, str, str], list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for name, meta in metas.items():
        part = "tuning" if meta["Subject"] % 2 else "reporting"
        start_s, end_s = (i / 100.0 for i in meta["TrialBoundaries"])
        for side, key in ((Side.LEFT, "LeftFootEvents"), (Side.RIGHT, "RightFootEvents")):
            labels = np.array(meta[key]) / 100.0
            labels = labels[labels[:, 1] <= min(end_s + 0.1, runs[name].time_s[-1])]
            foot = f"{name}/{side.value}"
            for kind, column in (("toe_off", 0), ("heel_strike", 1)):
                found = {"gait_twin": runs[name].times(side, kind)}
                found["baseline"] = plain[foot].heel_strikes_s if column else plain[foot].toe_offs_s
                found |= {f"gaitmap {v}": np.array(peer[v][foot][kind]) for v in VARIANTS}
                for who, times in found.items():
                    near = times[(times > start_s - 0.5) & (times < end_s + 0.5)]
                    cases[part, kind, who].append((labels[:, column], near))
    table = Table(title="Events of foot_healthy_10m", title_justify="left")
    keys = ("f1_50ms", "f1_100ms", "bias_ms", "median_ms", "p95_ms", "missed", "false")
    for heading in ("part", "event", "who", *keys):
        table.add_column(heading)
    result = {}
    for (part, kind, who), pool in sorted(cases.items()):
        scores = result[f"{part}.{kind}.{who}"] = event_scores(pool)
        shown = (f"{scores[k]:.3f}" if k.startswith("f1") else f"{scores[k]:.0f}" for k in keys)
        table.add_row(part, kind, who, *shown)
    console.print(table)
    return result


def lengths(runs: dict[str, Run], tracks: dict[str, Any], plain: dict[str, Any], peer: dict[str, Any]) -> dict:
    """Stride lengths against motion capture: of the strides that each method gives, and of those that all give."""
    errors: dict[tuple[str, str], dict[tuple[str, int], float]] = defaultdict(dict)
    counts: dict[str, int] = defaultdict(int)
    for name, track in tracks.items():
        part = "tuning" if name < "2017-11-23" else "reporting"
        stances = captured_stances(track.time_s, track.position_m)
        foot = f"{name}/{Side.RIGHT.value}"
        # An instant within each of the two stances, and the way between them
        given = {
            "gait_twin": [
                (s.start_s + STANCE_PART * s.stride_time_s, s.end_s + STANCE_PART * s.stride_time_s, s.stride_length_m)
                for s in runs[name].strides
                if s.valid
            ],
            "baseline": list(
                zip(plain[foot].flats_s[:-1], plain[foot].flats_s[1:], plain[foot].lengths_m, strict=True)
            ),
        }
        given |= {f"gaitmap {variant}": peer[variant][foot]["strides"] for variant in VARIANTS}
        for a, b in itertools.pairwise(stances):
            counts[_group(part, a, b)] += 1
        for who, strides in given.items():
            for first_s, last_s, way in strides:
                found = _between(stances, first_s, last_s)
                if found is not None:
                    a, b = stances[found], stances[found + 1]
                    true = float(np.hypot(*(b[2] - a[2])[:2]))
                    errors[_group(part, a, b), who][name, found] = 100.0 * (way - true)
    keys = ("n", "mean", "sd", "median_abs", "worst")
    result: dict[str, Any] = {"captured": counts}
    for title, common in (("of the strides that each gives", False), ("of the strides that all give", True)):
        table = Table(title=f"Stride length against motion capture (foot_vicon), cm, {title}", title_justify="left")
        for heading in ("part", "captured", "who", *keys):
            table.add_column(heading)
        for group in sorted(set(counts) - {"left out"}):
            methods = {who: values for (part, who), values in errors.items() if part == group}
            all_give = set.intersection(*(set(values) for values in methods.values())) if methods else set()
            for who, values in sorted(methods.items()):
                kept = [error for stride, error in values.items() if not common or stride in all_give]
                scores = spread(kept)
                if scores["n"]:
                    result[f"{group}.{who}" + (".common" if common else "")] = scores
                    shown = (f"{scores[k]:.1f}" if k != "n" else str(scores[k]) for k in keys)
                    table.add_row(group, str(counts[group]), who, *shown)
        console.print(table)
    return result


STANCE_PART = 0.15
"""This part of a stride after a heel strike, the foot stands."""
Stance = tuple[float, float, np.ndarray]


def captured_stances(time_s: np.ndarray, position: np.ndarray) -> list[Stance]:
    """Stances as captured: beginning and end, s, and the position at the calmest instant, m.

    Between two swings in which the foot went faster than 0.6 m/s for a tenth of a second.
    """
    rate = 1.0 / float(np.median(np.diff(time_s)))
    calm = captured_flats(time_s, position)
    smooth = signal.savgol_filter(signal.medfilt(position, (9, 1)), 2 * int(0.04 * rate) + 1, 2, axis=0)
    speed = np.linalg.norm(np.gradient(smooth, 1.0 / rate, axis=0)[:, :2], axis=1)
    moving = signal.medfilt((speed > 0.6).astype(float), 2 * int(0.05 * rate) + 1) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[True], moving, [True]]).astype(int)))
    stances = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin < 0.05 * rate:
            continue
        first_s, last_s = float(time_s[begin]), float(time_s[end - 1])
        place = calm(first_s - 0.05, last_s - first_s + 0.05)
        stances.append((first_s, last_s, np.full(3, np.nan) if place is None else place))
    return stances


def _group(part: str, a: Stance, b: Stance) -> str:
    true = float(np.hypot(*(b[2] - a[2])[:2]))
    if not true > 0.3:  # no stride, or not captured
        return "left out"
    return f"{part}, runs" if true / max(0.5 * (b[0] + b[1] - a[0] - a[1]), 0.1) > RUNNING_MPS else part


def _between(stances: list[Stance], first_s: float, last_s: float) -> int | None:
    """Number of the stance that holds the first instant, if the next holds the last."""
    for i, (a, b) in enumerate(itertools.pairwise(stances)):
        if a[0] - 0.1 <= first_s <= a[1] + 0.1 and b[0] - 0.1 <= last_s <= b[1] + 0.1:
            return i
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", ROOT / "../shared/data")))
    parser.add_argument("--rate", type=float, default=100.0, help="frame rate, Hz")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    result = run(args.data, args.rate)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, default=float))
        console.print(f"Figures written to {args.json}.")


if __name__ == "__main__":
    main()
