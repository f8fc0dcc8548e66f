#!/usr/bin/env python3
"""Joint angles and place of the twin against the truth: drift, askew sensors, wrong standings, and the loop.

    python benchmarks/twin_pose.py [--data DIR] [--only drift motion standing real loop] [--minutes 10] [--json FILE]

Everything runs through the sensor hub and the twin as they run live; "analyze" lets the hub look at the whole
recording first, as `gait-twin analyze` does. "static" is the calibration from standing and forward direction
alone, "refined" the twin's default. No constant was chosen on the walks and sensors of these seeds, but the
virtual subject's way of walking, and the real recording, were looked at while choosing.

drift     virtual subject, to and fro, random mounting, bias instability of 10 deg/h and 0.1 deg/s (1 sigma, 100 s).
motion    virtual IMUs on published walking of two people, free heading, models of the people.
standing  the same with a standing that was not neutral.
real      Xsens walk against OpenSim's offline inverse kinematics (which trusts the standing).
loop      virtual subject, with the right and wrong heights: strides into the twin, and refinement, off ("open") and
          on ("closed"), and once more with the height that the strides show ("fitted", as `analyze` does).
          "legs" is how far the model's are off, "seen" what the strides tell of that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from published_motion import STANDING_S, walking, wear
from rich.console import Console
from rich.table import Table

from gait_twin.events import EventDetector
from gait_twin.recording import SEGMENTS, BodyFrames, Recording, Side, SlotStatus, Stride, TwinState
from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.service.feeding import blocks, push, with_mounting
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.steps import StepEstimator
from gait_twin.twin import Skeleton, Twin, TwinSettings, build_default_model, load_model
from gait_twin.twin.opensim_api import opensim

console = Console(width=220)
Rows = list[dict[str, Any]]
BLOCK = 1000
LEGS = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")
ANGLES = (
    *(f"{name}_{side}" for name in LEGS for side in "rl"),
    "lumbar_extension",
    "lumbar_bending",
    "lumbar_rotation",
)
CONSUMER: dict[str, Any] = {
    "mounting": "random",
    "site_spread_m": 0.01,
    "gyro_noise_radps_rthz": 1.7e-4,
    "acc_noise_mps2_rthz": 2.0e-3,
    "gyro_bias_radps": 3.5e-3,
    "acc_bias_mps2": 0.05,
    "acc_bias_instability_mps2": 1.0e-3,
    "acc_scale_error": 0.01,
    "gyro_scale_error": 0.003,
    "acc_range_mps2": 156.9,
    "gyro_range_radps": 34.9,
    "quantisation_bits": 16,
    "heel_strike_transient_mps2": 25.0,
}
KNOWN_S = 9.0
"""Live, the recorded walk's headings are known from here on."""
GRADES = {"10 deg/h": np.radians(10.0 / 3600.0), "0.1 deg/s": np.radians(0.1)}


def frames_of(recording: Recording, *, look_first: bool = False, settings: HubSettings | None = None) -> BodyFrames:
    """The hub's frames."""
    settings = settings or HubSettings()
    hub = SensorHub(tuple(recording.imus), with_mounting(recording, settings) if look_first else settings)
    parts = []
    for _, rows in blocks(recording):
        push(hub, recording, rows)
        parts.append(hub.poll())
    return BodyFrames.joined([*parts, hub.flush()])


def follow(twin: Twin, frames: BodyFrames, strides: Sequence[Sequence[Stride]] = ()) -> list[TwinState]:
    """States of all frames; strides of each block go before it."""
    states: list[TwinState] = []
    for i, start in enumerate(range(0, len(frames), BLOCK)):
        if i < len(strides):
            twin.take_strides(strides[i])
        states += twin.update(frames[start : start + BLOCK])
    return states


