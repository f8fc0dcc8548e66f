"""Inverse dynamics against OpenSim's tool, the causal filter, contacts, and ground reactions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.recording.axes import quat_about_z, quat_conjugate, quat_from_rotvec, quat_multiply, quat_rotate
from gait_twin.twin import (
    ExternalLoads,
    InverseDynamics,
    Skeleton,
    Table,
    Wrench,
    build_default_model,
    inverse_dynamics,
    load_model,
    read_external_loads,
    read_ground_reactions,
    read_table,
    registered,
    write_table,
)
from gait_twin.twin.acceleration import GRAVITY_MPS2, PelvisAcceleration
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.filters import CausalDerivatives
from gait_twin.twin.ground import GroundPredictor
from gait_twin.twin.model import sole_points
from gait_twin.twin.opensim_api import opensim

WALKS = {"gait10dof18musc": "subject01_walk_grf.xml", "gait2354": "subject01_walk1_grf.xml"}


@pytest.fixture(scope="module")
def dynamics() -> InverseDynamics:
    return InverseDynamics(Skeleton(build_default_model(1.75, 70.0)))


def table(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    read = opensim.TimeSeriesTable(str(path))
    return np.array(read.getIndependentColumn()), dict(
        zip(read.getColumnLabels(), read.getMatrix().to_numpy().T.copy(), strict=True)
    )


@pytest.mark.data
@pytest.mark.parametrize("name", WALKS)
def test_equals_opensims_tool_and_the_published_reference(data_dir: Path, tmp_path: Path, name: str) -> None:
    folder = data_dir / "opensim_gait" / name
    loads = WALKS[name]
    model = load_model(folder / "subject01_scaled.osim")
    motion = opensim.Storage(str(folder / "reference_ik.mot"))

    tool = opensim.InverseDynamicsTool()
    tool.setModel(model)
    tool.setModelFileName("")
    tool.setResultsDir(str(tmp_path))
    tool.setStartTime(motion.getFirstTime())
    tool.setEndTime(motion.getLastTime())
    tool.setCoordinatesFileName(str(folder / "reference_ik.mot"))
    tool.setLowpassCutoffFrequency(6.0)
    tool.setExternalLoadsFileName(str(folder / loads))
    tool.setOutputGenForceFileName("id.sto")
    tool.run()
    time_s, theirs = table(tmp_path / "id.sto")
    _, published = table(folder / "reference_id.sto")

    # the setup, and the table alone
    for source in (loads, loads.replace(".xml", ".mot")):
        measured = read_ground_reactions(folder / source)
        assert measured.bodies == ("calcn_r", "calcn_l")
        moments, powers = inverse_dynamics(Skeleton(model), read_table(folder / "reference_ik.mot"), measured)
        np.testing.assert_allclose(moments.time_s, time_s, atol=1e-5)  # OpenSim resamples, with a drift
        for label in theirs:
            assert np.sqrt(np.mean((moments[label] - theirs[label]) ** 2)) < 0.01, label
            assert np.sqrt(np.mean((moments[label] - published[label]) ** 2)) < 0.1, label
        assert 80.0 < powers["ankle_angle_r_power"].max() < 500.0


def test_ground_reactions_of_another_world_are_turned_and_shifted() -> None:
    """A walk on plates that lie askew; and a belt, on which pressure does not move with the feet."""
    time_s = np.arange(0.0, 4.0, 0.01)
    standing = np.stack([np.sin(3.0 * time_s) > -0.2, np.sin(3.0 * time_s) < 0.2], axis=1)
    steps = np.stack([np.floor(3.0 * time_s / (2 * np.pi)) * 1.3, np.floor(3.0 * time_s / (2 * np.pi) + 0.5) * 1.3])
    point = np.zeros((len(time_s), 2, 3))
    point[..., 0], point[..., 2] = steps.T, (0.08, -0.08)
    force = np.where(standing[..., None], [50.0, 700.0, 10.0], 0.0)
    turn = Rotation.from_rotvec([0.0, 0.6, 0.0])
    lab = ExternalLoads(
        time_s,
        ("calcn_r", "calcn_l"),
        turn.apply(force.reshape(-1, 3)).reshape(force.shape),
        turn.apply(point.reshape(-1, 3)).reshape(force.shape) + np.array([3.0, 0.0, -2.0]),
        np.zeros_like(force),
    )
    found, notice = registered(lab, time_s, force, point)
    assert "turned" in notice
    np.testing.assert_allclose(found.force, force, atol=1e-9)
    np.testing.assert_allclose(found.point[standing], point[standing], atol=1e-9)
    belt = dataclasses.replace(lab, point=np.zeros_like(point))
    found, notice = registered(belt, time_s, force, point)
    assert "treadmill" in notice
    np.testing.assert_array_equal(found.force, belt.force)
    np.testing.assert_allclose(found.point[standing], point[standing], atol=1e-9)
    with pytest.raises(InputError, match="contact in common"):
        registered(dataclasses.replace(lab, time_s=time_s + 100.0), time_s, force, point)


def test_motions_that_cannot_be_differentiated_are_refused(dynamics: InverseDynamics) -> None:
    with pytest.raises(InputError, match="at least 20 rows"):
        inverse_dynamics(dynamics.skeleton, Table(np.arange(5.0), ("pelvis_tilt",), np.zeros((5, 1))))
    still = Table(np.arange(100) / 100.0, ("pelvis_tilt",), np.zeros((100, 1)))
    moments, _ = inverse_dynamics(dynamics.skeleton, still)
    np.testing.assert_allclose(moments["pelvis_ty_force"], 70.0 * GRAVITY_MPS2, atol=0.05)
    late = ExternalLoads(np.array([5.0, 6.0]), ("calcn_r",), *(np.zeros((2, 1, 3)),) * 3)
    with pytest.raises(InputError, match="no time in common"):
        inverse_dynamics(dynamics.skeleton, still, late)


def test_tables_of_forces_name_their_feet(tmp_path: Path) -> None:
    columns = ("ground_force_r_vx", "ground_force_r_vy", "ground_force_r_vz")
    write_table(tmp_path / "one.mot", Table(np.arange(3.0), columns, np.zeros((3, 3))), "one")
    with pytest.raises(InputError, match="no columns of right and left foot"):
        read_ground_reactions(tmp_path / "one.mot")
    names = [
        f"{p}{a}" for p in ("ground_force_v", "ground_force_p", "1_ground_force_v", "1_ground_force_p") for a in "xyz"
    ]
    values = np.tile(np.arange(12.0), (3, 1))
    write_table(tmp_path / "two.mot", Table(np.arange(3.0), tuple(names), values), "two")
    loads = read_ground_reactions(tmp_path / "two.mot", start_s=2.0)
    np.testing.assert_array_equal(loads.force[0], [[0.0, 1.0, 2.0], [6.0, 7.0, 8.0]])
    assert loads.time_s[0] == 2.0
    assert not loads.torque.any()


LOADS = """<OpenSimDocument><ExternalLoads><objects><ExternalForce>
<isDisabled>{disabled}</isDisabled><applied_to_body>calcn_r</applied_to_body>
<force_expressed_in_body>{frame}</force_expressed_in_body>
<force_identifier>{force}</force_identifier><point_identifier>p</point_identifier>
</ExternalForce></objects><datafile>plate.mot</datafile></ExternalLoads></OpenSimDocument>"""


def test_external_loads_are_read_or_refused(tmp_path: Path) -> None:
    values = np.column_stack([np.arange(3.0)] * 6)
    columns = ("fx", "fy", "fz", "px", "py", "pz")
    write_table(tmp_path / "plate.mot", Table(np.array([0.0, 0.1, 0.2]), columns, values), "plate")
    setup = tmp_path / "loads.xml"
    good = {"disabled": "false", "frame": "ground", "force": "f"}
    setup.write_text(LOADS.format(**good))
    (wrench,) = read_external_loads(setup).at(0.15)
    np.testing.assert_allclose([*wrench.force, *wrench.point, *wrench.torque], [1.5] * 6 + [0.0] * 3)
    with pytest.raises(InputError, match=r"from 0\.000 s to 0\.200 s"):
        read_external_loads(setup).at(0.3)
    for change, sentence in (
        ({"disabled": "true"}, "no force that is applied"),
        ({"frame": "calcn_r"}, "in ground"),
        ({"force": "g"}, "no column 'gx'"),
    ):
        setup.write_text(LOADS.format(**{**good, **change}))
        with pytest.raises(InputError, match=sentence):
            read_external_loads(setup)
    with pytest.raises(InputError, match="ExternalLoads"):
        read_external_loads(tmp_path / "plate.mot")


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_newton_and_euler_of_the_whole_body(dynamics: InverseDynamics, seed: int) -> None:
    """What leaves nothing on the root is what was put on the feet, wherever and however the body moves."""
    rng = np.random.default_rng(seed)
    skeleton = dynamics.skeleton
    m = len(skeleton.coordinates)
    values = skeleton.default + 0.3 * rng.standard_normal(m)
    values[~skeleton.fixed] = np.clip(values, skeleton.low, skeleton.high)[~skeleton.fixed]
    rates, accelerations = rng.standard_normal(m), 5.0 * rng.standard_normal(m)
    free = dynamics.solve(values, rates, accelerations)
    force, moment = dynamics.external(free, "pelvis")
    point = np.array([0.3, 0.0, -0.1])
    free_moment = moment - np.cross(point, force)
    residual = dynamics.solve(values, rates, accelerations, [Wrench("calcn_r", force, point, free_moment)])
    np.testing.assert_allclose(residual[dynamics.root], 0.0, atol=1e-7)


def test_standing_weighs_on_the_ground(dynamics: InverseDynamics) -> None:
    still = np.zeros(len(dynamics.skeleton.coordinates))
    force, moment = dynamics.external(dynamics.solve(dynamics.skeleton.default, still, still), "pelvis")
    np.testing.assert_allclose(force, [0.0, 70.0 * GRAVITY_MPS2, 0.0], atol=0.01)
    center = dynamics.skeleton.mass_center()
    np.testing.assert_allclose(moment, np.cross(center, force), atol=0.01)


@given(coefficients=st.lists(st.floats(-5.0, 5.0), min_size=3, max_size=3), window=st.floats(0.02, 0.4))
def test_filter_is_exact_for_parabolas_at_its_delay(coefficients: list[float], window: float) -> None:
    polynomial = np.polynomial.Polynomial(coefficients)
    slope, curvature = polynomial.deriv(), polynomial.deriv(2)
    causal = CausalDerivatives(window)
    causal.start(0.01)
    for k in range(60):
        time_s = 0.01 * k
        motion = causal.update(np.array([polynomial(time_s), curvature(time_s)]), gap=False)
        assert motion.complete == (k + 1 >= causal.frames)
        if motion.complete:
            at = time_s - causal.delay_s
            np.testing.assert_allclose(motion.values[0], polynomial(at), atol=1e-9)
            np.testing.assert_allclose(motion.rates[0], slope(at), atol=1e-7)
            np.testing.assert_allclose(motion.accelerations[0], curvature(at), atol=1e-5)
            np.testing.assert_allclose(causal.averaged(slice(1, 2)), curvature(at), atol=1e-9)
    assert causal.delay_s == pytest.approx(0.5 * window, abs=0.0101)


def test_measured_and_differentiated_accelerations_are_averaged_alike() -> None:
    causal = CausalDerivatives(0.16)
    causal.start(0.01)
    for k in range(100):
        t = 0.01 * k
        # differences of the position between frames, as an ideal accelerometer has them
        second = (np.sin(9.0 * (t + 0.01)) - 2.0 * np.sin(9.0 * t) + np.sin(9.0 * (t - 0.01))) / 1e-4
        motion = causal.update(np.array([np.sin(9.0 * t), second]), gap=False)
    np.testing.assert_allclose(motion.accelerations[0], causal.averaged(slice(1, 2))[0], atol=1e-6)


@given(heading=st.floats(-3.0, 3.0), seed=st.integers(0, 1000))
@settings(max_examples=6, deadline=None)
def test_acceleration_in_the_common_world_whatever_the_mounting(heading: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mounting = quat_from_rotvec(rng.standard_normal(3))
    tracker = PelvisAcceleration()
    errors = []
    for k in range(1500):
        t = 0.01 * k
        body = quat_multiply(
            quat_about_z(0.1 * np.sin(3.0 * t)),
            quat_from_rotvec([0.06 * np.sin(6.0 * t), 0.05 * np.sin(11.0 * t), 0.0]),
        )
        truth = np.array([2.0 * np.sin(12.0 * t), 1.5 * np.cos(6.0 * t), 3.0 * np.sin(12.5 * t)])
        own = quat_multiply(quat_multiply(quat_about_z(heading), body), mounting)
        gravity = np.array([0.0, 0.0, GRAVITY_MPS2])
        felt = quat_rotate(quat_conjugate(own), quat_rotate(quat_about_z(heading), truth) + gravity)
        found = tracker.update(t, 0.01 if k else 0.0, felt, own, body)
        if k > 500:
            errors.append(found - truth)
    assert np.abs(errors).max() < 0.25  # the slow mean takes a little of the strides themselves


def test_contacts_of_a_known_walk() -> None:
    """Feet that swing for 40 % of a stride: contacts to 20 ms, and the load passes from the old to the new foot."""
    contact = ContactTracker()
    stride, swing = 1.1, 0.4

    def speed(t: float, side: int) -> float:
        """Foot 0 swings in the last 40 % of its stride, foot 1 half a stride later."""
        phase = (t / stride + 0.5 * side) % 1.0 - (1.0 - swing)
        return 4.0 * np.sin(np.pi * phase / swing) if phase > 0.0 else 0.0

    down, truth, transfers = [], [], []
    for k in range(600):
        t = 0.01 * k
        contact.update(t, np.array([[speed(t, 0)] * 2, [speed(t, 1)] * 2]))
        if t < 3.0:
            continue
        at = t - 0.05
        down.append(contact.down(at))
        truth.append(tuple((at / stride + 0.5 * side) % 1.0 < 1.0 - swing for side in (0, 1)))
        if (found := contact.transfer(at)) is not None:
            transfers.append((at, *found))
    wrong = np.array(down) != np.array(truth)
    assert wrong.mean() < 0.06
    assert transfers
    for at, side, fraction in transfers:
        assert 0.0 <= fraction < 1.0
        since = (at / stride + 0.5 * side) % 1.0  # of the foot that struck last
        assert since < 0.15 or since > 0.95


def test_a_small_step_ends_on_the_ground() -> None:
    """A foot whose toes leave and whose heel gets no speed, as in turning, stands again soon after it stops."""
    contact = ContactTracker()
    down = []
    for k in range(300):
        t = 0.01 * k
        speed = 1.3 * np.sin(np.pi * (t - 1.0) / 0.4) if 1.0 < t < 1.4 else 0.0
        contact.update(t, np.array([[0.6 * speed, speed], [0.0, 0.0]]))
        down.append(contact.down(t)[0])
    assert all(down[:100])
    assert not all(down[110:140])
    assert all(down[160:])
    assert contact.down(1.45) == (True, True)


def test_standing_on_both_feet_shares_the_weight() -> None:
    model = build_default_model(1.75, 70.0)
    dynamics = InverseDynamics(Skeleton(model))
    soles = sole_points(model, "calcn_r", "calcn_l")
    predictor = GroundPredictor(dynamics, "pelvis", soles, ["tibia_r", "tibia_l"])
    contact = ContactTracker()
    contact.update(0.0, np.zeros((2, 2)))
    still = np.zeros(len(dynamics.skeleton.coordinates))
    found = predictor.predict(0.0, dynamics.solve(dynamics.skeleton.default, still, still), contact)
    np.testing.assert_allclose(found.share, 0.5, atol=1e-6)
    np.testing.assert_allclose(found.force[:, 1], 35.0 * GRAVITY_MPS2, atol=0.01)
    # under the soles, ahead of the ankle and behind the ball
    for point, sole in zip(found.point, soles, strict=True):
        heel, ball = dynamics.skeleton.stations(sole.body, sole.points)
        assert heel[0] < point[0] < ball[0]
        assert point[1] == 0.0
    assert 0.0 < found.confidence < 0.7
