"""Streaming inverse kinematics: coordinates of the model from orientations of its bodies.

Minimises what OpenSim's own solver minimises, the weighted sum of squared angles between measured and
modelled orientations (Simbody's OrientationSensors), over the coordinates within their ranges. Newton steps
on Simbody's Jacobian: turning about axis i turns every axis j beyond it by i × j, which gives the second
derivatives for nothing but a cross product, so that steps converge fast however much the sensors disagree.
Each frame starts where the last two point to. A far start (the first frame, after a gap) takes
Gauss-Newton steps, damped as by Levenberg and Marquardt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STEP_TOLERANCE_RAD = 5e-4
"""Longest last step: what it leaves is of higher order, some 1e-6 rad."""
FAR_RAD = 0.5
"""Longest step and largest residual of an undamped Newton step."""
MAX_ITERATIONS = 60
GOOD_FIT_RAD = 0.1
"""Root mean square angle below which a minimum found from afar is taken for the right one."""
WEAK_PRIOR = 1e-9
"""Information, 1/rad², that keeps the equations regular and moves a measured coordinate by < 1e-6°."""
CARRY_PRIOR = 1e-3
"""Information on a coordinate that the present sensors leave open; a sensor's counts 1."""
WELL_MEASURED = 0.05
"""Information below which a coordinate counts as left open, as knee and ankle without a shank sensor."""
EXTRAPOLATE_S = 0.05
"""Longest step between frames over which the motion is extrapolated."""


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

    Attributes
    ----------
    free
        Indices of the n coordinates that are searched for.
    root_translations
        Indices of the translations of the joint to ground.
    can_turn
        The joint to ground has a coordinate about the vertical; a planar model's has not.

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
        self._rows = skeleton.jacobian_rows(self.bodies)[:, :3].ravel()
        # a pose in which no coordinate is singular by chance; some models stand with straight, singular knees
        self._bent = np.clip(skeleton.default + 0.1, skeleton.low, skeleton.high)
        skeleton.set(self._bent)
        full = skeleton.jacobian()[self._rows]
        moved = (np.abs(full) > 1e-9).any(axis=0) & ~skeleton.fixed
        moved[self.root_translations] = False
        self.free = np.flatnonzero(moved)
        self._low, self._high = skeleton.low[self.free].copy(), skeleton.high[self.free].copy()
        root = np.isin(self.free, turns)
        self._low[root], self._high[root] = -np.inf, np.inf
        # beyond a right angle of the middle one, three angles describe the same pose a second time
        middle = np.isin(self.free, turns[1:2]) if len(turns) == 3 else np.zeros_like(root)
        self._low[middle], self._high[middle] = -0.5 * np.pi, 0.5 * np.pi
        self._heading = root & (np.abs(full[1, self.free]) > 0.9)  # about the vertical
        self.can_turn = bool(self._heading.any())
        self._order = self._chain_order()
        self._by_sensors: dict[bytes, tuple[BoolArray, FloatArray]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame is found from the default pose."""
        self.skeleton.set(self.skeleton.default)
        self._prior = self.skeleton.default[self.free].copy()
        self._unmeasured_s = np.zeros(len(self.free))
        self._solved: FloatArray | None = None
        self._rate: FloatArray | None = None
        self._usual = 0.0
        self._time_s = float("nan")

    def solve(self, time_s: float, quats: ArrayLike, weights: ArrayLike | None = None) -> Solution:
        """Coordinates that fit one frame.

        Parameters
        ----------
        time_s
            Instant, s; only differences matter.
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
        elapsed = time_s - self._time_s if time_s > self._time_s else 0.0
        self._time_s = time_s
        self._age(elapsed)

        well, information = self._information(seen)
        frame = _Frame(self, measured, np.sqrt(np.where(seen, weight, 0.0)), information)
        found = None
        if self._solved is not None:
            start = self._solved
            if self._rate is not None and elapsed < EXTRAPOLATE_S:
                start = start + elapsed * np.where(well, self._rate, 0.0)
            found = frame.minimise(start)
        if found is None or found.jump > self._usual + FAR_RAD:
            found = self._search(frame, found)
        solved, error = found.solved, found.error
        self._usual = float(np.abs(error[seen]).max(initial=0.0))
        self._pose(solved)
        self._rate = (solved - self._solved) / elapsed if self._solved is not None and elapsed > 0.0 else None
        self._solved = solved
        self._prior = np.where(well, solved, self._prior)
        self._unmeasured_s[well] = 0.0

        flags = np.zeros(len(self.skeleton.coordinates), dtype=bool)
        flags[self.free] = well
        angles = np.where(seen, np.linalg.norm(error, axis=1), np.nan)
        return Solution(self.skeleton.values.copy(), angles, flags, found.converged, found.iterations)

    def _pose(self, solved: FloatArray) -> None:
        values = self.skeleton.values.copy()
        values[self.free] = solved
        self.skeleton.set(values)

    def _unwind(self, solved: FloatArray) -> FloatArray:
        """Without whole turns beyond the last pose."""
        last = self.skeleton.default[self.free] if self._solved is None else self._solved
        turns = np.round((solved - last) / (2.0 * np.pi)) * self.skeleton.rotational[self.free]
        return solved - 2.0 * np.pi * turns

    def _age(self, elapsed_s: float) -> None:
        """Let priors of coordinates that have not been measured for long return to their defaults."""
        self._unmeasured_s += elapsed_s
        # a heading has no neutral value to return to
        stale = (self._unmeasured_s > self._hold_s) & ~self._heading
        if stale.any():
            default = self.skeleton.default[self.free]
            back = default + (self._prior - default) * np.exp(-elapsed_s / self._relax_s)
            self._prior = np.where(stale, back, self._prior)

    def _information(self, seen: BoolArray) -> tuple[BoolArray, FloatArray]:
        """Which free coordinates the seen sensors determine, and the prior's information on each.

        A property of the model and of who is there: found once for each set of sensors.
        """
        key = seen.tobytes()
        if key not in self._by_sensors:
            now = self.skeleton.values
            self.skeleton.set(self._bent)
            jacobian = self.skeleton.jacobian()[self._rows[np.repeat(seen, 3)]][:, self.free]
            self.skeleton.set(now)
            spread = np.linalg.inv(jacobian.T @ jacobian + WEAK_PRIOR * np.eye(len(self.free))).diagonal()
            well = spread < 1.0 / WELL_MEASURED
            self._by_sensors[key] = well, np.where(well, WEAK_PRIOR, CARRY_PRIOR)
        return self._by_sensors[key]

    def _chain_order(self) -> FloatArray:
        """(n, n) 1 where the row's axis carries the column's, -1 the other way round, 0 for no relation."""
        skeleton, free = self.skeleton, self.free
        base = skeleton.jacobian()[self._rows][:, free]
        order = np.zeros((len(free), len(free)))
        for i, index in enumerate(free):
            moved = self._bent.copy()
            moved[index] += 1e-4
            skeleton.set(moved)
            carried = (np.abs(skeleton.jacobian()[self._rows][:, free] - base) > 1e-7).any(axis=0)
            order[i, carried] = 1.0
        np.fill_diagonal(order, 0.0)
        skeleton.set(skeleton.default)
        return order - order.T

    def _search(self, frame: _Frame, found: _Minimum | None) -> _Minimum:
        """Best minimum from the default pose in four headings, or the one already found.

        From afar a step can end in the wrong valley, or a turn away.
        """
        guesses = []
        for quarter in range(4):
            guess = self.skeleton.default[self.free].copy()
            guess[self._heading] += (quarter if quarter < 3 else -1) * 0.5 * np.pi
            guesses.append((frame.evaluate(guess)[1], quarter, guess))
        best = found
        for _, _, guess in sorted(guesses, key=lambda entry: entry[:2]):
            if best is not None and best.rms < GOOD_FIT_RAD:
                break
            trial = frame.minimise(guess)
            if best is None or trial.cost < best.cost - 1e-6:
                best = trial
        assert best is not None  # there is always a first guess
        best.solved = self._unwind(best.solved)
        return best


@dataclass(slots=True)
class _Minimum:
    """Coordinates, (k, 3) errors, cost before the last step, largest error at the start, convergence."""

    solved: FloatArray
    error: FloatArray
    cost: float
    jump: float
    converged: bool
    iterations: int

    @property
    def rms(self) -> float:
        """Root mean square of the angles, rad."""
        return float(np.sqrt(np.mean(np.sum(self.error**2, axis=1))))


class _Frame:
    """Weighted least squares of one frame."""

    def __init__(
        self, owner: InverseKinematics, measured: FloatArray, root_weight: FloatArray, information: FloatArray
    ) -> None:
        self.o = owner
        self.root_weight = root_weight[:, None]
        self.information = information
        w, x, y, z = measured.T
        # measured * conjugate(modelled) is this matrix times the modelled quaternion
        self.left = np.array([[w, x, y, z], [x, -w, z, -y], [y, -z, -w, x], [z, y, -x, -w]]).transpose(2, 0, 1)

    def evaluate(self, solved: FloatArray) -> tuple[FloatArray, float]:
        """(k, 3) rotation vectors, in ground, from modelled to measured orientations; and the cost."""
        o = self.o
        values = o.skeleton.values.copy()
        values[o.free] = solved
        o.skeleton.set(values)
        q = (self.left @ o.skeleton.quaternions(o.bodies)[:, :, None])[:, :, 0]
        xyz = q[:, 1:]
        length = np.sqrt(np.einsum("ij,ij->i", xyz, xyz))
        turn = 2.0 * np.arctan2(length, np.abs(q[:, 0])) / np.maximum(length, 1e-12)
        error = xyz * np.copysign(turn, q[:, 0])[:, None]
        weighted = (error * self.root_weight).ravel()
        offset = o._prior - solved
        return error, float(weighted @ weighted + self.information @ (offset * offset))

    def minimise(self, start: FloatArray) -> _Minimum:
        """Nearest minimum, downhill from `start`."""
        o = self.o
        solved = np.minimum(np.maximum(start, o._low), o._high)
        error, cost = self.evaluate(solved)
        jump = float(np.abs(error * (self.root_weight > 0.0)).max())
        damping = 0.0
        for iteration in range(1, MAX_ITERATIONS + 1):
            jacobian = (
                o.skeleton.jacobian()[o._rows[:, None], o.free].reshape(len(error), 3, -1)
                * self.root_weight[:, :, None]
            )
            weighted = error * self.root_weight
            flat = jacobian.reshape(-1, len(solved))
            normal = flat.T @ flat
            near = float(np.abs(error).max()) < FAR_RAD
            if near:
                normal -= 0.5 * o._order * (_cross(error, jacobian).reshape(flat.shape).T @ flat)
            normal.flat[:: len(solved) + 1] += self.information
            gradient = weighted.ravel() @ flat + self.information * (o._prior - solved)
            while True:
                damped = normal + damping * np.eye(len(solved)) if damping else normal
                step = bounded_step(damped, gradient, o._low - solved, o._high - solved)
                longest = float(np.abs(step).max(initial=0.0))
                if not near and longest > FAR_RAD:
                    step, longest = step * (FAR_RAD / longest), FAR_RAD
                if longest < STEP_TOLERANCE_RAD and not damping:
                    # the errors change by what the step turns; no need to look again
                    turned = (flat @ step).reshape(error.shape) / np.where(
                        self.root_weight > 0.0, self.root_weight, 1.0
                    )
                    return _Minimum(solved + step, error - turned, cost, jump, True, iteration)
                new_error, new_cost = self.evaluate(solved + step)
                if (near and longest < FAR_RAD) or new_cost < cost:
                    break
                damping = max(4.0 * damping, 0.01)
                if damping > 1e6:
                    return _Minimum(solved, error, cost, jump, False, iteration)
            damping = 0.25 * damping if damping > 1e-3 else 0.0
            solved, error, cost = solved + step, new_error, new_cost
        return _Minimum(solved, error, cost, jump, False, MAX_ITERATIONS)


def bounded_step(normal: FloatArray, gradient: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Newton step (n,) of the equations ``normal @ step = gradient`` within ``low <= step <= high``.

    What would leave its range goes to the bound, and the others are solved for again.
    """
    step = np.asarray(np.linalg.solve(normal, gradient), dtype=float)
    bound = (step < low) | (step > high)
    if not bound.any():
        return step
    while True:
        inner = ~bound
        step = np.where(bound, np.minimum(np.maximum(step, low), high), 0.0)
        rest = gradient[inner] - normal[np.ix_(inner, bound)] @ step[bound]
        step[inner] = np.linalg.solve(normal[np.ix_(inner, inner)], rest)
        beyond = inner & ((step < low) | (step > high))
        if not beyond.any():
            return step
        bound = bound | beyond


def _cross(vectors: FloatArray, columns: FloatArray) -> FloatArray:
    """(k, 3, n) cross products of (k, 3) vectors with (k, 3, n) columns."""
    x, y, z = (vectors[:, i, None] for i in range(3))
    a, b, c = columns[:, 0], columns[:, 1], columns[:, 2]
    return np.stack([y * c - z * b, z * a - x * c, x * b - y * a], axis=1)
