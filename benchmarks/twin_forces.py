#!/usr/bin/env python3
"""Ground reactions and joint moments without force plates, against the plates.

Walks over force plates are turned into what ideal IMUs on the person's segments would give at 100 Hz: orientations of
all bodies, and specific force at the sacrum, from marker kinematics low-passed at 6 Hz. The twin takes these frames
one after the other, as it does live. Truth are the plates, and OpenSim's inverse dynamics with them on the model
that was scaled to the person by markers.

rRMSE is the root mean square error over the mean of both curves' ranges (Ren et al. 2008), the mean of left and
right; centres of pressure in mm along and across the foot, relative to the ankle. The walk of OpenSim's gait2354
example is always measured, others where ``--people`` names them in JSON (`force_walks.Person`): docs/twin.md says
which are reported there. Tables: every walk; what is worn; how the forces of the feet are told apart, also with the
plates' own events; what each part of the error costs; and how often moments lie within their standard deviations.

    python benchmarks/twin_forces.py --data ../shared/data [--people people.json] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from force_walks import FEET, TrueContacts, Walk, foot_frames, read_people
from rich.console import Console
from rich.table import Table as ConsoleTable

from gait_twin.recording import SEGMENTS
from gait_twin.twin import Twin, TwinSettings, build_default_model
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.dynamics import Wrench
from gait_twin.twin.ground import GroundPredictor, Reactions

LEGS = tuple(segment for segment in SEGMENTS if segment != "torso")
SETS = {
    "all eight": (SEGMENTS, True),
    "no trunk": (LEGS, True),
    "no feet": (tuple(segment for segment in SEGMENTS if not segment.startswith("calcn")), True),
    "no trunk, feet": (tuple(segment for segment in LEGS if not segment.startswith("calcn")), True),
    "no trunk, acc.": (LEGS, False),
}
"""What is worn, and whether the pelvis' accelerometer works."""
FORCES = {"vertical": 1, "fore_aft": 0, "lateral": 2}
MOMENTS = ("hip_flexion", "knee_angle", "ankle_angle", "hip_adduction")
PLANES = (*MOMENTS, "hip_rotation")
COLUMNS = (*FORCES, *MOMENTS, "cop_along_mm", "cop_across_mm", "confidence")
OURS, TRUE_ALL, TRUE_FORCE, TRUE_PRESSURE = "ours", "plates", "plates' forces", "plates' pressure"
LOADED = 0.1
"""Fraction of body weight from which a centre of pressure counts."""


class RenPredictor(GroundPredictor):
    """Double support by the smooth transition of Ren, Jones and Howard 2008 (J Biomech 41:2750-2759).

    The force of the foot behind falls off from what the body needs when the other one strikes; the foot in front
    takes what is left. While one foot stands, it takes everything. The centre of pressure stays ours.
    """

    def predict(self, time_s: float, forces: np.ndarray, contact: ContactTracker, *rest: object, **more: object):  # type: ignore[no-untyped-def,override]
        """Keep who is on the ground for `_aimed`."""
        self._transfer = contact.transfer(time_s)
        return super().predict(time_s, forces, contact, *rest, **more)  # type: ignore[arg-type]

    def _aimed(self, force: np.ndarray, *rest: np.ndarray) -> np.ndarray:  # type: ignore[override]
        share = rest[2]
        if self._transfer is None:
            self._struck = None
            return np.outer(share, force)
        front, x = self._transfer
        if getattr(self, "_struck", None) is None:
            self._struck = force.copy()
        t = 2.0 * x  # in halves of the double support
        k1 = np.exp(4.0 / 9.0)
        fore = k1 * np.exp(-((t - 2.0 / 3.0) ** 2)) - 0.5 * k1 * np.exp(-16.0 / 9.0) * t
        behind = self._struck * [fore, np.exp(-(t**3)), np.exp(-(t**3))]
        return np.array([force - behind, behind] if front == 0 else [behind, force - behind])


@dataclass
class Run:
    """What the twin says of a walk over its span, and what is true; feet right, left."""

    mass_kg: float
    coordinates: Sequence[str]
    time_s: list[float] = field(default_factory=list)
    force: list[np.ndarray] = field(default_factory=list)
    true_force: list[np.ndarray] = field(default_factory=list)
    pressure: list[np.ndarray] = field(default_factory=list)
    true_pressure: list[np.ndarray] = field(default_factory=list)
    share: list[np.ndarray] = field(default_factory=list)
    moments: dict[str, list[np.ndarray]] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    sd: np.ndarray = field(default_factory=lambda: np.empty(0))
    confidence: float = np.nan

    def of(self, name: str, variant: str = OURS) -> np.ndarray:
        """(n,) moment of a coordinate, N·m."""
        return np.array(self.moments[variant])[:, self.coordinates.index(name)]


