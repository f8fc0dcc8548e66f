"""The whole graph: what it publishes is what `analyze` finds, and nothing is lost on the way."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gait_twin.recording import BagWriter, Recording, Side, load, open_bag, read_results
from gait_twin.recording.messages import make_bag_message, make_stamp, typestore
from gait_twin.service import analyze

pytestmark = pytest.mark.graph

SAMPLE_S = 0.01


def assert_same_samples(played: Recording, recorded: Recording) -> None:
    assert list(recorded.imus) == list(played.imus)
    for segment, stream in played.imus.items():
        np.testing.assert_allclose(recorded.imus[segment].time_s, stream.time_s, atol=1e-9)
        np.testing.assert_array_equal(recorded.imus[segment].acc_mps2, stream.acc_mps2)


def assert_same_results(recording: Recording, bag: Path) -> None:
    offline, live = analyze(recording), read_results(bag)
    assert not live.losses

    def events(found):
        return sorted((event.side, event.kind, event.time_s) for event in found)

    expected, got = events(offline.events), events(live.events)
    assert [event[:2] for event in got] == [event[:2] for event in expected]
    assert np.abs([a[2] - b[2] for a, b in zip(got, expected, strict=True)]).max() <= SAMPLE_S

    def strides(found):
        return sorted((stride.side, stride.end_s, stride.stride_length_m) for stride in found)

    expected_strides, got_strides = strides(offline.strides), strides(live.strides)
    assert len(got_strides) == len(expected_strides)
    assert got_strides
    for a, b in zip(got_strides, expected_strides, strict=True):
        assert a[0] == b[0]
        assert abs(a[1] - b[1]) <= SAMPLE_S
        assert a[2] == pytest.approx(b[2], abs=1e-6, nan_ok=True)
    assert len(live.steps) == len(offline.steps)


def test_a_virtual_subject_becomes_events_strides_and_a_moving_twin(graph, tmp_path) -> None:
    out = tmp_path / "out"
    run = graph("demo", duration_s=14.0, rate=0.0, record=out, namespace="subject_1")
    assert run.wait(150.0) == 0, run.output()

    results = read_results(out)
    truth = load(out).truth
    assert len(results.events) >= 0.8 * len(truth.events) > 10
    assert len(results.strides) >= 0.7 * len(truth.strides) > 3
    assert results.steps
    assert len(results.phases) >= 2 * 1390
    with open_bag(out) as bag:
        names = {name: topic.message_count for name, topic in bag.topics.items()}
        assert next(iter(bag.messages())).topic == "/subject_1/subject"
        knees = []
        for message in bag.messages(["/subject_1/joint_states"]):
            joints = bag.decode(message)
            knees.append(joints.position[list(joints.name).index("knee_angle_r")])
        samples = list(bag.messages(["/subject_1/imu/pelvis/data_raw"]))
        late_s = [m.log_ns / 1e9 - bag.decode(m).header.stamp.sec for m in samples]
        (description,) = [bag.decode(m) for m in bag.messages(["/subject_1/robot_description"])]
        frames = {t.child_frame_id for m in bag.messages(["/tf"]) for t in bag.decode(m).transforms}
        sources = {
            status.name for m in bag.messages(["/diagnostics"]) for status in bag.decode(m).status if status.values
        }
    assert np.ptp(knees) > 0.5
    # logged in the walk's own time: played again, it takes as long as it took
    assert -0.1 < min(late_s) <= max(late_s) < 3.0
    assert "<robot" in description.data
    assert {"subject_1/pelvis", "subject_1/tibia_r", "subject_1/calcn_l"} <= frames
    assert names["/subject_1/foot_odometry/left"] > 1000
    assert {f"/subject_1/{node}" for node in ("sensor_hub", "event_detector", "step_estimator", "twin")} <= sources
    states = [state for state in results.states if state.quality > 0.0]
    assert len(states) > 500
    walked = states[-1].positions[states[-1].coordinates.index("pelvis_tx")]
    assert walked > 3.0
    # forces: each with its centre of pressure, and a frame there for RViz
    carried = [state.ground for state in states if state.ground is not None]
    assert len(carried) > 400
    assert not any(any(ground.measured) for ground in carried)
    assert {f"subject_1/center_of_pressure_{side}" for side in Side} <= frames
    weight = 9.81 * load(out).subject.mass_kg
    upward = np.array([ground.force_n[:, 2] for ground in carried])
    assert np.mean(upward.sum(axis=1)) == pytest.approx(weight, rel=0.05)
    points = np.array([ground.center_of_pressure_m for ground in carried])
    np.testing.assert_array_equal(np.isfinite(points[..., 2]), upward > 0.0)
    assert load(out).subject.model == "default"


def test_plates_are_used_while_they_measure_and_played_again(graph, tmp_path, walk_bag) -> None:
    """A treadmill tells 600 N and 200 N, and falls silent in the middle."""
    bag, out = tmp_path / "bag", tmp_path / "out"
    fields = {"frame_id": "treadmill"}
    with open_bag(walk_bag) as source, BagWriter(bag) as writer:
        raws = sorted(source.messages(), key=lambda raw: raw.log_ns)
        first_ns, last_ns = raws[0].log_ns, raws[-1].log_ns
        plates = []
        for log_ns in range(first_ns, (first_ns + last_ns) // 2, 10_000_000):
            for side, force in ((Side.LEFT, 600.0), (Side.RIGHT, 200.0)):
                message = make_bag_message(
                    "geometry_msgs/msg/WrenchStamped",
                    header=make_bag_message(
                        "std_msgs/msg/Header", stamp=make_stamp(make_bag_message, log_ns), **fields
                    ),
                    wrench=make_bag_message(
                        "geometry_msgs/msg/Wrench",
                        force=make_bag_message("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=force),
                        torque=make_bag_message("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0),
                    ),
                )
                data = typestore().serialize_cdr(message, message.__msgtype__)
                plates.append((log_ns, f"/plates/{side}", message.__msgtype__, data))
        both = [(raw.log_ns, raw.topic, raw.type_name, raw.data) for raw in raws] + plates
        for log_ns, topic, type_name, data in sorted(both, key=lambda item: item[0]):
            writer.write(topic, type_name, log_ns, data)
    run = graph("replay", bag=bag, rate=0.0, record=out)
    assert run.wait(150.0) == 0, run.output()
    states = [state for state in read_results(out).states if state.ground is not None]
    middle_s = (last_ns - first_ns) / 2e9
    early = [state.ground for state in states if state.ground.time_s < middle_s - 0.3]
    late = [state.ground for state in states if state.ground.time_s > middle_s + 0.3]
    assert len(early) > 100
    assert len(late) > 100
    assert all(ground.measured == (True, True) for ground in early)
    np.testing.assert_allclose([ground.force_n[:, 2] for ground in early], [[600.0, 200.0]] * len(early), atol=1e-6)
    assert not any(any(ground.measured) for ground in late)
    assert "Nothing from the plates" in run.output() or any("plates" in text for text in diagnostics(out))
    with open_bag(out) as recorded:
        assert recorded.topics["/plates/left"].message_count == len(plates) // 2


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gait10dof18musc", "Rajagopal2016"])
def test_a_model_of_ones_own_moves_and_is_named(graph, tmp_path, data_dir, walk_bag, name) -> None:
    out = tmp_path / "out"
    path = data_dir / "opensim_gait" / "models" / f"{name}.osim"
    run = graph("replay", bag=walk_bag, rate=0.0, record=out, model_path=str(path))
    assert run.wait(200.0) == 0, run.output()
    assert load(out).subject.model == str(path)
    states = [state for state in read_results(out).states if state.ground is not None]
    assert len(states) > 400
    assert "hip_flexion_r" in states[0].coordinates
    assert np.mean([state.ground.force_n[:, 2].sum() for state in states]) == pytest.approx(9.81 * 75.0, rel=0.08)


def diagnostics(bag: Path) -> list[str]:
    """What the nodes told of themselves."""
    with open_bag(bag) as recorded:
        return [
            status.message
            for message in recorded.messages(["/diagnostics"])
            for status in recorded.decode(message).status
        ]


@pytest.mark.data
def test_a_real_walk_at_four_times_real_time_loses_nothing_and_equals_analyze(graph, tmp_path, data_dir) -> None:
    from gait_twin.recording import save
    from gait_twin.recording.importers import IMPORTERS

    folder = data_dir / "opensim_xsens_walk" / "raw"
    recording = IMPORTERS["xsens_mt"].load(folder)
    bag, out = tmp_path / "bag", tmp_path / "out"
    save(recording, bag)
    run = graph("replay", bag=bag, rate=4.0, record=out)
    assert run.wait(150.0) == 0, run.output()
    assert_same_samples(load(bag), load(out))
    assert_same_results(load(bag), out)


def test_a_virtual_walk_as_fast_as_it_goes_equals_analyze(graph, tmp_path, walk_bag) -> None:
    out = tmp_path / "out"
    run = graph("replay", bag=walk_bag, rate=0.0, record=out)
    assert run.wait(150.0) == 0, run.output()
    assert_same_samples(load(walk_bag), load(out))
    assert_same_results(load(walk_bag), out)


def test_feet_alone_give_strides_and_a_missing_sensor_stalls_nothing(graph, tmp_path, feet_bag) -> None:
    out = tmp_path / "out"
    # the hub is told of three sensors, one of which never sends
    everyone = {"segments": ["calcn_r", "calcn_l", "pelvis"]}
    run = graph("replay", bag=feet_bag, rate=0.0, record=out, parameters={"sensor_hub": everyone})
    assert run.wait(150.0) == 0, run.output()
    results = read_results(out)
    assert len(results.strides) >= 6
    assert "twin| INFO: Too few sensors" in run.output()
    assert "got no further" not in run.output()
    with open_bag(out) as bag:
        assert not bag.topics["/joint_states"].message_count


def test_two_subjects_side_by_side_do_not_mix(graph, tmp_path, feet_bag, walk_bag) -> None:
    runs = {
        "anna": graph("replay", name="anna", bag=feet_bag, rate=2.0, record=tmp_path / "anna-bag", namespace="anna"),
        "ben": graph("replay", name="ben", bag=walk_bag, rate=2.0, record=tmp_path / "ben-bag", namespace="ben"),
    }
    for name, source in (("anna", feet_bag), ("ben", walk_bag)):
        assert runs[name].wait(200.0) == 0, runs[name].output()
        out = tmp_path / f"{name}-bag"
        recorded, played = load(out), load(source)
        assert recorded.subject.name == played.subject.name
        assert_same_samples(played, recorded)
        assert_same_results(played, out)
        with open_bag(out) as bag:
            assert all(topic.startswith((f"/{name}/", "/tf", "/diagnostics")) for topic in bag.topics)


def test_a_cut_bag_plays_what_is_whole_and_says_what_is_missing(graph, tmp_path, feet_bag) -> None:
    cut, out = tmp_path / "cut", tmp_path / "out"
    cut.mkdir()
    (mcap,) = feet_bag.glob("*.mcap")
    whole = mcap.read_bytes()
    (cut / mcap.name).write_bytes(whole[: len(whole) // 2])
    run = graph("replay", bag=cut, rate=0.0, record=out)
    assert run.wait(150.0) == 3, run.output()
    assert "is not whole" in run.output()
    kept, played = load(out), load(cut)
    assert_same_samples(dataclasses.replace(played, losses=()), kept)
