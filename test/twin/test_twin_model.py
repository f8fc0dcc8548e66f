"""Models: the default one against anthropometry and OpenSim's own tools; users' files, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.twin import Skeleton, build_default_model, load_model, map_segments
from gait_twin.twin.opensim_api import opensim

PUBLISHED = ("gait10dof18musc", "gait2392_thelen2003muscle", "Rajagopal2016", "Rajagopal2015_opensense")
RAJAGOPAL_COORDINATES = [
    *(f"pelvis_{name}" for name in ("tilt", "list", "rotation", "tx", "ty", "tz")),
    *(
        f"{name}_{side}"
        for side in "rl"
        for name in ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle", "subtalar_angle")
    ),
    *("mtp_angle_r", "mtp_angle_l"),
    *(f"lumbar_{name}" for name in ("extension", "bending", "rotation")),
]


@given(height=st.floats(0.5, 2.5), mass=st.floats(5.0, 300.0))
@settings(max_examples=10, deadline=None)
def test_default_model_stands_upright_on_flat_feet(height: float, mass: float) -> None:
    model = build_default_model(height, mass)
    state = model.initSystem()
    assert model.getTotalMass(state) == pytest.approx(mass, rel=1e-9)
    skeleton = Skeleton(model)
    assert sorted(skeleton.coordinates) == sorted(RAJAGOPAL_COORDINATES)
    np.testing.assert_allclose(np.abs(skeleton.quaternions(skeleton.bodies)[:, 0]), 1.0, atol=1e-9)
    feet = skeleton.origins(["calcn_r", "calcn_l", "toes_r", "toes_l"])
    np.testing.assert_allclose(feet[:, 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(feet[0] * [1, 1, -1], feet[1], atol=1e-12)
    # Winter's leg: hip 0.53 of the height above ground, knee 0.285
    np.testing.assert_allclose(skeleton.origins(["femur_r", "tibia_r"])[:, 1], [0.53 * height, 0.285 * height])
    # de Leva 1996: whole-body mass centre of a standing adult at 0.56 +- 0.02 of the height
    state = model.initSystem()
    model.realizePosition(state)
    assert 0.54 < model.calcMassCenterPosition(state).get(1) / height < 0.585


@pytest.mark.parametrize("side", ["r", "l"])
def test_positive_angles_mean_what_rajagopal_means(side: str) -> None:
    skeleton = Skeleton(build_default_model(1.75, 70.0))
    outwards = 1.0 if side == "r" else -1.0

    def moved(coordinate: str, body: str) -> np.ndarray:
        values = skeleton.default.copy()
        skeleton.set(values)
        before = skeleton.origins([body])[0]
        values[skeleton.coordinates.index(f"{coordinate}_{side}")] = 0.2
        skeleton.set(values)
        return skeleton.origins([body])[0] - before

    assert moved("hip_flexion", f"tibia_{side}")[0] > 0.05  # knee forward
    assert moved("knee_angle", f"talus_{side}")[0] < -0.05  # ankle backward: flexion positive
    assert moved("ankle_angle", f"toes_{side}")[1] > 0.02  # toes up
    assert moved("hip_adduction", f"tibia_{side}")[2] * outwards < -0.05  # knee inwards
    assert moved("hip_rotation", f"toes_{side}")[2] * outwards < -0.01  # toes inwards


def test_knee_turns_and_slides_as_walker_published() -> None:
    skeleton = Skeleton(build_default_model(1.70, 70.0))
    values = skeleton.default.copy()
    values[skeleton.coordinates.index("knee_angle_r")] = np.radians(60.0)
    skeleton.set(values)
    tibia, femur = skeleton.origins(["tibia_r", "femur_r"])
    # Rajagopal et al. 2016, table of the knee at 60 deg: 4.78 mm forward, 1.39 mm up
    np.testing.assert_allclose(tibia - femur - [0.0, -0.245 * 1.70, 0.0], [0.00478, 0.00139, 0.0], atol=1e-5)


@pytest.mark.parametrize(("height", "mass"), [(0.4, 70.0), (1.7, 0.0), (float("nan"), 70.0), (1.7, float("inf"))])
def test_impossible_person_is_refused(height: float, mass: float) -> None:
    with pytest.raises(InputError, match="give a value from"):
        build_default_model(height, mass)


def test_saved_default_model_works_in_opensims_own_tools(tmp_path: Path) -> None:
    """OpenSim's marker IK finds the pose that made the markers; the file loads as a user's model does."""
    model = build_default_model(1.8, 80.0)
    for body in ("pelvis", "torso", "femur_r", "tibia_r", "calcn_r", "femur_l", "tibia_l", "calcn_l"):
        frame = model.getBodySet().get(body)
        for k, place in enumerate(((0.1, 0.05, 0.0), (0.0, -0.1, 0.08), (-0.06, 0.0, -0.05))):
            model.addMarker(opensim.Marker(f"{body}{k}", frame, opensim.Vec3(*place)))
    path = tmp_path / "default.osim"
    model.finalizeConnections()
    model.printToXML(str(path))
    state = model.initSystem()
    pose = {"hip_flexion_r": 0.5, "knee_angle_r": 0.9, "ankle_angle_l": -0.2, "lumbar_bending": 0.1, "pelvis_tilt": 0.1}
    for name, value in pose.items():
        model.getCoordinateSet().get(name).setValue(state, value)
    model.realizePosition(state)
    markers = [model.getMarkerSet().get(i) for i in range(model.getMarkerSet().getSize())]
    places = [1000.0 * m.getLocationInGround(state).to_numpy() for m in markers]
    lines = [
        "PathFileType\t4\t(X/Y/Z)\tmarkers.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"100\t100\t2\t{len(markers)}\tmm\t100\t1\t2",
        "Frame#\tTime\t" + "\t\t\t".join(m.getName() for m in markers),
        "\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(markers) + 1)),
        "",
        *(f"{k + 1}\t{0.01 * k}\t" + "\t".join(f"{v:.9f}" for p in places for v in p) for k in range(2)),
    ]
    (tmp_path / "markers.trc").write_text("\n".join(lines) + "\n")
    tool = opensim.InverseKinematicsTool()
    tool.set_model_file(str(path))
    tool.set_marker_file(str(tmp_path / "markers.trc"))
    tool.set_output_motion_file(str(tmp_path / "ik.mot"))
    tool.set_results_directory(str(tmp_path))
    tool.set_accuracy(1e-9)
    tasks = tool.upd_IKTaskSet()
    for marker in markers:
        task = opensim.IKMarkerTask()
        task.setName(marker.getName())
        task.setWeight(1.0)
        tasks.cloneAndAppend(task)
    assert tool.run()
    found = opensim.TimeSeriesTable(str(tmp_path / "ik.mot"))
    for name, value in pose.items():
        assert found.getDependentColumn(name).to_numpy()[0] == pytest.approx(np.degrees(value), abs=0.01)
    assert load_model(path).getNumBodies() == 12


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.osim", None, "There is no model file"),
        ("text.osim", "not a model", "is not XML"),
        ("binary.osim", b"\x00\xff\xfe\x01\x02", "is not XML"),
        ("other.osim", "<robot name='x'/>", "holds <robot>"),
        ("setup.osim", "<OpenSimDocument Version='40000'><ScaleTool name='x'/></OpenSimDocument>", "with a <Model>"),
        ("empty.osim", "", "is not XML"),
        (
            "broken.osim",
            (
                "<OpenSimDocument Version='40000'><Model name='m'><JointSet><objects><PinJoint name='j'>"
                "<socket_parent_frame>nothing</socket_parent_frame></PinJoint></objects></JointSet></Model></OpenSimDocument>"
            ),
            "OpenSim cannot set up the model",
        ),
    ],
)
def test_what_is_no_model_is_refused_with_a_sentence(
    tmp_path: Path, name: str, content: str | bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_segments_are_matched_by_name_alias_and_setting() -> None:
    model = build_default_model(1.75, 70.0)
    bodies, notices = map_segments(model, SEGMENTS)
    assert bodies == {segment: segment for segment in SEGMENTS}
    assert notices == []
    model.getBodySet().get("femur_r").setName("Thigh_R")
    model.getBodySet().get("torso").setName("upper")
    bodies, notices = map_segments(model, SEGMENTS)
    assert bodies["femur_r"] == "Thigh_R"
    assert "torso" not in bodies
    assert len(notices) == 1
    assert "torso" in notices[0]
    assert map_segments(model, SEGMENTS, ["torso=upper"]) == ({**bodies, "torso": "upper"}, [])
    with pytest.raises(InputError, match="no body 'middle'"):
        map_segments(model, SEGMENTS, ["torso=middle"])
    with pytest.raises(InputError, match="not a segment"):
        map_segments(model, SEGMENTS, ["trunk=upper"])


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_load_without_muscles_and_in_silence(
    data_dir: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / "opensim_gait" / "models" / f"{name}.osim"
    model = load_model(path)
    assert model.getMuscles().getSize() == 0
    assert map_segments(model, SEGMENTS)[1] == []
    skeleton = Skeleton(model)
    assert skeleton.notices == ()
    assert {"knee_angle_r", "ankle_angle_l", "hip_flexion_r"} <= set(skeleton.coordinates)
    assert capfd.readouterr() == ("", "")


@pytest.mark.data
def test_coupled_coordinates_follow(data_dir: Path) -> None:
    """Rajagopal's patella coordinate is a function of the knee's."""
    skeleton = Skeleton(load_model(data_dir / "opensim_gait" / "models" / "Rajagopal2016.osim"))
    values = skeleton.default.copy()
    values[skeleton.coordinates.index("knee_angle_r")] = 1.2
    skeleton.set(values)
    assert skeleton.values[skeleton.coordinates.index("knee_angle_r_beta")] == pytest.approx(1.2, abs=0.05)


def test_coordinate_at_the_end_of_its_range_is_no_obstacle() -> None:
    model = build_default_model(1.75, 70.0)
    knee = model.getCoordinateSet().get("knee_angle_r")
    knee.setRangeMax(0.0)
    knee.setDefaultValue(0.0)
    skeleton = Skeleton(model)
    assert skeleton.high[skeleton.coordinates.index("knee_angle_r")] == 0.0


def test_free_joint_is_refused() -> None:
    model = opensim.Model()
    body = opensim.Body("pelvis", 10.0, opensim.Vec3(0, 0, 0), opensim.Inertia(1, 1, 1))
    model.addBody(body)
    model.addJoint(opensim.FreeJoint("root", model.getGround(), body))
    model.finalizeConnections()
    with pytest.raises(InputError, match="CustomJoint"):
        Skeleton(model)