def run(
    walk: Walk,
    model: object,
    segments: tuple[str, ...] = SEGMENTS,
    accelerometer: bool = True,
    *,
    ren: bool = False,
    events: bool = False,
) -> Run:
    """Follow a walk; `ren` shares double support as published, `events` takes contacts from the plates."""
    twin = Twin(model, segments, TwinSettings())
    estimator = twin._forces
    predictor = estimator._predictor
    assert predictor is not None
    if ren:
        predictor.__class__ = RenPredictor
    if events:
        estimator._contact = TrueContacts(walk)
    found = Run(walk.mass_kg, twin.coordinates)
    predict = predictor.predict

    def watched(time_s: float, forces: np.ndarray, *rest: object, **more: object) -> Reactions:
        reactions = predict(time_s, forces, *rest, **more)  # type: ignore[arg-type]
        if walk.span_s[0] <= time_s < walk.span_s[1]:
            note(found, walk, predictor, time_s, forces, reactions)
        return reactions

    predictor.predict = watched  # type: ignore[method-assign]
    states = {s.ground.time_s: s for s in twin.update(walk.frames(segments, accelerometer)) if s.ground is not None}
    mine = [states[t] for t in found.time_s]
    found.sd = np.array([state.moment_sd for state in mine])
    found.confidence = float(np.mean([s.ground.confidence for s in mine if s.ground is not None]))
    names = walk.skeleton.coordinates
    # gait2354 counts knee flexion negative, the default model positive
    senses = [np.abs(s.low[s.coordinates.index("knee_angle_r")]) > 1.0 for s in (twin.skeleton, walk.skeleton)]
    for name in (f"{joint}_{side}" for joint in PLANES for side in "rl"):
        sense = -1.0 if name.startswith("knee") and senses[0] != senses[1] else 1.0
        found.truth[name] = sense * np.interp(found.time_s, walk.time_s, walk.moments[:, names.index(name)])
    return found


def note(
    found: Run, walk: Walk, predictor: GroundPredictor, time_s: float, forces: np.ndarray, mine: Reactions
) -> None:
    """Keep an instant, with moments as they would be with the plates' forces, or pressure, in place of ours."""
    axes, ankles = foot_frames(predictor._skeleton)
    row = walk.at(time_s)
    force, local, torque = walk.force[row], walk.pressure[row], walk.torque[row]
    # where the plates have it, under the twin's foot: on a belt the foot moves in one world and stands in the other
    point = ankles + np.einsum("ka,kaj->kj", local, axes)
    point[:, 1] = 0.0
    none = np.zeros((2, 3))
    variants = {
        OURS: (mine.force, mine.point, none),
        TRUE_ALL: (force, point, torque),
        TRUE_FORCE: (force, mine.point, none),
        TRUE_PRESSURE: (mine.force, point, none),
    }
    dynamics = predictor._dynamics
    for name, parts in variants.items():
        wrenches = [Wrench(foot, *(part[i] for part in parts)) for i, foot in enumerate(FEET)]
        found.moments.setdefault(name, []).append(forces - dynamics.effect(wrenches))
    found.time_s.append(time_s)
    found.force.append(mine.force)
    found.true_force.append(force)
    found.pressure.append(np.einsum("kaj,kj->ka", axes, mine.point - ankles))
    found.true_pressure.append(local)
    found.share.append(mine.share)


def rrmse(found: np.ndarray, truth: np.ndarray) -> float:
    """Percent of the mean range."""
    return float(100.0 * np.sqrt(np.mean((found - truth) ** 2)) / (0.5 * (np.ptp(found) + np.ptp(truth))))


def figures(one: Run, variant: str = OURS) -> dict[str, float]:
    """`COLUMNS` of a walk."""
    force, truth = np.array(one.force), np.array(one.true_force)
    row = {n: float(np.mean([rrmse(force[:, k, a], truth[:, k, a]) for k in range(2)])) for n, a in FORCES.items()}
    for joint in MOMENTS:
        names = [f"{joint}_{side}" for side in "rl"]
        row[joint] = float(np.mean([rrmse(one.of(name, variant), one.truth[name]) for name in names]))
    off = np.array(one.pressure) - np.array(one.true_pressure)
    loaded = truth[:, :, 1] > LOADED * 9.81 * one.mass_kg
    for axis, name in enumerate(("cop_along_mm", "cop_across_mm")):
        row[name] = float(1e3 * np.sqrt(np.mean(off[loaded][:, axis] ** 2)))
    row["confidence"] = one.confidence
    return row


def measure(walk: Walk, model: object, segments: tuple[str, ...] = SEGMENTS) -> dict[str, float]:
    """`COLUMNS` of a walk that is followed with a model and a set of sensors."""
    return figures(run(walk, model, segments))


