"""Marker-based inverse kinematics: coordinates of the model from the places of markers on its bodies.

Minimises what OpenSim's own solver minimises: the weighted mean of squared distances between measured and
modelled markers (Simbody's Markers), and weighted squared distances of coordinates from wanted values, within
the coordinates' ranges. Gauss-Newton steps on Simbody's Jacobian, damped where they do not help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.errors import InputError
from gait_twin.recording.axes import cross, quat_rotate
from gait_twin.twin.kinematics import bounded_step
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]

STEP_TOLERANCE = 1e-6
"""Longest last step, rad or m."""
MAX_ITERATIONS = 100
WEAK_PRIOR = 1e-10
"""Information, relative to all markers', that keeps coordinates in place which no marker tells."""


@dataclass(frozen=True, slots=True)
class MarkerSolution:
    """Pose of one frame.

    Attributes
    ----------
    values
        (m,) coordinate values, rad or m.
    residuals_m
        (k,) distance of each measured from its modelled marker; NaN where none was measured.
    converged
        The last step was within tolerance.
    """

    values: FloatArray
    residuals_m: FloatArray
    converged: bool


@dataclass(frozen=True, slots=True)
class MarkerTasks:
    """Weights of an inverse kinematics, as OpenSim's setup files hold them.

    Attributes
    ----------
    markers
        Weight of each marker.
    coordinates
        Wanted value (rad or m; NaN for the model's default) and weight of coordinates.
    """

    markers: dict[str, float]
    coordinates: dict[str, tuple[float, float]]


def read_marker_tasks(path: str | Path) -> MarkerTasks:
    """Tasks of an OpenSim inverse kinematics setup (``InverseKinematicsTool``).

    Raises
    ------
    InputError
        Not such a file.
    """
    try:
        known = ElementTree.parse(path).getroot().find("InverseKinematicsTool") is not None
        tool = opensim.InverseKinematicsTool(str(path), False) if known else None
    except (OSError, ElementTree.ParseError, UnicodeDecodeError, RuntimeError):
        tool = None
    if tool is None:
        raise InputError(f"{path} is not a setup file of OpenSim's InverseKinematicsTool; give one.")
    tasks = tool.getIKTaskSet()
    markers: dict[str, float] = {}
    coordinates: dict[str, tuple[float, float]] = {}
    for i in range(tasks.getSize()):
        task = tasks.get(i)
        if not task.getApply():
            continue
        wanted = opensim.IKCoordinateTask.safeDownCast(task)
        if wanted is None:
            markers[task.getName()] = task.getWeight()
        else:
            manual = wanted.getValueType() == opensim.IKCoordinateTask.ManualValue
            coordinates[task.getName()] = (wanted.getValue() if manual else float("nan"), task.getWeight())
    return MarkerTasks(markers, coordinates)


def model_markers(model: opensim.Model) -> dict[str, tuple[str, FloatArray]]:
    """Body and place on it, (3,) m, of each marker of a model."""
    found = {}
    marker_set = model.getMarkerSet()
    for i in range(marker_set.getSize()):
        marker = marker_set.get(i)
        frame = marker.getParentFrame()
        place = frame.findTransformInBaseFrame().shiftFrameStationToBase(marker.get_location())
        found[marker.getName()] = (frame.findBaseFrame().getName(), place.to_numpy().copy())
    return found


