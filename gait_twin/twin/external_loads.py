"""Measured ground reactions in OpenSim's files: an external loads setup and its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.twin.dynamics import Wrench
from gait_twin.twin.storage import Table, read_table

FloatArray = NDArray[np.float64]

_AXES = "xyz"


@dataclass(frozen=True, slots=True)
class ExternalLoads:
    """Wrenches over time, in OpenSim's ground.

    Attributes
    ----------
    time_s
        (n,) instants, s.
    bodies
        b bodies that are acted on.
    force, point, torque
        (n, b, 3) N, m and N·m; zero where the file has none.
    """

    time_s: FloatArray
    bodies: tuple[str, ...]
    force: FloatArray
    point: FloatArray
    torque: FloatArray

    def table(self) -> Table:
        """As OpenSim's table ``ground_reactions.mot``, of right and left foot."""
        columns: list[str] = []
        values = []
        for i, letter in enumerate("rl"):
            for name, part in (("force", "v"), ("force", "p"), ("torque", "")):
                columns += [f"ground_{name}_{letter}_{part}{axis}" for axis in _AXES]
            values += [self.force[:, i], self.point[:, i], self.torque[:, i]]
        return Table(self.time_s, tuple(columns), np.hstack(values))

    def at(self, time_s: float) -> list[Wrench]:
        """Wrenches at one instant, linear between measurements.

        Raises
        ------
        InputError
            An instant that was not measured.
        """
        if not self.time_s[0] <= time_s <= self.time_s[-1]:
            raise InputError(
                f"External loads are known from {self.time_s[0]:.3f} s to {self.time_s[-1]:.3f} s, "
                f"not at {time_s:.3f} s."
            )
        after = int(np.clip(np.searchsorted(self.time_s, time_s), 1, len(self.time_s) - 1))
        share = (time_s - self.time_s[after - 1]) / (self.time_s[after] - self.time_s[after - 1])

        def between(values: FloatArray) -> FloatArray:
            return (1.0 - share) * values[after - 1] + share * values[after]

        force, point, torque = (between(values) for values in (self.force, self.point, self.torque))
        return [Wrench(body, force[i], point[i], torque[i]) for i, body in enumerate(self.bodies)]


def read_external_loads(setup: str | Path, table: str | Path | None = None) -> ExternalLoads:
    """Read an ``ExternalLoads`` setup and the table of forces that it names.

    Parameters
    ----------
    setup
        The XML file.
    table
        The ``.mot`` or ``.sto``; the one that the setup names, beside it, unless given.

    Raises
    ------
    InputError
        Not such a file; columns that are not there; forces or points that are not expressed in ground.
    """
    setup = Path(setup)
    try:
        loads = ElementTree.parse(setup).getroot().find("ExternalLoads")
    except (OSError, ElementTree.ParseError, UnicodeDecodeError):
        loads = None
    if loads is None:
        raise InputError(f"{setup} is not a setup file of OpenSim's ExternalLoads; give one.")
    data = read_table(table or setup.parent / _text(loads, "datafile"))
    if len(data.time_s) < 2 or not (np.diff(data.time_s) > 0.0).all():
        raise InputError(f"The table of {setup} has to hold at least two rows of increasing time.")
    bodies, parts = [], []
    for force in loads.iter("ExternalForce"):
        if _text(force, "isDisabled") == "true" or _text(force, "appliesForce") == "false":
            continue
        for frame in ("force_expressed_in_body", "point_expressed_in_body"):
            if _text(force, frame) not in ("ground", "/ground", ""):
                raise InputError(f"{setup}: {frame} is {_text(force, frame)!r}; express external loads in ground.")
        bodies.append(_text(force, "applied_to_body").rsplit("/", 1)[-1])
        parts.append(
            [_vectors(data, _text(force, f"{name}_identifier"), setup) for name in ("force", "point", "torque")]
        )
    if not bodies:
        raise InputError(f"{setup} holds no force that is applied; check isDisabled.")
    force, point, torque = np.array(parts).transpose(1, 2, 0, 3)
    return ExternalLoads(data.time_s, tuple(bodies), force, point, torque)


PREFIXES = (
    ("ground_force_r_", "ground_torque_r_", "ground_force_l_", "ground_torque_l_"),
    ("R_ground_force_", "R_ground_torque_", "L_ground_force_", "L_ground_torque_"),
    ("ground_force_", "ground_torque_", "1_ground_force_", "1_ground_torque_"),
    ("ground_force_1_", "ground_torque_1_", "ground_force_2_", "ground_torque_2_"),
    ("1_ground_force_", "1_ground_torque_", "2_ground_force_", "2_ground_torque_"),
)
"""How columns of right and left foot begin in tables that are in use; where only numbers tell the feet apart, the
first is the right one, as in OpenSim's examples."""


def read_ground_reactions(
    path: str | Path, start_s: float = 0.0, feet: tuple[str, str] = ("calcn_r", "calcn_l")
) -> ExternalLoads:
    """Ground reactions on right and left foot, from a table alone or from an external loads setup.

    Parameters
    ----------
    path
        A ``.mot`` or ``.sto`` with ``ground_force_r_vx … pz`` and so on (other usual names are known too), or the
        XML of an ``ExternalLoads`` setup.
    start_s
        Added to its times, s.
    feet
        Bodies of right and left foot.

    Raises
    ------
    InputError
        Not such a file, or one that does not tell the feet's forces.
    """
    if Path(path).suffix.lower() == ".xml":
        loads = read_external_loads(path)
        if set(loads.bodies) != set(feet):
            raise InputError(f"{path} acts on {', '.join(loads.bodies)}; it has to act on {' and '.join(feet)} alone.")
        order = [loads.bodies.index(foot) for foot in feet]
        force, point, torque = (part[:, order] for part in (loads.force, loads.point, loads.torque))
        return ExternalLoads(loads.time_s + start_s, feet, force, point, torque)
    data = read_table(path)
    if len(data.time_s) < 2 or not (np.diff(data.time_s) > 0.0).all():
        raise InputError(f"{path} has to hold at least two rows of increasing time.")
    for names in PREFIXES:
        if f"{names[0]}vx" in data.columns and f"{names[2]}vx" in data.columns:
            break
    else:
        wanted = " or ".join(f"{names[0]}vx with {names[2]}vx" for names in PREFIXES)
        raise InputError(
            f"{path} has no columns of right and left foot: name them {wanted} and so on, or give the setup file "
            "(.xml) that names them."
        )
    parts = []
    for force_name, torque_name in (names[:2], names[2:]):
        # a table may leave free moments out
        free = f"{torque_name}x" in data.columns
        identifiers = (f"{force_name}v", f"{force_name}p", torque_name if free else "")
        parts.append([_vectors(data, identifier, Path(path)) for identifier in identifiers])
    force, point, torque = np.array(parts).transpose(1, 2, 0, 3)
    return ExternalLoads(data.time_s + start_s, feet, force, point, torque)


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _vectors(data: Table, identifier: str, setup: Path) -> FloatArray:
    """(n, 3) of three columns; zero without an identifier."""
    if identifier in ("", "Unassigned"):
        return np.zeros((len(data.time_s), 3))
    names = [identifier + axis for axis in _AXES]
    missing = [name for name in names if name not in data.columns]
    if missing:
        raise InputError(f"{setup} names {identifier!r}, but its table has no column {missing[0]!r}.")
    return np.column_stack([data[name] for name in names])