def within(runs: Iterable[Run]) -> list[dict[str, object]]:
    """How far moments are off against their standard deviations, by coordinate and phase; N·m/kg."""
    parts: dict[tuple[str, str], list[np.ndarray]] = {}
    for one in runs:
        down = np.array(one.share) > 0.0
        for k, side in enumerate("rl"):
            phases = {"single": down[:, k] & ~down[:, 1 - k], "double": down.all(axis=1), "swing": ~down[:, k]}
            for joint in PLANES:
                name = f"{joint}_{side}"
                sd = one.sd[:, one.coordinates.index(name)]
                for phase, use in phases.items():
                    pair = np.stack([one.of(name) - one.truth[name], sd], axis=1)[use] / one.mass_kg
                    parts.setdefault((joint, phase), []).append(pair)
    rows: list[dict[str, object]] = []
    for (joint, phase), pairs in parts.items():
        error, sd = np.abs(np.concatenate(pairs)).T
        rms = (float(np.sqrt(np.mean(values**2))) for values in (error, sd))
        shares = (float(100.0 * np.mean(error < times * sd)) for times in (1.0, 2.0))
        rows.append(
            dict(
                zip(
                    ("moment", "phase", "rms_error", "rms_sd", "within_1", "within_2"),
                    (joint, phase, *rms, *shares),
                    strict=True,
                )
            )
        )
    return rows


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each column."""
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


def show(title: str, rows: Sequence[dict[str, object]]) -> None:
    """Print a table."""
    table = ConsoleTable(*(str(name) for name in rows[0]), title=title)
    for row in rows:
        table.add_row(
            *(
                f"{value:.{2 if name in ('confidence', 'rms_error', 'rms_sd') else 1}f}"
                if isinstance(value, float)
                else str(value)
                for name, value in row.items()
            )
        )
    Console(width=200).print(table)


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--people", type=Path, help="JSON of further walks")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    walks = [("gait2354", "gait2354", Walk.of_markers(options.data / "opensim_gait" / "gait2354", 6.0))]
    people = read_people(options.people) if options.people else []
    walks += [(person.name, person.group, person.walk()) for person in people]
    groups = list(dict.fromkeys(group for _, group, _ in walks))
    models = {name: {"default": build_default_model(w.height_m, w.mass_kg), "own": w.model} for name, _, w in walks}
    written: dict[str, list[dict[str, object]]] = {}

    def table(key: str, title: str, rows: list[dict[str, object]]) -> None:
        show(title, rows)
        written[key] = rows

    def averaged(key: dict[str, object], *variant: str, **how: object) -> list[dict[str, object]]:
        """A row for each group, of a kind of run."""
        model = str(key.get("model", "default"))
        rows = []
        for group in groups:
            chosen = [figures(run(w, models[n][model], **how), *variant) for n, g, w in walks if g == group]  # type: ignore[arg-type]
            rows.append({"group": group, "walks": len(chosen), **key, **mean(chosen)})
        return rows

    runs = {(name, kind): run(walk, models[name][kind]) for name, _, walk in walks for kind in ("default", "own")}
    each = [
        {"walk": n, "group": g, "model": kind, **figures(runs[n, kind])}
        for kind in ("default", "own")
        for n, g, _ in walks
    ]
    table("walks", "rRMSE, %", each)
    budget: list[dict[str, object]] = []
    for group in groups:
        for kind in ("default", "own"):
            for variant in (OURS, TRUE_PRESSURE, TRUE_FORCE, TRUE_ALL):
                chosen = [figures(runs[n, kind], variant) for n, g, _ in walks if g == group]
                row = {name: value for name, value in mean(chosen).items() if name in MOMENTS or variant == OURS}
                budget.append(
                    {"group": group, "model": kind, "taken from": variant, **{c: row.get(c, "") for c in COLUMNS}}
                )
    table("budget", "What each part costs: rRMSE, %, with that part from the plates", budget)
    sd: list[dict[str, object]] = []
    for group in groups:
        sd += [{"group": group, **row} for row in within(runs[n, "default"] for n, g, _ in walks if g == group)]
    table("spread", "Moments against their standard deviations, N·m/kg and % of instants", sd)
    shared: list[dict[str, object]] = []
    for rule in ("geometric", "Ren"):
        for told in ("own", "plates'"):
            key: dict[str, object] = {"rule": rule, "events": told}
            shared += averaged(key, ren=rule == "Ren", events=told != "own")
    table("sharing", "Double support, by rule and events: rRMSE, %", shared)
    worn: list[dict[str, object]] = []
    for kind in ("default", "own"):
        for name, (segments, accelerometer) in SETS.items():
            worn += averaged({"model": kind, "worn": name}, segments=segments, accelerometer=accelerometer)
    table("worn", "What is worn: rRMSE, %", worn)
    if options.json:
        options.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
