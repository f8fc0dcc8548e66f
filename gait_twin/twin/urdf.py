"""Robot description of an OpenSim model, for RViz and everything else that reads URDF.

Links are the model's bodies, with its masses and inertias, below a root link ``world`` (z up). A joint of
OpenSim becomes a chain of single-axis joints: its three translations along axes of the parent's frame, then
its three rotations. Each chain joint that equals a coordinate bears the coordinate's name, so that
``joint_states`` drives it. What is a linear function of a coordinate mimics it. What is a curve over a
coordinate (the rolling knees of published models) cannot be said in URDF: it becomes a joint
``<coordinate>_<axis>`` of its own, and `RobotDescription.extra_values` gives its value for a pose. Forward
kinematics thus equal OpenSim's for every model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording.axes import OPENSIM_TO_ROS
from gait_twin.twin.meshes import Visual, visuals
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]
Curve = Callable[[float], float]

ROOT_LINK = "world"
EFFORT, VELOCITY = 1000.0, 100.0
"""URDF wants limits of effort (N·m or N) and velocity (rad/s or m/s): beyond any human joint's."""
BODY_COLOR = "0.85 0.82 0.74 1"


def robot_description(model: opensim.Model, geometry: str = "") -> str:
    """URDF of a model; see `RobotDescription`."""
    return RobotDescription(model, geometry).urdf


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of a joint: `function` of the coordinate `driver`, or a constant where there is none."""

    name: str
    direction: FloatArray
    translation: bool
    driver: str | None
    function: Curve


@dataclass
class _Place:
    """Fixed transform gathered until the next moving axis."""

    rotation: FloatArray = field(default_factory=lambda: np.eye(3))
    translation: FloatArray = field(default_factory=lambda: np.zeros(3))

    def then(self, rotation: FloatArray, translation: FloatArray) -> None:
        self.translation = self.translation + self.rotation @ translation
        self.rotation = self.rotation @ rotation


class RobotDescription:
    """URDF of a model and the values that drive it.

    Parameters
    ----------
    model
        Any OpenSim model.
    geometry
        Folder, or ``package://NAME/FOLDER``, with the model's meshes, see `gait_twin.twin.meshes.visuals`; empty:
        simple shapes are shown.

    Attributes
    ----------
    urdf
        The description, XML.
    extra_joints
        Names of joints that follow a coordinate on a curve; their values go with the coordinates' into
        ``joint_states``.
    bare_links
        Links between the axes of a joint, and the body beyond each. They show nothing; where poses of the
        bodies are published straight to ``/tf``, tie each to its body, so that no viewer misses them.
    notices
        Sentences on meshes that are not there.

    Raises
    ------
    InputError
        A joint of a kind that is not known here, or no such folder.
    """

    def __init__(self, model: opensim.Model, geometry: str = "") -> None:
        self._skeleton = Skeleton(model)
        self.model = self._skeleton.model
        self._robot = ElementTree.Element("robot", name=model.getName())
        self._extra: list[tuple[int, Curve]] = []
        self.extra_joints: tuple[str, ...] = ()
        self.bare_links: dict[str, str] = {}
        self._driven: set[str] = set()
        meshes, self.notices = visuals(self.model, geometry) if geometry else ([], ())
        self._links(meshes)
        self._build()
        ElementTree.indent(self._robot)
        self.urdf = '<?xml version="1.0"?>\n' + ElementTree.tostring(self._robot, encoding="unicode") + "\n"

    def extra_values(self, positions: ArrayLike) -> FloatArray:
        """Values of `extra_joints` for (m,) coordinate values, rad or m."""
        values = np.asarray(positions, dtype=float)
        return np.array([curve(float(values[index])) for index, curve in self._extra])

    def _links(self, meshes: list[Visual]) -> None:
        _element(self._robot, "material", name="bone").append(ElementTree.Element("color", rgba=BODY_COLOR))
        _element(self._robot, "link", name=ROOT_LINK)
        ends = self._segment_ends()
        body_set = self.model.getBodySet()
        for i in range(body_set.getSize()):
            body = body_set.get(i)
            link = _element(self._robot, "link", name=body.getName())
            inertial = _element(link, "inertial")
            center = body.getMassCenter().to_numpy()
            _element(inertial, "origin", xyz=_text(center), rpy="0 0 0")
            _element(inertial, "mass", value=f"{max(body.getMass(), 1e-6):.9g}")
            inertia = body.getInertia()
            moments, products = inertia.getMoments().to_numpy(), inertia.getProducts().to_numpy()
            names = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
            _element(inertial, "inertia", **{n: f"{v:.9g}" for n, v in zip(names, (*moments, *products), strict=True)})
            own = [mesh for mesh in meshes if mesh.body == body.getName()]
            for mesh in own:
                _mesh(link, mesh)
            for end in [] if own else ends.get(body.getName(), []) or [2.0 * center]:
                _bone(link, end)

    def _segment_ends(self) -> dict[str, list[FloatArray]]:
        """Where each body's child joints lie, in its own axes, m."""
        ends: dict[str, list[FloatArray]] = {}
        for joint in self._joints():
            frame = joint.getParentFrame()
            ends.setdefault(frame.findBaseFrame().getName(), []).append(_transform(frame)[1])
        return ends

    def _joints(self) -> list[opensim.Joint]:
        joint_set = self.model.getJointSet()
        return [joint_set.get(i) for i in range(joint_set.getSize())]

    def _build(self) -> None:
        for joint in self._joints():
            parent, child = joint.getParentFrame(), joint.getChildFrame()
            parent_link = parent.findBaseFrame().getName()
            place = _Place()
            if parent_link == "ground":
                parent_link = ROOT_LINK
                place.then(OPENSIM_TO_ROS, np.zeros(3))
            place.then(*_transform(parent))
            name = child.findBaseFrame().getName()
            previous = parent_link
            for axis in self._axes(joint):
                if axis.driver is None:
                    _fix(place, axis, axis.function(0.0))
                    continue
                previous, place = self._move(previous, place, axis, f"{name}_{axis.name}")
            rotation, translation = _transform(child)
            place.then(rotation.T, -rotation.T @ translation)
            self._joint(f"{name}_joint", "fixed", previous, name, place)

    def _move(self, parent: str, place: _Place, axis: _Axis, link: str) -> tuple[str, _Place]:
        """Add one moving joint and the bare link beyond it."""
        driver = str(axis.driver)
        index = self._skeleton.coordinates.index(driver)
        kind = "prismatic" if axis.translation else "revolute"
        slope, offset = axis.function(1.0) - axis.function(0.0), axis.function(0.0)
        linear = all(abs(axis.function(x) - (offset + slope * x)) < 1e-9 for x in (-0.7, 0.3, 1.7))
        if linear and slope == 0.0:
            _fix(place, axis, offset)
            return parent, place
        direction, mimic, name = axis.direction, None, driver
        low, high = self._skeleton.low[index], self._skeleton.high[index]
        if linear and driver not in self._driven and offset == 0.0 and abs(slope) == 1.0:
            direction = axis.direction * slope
            self._driven.add(driver)
        else:
            name = f"{driver}_{axis.name}"
            values = [axis.function(float(x)) for x in np.linspace(max(low, -7.0), min(high, 7.0), 50)]
            low, high = min(values), max(values)
            if linear:
                mimic = {"joint": driver, "multiplier": f"{slope:.12g}", "offset": f"{offset:.12g}"}
            else:
                self._extra.append((index, axis.function))
                self.extra_joints += (name,)
        _element(self._robot, "link", name=link)
        self.bare_links[link] = link.removesuffix(f"_{axis.name}")
        joint = self._joint(name, kind, parent, link, place)
        _element(joint, "axis", xyz=_text(direction))
        if kind == "revolute" and not (np.isfinite(low) and np.isfinite(high) and high - low < 100.0):
            joint.set("type", "continuous")
        else:
            low, high = np.clip((low, high), -1e6, 1e6)
            _element(
                joint, "limit", lower=f"{low:.9g}", upper=f"{high:.9g}", effort=f"{EFFORT:g}", velocity=f"{VELOCITY:g}"
            )
        if mimic:
            _element(joint, "mimic", **mimic)
        return link, _Place()

    def _joint(self, name: str, kind: str, parent: str, child: str, place: _Place) -> ElementTree.Element:
        joint = _element(self._robot, "joint", name=name, type=kind)
        rpy = Rotation.from_matrix(place.rotation).as_euler("xyz")
        _element(joint, "origin", xyz=_text(place.translation), rpy=_text(rpy))
        _element(joint, "parent", link=parent)
        _element(joint, "child", link=child)
        return joint

    def _axes(self, joint: opensim.Joint) -> list[_Axis]:
        """Axes of a joint in the order in which they are applied, outermost first."""
        custom = opensim.CustomJoint.safeDownCast(joint)
        if custom:
            transform = custom.getSpatialTransform()
            return [
                _spatial_axis(
                    transform.getTransformAxis(k), f"{'rotation' if k < 3 else 'translation'}{k % 3 + 1}", k >= 3
                )
                for k in (3, 4, 5, 0, 1, 2)
            ]
        names = [joint.get_coordinates(k).getName() for k in range(joint.numCoordinates())]
        kind = joint.getConcreteClassName()
        if kind not in SIMPLE_JOINTS:
            raise InputError(
                f"Joint {joint.getName()} is a {kind}, which a robot description cannot follow; "
                "replace it by a CustomJoint."
            )
        letters = SIMPLE_JOINTS[kind]
        # coordinates of a planar joint are listed rotation first, but it translates first
        axes = [
            _Axis(f"{letter}{k}", np.eye(3)["xyz".index(letter[-1])], letter[0] == "t", name, float)
            for k, (letter, name) in enumerate(zip(letters, names, strict=True))
        ]
        return sorted(axes, key=lambda axis: not axis.translation)


