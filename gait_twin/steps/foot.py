"""One foot's trajectory from its sensor: causal odometry, and smoothed swings between foot-flats."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gait_twin.recording import FootPose, Side
from gait_twin.steps.clipping import clipped
from gait_twin.steps.quaternion import Quat, rotate, turn
from gait_twin.steps.recent import DOUBTFUL, LOST, Recent
from gait_twin.steps.settings import StepSettings
from gait_twin.steps.stance import FootFlat, FootFlatFinder, MotionMeasure
from gait_twin.steps.swing import (
    GRAVITY_MPS2,
    RATE,
    FlatReading,
    FlatState,
    Samples,
    Swing,
    integral,
    level,
    moved,
    smooth,
)

FloatArray = NDArray[np.float64]
Triple = tuple[float, ...]

LONGEST_SWING_S = 10.0
"""Movement without a foot-flat for longer is not gait; the trajectory begins anew."""
LONGEST_BRIDGE_S = 0.5
"""Over a longer gap the foot's heading is lost and the trajectory begins anew."""
MIN_SWING_S = 0.3
"""A dip of motion sooner after a foot-flat is no new stance."""
FLAT_HALF_WIDTH_S = 0.04
"""Gravity is averaged this far to either side of a foot-flat."""
REST_RATE_SD_RADPS = 0.005
"""A standing foot's mean rate over a second is the gyroscope's bias to this."""
FLAT_SIZE_SD = 0.02
"""A walking foot-flat tells the size of gravity to this; once only, for its error is not by chance."""
REST_SIZE_SD = 0.003
"""... and a second of standing."""
REST_TILT_SD_RAD = 0.02
"""A foot may have been put down anew between two seconds of standing."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A foot-flat of the trajectory: where the foot is, and how it came there.

    Attributes
    ----------
    time_s
        Instant, s.
    position_m
        (3,) in the foot's own z-up frame, m.
    rotation
        (3, 3) rotating sensor axes into that frame.
    swing
        Way since the previous foot-flat; None where the foot stood still or the trajectory began anew.
    chain
        Counts the trajectory's beginnings: positions of different chains do not compare.
    known_s
        Instant of the sample that made it known, s.
    state
        What the filter knows there.
    """

    time_s: float
    position_m: FloatArray
    rotation: FloatArray
    swing: Swing | None
    chain: int
    known_s: float
    state: FlatState


