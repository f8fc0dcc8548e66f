"""The twin: synchronised frames of IMUs in, state of an OpenSim skeleton out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, Side, SlotStatus, Stride, TwinState
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    opensim_to_ros,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    ros_to_opensim,
)
from gait_twin.twin.acceleration import PelvisAcceleration
from gait_twin.twin.default_model import build_default_model
from gait_twin.twin.forces import ForceEstimator, Forces
from gait_twin.twin.kinematics import InverseKinematics, Solution
from gait_twin.twin.model import load_model, map_segments, sole_points
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.place import Place
from gait_twin.twin.plates import Plates
from gait_twin.twin.quality import (
    NOT_CALIBRATED,
    MeanResiduals,
    StraightestKnees,
    about_mass,
    explain,
    findings,
    lacking,
    pose_quality,
)
from gait_twin.twin.reconciliation import Legs
from gait_twin.twin.refinement import Refinement
from gait_twin.twin.settings import NOMINAL_MASS_KG, TwinSettings
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.trunk import UprightTrunk

FloatArray = NDArray[np.float64]

NEEDED = SlotStatus.VALID | SlotStatus.ORIENTED | SlotStatus.CALIBRATED
LOOK_S = 0.5
"""What walking finds is put into words so often, s."""
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
    return build_default_model(settings.height_m, settings.mass_kg or NOMINAL_MASS_KG)


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
    plates
        Takes measured ground reactions, `Plates`; without any, they are predicted.
    notices
        Sentences on what of the model or of the sensors is not used.
    velocity_delay_s, moment_delay_s
        Delay of the filters behind velocities, and behind moments and ground reactions, s; NaN until two frames
        have told the frame period.

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
        self.notices = (*self.skeleton.notices, *notices, *about_mass(self.skeleton.mass_kg, self.settings.mass_kg))
        self.plates = Plates(np.radians(self.settings.plates_yaw_deg))
        self._columns = [tuple(segments).index(s) for s in self.sensors]
        self._bodies = [bodies[s] for s in self.sensors]
        self._lacking = lacking(self.sensors)
        self.coordinates: tuple[str, ...] = () if self._lacking else self.skeleton.coordinates
        if self._lacking:
            return
        self._pelvis = bodies["pelvis"]
        torso, _ = map_segments(model, ("torso",), [n for n in self.settings.bodies if n.startswith("torso")])
        self._trunk = UprightTrunk(
            self.skeleton, self._pelvis, "" if "torso" in self.sensors else torso.get("torso", "")
        )
        self._ik = InverseKinematics(
            self.skeleton,
            [*self._bodies, *self._trunk.bodies],
            [*(weights.get(s, 1.0) for s in self.sensors), *self._trunk.weights],
            hold_s=self.settings.hold_s,
            relax_s=self.settings.relax_s,
        )
        self.skeleton.set(self.skeleton.default)
        self._neutral = self.skeleton.quaternions(self._bodies)
        self._neutral_pelvis = self._neutral[self.sensors.index("pelvis")]
        self._refinement = Refinement(self._ik, self.sensors) if self.settings.refine and self._ik.can_turn else None
        feet = sole_points(model, *_foot_bodies(model, self.settings))
        thighs, _ = map_segments(model, ("femur_r", "femur_l"), self.settings.bodies)
        self._place = Place(self.skeleton, self._pelvis, self._ik.root_translations, feet, list(thighs.values()))
        shanks, _ = map_segments(model, ("tibia_r", "tibia_l"), self.settings.bodies)
        self._forces = ForceEstimator(
            self.skeleton,
            self._pelvis,
            self._ik.root_translations,
            self._place.columns,
            feet,
            list(shanks.values()),
            self.settings.velocity_window_s,
            self.settings.force_window_s,
            self.plates,
        )
        self._acceleration = PelvisAcceleration()
        self._lever = np.array(self.settings.pelvis_sensor_m)
        legs = [s for side in "rl" for s in (f"femur_{side}", f"tibia_{side}")]
        self._leg_columns = [self.sensors.index(s) for s in legs] if set(legs) <= set(self.sensors) else None
        self.reset()

    @property
    def velocity_delay_s(self) -> float:
        """Delay of the filter behind velocities, s; NaN while not known."""
        return float("nan") if self._lacking else self._forces.velocity_delay_s

    @property
    def moment_delay_s(self) -> float:
        """Delay of the filter behind moments and ground reactions, s; NaN while not known."""
        return float("nan") if self._lacking else self._forces.moment_delay_s

    @property
    def residuals_deg(self) -> dict[str, float]:
        """Root mean square residual of each sensor over the last strides, deg; NaN before."""
        if self._lacking:
            return dict.fromkeys(self.sensors, float("nan"))
        return dict(zip(self.sensors, np.degrees(self._residuals.rms_rad).tolist(), strict=True))

    @property
    def findings(self) -> tuple[str, ...]:
        """Sentences on calibrations that the walking contradicts, and on legs of another length."""
        if self._lacking:
            return ()
        refinement = self._refinement
        mountings = refinement.mountings_rad if refinement else np.zeros((len(self.sensors), 3))
        legs = self.legs.sentence() if self.legs else ""
        stood = refinement.stood_turned_rad if refinement else {}
        return findings(
            self.sensors, self._residuals.rms_rad, mountings, self.settings.fit_deg, legs, stood, self._knees
        )

    @property
    def legs(self) -> Legs | None:
        """What the step estimator's strides tell of the model's legs; None without feet to walk on."""
        return None if self._lacking or not self._place.leg_m else self._place.strides.legs(self._place.leg_m)

    def reset(self) -> None:
        """Forget the past: the next frame starts at the origin of the world."""
        if self._lacking:
            return
        self._ik.reset()
        if self._refinement:
            self._refinement.reset()
        self._place.reset()
        self._residuals = MeanResiduals(len(self.sensors))
        self._knees = StraightestKnees(self.coordinates, self.skeleton.low, self.skeleton.high)
        self._look_s, self._finding = -np.inf, ""
        self._time_s = float("nan")
        self._period_s = float("nan")
        self._pelvis_quat = self._neutral_pelvis
        self._forces.reset()
        self._acceleration.reset()
        self._last = self.skeleton.default.copy()
        self._has_stood = False
        self._heading = False
        self._heading_rad = 0.0

    def take_strides(self, strides: Iterable[Stride]) -> None:
        """Strides of the step estimator, as soon as they are known.

        Each takes effect `EFFECT_S` after its end, in data time: as long as they come before the frames of that
        time, results do not depend on when they come.
        """
        if not self._lacking and self.settings.follow_strides:
            self._place.strides.take(strides)

    def update(self, frames: BodyFrames, posed: Callable[[float, FloatArray], None] | None = None) -> list[TwinState]:
        """One state a frame.

        Parameters
        ----------
        frames
            The frames.
        posed
            Called with the time, s, and the coordinates (m,) of each frame as soon as they are known: before the
            forces, for which a controller need not wait.

        Notes
        -----
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
        pelvis = frames.segments.index("pelvis")
        felt = np.concatenate(
            [frames.acc_mps2[:, pelvis], frames.quat_wxyz[:, pelvis], frames.body_quat_wxyz[:, pelvis]], axis=1
        )
        return [
            self._frame(float(t), quats[i], ready[i], ready[i] & heading[i], felt[i], posed)
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

    def _frame(
        self,
        time_s: float,
        quats: FloatArray,
        ready: NDArray[np.bool_],
        known: NDArray[np.bool_],
        felt: FloatArray,
        posed: Callable[[float, FloatArray], None] | None,
    ) -> TwinState:
        heading = bool(known[ready].all())
        elapsed = time_s - self._time_s
        gap = not 0.0 < elapsed < GAP_S
        if ready.any() and heading != self._heading:
            # the world turns under the person: no step was taken
            gap, self._heading = True, heading
        if not gap and not np.isfinite(self._period_s):
            self._period_s = elapsed
        self._time_s = time_s
        if not ready.any() and not self._has_stood:
            self._felt(time_s, 0.0, felt, known=False)
            solution = None
            values, residuals, quality = self._last, np.full(len(ready), np.nan), 0.0
        else:
            self._has_stood = True
            refinement = self._refinement
            quats = refinement.correct(time_s, quats, known) if refinement else self._in_plane(quats)
            trunk = self._trunk.orientation(quats[self.sensors.index("pelvis")])
            solution = self._ik.solve(time_s, np.concatenate([quats, trunk]))
            if refinement:
                refinement.learn(time_s, quats, known)
            if gap:
                self._place.hold()
            enough = lacking([s for s, r in zip(self.sensors, ready, strict=True) if r]) == ""
            values = self._place.update(time_s, elapsed, solution.values, known=enough)
            self._pelvis_quat = self.skeleton.quaternions([self._pelvis])[0]
            residuals = solution.residuals_rad[: len(ready)]
            if not gap:
                self._residuals.update(elapsed, np.where(known, residuals, np.nan))
                if known.all():
                    self._knees.update(elapsed, values)
            quality = pose_quality(residuals, ready, heading, self.settings.fit_deg)
        if posed:
            posed(time_s, values)
        forces = self._force(time_s, elapsed, values, solution, ready, quality, felt, gap)
        self._last = values
        return TwinState(
            time_s=time_s,
            coordinates=self.coordinates,
            positions=values,
            velocities=forces.rates,
            velocity_delay_s=self.velocity_delay_s,
            moments=forces.moments,
            sensors=self.sensors,
            residuals_rad=residuals,
            stance_side=self._place.tracker.stance,
            quality=quality,
            message=self._message(time_s, ready, heading, solution),
            ground=forces.ground,
            moment_delay_s=self.moment_delay_s,
            powers=forces.powers,
            moment_sd=forces.moment_sd,
        )

    def _force(
        self,
        time_s: float,
        elapsed_s: float,
        values: FloatArray,
        solution: Solution | None,
        ready: NDArray[np.bool_],
        quality: float,
        felt: FloatArray,
        gap: bool,
    ) -> Forces:
        """Velocities, ground reactions and moments."""
        pelvis = bool(ready[self.sensors.index("pelvis")])
        acceleration = self._felt(time_s, 0.0 if gap else elapsed_s, felt, known=pelvis)
        legs = self._leg_columns is not None and bool(ready[self._leg_columns].all()) and solution is not None
        known = np.zeros(len(values), dtype=bool)
        if solution is not None:
            known |= solution.measured
            known[self._ik.root_translations] = True
            known[self._trunk.coordinates] = False
        lever = quat_rotate(self._pelvis_quat, self._lever)
        points = self._place.points if legs else None
        return self._forces.update(time_s, self._period_s, values, points, acceleration, lever, known, quality, gap=gap)

    def _felt(self, time_s: float, elapsed_s: float, felt: FloatArray, *, known: bool) -> FloatArray:
        """Acceleration of the pelvis' sensor in OpenSim's ground axes, m/s²; NaN while not known."""
        acc, quat, body = felt[:3], felt[3:7], felt[7:]
        if not known:
            acc = np.full(3, np.nan)
        acceleration = ros_to_opensim(self._acceleration.update(time_s, elapsed_s, acc, quat, body))
        turned = self._heading_rad
        if self._refinement:
            turned = float(self._refinement.headings_rad[self.sensors.index("pelvis")])
        return quat_rotate(quat_from_rotvec([0.0, -turned, 0.0]), acceleration)

    def _in_plane(self, quats: FloatArray) -> FloatArray:
        """For a planar model, whose pelvis cannot turn: orientations in the plane in which the person walks."""
        if self._ik.can_turn:
            return quats
        pelvis = quats[self.sensors.index("pelvis")]
        if np.isfinite(pelvis).all():
            forward = quat_rotate(pelvis, [1.0, 0.0, 0.0])
            self._heading_rad = float(np.arctan2(-forward[2], forward[0]))
        return quat_multiply(quat_from_rotvec([0.0, -self._heading_rad, 0.0]), quats)

    def _message(self, time_s: float, ready: NDArray[np.bool_], heading: bool, solution: Solution | None) -> str:
        if solution is None:
            return NOT_CALIBRATED
        carried = [self.coordinates[i] for i in self._ik.free if not solution.measured[i]]
        if time_s >= self._look_s:
            self._look_s, self._finding = time_s + LOOK_S, next(iter(self.findings), "")
        now = explain(self.sensors, solution.residuals_rad, ready, heading, carried, self.settings.fit_deg)
        return now or self._finding

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


def _foot_bodies(model: opensim.Model, settings: TwinSettings) -> tuple[str | None, str | None]:
    names = [name for name in settings.bodies if name.strip().startswith("calcn")]
    feet, _ = map_segments(model, (Side.RIGHT.foot, Side.LEFT.foot), names)
    return feet.get(Side.RIGHT.foot), feet.get(Side.LEFT.foot)
