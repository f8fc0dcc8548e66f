"""Recorded walks over force plates, as what ideal IMUs would give, with everything that is true of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.interpolate import CubicSpline

from gait_twin.recording import BodyFrames
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    opensim_to_ros,
    quat_about_z,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
)
from gait_twin.twin import (
    ExternalLoads,
    MarkerKinematics,
    Skeleton,
    Table,
    TwinSettings,
    build_default_model,
    inverse_dynamics,
    load_model,
    read_ground_reactions,
    read_marker_tasks,
    read_markers,
    read_table,
)
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.offline import coordinate_values
from gait_twin.twin.opensim_api import opensim

FEET = ["calcn_r", "calcn_l"]
SACRUM = np.array(TwinSettings().pelvis_sensor_m)
PERIOD_S = 0.01
LOADED_N = 20.0


class Walk:
    """A recorded walk at 100 Hz.

    Parameters
    ----------
    model
        OpenSim model of the person.
    motion
        Coordinates over time as they were found, rad (or degrees, said in it) and m.
    loads
        Ground reactions on right and left foot.
    use_s, span_s
        Part of the walk that is used, and part that is reported: in it, the plates know all contacts.
    height_m
        Of the person.
    cutoff_hz
        Low-pass of the motion that the IMUs feel.
    """

    def __init__(
        self,
        model: opensim.Model,
        motion: Table,
        loads: ExternalLoads,
        use_s: tuple[float, float],
        span_s: tuple[float, float],
        height_m: float,
        cutoff_hz: float = 6.0,
    ) -> None:
        self.model, self.skeleton, self.span_s = model, Skeleton(model), span_s
        self.height_m, self.mass_kg = height_m, self.skeleton.mass_kg
        self.time_s = np.arange(*use_s, PERIOD_S)
        raw = coordinate_values(self.skeleton, motion)
        self.values = smoothed(self.skeleton, motion.time_s, raw, cutoff_hz, self.time_s)
        wrenches = [loads.at(float(t)) for t in self.time_s]
        self.force = np.array([[w.force for w in each] for each in wrenches])
        self.torque = np.array([[w.torque for w in each] for each in wrenches])
        points = np.array([[w.point for w in each] for each in wrenches])
        self.pressure = np.array(
            [self._on_foot(values, point) for values, point in zip(self.values, points, strict=True)]
        )
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
        loads = read_ground_reactions(folder / "subject01_walk1_grf.mot")
        return cls(model, motion, loads, (0.02, 2.48), (1.25, 2.45), 1.803, cutoff_hz)

    def _on_foot(self, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        self.skeleton.set(values)
        axes, ankles = foot_frames(self.skeleton)
        return np.einsum("kaj,kj->ka", axes, points - ankles)

    def frames(self, segments: tuple[str, ...], accelerometer: bool = True) -> BodyFrames:
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
        frames = BodyFrames(segments, self.time_s, acc, np.zeros(shape), own, body, status)
        return frames if accelerometer else replace(frames, acc_mps2=np.full(shape, np.nan))

    def at(self, time_s: float) -> int:
        """Row of an instant."""
        return int(np.clip(round((time_s - self.time_s[0]) / PERIOD_S), 0, len(self.time_s) - 1))


class TrueContacts(ContactTracker):
    """Contacts as the plates tell them; outside of what they know, as the twin finds them."""

    def __init__(self, walk: Walk) -> None:
        self._walk, self._on = walk, walk.force[:, :, 1] > LOADED_N
        super().__init__()

    def _known(self, time_s: float) -> bool:
        first, last = self._walk.span_s
        return first - 0.04 <= time_s <= last + 0.04

    def down(self, time_s: float) -> tuple[bool, bool]:
        """Which feet bear at least `LOADED_N`."""
        if not self._known(time_s):
            return super().down(time_s)
        right, left = self._on[self._walk.at(time_s)]
        return bool(right), bool(left)

    def transfer(self, time_s: float) -> tuple[int, float] | None:
        """Foot in front, and the fraction of the double support that is over."""
        row, both = self._walk.at(time_s), self._on.all(axis=1)
        if not self._known(time_s):
            return super().transfer(time_s)
        if not both[row]:
            return None
        first, last = row, row
        while first > 0 and both[first - 1]:
            first -= 1
        while last < len(both) - 1 and both[last + 1]:
            last += 1
        leading = int(self._on[max(first - 1, 0), 0])
        return leading, (row - first + 0.5) / (last - first + 1)


@dataclass(frozen=True)
class Person:
    """A walk in files.

    Attributes
    ----------
    name, group
        Of the walk, and of the walks that it is averaged with.
    model, motion, forces
        Files: the person's model, its coordinates, ground reactions.
    span_s
        In which the plates know all contacts.
    height_m
        Of the person; None takes the height of the default model whose legs are as long as the model's.
    lead
        "" where the recording begins soon enough before the span. "stride" puts the recording's own first stride
        before its beginning, "cycle" the whole recording, of one cycle, before and after itself.
    """

    name: str
    group: str
    model: Path
    motion: Path
    forces: Path
    span_s: tuple[float, float]
    height_m: float | None = None
    lead: str = ""

    def walk(self) -> Walk:
        """Read it."""
        model = load_model(self.model)
        model.updForceSet().clearAndDestroy()  # contacts of the model's own are no plates
        model.finalizeConnections()
        skeleton = Skeleton(model)
        motion, loads = read_table(self.motion), read_ground_reactions(self.forces)
        motion = Table(motion.time_s, skeleton.coordinates, coordinate_values(skeleton, motion))
        if self.lead:
            motion, loads = led(skeleton, motion, loads, whole=self.lead == "cycle")
        use_s = (
            float(max(motion.time_s[0], loads.time_s[0])),
            float(min(motion.time_s[-1], loads.time_s[-1], self.span_s[1] + 0.41)) - 0.002,
        )
        return Walk(model, motion, loads, use_s, self.span_s, self.height_m or stature(skeleton))


def read_people(path: Path) -> list[Person]:
    """A JSON list of `Person`; its files are relative to it."""
    people = []
    for entry in json.loads(path.read_text()):
        files = {key: path.parent / entry.pop(key) for key in ("model", "motion", "forces")}
        people.append(Person(**files, **{**entry, "span_s": tuple(entry["span_s"])}))
    return people


def led(skeleton: Skeleton, motion: Table, loads: ExternalLoads, *, whole: bool) -> tuple[Table, ExternalLoads]:
    """A walk with a stride of its own before it, so that the twin has seen one when the plates begin to know."""
    period = float(np.median(np.diff(motion.time_s)))
    values, joint = motion.values, [name.startswith(("hip_f", "knee", "ankle")) for name in motion.columns]
    rows = len(values) - 1
    if not whole:
        legs = values[:, joint]

        def misfit(shift: int) -> float:
            n = min(len(legs) - shift, round(0.4 / period))
            return float(np.mean((legs[shift : shift + n] - legs[:n]) ** 2))

        rows = min(range(round(0.8 / period), len(legs) - round(0.1 / period)), key=misfit)
    step = values[rows] - values[0]
    parts = [values[:rows] - step, values, *([values[1:] + step] if whole else [])]
    time_s = motion.time_s[0] + period * np.arange(-rows, sum(map(len, parts)) - rows)
    moved = np.array(
        [step[skeleton.coordinates.index("pelvis_tx")], 0.0, step[skeleton.coordinates.index("pelvis_tz")]]
    )
    if whole:
        tripled = [
            np.concatenate([part[:-1] - by, part, part[1:] + by])
            for part, by in ((loads.force, 0.0), (loads.point, moved), (loads.torque, 0.0))
        ]
        extended = ExternalLoads(time_s, loads.bodies, *tripled)
    else:
        early = np.arange(time_s[0] - 0.05, loads.time_s[0] - 0.004, 0.02)
        padded = [
            np.concatenate([np.zeros((len(early), *part.shape[1:])), part])
            for part in (loads.force, loads.point, loads.torque)
        ]
        extended = ExternalLoads(np.concatenate([early, loads.time_s]), loads.bodies, *padded)
    return Table(time_s, motion.columns, np.vstack(parts)), extended


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
        motion.append(float(t), opensim.Vector.createFromMat(np.ascontiguousarray(row)))
    motion.pad(motion.getSize() // 2)
    motion.lowpassIIR(cutoff_hz)
    splines = opensim.GCVSplineSet(5, motion)
    each = [splines.get(i) for i in range(splines.getSize())]
    return np.array([[spline.calcValue(opensim.Vector(1, float(t))) for spline in each] for t in at])


def foot_frames(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """(2, 2, 3) level axes along and across the feet, and (2, 3) ankles: models agree where these are."""
    axes = quat_rotate(skeleton.quaternions(FEET)[:, None], np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    axes[..., 1] = 0.0
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    return axes, skeleton.origins(["talus_r", "talus_l"])


def stature(skeleton: Skeleton) -> float:
    """Height of the default model whose legs are as long as a model's, m."""
    legs = []
    for one in (skeleton, Skeleton(build_default_model(1.75, 75.0))):
        one.set(one.default)
        hip, knee, ankle = one.origins(["femur_r", "tibia_r", "talus_r"])
        legs.append(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
    return float(1.75 * legs[0] / legs[1])
