"""``scale``, ``mocap``, and ``analyze`` with models, measured ground reactions and foreign topics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gait_twin.recording import BagWriter, GroundReaction, Side, load, open_bag, save
from gait_twin.recording import messages as m
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.twin import load_model, read_table
from gait_twin.twin.opensim_api import opensim

COMMAND = [sys.executable, "-m", "gait_twin.cli"]
MODELS = (
    "models/gait10dof18musc",
    "models/gait2392_thelen2003muscle",
    "models/Rajagopal2016",
    "models/Rajagopal2015_opensense",
    "gait2354/gait2354_simbody",
)


def gait_twin(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds of a virtual subject with perfect sensors."""
    path = tmp_path_factory.mktemp("walk") / "walk"
    save(simulate(WalkSettings(duration_s=9.0), SensorSettings()), path)
    return path


def mass_of(path: Path) -> float:
    model = load_model(path)
    return float(model.getTotalMass(model.initSystem()))


def test_a_model_of_height_and_mass_then_of_lengths(tmp_path: Path) -> None:
    me, other = tmp_path / "new" / "me.osim", tmp_path / "other.osim"
    done = gait_twin("scale", me, "--height", 1.72, "--mass", 70.5)
    assert done.returncode == 0, done.stderr
    assert "70.500" in done.stdout
    assert mass_of(me) == pytest.approx(70.5)
    done = gait_twin("scale", other, "--model", me, "--length", "femur=0.45", "--length", "tibia_r=0.41", "--mass", 80)
    assert done.returncode == 0, done.stderr
    factors = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line.startswith(("fem", "tib"))}
    assert factors["femur_r"] == factors["femur_l"] != "1.0000"
    assert factors["tibia_l"] == "1.0000"
    assert mass_of(other) == pytest.approx(80.0)


