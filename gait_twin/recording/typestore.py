"""Message classes by name: those of `rosbags`, which need no ROS, and those of an installed ROS."""

from __future__ import annotations

import array
import importlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from gait_twin.errors import InputError

PACKAGE = "gait_twin_msgs"


class Make(Protocol):
    """Makes a message: ``make("sensor_msgs/msg/Imu", header=…, …)``, with every field given.

    A ``float64[]`` is given as ``array.array("d")``, a ``uint8[]`` as ``array.array("B")``, an array of
    fixed length as (n,) ndarray.
    """

    def __call__(self, type_name: str, /, **fields: Any) -> Any:
        """Return the message."""


@cache
def typestore() -> Typestore:
    """Types of ROS 2 and of gait_twin_msgs, for `rosbags`.

    Raises
    ------
    InputError
        If the definitions of gait_twin_msgs are not found.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    types: dict[str, Any] = {}
    for path in sorted(_definitions_dir().glob("*.msg")):
        types |= get_types_from_msg(path.read_text(encoding="utf-8"), f"{PACKAGE}/msg/{path.stem}")
    store.register(types)
    return store


def make_bag_message(type_name: str, /, **fields: Any) -> Any:
    """`Make` for messages that `rosbags` serializes."""
    # rosbags wants ndarrays; one over the array's own memory copies nothing
    for name, value in fields.items():
        if isinstance(value, array.array):
            fields[name] = np.asarray(value)
    return typestore().types[type_name](**fields)


def make_ros_message(type_name: str, /, **fields: Any) -> Any:
    """`Make` for messages of an installed ROS, as rclpy publishes them."""
    return _ros_class(type_name)(**fields)


@cache
def _ros_class(type_name: str) -> Any:
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def _definitions_dir() -> Path:
    """Folder of gait_twin_msgs' .msg files: within this package, else where ROS installed them."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    candidates = [
        Path(__file__).parent / "definitions",
        *(Path(prefix) / "share" / PACKAGE / "msg" for prefix in prefixes if prefix),
    ]
    for folder in candidates:
        if any(folder.glob("*.msg")):
            return folder
    raise InputError(
        f"The definitions of {PACKAGE} (*.msg) are in none of {', '.join(map(str, candidates))}; "
        "install gait_twin anew."
    )
