"""Curves over the gait cycle: joint angles, moments, powers and ground reactions of each stride, 101 points each."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import JointTrajectory, Side, Stride
from gait_twin.service.comparison import along_the_walk
from gait_twin.service.tables import in_shown_units, is_length
from gait_twin.twin import Table, cycle_curves
from gait_twin.twin.export import CYCLE_POINTS

if TYPE_CHECKING:
    from gait_twin.service.results import Analysis

FloatArray = NDArray[np.float64]

STRAIGHT_RAD = 0.35
"""A stride that turns by less counts as straight: 20°."""
GRAVITY_MPS2 = 9.80665
MEAN_FILE, EACH_FILE = "cycles.csv", "cycles_each.csv"
FORCES = ("up", "forward", "medial")
"""Directions of the ground reaction: against gravity, along the walk, and towards the other foot."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """Strides of one side as curves from heel strike (0 %) to heel strike (100 %).

    Attributes
    ----------
    side
        Whose heel strikes.
    strides
        n strides, by time.
    straight
        (n,) bool; means are of these.
    columns
        c names with unit: ``knee_angle_deg``, ``knee_angle_moment_nm_per_kg`` with its standard deviation
        ``knee_angle_moment_sd_nm_per_kg``, ``knee_angle_power_w_per_kg``,
        ``ground_force_up_percent_bw``, ``force_confidence`` and so on; of this side's leg, and of the trunk.
    values
        (n, 101, c); NaN where not known.
    """

    side: Side
    strides: tuple[Stride, ...]
    straight: NDArray[np.bool_]
    columns: tuple[str, ...]
    values: FloatArray

    def of(self, column: str) -> FloatArray:
        """(k, 101) a quantity over the straight strides in which it is known throughout."""
        if column not in self.columns:
            return np.empty((0, CYCLE_POINTS))
        curves = self.values[self.straight, :, self.columns.index(column)]
        return curves[np.isfinite(curves).all(axis=1)]

    def spread(self, column: str) -> tuple[FloatArray, FloatArray, int]:
        """(101,) mean and SD over the straight strides, and their number; SD is NaN with one."""
        curves = self.of(column)
        nothing = np.full(CYCLE_POINTS, math.nan)
        mean = curves.mean(axis=0) if len(curves) else nothing
        sd = curves.std(axis=0, ddof=1) if len(curves) > 1 else nothing
        return mean, sd, len(curves)


def gait_cycles(analysis: Analysis, joints: JointTrajectory | None = None) -> dict[Side, Cycles]:
    """Cycles of each side of an analysis.

    Parameters
    ----------
    analysis
        What was found.
    joints
        Coordinates instead of the analysis' own; those of the truth, say.
    """
    joints = joints or analysis.joints
    if joints is None:
        return {}
    moving = along_the_walk(joints)
    angles = [i for i, name in enumerate(moving.coordinates) if not is_length(name)]
    tables = [
        (
            Table(moving.time_s, tuple(moving.coordinates[i] for i in angles), in_shown_units(moving)[:, angles]),
            "_deg",
            1.0,
        )
    ]
    mass = analysis.mass_kg
    if joints is analysis.joints and math.isfinite(mass):
        tables += [
            (_without_root(analysis.forces[name]), unit, 1.0 / mass)
            for name, unit in (
                ("moments.sto", "_nm_per_kg"),
                ("moment_sd.sto", "_nm_per_kg"),
                ("powers.sto", "_w_per_kg"),
            )
            if name in analysis.forces
        ]
    ground = analysis.forces.get("ground_reactions.mot") if joints is analysis.joints else None
    found = {}
    for side in Side:
        strides = tuple(s for s in sorted(analysis.strides, key=lambda s: s.start_s) if s.side is side)
        if not strides:
            continue
        blocks = [_block(table, unit, factor, side, strides) for table, unit, factor in tables]
        if ground is not None and math.isfinite(mass):
            blocks.append(_ground_block(ground, side, strides, mass, _headings(analysis, strides)))
        if analysis.confidence is not None and joints is analysis.joints:
            blocks.append((("force_confidence",), _curves(analysis.confidence, strides)))
        straight = np.array([not abs(s.turning_angle_rad) > STRAIGHT_RAD for s in strides])
        columns = tuple(name for names, _ in blocks for name in names)
        found[side] = Cycles(side, strides, straight, columns, np.concatenate([values for _, values in blocks], axis=2))
    return found


def _without_root(table: Table) -> Table:
    """Moments of the joints: those of the joint to ground are residuals, and forces along slides are none."""
    kept = [
        i
        for i, name in enumerate(table.columns)
        if not name.startswith("pelvis") and not name.endswith(("_force", "_force_sd"))
    ]
    return Table(table.time_s, tuple(table.columns[i] for i in kept), table.values[:, kept])


def _curves(table: Table, strides: Sequence[Stride]) -> FloatArray:
    """(n, 101, c) of a table's columns; NaN in a stride that it does not cover."""
    values = np.full((len(strides), CYCLE_POINTS, len(table.columns)), math.nan)
    for i, stride in enumerate(strides):
        cycles = cycle_curves(table, [(stride.start_s, stride.end_s)]).cycles
        if len(cycles):
            values[i] = cycles[0]
    return values


