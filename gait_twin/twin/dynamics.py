"""Inverse dynamics: generalized forces from motion and external wrenches, by OpenSim's own solver.

Everything is in OpenSim's ground axes (x forward, y up, z right at the start), SI units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.recording.axes import cross
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wrench:
    """What acts on a body from outside, in OpenSim's ground axes.

    Attributes
    ----------
    body
        Name of the body.
    force
        (3,) N.
    point
        (3,) where the force acts, in ground, m.
    torque
        (3,) beside it (a plate's free moment), N·m.
    """

    body: str
    force: FloatArray
    point: FloatArray
    torque: FloatArray


class InverseDynamics:
    """Generalized forces that a motion needs.

    Parameters
    ----------
    skeleton
        The model; its state is left at the last pose and speed that was asked for.

    Attributes
    ----------
    root
        Indices of the coordinates of the joint to ground: what is left on them is the residual.

    Notes
    -----
    OpenSim's ``InverseDynamicsSolver``: constraints are ignored (coupled coordinates need values, rates and
    accelerations of their own), forces of the model other than muscles are counted in. External wrenches act
    through the transposed Jacobian, which equals adding them as body forces.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        turns, shifts = skeleton.pelvis_joint()
        self.root = np.array(turns + shifts, dtype=np.intp)
        self._solver = opensim.InverseDynamicsSolver(skeleton.model)
        self._gravity = skeleton.model.getGravity().to_numpy()

    @property
    def weight_n(self) -> float:
        """Weight of the model, N."""
        return float(self.skeleton.mass_kg * np.linalg.norm(self._gravity))

    def solve(
        self, values: ArrayLike, rates: ArrayLike, accelerations: ArrayLike, wrenches: Iterable[Wrench] = ()
    ) -> FloatArray:
        """Generalized forces of one instant.

        Parameters
        ----------
        values, rates, accelerations
            (m,) of each coordinate, rad or m, per second, per second squared.
        wrenches
            What acts from outside; gravity is the model's own.

        Returns
        -------
        ndarray
            (m,) N·m or N, of each coordinate.
        """
        skeleton = self.skeleton
        skeleton.set_motion(values, rates)
        forces = skeleton.from_mobilities(
            self._solver.solve(skeleton.state, skeleton.to_mobilities(accelerations)).to_numpy()
        )
        return forces - self.effect(wrenches)

    def effect(self, wrenches: Iterable[Wrench], jacobian: FloatArray | None = None) -> FloatArray:
        """(m,) generalized forces that wrenches amount to in the present pose, N·m or N.

        Whoever has the pose's uncoupled Jacobian already may give it.
        """
        total = np.zeros(len(self.skeleton.coordinates))
        wrenches = list(wrenches)
        if not wrenches:
            return total
        jacobian = self.skeleton.jacobian(coupled=False) if jacobian is None else jacobian
        bodies = [wrench.body for wrench in wrenches]
        rows = self.skeleton.jacobian_rows(bodies)
        for wrench, origin, row in zip(wrenches, self.skeleton.origins(bodies), rows, strict=True):
            moment = wrench.torque + cross(wrench.point - origin, wrench.force)
            total += np.concatenate([moment, wrench.force]) @ jacobian[row]
        return total

    def external(self, forces: FloatArray, body: str) -> tuple[FloatArray, FloatArray]:
        """Sum of all external wrenches that leaves nothing on the joint to ground.

        This is Newton's and Euler's law for the whole body: what the root coordinates would have to do
        without a ground is the rate of change of the body's momentum, less gravity's.

        Parameters
        ----------
        forces
            (m,) of `solve` without wrenches, at the present pose.
        body
            The body that the joint to ground carries (the pelvis).

        Returns
        -------
        force, moment : ndarray
            (3,) N, and (3,) N·m about the ground's origin. What a planar root cannot tell is zero.
        """
        row = self.skeleton.jacobian_rows([body])[0]
        columns = self.skeleton.jacobian(coupled=False)[row][:, self.root]
        if len(self.root) == 6:
            wrench = np.linalg.solve(columns.T, forces[self.root])
        else:
            wrench = np.linalg.pinv(columns.T) @ forces[self.root]
        return wrench[3:], wrench[:3] + cross(self.skeleton.origins([body])[0], wrench[3:])
