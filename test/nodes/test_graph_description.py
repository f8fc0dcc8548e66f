"""The description of the graph: modes, body.yaml, what is refused."""

from __future__ import annotations

import pytest

from gait_twin.errors import InputError
from gait_twin.graph import DRIVER, RECORDER, ROOMS, GraphOptions, describe


def parameters(graph):
    return {node.name: node.parameters for node in graph.nodes}


def test_a_demo_is_lossless_waits_for_everyone_and_knows_the_persons_size(tmp_path) -> None:
    graph = describe("demo", GraphOptions(record=tmp_path / "out", namespace="/anna/", rate=0.0, duration_s=20.0))
    assert [node.name for node in graph.nodes] == [*ROOMS, RECORDER, "virtual_subject"]
    assert graph.namespace == "/anna"
    own = parameters(graph)
    assert own["virtual_subject"]["wait_for"] == [*ROOMS, RECORDER]
    assert own["virtual_subject"]["walk.duration_s"] == 20.0
    assert not own["virtual_subject"]["use_sim_time"]
    assert all(own[name]["lossless"] and own[name]["use_sim_time"] for name in ROOMS)
    assert own["twin"]["frame_prefix"] == "anna/"
    assert own["twin"]["height_m"] == own[RECORDER]["height_m"] == 1.75
    assert [node.is_source for node in graph.nodes][-2:] == [False, True]


def test_live_maps_the_drivers_topics_of_body_yaml(tmp_path) -> None:
    body = tmp_path / "body.yaml"
    body.write_text(
        "subject: {name: Ada, height_m: 1.62, mass_kg: 55}\n"
        "sensors:\n  calcn_r: {imu: /dot/1, mag: /dot/1/mag, forward: -z}\n  pelvis:\n"
    )
    graph = describe("live", GraphOptions(body=body, parameters={"twin": {"hold_s": 1.0}}))
    hub = graph.nodes[0]
    assert hub.remappings == {"imu/calcn_r/data_raw": "/dot/1", "imu/calcn_r/mag": "/dot/1/mag"}
    assert hub.parameters["segments"] == ["calcn_r", "pelvis"]
    assert hub.parameters["mounting"] == ["calcn_r=-z"]
    assert not hub.parameters["lossless"]
    assert parameters(graph)["twin"]["height_m"] == 1.62
    assert parameters(graph)["twin"]["hold_s"] == 1.0
    assert RECORDER not in parameters(graph)
    assert DRIVER not in parameters(graph)


def test_live_starts_the_driver_where_body_yaml_names_devices(tmp_path) -> None:
    body = tmp_path / "body.yaml"
    body.write_text("sensors:\n  calcn_r: {protocol: ximu3, port: 8001}\n  pelvis: {imu: /dot/1}\n")
    graph = describe("live", GraphOptions(body=body))
    assert graph.nodes[0].name == DRIVER
    assert graph.nodes[0].parameters["body"] == str(body)
    assert graph.nodes[0].config.is_file()
    assert graph.nodes[1].remappings == {"imu/pelvis/data_raw": "/dot/1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sensors: {nose: {}}", "line 1, column 11: 'nose' is not a segment"),
        (
            "sensors:\n  pelvis: {imu: /a}\n  calcn_r: {topic: /b}",
            "line 3, column 13: `topic` is not a key here; there are imu, mag",
        ),
        ("subject: {height_m: tall}\nsensors: {pelvis: }", "line 1, column 21: `subject.height_m` is 'tall'"),
        ("subject: {}", "`sensors` is missing"),
        ("sensors: [pelvis]", "`sensors` is "),
        ("sensors: {pelvis: }\nsensor: 3", "line 2, column 1: `sensor` is not a key here"),
        ("sensors: {", "is not YAML"),
        ("", "needs at least `sensors`"),
    ],
)
def test_a_wrong_body_yaml_is_refused_with_file_and_line(tmp_path, text, says) -> None:
    body = tmp_path / "body.yaml"
    body.write_text(text)
    with pytest.raises(InputError, match=says) as refused:
        describe("live", GraphOptions(body=body))
    assert str(body) in str(refused.value)


def test_what_cannot_be_started_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="choose one of live, replay, demo"):
        describe("party")
    with pytest.raises(InputError, match="name a bag"):
        describe("replay")
    with pytest.raises(InputError, match="There is no bag at"):
        describe("replay", GraphOptions(bag=tmp_path / "none"))
    with pytest.raises(InputError, match="There is no node 'twn'"):
        describe("demo", GraphOptions(parameters={"twn": {}}))
    with pytest.raises(InputError, match=r"none\.yaml is not there"):
        describe("live", GraphOptions(body=tmp_path / "none.yaml"))
