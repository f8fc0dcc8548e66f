"""A trunk that wears no sensor: held upright.

People carry their trunk upright while the pelvis tilts and turns below it. A trunk that swung with the pelvis
would also need forces from the ground that are not there: on a recorded walk, the lateral force of the whole
body comes out 36 % off with it, and 21 % with an upright one (11 % with the true trunk).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_conjugate, quat_from_rotvec, quat_multiply, quat_rotate
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]

WEIGHT = 1e-3
"""In the inverse kinematics: too little to move anything that is measured."""


class UprightTrunk:
    """What the trunk would be measured to do.

    Parameters
    ----------
    skeleton
        The model; left in its default pose.
    pelvis, trunk
        Bodies; "" where there is no trunk, or a sensor on it.

    Attributes
    ----------
    bodies, weights
        The trunk, and its weight, where it can move against the pelvis in as many ways as the pelvis against
        ground; else empty.
    coordinates
        Indices of the coordinates between pelvis and trunk, which nothing measures.
    """

    def __init__(self, skeleton: Skeleton, pelvis: str, trunk: str) -> None:
        self.bodies: list[str] = []
        self.weights: list[float] = []
        self.coordinates: list[int] = []
        skeleton.set(skeleton.default)
        self._pelvis = quat_conjugate(skeleton.quaternions([pelvis])[0])
        if trunk:
            first, second = skeleton.jacobian_rows([pelvis, trunk])[:, :3]
            jacobian = skeleton.jacobian()
            moves = (np.abs(jacobian[first] - jacobian[second]) > 1e-9).any(axis=0) & ~skeleton.fixed
            if moves.sum() >= len(skeleton.pelvis_joint()[0]):
                self.bodies, self.weights = [trunk], [WEIGHT]
                self.coordinates = np.flatnonzero(moves).tolist()
        self._neutral = skeleton.quaternions(self.bodies)

    def orientation(self, pelvis: FloatArray) -> FloatArray:
        """(1, 4) of an upright trunk that faces where the pelvis (4,) does, in OpenSim's ground; (0, 4) for none."""
        if not self.bodies:
            return self._neutral
        forward = quat_rotate(quat_multiply(pelvis, self._pelvis), [1.0, 0.0, 0.0])
        heading = quat_from_rotvec([0.0, float(np.arctan2(-forward[2], forward[0])), 0.0])
        return quat_multiply(heading, self._neutral)
