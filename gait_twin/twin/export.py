"""The twin's states as OpenSim's tables, and as curves over the gait cycle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.recording import TwinState
from gait_twin.recording.axes import ros_to_opensim
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.storage import Table

FloatArray = NDArray[np.float64]

CYCLE_POINTS = 101
"""Of a curve over the gait cycle: every percent."""
_AXES = "xyz"


@dataclass(frozen=True, slots=True)
class CycleCurves:
    """Curves over the gait cycle, from a heel strike (0 %) to the next one of the same foot (100 %).

    Attributes
    ----------
    columns
        c names.
    cycles
        (n, 101, c) each cycle's.
    mean, sd
        (101, c) of the cycles; NaN with none, and an SD of NaN with one.
    """

    columns: tuple[str, ...]
    cycles: FloatArray
    mean: FloatArray
    sd: FloatArray


def moments_table(states: Sequence[TwinState], skeleton: Skeleton) -> Table:
    """Generalized forces at their own instants, for ``moments.sto``.

    Parameters
    ----------
    states
        Of one twin.
    skeleton
        Its skeleton, which knows angles from lengths.

    Returns
    -------
    Table
        ``<coordinate>_moment`` in N·m, ``<coordinate>_force`` in N, as OpenSim's inverse dynamics names
        them; those of the joint to ground are residuals. Only frames with any known; NaN where one is not.
    """
    known = [s for s in states if s.ground is not None]
    return Table(_instants(known), skeleton.force_names, _rows([s.moments for s in known], skeleton))


def moment_sd_table(states: Sequence[TwinState], skeleton: Skeleton) -> Table:
    """Standard deviation of each joint coordinate's moment at its own instant, for ``moment_sd.sto``.

    Returns
    -------
    Table
        ``<coordinate>_moment_sd`` in N·m, ``<coordinate>_force_sd`` in N; NaN where one is not known.
    """
    known = [s for s in states if s.ground is not None]
    joints, names = skeleton.joints, skeleton.force_names
    columns = tuple(f"{names[i]}_sd" for i in joints)
    return Table(_instants(known), columns, _rows([s.moment_sd for s in known], skeleton)[:, joints])


def powers_table(states: Sequence[TwinState], skeleton: Skeleton) -> Table:
    """Power of each joint coordinate at the moments' instants, W: ``<coordinate>_power``, positive when it drives.

    By velocities of the same filter and instant as the moments; NaN where one is not known.
    """
    known = [s for s in states if s.ground is not None]
    joints = skeleton.joints
    values = _rows([s.powers for s in known], skeleton)[:, joints]
    return Table(_instants(known), tuple(f"{skeleton.coordinates[i]}_power" for i in joints), values)


def confidence_table(states: Sequence[TwinState]) -> Table:
    """``confidence`` of moments and ground reactions at their own instants, 0 to 1."""
    known = [s.ground for s in states if s.ground is not None]
    values = np.array([g.confidence for g in known]).reshape(len(known), 1)
    return Table(np.array([g.time_s for g in known]), ("confidence",), values)


def ground_reactions_table(states: Sequence[TwinState]) -> Table:
    """Ground reactions, for ``ground_reactions.mot`` and OpenSim's external loads.

    Returns
    -------
    Table
        In OpenSim's y-up ground: for right and left foot ``ground_force_r_vx … vz`` (N),
        ``ground_force_r_px … pz`` (m) and ``ground_torque_r_x … z`` (N·m). While a foot is in the air its
        force is zero and its point stays where it was last (first, before the first contact).
    """
    known = [s.ground for s in states if s.ground is not None]
    n = len(known)
    columns: list[str] = []
    values: list[FloatArray] = []
    for letter, row in (("r", 1), ("l", 0)):
        force = ros_to_opensim(np.array([g.force_n[row] for g in known]).reshape(n, 3))
        point = _held(ros_to_opensim(np.array([g.center_of_pressure_m[row] for g in known]).reshape(n, 3)))
        torque = np.zeros((n, 3))
        torque[:, 1] = [g.free_moment_nm[row] for g in known]
        columns += [f"ground_force_{letter}_v{axis}" for axis in _AXES]
        columns += [f"ground_force_{letter}_p{axis}" for axis in _AXES]
        columns += [f"ground_torque_{letter}_{axis}" for axis in _AXES]
        values += [force, point, torque]
    return Table(np.array([g.time_s for g in known]), tuple(columns), np.hstack(values))


def cycle_curves(table: Table, cycles_s: Iterable[tuple[float, float]], columns: Sequence[str] = ()) -> CycleCurves:
    """Curves of a table over gait cycles.

    Parameters
    ----------
    table
        Of any quantity over time.
    cycles_s
        Start and end of each cycle (heel strikes of one foot), s.
    columns
        Which columns; all unless given.

    Returns
    -------
    CycleCurves
        Of the cycles that the table covers without a gap longer than a fifth of a cycle.
    """
    names = tuple(columns) or table.columns
    picked = table.values[:, [table.columns.index(name) for name in names]]
    curves = []
    for start_s, end_s in cycles_s:
        at = np.linspace(start_s, end_s, CYCLE_POINTS)
        rows = slice(np.searchsorted(table.time_s, start_s, "right") - 1, np.searchsorted(table.time_s, end_s) + 1)
        covered = table.time_s[rows] if rows.start >= 0 and rows.stop <= len(table.time_s) else np.empty(0)
        if len(covered) < 2 or not end_s > start_s or np.diff(covered).max() > 0.2 * (end_s - start_s):
            continue
        curves.append([np.interp(at, covered, picked[rows, i]) for i in range(len(names))])
    cycles = np.array(curves).reshape(len(curves), len(names), CYCLE_POINTS).transpose(0, 2, 1)
    nothing = np.full((CYCLE_POINTS, len(names)), np.nan)
    mean = cycles.mean(axis=0) if len(cycles) else nothing
    sd = cycles.std(axis=0, ddof=1) if len(cycles) > 1 else nothing
    return CycleCurves(names, cycles, mean, sd)


def _rows(values: Sequence[FloatArray], skeleton: Skeleton) -> FloatArray:
    """(n, m) of states' values, which may be empty: not known."""
    nothing = np.full(len(skeleton.coordinates), np.nan)
    return np.array([row if len(row) else nothing for row in values]).reshape(len(values), len(skeleton.coordinates))


def _instants(states: Sequence[TwinState]) -> FloatArray:
    return np.array([s.time_s - s.moment_delay_s for s in states])


def _held(points: ArrayLike) -> FloatArray:
    """Rows that are not known take the last known one's values, or the first one's; zero where there is none."""
    held = np.array(points, dtype=float)
    known = np.flatnonzero(np.isfinite(held).all(axis=1))
    if not len(known):
        return np.zeros_like(held)
    last = known[np.maximum(np.searchsorted(known, np.arange(len(held)), "right") - 1, 0)]
    return held[last]
