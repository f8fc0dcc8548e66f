"""Estimated against true: events, gait parameters and joint coordinates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from gait_twin.recording import EventKind, GaitEvent, JointTrajectory, Side, Step, Stride, Truth
from gait_twin.service.matching import PAIR_TOLERANCE_S, clock_offset, match
from gait_twin.service.parameters import PARAMETERS, Parameter, Spread, value
from gait_twin.service.tables import in_shown_units, is_length

if TYPE_CHECKING:
    from gait_twin.service.results import Analysis

EVENT_TOLERANCE_S = 0.05
"""An event counts as found within this time of the true one."""
MOVES_DEG, MOVES_M = 1.0, 0.02
"""A coordinate with a smaller range does not move."""


@dataclass(frozen=True, slots=True)
class EventScore:
    """How well one kind of event of one side (None: both) was found.

    Attributes
    ----------
    error_ms
        Estimated minus true instant of the found events, ms.
    """

    kind: EventKind
    side: Side | None
    n_true: int
    n_estimated: int
    n_found: int
    error_ms: Spread

    @property
    def recall(self) -> float:
        """Found over true, 0-1."""
        return self.n_found / self.n_true if self.n_true else math.nan

    @property
    def precision(self) -> float:
        """Found over estimated, 0-1."""
        return self.n_found / self.n_estimated if self.n_estimated else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0-1."""
        total = self.n_true + self.n_estimated
        return 2 * self.n_found / total if total else math.nan


@dataclass(frozen=True, slots=True)
class ParameterScore:
    """One gait parameter over all strides or steps that have a true partner, in shown units.

    Attributes
    ----------
    error
        Estimated minus true, over `n` pairs.
    pairs
        (n, 2) estimated and true values.
    """

    parameter: Parameter
    estimated: Spread
    true: Spread
    error: Spread
    pairs: np.ndarray


