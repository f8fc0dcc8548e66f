#!/usr/bin/env python3
"""Speed and accuracy of the streaming inverse kinematics against OpenSim's own solver, on the same frames.

The frames are the virtual subject's walk, worn by IMUs on all segments that are each some degrees askew, so
that the sensors contradict each other as real ones do. Worst errors are against OpenSim's solver at its
tightest accuracy. Times are of the process, per frame, one core.

    python benchmarks/twin_ik.py [--model FILE.osim ...] [--frames 300] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from gait_twin.recording import SEGMENTS
from gait_twin.recording.axes import quat_from_rotvec, quat_multiply
from gait_twin.simulation import WalkSettings, simulate
from gait_twin.twin import InverseKinematics, Skeleton, build_default_model, load_model
from gait_twin.twin.opensim_api import opensim

ASKEW_DEG = 3.0
TIGHTEST = 1e-10


def walking_frames(skeleton: Skeleton, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) times and (n, k, 4) measured orientations."""
    truth = simulate(WalkSettings(duration_s=5.0 + 0.01 * n, straight_length_m=1000.0)).truth
    assert truth is not None
    assert truth.joints is not None
    joints = truth.joints
    start = int(np.searchsorted(joints.time_s, 4.0))
    rows = slice(start, start + 2 * n, 2)
    signs = -1.0 if skeleton.low[skeleton.coordinates.index("knee_angle_r")] < -1.0 else 1.0
    rng = np.random.default_rng(0)
    askew = quat_from_rotvec(np.radians(ASKEW_DEG) * rng.standard_normal((len(SEGMENTS), 3)))
    quats = []
    for position in joints.positions[rows]:
        pose = skeleton.default.copy()
        for name, value in zip(joints.coordinates, position, strict=True):
            if name in skeleton.coordinates:
                pose[skeleton.coordinates.index(name)] = signs * value if name.startswith("knee_angle") else value
        pose[skeleton.fixed] = skeleton.default[skeleton.fixed]
        skeleton.set(pose)
        quats.append(quat_multiply(askew, skeleton.quaternions(SEGMENTS)))
    return joints.time_s[rows], np.array(quats)


class OpenSimSolver:
    """OpenSim's InverseKinematicsSolver on frames of orientations."""

    def __init__(self, model: opensim.Model, accuracy: float) -> None:
        self.model, self.accuracy = opensim.Model(model), accuracy
        self.model.finalizeConnections()
        for segment in SEGMENTS:
            body = self.model.getBodySet().get(segment)
            body.addComponent(opensim.PhysicalOffsetFrame(f"{segment}_imu", body, opensim.Transform()))
        self.model.finalizeConnections()
        self.state = self.model.initSystem()
        coordinates = self.model.getCoordinateSet()
        self.coordinates = [coordinates.get(i) for i in range(coordinates.getSize())]

    def _solver(self, time_s: np.ndarray, quats: np.ndarray) -> opensim.InverseKinematicsSolver:
        table, labels = opensim.TimeSeriesTableRotation(), opensim.StdVectorString()
        for segment in SEGMENTS:
            labels.append(f"{segment}_imu")
        for t, frame in zip(time_s, quats, strict=True):
            row = opensim.RowVectorRotation(len(SEGMENTS))
            for j, q in enumerate(frame):
                row.updElt(0, j).setRotationFromQuaternion(opensim.Quaternion(*(float(v) for v in q)))
            table.appendRow(float(t), row)
        table.setColumnLabels(labels)
        # references must outlive the solver
        self._kept = (
            opensim.OrientationsReference(table),
            opensim.MarkersReference(),
            opensim.SimTKArrayCoordinateReference(),
        )
        solver = opensim.InverseKinematicsSolver(self.model, self._kept[1], self._kept[0], self._kept[2])
        solver.setAccuracy(self.accuracy)
        self.state.setTime(float(time_s[0]))
        solver.assemble(self.state)
        return solver

    def _values(self) -> list[float]:
        return [c.getValue(self.state) for c in self.coordinates]

    def track(self, time_s: np.ndarray, quats: np.ndarray) -> tuple[np.ndarray, float]:
        """All frames by one solver that knows them beforehand: the offline use; values and s a frame."""
        solver = self._solver(time_s, quats)
        values = []
        start = time.process_time()
        for t in time_s:
            self.state.setTime(float(t))
            solver.track(self.state)
            values.append(self._values())
        return np.array(values), (time.process_time() - start) / len(time_s)

    def stream(self, time_s: np.ndarray, quats: np.ndarray) -> tuple[np.ndarray, float]:
        """A fresh solver a frame, started from the last pose: the known way to stream from Python."""
        self._solver(time_s[:1], quats[:1])
        values = []
        start = time.process_time()
        for k in range(len(time_s)):
            self._solver(time_s[k : k + 1], quats[k : k + 1])
            values.append(self._values())
        return np.array(values), (time.process_time() - start) / len(time_s)