def _block(
    table: Table, unit: str, factor: float, side: Side, strides: Sequence[Stride]
) -> tuple[tuple[str, ...], FloatArray]:
    """Columns of a side's leg, without the letter that tells it, and of what has no side."""
    letter, other = side.value[0], "l" if side is Side.RIGHT else "r"
    columns, names = [], []
    for i, name in enumerate(table.columns):
        parts = name.split("_")
        if other in parts:
            continue
        columns.append(i)
        names.append("_".join(part for part in parts if part != letter) + unit)
    return tuple(names), factor * _curves(Table(table.time_s, tuple(names), table.values[:, columns]), strides)


def _headings(analysis: Analysis, strides: Sequence[Stride]) -> FloatArray:
    """(n, 2) unit vectors along which the pelvis went in each stride, x and y of the z-up world."""
    ahead = np.tile([1.0, 0.0], (len(strides), 1))
    if analysis.motion is None:
        return ahead
    time_s, way = analysis.motion.time_s, analysis.motion.points_m[:, 0, :2]
    for i, stride in enumerate(strides):
        start, end = (
            np.array([np.interp(t, time_s, way[:, k]) for k in range(2)]) for t in (stride.start_s, stride.end_s)
        )
        length = float(np.linalg.norm(end - start))
        if length > 0.1:  # less is a step on the spot
            ahead[i] = (end - start) / length
    return ahead


def _ground_block(
    ground: Table, side: Side, strides: Sequence[Stride], mass_kg: float, ahead: FloatArray
) -> tuple[tuple[str, ...], FloatArray]:
    """Ground reaction of a side, percent of body weight, along `FORCES`."""
    letter = side.value[0]
    vx, vy, vz = (f"ground_force_{letter}_v{axis}" for axis in "xyz")
    picked = Table(ground.time_s, (vx, vy, vz), np.column_stack([ground[name] for name in (vx, vy, vz)]))
    force = 100.0 / (mass_kg * GRAVITY_MPS2) * _curves(picked, strides)
    # OpenSim's z is to the right, the world's y to the left
    x, up, y = force[..., 0], force[..., 1], -force[..., 2]
    forward = x * ahead[:, :1] + y * ahead[:, 1:]
    left = -x * ahead[:, 1:] + y * ahead[:, :1]
    medial = left if side is Side.RIGHT else -left
    return tuple(f"ground_force_{name}_percent_bw" for name in FORCES), np.stack([up, forward, medial], axis=2)


def write_cycles(folder: Path, cycles: dict[Side, Cycles]) -> list[Path]:
    """Write means and every cycle; old files are removed where there is nothing.

    ``cycles.csv``: ``side, percent``, then ``…_mean`` and ``…_sd`` of each quantity over the straight strides.
    ``cycles_each.csv``: ``side, stride_start_s, straight, percent``, then each quantity.
    """
    written = []
    for name, rows in ((MEAN_FILE, _mean_rows(cycles)), (EACH_FILE, _each_rows(cycles))):
        path = folder / name
        path.unlink(missing_ok=True)
        if cycles:
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
            written.append(path)
    return written


def _all_columns(cycles: dict[Side, Cycles]) -> list[str]:
    return list(dict.fromkeys(name for one in cycles.values() for name in one.columns))


def _mean_rows(cycles: dict[Side, Cycles]) -> Iterator[list[str]]:
    columns = _all_columns(cycles)
    yield ["side", "percent", "strides", *(f"{name}_{kind}" for name in columns for kind in ("mean", "sd"))]
    for side, one in cycles.items():
        spreads = [one.spread(name) for name in columns]
        curves = np.array([curve for mean, sd, _ in spreads for curve in (mean, sd)]).T
        for percent, row in enumerate(curves):
            yield [str(side), str(percent), str(int(one.straight.sum())), *map(_cell, row.tolist())]


def _each_rows(cycles: dict[Side, Cycles]) -> Iterator[list[str]]:
    columns = _all_columns(cycles)
    yield ["side", "stride_start_s", "straight", "percent", *columns]
    for side, one in cycles.items():
        for i, stride in enumerate(one.strides):
            head = [str(side), f"{stride.start_s:.3f}", "true" if one.straight[i] else "false"]
            known = {name: one.values[i, :, k] for k, name in enumerate(one.columns)}
            nothing = np.full(CYCLE_POINTS, math.nan)
            rows = np.array([known.get(name, nothing) for name in columns]).T
            for percent, row in enumerate(rows):
                yield [*head, str(percent), *map(_cell, row.tolist())]


def _cell(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else ""