SIMPLE_JOINTS: dict[str, tuple[str, ...]] = {
    "WeldJoint": (),
    "PinJoint": ("rz",),
    "SliderJoint": ("tx",),
    "UniversalJoint": ("rx", "ry"),
    "GimbalJoint": ("rx", "ry", "rz"),
    "PlanarJoint": ("rz", "tx", "ty"),
}
"""Axes of OpenSim's simple joints, in the order of their coordinates."""


def _spatial_axis(axis: opensim.TransformAxis, name: str, translation: bool) -> _Axis:
    names = axis.getCoordinateNamesInArray()
    driver = names.get(0) if names.getSize() else None
    direction = axis.getAxis().to_numpy()
    if not axis.hasFunction():
        return _Axis(name, direction, translation, None, lambda _: 0.0)
    function = axis.getFunction()

    def value(x: float) -> float:
        return float(function.calcValue(opensim.Vector(1, x)))

    return _Axis(name, direction, translation, driver, value)


def _transform(frame: opensim.PhysicalFrame) -> tuple[FloatArray, FloatArray]:
    """Rotation and translation of a frame within its body."""
    transform = frame.findTransformInBaseFrame()  # owns what R() and p() refer to
    matrix = transform.R()
    rotation = np.array([[matrix.get(i, j) for j in range(3)] for i in range(3)])
    return rotation, transform.p().to_numpy().copy()