def ours(skeleton: Skeleton, time_s: np.ndarray, quats: np.ndarray) -> tuple[np.ndarray, float]:
    """Values and s a frame of gait_twin's streaming solver."""
    ik = InverseKinematics(skeleton, SEGMENTS)
    ik.solve(time_s[0] - 0.01, quats[0])
    start = time.process_time()
    values = [ik.solve(t, q).values for t, q in zip(time_s, quats, strict=True)]
    return np.array(values), (time.process_time() - start) / len(time_s)


def measure(name: str, model: opensim.Model, n: int) -> list[dict[str, object]]:
    """Rows of the table for one model."""
    skeleton = Skeleton(model)
    time_s, quats = walking_frames(skeleton, n)
    free = InverseKinematics(skeleton, SEGMENTS).free
    exact, _ = OpenSimSolver(model, TIGHTEST).track(time_s, quats)
    few = min(n, 100)
    runs: list[tuple[str, int, Callable[[], tuple[np.ndarray, float]]]] = [
        ("gait_twin", n, lambda: ours(skeleton, time_s, quats)),
        ("OpenSim, offline, 1e-5", n, lambda: OpenSimSolver(model, 1e-5).track(time_s, quats)),
        (f"OpenSim, offline, {TIGHTEST:g}", n, lambda: OpenSimSolver(model, TIGHTEST).track(time_s, quats)),
        (
            "OpenSim, fresh solver a frame, 1e-5",
            few,
            lambda: OpenSimSolver(model, 1e-5).stream(time_s[:few], quats[:few]),
        ),
    ]
    rows: list[dict[str, object]] = []
    for solver, count, run in runs:
        values, seconds = run()
        error = np.degrees(np.abs(values - exact[:count])[:, free])
        rows.append(
            {
                "model": name,
                "free_coordinates": len(free),
                "solver": solver,
                "frames": count,
                "ms_per_frame": 1e3 * seconds,
                "frames_per_s": 1.0 / seconds,
                "worst_error_deg": float(error.max()),
                "rms_error_deg": float(np.sqrt(np.mean(error**2))),
            }
        )
    for row in rows:
        row["times_slower"] = row["ms_per_frame"] / rows[0]["ms_per_frame"]  # type: ignore[operator]
    return rows


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="an .osim file beside the default model"
    )
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    models = [("default", build_default_model(1.75, 70.0)), *((p.stem, load_model(p)) for p in options.model)]
    rows = [row for name, model in models for row in measure(name, model, options.frames)]
    table = Table(
        "model", "free", "solver", "ms/frame", "frames/s", "slower", "worst error", title="Inverse kinematics"
    )
    for row in rows:
        table.add_row(
            str(row["model"]),
            str(row["free_coordinates"]),
            str(row["solver"]),
            f"{row['ms_per_frame']:.3f}",
            f"{row['frames_per_s']:.0f}",
            f"{row['times_slower']:.1f} ×",
            f"{row['worst_error_deg']:.5f}°",
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
