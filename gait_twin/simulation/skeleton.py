"""Kinematics of an OpenSim model for many instants at once.

Simbody computes one pose at a time; a walk needs tens of thousands. The joints between the segments that
wear sensors are read from the model once and evaluated with numpy on whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]
Pose = tuple[FloatArray, FloatArray]
"""Rotation (..., 3, 3) into the reference frame, and position (..., 3) in it."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Rotation about, or translation along, `direction` by `amount` of a coordinate (none: constant)."""

    direction: FloatArray
    coordinate: str | None
    amount: Callable[[FloatArray], FloatArray]
    rate: Callable[[FloatArray], FloatArray]

    def value(self, positions: Mapping[str, FloatArray]) -> FloatArray:
        """(n,) rad or m."""
        return self.amount(positions[self.coordinate] if self.coordinate else np.zeros(1))


def _linear(direction: FloatArray, coordinate: str | None, slope: float, offset: float = 0.0) -> _Axis:
    return _Axis(direction, coordinate, lambda q: offset + slope * q, lambda q: np.full(np.shape(q), slope))


@dataclass(frozen=True, slots=True)
class _Joint:
    parent: str
    parent_pose: Pose
    rotations: tuple[_Axis, ...]
    translations: tuple[_Axis, ...]
    child_pose_inverse: Pose


