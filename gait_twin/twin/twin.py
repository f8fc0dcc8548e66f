"""The twin: synchronised frames of IMUs in, state of an OpenSim skeleton out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, Side, SlotStatus, TwinState
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    angle_between,
    opensim_to_ros,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
)
from gait_twin.twin.default_model import build_default_model
from gait_twin.twin.kinematics import InverseKinematics, Solution
from gait_twin.twin.model import load_model, map_segments, sole_points
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.root import RootTracker
from gait_twin.twin.settings import TwinSettings
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]

NEEDED = SlotStatus.VALID | SlotStatus.ORIENTED | SlotStatus.CALIBRATED
MIN_SEGMENTS = (("pelvis", "femur_r", "tibia_r"), ("pelvis", "femur_l", "tibia_l"))
"""One of these must be worn for a skeleton: a leg hanging from a known pelvis."""
GAP_S = 0.1
"""A longer step between frames is a gap: velocities and the place on the ground begin anew."""


def make_model(settings: TwinSettings) -> opensim.Model:
    """Model that the settings ask for: the user's file, or the default one for height and mass.

    Raises
    ------
    InputError
        As `load_model` and `build_default_model` do.
    """
    if settings.model_path:
        return load_model(settings.model_path)
    return build_default_model(settings.height_m, settings.mass_kg)


class Twin:
    """Keeps a skeleton moving with the person.

    Parameters
    ----------
    model
        OpenSim model, of `build_default_model` or `load_model`; it is copied.
    segments
        Segments of the frames to come, in their order.
    settings
        `TwinSettings`.

    Attributes
    ----------
    coordinates
        m coordinate names of the states; empty where too few sensors are worn for a skeleton.
    sensors
        Segments whose orientations are used.
    notices
        Sentences on what of the model or of the sensors is not used.
    velocity_delay_s
        Delay of the filter behind velocities, s; NaN until two frames have told the frame period.

    Raises
    ------
    InputError
        Settings that name a segment or body that is not there.

    Notes
    -----
    Results depend only on the frames, not on how they come in blocks. Coordinates of the model's joint to
    ground are in OpenSim's axes, z-up frames are turned into them; a model whose bodies are not aligned
    with ground in its default pose is taken to stand neutrally in that pose. A planar model, whose pelvis
    cannot turn, is given what happens in the plane in which the pelvis faces.
    """

    def __init__(self, model: opensim.Model, segments: Sequence[str], settings: TwinSettings | None = None) -> None:
        self.settings = settings or TwinSettings()
        self.skeleton = Skeleton(model)
        bodies, notices = map_segments(model, segments, self.settings.bodies)
        weights = self.settings.sensor_weights()
        self.sensors = tuple(s for s in segments if s in bodies and weights.get(s, 1.0) > 0.0)
        self.notices = (*self.skeleton.notices, *notices)
        self._columns = [tuple(segments).index(s) for s in self.sensors]
        self._bodies = [bodies[s] for s in self.sensors]
        self._lacking = _lacking(self.sensors)
        self.coordinates: tuple[str, ...] = () if self._lacking else self.skeleton.coordinates
        self.velocity_delay_s = float("nan")
        if self._lacking:
            return
        self._ik = InverseKinematics(
            self.skeleton,
            self._bodies,
            [weights.get(s, 1.0) for s in self.sensors],
            hold_s=self.settings.hold_s,
            relax_s=self.settings.relax_s,
        )
        self.skeleton.set(self.skeleton.default)
        self._neutral = self.skeleton.quaternions(self._bodies)
        self._feet = sole_points(model, *_foot_bodies(model, self.settings))
        # how the root's translational coordinates move the pelvis: constant for any sensible root joint
        self._pelvis = bodies["pelvis"]
        translations = self._ik.root_translations
        rows = self.skeleton.jacobian_rows([self._pelvis])[0, 3:]
        self._root_columns = np.linalg.pinv(self.skeleton.jacobian()[rows][:, translations])
        self._root_origin = self._pelvis_offset()
        self._root = RootTracker()
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame starts at the origin of the world."""
        if self._lacking:
            return
        self._ik.reset()
        self._root.reset()
        self._time_s = float("nan")
        self._period_s = float("nan")
        self._foot_quats: FloatArray | None = None
        self._foot_rates = np.zeros(2)
        self._history: FloatArray | None = None
        self._last = self.skeleton.default.copy()
        self._has_stood = False
        self._heading = False
        self._heading_rad = 0.0

    def update(self, frames: BodyFrames) -> list[TwinState]:
        """One state a frame.

        With too few sensors worn, states have no coordinates and say what is lacking; before calibration,
        and while nothing is measured, quality is 0 and the coordinates are the last known.
        """
        if self._lacking:
            return [self._no_skeleton(float(t)) for t in frames.time_s]
        ready = (frames.status[:, self._columns] & NEEDED) == NEEDED
        heading = (frames.status[:, self._columns] & SlotStatus.HEADING) != 0
        # z-up world to OpenSim's ground, and from the standing pose to the body's own axes in the model
        quats = quat_multiply(
            quat_multiply(quat_conjugate(OPENSIM_TO_ROS_QUAT_WXYZ), frames.body_quat_wxyz[:, self._columns]),
            self._neutral,
        )
        quats = np.where(ready[..., None], quats, np.nan)
        return [
            self._frame(float(t), quats[i], ready[i], bool(heading[i][ready[i]].all()))
            for i, t in enumerate(frames.time_s)
        ]

    def body_poses(self, state: TwinState) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Place of every body of the model, for /tf.

        Parameters
        ----------
        state
            A state of this twin.

        Returns
        -------
        dict
            For each body its origin (3,), m, and its orientation (4,), scalar first, rotating the body's
            OpenSim axes into the z-up world. Empty for a state without coordinates.

        Raises
        ------
        InputError
            A state of another model.
        """
        if not state.coordinates:
            return {}
        skeleton = self.skeleton
        if state.coordinates != skeleton.coordinates:
            raise InputError("The state is of another model: its coordinates are not this twin's.")
        if not np.array_equal(skeleton.values, state.positions):
            skeleton.set(state.positions)
        places = opensim_to_ros(skeleton.origins(skeleton.bodies))
        quats = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, skeleton.quaternions(skeleton.bodies))
        return {name: (places[i], quats[i]) for i, name in enumerate(skeleton.bodies)}

    def _frame(self, time_s: float, quats: FloatArray, ready: NDArray[np.bool_], heading: bool) -> TwinState:
        elapsed = time_s - self._time_s
        gap = not 0.0 < elapsed < GAP_S
        if ready.any() and heading != self._heading:
            # the world turns under the person: no step was taken
            gap, self._heading = True, heading
        if not gap and not np.isfinite(self._period_s):
            self._period_s = elapsed
        self._time_s = time_s
        if not ready.any() and not self._has_stood:
            return self._state(time_s, self._last, np.full(len(ready), np.nan), gap, 0.0, self._why(ready, heading))
        self._has_stood = True
        solution = self._ik.solve(time_s, self._in_plane(quats))
        values = solution.values
        if gap:
            self._root.hold()
            self._foot_quats = None
        values = self._place_root(
            time_s, elapsed, values, _lacking([s for s, r in zip(self.sensors, ready, strict=True) if r]) == ""
        )
        quality = self._quality(solution, ready, heading)
        return self._state(time_s, values, solution.residuals_rad, gap, quality, self._why(ready, heading, solution))

    def _in_plane(self, quats: FloatArray) -> FloatArray:
        """For a planar model, whose pelvis cannot turn: orientations in the plane in which the person walks."""
        if self._ik.can_turn:
            return quats
        pelvis = quats[self.sensors.index("pelvis")]
        if np.isfinite(pelvis).all():
            forward = quat_rotate(pelvis, [1.0, 0.0, 0.0])
            self._heading_rad = float(np.arctan2(-forward[2], forward[0]))
        return quat_multiply(quat_from_rotvec([0.0, -self._heading_rad, 0.0]), quats)

    def _place_root(self, time_s: float, elapsed_s: float, values: FloatArray, known: bool) -> FloatArray:
        """Set the root's translations so that the standing foot stays where it is."""
        skeleton, translations = self.skeleton, self._ik.root_translations
        values = values.copy()
        values[translations] = self._last[translations]
        if known and self._feet:
            quats = skeleton.quaternions([foot.body for foot in self._feet])
            if self._foot_quats is not None:
                # averaged over about three frames: orientations of cheap sensors tremble
                rates = angle_between(self._foot_quats, quats) / elapsed_s
                self._foot_rates = self._foot_rates + (rates - self._foot_rates) / 3.0
            self._foot_quats = quats
            pelvis = skeleton.origins([self._pelvis])[0]
            points = np.concatenate([skeleton.stations(foot.body, foot.points) for foot in self._feet]) - pelvis
            place = self._root.update(time_s, points, self._foot_rates)
            values[translations] = self._root_columns @ (place - self._root_origin)
        else:
            self._root.hold()
            self._foot_quats = None
        return values

    def _pelvis_offset(self) -> FloatArray:
        """Pelvis origin with the root's translations at zero."""
        values = self.skeleton.default.copy()
        values[self._ik.root_translations] = 0.0
        self.skeleton.set(values)
        return self.skeleton.origins([self._pelvis])[0]

    def _state(
        self, time_s: float, values: FloatArray, residuals: FloatArray, gap: bool, quality: float, message: str
    ) -> TwinState:
        self._last = values
        return TwinState(
            time_s=time_s,
            coordinates=self.coordinates,
            positions=values,
            velocities=self._velocities(values, gap),
            velocity_delay_s=self.velocity_delay_s,
            moments=np.full(len(values), np.nan),
            sensors=self.sensors,
            residuals_rad=residuals,
            stance_side=self._root.stance,
            quality=quality,
            message=message,
        )

    def _velocities(self, values: FloatArray, gap: bool) -> FloatArray:
        """Slope at the middle of the last frames of a parabola through them (Savitzky and Golay 1964)."""
        if not np.isfinite(self._period_s):
            return np.zeros_like(values)
        if self._history is None:
            half = max(1, round(0.5 * self.settings.velocity_window_s / self._period_s))
            self.velocity_delay_s = half * self._period_s
            # oldest first
            self._slope = savgol_coeffs(2 * half + 1, 2, deriv=1, delta=self._period_s, use="dot")
            self._history = np.tile(self._last, (2 * half + 1, 1))
        if gap:
            self._history[:] = values
        self._history[:-1] = self._history[1:]
        self._history[-1] = values
        return self._slope @ self._history

    def _quality(self, solution: Solution, ready: NDArray[np.bool_], heading: bool) -> float:
        """From 0 to 1.

        Share of the sensors that are there, less for what they disagree about with the model, and at most half
        without the walk's heading.
        """
        if not ready.any():
            return 0.0
        rms = np.degrees(np.sqrt(np.nanmean(solution.residuals_rad**2)))
        quality = ready.mean() / (1.0 + (rms / self.settings.fit_deg) ** 2)
        return float(quality if heading else 0.5 * quality)

    def _why(self, ready: NDArray[np.bool_], heading: bool, solution: Solution | None = None) -> str:
        """What is wrong, in a sentence; empty when nothing is."""
        if solution is None:
            return "Not calibrated yet: stand still for a few seconds."
        if not ready.any():
            return "No sensor is calibrated and measuring; the pose is held, then relaxed."
        if not ready.all():
            lost = [s for s, r in zip(self.sensors, ready, strict=True) if not r]
            carried = [self.coordinates[i] for i in self._ik.free if not solution.measured[i]]
            note = f"; carried on without measurement: {', '.join(carried)}" if carried else ""
            return f"Nothing usable from {', '.join(lost)}{note}."
        if not heading:
            return "The heading is provisional until the person has walked."
        worst = int(np.nanargmax(solution.residuals_rad))
        angle = float(np.degrees(solution.residuals_rad[worst]))
        if angle > 2.0 * self.settings.fit_deg:
            return f"The sensor on {self.sensors[worst]} is {angle:.0f}° off the model; calibrate again."
        return ""

    def _no_skeleton(self, time_s: float) -> TwinState:
        empty = np.empty(0)
        return TwinState(
            time_s,
            (),
            empty,
            empty,
            self.velocity_delay_s,
            empty,
            self.sensors,
            np.full(len(self.sensors), np.nan),
            None,
            0.0,
            self._lacking,
        )


def _lacking(sensors: Sequence[str]) -> str:
    """Sentence on the sensors that a skeleton needs beyond these; empty when they suffice."""
    if any(set(needed) <= set(sensors) for needed in MIN_SEGMENTS):
        return ""
    worn = ", ".join(sensors) or "none"
    return (
        "Too few sensors for a skeleton: wear one on the pelvis and on thigh and shank (femur, tibia) of at least "
        f"one leg; there are sensors on {worn}."
    )


def _foot_bodies(model: opensim.Model, settings: TwinSettings) -> tuple[str | None, str | None]:
    names = [name for name in settings.bodies if name.strip().startswith("calcn")]
    feet, _ = map_segments(model, (Side.RIGHT.foot, Side.LEFT.foot), names)
    return feet.get(Side.RIGHT.foot), feet.get(Side.LEFT.foot)
