"""Settings of a room: a frozen dataclass whose fields carry description, unit and range.

The same declaration feeds the constructor, the ROS parameters of the room's node and the comments of
its YAML, so that the three cannot disagree.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gait_twin.errors import InputError


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare one field of a settings dataclass.

    Parameters
    ----------
    default
        Default value; its type (bool, int, float, str, or tuple of str or float) is the setting's type.
    description
        One sentence with the unit, shown as the ROS parameter's description and the YAML's comment.
    low, high
        Inclusive range of a number.
    choices
        Allowed values of a string.
    """
    return dataclasses.field(
        default=default,
        metadata={"description": description, "low": low, "high": high, "choices": choices},
    )


def check(settings: Any) -> None:
    """Refuse values outside their declared type, range or choices.

    Call it from ``__post_init__`` of a settings dataclass.

    Raises
    ------
    InputError
        Naming the setting, the value and what is allowed.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        name = f"{type(settings).__name__}.{field.name}"
        expected = type(field.default)
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(settings, field.name, value := float(value))
        if not isinstance(value, expected) or (expected is not bool and isinstance(value, bool)):
            raise InputError(f"{name} is {value!r}; give a {expected.__name__}.")
        low, high = field.metadata.get("low"), field.metadata.get("high")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # "not (a <= b)" also refuses NaN
        if number and ((low is not None and not value >= low) or (high is not None and not value <= high)):
            raise InputError(f"{name} is {value}; give a value from {low} to {high}.")
        choices = field.metadata.get("choices")
        if choices and value not in choices:
            raise InputError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
