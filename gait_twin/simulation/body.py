"""The whole body over its feet.

The feet's trajectories are kept exactly; pelvis, trunk and legs follow the published posture as near as the feet
allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side
from gait_twin.simulation.feet import FootMotion, FootShape, move_foot
from gait_twin.simulation.legs import reach_feet
from gait_twin.simulation.plan import WalkPlan
from gait_twin.simulation.posture import GRID_HZ, LEG, PELVIS, published_posture, sway
from gait_twin.simulation.skeleton import Skeleton
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]

BODIES = ("pelvis", "torso", "toes_r", "toes_l")
"""Ends of the chains that the virtual subject needs."""


@dataclass(frozen=True, slots=True)
class BodyMotion:
    """A walk of the whole body on an even time grid.

    Attributes
    ----------
    time_s
        (n,) s.
    positions
        (n,) of each coordinate of the model's chain, rad or m.
    skeleton
        The model's kinematics.
    feet, shape
        Planned motion of each foot, and the sole.
    """

    time_s: FloatArray
    positions: dict[str, FloatArray]
    skeleton: Skeleton
    feet: dict[Side, FootMotion]
    shape: FootShape

    def pose(self, segment: str) -> tuple[FloatArray, FloatArray]:
        """(n, 3, 3) rotation and (n, 3) origin of a body in OpenSim's ground."""
        return self.skeleton.pose(segment, self.positions)


def move_body(plan: WalkPlan, model: opensim.Model, progress: Progress | None = None) -> BodyMotion:
    """Move a model along a planned walk.

    Parameters
    ----------
    plan
        The walk.
    model
        OpenSim model with Rajagopal's coordinate names; knee and toes of either sign.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    InputError
        When the model lacks a body or coordinate, or has joints of another kind.
    """
    skeleton = Skeleton(model, BODIES)
    skeleton.require(PELVIS + tuple(f"{name}_{side}" for name in LEG for side in "rl"))
    shape = foot_shape(skeleton, plan.walk.height_m)
    n = int(np.ceil(plan.walk.duration_s * GRID_HZ)) + 1
    time_s = np.arange(n) / GRID_HZ
    feet = {side: move_foot(plan, side, shape, time_s) for side in Side}
    posture, torso = published_posture(plan, skeleton, shape, time_s)
    sway(posture, time_s, plan.walk.sway, np.random.default_rng([plan.walk.seed, 1]))
    positions = {name: np.full(n, value) for name, value in skeleton.defaults.items()}
    positions.update(reach_feet(skeleton, posture, feet, time_s, progress or (lambda _: None)))
    for side in Side:
        name = f"mtp_angle_{side.value[0]}"
        low, high = skeleton.ranges[name]
        sign = skeleton.sign(name, f"toes_{side.value[0]}", f"calcn_{side.value[0]}")
        positions[name] = np.clip(sign * feet[side].toe_bend_rad, low, high)
    pelvis = skeleton.pose("pelvis", positions)[0]
    positions.update(skeleton.joint_angles("torso", np.swapaxes(pelvis, 1, 2) @ torso))
    return BodyMotion(time_s, positions, skeleton, feet, shape)


def foot_shape(skeleton: Skeleton, height_m: float) -> FootShape:
    """Sole under a model's foot: its length from ankle height and foot length of Drillis and Contini 1966.

    Heel and forefoot rockers have radii of 2 % and 4 % of body height: the forefoot then rolls on to the
    toe's tip at toe-off while the toes bend less than 30°.
    """
    at_default = {name: np.array([value]) for name, value in skeleton.defaults.items()}
    ankle = -skeleton.pose("calcn_r", at_default, base="talus_r")[1][0]
    toe_joint = skeleton.pose("toes_r", at_default, base="calcn_r")[1][0]
    return FootShape(
        origin_height_m=max(0.0, 0.039 * height_m - ankle[1]),
        heel_x_m=0.02 * height_m,
        ball_x_m=float(toe_joint[0]),
        toe_x_m=float(toe_joint[0]) + 0.047 * height_m,
        heel_radius_m=0.02 * height_m,
        ball_radius_m=0.04 * height_m,
    )
