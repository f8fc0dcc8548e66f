"""Streaming inverse kinematics: coordinates of the model from orientations of its bodies.

Minimises what OpenSim's own solver minimises, the weighted sum of squared angles between measured and
modelled orientations (Simbody's OrientationSensors), over the coordinates within their ranges, by
Gauss-Newton on Simbody's Jacobian. Each frame starts from the previous one, so that one or two iterations
converge; a far start (the first frame, after a gap) is damped as by Levenberg and Marquardt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.recording.axes import quat_conjugate
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STEP_TOLERANCE_RAD = 1e-4
"""Largest last step: what is left after it is of second order, below 0.001°."""
FAR_STEP_RAD = 0.3
"""A longer step is damped, and must lower the cost."""
MAX_ITERATIONS = 60
WEAK_PRIOR = 1e-9
"""Information (1/rad²) that keeps the normal equations regular and moves a measured coordinate by < 1e-6°."""
CARRY_PRIOR = 1e-2
"""Information for a coordinate that the present sensors leave open: a sensor's counts 1."""
WELL_MEASURED = 0.05
"""Information below which a coordinate counts as left open, such as knee and ankle without a shank sensor."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Pose of one frame.

    Attributes
    ----------
    values
        (m,) coordinate values, rad or m; never NaN.
    residuals_rad
        (k,) angle between each measured and modelled orientation; NaN where none was measured.
    measured
        (m,) bool: the sensors determine the coordinate; else it is locked, or carried by its prior.
    converged
        The last step was within tolerance.
    iterations
        Steps taken.
    """

    values: FloatArray
    residuals_rad: FloatArray
    measured: BoolArray
    converged: bool
    iterations: int


