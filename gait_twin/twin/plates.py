"""Ground reactions that plates or insoles measure, on their way into inverse dynamics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.recording import Side
from gait_twin.recording.axes import OPENSIM_TO_ROS_QUAT_WXYZ, cross, quat_conjugate, quat_rotate
from gait_twin.recording.messages import WORLD_FRAME
from gait_twin.twin.model import Sole
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]

LOADED_N = 20.0
"""A plate that carries less is empty: the usual threshold of gait laboratories."""
LONGEST_GAP_S = 0.05
"""Longest step between two samples that is bridged."""
KEPT_S = 10.0
"""A graph that plays, and an analysis by blocks, run some seconds ahead of the frames."""
JUDGED = 100
"""Loaded samples after which the sign of the vertical force is judged."""
SIDES = (Side.RIGHT, Side.LEFT)
"""In the order of the soles."""


class Frame(Enum):
    """What a measured wrench is expressed in."""

    WORLD = "world"
    """The walk's z-up world, about its origin: plates whose place in it is known."""
    FOOT = "foot"
    """The foot body's OpenSim axes (forward, up, right), about its origin: insoles and instrumented shoes."""
    LEVEL = "level"
    """z-up axes at an unknown place, as of a treadmill, whose belt is not in the world: the force alone is
    used, and where it acts is predicted."""

    @classmethod
    def of(cls, frame_id: str, side: Side, prefix: str = "") -> Frame:
        """What the frame id of a message on a foot means: the world's, the foot's, or any other one."""
        name = frame_id.removeprefix("/").removeprefix(prefix)
        return {side.foot: cls.FOOT, WORLD_FRAME: cls.WORLD}.get(name, cls.LEVEL)


@dataclass(frozen=True, slots=True)
class Load:
    """A foot's measured reaction at one instant, in OpenSim's ground.

    Attributes
    ----------
    force
        (3,) N; zero while the plate is empty.
    point
        (3,) centre of pressure on the ground, m; None where it is not known.
    torque
        (3,) free moment, N·m.
    """

    force: FloatArray
    point: FloatArray | None
    torque: FloatArray


class Plates:
    """Keeps what was measured until the filter's instant comes by.

    Parameters
    ----------
    yaw_rad
        How far `Frame.LEVEL` axes are turned against the world's, about the vertical, left positive.

    Attributes
    ----------
    message
        A sentence where something measured cannot be used; empty otherwise.
    """

    def __init__(self, yaw_rad: float = 0.0) -> None:
        self._yaw = yaw_rad
        self._times: dict[Side, list[float]] = {side: [] for side in Side}
        self._samples: dict[Side, list[tuple[Frame, FloatArray]]] = {side: [] for side in Side}
        self._judged = dict.fromkeys(Side, 0)
        self._pulling = dict.fromkeys(Side, 0)
        self.message = ""

    @property
    def used(self) -> bool:
        """Whether anything has been measured."""
        return any(self._times.values())

    def push(self, side: Side, time_s: float, wrench: ArrayLike, frame: Frame) -> None:
        """Take a sample; what is not finite, or older than the last one, is left out.

        Parameters
        ----------
        side
            Foot that is acted on.
        time_s
            Instant, s.
        wrench
            (6,) force on the foot (N) and moment (N·m).
        frame
            What they are expressed in.
        """
        values = np.array(wrench, dtype=float)
        times, samples = self._times[side], self._samples[side]
        if not np.isfinite(values).all() or not np.isfinite(time_s):
            return
        if times and time_s <= times[-1]:
            if times[-1] - time_s < KEPT_S:
                return
            times.clear()  # played again from the beginning
            samples.clear()
        times.append(time_s)
        samples.append((frame, values))
        if times[0] < time_s - 2.0 * KEPT_S:
            old = bisect_left(times, time_s - KEPT_S)
            del times[:old], samples[:old]
        up = values[1] if frame is Frame.FOOT else values[2]
        if abs(up) > LOADED_N:
            self._judged[side] += 1
            self._pulling[side] += up < 0.0

    def at(self, time_s: float, skeleton: Skeleton, soles: Sequence[Sole]) -> list[Load | None]:
        """Load of each sole, right then left, at an instant; None where it was not measured (yet).

        `skeleton` holds the pose of that instant.
        """
        loads = []
        for side, sole in zip(SIDES, soles, strict=True):
            found = None if self._reversed(side) else self._between(side, time_s)
            loads.append(found and self._load(*found, skeleton, sole))
        return loads

    def _reversed(self, side: Side) -> bool:
        wrong = self._judged[side] >= JUDGED and 2 * self._pulling[side] > self._judged[side]
        if wrong:
            self.message = (
                f"The vertical force on the {side} foot points down: give the force on the foot, which points up. "
                "It is not used."
            )
        return wrong

    def _between(self, side: Side, time_s: float) -> tuple[Frame, FloatArray] | None:
        """Linear between the two samples around an instant."""
        times, samples = self._times[side], self._samples[side]
        after = bisect_left(times, time_s)
        if after == len(times):
            return None
        frame, values = samples[after]
        if times[after] == time_s:
            return frame, values
        step_s = times[after] - times[after - 1] if after else np.inf
        if step_s > LONGEST_GAP_S or samples[after - 1][0] is not frame:
            return None
        share = (time_s - times[after - 1]) / step_s
        return frame, (1.0 - share) * samples[after - 1][1] + share * values

    def _load(self, frame: Frame, wrench: FloatArray, skeleton: Skeleton, sole: Sole) -> Load:
        force, moment = wrench[:3], wrench[3:]
        if frame is Frame.FOOT:
            (origin,), (quat,) = skeleton.origins([sole.body]), skeleton.quaternions([sole.body])
            force, moment = quat_rotate(quat, force), quat_rotate(quat, moment)
            moment = moment + cross(origin, force)
        else:
            turn = quat_conjugate(OPENSIM_TO_ROS_QUAT_WXYZ)
            if frame is Frame.LEVEL:
                c, s = np.cos(self._yaw), np.sin(self._yaw)
                force = np.array([c * force[0] - s * force[1], s * force[0] + c * force[1], force[2]])
            force, moment = quat_rotate(turn, force), quat_rotate(turn, moment)
        if force[1] < LOADED_N:
            return Load(np.zeros(3), None, np.zeros(3))
        if frame is Frame.LEVEL:
            return Load(force, None, np.zeros(3))
        point = np.array([moment[2], 0.0, -moment[0]]) / force[1]
        free = moment[1] - cross(point, force)[1]
        return Load(force, point, np.array([0.0, free, 0.0]))
