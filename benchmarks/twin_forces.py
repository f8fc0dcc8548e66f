#!/usr/bin/env python3
"""Ground reactions and joint moments without force plates, against the plates.

A walk of OpenSim's example (markers at 60 Hz, two plates, one person on a split-belt treadmill) is turned into
what ideal IMUs on its segments would give at 100 Hz: orientations of all bodies, and specific force at the
sacrum, from marker kinematics low-passed at 6 or 12 Hz. The twin takes these frames one after the other, as it
does live. Truth are the plates, and OpenSim's inverse dynamics with them on the model scaled by markers.

rRMSE is the root mean square error over the mean of both curves' ranges (Ren et al. 2008), the mean of left and
right; centres of pressure in mm along and across the foot. The constants of the predictor were chosen on the
first half of this walk: the second half is other strides of the same person (OpenSim's gait10dof18musc example is
the same recording). Another person's walk can be given: what is reported in docs/twin.md is the one of OpenSim's
Moco example exampleEMGTracking (coordinates.mot and grf.mot) with the model of example3DWalking
(subject_walk_scaled.osim), on the ground, on which nothing was chosen.

    python benchmarks/twin_forces.py --data ../shared/data [--other MODEL MOTION FORCES] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table as ConsoleTable
from scipy.interpolate import CubicSpline

from gait_twin.recording import SEGMENTS, BodyFrames, TwinState
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    opensim_to_ros,
    quat_about_z,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
    ros_to_opensim,
)
from gait_twin.twin import (
    ExternalLoads,
    MarkerKinematics,
    Skeleton,
    Table,
    Twin,
    TwinSettings,
    build_default_model,
    inverse_dynamics,
    load_model,
    read_ground_reactions,
    read_marker_tasks,
    read_markers,
    read_table,
)
from gait_twin.twin.opensim_api import opensim

HALVES_S = (("tuned on", 0.4, 1.25), ("reported", 1.25, 2.45))
LEGS = tuple(segment for segment in SEGMENTS if segment != "torso")
SETS = {
    "all eight": (SEGMENTS, True),
    "no trunk": (LEGS, True),
    "no feet": (tuple(segment for segment in SEGMENTS if not segment.startswith("calcn")), True),
    "no trunk, feet": (tuple(segment for segment in LEGS if not segment.startswith("calcn")), True),
    "no trunk, acc.": (LEGS, False),
}
"""What is worn, and whether the pelvis' accelerometer works."""
MOMENTS = ("hip_flexion", "knee_angle", "ankle_angle", "hip_adduction")
SACRUM = np.array(TwinSettings().pelvis_sensor_m)


class Walk:
    """A recorded walk at 100 Hz, with everything that is true of it.

    Parameters
    ----------
    model
        OpenSim model of the person.
    motion
        Coordinates over time as they were found, rad (or degrees, said in it) and m.
    loads
        Ground reactions on right and left foot.
    span_s
        Part of the walk that is used; the plates have to know all contacts in it but for the first 0.4 s.
    cutoff_hz
        Low-pass of the motion that the IMUs feel.
    """

    def __init__(
        self,
        model: opensim.Model,
        motion: Table,
        loads: ExternalLoads,
        span_s: tuple[float, float],
        cutoff_hz: float,
    ) -> None:
        self.model, self.skeleton = model, Skeleton(model)
        self.time_s = np.arange(*span_s, 0.01)
        raw = np.tile(self.skeleton.default, (len(motion.time_s), 1))
        for i, name in enumerate(self.skeleton.coordinates):
            if name in motion.columns:
                scale = np.pi / 180.0 if motion.in_degrees and self.skeleton.rotational[i] else 1.0
                raw[:, i] = scale * motion[name]
        self.values = smoothed(self.skeleton, motion.time_s, raw, cutoff_hz, self.time_s)
        wrenches = [loads.at(float(t)) for t in self.time_s]
        self.force = np.array([[w.force for w in each] for each in wrenches])
        self.pressure = np.array([[w.point for w in each] for each in wrenches])
        moments, _ = inverse_dynamics(self.skeleton, motion, loads)
        inner = [moments[name] for name in moments.columns]
        self.moments = np.array([np.interp(self.time_s, moments.time_s, column) for column in inner]).T

    @classmethod
    def of_markers(cls, folder: Path, cutoff_hz: float) -> Walk:
        """The trial of OpenSim's gait2354 example: a treadmill, markers at 60 Hz."""
        model = load_model(folder / "subject01_scaled.osim")
        skeleton = Skeleton(model)
        markers = read_markers(folder / "subject01_walk1.trc")
        kinematics = MarkerKinematics(
            skeleton, list(markers.names), read_marker_tasks(folder / "subject01_Setup_IK.xml")
        )
        raw = np.array([kinematics.solve(frame).values for frame in markers.positions_m])
        motion = Table(markers.time_s, skeleton.coordinates, raw)
        return cls(model, motion, read_ground_reactions(folder / "subject01_walk1_grf.mot"), (0.02, 2.48), cutoff_hz)

    def frames(self, segments: tuple[str, ...]) -> BodyFrames:
        """What ideal IMUs give; the pelvis' own world is turned against the common one."""
        quats, sacrum = [], []
        for values in self.values:
            self.skeleton.set(values)
            quats.append(self.skeleton.quaternions(segments))
            sacrum.append(self.skeleton.stations("pelvis", [SACRUM])[0])
        body = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, np.array(quats))
        own = quat_multiply(quat_about_z(0.7), body)
        acceleration = opensim_to_ros(CubicSpline(self.time_s, sacrum)(self.time_s, 2))
        acceleration[:, 2] += 9.80665
        shape = (len(self.time_s), len(segments), 3)
        acc = np.zeros(shape)
        pelvis = segments.index("pelvis")
        acc[:, pelvis] = quat_rotate(quat_conjugate(body[:, pelvis]), acceleration)
        status = np.full(shape[:2], 15, np.uint8)
        return BodyFrames(segments, self.time_s, acc, np.zeros(shape), own, body, status)