class InverseKinematics:
    """Tracks orientations of bodies frame by frame.

    Parameters
    ----------
    skeleton
        The model; its state is left at the last solution.
    bodies
        k bodies whose orientations are measured.
    weights
        (k,) weight of each sensor's squared angle; 1 each by default.
    hold_s, relax_s
        How long a coordinate that nothing measures any more keeps its last value, and the time constant
        with which it then returns to its default.

    Notes
    -----
    Left out of the search: locked, prescribed and coupled coordinates, translations of the joint to ground
    (orientations do not tell them; the twin sets them), and coordinates that move no measured body, which
    keep their default. Ranges of clamped coordinates are kept, as OpenSim does, but for the joint to
    ground: a person may turn around whatever range the model's author thought of.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        bodies: Sequence[str],
        weights: ArrayLike | None = None,
        *,
        hold_s: float = 0.5,
        relax_s: float = 0.5,
    ) -> None:
        self.skeleton = skeleton
        self.bodies = tuple(bodies)
        self.weights = np.ones(len(self.bodies)) if weights is None else np.array(weights, dtype=float)
        self._hold_s, self._relax_s = hold_s, relax_s
        turns, self.root_translations = skeleton.pelvis_joint()
        rows = skeleton.jacobian_rows(self.bodies)[:, :3].ravel()
        # the default pose may be singular for a coordinate; a slightly bent one is not
        skeleton.set(np.clip(skeleton.default + 0.1, skeleton.low, skeleton.high))
        moved = np.abs(skeleton.jacobian()[rows]).max(axis=0, initial=0.0) > 1e-9
        moved &= ~skeleton.fixed
        moved[self.root_translations] = False
        self.free = np.flatnonzero(moved)
        self._rows = rows
        # the joint to ground: no limits, and nothing to relax to in heading
        self._low, self._high = skeleton.low[self.free].copy(), skeleton.high[self.free].copy()
        root = np.isin(self.free, turns)
        self._low[root], self._high[root] = -np.inf, np.inf
        self._heading = root & (np.abs(skeleton.jacobian()[rows[1]][self.free]) > 0.9)
        self._information_cache: dict[bytes, tuple[BoolArray, FloatArray]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame is found from the default pose."""
        self.skeleton.set(self.skeleton.default)
        self._prior = self.skeleton.default[self.free].copy()
        self._unmeasured_s = np.zeros(len(self.free))
        self._previous: FloatArray | None = None
        self._time_s = float("nan")

    def solve(self, time_s: float, quats: ArrayLike, weights: ArrayLike | None = None) -> Solution:
        """Coordinates that fit one frame.

        Parameters
        ----------
        time_s
            Instant, s; only differences matter, for what is carried over gaps.
        quats
            (k, 4) measured orientations, scalar first, rotating body axes into OpenSim's ground; NaN where
            not measured.
        weights
            (k,) factors on the sensors' weights for this frame.
        """
        measured = np.array(quats, dtype=float)
        weight = self.weights if weights is None else self.weights * np.asarray(weights, dtype=float)
        seen = np.isfinite(measured).all(axis=1) & (weight > 0.0)
        measured[~seen] = (1.0, 0.0, 0.0, 0.0)
        weight = np.where(seen, weight, 0.0)
        self._age(time_s)

        skeleton, free = self.skeleton, self.free
        start = skeleton.values.copy()
        if self._previous is None and seen.any():
            start[free] = self._first_guess(start, measured, weight)
        well, information = self._information(start, seen)
        problem = _Problem(self, measured, np.repeat(np.sqrt(weight), 3), information)
        values, residual, converged, iterations = problem.minimise(start)

        solved = values[free]
        self._prior = np.where(well, solved, self._prior)
        self._unmeasured_s[well] = 0.0
        self._previous = solved
        angles = np.where(seen, np.linalg.norm(residual.reshape(-1, 3), axis=1), np.nan)
        flags = np.zeros(len(values), dtype=bool)
        flags[free] = well
        return Solution(values, angles, flags, converged, iterations)

    def _age(self, time_s: float) -> None:
        """Let priors of coordinates that have not been measured for long return to their defaults."""
        elapsed = time_s - self._time_s if time_s > self._time_s else 0.0
        self._time_s = time_s
        self._unmeasured_s += elapsed
        stale = (self._unmeasured_s > self._hold_s) & ~self._heading
        if stale.any():
            default = self.skeleton.default[self.free]
            back = default + (self._prior - default) * np.exp(-elapsed / self._relax_s)
            self._prior = np.where(stale, back, self._prior)

    def _information(self, values: FloatArray, seen: BoolArray) -> tuple[BoolArray, FloatArray]:
        """Which free coordinates the seen sensors determine, and the prior's information on each.

        A property of the model and of who is there, so it is found once for each set of sensors, in a
        slightly bent pose.
        """
        key = seen.tobytes()
        if key not in self._information_cache:
            skeleton = self.skeleton
            bent = skeleton.default.copy()
            bent[self.free] = np.clip(skeleton.default[self.free] + 0.1, self._low, self._high)
            skeleton.set(bent)
            jacobian = skeleton.jacobian()[self._rows[np.repeat(seen, 3)]][:, self.free]
            skeleton.set(values)
            spread = np.diag(np.linalg.inv(jacobian.T @ jacobian + WEAK_PRIOR * np.eye(len(self.free))))
            well = 1.0 / spread > WELL_MEASURED
            self._information_cache[key] = well, np.where(well, WEAK_PRIOR, CARRY_PRIOR)
        return self._information_cache[key]

    def _first_guess(self, values: FloatArray, measured: FloatArray, weight: FloatArray) -> FloatArray:
        """Turn the default pose by each quarter turn; start from the heading that fits best."""
        best, guess = np.inf, values[self.free]
        for turn in (0.0, 0.5 * np.pi, np.pi, -0.5 * np.pi):
            trial = values.copy()
            trial[self.free[self._heading]] = turn
            self.skeleton.set(trial)
            cost = float(weight.repeat(3) @ _errors(measured, self.skeleton.quaternions(self.bodies)) ** 2)
            if cost < best - 1e-9:
                best, guess = cost, trial[self.free]
        return guess


