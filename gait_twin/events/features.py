"""What the network sees of a foot: its inertial signals in the foot's own axes, at the network's rate.

The axes (forward, up, right) are estimated on line from the signals alone, so that every feature is the same
however the sensor is turned on the foot; the left foot is mirrored into a right one. Inner loops are compiled,
and work sample by sample: results do not depend on how a stream is cut into blocks.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RATE_HZ = 100.0
"""Rate of the network's steps."""
NEAR_RATE = 0.1
"""Frames this close to the network's rate are taken as they are: training varied the pace of walks by more."""
CHANNELS = 9
"""Rates about the forward, up and right axes; specific force along them; pitch; forward speed; validity."""
MIRRORED = (0, 1, 5)
"""Channels that change sign when a left foot is seen as a right one."""

GRAVITY_MPS2 = 9.80665
REST_RADPS = 0.6
"""Around this rate and below, the foot is taken for flat ..."""
REST_MPS2 = 1.5
"""... and its velocity for none where its specific force is this near to gravity as well."""
MOVING_RADPS = 1.0
"""Slower rotation says little about the mediolateral axis."""
TILT_S, TILT_DRIFT_S = 0.15, 10.0
"""Time constants with which the specific force corrects the vertical: of a resting foot, and of any."""
FLAT_S = 1.5
"""Rest after which the flat foot's vertical and the size of gravity have forgotten what they were."""
STOP_S, DRIFT_S = 0.06, 1.0
"""Time constants with which velocity is forgotten: at rest, and at any rate."""
AXIS_MEMORY_S, SIGN_MEMORY_S = 20.0, 4.0
"""Memory of the mediolateral axis (some forty strides), and of the vote on its sign (a few)."""
EARLY_RAD, FAST_RADPS = 1.5, 3.0
"""Votes count early in a swing, before velocity drifts, and where the foot turns fast."""

_UP, _FLAT, _AXIS, _NORM, _RIGHT, _VELOCITY, _GRAVITY, _RESTED, _PATH, _LAST = 0, 3, 6, 9, 10, 13, 16, 17, 18, 19
_STATE = 22


