"""A model with a state of its own: coordinates in, body poses and Jacobian out, at streaming speed.

Everything that touches Simbody's state lives here. Handles are collected after ``initSystem`` only, and
the model and its state are kept referenced: handles into a collected model crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.errors import InputError
from gait_twin.recording.axes import quat_conjugate, quat_multiply, rotvec_from_quat
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Coupler:
    """``values[dependent] = function(values[independent])``, of a CoordinateCouplerConstraint."""

    dependent: int
    independent: int
    function: opensim.Function

    def value(self, independent: float) -> float:
        """Dependent coordinate for a value of the independent one."""
        return float(self.function.calcValue(opensim.Vector(1, float(independent))))

    def slope(self, independent: float) -> float:
        """Its derivative."""
        step = 1e-5
        return (self.value(independent + step) - self.value(independent - step)) / (2.0 * step)


class Skeleton:
    """Forward kinematics of an OpenSim model.

    Parameters
    ----------
    model
        OpenSim model; it is copied, so the caller's stays as it was.

    Attributes
    ----------
    coordinates
        m coordinate names, in the model's order.
    default, low, high
        (m,) default values and range, rad or m; an unclamped coordinate has infinite range.
    rotational, fixed
        (m,) bool: angle (else length); locked, prescribed or driven by a coupler.
    couplers
        Coordinates that follow another one.
    bodies
        Names of all bodies, in the model's order.
    mass_kg
        Mass of the model.
    notices
        Sentences on what of the model is left out.

    Raises
    ------
    InputError
        A joint of the model has coordinates that are not its speeds' integrals (free and ball joints).
    """

    def __init__(self, model: opensim.Model) -> None:
        self.model = opensim.Model(model)
        self._state = self.model.initSystem()
        self._matter = self.model.getMatterSubsystem()
        self._jacobian = opensim.Matrix()
        self.notices: tuple[str, ...] = ()

        coordinate_set = self.model.getCoordinateSet()
        handles = [coordinate_set.get(i) for i in range(coordinate_set.getSize())]
        self.coordinates = tuple(c.getName() for c in handles)
        self.default = np.array([c.getDefaultValue() for c in handles])
        self.low, self.high = np.array(
            [(c.getRangeMin(), c.getRangeMax()) if c.get_clamped() else (-np.inf, np.inf) for c in handles]
        ).T
        self.rotational = np.array([c.getMotionType() != opensim.Coordinate.Translational for c in handles])
        self.fixed = np.array([c.get_locked() or c.get_prescribed() for c in handles])
        self._q_index = self._find_q(handles)
        self.couplers = self._find_couplers()
        for coupler in self.couplers:
            self.fixed[coupler.dependent] = True

        body_set = self.model.getBodySet()
        self._bodies = {body_set.get(i).getName(): body_set.get(i) for i in range(body_set.getSize())}
        self.bodies = tuple(self._bodies)
        self.mass_kg = float(self.model.getTotalMass(self._state))
        self.values = self.default.copy()
        self._q = self._state.getQ().to_numpy().copy()
        self.set(self.default)
        self._check_jacobian()

    def set(self, values: ArrayLike) -> None:
        """Take the pose of (m,) coordinate values; coupled coordinates follow, whatever is given for them."""
        self.values = np.array(values, dtype=float)
        for coupler in self.couplers:
            self.values[coupler.dependent] = coupler.value(self.values[coupler.independent])
        self._q[self._q_index] = self.values
        self._state.setQ(opensim.Vector.createFromMat(self._q))
        self.model.realizePosition(self._state)

    @property
    def state(self) -> opensim.State:
        """Simbody's state, at the last pose set."""
        return self._state

    def set_motion(self, values: ArrayLike, rates: ArrayLike) -> None:
        """Take a pose and (m,) rates of all coordinates, rad/s or m/s; coupled ones need their own.

        Unlike with `set`, a coupled coordinate keeps the value that is given for it.
        """
        self.values = np.array(values, dtype=float)
        self._q[self._q_index] = self.values
        self._state.setQ(opensim.Vector.createFromMat(self._q))
        self._state.setU(self.to_mobilities(rates))
        self.model.realizeVelocity(self._state)

    def to_mobilities(self, values: ArrayLike) -> opensim.Vector:
        """(m,) values of the coordinates in the order of Simbody's mobilities."""
        ordered = np.zeros(len(self._q))
        ordered[self._q_index] = values
        return opensim.Vector.createFromMat(ordered)

    def from_mobilities(self, values: FloatArray) -> FloatArray:
        """(m,) values of the coordinates out of those of Simbody's mobilities."""
        return values[self._q_index]

    def mass_center(self) -> FloatArray:
        """(3,) mass centre of the whole body in OpenSim's ground, m."""
        return self._matter.calcSystemMassCenterLocationInGround(self._state).to_numpy()

    def quaternions(self, bodies: Sequence[str]) -> FloatArray:
        """(k, 4) orientations, scalar first, rotating body axes into OpenSim's ground."""
        flat: list[float] = []
        for name in bodies:
            q = self._bodies[name].getTransformInGround(self._state).R().convertRotationToQuaternion()
            flat += (q.get(0), q.get(1), q.get(2), q.get(3))
        return np.array(flat).reshape(-1, 4)

    def origins(self, bodies: Sequence[str]) -> FloatArray:
        """(k, 3) origins of bodies in OpenSim's ground, m."""
        return np.array([self._bodies[name].getTransformInGround(self._state).p().to_numpy() for name in bodies])

    def stations(self, body: str, points: ArrayLike) -> FloatArray:
        """(p, 3) places in OpenSim's ground of (p, 3) points fixed to a body, m."""
        transform = self._bodies[body].getTransformInGround(self._state)
        return np.array(
            [
                transform.shiftFrameStationToBase(opensim.Vec3(*p)).to_numpy()
                for p in np.asarray(points, dtype=float).tolist()
            ]
        )

    def jacobian_rows(self, bodies: Sequence[str]) -> IntArray:
        """(k, 6) rows of `jacobian` that hold each body's angular and linear velocity in ground."""
        first = np.array([6 * int(self._bodies[name].getMobilizedBodyIndex()) for name in bodies], dtype=np.intp)
        return first[:, None] + np.arange(6)

    def jacobian(self, *, coupled: bool = True) -> FloatArray:
        """(6 bodies, m) velocities of all bodies in ground for unit rates of each coordinate.

        A coupled coordinate's effect is added to the column of the coordinate that drives it, unless
        `coupled` is false: each then stands for itself, as in OpenSim's inverse dynamics.
        """
        self._matter.calcSystemJacobian(self._state, self._jacobian)
        jacobian: FloatArray = self._jacobian.to_numpy()[:, self._q_index]
        for coupler in self.couplers if coupled else ():
            column = jacobian[:, coupler.dependent]
            if column.any():
                jacobian[:, coupler.independent] += column * coupler.slope(self.values[coupler.independent])
                jacobian[:, coupler.dependent] = 0.0
        return jacobian

    @property
    def force_names(self) -> tuple[str, ...]:
        """Names of the generalized forces as OpenSim's inverse dynamics has them: ``_moment`` or ``_force`` each."""
        kinds = ("moment" if turns else "force" for turns in self.rotational)
        return tuple(f"{name}_{kind}" for name, kind in zip(self.coordinates, kinds, strict=True))

    @property
    def joints(self) -> list[int]:
        """Indices of the coordinates but those of the joint to ground."""
        root = {i for part in self.pelvis_joint() for i in part}
        return [i for i in range(len(self.coordinates)) if i not in root]

    def pelvis_joint(self) -> tuple[list[int], list[int]]:
        """Indices of the rotational and of the translational coordinates of the joint to ground."""
        for joint in self._joints():
            if joint.getParentFrame().findBaseFrame().getName() == "ground":
                names = [joint.get_coordinates(k).getName() for k in range(joint.numCoordinates())]
                indices = [self.coordinates.index(name) for name in names]
                return [i for i in indices if self.rotational[i]], [i for i in indices if not self.rotational[i]]
        raise InputError("The model has no joint to ground; give a model whose pelvis is free to move.")

    def child(self, body: str) -> str:
        """Name of the first body that a body carries (the tibia's talus); the body itself when it carries none."""
        for joint in self._joints():
            child = joint.getChildFrame().findBaseFrame().getName()
            if joint.getParentFrame().findBaseFrame().getName() == body and "patella" not in child:
                return child
        return body

    def _joints(self) -> list[opensim.Joint]:
        joint_set = self.model.getJointSet()
        return [joint_set.get(i) for i in range(joint_set.getSize())]

    def _find_q(self, handles: list[opensim.Coordinate]) -> IntArray:
        """Place of each coordinate in Simbody's q, found by moving it."""
        base = self._state.getQ().to_numpy().copy()
        index = []
        for coordinate in handles:
            coordinate.setLocked(self._state, False)
            coordinate.setClamped(self._state, False)
            coordinate.setValue(self._state, coordinate.getDefaultValue() + 0.125, False)
            moved = np.flatnonzero(np.abs(self._state.getQ().to_numpy() - base) > 0.06)
            if len(moved) != 1:
                raise InputError(
                    f"Coordinate {coordinate.getName()} of the model moves {len(moved)} mobilities; use joints "
                    "with one each (CustomJoint, PinJoint, SliderJoint, PlanarJoint, UniversalJoint, GimbalJoint)."
                )
            index.append(int(moved[0]))
            coordinate.setValue(self._state, coordinate.getDefaultValue(), False)
            base = self._state.getQ().to_numpy().copy()
        return np.array(index, dtype=np.intp)

    def _find_couplers(self) -> tuple[Coupler, ...]:
        couplers, notices = [], []
        constraints = self.model.getConstraintSet()
        for i in range(constraints.getSize()):
            constraint = constraints.get(i)
            if not constraint.get_isEnforced():
                continue
            coupler = opensim.CoordinateCouplerConstraint.safeDownCast(constraint)
            names = coupler.getIndependentCoordinateNames() if coupler else None
            if names is None or names.getSize() != 1:
                notices.append(
                    f"Constraint {constraint.getName()} ({constraint.getConcreteClassName()}) of the model is not held "
                    "by the streaming kinematics."
                )
                continue
            couplers.append(
                Coupler(
                    self.coordinates.index(coupler.getDependentCoordinateName()),
                    self.coordinates.index(names.get(0)),
                    coupler.getFunction(),
                )
            )
        self.notices += tuple(notices)
        return tuple(couplers)

    def _check_jacobian(self) -> None:
        """Refuse joints whose coordinates are not the integrals of Simbody's speeds."""
        start = np.clip(self.default + 0.1, self.low, self.high)
        self.set(start)
        jacobian = self.jacobian()
        rows = self.jacobian_rows(self.bodies)[:, :3]
        step = 1e-5
        for i, name in enumerate(self.coordinates):
            if any(i == c.dependent for c in self.couplers):
                continue
            self.set(start)
            before = self.quaternions(self.bodies)
            moved = start.copy()
            moved[i] += step
            self.set(moved)
            turned = rotvec_from_quat(quat_multiply(self.quaternions(self.bodies), quat_conjugate(before)))
            if not np.allclose(turned / step, jacobian[rows, i], atol=1e-3):
                raise InputError(
                    f"Coordinate {name} belongs to a joint whose coordinates are not the integrals of its speeds "
                    "(a free or ball joint); replace it by a CustomJoint."
                )
        self.set(self.default)