def smoothed(
    skeleton: Skeleton, time_s: np.ndarray, values: np.ndarray, cutoff_hz: float, at: np.ndarray
) -> np.ndarray:
    """(n, m) coordinates at some instants, low-passed as OpenSim's inverse dynamics prepares them."""
    labels = opensim.ArrayStr()
    for name in ("time", *skeleton.coordinates):
        labels.append(name)
    motion = opensim.Storage()
    motion.setColumnLabels(labels)
    for t, row in zip(time_s, values, strict=True):
        motion.append(float(t), opensim.Vector.createFromMat(row))
    motion.pad(motion.getSize() // 2)
    motion.lowpassIIR(cutoff_hz)
    splines = opensim.GCVSplineSet(5, motion)
    each = [splines.get(i) for i in range(splines.getSize())]
    return np.array([[spline.calcValue(opensim.Vector(1, float(t))) for spline in each] for t in at])


def rrmse(found: np.ndarray, truth: np.ndarray) -> float:
    """Percent of the mean range."""
    return float(100.0 * np.sqrt(np.mean((found - truth) ** 2)) / (0.5 * (np.ptp(found) + np.ptp(truth))))


def measure(
    walk: Walk,
    model: object,
    segments: tuple[str, ...],
    parts: Sequence[tuple[str, float, float]] = HALVES_S,
    accelerometer: bool = True,
) -> list[dict[str, object]]:
    """Rows of the table, one a part of the walk."""
    frames = walk.frames(segments)
    if not accelerometer:
        frames = replace(frames, acc_mps2=np.full_like(frames.acc_mps2, np.nan))
    twin = Twin(model, segments, TwinSettings())
    start = time.process_time()
    every = twin.update(frames)
    cost_s = (time.process_time() - start) / len(frames)
    states = [state for state in every if state.ground is not None]
    at = np.array([state.ground.time_s for state in states])
    force = ros_to_opensim([state.ground.force_n for state in states])[:, ::-1]
    moments = np.array([state.moments for state in states])
    names = walk.skeleton.coordinates
    # gait2354 counts knee flexion negative, the default model positive
    senses = [np.abs(s.low[s.coordinates.index("knee_angle_r")]) > 1.0 for s in (twin.skeleton, walk.skeleton)]
    flexion = 1.0 if senses[0] == senses[1] else -1.0
    off = pressure_error(walk, twin, every, states)

    def true_moment(name: str) -> np.ndarray:
        sign = flexion if name.startswith("knee") else 1.0
        return sign * np.interp(at, walk.time_s, walk.moments[:, names.index(name)])

    rows = []
    for part, first, last in parts:
        use = (at >= first) & (at < last)
        row: dict[str, object] = {"part": part, "ms_per_frame": 1e3 * cost_s, "frames": int(use.sum())}
        for axis, name in ((1, "vertical"), (0, "fore_aft"), (2, "lateral")):
            row[name] = float(
                np.mean(
                    [
                        rrmse(force[use, k, axis], np.interp(at[use], walk.time_s, walk.force[:, k, axis]))
                        for k in range(2)
                    ]
                )
            )
        for name in MOMENTS:
            sides = [f"{name}_{side}" for side in "rl"]
            row[name] = float(
                np.mean([rrmse(moments[use, twin.coordinates.index(n)], true_moment(n)[use]) for n in sides])
            )
        for axis, name in enumerate(("cop_along_mm", "cop_across_mm")):
            row[name] = float(1e3 * np.sqrt(np.nanmean(np.square(off[use, :, axis]))))
        row["confidence"] = float(np.mean([s.ground.confidence for s, u in zip(states, use, strict=True) if u]))
        rows.append(row)
    return rows


def pressure_error(walk: Walk, twin: Twin, every: Sequence[TwinState], states: Sequence[TwinState]) -> np.ndarray:
    """(n, 2, 2) centre of pressure against the plates', along and across the foot, m; NaN below 10 % of the weight.

    Each is taken relative to its own foot: on a belt, the foot moves in one world and stands in the other.
    """
    feet = ["calcn_r", "calcn_l"]
    positions = np.array([state.positions for state in every])
    all_s = np.array([state.time_s for state in every])
    loaded_n = 0.1 * 9.81 * walk.skeleton.mass_kg
    errors = np.full((len(states), 2, 2), np.nan)

    def on_foot(skeleton: Skeleton, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        skeleton.set(values)
        axes = quat_rotate(skeleton.quaternions(feet)[:, None], np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
        axes[..., 1] = 0.0
        axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
        return np.einsum("kaj,kj->ka", axes, points - skeleton.origins(feet))

    for i, state in enumerate(states):
        t = state.ground.time_s
        row = int(np.argmin(np.abs(walk.time_s - t)))
        then = int(np.argmin(np.abs(all_s - t)))
        found = ros_to_opensim(state.ground.center_of_pressure_m)[::-1]
        both = on_foot(twin.skeleton, positions[then], found) - on_foot(
            walk.skeleton, walk.values[row], walk.pressure[row]
        )
        errors[i] = np.where((walk.force[row, :, 1] > loaded_n)[:, None], both, np.nan)
    return errors


def stature(skeleton: Skeleton) -> float:
    """Height of the default model whose legs are as long as a model's, m."""
    legs = []
    for one in (skeleton, Skeleton(build_default_model(1.75, 75.0))):
        one.set(one.default)
        hip, knee, ankle = one.origins(["femur_r", "tibia_r", "talus_r"])
        legs.append(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
    return float(1.75 * legs[0] / legs[1])


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--other", type=Path, nargs=3, metavar=("MODEL", "MOTION", "FORCES"), help="another walk")
    parser.add_argument("--span", type=float, nargs=2, default=(0.45, 1.95), help="what of it is reported, s")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    columns = ("vertical", "fore_aft", "lateral", *MOMENTS, "cop_along_mm", "cop_across_mm", "confidence")
    table = ConsoleTable("walk", "low-pass", "model", "worn", "part", *columns, title="rRMSE, %")
    rows: list[dict[str, object]] = []
    walks: list[tuple[str, float, Walk, Sequence[tuple[str, float, float]], Any]] = []
    for cutoff_hz in (6.0, 12.0):
        walk = Walk.of_markers(options.data / "opensim_gait" / "gait2354", cutoff_hz)
        walks.append(("gait2354", cutoff_hz, walk, HALVES_S, build_default_model(1.803, 72.6)))
    if options.other:
        path, motion, forces = options.other
        other = Walk(load_model(path), read_table(motion), read_ground_reactions(forces), (0.0, 2.36), 6.0)
        model = build_default_model(stature(other.skeleton), other.skeleton.mass_kg)
        walks.append((path.stem, 6.0, other, (("other", *options.span),), model))
    for name, cutoff_hz, walk, parts, default in walks:
        for model_name, model in (("default", default), ("the person's", walk.model)):
            for worn, (segments, accelerometer) in SETS.items():
                if cutoff_hz != 6.0 and worn != "all eight":
                    continue
                for row in measure(walk, model, segments, parts, accelerometer):
                    rows.append({"walk": name, "model": model_name, "worn": worn, "cutoff_hz": cutoff_hz, **row})
                    figures = [f"{row[column]:.{2 if column == 'confidence' else 1}f}" for column in columns]
                    table.add_row(name, f"{cutoff_hz:g} Hz", model_name, worn, str(row["part"]), *figures)
    Console(width=220).print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
