"""How far moments without force plates may be off: errors of the ground reactions, carried on to each coordinate.

Each error of a foot's force and of where it acts moves a coordinate's moment by what the transposed Jacobian makes
of it. So the standard deviation of a moment follows the phase (in double support the share of the feet is a matter
of judgement) and the plane (what acts across the walk is known least against what it amounts to), for any model.

The constants are root mean square errors of `GroundPredictor` on walks of nine people over force plates, the
default model scaled by height and mass; docs/twin.md has how often nine other people's moments lie within.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import cross
from gait_twin.twin.dynamics import InverseDynamics
from gait_twin.twin.ground import UP, Reactions
from gait_twin.twin.model import Sole

FloatArray = NDArray[np.float64]

FORCE_SD = np.array([0.035, 0.072, 0.018])
"""Of one standing foot's force ahead, in size, and aside, fractions of body weight."""
SHARED_FORCE_SD = np.array([0.031, 0.130, 0.020])
"""Likewise of each foot while both stand."""
UNFELT = 2.0
"""Times these where the pelvis' acceleration is differentiated from the pose."""
PRESSURE_SD = np.array([0.092, 0.060])
"""Of the centre of pressure along and across the foot, in heel-to-ball lengths."""
FREE_SD_M = 0.0025
"""Of the free moment that is left out, by body weight, m."""
INERTIA_SD = 0.3
"""Of what the body's own weight and motion ask of a coordinate, as a fraction of it: segments' masses."""
MASS_PLACE_SD_M = 0.025
"""Of the place of the mass that a coordinate carries, m."""
MEASURED_FORCE_SD, MEASURED_PRESSURE_SD_M = 0.01, 0.005
"""Of force plates, fraction of body weight and m."""
LIGHT = 0.1
"""Fraction of body weight below which a foot's force has no direction of its own."""


class MomentSpread:
    """Standard deviations of moments.

    Parameters
    ----------
    dynamics
        Whose skeleton holds the pose.
    soles
        Both feet.
    """

    def __init__(self, dynamics: InverseDynamics, soles: list[Sole]) -> None:
        self._dynamics, self._soles = dynamics, soles
        self._lengths_m = [float(np.linalg.norm(sole.points[1] - sole.points[0])) for sole in soles]
        skeleton = dynamics.skeleton
        bodies = skeleton.model.getBodySet()
        each = [bodies.get(i) for i in range(bodies.getSize())]
        reach = np.abs(skeleton.jacobian(coupled=False)[skeleton.jacobian_rows([b.getName() for b in each])])
        carried_kg = np.array([b.getMass() for b in each]) @ (reach.max(axis=1) > 1e-9)
        share = np.where(skeleton.rotational, carried_kg / skeleton.mass_kg, 0.0)
        self._place2 = (MASS_PLACE_SD_M * share * dynamics.weight_n) ** 2

    def of(self, free: FloatArray, reactions: Reactions, jacobian: FloatArray, *, felt: bool) -> FloatArray:
        """At the skeleton's present pose.

        Parameters
        ----------
        free
            (m,) generalized forces without any ground, N·m or N.
        reactions
            The ground reactions that go with them.
        jacobian
            The pose's, uncoupled.
        felt
            The pelvis' acceleration is its sensor's.

        Returns
        -------
        ndarray
            (m,) N·m or N; NaN for the joint to ground, whose moments are residuals.
        """
        variance = (INERTIA_SD * free) ** 2 + self._place2
        touching = np.flatnonzero(reactions.share > 0.0).tolist()
        if touching:
            skeleton = self._dynamics.skeleton
            bodies = [self._soles[foot].body for foot in touching]
            force_sd = (SHARED_FORCE_SD if len(touching) == 2 else FORCE_SD) * (1.0 if felt else UNFELT)
            for foot, row, origin in zip(
                touching, skeleton.jacobian_rows(bodies), skeleton.origins(bodies), strict=True
            ):
                errors = self._errors(foot, reactions, reactions.point[foot] - origin, force_sd)
                variance = variance + ((errors @ jacobian[row]) ** 2).sum(axis=0)
        variance[self._dynamics.root] = np.nan
        return np.sqrt(variance)

    def _errors(self, foot: int, reactions: Reactions, lever: FloatArray, force_sd: FloatArray) -> FloatArray:
        """(6, 6) independent errors of a foot's wrench about its body's origin: moment, force."""
        weight_n, force, ahead = self._dynamics.weight_n, reactions.force[foot], reactions.forward[foot]
        pressure_sd_m, free_sd_m = PRESSURE_SD * self._lengths_m[foot], FREE_SD_M
        if reactions.measured[foot]:
            force_sd, free_sd_m = np.full(3, MEASURED_FORCE_SD), 0.0
            if reactions.placed[foot]:
                pressure_sd_m = np.full(2, MEASURED_PRESSURE_SD_M)
        # a foot that takes another share of the load still pushes where it pushed
        along = force / force[1] if force[1] > LIGHT * weight_n else UP
        axes = np.array([ahead, along, [-ahead[2], 0.0, ahead[0]]])
        errors = np.zeros((6, 6))
        errors[:3, 3:] = axes * (force_sd * weight_n)[:, None]
        errors[:3, :3] = cross(lever, errors[:3, 3:])
        errors[3:5, :3] = cross(axes[::2] * pressure_sd_m[:, None], force)
        errors[5, :3] = free_sd_m * weight_n * UP
        return errors