@pytest.mark.data
def test_markers_and_setups_scale(tmp_path: Path, data_dir: Path) -> None:
    folder = data_dir / "opensim_gait" / "gait2354"
    done = gait_twin("scale", tmp_path / "a.osim", "--setup", folder / "subject01_Setup_Scale.xml")
    assert done.returncode == 0, done.stderr
    assert "1.1472" in done.stdout  # the published factor of the thighs
    generic, markers = data_dir / "opensim_gait/models/Rajagopal2016.osim", folder / "gait2354_Scale_MarkerSet.xml"
    static = folder / "subject01_static.trc"
    done = gait_twin(
        "scale", tmp_path / "b.osim", "--model", generic, "--markers", markers, "--static", static, "--mass", 72.6
    )
    assert done.returncode == 0, done.stderr
    assert mass_of(tmp_path / "b.osim") == pytest.approx(72.6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["me.xml", "--height", 1.7, "--mass", 70], "ending .osim"),
        (["me.osim", "--height", 1.7], "--mass"),
        (["me.osim", "--mass", 70], "--height"),
        (["me.osim", "--height", 1.7, "--mass", 70, "--length", "skull=0.2"], "SEGMENT=M"),
        (["me.osim", "--setup", "setup.xml", "--mass", 70], "give it alone"),
        (["me.osim", "--setup", "nothing.xml"], "ScaleTool"),
        (["me.osim", "--static", "a.trc", "--length", "femur=0.4", "--mass", 70], "exclude each other"),
    ],
)
def test_what_cannot_be_scaled_is_a_sentence(tmp_path: Path, arguments: list[object], sentence: str) -> None:
    from gait_twin.cli.frame import app
    from gait_twin.errors import InputError

    given = ["scale", str(tmp_path / str(arguments[0])), *map(str, arguments[1:])]
    with pytest.raises(InputError, match=sentence):
        app(args=given, standalone_mode=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.data
def test_mocap_reproduces_the_published_kinematics_and_moments(tmp_path: Path, data_dir: Path) -> None:
    folder = data_dir / "opensim_gait" / "gait2354"
    done = gait_twin(
        "mocap", folder / "subject01_walk1.trc", "--model", folder / "subject01_scaled.osim",
        "--tasks", folder / "subject01_Setup_IK.xml", "--ground-reactions", folder / "subject01_walk1_grf.xml",
        "--out", tmp_path / "markers",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, published = (read_table(p) for p in (tmp_path / "markers" / "joints.mot", folder / "reference_ik.mot"))
    for name in ("hip_flexion_r", "knee_angle_l", "ankle_angle_r"):
        at = np.interp(published.time_s, ours.time_s, ours[name])  # the published one is of a part of the trial
        assert np.sqrt(np.mean((at - published[name]) ** 2)) < 0.1
    done = gait_twin(
        "mocap", folder / "reference_ik.mot", "--model", folder / "subject01_scaled.osim",
        "--ground-reactions", folder / "subject01_walk1_grf.mot", "--out", tmp_path / "motion",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, published = (read_table(p) for p in (tmp_path / "motion" / "moments.sto", folder / "reference_id.sto"))
    for name in published.columns:
        at = np.interp(published.time_s, ours.time_s, ours[name])
        assert np.sqrt(np.mean((at - published[name]) ** 2)) < 0.1, name


def test_measured_ground_reactions_give_the_moments_of_opensims_tool(tmp_path: Path, walk: Path) -> None:
    """On its own predictions, taken for measured ones: registered onto themselves, and the tool finds the same."""
    first, out = tmp_path / "first", tmp_path / "out"
    assert gait_twin("analyze", walk, "--out", first, "--no-plots").returncode == 0
    done = gait_twin("analyze", walk, "--out", out, "--no-plots", "--ground-reactions", first / "ground_reactions.mot")
    assert done.returncode == 0, done.stderr
    assert "turned by -0° and shifted by 0.00 m" in done.stderr.replace("turned by 0°", "turned by -0°")
    loads = opensim.ExternalLoads()
    for side in "rl":
        force = opensim.ExternalForce()
        force.setName(side)
        force.set_applied_to_body(f"calcn_{side}")
        force.set_force_expressed_in_body("ground")
        force.set_point_expressed_in_body("ground")
        force.set_force_identifier(f"ground_force_{side}_v")
        force.set_point_identifier(f"ground_force_{side}_p")
        force.set_torque_identifier(f"ground_torque_{side}_")
        loads.cloneAndAppend(force)
    loads.setDataFileName(str(out / "ground_reactions.mot"))
    loads.printToXML(str(out / "loads.xml"))
    ours = read_table(out / "moments.sto")
    tool = opensim.InverseDynamicsTool()
    tool.setModelFileName(str(out / "model.osim"))  # which lies beside the tables
    tool.setCoordinatesFileName(str(out / "joints.mot"))
    tool.setLowpassCutoffFrequency(6.0)
    tool.setExternalLoadsFileName(str(out / "loads.xml"))
    tool.setStartTime(float(ours.time_s[0]))
    tool.setEndTime(float(ours.time_s[-1]))
    tool.setResultsDir(str(out))
    tool.setOutputGenForceFileName("tool.sto")
    assert tool.run()
    theirs = read_table(out / "tool.sto")
    for name in theirs.columns:
        if not name.startswith("pelvis"):
            at = np.interp(theirs.time_s, ours.time_s, ours[name])
            assert np.sqrt(np.mean((at - theirs[name]) ** 2)) < 0.1, name


def test_a_bag_with_topics_of_its_own(tmp_path: Path, walk: Path) -> None:
    bag = tmp_path / "lab"
    names = {"pelvis": "/imu0", "calcn_r": "/imu1", "calcn_l": "/imu2"}
    with open_bag(walk) as source, BagWriter(bag) as writer:
        for raw in source.messages():
            segment = raw.topic.split("/")[2] if raw.topic.endswith("/data_raw") else ""
            if segment in names:
                writer.write(names[segment], raw.type_name, raw.log_ns, raw.data)
    topics = [option for item in names.items() for option in ("--topic", "=".join(item))]
    done = gait_twin("analyze", bag, "--out", tmp_path / "out", "--no-plots", *topics)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["counts"]["left"]["strides"] >= 2
    done = gait_twin("info", bag, *topics)
    assert "calcn_l" in done.stdout
    for bad in ("pelvis", "pelvis=/nothing", "skull=/imu0"):
        done = gait_twin("info", bag, "--topic", bad)
        assert done.returncode == 1
        assert done.stderr.startswith("gait-twin: ")
    assert set(load(bag, topics=names).imus) == set(names)


def test_plates_in_a_bag_are_used(tmp_path: Path, walk: Path) -> None:
    """A treadmill that tells 200 N and 600 N: the analysis takes them as the live twin does."""
    bag, out = tmp_path / "plated", tmp_path / "out"
    with open_bag(walk) as source, BagWriter(bag) as writer:
        raws = [(raw.log_ns, raw.topic, raw.type_name, bytes(raw.data)) for raw in source.messages()]
        for log_ns in range(raws[0][0], raws[-1][0], 10_000_000):
            for side, up in ((Side.RIGHT, 200.0), (Side.LEFT, 600.0)):
                force, none = np.array([[0.0, 0.0, up]] * 2), np.zeros(3)
                ground = GroundReaction(0.0, force, force, np.zeros(2), none, none, 1.0)
                message = m.to_wrench(m.make_bag_message, m.TimeBase(log_ns), ground, side, "treadmill/")
                data = bytes(m.typestore().serialize_cdr(message, message.__msgtype__))
                raws.append((log_ns, f"/plates/{side}", message.__msgtype__, data))
        for log_ns, topic, type_name, data in sorted(raws, key=lambda raw: raw[0]):
            writer.write(topic, type_name, log_ns, data)
    done = gait_twin("analyze", bag, "--out", out, "--no-plots")
    assert done.returncode == 0, done.stderr
    table = read_table(out / "ground_reactions.mot")
    assert len(table.time_s) > 400
    inner = slice(None, -20)  # the last plates' samples come before the last frame
    np.testing.assert_allclose(table["ground_force_r_vy"][inner], 200.0, atol=1e-3)
    np.testing.assert_allclose(table["ground_force_l_vy"][inner], 600.0, atol=1e-3)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_published_model_through_analyze(tmp_path: Path, data_dir: Path, name: str, walk: Path) -> None:
    model = data_dir / "opensim_gait" / f"{name}.osim"
    out = tmp_path / "out"
    done = gait_twin("analyze", walk, "--out", out, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "scale it with gait-twin scale" in done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["twin"]["model"] == str(model)
    assert mass_of(out / "model.osim") == pytest.approx(summary["twin"]["mass_kg"])
    assert {"joint_cycles.png", "force_cycles.png", "cycles.csv"} <= {path.name for path in out.iterdir()}
    moments = read_table(out / "moments.sto")
    for joint in ("hip_flexion", "knee_angle", "ankle_angle"):
        for side in "rl":
            assert 20.0 < np.nanmax(np.abs(moments[f"{joint}_{side}_moment"])) < 600.0
    ground = read_table(out / "ground_reactions.mot")
    weight = 9.80665 * summary["twin"]["mass_kg"]
    walking = ground["ground_force_r_vy"] + ground["ground_force_l_vy"]
    assert np.mean(walking) == pytest.approx(weight, rel=0.06)