@dataclass(frozen=True, slots=True)
class JointScore:
    """One coordinate over the instants that both trajectories have, ° or m.

    Attributes
    ----------
    rmse
        Root mean square of estimated minus true.
    rmse_aligned
        The same after a constant offset (the neutral pose taken at calibration) is removed.
    offset
        That offset.
    estimated_range, true_range
        Largest less smallest value.
    """

    coordinate: str
    unit: str
    n: int
    rmse: float
    rmse_aligned: float
    offset: float
    estimated_range: float
    true_range: float

    @property
    def moves(self) -> bool:
        """Whether both move: a locked or coupled coordinate says nothing of the estimate."""
        return min(self.estimated_range, self.true_range) > (MOVES_M if self.unit == "m" else MOVES_DEG)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that could be compared; empty tuples where there was no truth."""

    events: tuple[EventScore, ...]
    parameters: tuple[ParameterScore, ...]
    joints: tuple[JointScore, ...]
    clock_offset_s: float = 0.0
    """What was added to the reference's times, s; not zero where it has a clock of its own."""

    def __bool__(self) -> bool:
        return bool(self.events or self.parameters or self.joints)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for ``summary.json``."""
        return {
            "clock_offset_s": self.clock_offset_s,
            "events": [
                {
                    "event": str(score.kind),
                    "side": str(score.side) if score.side else "both",
                    "true": score.n_true,
                    "estimated": score.n_estimated,
                    "found": score.n_found,
                    "tolerance_s": EVENT_TOLERANCE_S,
                    "f1": score.f1,
                    "timing_error_mean_ms": score.error_ms.mean,
                    "timing_error_sd_ms": score.error_ms.sd,
                }
                for score in self.events
            ],
            "parameters": [
                {
                    "parameter": score.parameter.label,
                    "unit": score.parameter.unit,
                    "n": score.error.n,
                    "estimated_mean": score.estimated.mean,
                    "true_mean": score.true.mean,
                    "error_mean": score.error.mean,
                    "error_sd": score.error.sd,
                }
                for score in self.parameters
            ],
            "joints": [
                {
                    "coordinate": score.coordinate,
                    "unit": score.unit,
                    "rmse": score.rmse,
                    "rmse_without_offset": score.rmse_aligned,
                    "offset": score.offset,
                }
                for score in self.joints
            ],
        }


def _score_events(
    estimated: Sequence[GaitEvent], true: Sequence[GaitEvent], tolerance_s: float
) -> tuple[EventScore, ...]:
    scores: list[EventScore] = []
    for kind in EventKind:
        errors: list[float] = []
        counts = np.zeros(3, dtype=int)
        for side in Side:
            found = [event.time_s for event in estimated if event.kind is kind and event.side is side]
            wanted = [event.time_s for event in true if event.kind is kind and event.side is side]
            if not wanted:
                continue  # the reference does not say anything about this foot
            pairs = match(found, wanted, tolerance_s)
            errors += [1000 * (found[i] - wanted[j]) for i, j in pairs]
            counts += (len(wanted), len(found), len(pairs))
        if counts[0]:
            n_true, n_estimated, n_found = map(int, counts)
            scores.append(EventScore(kind, None, n_true, n_estimated, n_found, Spread.of(errors)))
    return tuple(scores)


def _pair(estimated: Sequence[Any], true: Sequence[Any], instant: str) -> list[tuple[Any, Any]]:
    """Strides or steps of the same side whose instants agree."""
    pairs: list[tuple[Any, Any]] = []
    for side in Side:
        ours = [item for item in estimated if item.side is side]
        theirs = [item for item in true if item.side is side]
        times = [getattr(item, instant) for item in ours], [getattr(item, instant) for item in theirs]
        pairs += [(ours[i], theirs[j]) for i, j in match(*times, PAIR_TOLERANCE_S)]
    return pairs


def _score_parameters(strides: Sequence[Stride], steps: Sequence[Step], truth: Truth) -> tuple[ParameterScore, ...]:
    # a stride with a missed heel strike ends where a true one does but begins elsewhere: not the same stride
    stride_pairs = [
        (ours, theirs)
        for ours, theirs in _pair(strides, truth.strides, "end_s")
        if abs(ours.start_s - theirs.start_s) <= PAIR_TOLERANCE_S
    ]
    step_pairs = _pair(steps, truth.steps, "time_s")
    scores = []
    for parameter in PARAMETERS:
        candidates = step_pairs if parameter.of_step else stride_pairs
        values = np.array([(value(ours, parameter), value(theirs, parameter)) for ours, theirs in candidates]).reshape(
            -1, 2
        )
        known = values[np.isfinite(values).all(axis=1)]
        if len(known):
            scores.append(
                ParameterScore(
                    parameter,
                    Spread.of(known[:, 0]),
                    Spread.of(known[:, 1]),
                    Spread.of(known[:, 0] - known[:, 1]),
                    known,
                )
            )
    return tuple(scores)


def along_the_walk(joints: JointTrajectory) -> JointTrajectory:
    """Pelvis angles relative to where the person walks.

    OpenSim's gait models tilt and list about axes of the ground and rotate last, so that both change sign
    on the way back. Here rotation comes first, as in Baker (2001), Human Movement Science 20(1-2):61-78.
    """
    names = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")
    if not set(names) <= set(joints.coordinates):
        return joints
    columns = [joints.coordinates.index(name) for name in names]
    positions = joints.positions.copy()
    known = np.isfinite(positions[:, columns]).all(axis=1)
    if known.any():
        turned = Rotation.from_euler("ZXY", positions[known][:, columns]).as_euler("YXZ")
        for column, angles in zip(columns, turned.T[::-1], strict=True):
            positions[known, column] = angles
    return JointTrajectory(joints.time_s, joints.coordinates, positions)


def score_joints(estimated: JointTrajectory, true: JointTrajectory) -> tuple[JointScore, ...]:
    """Compare the coordinates that both trajectories name, at the estimate's instants within the truth's.

    Pelvis angles are compared along the walk, so that worlds that only differ in heading agree.
    """
    estimated, true = along_the_walk(estimated), along_the_walk(true)
    inside = (estimated.time_s >= true.time_s[0]) & (estimated.time_s <= true.time_s[-1])
    ours, theirs = in_shown_units(estimated)[inside], in_shown_units(true)
    scores = []
    for column, name in enumerate(estimated.coordinates):
        if name not in true.coordinates:
            continue
        reference = theirs[:, true.coordinates.index(name)]
        length = is_length(name)
        if not length:
            reference = np.degrees(np.unwrap(np.radians(reference)))  # so that it can be interpolated
        wanted = np.interp(estimated.time_s[inside], true.time_s, reference)
        error = ours[:, column] - wanted
        error = error[np.isfinite(error)]
        if len(error):
            if not length:  # whole turns between the two are no error
                error = np.degrees(np.unwrap(np.radians(error)))
                error -= 360.0 * np.round(error.mean() / 360.0)
            offset = float(error.mean())
            scores.append(
                JointScore(
                    coordinate=name,
                    unit="m" if length else "°",
                    n=len(error),
                    rmse=float(np.sqrt(np.mean(error**2))),
                    rmse_aligned=float(error.std()),
                    offset=offset,
                    estimated_range=float(np.nanmax(ours[:, column]) - np.nanmin(ours[:, column])),
                    true_range=float(np.ptp(wanted)),
                )
            )
    return tuple(scores)


def _on_our_clock(truth: Truth, strides: Sequence[Stride]) -> tuple[Truth, float]:
    """Move a reference that has strides but no events, such as a walkway's table, onto the sensors' clock."""
    if truth.events or not truth.strides or not strides:
        return truth, 0.0
    offset = clock_offset(strides, truth.strides)
    moved = [
        dataclasses.replace(s, start_s=s.start_s + offset, end_s=s.end_s + offset, toe_off_s=s.toe_off_s + offset)
        for s in truth.strides
    ]
    steps = [dataclasses.replace(s, time_s=s.time_s + offset) for s in truth.steps]
    return dataclasses.replace(truth, strides=tuple(moved), steps=tuple(steps)), offset


def compare(analysis: Analysis, truth: Truth | None = None) -> Comparison:
    """Compare an analysis with what is known to be true of its recording.

    Parameters
    ----------
    analysis
        What was estimated.
    truth
        Reference; by default the one that the recording brings along. One with strides but without events
        (the table of a walkway or treadmill) is taken to have a clock of its own; see `clock_offset`.

    Returns
    -------
    Comparison
        Empty (and false) when there is no truth. Only strides and steps with a true partner within
        `PAIR_TOLERANCE_S` enter the parameters; what was missed shows in the events.
    """
    truth = truth or analysis.recording.truth
    if truth is None:
        return Comparison((), (), ())
    truth, offset_s = _on_our_clock(truth, analysis.strides)
    joints: tuple[JointScore, ...] = ()
    if analysis.joints is not None and truth.joints is not None and len(truth.joints.time_s):
        joints = score_joints(analysis.joints, truth.joints)
    return Comparison(
        _score_events(analysis.events, truth.events, EVENT_TOLERANCE_S),
        _score_parameters(analysis.strides, analysis.steps, truth),
        joints,
        offset_s,
    )