def _fix(place: _Place, axis: _Axis, value: float) -> None:
    if axis.translation:
        place.then(np.eye(3), value * axis.direction)
    else:
        place.then(Rotation.from_rotvec(value * axis.direction).as_matrix(), np.zeros(3))


def _mesh(link: ElementTree.Element, mesh: Visual) -> None:
    visual = _element(link, "visual")
    rpy = Rotation.from_matrix(mesh.rotation).as_euler("xyz")
    _element(visual, "origin", xyz=_text(mesh.translation), rpy=_text(rpy))
    _element(_element(visual, "geometry"), "mesh", filename=mesh.uri, scale=_text(mesh.scale))
    _element(visual, "material", name="bone")


def _bone(link: ElementTree.Element, end: FloatArray) -> None:
    """A slim cylinder from the link's origin to a point."""
    length = float(np.linalg.norm(end))
    if length < 0.01:
        return
    visual = _element(link, "visual")
    x, y, z = end / length
    # roll leaves the cylinder's z axis in the y-z plane, pitch brings it into place
    rpy = np.array([-np.arcsin(np.clip(y, -1.0, 1.0)), np.arctan2(x, z), 0.0])
    _element(visual, "origin", xyz=_text(0.5 * end), rpy=_text(rpy))
    geometry = _element(visual, "geometry")
    _element(geometry, "cylinder", radius=f"{min(0.03, 0.12 * length):.6g}", length=f"{length:.9g}")
    _element(visual, "material", name="bone")


def _element(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _text(vector: FloatArray) -> str:
    return " ".join(f"{v:.12g}" for v in vector)