def errors_deg(recording: Recording, states: list[TwinState]) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """(n,) times, names, and (n, names) errors of the angles that both have."""
    assert recording.truth is not None
    joints = recording.truth.joints
    assert joints is not None
    names = tuple(name for name in ANGLES if name in joints.coordinates and name in states[0].coordinates)
    time_s = np.array([state.time_s for state in states])
    found = np.array([state.positions[[state.coordinates.index(name) for name in names]] for state in states])
    columns = [joints.coordinates.index(name) for name in names]
    true = np.stack([np.interp(time_s, joints.time_s, joints.positions[:, c]) for c in columns], axis=1)
    return time_s, names, np.degrees(found - true)


def grouped(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Worst of both sides for each kind of angle."""
    kinds = dict.fromkeys(name.removesuffix("_r").removesuffix("_l") for name in names)
    return {k: float(max(v for n, v in zip(names, values, strict=True) if n.startswith(k))) for k in kinds}


def summary(names: Sequence[str], error: np.ndarray) -> dict[str, Any]:
    """RMSE of each kind of angle, mean and largest of all."""
    rmse = np.sqrt(np.mean(error**2, axis=0))
    return {"mean": float(rmse.mean()), "worst": float(rmse.max()), **grouped(names, rmse)}


def drift(options: argparse.Namespace) -> Rows:
    """Slope of every angle's error over the minutes, and its RMSE at the end."""
    rows: Rows = []
    for i, (grade, wander) in enumerate(GRADES.items()):
        sensors = SensorSettings(**CONSUMER, gyro_bias_instability_radps=wander, seed=options.seed + i)
        recording = simulate(WalkSettings(duration_s=60.0 * options.minutes, seed=5), sensors)
        frames = frames_of(recording)
        for refine in (False, True):
            twin = Twin(build_default_model(1.75, 70.0), frames.segments, TwinSettings(refine=refine))
            time_s, names, error = errors_deg(recording, follow(twin, frames[:: options.every]))
            walk = (time_s > 20.0) & (time_s < time_s[-1] - 5.0)
            time_s, error = time_s[walk], error[walk]
            slope = np.polyfit(time_s / 60.0, error, 1)[0]
            first, last = (error[w].mean(axis=0) for w in (time_s < time_s[0] + 60.0, time_s > time_s[-1] - 60.0))
            rows.append(
                {
                    "gyroscopes": grade,
                    "minutes": options.minutes,
                    "calibration": "refined" if refine else "static",
                    "slope_deg_per_min": grouped(names, np.abs(slope)),
                    "worst_slope_deg_per_min": float(np.abs(slope).max()),
                    "last_minus_first_minute_deg": float(np.abs(last - first).max()),
                    **{f"rmse_{k}": v for k, v in summary(names, error).items()},
                }
            )
    return rows


def published(
    options: argparse.Namespace, standings: dict[str, dict[str, float]], looks: Sequence[bool], refined: Sequence[bool]
) -> Rows:
    """Angles of virtual IMUs on the published motions."""
    rows: Rows = []
    files = {"gait2354": "subject01_Setup_Scale.xml", "gait10dof18musc": ""}
    for i, name in enumerate(files):
        folder = options.data / "opensim_gait" / name
        scaled = folder / "subject01_scaled.osim"
        model = load_model(scaled if scaled.is_file() else folder / f"{name}_simbody.osim")
        for standing, angles in standings.items():
            skeleton = Skeleton(model)
            known = {key: value for key, value in angles.items() if key in skeleton.coordinates}
            time_s, poses = walking(skeleton, folder / "reference_ik.mot", options.seconds, known)
            sensors = SensorSettings(**CONSUMER, gyro_bias_instability_radps=GRADES["0.1 deg/s"], seed=31 + i)
            recording = wear(skeleton, time_s, poses, sensors, 1.8)
            for look_first in looks:
                frames = frames_of(recording, look_first=look_first)
                heading = (frames.status & SlotStatus.HEADING).all(axis=1)
                since = max(float(frames.time_s[np.argmax(heading)]), STANDING_S + 1.0)
                for refine in refined:
                    states = follow(Twin(model, SEGMENTS, TwinSettings(refine=refine)), frames)
                    at_s, names, error = errors_deg(recording, states)
                    rows.append(
                        {
                            "motion": name,
                            "standing": standing,
                            "hub": "analyze" if look_first else "live",
                            "calibration": "refined" if refine else "static",
                            "heading_known_s_after_first_step": max(0.0, since - STANDING_S),
                            **{f"rmse_{k}": v for k, v in summary(names, error[at_s > since]).items()},
                            "worst_from_20_s": summary(names, error[at_s > 20.0])["worst"],
                        }
                    )
    return rows


def motion(options: argparse.Namespace) -> Rows:
    """Right standing, live and analyzed."""
    return published(options, {"neutral": {}}, (False, True), (False, True))


def standing(options: argparse.Namespace) -> Rows:
    """Standings that were not neutral: what a refinement can know of, and what not."""
    bent = {f"{c}_{s}": v for s in "rl" for c, v in (("hip_flexion", 5.0), ("knee_angle", -10.0), ("ankle_angle", 5.0))}
    out = {f"hip_rotation_{s}": -15.0 for s in "rl"}
    apart = {f"hip_adduction_{s}": -8.0 for s in "rl"}
    poses = {"knees bent 10": bent, "toes out 15": out, "feet apart 8": apart}
    return published(options, poses, (True,), (False, True))


def real(options: argparse.Namespace) -> Rows:
    """RMSE against OpenSim's offline result, mean differences included; largest change from one frame to the next."""
    folder = options.data / "opensim_xsens_walk"
    lines = gzip.decompress((folder / "derived" / "ik.mot.gz").read_bytes()).decode().splitlines()
    start = [line.strip() for line in lines].index("endheader") + 1
    table = np.array([line.split("\t") for line in lines[start + 1 :]], dtype=float).T
    reference = dict(zip(lines[start].split("\t"), table, strict=True))
    recording = IMPORTERS["xsens_mt"].load(folder / "raw")
    models = {
        "Rajagopal2016": load_model(options.data / "opensim_gait" / "models" / "Rajagopal2016.osim"),
        "default": build_default_model(1.75, 70.0),
    }
    rows: Rows = []
    hubs: dict[str, Callable[[], BodyFrames]] = {
        "forward given": lambda: frames_of(recording, settings=HubSettings(mounting=("pelvis=z",))),
        "analyze": lambda: frames_of(recording, look_first=True),
        "live": lambda: frames_of(recording),
    }
    for hub, make in hubs.items():
        frames = make()
        for name, model in models.items():
            for refine in (False, True):
                states = follow(Twin(model, SEGMENTS, TwinSettings(refine=refine)), frames)
                columns = [states[-1].coordinates.index(n) for n in ANGLES]
                at_s = np.array([s.time_s for s in states])
                found = np.degrees([s.positions[columns] for s in states])
                jumps = np.abs(np.diff(found, axis=0)).max(axis=1)[at_s[1:] < reference["time"][-1]]
                true = np.stack([np.interp(at_s, reference["time"], reference[n]) for n in ANGLES], axis=1)
                for since in (reference["time"][0], KNOWN_S):
                    chosen = (at_s > since - 1e-6) & (at_s < reference["time"][-1] + 1e-6)
                    rows.append(
                        {
                            "hub": hub,
                            "model": name,
                            "calibration": "refined" if refine else "static",
                            "since_s": float(since),
                            "largest_step_deg": float(jumps.max()),
                            **{f"rmse_{k}": v for k, v in summary(ANGLES, (found - true)[chosen]).items()},
                        }
                    )
    return rows


def _way(recording: Recording, twin: Twin, states: list[TwinState], since_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the true strides and of the twin's, m: from foot-flat to foot-flat."""
    assert recording.truth is not None
    time_s = np.array([state.time_s for state in states])
    feet: dict[Side, np.ndarray] = {}
    places = [twin.body_poses(state) for state in states]
    for side in Side:
        feet[side] = np.array([place[side.foot][0][:2] for place in places])
    true, found = [], []
    for stride in recording.truth.strides:
        ends = []
        for strike in (stride.start_s, stride.end_s):
            flat = np.abs(time_s - strike - 0.21 * stride.stride_time_s) <= 0.09 * stride.stride_time_s
            ends.append(feet[stride.side][flat].mean(axis=0))
        if stride.start_s > since_s:
            true.append(stride.stride_length_m)
            found.append(float(np.linalg.norm(ends[1] - ends[0])))
    return np.array(true), np.array(found)


def loop(options: argparse.Namespace) -> Rows:
    """Stride length, length of the path, and angles, with nothing fed back and with everything."""
    rows: Rows = []
    for speed in (0.6, 1.2, 1.7):
        sensors = SensorSettings(**CONSUMER, gyro_bias_instability_radps=GRADES["0.1 deg/s"], seed=41)
        recording = simulate(WalkSettings(duration_s=options.seconds, speed_mps=speed, seed=6), sensors)
        frames = frames_of(recording)
        detector, estimator = EventDetector(), StepEstimator()
        strides = []
        for start in range(0, len(frames), BLOCK):
            block = frames[start : start + BLOCK]
            strides.append(estimator.update(block, detector.update(block)[0]).strides)
        for given in (1.75, 1.75 * 0.9, 1.75 * 1.1):
            height, seen = given, None
            for kind in ("open", "closed", "fitted"):
                closed = kind != "open"
                if kind == "fitted":
                    if seen is None or not seen.significant:
                        continue
                    height = seen.height_m
                settings = TwinSettings(refine=closed, follow_strides=closed)
                twin = Twin(build_default_model(height, 70.0), frames.segments, settings)
                states = follow(twin, frames, strides)
                true, found = _way(recording, twin, states, 20.0)
                seen = twin.legs
                assert seen is not None
                at_s, names, error = errors_deg(recording, states)
                rows.append(
                    {
                        "speed_mps": speed,
                        "height_m": given,
                        "loop": kind,
                        "legs_percent": 100.0 * (height / 1.75 - 1.0),
                        "seen_percent": 100.0 * (seen.factor - 1.0),
                        "seen_sd_percent": 100.0 * seen.sd,
                        "stride_bias_mm": float(1e3 * np.mean(found - true)),
                        "stride_sd_mm": float(1e3 * np.std(found - true)),
                        "path_percent": float(100.0 * (found.sum() / true.sum() - 1.0)),
                        **{f"rmse_{k}": v for k, v in summary(names, error[at_s > 20.0]).items()},
                    }
                )
    return rows


def show(title: str, rows: Rows) -> None:
    """A table of rows with the same keys."""
    flat = [{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows]
    for row, whole in zip(flat, rows, strict=True):
        row.update({f"{k}/min": v for k, v in whole.get("slope_deg_per_min", {}).items()})
    columns = list(dict.fromkeys(key for row in flat for key in row))
    heads = [c.removeprefix("rmse_").replace("_", " ") for c in columns]
    table = Table(*heads, title=f"{title} (RMSE in deg)")
    for row in flat:
        cells = [row.get(column, "") for column in columns]
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(table)


SECTIONS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "drift": drift,
    "motion": motion,
    "standing": standing,
    "real": real,
    "loop": loop,
}


def main() -> None:
    """Measure, print the tables, write the JSON."""
    opensim.Logger.setLevelString("Error")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAIT_TWIN_DATA", "../shared/data")))
    parser.add_argument("--only", nargs="*", default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument("--minutes", type=float, default=10.0, help="of the drifting walk")
    parser.add_argument(
        "--seed", type=int, default=21, help="of the drifting walk's sensors; the second ones have 1 more"
    )
    parser.add_argument("--every", type=int, default=4, help="the drifting walk's twin sees every so many frames only")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the other ones")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    for name in options.only:
        results[name] = SECTIONS[name](options)
        show(name, results[name])
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
