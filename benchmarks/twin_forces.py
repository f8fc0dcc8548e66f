#!/usr/bin/env python3
"""Ground reactions and joint moments without force plates, against the plates.

A walk of OpenSim's example (markers at 60 Hz, two plates, one person on a split-belt treadmill) is turned into
what ideal IMUs on its segments would give at 100 Hz: orientations of all bodies, and specific force at the
sacrum, from marker kinematics low-passed at 6 or 12 Hz. The twin takes these frames one after the other, as it
does live. Truth are the plates, and OpenSim's inverse dynamics with them on the model scaled by markers.

rRMSE is the root mean square error over the mean of both curves' ranges (Ren et al. 2008), the mean of left and
right. The constants of the predictor were chosen on the first half of this walk: the second half, a different
two strides of the same person, is what to look at, and still no other person.

    python benchmarks/twin_forces.py --data ../shared/data [--json out.json]
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
from rich.table import Table as ConsoleTable
from scipy.interpolate import CubicSpline

from gait_twin.recording import SEGMENTS, BodyFrames
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
    InverseDynamics,
    MarkerKinematics,
    Skeleton,
    Twin,
    TwinSettings,
    Wrench,
    build_default_model,
    load_model,
    read_marker_tasks,
    read_markers,
    read_table,
)
from gait_twin.twin.opensim_api import opensim

HALVES_S = ((0.4, 1.25), (1.25, 2.45))
MOMENTS = ("hip_flexion", "knee_angle", "ankle_angle", "hip_adduction")
SACRUM = np.array(TwinSettings().pelvis_sensor_m)


class Walk:
    """The recorded walk at 100 Hz, with everything that is true of it."""

    def __init__(self, folder: Path, cutoff_hz: float) -> None:
        self.model = load_model(folder / "subject01_scaled.osim")
        self.skeleton = Skeleton(self.model)
        markers = read_markers(folder / "subject01_walk1.trc")
        kinematics = MarkerKinematics(
            self.skeleton, list(markers.names), read_marker_tasks(folder / "subject01_Setup_IK.xml")
        )
        raw = np.array([kinematics.solve(frame).values for frame in markers.positions_m])
        self.time_s = np.arange(0.02, 2.48, 0.01)

        def smoothed(hz: float) -> Callable[[int], np.ndarray]:
            """The coordinates or a derivative at `time_s`, as OpenSim's inverse dynamics prepares them."""
            motion = opensim.Storage()
            motion.setColumnLabels(_array(["time", *self.skeleton.coordinates]))
            for at, row in zip(markers.time_s, raw, strict=True):
                motion.append(float(at), opensim.Vector.createFromMat(row))
            motion.pad(motion.getSize() // 2)
            motion.lowpassIIR(hz)
            splines = opensim.GCVSplineSet(5, motion)
            each = [splines.get(i) for i in range(splines.getSize())]

            def derivative(order: int) -> np.ndarray:
                def value(spline: opensim.Function, at: float) -> float:
                    x = opensim.Vector(1, float(at))
                    return spline.calcDerivative(opensim.StdVectorInt([0] * order), x) if order else spline.calcValue(x)

                self._kept = splines
                return np.array([[value(spline, at) for spline in each] for at in self.time_s])

            return derivative

        self.values = smoothed(cutoff_hz)(0)
        plates = read_table(folder / "subject01_walk1_grf.mot")

        def vector(name: str) -> np.ndarray:
            return np.array([np.interp(self.time_s, plates.time_s, plates[name + axis]) for axis in "xyz"]).T

        feet = ("", "1_")
        self.force = np.stack([vector(f"{foot}ground_force_v") for foot in feet], axis=1)
        self.pressure = np.stack([vector(f"{foot}ground_force_p") for foot in feet], axis=1)
        torque = np.stack([vector(f"{foot}ground_torque_") for foot in feet], axis=1)
        dynamics, spline = InverseDynamics(self.skeleton), smoothed(6.0)
        motion = [spline(order) for order in range(3)]
        self.moments = np.array(
            [
                dynamics.solve(
                    *(derivative[i] for derivative in motion),
                    [
                        Wrench(body, self.force[i, k], self.pressure[i, k], torque[i, k])
                        for k, body in enumerate(("calcn_r", "calcn_l"))
                    ],
                )
                for i in range(len(self.time_s))
            ]
        )

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


def _array(names: list[str]) -> opensim.ArrayStr:
    array = opensim.ArrayStr()
    for name in names:
        array.append(name)
    return array


def rrmse(found: np.ndarray, truth: np.ndarray) -> float:
    """Percent of the mean range."""
    return float(100.0 * np.sqrt(np.mean((found - truth) ** 2)) / (0.5 * (np.ptp(found) + np.ptp(truth))))


def measure(walk: Walk, model: object, segments: tuple[str, ...]) -> list[dict[str, object]]:
    """Rows of the table, one a half of the walk."""
    frames = walk.frames(segments)
    twin = Twin(model, segments, TwinSettings())
    start = time.process_time()
    states = [state for state in twin.update(frames) if state.ground is not None]
    cost_s = (time.process_time() - start) / len(frames)
    at = np.array([state.ground.time_s for state in states])
    force = ros_to_opensim([state.ground.force_n for state in states])[:, ::-1]
    moments = np.array([state.moments for state in states])
    names = walk.skeleton.coordinates
    # gait2354 counts knee flexion negative, the default model positive
    flexion = 1.0 if twin.skeleton.low[twin.coordinates.index("knee_angle_r")] < -1.0 else -1.0

    def true_moment(name: str) -> np.ndarray:
        sign = flexion if name.startswith("knee") else 1.0
        return sign * np.interp(at, walk.time_s, walk.moments[:, names.index(name)])

    rows = []
    for half, (first, last) in zip(("tuned on", "reported"), HALVES_S, strict=True):
        use = (at >= first) & (at < last)
        row: dict[str, object] = {"half": half, "ms_per_frame": 1e3 * cost_s, "frames": int(use.sum())}
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
        row["confidence"] = float(np.mean([s.ground.confidence for s, u in zip(states, use, strict=True) if u]))
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.data / "opensim_gait" / "gait2354"
    legs = tuple(segment for segment in SEGMENTS if segment != "torso")
    columns = ("vertical", "fore_aft", "lateral", *MOMENTS)
    table = ConsoleTable("model", "worn", "low-pass", "half", *columns, title="rRMSE, %")
    rows: list[dict[str, object]] = []
    for cutoff_hz in (6.0, 12.0):
        walk = Walk(folder, cutoff_hz)
        for name, model in (("default", build_default_model(1.803, 72.6)), ("scaled by markers", walk.model)):
            for worn, segments in (("all eight", SEGMENTS), ("no trunk", legs)):
                for row in measure(walk, model, segments):
                    rows.append({"model": name, "worn": worn, "cutoff_hz": cutoff_hz, **row})
                    figures = [f"{row[column]:.1f}" for column in columns]
                    table.add_row(name, worn, f"{cutoff_hz:g} Hz", str(row["half"]), *figures)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
