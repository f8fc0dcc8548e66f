"""gait_twin, gaitmap and the plain baseline on the same recordings, each scored on the strides that it gives.

    python benchmarks/peers.py [--data DIR] [--json FILE] [--rate HZ]

gaitmap (Küderle et al. 2024, IEEE OJEMB 5:163) is installed into a virtual environment of its own,
build/peers, by this script; it is never imported here. It gets the same frames on an even grid, both as it comes
("default") and with three settings changed by judgement, without a search ("tuned"), and is
scored like the others. Its event scores fall short of what is known of it elsewhere: see docs/events_and_steps.md.
"""

from __future__ import annotations

import argparse
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
from accuracy import captured_flats
from rich.console import Console
from rich.table import Table
from running import Run
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
        runs[path.stem] = run_ = Run(recording, rate_hz)
        if path.suffix == ".json":
            metas[path.stem] = json.loads(path.read_text())
        else:
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
    """Stride lengths against motion capture, of the strides that each method gives."""
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, track in tracks.items():
        part = "tuning" if name < "2017-11-23" else "reporting"
        calm = captured_flats(track.time_s, track.position_m)
        foot = f"{name}/{Side.RIGHT.value}"
        # An instant of each foot-flat, and the way to the next
        given = {
            "gait_twin": [
                (calm(s.start_s, 0.6 * s.stride_time_s), calm(s.end_s, 0.6 * s.stride_time_s), s.stride_length_m)
                for s in runs[name].strides
                if s.valid
            ],
            "baseline": [
                (_at(track, a), _at(track, b), way)
                for a, b, way in zip(
                    plain[foot].flats_s[:-1], plain[foot].flats_s[1:], plain[foot].lengths_m, strict=True
                )
            ],
        }
        for variant in VARIANTS:
            strides = peer[variant][foot]["strides"]
            given[f"gaitmap {variant}"] = [(_at(track, a), _at(track, b), way) for a, b, way in strides]
        for who, strides in given.items():
            for first, last, way in strides:
                if first is None or last is None:
                    continue
                true = float(np.hypot(*(last - first)[:2]))
                if true > 0.3:
                    errors[part, who].append(100.0 * (way - true))
    table = Table(title="Stride length against motion capture (walks and runs of foot_vicon), cm", title_justify="left")
    keys = ("n", "mean", "sd", "median_abs", "worst")
    for heading in ("part", "who", *keys):
        table.add_column(heading)
    result = {}
    for (part, who), values in sorted(errors.items()):
        scores = result[f"{part}.{who}"] = spread(values)
        table.add_row(part, who, *(f"{scores[k]:.1f}" if k != "n" else str(scores[k]) for k in keys))
    console.print(table)
    return result


def _at(track: Any, time_s: float) -> np.ndarray | None:
    """(3,) captured position, m: median of 0.1 s around an instant."""
    a, b = np.searchsorted(track.time_s, [time_s - 0.05, time_s + 0.05])
    return np.median(track.position_m[a:b], axis=0) if b > a else None


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