class MarkerKinematics:
    """Tracks markers frame by frame, each frame from the pose of the last one.

    Parameters
    ----------
    skeleton
        The model; its state is left at the last solution.
    names
        k markers that are measured, of the model's.
    tasks
        Weights; 1 for each marker by default. Markers without a weight are not used.

    Attributes
    ----------
    names
        The markers in use.

    Raises
    ------
    InputError
        None of the markers is on the model.
    """

    def __init__(self, skeleton: Skeleton, names: list[str], tasks: MarkerTasks | None = None) -> None:
        self.skeleton = skeleton
        places = model_markers(skeleton.model)
        weights: Mapping[str, float] = dict.fromkeys(names, 1.0) if tasks is None else tasks.markers
        self.names = tuple(n for n in names if n in places and weights.get(n, 0.0) > 0.0)
        if not self.names:
            raise InputError(
                f"None of the measured markers ({', '.join(names[:5])}, …) is on the model, which has "
                f"{', '.join(list(places)[:5]) or 'none'}; add a marker set, or rename them."
            )
        self._columns = [names.index(n) for n in self.names]
        self._weight = np.array([weights[n] for n in self.names])
        self._weight /= self._weight.sum()
        self._bodies = sorted({places[n][0] for n in self.names})
        self._of = [self._bodies.index(places[n][0]) for n in self.names]
        self._points = np.array([places[n][1] for n in self.names])
        self._rows = skeleton.jacobian_rows(self._bodies)[self._of]
        self._free = np.flatnonzero(~skeleton.fixed)
        self._wanted = skeleton.default.copy()
        self._wish = np.zeros(len(self._wanted))
        for name, (value, weight) in (tasks.coordinates if tasks else {}).items():
            if name in skeleton.coordinates:
                index = skeleton.coordinates.index(name)
                self._wish[index] = weight
                if np.isfinite(value):
                    self._wanted[index] = value
        turns, shifts = skeleton.pelvis_joint()
        self._low, self._high = skeleton.low[self._free].copy(), skeleton.high[self._free].copy()
        root = np.isin(self._free, turns + shifts)
        self._low[root], self._high[root] = -np.inf, np.inf
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame is found from the default pose."""
        self._solved: FloatArray | None = None

    def solve(self, positions_m: ArrayLike) -> MarkerSolution:
        """Pose that fits one frame.

        Parameters
        ----------
        positions_m
            (k, 3) measured places of `names` as given, in OpenSim's ground, m; NaN where not measured.

        Raises
        ------
        InputError
            Fewer than three markers are measured.
        """
        measured = np.asarray(positions_m, dtype=float)[self._columns]
        seen = np.isfinite(measured).all(axis=1)
        if seen.sum() < 3:
            raise InputError(f"{int(seen.sum())} markers of the model are measured in a frame; at least 3 are needed.")
        weight = np.where(seen, self._weight, 0.0) / self._weight[seen].sum()
        measured = np.where(seen[:, None], measured, 0.0)
        if self._solved is None:
            self._solved = self._first_guess(measured, weight)
        solved, converged = self._minimise(self._solved, measured, weight)
        self._solved = solved
        self._pose(solved)
        distance = np.linalg.norm(measured - self._places()[0], axis=1)
        residuals = np.full(np.shape(positions_m)[0], np.nan)
        residuals[self._columns] = np.where(seen, distance, np.nan)
        return MarkerSolution(self.skeleton.values.copy(), residuals, converged)

    def _minimise(self, start: FloatArray, measured: FloatArray, weight: FloatArray) -> tuple[FloatArray, bool]:
        solved = np.clip(start, self._low, self._high)
        cost, normal, gradient = self._equations(solved, measured, weight)
        damping = 0.0
        for _ in range(MAX_ITERATIONS):
            damped = normal + damping * np.diag(np.diag(normal))
            step = bounded_step(damped, gradient, self._low - solved, self._high - solved)
            if float(np.abs(step).max()) < STEP_TOLERANCE:
                return solved + step, True
            new = self._equations(solved + step, measured, weight)
            if new[0] <= cost:
                solved, (cost, normal, gradient) = solved + step, new
                damping = 0.25 * damping if damping > 1e-4 else 0.0
            else:
                damping = max(4.0 * damping, 1e-3)
                if damping > 1e8:
                    break
        return solved, False

    def _equations(
        self, solved: FloatArray, measured: FloatArray, weight: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Cost, and Gauss-Newton's equations of the next step."""
        self._pose(solved)
        places, arms = self._places()
        error = measured - places
        full = self.skeleton.jacobian()
        turning = full[self._rows[:, :3]][:, :, self._free]
        moving = full[self._rows[:, 3:]][:, :, self._free]
        jacobian = moving + cross(turning.transpose(0, 2, 1), arms[:, None]).transpose(0, 2, 1)
        weighted = (weight[:, None, None] * jacobian).reshape(-1, len(solved))
        wish = self._wish[self._free] + WEAK_PRIOR
        off = self._wanted[self._free] - solved
        normal = weighted.T @ jacobian.reshape(-1, len(solved)) + np.diag(wish)
        gradient = error.ravel() @ weighted + (wish - WEAK_PRIOR) * off
        return float(weight @ np.sum(error**2, axis=1) + self._wish[self._free] @ off**2), normal, gradient

    def _places(self) -> tuple[FloatArray, FloatArray]:
        """(k, 3) places of the markers in ground, and from their bodies' origins, m."""
        arms = quat_rotate(self.skeleton.quaternions(self._bodies)[self._of], self._points)
        return arms + self.skeleton.origins(self._bodies)[self._of], arms

    def _pose(self, solved: FloatArray) -> None:
        values = self.skeleton.values.copy()
        values[self._free] = solved
        self.skeleton.set(values)

    def _first_guess(self, measured: FloatArray, weight: FloatArray) -> FloatArray:
        """The default pose, moved to the markers, in the best of four headings."""
        turns, shifts = self.skeleton.pelvis_joint()
        vertical = self._vertical(turns)
        default = np.clip(self.skeleton.default, self.skeleton.low, self.skeleton.high)
        guesses: list[tuple[float, int, FloatArray]] = []
        for heading in np.arange(4) * 0.5 * np.pi:
            values = default.copy()
            if vertical is not None:
                values[vertical] += heading - 2.0 * np.pi * (heading > np.pi)
            elif heading:
                break
            self.skeleton.set(values)
            rows = self.skeleton.jacobian()[self._rows[0, 3:]][:, shifts]
            values[shifts] += np.linalg.lstsq(rows, weight @ (measured - self._places()[0]), rcond=None)[0]
            found, _ = self._minimise(values[self._free], measured, weight)
            guesses.append((self._equations(found, measured, weight)[0], len(guesses), found))
        return min(guesses)[2]

    def _vertical(self, turns: list[int]) -> int | None:
        """The root's coordinate about the vertical; None for a planar model."""
        self.skeleton.set(self.skeleton.default)
        axes = self.skeleton.jacobian()[self._rows[0, 1]][turns]
        return turns[int(np.argmax(np.abs(axes)))] if len(turns) and np.abs(axes).max() > 0.9 else None
