"""The default model: lower limbs and trunk of a person of whom only height and mass are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.twin import anthropometry as body
from gait_twin.twin.marker_set import add_markers
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]

X, Y, Z = np.eye(3)
FORWARD_LIMIT_M = 1000.0
TURN_LIMIT_RAD = 1000.0
"""The pelvis may walk and turn as far as anyone walks."""


def build_default_model(height_m: float, mass_kg: float) -> opensim.Model:
    """Lower limbs and trunk of a person of whom height and mass are known.

    Bodies ``pelvis, femur, tibia, talus, calcn, toes (_r, _l), torso`` (with head and hanging arms);
    coordinates named, ordered and signed as in the Rajagopal 2016 model: **knee flexion is positive**
    (gait2392 counts it negative), hip flexion, ankle dorsiflexion, hip adduction and internal rotation
    are positive on both sides. The tibia turns and
    slides with knee flexion, as published. Subtalar and toe joints are locked by default.
    Markers are those of `marker_set`.

    With every coordinate at its default all body axes align with ground (x forward, y up, z right), the
    pelvis' origin is the midpoint of the anterior superior iliac spines, the feet stand flat on y = 0 and
    the origin of each calcn lies at the back of the heel on the ground.

    Parameters
    ----------
    height_m, mass_kg
        Body height, m (0.5-2.5), and mass, kg (5-300).

    Returns
    -------
    opensim.Model
        Connected (``finalizeConnections``), without muscles; ``initSystem`` is the caller's.

    Raises
    ------
    InputError
        Height or mass out of range.

    Notes
    -----
    Sources of every constant are in `anthropometry`. Ranges are those of Rajagopal et al. 2016, with 10°
    of knee hyperextension as in gait2392.
    """
    for name, value, low, high, unit in (("height", height_m, 0.5, 2.5, "m"), ("mass", mass_kg, 5.0, 300.0, "kg")):
        if not low <= value <= high:
            raise InputError(f"Body {name} is {value} {unit}; give a value from {low:g} to {high:g} {unit}.")
    return _Builder(height_m, mass_kg).build()


class _Builder:
    def __init__(self, height_m: float, mass_kg: float) -> None:
        self.h, self.m = height_m, mass_kg / body.MASS_SUM
        self.model = opensim.Model()
        self.model.setName(f"gait_twin_{height_m:.2f}m_{mass_kg:.0f}kg")
        self.bodies: dict[str, opensim.PhysicalFrame] = {"ground": self.model.getGround()}

    def build(self) -> opensim.Model:
        h, width = self.h, body.PELVIS_WIDTH * self.h
        hip, lumbar = body.HIP * width, body.LUMBAR * width
        pelvis_height = (body.THIGH_LENGTH + body.SHANK_LENGTH + body.ANKLE_HEIGHT) * h - hip[1]

        # the published mass centre is in fractions of the length from the lumbosacral joint to the hips
        length = float(np.linalg.norm((lumbar - hip)[:2]))
        center = lumbar + length * np.array(body.PELVIS.mass_center)
        self.body("pelvis", body.PELVIS.mass * self.m, center, body.PELVIS.inertia(self.m, length))
        self.custom_joint(
            "ground_pelvis",
            ("ground", np.zeros(3)),
            ("pelvis", np.zeros(3)),
            rotations=(
                ("pelvis_tilt", Z, 90.0),
                ("pelvis_list", X, 90.0),
                ("pelvis_rotation", Y, np.degrees(TURN_LIMIT_RAD)),
            ),
            translations=(("pelvis_tx", 0.0), ("pelvis_ty", pelvis_height), ("pelvis_tz", 0.0)),
        )
        self.torso(pelvis_height + lumbar[1])
        self.custom_joint(
            "back",
            ("pelvis", lumbar),
            ("torso", np.zeros(3)),
            rotations=(("lumbar_extension", Z, 90.0), ("lumbar_bending", X, 90.0), ("lumbar_rotation", Y, 90.0)),
        )
        for side, sign in (("r", 1.0), ("l", -1.0)):
            self.leg(side, sign, hip * [1.0, 1.0, sign])
        self.model.finalizeConnections()
        add_markers(self.model, h)
        self.model.finalizeConnections()
        return self.model

    def torso(self, lumbar_height: float) -> None:
        """Trunk, head and both arms hanging straight, as one body from the lumbosacral joint up."""
        h = self.h
        neck = np.array([0.0, body.TRUNK.length * h, 0.0])
        parts = [(body.TRUNK, neck, 1.0), (body.HEAD, neck, 1.0)]
        for sign in (1.0, -1.0):
            joint = np.array([0.0, body.SHOULDER_HEIGHT * h - lumbar_height, sign * body.SHOULDER_HALF_WIDTH * h])
            for part in (body.UPPER_ARM, body.FOREARM, body.HAND):
                parts.append((part, joint, sign))
                joint = joint - [0.0, part.length * h, 0.0]
        masses = np.array([part.mass * self.m for part, _, _ in parts])
        centers = np.array(
            [joint + part.length * h * np.array(part.mass_center) * [1.0, 1.0, sign] for part, joint, sign in parts]
        )
        center = masses @ centers / masses.sum()
        inertia = np.zeros(3)
        for (part, _, _), mass, place in zip(parts, masses, centers, strict=True):
            dx, dy, dz = place - center
            inertia += part.inertia(self.m, part.length * h)
            inertia += mass * np.array([dy**2 + dz**2, dx**2 + dz**2, dx**2 + dy**2])
        center[2] = 0.0
        self.body("torso", float(masses.sum()), center, inertia)

    def leg(self, side: str, sign: float, hip: FloatArray) -> None:
        h = self.h
        mirror = np.array([1.0, 1.0, sign])
        # a mirrored axis turned the same way about: x and y components change sign, z stays
        axial = np.array([sign, sign, 1.0])
        thigh, shank = body.THIGH_LENGTH * h, body.SHANK_LENGTH * h

        self.limb(f"femur_{side}", body.THIGH, thigh, mirror)
        self.custom_joint(
            f"hip_{side}",
            ("pelvis", hip),
            (f"femur_{side}", np.zeros(3)),
            rotations=(
                (f"hip_flexion_{side}", Z, (-30.0, 120.0)),
                (f"hip_adduction_{side}", X * sign, (-50.0, 30.0)),
                (f"hip_rotation_{side}", Y * sign, (-40.0, 40.0)),
            ),
        )
        self.limb(f"tibia_{side}", body.SHANK, shank, mirror)
        self.knee(side, sign, thigh)

        # the foot's published mass and mass centre are kept by the calcn, which takes what the others leave
        foot_mass, foot_length = body.FOOT.mass * self.m, body.FOOT.length * h
        share = body.FOOT_MASS_SHARE
        heel = np.array([body.SUBTALAR_FROM_ANKLE[0], -body.ANKLE_HEIGHT, 0.0]) * h
        toe_joint = heel + body.TOES_FROM_HEEL * h * X
        toe_center = np.array([0.5 * (body.FOOT_LENGTH - body.TOES_FROM_HEEL), 0.25 * body.ANKLE_HEIGHT, 0.0]) * h
        foot_center = foot_length * np.array(body.FOOT.mass_center) * mirror
        calcn_center = (foot_center - share["toes"] * (toe_joint + toe_center)) / share["calcn"] - heel
        inertia = body.FOOT.inertia(self.m, foot_length)
        self.body(f"talus_{side}", share["talus"] * foot_mass, np.zeros(3), share["talus"] * inertia)
        self.body(f"calcn_{side}", share["calcn"] * foot_mass, calcn_center, share["calcn"] * inertia)
        self.body(f"toes_{side}", share["toes"] * foot_mass, toe_center, share["toes"] * inertia)
        self.hinge(
            f"ankle_{side}",
            f"ankle_angle_{side}",
            f"tibia_{side}",
            [0.0, -shank, 0.0],
            f"talus_{side}",
            np.zeros(3),
            body.ANKLE_AXIS * axial,
            (-40.0, 30.0),
        )
        subtalar = body.SUBTALAR_FROM_ANKLE * h * mirror
        self.hinge(
            f"subtalar_{side}",
            f"subtalar_angle_{side}",
            f"talus_{side}",
            subtalar,
            f"calcn_{side}",
            subtalar - heel,
            body.SUBTALAR_AXIS * axial,
            (-20.0, 20.0),
            locked=True,
        )
        self.hinge(
            f"mtp_{side}",
            f"mtp_angle_{side}",
            f"calcn_{side}",
            toe_joint - heel,
            f"toes_{side}",
            np.zeros(3),
            Z,
            (-30.0, 30.0),
            locked=True,
        )

    def limb(self, name: str, segment: body.Segment, length: float, mirror: FloatArray) -> None:
        center = length * np.array(segment.mass_center) * mirror
        self.body(name, segment.mass * self.m, center, segment.inertia(self.m, length))

    def body(self, name: str, mass: float, center: FloatArray, inertia: FloatArray) -> None:
        part = opensim.Body(name, mass, _vec3(center), opensim.Inertia(_vec3(inertia)))
        self.model.addBody(part)
        self.bodies[name] = part

    def knee(self, side: str, sign: float, thigh: float) -> None:
        """Flexion, with the adduction, internal rotation and slides that go with it."""
        name = f"knee_angle_{side}"
        slide = 1e-3 * body.KNEE_SLIDE_SCALE * self.h
        turn = np.radians(1.0)
        self.custom_joint(
            f"knee_{side}",
            (f"femur_{side}", np.array([0.0, -thigh, 0.0])),
            (f"tibia_{side}", np.zeros(3)),
            rotations=((name, -Z, (-10.0, 120.0)),),
            curves=(
                ("rotation2", name, X * sign, turn, body.KNEE_ADDUCTION_DEG),
                ("rotation3", name, Y * sign, turn, body.KNEE_ROTATION_DEG),
                ("translation1", name, X, slide, body.KNEE_FORWARD_MM),
                ("translation2", name, Y, slide, body.KNEE_UP_MM),
            ),
        )

    def hinge(
        self,
        name: str,
        coordinate: str,
        parent: str,
        place: FloatArray | list[float],
        child: str,
        child_place: FloatArray,
        axis: FloatArray,
        range_deg: tuple[float, float],
        *,
        locked: bool = False,
    ) -> None:
        """Pin joint whose own z axis is turned onto `axis`."""
        turn = _vec3(Rotation.align_vectors([axis], [Z])[0].as_euler("XYZ"))
        joint = opensim.PinJoint(
            name, self.bodies[parent], _vec3(place), turn, self.bodies[child], _vec3(child_place), turn
        )
        pin = joint.updCoordinate()
        pin.setName(coordinate)
        _set_range(pin, *np.radians(range_deg))
        pin.setDefaultLocked(locked)
        self.model.addJoint(joint)

    def custom_joint(
        self,
        name: str,
        parent: tuple[str, FloatArray],
        child: tuple[str, FloatArray],
        rotations: tuple[tuple[str, FloatArray, float | tuple[float, float]], ...],
        translations: tuple[tuple[str, float], ...] = (),
        curves: tuple[tuple[str, str, FloatArray, float, tuple[float, ...]], ...] = (),
    ) -> None:
        """Custom joint of up to three rotations, then three translations, and curves on further axes."""
        transform = opensim.SpatialTransform()
        axes = (transform.upd_rotation1(), transform.upd_rotation2(), transform.upd_rotation3())
        for (coordinate, direction, _), axis in zip(rotations, axes, strict=False):
            _drive(axis, coordinate, direction)
        axes = (transform.upd_translation1(), transform.upd_translation2(), transform.upd_translation3())
        for (coordinate, _), axis, direction in zip(translations, axes, (X, Y, Z), strict=False):
            _drive(axis, coordinate, direction)
        for place, coordinate, direction, scale, powers in curves:
            # in powers of radians, highest first
            in_radians = [scale * c * np.degrees(1.0) ** k for k, c in enumerate(powers)]
            function = opensim.PolynomialFunction(opensim.Vector.createFromMat(np.array(in_radians[::-1])))
            _drive(getattr(transform, f"upd_{place}")(), coordinate, direction, function)
        joint = opensim.CustomJoint(
            name,
            self.bodies[parent[0]],
            _vec3(parent[1]),
            _vec3(np.zeros(3)),
            self.bodies[child[0]],
            _vec3(child[1]),
            _vec3(np.zeros(3)),
            transform,
        )
        joint.finalizeFromProperties()  # the transform makes its coordinates here
        for k, (_, _, limit) in enumerate(rotations):
            low, high = limit if isinstance(limit, tuple) else (-limit, limit)
            _set_range(joint.upd_coordinates(k), np.radians(low), np.radians(high))
        for k, (_, default) in enumerate(translations, start=len(rotations)):
            _set_range(joint.upd_coordinates(k), -FORWARD_LIMIT_M, FORWARD_LIMIT_M)
            joint.upd_coordinates(k).setDefaultValue(default)
        self.model.addJoint(joint)


def _vec3(values: FloatArray | list[float]) -> opensim.Vec3:
    x, y, z = (float(v) for v in values)
    return opensim.Vec3(x, y, z)


def _drive(
    axis: opensim.TransformAxis, coordinate: str, direction: FloatArray, function: opensim.Function | None = None
) -> None:
    names = opensim.ArrayStr()
    names.append(coordinate)
    axis.setCoordinateNames(names)
    axis.setAxis(_vec3(direction))
    axis.set_function(function or opensim.LinearFunction(1.0, 0.0))  # copies; setFunction would take ownership


def _set_range(coordinate: opensim.Coordinate, low: float, high: float) -> None:
    coordinate.setRangeMin(float(low))
    coordinate.setRangeMax(float(high))
    coordinate.setDefaultClamped(True)
