"""Parameters from settings: declared, refused, changed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy")

from rclpy.node import Node
from rclpy.parameter import Parameter

from gait_twin.errors import InputError
from gait_twin.nodes.parameters import declare
from gait_twin.settings import check, setting


@dataclass(frozen=True)
class Example:
    speed: float = setting(1.5, "Speed, m/s.", low=0.5, high=2.0)
    count: int = setting(3, "Count.", low=1)
    on: bool = setting(True, "Switch.")
    side: str = setting("left", "Side.", choices=("left", "right"))
    names: tuple[str, ...] = setting((), "Names.")
    rates: tuple[float, ...] = setting((100.0,), "Rates, Hz.")

    def __post_init__(self) -> None:
        check(self)


@pytest.fixture
def make(ros):
    nodes = []

    def make(**overrides) -> Node:
        node = Node("example", parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()])
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()


def test_defaults_are_the_settings_own(make) -> None:
    node = make()
    assert declare(node, Example) == Example()
    descriptor = node.describe_parameter("speed")
    assert descriptor.description == "Speed, m/s."
    assert (descriptor.floating_point_range[0].from_value, descriptor.floating_point_range[0].to_value) == (0.5, 2.0)
    assert node.describe_parameter("count").integer_range[0].from_value == 1
    assert "left, right" in node.describe_parameter("side").additional_constraints


def test_given_values_reach_the_settings(make) -> None:
    node = make(**{"walk.speed": 1.0, "walk.names": ["a", "b"], "walk.side": "right"})
    assert declare(node, Example, prefix="walk.") == Example(speed=1.0, names=("a", "b"), side="right")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("speed", 9.0, "speed of example is out of its range; give a value from 0.5 to 2.0"),
        ("speed", "fast", "not a decimal number"),
        ("speed", float("nan"), "speed"),
        ("count", 0, "out of its range"),
        ("side", "up", "choose one of left, right"),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence(make, name, value, says) -> None:
    with pytest.raises(InputError, match=says):
        declare(make(**{name: value}), Example)


def test_parameters_are_read_only_unless_someone_takes_changes(make) -> None:
    node = make()
    declare(node, Example)
    (result,) = node.set_parameters([Parameter("speed", value=1.0)])
    assert not result.successful
    assert "read-only" in result.reason


def test_changes_are_checked_then_handed_over(make) -> None:
    node, seen = make(), []
    declare(node, Example, changed=seen.append)
    good, bad, out_of_range = (
        node.set_parameters([Parameter(*given)])[0]
        for given in (
            ("speed", Parameter.Type.DOUBLE, 1.0),
            ("side", Parameter.Type.STRING, "up"),
            ("speed", Parameter.Type.DOUBLE, 5.0),
        )
    )
    assert good.successful
    assert seen == [Example(speed=1.0)]
    assert not bad.successful
    assert "choose one of left, right" in bad.reason
    assert not out_of_range.successful
