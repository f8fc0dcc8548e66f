"""Writes config/<node>.yaml: every parameter of a node with its default and a comment, from the settings.

.venv/bin/python tools/write_config.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gait_twin.classification import ClassifierSettings, ScreenSettings
from gait_twin.events import DetectorSettings
from gait_twin.nodes.base import TransportSettings
from gait_twin.nodes.imu_driver import ServedSettings
from gait_twin.nodes.recorder import RecorderSettings
from gait_twin.nodes.replay import ReplaySettings
from gait_twin.nodes.sensor_hub import BodySettings
from gait_twin.nodes.source import FlowSettings
from gait_twin.nodes.twin import DisplaySettings
from gait_twin.sensing import DriverSettings, HubSettings
from gait_twin.simulation import SensorSettings, WalkSettings
from gait_twin.steps import StepSettings
from gait_twin.twin import TwinSettings

CONFIG = Path(__file__).resolve().parent.parent / "config"
NODES: dict[str, tuple[tuple[str, Any], ...]] = {
    "imu_driver": (("", ServedSettings), ("", DriverSettings)),
    "sensor_hub": (("", HubSettings), ("", BodySettings)),
    "event_detector": (("", DetectorSettings),),
    "step_estimator": (("", StepSettings),),
    "twin": (("", TwinSettings), ("", DisplaySettings)),
    "classifier": (("", ClassifierSettings), ("", ScreenSettings)),
    "recorder": (("", RecorderSettings),),
    "replay": (("", FlowSettings), ("", ReplaySettings)),
    "virtual_subject": (("", FlowSettings), ("walk", WalkSettings), ("sensors", SensorSettings)),
}
WIDTH = 110


def text(node: str) -> str:
    """Return the YAML of a node."""
    lines = [
        f"# Parameters of the node {node}: all of them, with their defaults.",
        "# Written by tools/write_config.py from the settings in the code; give changes in a file of your own, after",
        "# this one.",
        "/**:",
        "  ros__parameters:",
        *comment("Take the time from /clock instead of the computer's own.", 4),
        "    use_sim_time: false",
    ]
    for group, settings in (*NODES[node], ("", TransportSettings)):
        indent = 4
        if group:
            lines += ["", f"    {group}:"]
            indent = 6
        for field in dataclasses.fields(settings):
            lines += ["", *comment(described(field), indent), f"{' ' * indent}{field.name}: {value(field.default)}"]
    return "\n".join(lines) + "\n"


def described(field: Any) -> str:
    description = field.metadata["description"]
    description = description[0].upper() + description[1:].rstrip(".") + "."
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    if choices:
        return f"{description} One of {', '.join(choices)}."
    if low is not None and high is not None:
        return f"{description} From {low:g} to {high:g}."
    if low is not None:
        return f"{description} At least {low:g}."
    return description


def comment(sentence: str, indent: int) -> list[str]:
    lines = [""]
    for word in sentence.split():
        if len(lines[-1]) + len(word) + 1 > WIDTH - indent:
            lines.append("")
        lines[-1] += f" {word}"
    return [f"{' ' * indent}#{line}" for line in lines]


def value(default: Any) -> str:
    if isinstance(default, tuple):
        return f"[{', '.join(value(item) for item in default)}]" if default else '[""]'
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, str):
        return f'"{default}"'
    if isinstance(default, float):
        number = repr(default)  # YAML takes 1e-05 for a string
        return number if "e" not in number else f"{float(number):.12f}".rstrip("0")
    return repr(default)


if __name__ == "__main__":
    CONFIG.mkdir(exist_ok=True)
    for name in NODES:
        (CONFIG / f"{name}.yaml").write_text(text(name), encoding="utf-8")
