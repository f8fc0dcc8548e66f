"""Robot description: its kinematics, computed by the book, equal OpenSim's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording.axes import OPENSIM_TO_ROS_QUAT_WXYZ, angle_between, opensim_to_ros, quat_multiply
from gait_twin.twin import RobotDescription, Skeleton, build_default_model, load_model, robot_description
from gait_twin.twin.opensim_api import opensim


def numbers(text: str | None) -> np.ndarray:
    return np.array([float(word) for word in (text or "0 0 0").split()])


def attributes(element: ElementTree.Element, tag: str) -> dict[str, str]:
    child = element.find(tag)
    return {} if child is None else dict(child.attrib)


def link_poses(urdf: str, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """(4, 4) pose of every link in the root link, as http://wiki.ros.org/urdf/XML/joint defines them."""
    robot = ElementTree.fromstring(urdf)
    poses = {"world": np.eye(4)}
    joints = robot.findall("joint")
    while joints:
        reachable = [j for j in joints if attributes(j, "parent")["link"] in poses]
        assert reachable, "links without a way to the root"
        for joint in reachable:
            joints.remove(joint)
            origin, motion = np.eye(4), np.eye(4)
            origin[:3, 3] = numbers(attributes(joint, "origin").get("xyz"))
            origin[:3, :3] = Rotation.from_euler("xyz", numbers(attributes(joint, "origin").get("rpy"))).as_matrix()
            if joint.get("type") != "fixed":
                mimic = attributes(joint, "mimic")
                value = values[mimic.get("joint", joint.get("name", ""))]
                value = float(mimic.get("multiplier", 1.0)) * value + float(mimic.get("offset", 0.0))
                axis = numbers(attributes(joint, "axis")["xyz"])
                assert np.linalg.norm(axis) == pytest.approx(1.0)
                if joint.get("type") == "prismatic":
                    motion[:3, 3] = axis * value
                else:
                    motion[:3, :3] = Rotation.from_rotvec(axis * value).as_matrix()
            poses[attributes(joint, "child")["link"]] = poses[attributes(joint, "parent")["link"]] @ origin @ motion
    assert set(poses) == {link.get("name") for link in robot.findall("link")}
    return poses


def assert_equal_kinematics(model: opensim.Model, n: int) -> None:
    description, skeleton = RobotDescription(model), Skeleton(model)
    rng = np.random.default_rng(0)
    low, high = np.maximum(skeleton.low, -1.5), np.minimum(skeleton.high, 1.5)
    for _ in range(n):
        skeleton.set(low + (high - low) * rng.random(len(low)))
        pose = skeleton.values
        names = (*skeleton.coordinates, *description.extra_joints)
        poses = link_poses(description.urdf, dict(zip(names, (*pose, *description.extra_values(pose)), strict=True)))
        origins = opensim_to_ros(skeleton.origins(skeleton.bodies))
        quats = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, skeleton.quaternions(skeleton.bodies))
        for name, origin, quat in zip(skeleton.bodies, origins, quats, strict=True):
            np.testing.assert_allclose(poses[name][:3, 3], origin, atol=1e-6)
            turn = Rotation.from_matrix(poses[name][:3, :3]).as_quat()[[3, 0, 1, 2]]
            assert np.degrees(angle_between(turn, quat)) < 1e-4


def test_default_model_moves_as_in_opensim() -> None:
    assert_equal_kinematics(build_default_model(1.75, 70.0), 20)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["gait10dof18musc", "gait2392_thelen2003muscle", "Rajagopal2016", "Rajagopal2015_opensense"]
)
def test_published_models_move_as_in_opensim(data_dir: Path, name: str) -> None:
    assert_equal_kinematics(load_model(data_dir / "opensim_gait" / "models" / f"{name}.osim"), 5)


@pytest.mark.data
def test_the_fifth_published_model_moves_as_in_opensim(data_dir: Path) -> None:
    assert_equal_kinematics(load_model(data_dir / "opensim_gait" / "gait2354" / "gait2354_simbody.osim"), 5)


VTP = """<?xml version="1.0"?>
<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian"><PolyData>
<Piece NumberOfPoints="4" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" NumberOfPolys="1">
<Points><DataArray type="Float32" NumberOfComponents="3" format="ascii">0 0 0 1 0 0 1 2 0 0 2 0</DataArray></Points>
<Polys><DataArray type="Int32" Name="connectivity" format="ascii">0 1 2 3</DataArray>
<DataArray type="Int32" Name="offsets" format="ascii">4</DataArray></Polys>
</Piece></PolyData></VTKFile>
"""