@njit(cache=True)
def _foot_axes(state, gyr, acc, dt, side, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Advance one foot by n samples: (n, 3) rad/s and m/s² in sensor axes to (n, CHANNELS) in the foot's."""
    for i in range(len(gyr)):
        gx, gy, gz = gyr[i]
        ax, ay, az = acc[i]
        if not math.isfinite(gx + gy + gz + ax + ay + az):
            out[i] = 0.0
            state[_LAST] = math.nan
            continue
        squared = gx * gx + gy * gy + gz * gz
        slowness = (squared / REST_RADPS**2) ** 2
        size = math.sqrt(ax * ax + ay * ay + az * az) + 1e-9
        ux, uy, uz = state[_UP : _UP + 3]
        if state[_GRAVITY] == 0.0:
            state[_GRAVITY] = GRAVITY_MPS2
            ux, uy, uz = ax / size, ay / size, az / size
            state[_FLAT], state[_FLAT + 1], state[_FLAT + 2] = ux, uy, uz
        # The vertical stays in the world while the sensor turns: by the mean rate since the last sample
        mx, my, mz = gx, gy, gz
        if math.isfinite(state[_LAST]):
            mx, my, mz = 0.5 * (gx + state[_LAST]), 0.5 * (gy + state[_LAST + 1]), 0.5 * (gz + state[_LAST + 2])
        state[_LAST], state[_LAST + 1], state[_LAST + 2] = gx, gy, gz
        for _ in range(2):
            h = 0.5 * dt
            dx, dy, dz = uy * mz - uz * my, uz * mx - ux * mz, ux * my - uy * mx
            ux += h * dx + 0.5 * h * h * (dy * mz - dz * my)
            uy += h * dy + 0.5 * h * h * (dz * mx - dx * mz)
            uz += h * dz + 0.5 * h * h * (dx * my - dy * mx)
        gain = dt / TILT_DRIFT_S + dt / (dt + TILT_S * (1.0 + slowness))
        ux, uy, uz = ux + gain * (ax / size - ux), uy + gain * (ay / size - uy), uz + gain * (az / size - uz)
        length = math.sqrt(ux * ux + uy * uy + uz * uz) + 1e-12
        ux, uy, uz = ux / length, uy / length, uz / length
        state[_UP], state[_UP + 1], state[_UP + 2] = ux, uy, uz
        # What the accelerometer calls gravity, and where up is on a flat foot
        calm = 1.0 / (1.0 + slowness)
        if abs(size - GRAVITY_MPS2) < 2.0:
            state[_RESTED] += calm
            gain = calm * max(dt / FLAT_S, 1.0 / (state[_RESTED] + 1.0))
            state[_GRAVITY] += gain * (size - state[_GRAVITY])
            state[_FLAT] += gain * (ux - state[_FLAT])
            state[_FLAT + 1] += gain * (uy - state[_FLAT + 1])
            state[_FLAT + 2] += gain * (uz - state[_FLAT + 2])
        scale = GRAVITY_MPS2 / state[_GRAVITY]
        ax, ay, az = scale * ax, scale * ay, scale * az
        # Velocity since the foot was flat
        # A swinging foot may stop turning for a moment, but then it is not unaccelerated as well
        swinging = slowness + ((size - state[_GRAVITY]) / REST_MPS2) ** 4
        keep = (1.0 - dt / (dt + STOP_S * (1.0 + swinging))) * (1.0 - dt / DRIFT_S)
        vx, vy, vz = state[_VELOCITY : _VELOCITY + 3]
        vx, vy, vz = (
            keep * (vx + dt * (vy * mz - vz * my)) + dt * (ax - GRAVITY_MPS2 * ux),
            keep * (vy + dt * (vz * mx - vx * mz)) + dt * (ay - GRAVITY_MPS2 * uy),
            keep * (vz + dt * (vx * my - vy * mx)) + dt * (az - GRAVITY_MPS2 * uz),
        )
        state[_VELOCITY], state[_VELOCITY + 1], state[_VELOCITY + 2] = vx, vy, vz
        # Mediolateral axis: leading principal component of the rate (Oja 1982), one power iteration a sample
        sx, sy, sz = state[_AXIS : _AXIS + 3]
        if squared > MOVING_RADPS**2:
            if state[_NORM] == 0.0:
                sx, sy, sz = gx * dt, gy * dt, gz * dt
                # From rest the heel rises first: the toes turn down
                state[_RIGHT], state[_RIGHT + 1], state[_RIGHT + 2] = -1e-4 * gx, -1e-4 * gy, -1e-4 * gz
            else:
                gain = dt * (gx * sx + gy * sy + gz * sz) / state[_NORM]
                keep_axis = 1.0 - dt / AXIS_MEMORY_S
                sx, sy, sz = keep_axis * sx + gain * gx, keep_axis * sy + gain * gy, keep_axis * sz + gain * gz
            state[_NORM] = math.sqrt(sx * sx + sy * sy + sz * sz) + 1e-12
            state[_AXIS], state[_AXIS + 1], state[_AXIS + 2] = sx, sy, sz
        # Its sign: the foot swings forward, and forward, up and right are right-handed
        state[_PATH] = keep * state[_PATH] + math.sqrt(squared) * dt
        gain = math.exp(-state[_PATH] / EARLY_RAD) * squared / (squared + FAST_RADPS**2) * dt
        keep_sign = 1.0 - dt / SIGN_MEMORY_S
        rx = state[_RIGHT] = keep_sign * state[_RIGHT] + gain * (vy * uz - vz * uy)
        ry = state[_RIGHT + 1] = keep_sign * state[_RIGHT + 1] + gain * (vz * ux - vx * uz)
        rz = state[_RIGHT + 2] = keep_sign * state[_RIGHT + 2] + gain * (vx * uy - vy * ux)
        along = sx * ux + sy * uy + sz * uz
        zx, zy, zz = sx - along * ux, sy - along * uy, sz - along * uz
        length = math.sqrt(zx * zx + zy * zy + zz * zz) + 1e-12
        if rx * sx + ry * sy + rz * sz < 0.0:
            length = -length
        zx, zy, zz = zx / length, zy / length, zz / length
        xx, xy, xz = uy * zz - uz * zy, uz * zx - ux * zz, ux * zy - uy * zx
        bx, by, bz = state[_FLAT : _FLAT + 3]
        sine = (uy * bz - uz * by) * zx + (uz * bx - ux * bz) * zy + (ux * by - uy * bx) * zz
        out[i, 0] = 0.2 * side * (gx * xx + gy * xy + gz * xz)
        out[i, 1] = 0.2 * side * (gx * ux + gy * uy + gz * uz)
        out[i, 2] = 0.2 * (gx * zx + gy * zy + gz * zz)
        # Shocks are bent down: how strong they come through depends on the sensor and its range
        out[i, 3] = math.asinh(0.2 * (ax * xx + ay * xy + az * xz))
        out[i, 4] = math.asinh(0.2 * (ax * ux + ay * uy + az * uz - GRAVITY_MPS2))
        out[i, 5] = side * math.asinh(0.2 * (ax * zx + ay * zy + az * zz))
        out[i, 6] = math.atan2(sine, ux * bx + uy * by + uz * bz)
        out[i, 7] = 0.5 * (vx * xx + vy * xy + vz * xz)
        out[i, 8] = 1.0


class FootFeatures:
    """Features of one foot, streaming.

    Parameters
    ----------
    left
        Whether it is the left foot, which is mirrored.
    step_s
        Interval of the samples, s.

    Notes
    -----
    The vertical follows the gyroscope and is set right while the foot rests; the mediolateral axis is where
    the foot turns about (see `gait_twin.events.axis`), its sign where the foot goes in swing. Specific force is
    scaled so that it is gravity's at rest: an accelerometer may be off by several per cent. A sample that is not
    finite gives zeros, validity among them.
    """

    def __init__(self, left: bool, step_s: float) -> None:
        self._side = -1.0 if left else 1.0
        self._step_s = step_s
        self._state = np.zeros(_STATE)
        self._state[_LAST] = np.nan

    def restart(self) -> None:
        """After a gap: keep the axes, start velocity anew."""
        self._state[_VELOCITY : _VELOCITY + 3] = 0.0
        self._state[_PATH] = 0.0
        self._state[_LAST] = np.nan

    def update(self, acc_mps2: FloatArray, gyr_radps: FloatArray) -> NDArray[np.float32]:
        """Take (n, 3) and (n, 3) consecutive samples in sensor axes and give (n, CHANNELS)."""
        out = np.empty((len(acc_mps2), CHANNELS), np.float32)
        _foot_axes(
            self._state, np.ascontiguousarray(gyr_radps), np.ascontiguousarray(acc_mps2), self._step_s, self._side, out
        )
        return out


@njit(cache=True)
def _cells(state, total, time_s, samples, step, times, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mean of the polyline through the samples over each cell of `step`; returns the number of finished cells."""
    count, columns = 0, samples.shape[1]
    for i in range(len(time_s)):
        t1 = time_s[i]
        start = t0 = state[0]
        if math.isnan(t0):
            state[1] = t1 + step
            for c in range(columns):
                total[c] = 0.0
            start = t1
        while start < t1:
            end = min(t1, state[1])
            middle = (0.5 * (start + end) - t0) / (t1 - t0)
            for c in range(columns):
                total[c] += (end - start) * ((1.0 - middle) * state[2 + c] + middle * samples[i, c])
            if end == state[1]:
                times[count] = end - 0.5 * step
                for c in range(columns):
                    out[count, c] = total[c] / step
                    total[c] = 0.0
                count += 1
                state[1] += step
            start = end
        state[0] = t1
        for c in range(columns):
            state[2 + c] = samples[i, c]
    return count


class Resampler:
    """Brings even frames of any rate to the network's, causally.

    Each step is the mean of the straight lines between samples over 10 ms, stamped with the middle: for fast
    frames that is what a device's own strapdown integration does, for slow ones it is linear interpolation.
    It costs 5 ms and up to a frame's interval of delay; frames near the network's rate pass as they are.

    Parameters
    ----------
    frame_s
        Interval of the frames, s.
    channels
        Number of columns.
    """

    def __init__(self, frame_s: float, channels: int) -> None:
        self.passes = abs(frame_s * RATE_HZ - 1.0) <= NEAR_RATE
        self.step_s = frame_s if self.passes else 1.0 / RATE_HZ
        self._frame_s = frame_s
        self._state = np.full(2 + channels, np.nan)
        self._total = np.zeros(channels)

    def restart(self) -> None:
        """After a gap: begin a new cell with the next sample."""
        self._state[:] = np.nan

    def update(self, time_s: FloatArray, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take (n,) instants and (n, c) samples without gaps; give (m,) instants and (m, c). NaN spoils its cell."""
        if self.passes:
            return time_s, samples
        most = math.ceil((len(time_s) + 1) * self._frame_s / self.step_s) + 2
        times, out = np.empty(most), np.empty((most, samples.shape[1]))
        lines = np.ascontiguousarray(time_s), np.ascontiguousarray(samples)
        count = _cells(self._state, self._total, *lines, self.step_s, times, out)
        return times[:count], out[:count]
