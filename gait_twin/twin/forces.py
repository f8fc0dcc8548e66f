"""From the twin's poses to velocities, ground reactions and joint moments, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import GroundReaction
from gait_twin.recording.axes import opensim_to_ros
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.dynamics import InverseDynamics
from gait_twin.twin.filters import CausalDerivatives, Motion
from gait_twin.twin.ground import GroundPredictor, Reactions
from gait_twin.twin.model import Sole
from gait_twin.twin.plates import Plates
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.spread import MomentSpread

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DIFFERENTIATED_CONFIDENCE = 0.5
"""Where the pelvis' acceleration is differentiated from the pose: vertical forces are then twice as far off."""
SPEED_FRAMES = 3
"""Frames over which speeds of heel and ball are taken: orientations of cheap sensors tremble."""


@dataclass(frozen=True, slots=True)
class Forces:
    """What a frame brings, each at the instant that lies its filter's delay before the frame.

    Attributes
    ----------
    rates
        (m,) of the coordinates, rad/s or m/s.
    moments
        (m,) generalized forces, N·m or N; NaN where not known.
    ground
        Ground reactions; None where not known.
    powers
        (m,) moments by the rates of the same instant and filter, W; NaN where not known.
    moment_sd
        (m,) standard deviations of the moments; NaN where not known, and of the joint to ground.
    """

    rates: FloatArray
    moments: FloatArray
    ground: GroundReaction | None
    powers: FloatArray
    moment_sd: FloatArray