def test_meshes_of_a_geometry_folder_take_the_place_of_shapes(tmp_path: Path) -> None:
    model = build_default_model(1.75, 70.0)
    for name in ("femur_r.vtp", "tibia_r.vtp", "lost.vtp"):
        mesh = opensim.Mesh(name)
        mesh.set_scale_factors(opensim.Vec3(1.1, 1.2, 1.3))
        model.getBodySet().get("femur_r" if name.startswith("femur") else "tibia_r").attachGeometry(mesh)
    model.finalizeConnections()
    (tmp_path / "femur_r.vtp").write_text(VTP)
    (tmp_path / "tibia_r.stl").write_bytes(b"as it is")
    description = RobotDescription(model, str(tmp_path))
    assert "lost.vtp" in description.notices[0]
    robot = ElementTree.fromstring(description.urdf)
    shown = {link.get("name"): link.findall("visual/geometry/*") for link in robot.findall("link")}
    assert [shape.tag for shape in shown["femur_r"]] == ["mesh"]
    assert shown["tibia_r"][0].get("filename") == (tmp_path / "tibia_r.stl").as_uri()
    assert shown["femur_l"][0].tag == "cylinder"
    np.testing.assert_allclose(numbers(shown["femur_r"][0].get("scale")), [1.1, 1.2, 1.3])
    # the quadrangle became two triangles
    made = opensim.PolygonalMesh()
    made.loadFile(shown["femur_r"][0].get("filename").removeprefix("file://"))
    assert made.getNumFaces() == 2
    packaged = RobotDescription(model, "package://bones/meshes").urdf
    assert 'filename="package://bones/meshes/femur_r.stl"' in packaged
    with pytest.raises(InputError, match="no folder"):
        RobotDescription(model, str(tmp_path / "nowhere"))


def test_joints_are_the_coordinates_with_their_limits() -> None:
    model = build_default_model(1.75, 70.0)
    robot = ElementTree.fromstring(robot_description(model))
    skeleton = Skeleton(model)
    joints = {joint.get("name"): joint for joint in robot.findall("joint")}
    assert set(skeleton.coordinates) <= set(joints)
    assert joints["pelvis_rotation"].get("type") == "continuous"
    limit = attributes(joints["knee_angle_r"], "limit")
    assert np.degrees([float(limit["lower"]), float(limit["upper"])]) == pytest.approx([-10.0, 120.0])
    masses = [float(mass.get("value", 0)) for mass in robot.iter("mass")]
    assert sum(masses) == pytest.approx(70.0)
    assert all(
        robot.find(f"link[@name='{body}']/visual") is not None for body in skeleton.bodies if "talus" not in body
    )


def test_bare_links_belong_to_bodies() -> None:
    description = RobotDescription(build_default_model(1.75, 70.0))
    links = {link.get("name") for link in ElementTree.fromstring(description.urdf).findall("link")}
    bodies = set(description.bare_links.values())
    assert links == {"world"} | set(Skeleton(description.model).bodies) | set(description.bare_links)
    assert bodies <= links


def test_mimic_joint_for_a_coordinate_that_drives_two_axes() -> None:
    model = opensim.Model()
    body = opensim.Body("link", 1.0, opensim.Vec3(0, 0, 0), opensim.Inertia(1, 1, 1))
    transform = opensim.SpatialTransform()
    for axis, direction, slope in (
        (transform.upd_rotation1(), opensim.Vec3(1, 0, 0), 1.0),
        (transform.upd_translation2(), opensim.Vec3(0, 1, 0), 0.25),
    ):
        names = opensim.ArrayStr()
        names.append("drive")
        axis.setCoordinateNames(names)
        axis.setAxis(direction)
        axis.set_function(opensim.LinearFunction(slope, 0.01))
    model.addBody(body)
    model.addJoint(opensim.CustomJoint("joint", model.getGround(), body, transform))
    model.finalizeConnections()
    description = RobotDescription(model)
    assert description.urdf.count("<mimic") >= 1
    poses = link_poses(description.urdf, {"drive": 0.4, **dict.fromkeys(description.extra_joints, 0.41)})
    state = model.initSystem()
    model.getCoordinateSet().get("drive").setValue(state, 0.4)
    model.realizePosition(state)
    place = body.getPositionInGround(state).to_numpy()
    np.testing.assert_allclose(poses["link"][:3, 3], opensim_to_ros(place), atol=1e-9)