class FootTracker:
    """Strapdown error-state Kalman filter of one foot with zero-velocity updates at foot-flats.

    Samples are integrated as they come (`FootPose`, causal). When a foot-flat is known, the swing behind
    it is smoothed (`gait_twin.steps.swing.smooth`) and the odometry goes on from there. Standing gives
    the gyroscope's bias and the accelerometer's scale, walking foot-flats the latter more coarsely.

    Parameters
    ----------
    side
        Foot.
    settings
        As given to the estimator.
    dt_s
        Sampling interval, s.
    """

    def __init__(self, side: Side, settings: StepSettings, dt_s: float) -> None:
        self.side = self._side = side
        self._settings = settings
        self._dt_s = dt_s
        self._finder = FootFlatFinder(settings, dt_s)
        self._half = max(1, round(FLAT_HALF_WIDTH_S / dt_s))
        # Of the sensor, kept when the trajectory begins anew
        variances = [settings.rate_bias_sd_radps**2] * 3 + [settings.force_bias_sd_mps2**2] * 3 + [settings.scale_sd**2]
        covariance = np.diag([settings.tilt_sd_rad**2] * 2 + [0.0] + variances)
        self._known = FlatState(np.eye(3), np.zeros(3), np.zeros(3), 1.0, covariance, np.zeros(3), 1.0)
        self._largest = np.zeros(3)
        self.recent = Recent(dt_s)
        self._chain = -1
        self._last: tuple[float, FloatArray] | None = None
        self._begin_chain()

    def update(
        self, time_s: FloatArray, acc: FloatArray, gyr: FloatArray, doubtful: NDArray[np.bool_]
    ) -> tuple[list[Flat], list[FootPose]]:
        """Take consecutive samples.

        Parameters
        ----------
        time_s
            (n,) instants, s.
        acc, gyr
            (n, 3) specific force (m/s²) and angular rate (rad/s) in sensor axes; NaN rows are gaps.
        doubtful
            (n,) True where a channel was saturated or a short gap bridged: the gyroscope may be off there.

        Returns
        -------
        flats
            Foot-flats that became known.
        poses
            One for each sample that is not a gap.
        """
        flats: list[Flat] = []
        poses: list[FootPose] = []
        valid = ~np.isnan(acc[:, 0] + gyr[:, 0])
        rows = np.flatnonzero(valid)
        if not len(rows):
            return flats, poses
        breaks = np.flatnonzero(np.diff(rows) > 1) + 1
        for run in np.split(rows, breaks):
            part = slice(int(run[0]), int(run[-1]) + 1)
            more = self._run(time_s[part], np.hstack([acc[part], gyr[part]]), np.where(doubtful[part], DOUBTFUL, 0))
            flats += more[0]
            poses += more[1]
        return flats, poses

    def flush(self) -> list[Flat]:
        """End of the stream: the foot-flat that was still open, if any."""
        found = self._finder.last() if self._finder.flat else None
        if self._last is None or found is None or not (found.index > self._base or self._state is None):
            return []
        flat = self._close(found, self._last[0])
        return [flat] if flat is not None else []

    def _run(
        self, time_s: FloatArray, samples: FloatArray, flaws: NDArray[np.int_]
    ) -> tuple[list[Flat], list[FootPose]]:
        flats: list[Flat] = []
        if self._last is not None:
            gap_s = float(time_s[0]) - self._last[0]
            missing = round(gap_s / self._dt_s) - 1
            if not 0.0 < gap_s < LONGEST_BRIDGE_S:
                self._begin_chain()
            elif missing > 0:
                # A straight line over the gap keeps the heading roughly; over a long one the swing is marked
                part = (np.arange(1, missing + 1) / (missing + 1))[:, None]
                bridge = self._last[1] + part * (samples[0] - self._last[1])
                spoilt = missing * self._dt_s > self._settings.max_gap_s
                times = self._last[0] + part[:, 0] * gap_s
                marked = np.full(missing, LOST if spoilt else DOUBTFUL)
                self.recent.append(times, bridge, marked)
                flats, _ = self._integrate(times, bridge, marked)
        self.recent.append(time_s, samples, flaws)
        more, poses = self._integrate(time_s, samples, flaws)
        return flats + more, poses

    def _begin_chain(self) -> None:
        """Start the trajectory anew: position, heading and the swing in progress are lost."""
        self._chain += 1
        self._finder.restart()
        self._motion = MotionMeasure(max(2, round(self._settings.motion_window_s / self._dt_s)))
        self._count = self._base = 0  # samples of this chain; index of the buffer's first
        self._samples = np.empty((0, 6))
        self._flaws = np.empty(0, dtype=int)
        self._quats: list[Quat] = []
        self._correct()
        self._state: FlatState | None = None
        self._flat_s = self._tilt_sd = math.nan
        self._flat_position = np.zeros(3)
        self._velocity: Triple = (0.0, 0.0, 0.0)
        self._position: Triple = (0.0, 0.0, 0.0)
        self._held = False

    def _correct(self) -> None:
        """Numbers for single samples."""
        self._biases = *self._known.rate_bias.tolist(), *self._known.force_bias.tolist(), self._known.scale

    def _integrate(
        self, time_s: FloatArray, samples: FloatArray, flaws: NDArray[np.int_]
    ) -> tuple[list[Flat], list[FootPose]]:
        flats: list[Flat] = []
        motion = self._motion.update(samples[:, :3], samples[:, 3:]).tolist()
        self._samples = np.vstack([self._samples, samples])
        self._flaws = np.concatenate([self._flaws, flaws])
        delay, step, dt_s = self._motion.delay, self._finder.step, self._dt_s
        quats: list[Quat] = []
        places: list[tuple[float, ...]] = []
        held: list[bool] = []
        for i, (now_s, row) in enumerate(zip(time_s.tolist(), samples.tolist(), strict=True)):
            self._advance(row, dt_s)
            index = self._count - delay
            self._count += 1
            found = step(index, motion[i]) if index >= 0 else None
            if found is not None and (found.index > self._base or self._state is None):
                flat = self._close(found, now_s)
                if flat is not None:
                    flats.append(flat)
            elif self._finder.flat and not self._held and self._state is not None:
                self._stop(now_s)
            self._held = self._finder.flat
            quats.append(self._quats[-1])
            places.append((*self._position, *self._velocity, now_s - self._flat_s, self._tilt_sd))
            held.append(self._held)
            if self._count - self._base > LONGEST_SWING_S / dt_s:
                self._begin_chain()
                rest = slice(i + 1, None)
                done = self._poses(time_s[: i + 1], quats, places, held)
                more, poses = self._integrate(time_s[rest], samples[rest], flaws[rest])
                return flats + more, done + poses
        if len(time_s):
            self._last = (float(time_s[-1]), samples[-1])
        return flats, self._poses(time_s, quats, places, held)

    def _advance(self, row: list[float], dt_s: float) -> None:
        """Strapdown integration of one sample."""
        ax, ay, az, gx, gy, gz = row
        bx, by, bz, cx, cy, cz, s = self._biases
        gx, gy, gz = gx - bx, gy - by, gz - bz
        if not self._quats:
            up = np.array([[ax, ay, az]])
            q = Rotation.align_vectors([[0.0, 0.0, 1.0]], up)[0].as_quat(scalar_first=True)
            self._quats.append(tuple(q.tolist()))
            self._rate, self._force = (gx, gy, gz), (0.0, 0.0, 0.0)
            return
        px, py, pz = self._rate
        h = 0.5 * dt_s
        q = turn(self._quats[-1], h * (gx + px), h * (gy + py), h * (gz + pz))
        self._rate = gx, gy, gz
        self._quats.append(q)
        fx, fy, fz = rotate(q, s * ax - cx, s * ay - cy, s * az - cz)
        fz -= GRAVITY_MPS2
        if self._held or self._state is None:
            self._force = fx, fy, fz
            return
        ox, oy, oz = self._force
        vx, vy, vz = self._velocity
        nx, ny, nz = vx + h * (fx + ox), vy + h * (fy + oy), vz + h * (fz + oz)
        x, y, z = self._position
        self._position = x + h * (vx + nx), y + h * (vy + ny), z + h * (vz + nz)
        self._velocity = nx, ny, nz
        self._force = fx, fy, fz

    def _stop(self, now_s: float) -> None:
        """Causal zero-velocity update: the drift is taken to have grown evenly since the last foot-flat."""
        since = 0.5 * (now_s - self._flat_s)
        (x, y, z), (vx, vy, vz) = self._position, self._velocity
        self._position = x - since * vx, y - since * vy, z - since * vz
        self._velocity = (0.0, 0.0, 0.0)

    def _close(self, found: FootFlat, now_s: float) -> Flat | None:
        """Smooth the swing that ends at a foot-flat and put the odometry onto it; None if it is none."""
        if found.doubtful and (self._state is None or found.index - self._base < MIN_SWING_S / self._dt_s):
            return None
        end = found.index - self._base
        n = self._count - self._base
        raw = self._samples[:n]
        around = raw[max(0, end - self._half) : end + self._half + 1].mean(axis=0)
        known = self._known
        reading = FlatReading(around[:3], around[3:] - known.rate_bias, found.motion_radps)
        matrices = Rotation.from_quat(np.array(self._quats), scalar_first=True).as_matrix()
        flat_s = now_s - (n - 1 - end) * self._dt_s
        swing = None
        if self._state is None:
            state = self._first(matrices[end], reading)
        else:
            turned = matrices[0].T @ matrices[: end + 1]
            if found.resting:
                state = self._rest(raw[: end + 1], turned[-1], reading)
            else:
                self._largest = np.maximum(self._largest, np.abs(raw[: end + 1, 3:]).max(axis=0))
                times = np.arange(-end, 1, dtype=np.float64) * self._dt_s + flat_s
                swing, state = smooth(
                    Samples(
                        times,
                        raw[: end + 1, :3],
                        raw[: end + 1, 3:] - known.rate_bias,
                        turned,
                        (self._flaws[: end + 1] > 0) | clipped(raw[: end + 1, 3:], self._largest),
                        not (self._flaws[: end + 1] == LOST).any(),
                        self._state,
                        reading,
                    ),
                    self._settings,
                )
                if found.doubtful and swing.surprise > self._settings.max_surprise:
                    return None
                self._flat_position = self._flat_position + swing.displacement_m
        self._state = self._known = state
        self._correct()
        self._tilt_sd = math.sqrt(float(state.covariance[0, 0]))
        self._rebase(end, n, matrices, raw[:, :3])
        self._flat_s = flat_s
        return Flat(flat_s, self._flat_position, state.rotation, swing, self._chain, now_s, state)

    def _first(self, rotation: FloatArray, reading: FlatReading) -> FlatState:
        """The trajectory begins: attitude from gravity, the rest as known of the sensor."""
        settings = self._settings
        covariance = self._known.covariance.copy()
        covariance[:3, :] = covariance[:, :3] = 0.0
        covariance[[0, 1], [0, 1]] = 1.0
        state = replace(self._known, rotation=rotation, covariance=covariance)
        state = level(state, reading.force, settings.tilt_sd_rad, FLAT_SIZE_SD)
        velocity = reading.velocity_mps(state.rotation, settings)
        return replace(state, velocity_mps=velocity, velocity_sd_mps=reading.velocity_sd_mps(settings))

    def _rest(self, raw: FloatArray, turned: FloatArray, reading: FlatReading) -> FlatState:
        """A second of standing: the gyroscope's bias from its mean, the size and direction of gravity, heading kept."""
        assert self._state is not None
        before = self._state
        covariance = before.covariance.copy()
        covariance[[0, 1], [0, 1]] += REST_TILT_SD_RAD**2
        gain = np.linalg.solve(covariance[RATE, RATE] + np.eye(3) * REST_RATE_SD_RADPS**2, covariance[RATE]).T
        late = raw[:, 3:].mean(axis=0) - before.rate_bias
        # `turned` was integrated with the bias known before
        errors = gain @ late
        drift = Rotation.from_rotvec(-errors[RATE] * (len(raw) - 1) * self._dt_s).as_matrix()
        state = replace(before, rotation=before.rotation @ turned @ drift)
        state = moved(state, errors, covariance - gain @ covariance[RATE])
        force = raw[:, :3].mean(axis=0) if len(raw) > 1 else reading.force
        state = level(state, force, self._settings.tilt_sd_rad / 3.0, REST_SIZE_SD)
        return replace(state, velocity_mps=np.zeros(3), velocity_sd_mps=reading.velocity_sd_mps(self._settings))

    def _rebase(self, end: int, n: int, matrices: FloatArray, raw: FloatArray) -> None:
        """Integrate from the foot-flat to now with the corrected attitude, and forget what lies before."""
        assert self._state is not None
        rotation = self._state.rotation @ (matrices[end].T @ matrices[end:n])
        world = np.einsum("nij,nj->ni", rotation, self._state.corrected(raw[end:n])) - [0.0, 0.0, GRAVITY_MPS2]
        velocity = self._state.velocity_mps + integral(world, self._dt_s)
        position = self._flat_position + integral(velocity, self._dt_s)
        self._force = tuple(world[-1].tolist())
        if self._finder.flat:
            self._velocity = (0.0, 0.0, 0.0)
            self._position = tuple(self._flat_position.tolist())
        else:
            self._velocity = tuple(velocity[-1].tolist())
            self._position = tuple(position[-1].tolist())
        quats = Rotation.from_matrix(rotation).as_quat(scalar_first=True)
        self._quats = [tuple(q) for q in quats.tolist()]
        self._samples, self._flaws = self._samples[end:], self._flaws[end:]
        self._base += end

    def _poses(
        self,
        time_s: FloatArray,
        quats: list[Quat],
        places: list[tuple[float, ...]],
        held: list[bool],
    ) -> list[FootPose]:
        if not quats:
            return []
        rotations, states = np.array(quats), np.array(places)
        since, tilt_sd = states[:, 6], states[:, 7]
        drift = self._settings.zero_velocity_sd_mps * since
        sway = 0.5 * np.hypot(self._settings.drift_sd_mps2, GRAVITY_MPS2 * tilt_sd) * since**2
        sd = np.where(np.isnan(since), np.nan, np.hypot(drift, sway))
        sds = np.where(np.array(held), 0.0, sd)[:, None].repeat(3, axis=1)
        return [
            FootPose(t, self._side, states[i, :3], states[i, 3:6], rotations[i], sds[i], held[i])
            for i, t in enumerate(time_s.tolist())
        ]
