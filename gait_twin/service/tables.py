"""Tables on disk: events, strides and steps as CSV, joint angles as OpenSim storage."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gait_twin.recording import GaitEvent, JointTrajectory, Step, Stride

EVENT_COLUMNS = ("time_s", "side", "kind", "confidence", "delay_s")
STRIDE_COLUMNS = (
    "side",
    "start_s",
    "end_s",
    "stride_length_m",
    "stride_time_s",
    "stance_time_s",
    "swing_time_s",
    "speed_mps",
    "valid",
    "toe_off_s",
    "cadence_spm",
    "double_support_time_s",
    "foot_clearance_m",
    "height_change_m",
    "foot_angle_heel_strike_rad",
    "foot_angle_toe_off_rad",
    "turning_angle_rad",
    "stride_length_sd_m",
    "stride_time_sd_s",
    "foot_clearance_sd_m",
    "foot_angle_sd_rad",
    "turning_angle_sd_rad",
)
STEP_COLUMNS = (
    "side",
    "time_s",
    "step_length_m",
    "step_time_s",
    "step_width_m",
    "valid",
    "step_length_sd_m",
    "step_width_sd_m",
)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else ""  # an empty cell is "not known"
    return str(value)


def write_csv(path: Path, items: Iterable[Any], columns: Sequence[str], header: Sequence[str] | None = None) -> None:
    """Write attributes of `items` as columns, one row an item; NaN as an empty cell.

    `header` names the columns in the file where they differ from the attributes.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header or columns)
        writer.writerows([_cell(getattr(item, column)) for column in columns] for item in items)


def write_events(path: Path, events: Iterable[GaitEvent]) -> None:
    """``time_s,side,event,confidence,delay_s``, by time; s since the recording's first sample."""
    ordered = sorted(events, key=lambda event: event.time_s)
    write_csv(path, ordered, EVENT_COLUMNS, ["event" if c == "kind" else c for c in EVENT_COLUMNS])


def write_strides(path: Path, strides: Iterable[Stride]) -> None:
    """`STRIDE_COLUMNS`, by the heel strike that ends the stride."""
    write_csv(path, sorted(strides, key=lambda stride: stride.end_s), STRIDE_COLUMNS)


def write_steps(path: Path, steps: Iterable[Step]) -> None:
    """`STEP_COLUMNS`, by heel strike."""
    write_csv(path, sorted(steps, key=lambda step: step.time_s), STEP_COLUMNS)


def is_length(coordinate: str) -> bool:
    """Whether a coordinate is a translation in m (``pelvis_tx``) rather than an angle in rad."""
    return re.search(r"_t[xyz]$", coordinate) is not None


def in_shown_units(joints: JointTrajectory) -> np.ndarray:
    """(n, m) positions with angles in degrees and translations in m."""
    scale = np.array([1.0 if is_length(name) else 180.0 / math.pi for name in joints.coordinates])
    return joints.positions * scale


def write_joints(path: Path, joints: JointTrajectory) -> None:
    """OpenSim storage (``inDegrees=yes``) that its GUI, tools and ``TimeSeriesTable`` open.

    Instants with a coordinate not known are left out: OpenSim's tools take no NaN.
    """
    positions = in_shown_units(joints)
    known = np.isfinite(positions).all(axis=1)
    rows = np.column_stack([joints.time_s, positions])[known]
    header = [
        "Coordinates",
        "version=1",
        f"nRows={len(rows)}",
        f"nColumns={rows.shape[1]}",
        "inDegrees=yes",
        "",
        "Angles in degrees, translations in m, time in s since the recording's first sample.",
        "endheader",
        "\t".join(["time", *joints.coordinates]),
    ]
    with path.open("w", encoding="utf-8") as file:
        file.write("\n".join(header) + "\n")
        np.savetxt(file, rows, fmt="%.6f", delimiter="\t")