class Skeleton:
    """The chain of joints of a model, frames and signs as in OpenSim (y up).

    Parameters
    ----------
    model
        Any model whose joints are custom, pin or weld joints.

    Attributes
    ----------
    ranges
        Lower and upper limit of each coordinate of the chain, rad or m.
    defaults
        Default value of each.

    Raises
    ------
    InputError
        When a joint of the chain is of another kind.
    """

    def __init__(self, model: opensim.Model, bodies: tuple[str, ...]) -> None:
        model.finalizeConnections()
        by_child = {}
        joints = model.getJointSet()
        for k in range(joints.getSize()):
            joint = joints.get(k)
            by_child[joint.getChildFrame().findBaseFrame().getName()] = joint
        self._joints: dict[str, _Joint] = {}
        self.ranges: dict[str, tuple[float, float]] = {}
        self.defaults: dict[str, float] = {}
        for body in bodies:
            while body != "ground" and body not in self._joints:
                if body not in by_child:
                    raise InputError(
                        f"The model has no body {body}; the virtual subject needs a model with {', '.join(bodies)}."
                    )
                self._joints[body] = self._read(by_child[body])
                body = self._joints[body].parent

    def _read(self, joint: opensim.Joint) -> _Joint:
        kind, name = joint.getConcreteClassName(), joint.getName()
        for k in range(joint.numCoordinates()):
            coordinate = joint.get_coordinates(k)
            self.ranges[coordinate.getName()] = (coordinate.getRangeMin(), coordinate.getRangeMax())
            self.defaults[coordinate.getName()] = coordinate.getDefaultValue()
        rotations: tuple[_Axis, ...] = ()
        translations: tuple[_Axis, ...] = ()
        if kind == "CustomJoint":
            transform = opensim.CustomJoint.safeDownCast(joint).getSpatialTransform()
            axes = [self._axis(transform.getTransformAxis(k)) for k in range(6)]
            rotations, translations = tuple(axes[:3]), tuple(axes[3:])
        elif kind == "PinJoint":
            rotations = (_linear(np.array([0.0, 0.0, 1.0]), joint.get_coordinates(0).getName(), 1.0),)
        elif kind != "WeldJoint":
            raise InputError(
                f"The model's joint {name} is a {kind}; the virtual subject needs custom, pin or weld joints."
            )
        child = _pose(joint.getChildFrame().findTransformInBaseFrame())
        inverse = (child[0].T, -child[0].T @ child[1])
        parent = joint.getParentFrame()
        return _Joint(
            parent.findBaseFrame().getName(), _pose(parent.findTransformInBaseFrame()), rotations, translations, inverse
        )

    def _axis(self, axis: opensim.TransformAxis) -> _Axis:
        direction = np.array([axis.getAxis().get(k) for k in range(3)])
        direction = direction / np.linalg.norm(direction)
        function = axis.getFunction()
        names = axis.getCoordinateNamesInArray()
        name = names.get(0) if names.getSize() else None

        def value(q: float) -> float:
            return float(function.calcValue(opensim.Vector(1, q)))

        offset = value(0.0)
        if name is None:
            return _linear(direction, None, 0.0, offset)
        low, high = self.ranges[name]
        slope = value(1.0) - offset
        probe = np.linspace(max(low, -4.0) - 0.3, min(high, 4.0) + 0.3, 400)
        samples = np.array([value(q) for q in probe])
        if np.allclose(samples, offset + slope * probe, rtol=0.0, atol=1e-12):
            return _linear(direction, name, slope, offset)
        curve = CubicSpline(probe, samples)
        return _Axis(direction, name, curve, curve.derivative())

    def require(self, coordinates: tuple[str, ...]) -> None:
        """Raise InputError unless the model's chain has all of `coordinates`."""
        missing = [name for name in coordinates if name not in self.ranges]
        if missing:
            raise InputError(
                f"The model has no coordinate {', '.join(missing)}; the virtual subject needs a model whose "
                "coordinates are named as in Rajagopal 2016."
            )

    def sign(self, coordinate: str, body: str, base: str) -> float:
        """+1 where a positive coordinate turns `body` left about `base`'s z (hip flexion, toes up), else -1.

        Models differ in the sign of knees and toes.
        """
        rotation, _ = self.pose(body, {coordinate: np.array([0.1])}, base=base)
        return float(np.sign(rotation[0, 1, 0]))

    def pose(self, body: str, positions: Mapping[str, FloatArray], base: str = "ground") -> Pose:
        """Pose of a body in a frame further up its chain.

        Parameters
        ----------
        body, base
            Names; `base` is ground or an ancestor of the body.
        positions
            (n,) of each coordinate between them, rad or m.

        Returns
        -------
        rotation, place
            (n, 3, 3) of body axes into those of `base`; (n, 3) of the body's origin, m.
        """
        rotation, place, _ = self._walk(body, positions, base)
        return rotation, place

    def pose_and_jacobian(
        self, body: str, names: tuple[str, ...], positions: Mapping[str, FloatArray]
    ) -> tuple[Pose, FloatArray]:
        """Pose of a body in ground, and how it changes with coordinates.

        Parameters
        ----------
        body
            Name.
        names
            k coordinates; those that do not move the body get zeros.
        positions
            (n,) of each coordinate of the body's chain, rad or m.

        Returns
        -------
        pose
            As `pose` gives it.
        jacobian
            (n, 6, k): angular velocity (rad/s) and velocity of the origin (m/s) in ground, per unit of speed of
            each coordinate.
        """
        rotation, place, moves = self._walk(body, positions, "ground")
        jacobian = np.zeros((len(place), 6, len(names)))
        for axis, direction, point in moves:
            if axis.coordinate is None or axis.coordinate not in names:
                continue
            column = jacobian[:, :, names.index(axis.coordinate)]
            along = direction * axis.rate(positions[axis.coordinate])[:, None]
            if point is None:
                column[:, 3:] += along
            else:
                column[:, :3] += along
                column[:, 3:] += np.cross(along, place - point)
        return (rotation, place), jacobian

    def _walk(
        self, body: str, positions: Mapping[str, FloatArray], base: str
    ) -> tuple[FloatArray, FloatArray, list[tuple[_Axis, FloatArray, FloatArray | None]]]:
        """Pose, and of each axis passed its direction and, of a rotation, a point on it, in `base`."""
        chain = []
        while body != base:
            chain.append(self._joints[body])
            body = chain[-1].parent
        rotation, place = np.eye(3)[None], np.zeros((1, 3))
        moves: list[tuple[_Axis, FloatArray, FloatArray | None]] = []
        for joint in reversed(chain):
            rotation, place = _compose((rotation, place), joint.parent_pose)
            moves += [(axis, rotation @ axis.direction, None) for axis in joint.translations]
            for axis in joint.translations:
                place = place + (rotation @ axis.direction) * axis.value(positions)[:, None]
            for axis in joint.rotations:
                moves.append((axis, rotation @ axis.direction, place))
                rotation = rotation @ turn(axis.direction, axis.value(positions))
            rotation, place = _compose((rotation, place), joint.child_pose_inverse)
        return rotation, place, moves

    def joint_angles(self, body: str, rotation: FloatArray) -> dict[str, FloatArray]:
        """Coordinates of the three-axis joint above `body` for which its rotation is `rotation` (n, 3, 3).

        Raises
        ------
        InputError
            When the joint's three axes are not three different ones of x, y, z.
        """
        joint = self._joints[body]
        letters, signs = "", []
        for axis in joint.rotations:
            k = int(np.argmax(np.abs(axis.direction)))
            letters += "XYZ"[k]
            signs.append(np.sign(axis.direction[k]))
        if len(set(letters)) != 3 or any(axis.coordinate is None for axis in joint.rotations):
            raise InputError(
                f"The model's joint above {body} has not three free axes x, y, z; the virtual subject needs them."
            )
        angles = np.unwrap(Rotation.from_matrix(rotation).as_euler(letters), axis=0)
        return {str(axis.coordinate): angles[:, k] * signs[k] for k, axis in enumerate(joint.rotations)}


def turn(axis: FloatArray, angle: FloatArray) -> FloatArray:
    """(n, 3, 3) rotation about a fixed unit axis by `angle` (n,), Rodrigues' formula."""
    x, y, z = axis
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + s * k + (1.0 - c) * (k @ k))


def _compose(a: Pose, b: Pose) -> Pose:
    return a[0] @ b[0], a[1] + (a[0] @ b[1][..., None])[..., 0]


def _pose(transform: opensim.Transform) -> Pose:
    rotation = transform.R()
    matrix = np.array([[rotation.get(i, j) for j in range(3)] for i in range(3)])
    return matrix, np.array([transform.p().get(k) for k in range(3)])
