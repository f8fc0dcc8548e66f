"""Refining while walking: drifting headings and askew calibrations of sensors, found from the joints themselves.

Without magnetometers each sensor's heading drifts, and a calibration from one standing is as good as that
standing. The skeleton knows better: knees and ankles are hinges (or whatever the model makes them), so where
orientations contradict the joints, the inverse kinematics leaves residuals. Which of a sensor's errors would
explain them is a linear question, asked some times a second by a Kalman filter that holds, for each sensor,
its heading error, the rate of that, and a constant small rotation of its mounting. The coordinates themselves
are eliminated: only that part of the residuals counts which no pose explains.

Ball joints contradict nothing. What pins hips and trunk are means over strides: a thigh's heading against the
pelvis, and each segment's sideways lean, return to the same value, which is unknown but near what people's
are, and alike on both sides. The filter holds these means as further unknowns. Hips that would have to walk turned
unusually far stood with toes out or in: the standing is then trusted less. Where nothing tells, as for the zero of a
flexion angle, the calibration from standing stays.

Relative headings from hinge joints: Lehmann, Laidig and Seel 2020 (doi:10.1016/j.ifacol.2020.12.2243), qmt's
`headingCorrection`; from a hip's usual angles: Laidig, Lehmann, Bégin and Seel 2019
(doi:10.1109/EMBC.2019.8857535). Here the model's joints take the place of single hinges, and all are solved
together. Hinge axes from angular rates alone (Olsson et al. 2020, doi:10.3390/s20123534) come out 30 to 50° off
on a recorded walk with sensors on straps, so that the standing remains the prior.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_conjugate, quat_from_rotvec, quat_multiply, quat_rotate, rotvec_from_quat
from gait_twin.twin.kinematics import InverseKinematics

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

EVERY_S = 0.1
"""A frame is learned from so often, s."""
GAP_S = 1.0
"""Frames further apart do not belong together, s."""
APPLY_S = 0.5
"""Time constant with which a correction is applied: nothing jumps, s."""
WINDOW_S = 2.0
"""Means are taken over so long, some two strides, s."""
WALKING_RADPS = 0.6
"""Mean rate of every leg segment in walking, rad/s; a shuffling gait stays above 0.8."""

MOUNTING_RAD = np.radians([3.0, 5.0, 0.3])
"""Standard deviation of the calibration about the body's axes x, y, z. That of standing is good to some degrees
(sway, feet apart), that of forward to 5 (the hub's own measure). Flexion, z, is left to the standing: what
joints tell of it through their minor axes is less than what real joints differ from the model's."""
HEADING_RAD = np.radians(1.0)
"""Of a heading at the start, beside the mounting's."""
REALIGNED_RAD = np.radians(6.0)
"""Of a heading that was lost in a gap and aligned to the others' mean."""
DRIFT_RAD_RTS = np.radians(0.2)
"""Random walk of a 6-axis heading, rad/sqrt(s)."""
RATE_RADPS = np.radians(0.2)
"""Its steady drift, rad/s: what bias the orientation filter leaves. A standing person sways, so that in consumer's
gyroscopes it is as large as their bias; where it is taken for smaller, corrections lag behind, and hips by degrees."""
RATE_S = 200.0
"""Time constant with which that changes, s."""
SCALE = 0.01
"""Gyroscopes' scale: a turn by an angle adds so much of it as heading error."""
SLIP_RAD_RTS = np.radians(0.01)
"""Random walk of a mounting, rad/sqrt(s)."""
JOINT_RAD = np.radians(12.0)
"""Error of a residual, as if independent from one to the next; over a stride, some 4°: soft tissue, and
joints that are not quite the model's."""
SPREAD = 0.02
"""Singular value of the Jacobian (1 for one sensor turned by one coordinate) below which nothing moves."""
TURN_MEAN_RAD = np.radians(3.0)
"""A window's mean of a heading against the pelvis, about the long-term one."""
LEAN_MEAN_RAD = np.radians(1.5)
"""A window's mean of a sideways lean, about the long-term one."""
TURNING = 0.15
"""Share of the pelvis' turn in a window that is added to both: curves are walked asymmetrically."""
HIP_BOTH_RAD, HIP_HALF_RAD = np.radians(5.0), np.radians(2.5)
"""People's mean hip rotation in walking, and half its difference between the sides, as standard deviations
(Kadaba et al. 1990, doi:10.1002/jor.1100080310, Table 4, rounded)."""
HIP_USUAL_RAD = np.radians(4.0)
"""Mean outward rotation of hips in walking, against a standing with the feet as in walking: 3 to 5 degrees in the
three walks looked at (a published, a recorded and a virtual one)."""
DOUBT_RAD = np.radians(8.0)
"""Hips that walk turned by more against that are taken to have stood with toes out or in: twelve walks that stood as
they walked stay within 3 degrees. A person who walks so, and stands straight, is taken for one who does not."""
DOUBT_WINDOWS = 5
"""Windows of walking that this is judged on."""
STOOD_BOTH_RAD, STOOD_HALF_RAD = np.radians(12.0), np.radians(8.0)
"""How far whole legs may then have been turned in the standing, as of `HIP_BOTH_RAD` and `HIP_HALF_RAD`."""
TRUNK_RAD = np.radians(2.0)
"""The same of the trunk's rotation against the pelvis."""
LEAN_RAD = np.radians(3.0)
"""The same of a segment's sideways lean in walking."""
UP = np.array([0.0, 1.0, 0.0])
INWARD = {"femur_r": 1.0, "femur_l": -1.0}
"""Inward is to the left on the right, and to the right on the left."""


class Refinement:
    """Estimates and takes away errors of heading and mounting, in OpenSim's ground.

    Parameters
    ----------
    ik
        Solver of the frames, at the pose of the last one when `learn` is called.
    sensors
        k segments; the solver's first k bodies. The pelvis must be among them.

    Attributes
    ----------
    learned_s
        How long it has learned, s of data.
    stood_turned_rad
        By how much the legs were turned in a standing that is not trusted any more, by segment of the thigh, inward
        in walking positive; empty as long as it is.

    Notes
    -----
    Results depend on the frames only. Order of the unknowns: k headings, 3k mountings, k rates of headings,
    means of headings against the pelvis, k means of leans.
    """

    def __init__(self, ik: InverseKinematics, sensors: Sequence[str]) -> None:
        self._ik, self.sensors = ik, tuple(sensors)
        k = self._k = len(self.sensors)
        self._pelvis = self.sensors.index("pelvis")
        self._balls = [i for i, s in enumerate(self.sensors) if s in ("femur_r", "femur_l", "torso")]
        self._legs = np.array([s not in ("pelvis", "torso") for s in self.sensors])
        self._mount = slice(k, 4 * k)
        self._rate = slice(4 * k, 5 * k)
        self._turn_mean = 5 * k
        self._lean_mean = 5 * k + len(self._balls)
        self._inward = {a: INWARD[s] for a, i in enumerate(self._balls) if (s := self.sensors[i]) in INWARD}
        self._size = self._lean_mean + k
        self._prior = self._make_prior()
        self.reset()

    def reset(self) -> None:
        """Forget the past: the calibration holds as it came."""
        self._state = np.zeros(self._size)
        for a, inward in self._inward.items():
            self._state[self._turn_mean + a] = -inward * HIP_USUAL_RAD
        self._hips: list[FloatArray] = []
        self.stood_turned_rad: dict[str, float] = {}
        self._covariance = self._prior.copy()
        self._applied = np.zeros(4 * self._k)
        self._seen = np.zeros(self._k, dtype=bool)
        self._lost = np.zeros(self._k, dtype=bool)
        self._frame_s = self._last_s = float("nan")
        self._next_s = -np.inf
        self._facing: FloatArray | None = None
        self._window: list[tuple[FloatArray, ...]] = []
        self._window_s = 0.0
        self.learned_s = 0.0

    @property
    def headings_rad(self) -> FloatArray:
        """(k,) heading errors that are being taken away, to the left positive."""
        return self._applied[: self._k].copy()

    @property
    def mountings_rad(self) -> FloatArray:
        """(k, 3) rotations of the mounting that are being taken away, about the body's axes."""
        return self._applied[self._mount].reshape(self._k, 3).copy()

    def correct(self, time_s: float, quats: FloatArray, known: BoolArray) -> FloatArray:
        """Orientations (k, 4) of one frame without the errors known so far.

        Parameters
        ----------
        time_s
            Instant, s.
        quats
            (k, 4) of bodies in OpenSim's ground; NaN where not measured.
        known
            (k,) calibrated, with the walk's heading; the others stay as they are.
        """
        self._lost |= self._seen & ~known
        for i in np.flatnonzero(self._lost & known).tolist():
            # its heading was lost in a gap, and aligned to the others' since
            self._forget(i, REALIGNED_RAD**2)
            self._forget(4 * self._k + i, RATE_RADPS**2)
            self._applied[i] = 0.0
        self._lost &= ~known
        self._seen |= known
        elapsed = time_s - self._frame_s
        self._frame_s = time_s
        if 0.0 < elapsed < GAP_S:
            self._applied += -np.expm1(-elapsed / APPLY_S) * (self._state[: 4 * self._k] - self._applied)
        if not self._applied.any():
            return quats
        turn = np.where(known, -self._applied[: self._k], 0.0)[:, None] * UP
        mount = np.where(known[:, None], -self.mountings_rad, 0.0)
        return quat_multiply(quat_from_rotvec(turn), quat_multiply(quats, quat_from_rotvec(mount)))

    def learn(self, time_s: float, quats: FloatArray, known: BoolArray) -> None:
        """Learn from one frame, if it is time.

        Parameters
        ----------
        time_s
            Instant, s.
        quats
            (k, 4) as `correct` gave them, to which the solver has just found the pose.
        known
            As for `correct`.
        """
        if time_s < self._next_s - 1e-6 and time_s > self._last_s:
            return
        elapsed = time_s - self._last_s
        follows = 0.0 < elapsed < GAP_S
        self._next_s = (self._next_s if follows else time_s) + EVERY_S
        self._last_s = time_s
        axes = quat_rotate(quats[:, None, :], np.eye(3))  # (k, body axis, ground)
        # how each sensor's errors turn it: (k, 3, 4k)
        errors = np.zeros((self._k, 3, 4 * self._k))
        for i in range(self._k):
            errors[i, :, i] = UP
            errors[i, :, self._k + 3 * i : self._k + 3 * i + 3] = axes[i].T
        across = axes[:, 2]
        facing = np.arctan2(across[:, 0], across[:, 2])
        turned = np.zeros(self._k)
        if follows:
            if self._facing is not None:
                turned = np.nan_to_num(_wrap(facing - self._facing))
            self._predict(elapsed, turned)
            self.learned_s += elapsed
        elif np.isfinite(elapsed):
            self._covariance[: self._k, : self._k] += np.eye(self._k) * REALIGNED_RAD**2
        self._facing = facing
        self._joints(quats, errors, known)
        if not follows:
            self._window, self._window_s = [], 0.0
        self._window_s += elapsed if follows else 0.0
        self._means(axes, facing, turned, errors, known)

    # ---- the filter

    def _make_prior(self) -> FloatArray:
        k = self._k
        variance = np.concatenate(
            [
                np.full(k, HEADING_RAD**2),
                np.tile(MOUNTING_RAD**2, k),
                np.full(k, RATE_RADPS**2),
                [
                    TRUNK_RAD**2 if self.sensors[i] == "torso" else HIP_BOTH_RAD**2 + HIP_HALF_RAD**2
                    for i in self._balls
                ],
                np.full(k, LEAN_RAD**2),
            ]
        )
        prior = np.diag(variance)
        hips = [self._turn_mean + a for a in self._inward]
        if len(hips) == 2:
            prior[hips[0], hips[1]] = prior[hips[1], hips[0]] = HIP_HALF_RAD**2 - HIP_BOTH_RAD**2
        return prior

    def _doubt_standing(self, apart: FloatArray) -> None:
        """Trust the standing less where the hips would have to walk turned unusually far.

        Parameters
        ----------
        apart
            (b,) headings of thighs and trunk against the pelvis in a window, without the errors known so far, rad.
        """
        hips = list(self._inward)
        self._hips.append(np.array([self._inward[a] * apart[a] + HIP_USUAL_RAD for a in hips]))
        if len(self._hips) < DOUBT_WINDOWS:
            return
        turned = np.mean(self._hips, axis=0)
        self._hips.pop(0)
        if self.stood_turned_rad or not np.abs(turned).max(initial=0.0) > DOUBT_RAD:
            return
        self.stood_turned_rad = {self.sensors[self._balls[a]]: float(t) for a, t in zip(hips, turned, strict=True)}
        same, other = STOOD_HALF_RAD**2 + STOOD_BOTH_RAD**2, STOOD_HALF_RAD**2 - STOOD_BOTH_RAD**2
        sides = np.array(
            [0 if not leg else 1 if s.endswith("_r") else 2 for s, leg in zip(self.sensors, self._legs, strict=True)]
        )
        for i in np.flatnonzero(sides):
            for j in np.flatnonzero(sides):
                self._covariance[i, j] += same if sides[i] == sides[j] else other
        means = [self._turn_mean + a for a in hips]
        for a, mean in zip(hips, means, strict=True):
            self._forget(mean, 0.0)
            self._state[mean] = -self._inward[a] * HIP_USUAL_RAD
        self._covariance[np.ix_(means, means)] = self._prior[np.ix_(means, means)]

    def _forget(self, index: int, variance: float) -> None:
        self._state[index] = 0.0
        self._covariance[index], self._covariance[:, index] = 0.0, 0.0
        self._covariance[index, index] = variance

    def _predict(self, elapsed_s: float, turned: FloatArray) -> None:
        k, state, covariance = self._k, self._state, self._covariance
        keep = float(np.exp(-elapsed_s / RATE_S))
        state[:k] += elapsed_s * state[self._rate]
        state[self._rate] *= keep
        for side in (covariance, covariance.T):
            side[:k] += elapsed_s * side[self._rate]
            side[self._rate] *= keep
        noise = np.zeros(self._size)
        noise[:k] = DRIFT_RAD_RTS**2 * elapsed_s + (SCALE * turned) ** 2
        noise[self._mount] = SLIP_RAD_RTS**2 * elapsed_s
        noise[self._rate] = RATE_RADPS**2 * (1.0 - keep**2)
        covariance.flat[:: self._size + 1] += noise

    def _update(self, matrix: FloatArray, measured: FloatArray, variance: FloatArray) -> None:
        gain = self._covariance @ matrix.T
        inner = matrix @ gain
        inner.flat[:: len(measured) + 1] += variance
        solved = np.linalg.solve(inner, gain.T)
        self._state = self._state + (measured - matrix @ self._state) @ solved
        covariance = self._covariance - gain @ solved
        self._covariance = 0.5 * (covariance + covariance.T)

    # ---- what is measured

    def _joints(self, quats: FloatArray, errors: FloatArray, known: BoolArray) -> None:
        """What no pose explains of the residuals, as a measurement of the errors."""
        seen = np.flatnonzero(known)
        if len(seen) < 2:
            return
        skeleton, ik = self._ik.skeleton, self._ik
        rows = skeleton.jacobian_rows([ik.bodies[i] for i in seen])[:, :3].ravel()
        left, size, _ = np.linalg.svd(skeleton.jacobian()[rows][:, ik.free])
        beyond = left[:, int((size > SPREAD).sum()) :].T
        if not len(beyond):
            return
        modelled = skeleton.quaternions([ik.bodies[i] for i in seen])
        residual = rotvec_from_quat(quat_multiply(quats[seen], quat_conjugate(modelled)))
        matrix = np.zeros((len(beyond), self._size))
        matrix[:, : 4 * self._k] = beyond @ errors[seen].reshape(-1, 4 * self._k)
        measured = beyond @ residual.ravel() + matrix[:, : 4 * self._k] @ self._applied
        self._update(matrix, measured, np.full(len(measured), JOINT_RAD**2))

    def _means(
        self, axes: FloatArray, facing: FloatArray, turned: FloatArray, errors: FloatArray, known: BoolArray
    ) -> None:
        """Means over a window of walking, of headings against the pelvis and of sideways leans."""
        x, y, z = axes[:, 2].T
        level = x * x + z * z
        # what a small rotation, in ground, does to the heading and to the rise of the axis that points right
        by_turn = np.stack([-y * x / level, np.ones(self._k), -y * z / level], axis=1)
        by_lean = np.stack([-z, np.zeros(self._k), x], axis=1)
        turn = np.einsum("ki,kin->kn", by_turn, errors)
        turn = turn - turn[self._pelvis]
        lean = np.einsum("ki,kin->kn", by_lean, errors)
        against = _wrap(facing - facing[self._pelvis]) + turn @ self._applied
        leaning = y + lean @ self._applied
        self._window.append((against, leaning, turn, lean, turned, np.where(known, 0.0, np.nan), axes[:, 0]))
        if self._window_s < WINDOW_S - 1e-6:
            return
        series = [np.array(column) for column in zip(*self._window, strict=True)]
        self._window, self._window_s = [], 0.0
        there = np.isfinite(series[5]).all(axis=0)
        rate = np.linalg.norm(np.diff(series[6], axis=0), axis=2).mean(axis=0) / EVERY_S
        legs = self._legs & there
        if not (there[self._pelvis] and legs.any() and (rate[legs] > WALKING_RADPS).all()):
            return
        curve = (TURNING * series[4][:, self._pelvis].sum()) ** 2
        balls = [(a, i) for a, i in enumerate(self._balls) if there[i]]
        worn = np.flatnonzero(there).tolist()
        matrix = np.zeros((len(balls) + len(worn), self._size))
        for row, (a, i) in enumerate(balls):
            matrix[row, : 4 * self._k] = series[2][:, i].mean(axis=0)
            matrix[row, self._turn_mean + a] = 1.0
        for row, i in enumerate(worn, len(balls)):
            matrix[row, : 4 * self._k] = series[3][:, i].mean(axis=0)
            matrix[row, self._lean_mean + i] = 1.0
        measured = np.concatenate([series[0].mean(axis=0)[[i for _, i in balls]], series[1].mean(axis=0)[worn]])
        variance = np.concatenate([np.full(len(balls), TURN_MEAN_RAD**2), np.full(len(worn), LEAN_MEAN_RAD**2)])
        if len(balls) == len(self._balls) and curve < TURN_MEAN_RAD**2:
            self._doubt_standing(
                measured[: len(balls)] - matrix[: len(balls), : 4 * self._k] @ self._state[: 4 * self._k]
            )
        self._update(matrix, measured, variance + curve)


def _wrap(angle: FloatArray) -> FloatArray:
    return np.asarray(np.angle(np.exp(1j * angle)))