class _Problem:
    """Least squares of one frame."""

    def __init__(
        self, owner: InverseKinematics, measured: FloatArray, root_weight: FloatArray, information: FloatArray
    ):
        self.o, self.measured, self.root_weight, self.information = owner, measured, root_weight, information

    def evaluate(self, values: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Rotation vectors from model to measurement, offset from the prior, and cost."""
        o = self.o
        o.skeleton.set(values)
        error = _errors(self.measured, o.skeleton.quaternions(o.bodies))
        offset = o._prior - values[o.free]
        weighted = error * self.root_weight
        return error, offset, float(weighted @ weighted + self.information @ offset**2)

    def minimise(self, start: FloatArray) -> tuple[FloatArray, FloatArray, bool, int]:
        o = self.o
        values = start.copy()
        # a range may begin beyond where an unclamped past left the coordinate
        values[o.free] = np.clip(values[o.free], o._low, o._high)
        error, offset, cost = self.evaluate(values)
        damping = 0.0
        for iteration in range(1, MAX_ITERATIONS + 1):
            jacobian = o.skeleton.jacobian()[o._rows][:, o.free]
            weighted = jacobian * self.root_weight[:, None]
            normal = weighted.T @ weighted
            normal.flat[:: len(offset) + 1] += self.information
            gradient = weighted.T @ (error * self.root_weight) + self.information * offset
            while True:
                step = self._bounded_step(normal, gradient, damping, values[o.free])
                longest = float(np.abs(step).max(initial=0.0))
                if longest < STEP_TOLERANCE_RAD:
                    values[o.free] += step
                    o.skeleton.set(values)
                    return o.skeleton.values.copy(), error - jacobian @ step, True, iteration
                trial = values.copy()
                trial[o.free] += step
                new_error, new_offset, new_cost = self.evaluate(trial)
                if longest < FAR_STEP_RAD or new_cost < cost:
                    break
                damping = max(4.0 * damping, 1e-2)
            damping = 0.0 if damping < 1e-3 else 0.25 * damping
            values, error, offset, cost = trial, new_error, new_offset, new_cost
        return o.skeleton.values.copy(), error, False, MAX_ITERATIONS

    def _bounded_step(self, normal: FloatArray, gradient: FloatArray, damping: float, at: FloatArray) -> FloatArray:
        """Newton step that stays within the ranges: what would leave its range goes to the bound, and the
        others are solved for again."""
        o = self.o
        if damping:
            normal = normal + damping * np.eye(len(at))
        step: FloatArray = np.linalg.solve(normal, gradient)
        target = at + step
        outside = (target < o._low) | (target > o._high)
        if not outside.any():
            return step
        bound = np.zeros(len(at), dtype=bool)
        while (outside & ~bound).any():
            bound |= outside
            step = np.where(bound, np.clip(target, o._low, o._high) - at, 0.0)
            inner = ~bound
            rest = gradient[inner] - normal[np.ix_(inner, bound)] @ step[bound]
            step[inner] = np.linalg.solve(normal[np.ix_(inner, inner)], rest)
            target = at + step
            outside = (target < o._low - 1e-12) | (target > o._high + 1e-12)
        return step


def _errors(measured: FloatArray, modelled: FloatArray) -> FloatArray:
    """(3k,) rotation vectors, in ground, that turn modelled (k, 4) onto measured (k, 4) orientations."""
    aw, av = measured[:, :1], measured[:, 1:]
    c = quat_conjugate(modelled)
    bw, bv = c[:, :1], c[:, 1:]
    w = (aw * bw)[:, 0] - np.einsum("ij,ij->i", av, bv)
    cross = av[:, [1, 2, 0]] * bv[:, [2, 0, 1]] - av[:, [2, 0, 1]] * bv[:, [1, 2, 0]]
    xyz = aw * bv + bw * av + cross
    length = np.sqrt(np.einsum("ij,ij->i", xyz, xyz))
    angle = 2.0 * np.arctan2(length, np.abs(w))
    factor = np.where(length > 1e-9, angle / np.maximum(length, 1e-9), 2.0) * np.where(w < 0.0, -1.0, 1.0)
    return (xyz * factor[:, None]).ravel()
