"""Parameters of a node from the settings of its room: declared, checked, changed."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from gait_twin.errors import InputError

Settings = TypeVar("Settings")

_INT_MAX = 2**63 - 1


def declare(
    node: Node,
    kind: type[Settings],
    *,
    prefix: str = "",
    changed: Callable[[Settings], None] | None = None,
    leave_out: Iterable[str] = (),
) -> Settings:
    """Declare a parameter for each field of a settings dataclass and return the settings that were given.

    Parameters
    ----------
    node
        Node that gets the parameters.
    kind
        Dataclass of fields made by `gait_twin.settings.setting`.
    prefix
        Goes before each name, as ``walk.``.
    changed
        Takes the new settings when someone sets parameters; without it they are read-only.
    leave_out
        Fields that the node itself knows.

    Raises
    ------
    InputError
        Naming the parameter, what was given and what is allowed.
    """
    fields = [field for field in dataclasses.fields(kind) if field.name not in set(leave_out)]  # type: ignore[arg-type]
    values = {}
    for field in fields:
        name = prefix + field.name
        try:
            node.declare_parameter(name, _to_ros(field.default), _descriptor(field, read_only=changed is None))
        except InvalidParameterTypeException:
            raise InputError(
                f"The parameter {name} of {node.get_name()} is not a {_type_name(field.default)}; "
                f"give one, such as {_to_ros(field.default)}."
            ) from None
        except InvalidParameterValueException:
            low, high = field.metadata["low"], field.metadata["high"]
            raise InputError(
                f"The parameter {name} of {node.get_name()} is out of its range; give a value from {low} to {high}."
            ) from None
        values[field.name] = _from_ros(node.get_parameter(name).value, field.default)
    settings = kind(**values)
    if changed is not None:
        _Tunable(node, prefix, settings, changed)
    return settings


def warn_of_unknown(node: Node) -> None:
    """Log values given for parameters that the node does not have: most likely a slip of the pen."""
    given = getattr(node, "_parameter_overrides", {})
    for name in sorted(given):
        if not node.has_parameter(name) and not name.startswith("qos_overrides."):
            node.get_logger().warning(
                f"There is no parameter {name!r}; `ros2 param list {node.get_fully_qualified_name()}` shows all."
            )


class _Tunable:
    """Settings that may be changed while the node runs."""

    def __init__(self, node: Node, prefix: str, settings: Any, changed: Callable[[Any], None]) -> None:
        self._prefix, self._settings, self._changed = prefix, settings, changed
        self._defaults = {field.name: field.default for field in dataclasses.fields(settings)}
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _wanted(self, parameters: list[Parameter]) -> dict[str, Any]:
        wanted = {p.name.removeprefix(self._prefix): p.value for p in parameters if p.name.startswith(self._prefix)}
        return {
            name: _from_ros(value, self._defaults[name]) for name, value in wanted.items() if name in self._defaults
        }

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            dataclasses.replace(self._settings, **self._wanted(parameters))
        except InputError as problem:
            return SetParametersResult(successful=False, reason=str(problem))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        if wanted := self._wanted(parameters):
            self._settings = dataclasses.replace(self._settings, **wanted)
            self._changed(self._settings)


def _descriptor(field: dataclasses.Field[Any], *, read_only: bool) -> ParameterDescriptor:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    descriptor = ParameterDescriptor(description=field.metadata["description"], read_only=read_only)
    if choices:
        descriptor.additional_constraints = f"one of {', '.join(choices)}"
    if low is None and high is None:
        return descriptor
    if isinstance(field.default, float):
        biggest = sys.float_info.max
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(-biggest if low is None else low), to_value=float(biggest if high is None else high)
            )
        ]
    elif isinstance(field.default, int):
        descriptor.integer_range = [
            IntegerRange(
                from_value=int(-_INT_MAX if low is None else low),
                to_value=int(_INT_MAX if high is None else high),
                step=0,
            )
        ]
    return descriptor


def _to_ros(default: Any) -> Any:
    """Value as ROS knows it. ROS cannot tell the type of an empty list: ``['']`` stands for no strings."""
    if isinstance(default, tuple):
        return list(default) or [""]
    return default


def _from_ros(value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple(item for item in value if item != "")
    return value


def _type_name(default: Any) -> str:
    if isinstance(default, tuple):
        return f"list of {_type_name(default[0]) if default else 'string'}s"
    return {bool: "true or false", int: "whole number", float: "decimal number", str: "string"}[type(default)]
