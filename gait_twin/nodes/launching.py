"""The graph as a launch description: what launch/*.launch.py share. Needs ROS's `launch` and `launch_ros`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from gait_twin.errors import InputError
from gait_twin.graph import GraphOptions, NodeDescription, config_dir, describe
from launch import LaunchContext, LaunchDescription

Arguments = dict[str, tuple[str | None, str]]
"""Default and description by name; without a default it must be given."""

COMMON: Arguments = {
    "namespace": ("", "Namespace of the subject, as subject_1."),
    "record": ("", "Folder of the bag to make; empty: none."),
    "model_path": ("", "OpenSim model (.osim); empty: the default one, of the person's height and mass."),
    "rviz": ("false", "Start RViz with the robot, its transforms and the feet."),
}
OWN: dict[str, Arguments] = {
    "live": {"body": ("", "body.yaml: who, and which device is on which segment; empty: the one in config/.")},
    "replay": {
        "bag": (None, "Bag to play."),
        "subject": ("", "Namespace of the person in the bag, where it holds several."),
        "rate": ("1.0", "Multiple of real time; 0: as fast as the graph follows."),
    },
    "demo": {
        "duration_s": ("60.0", "How long the virtual subject walks, s."),
        "seed": ("7", "Seed of the virtual subject."),
        "rate": ("1.0", "Multiple of real time; 0: as fast as the graph follows."),
    },
}
RESTART_AFTER_S = 1.0


def launch_description(mode: str) -> LaunchDescription:
    """Launch description of a mode of `gait_twin.graph.describe`."""
    arguments = {**OWN[mode], **COMMON}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            OpaqueFunction(function=_nodes, args=[mode, tuple(arguments)]),
        ]
    )


def _nodes(context: LaunchContext, mode: str, arguments: tuple[str, ...]) -> list[Any]:
    given = {name: context.perform_substitution(LaunchConfiguration(name)) for name in arguments}
    given.pop("rviz")
    paths = {name: Path(given[name]) for name in ("body", "bag", "record") if given.get(name)}
    texts = {name: given[name] for name in ("namespace", "subject", "model_path") if given.get(name)}
    try:
        numbers: dict[str, Any] = {
            name: kind(given[name])
            for name, kind in (("rate", float), ("duration_s", float), ("seed", int))
            if name in given
        }
    except ValueError as problem:
        raise InputError(f"A launch argument is not a number: {problem}.") from None
    graph = describe(mode, GraphOptions(**paths, **texts, **numbers))  # type: ignore[arg-type]
    actions: list[Any] = [LogInfo(msg=notice) for notice in graph.notices]
    for node in graph.nodes:
        process = _process(node, graph.namespace)
        actions.append(process)
        if node.is_source:
            actions.append(
                RegisterEventHandler(
                    OnProcessExit(
                        target_action=process,
                        on_exit=[EmitEvent(event=Shutdown(reason=f"{node.name} has ended"))],
                    )
                )
            )
    actions.append(
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", str(_rviz_config(graph.namespace))],
            parameters=[{"use_sim_time": mode != "live"}],
            condition=IfCondition(LaunchConfiguration("rviz")),
        )
    )
    return actions


def _rviz_config(namespace: str) -> Path:
    """Configuration of RViz with the subject's namespace before its topics and frames."""
    path = config_dir() / "gait_twin.rviz"
    if namespace == "/":
        return path
    frames = namespace.strip("/")
    text = path.read_text(encoding="utf-8").replace("Value: /", f"Value: {namespace}/")
    for key, frame in (("Fixed Frame", "odom"), ("Target Frame", "pelvis")):
        text = text.replace(f"{key}: {frame}", f"{key}: {frames}/{frame}")
    text = text.replace('TF Prefix: ""', f"TF Prefix: {frames}")
    with tempfile.NamedTemporaryFile("w", suffix=".rviz", delete=False, encoding="utf-8") as file:
        file.write(text)
    return Path(file.name)


def _process(node: NodeDescription, namespace: str) -> Node:
    return Node(
        package="gait_twin",
        executable=node.name,
        name=node.name,
        namespace="" if namespace == "/" else namespace,
        parameters=[str(node.config), node.parameters],
        remappings=list(node.remappings.items()),
        output="screen",
        respawn=not node.is_source,
        respawn_delay=RESTART_AFTER_S,
    )