class ForceEstimator:
    """Filter, contacts, ground reactions and inverse dynamics.

    Parameters
    ----------
    skeleton
        The model; its pose is left at the filter's instant.
    pelvis
        Body that the joint to ground carries.
    root_translations, root_columns
        Translational coordinates of that joint, and the matrix that gives them for a move of the pelvis.
    soles, shanks
        Right and left foot and shank; without both feet there are no forces, only velocities.
    velocity_window_s, force_window_s
        Lengths of the filters' windows, s.
    plates
        What is measured of the ground's reactions, if anything.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        pelvis: str,
        root_translations: Sequence[int],
        root_columns: NDArray[np.floating],
        soles: list[Sole],
        shanks: list[str],
        velocity_window_s: float,
        force_window_s: float,
        plates: Plates,
    ) -> None:
        self._skeleton, self._pelvis = skeleton, pelvis
        self._translations, self._columns = list(root_translations), root_columns
        self._dynamics = InverseDynamics(skeleton)
        ready = len(soles) == 2 and len(shanks) == 2
        self._predictor = GroundPredictor(self._dynamics, pelvis, soles, shanks) if ready else None
        self._spread = MomentSpread(self._dynamics, soles) if ready else None
        # what moves neither pelvis nor feet: the trunk, and arms and toes, which nothing measures
        jacobian = skeleton.jacobian(coupled=False)[skeleton.jacobian_rows([pelvis, *(s.body for s in soles)]).ravel()]
        self._trunk = ~skeleton.fixed & (np.abs(jacobian).max(axis=0) < 1e-9)
        self._rates = CausalDerivatives(velocity_window_s)
        self._filter = CausalDerivatives(force_window_s)
        self._contact = ContactTracker()
        self._plates = plates
        self.reset()

    @property
    def velocity_delay_s(self) -> float:
        """Age of the rates, s; NaN until two frames have told the frame period."""
        return self._rates.delay_s

    @property
    def moment_delay_s(self) -> float:
        """Age of moments and ground reactions, s; likewise."""
        return self._filter.delay_s

    def reset(self) -> None:
        """Forget the past, but not the frame period."""
        self._contact.reset()
        if self._predictor is not None:
            self._predictor.reset()
        self._points: list[tuple[float, FloatArray]] = []
        self._again = True

    def update(
        self,
        time_s: float,
        period_s: float,
        values: FloatArray,
        points: FloatArray | None,
        acceleration: FloatArray,
        lever: FloatArray,
        known: BoolArray,
        confidence: float,
        *,
        gap: bool,
    ) -> Forces:
        """Take a frame.

        Parameters
        ----------
        time_s, period_s
            Its instant, and the frame period (NaN while not known), s.
        values
            (m,) coordinates.
        points
            (4, 3) heel and ball, right then left, in OpenSim's ground, m; None while the legs are not known.
        acceleration
            (3,) of the pelvis' sensor in OpenSim's ground axes, m/s²; NaN where not measured.
        lever
            (3,) from the pelvis' origin to that sensor, in the same axes, m.
        known
            (m,) coordinates that sensors determine; the others' moments are not known.
        confidence
            0 to 1, of the pose.
        gap
            The frames before are not to be taken together with this one.
        """
        m = len(values)
        unknown = np.full(m, np.nan)
        if not np.isfinite(period_s):
            return Forces(np.zeros(m), unknown, None, unknown, unknown)
        if not self._filter.started:
            self._filter.start(period_s)
            self._rates.start(period_s)
        gap = gap or self._again
        rates = self._rates.update(values, gap=gap).rates
        motion = self._filter.update(np.concatenate([values, lever, acceleration]), gap=gap)
        self._again = False
        self._track(time_s, points, gap)
        if (
            self._predictor is None
            or self._spread is None
            or points is None
            or not motion.complete
            or not np.isfinite(confidence)
        ):
            return Forces(rates, unknown, None, unknown, unknown)
        instant_s = time_s - self.moment_delay_s
        accelerations, felt = self._accelerations(motion, m)
        free = self._dynamics.solve(motion.values[:m], motion.rates[:m], accelerations)
        soles = self._predictor.soles
        measured = self._plates.at(instant_s, self._skeleton, soles) if self._plates.used else (None, None)
        trunk = bool((known & self._trunk).any())
        reactions = self._predictor.predict(instant_s, free, self._contact, measured=measured, trunk=trunk)
        jacobian = self._skeleton.jacobian(coupled=False)
        moments = free - self._dynamics.effect(reactions.wrenches(soles), jacobian)
        if not felt:
            confidence *= DIFFERENTIATED_CONFIDENCE
        moments = np.where(known, moments, np.nan)
        powers = moments * motion.rates[:m]
        powers[self._dynamics.root] = np.nan  # nothing drives there: its moments are residuals
        spread = np.where(known, self._spread.of(free, reactions, jacobian, felt=felt), np.nan)
        return Forces(rates, moments, _ground(instant_s, reactions, confidence), powers, spread)

    def _accelerations(self, motion: Motion, m: int) -> tuple[FloatArray, bool]:
        """Of the coordinates; the pelvis' own from its sensor where there is one, which is told."""
        accelerations = motion.accelerations[:m].copy()
        measured = self._filter.averaged(slice(m + 3, m + 6))
        felt = bool(np.isfinite(measured).all())
        if felt:
            # what the sensor feels beyond the pelvis' origin is its lever's turning
            accelerations[self._translations] = self._columns @ (measured - motion.accelerations[m : m + 3])
        return accelerations, felt

    def _track(self, time_s: float, points: FloatArray | None, gap: bool) -> None:
        if points is None or gap:
            self._contact.reset()
            self._points = []
        if points is None:
            return
        self._points = [*self._points[-SPEED_FRAMES:], (time_s, points)]
        before_s, before = self._points[0]
        if time_s > before_s:
            speeds = np.linalg.norm(points - before, axis=1) / (time_s - before_s)
            self._contact.update(0.5 * (time_s + before_s), speeds.reshape(2, 2))


def _ground(time_s: float, reactions: Reactions, confidence: float) -> GroundReaction:
    """In the z-up world, left foot first."""
    left_first = [1, 0]
    touching = reactions.share[left_first, None] > 0.0
    return GroundReaction(
        time_s=time_s,
        force_n=opensim_to_ros(reactions.force[left_first]),
        center_of_pressure_m=np.where(touching, opensim_to_ros(reactions.point[left_first]), np.nan),
        free_moment_nm=reactions.torque[left_first, 1],
        residual_force_n=opensim_to_ros(reactions.residual_force),
        residual_moment_nm=opensim_to_ros(reactions.residual_moment),
        confidence=confidence * reactions.confidence,
        measured=(reactions.measured[1], reactions.measured[0]),
    )
