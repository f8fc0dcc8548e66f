"""From foot-flat to foot-flat: the error-state filter's step over one swing, smoothed when it closes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gait_twin.steps.settings import StepSettings

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
LEVEL, HEADING, RATE, FORCE, SCALE = slice(0, 2), 2, slice(3, 6), slice(6, 9), 9
STATES = 10
"""Errors that stay from swing to swing: attitude (world axes, rad; level and heading), gyroscope bias (rad/s),
accelerometer bias (m/s²) and scale."""
VELOCITY, DRIFT, LOST = slice(10, 13), slice(13, 16), slice(16, 19)
ERRORS = 19
"""... and those of one swing: start velocity (m/s), constant acceleration (m/s²), rotation lost (rad)."""
WALK = np.array([0.003, 0.003, 0.0] + [0.0003] * 3 + [0.003] * 3 + [0.0001])
"""What the lasting errors change by from swing to swing."""
DOUBT_RADPS = 1.0
"""How far the rate of a doubtful sample may be off, rad/s."""


@dataclass(frozen=True, slots=True)
class FlatState:
    """What the filter knows at a foot-flat.

    Attributes
    ----------
    rotation
        (3, 3) rotating sensor axes into the foot's own z-up frame.
    rate_bias
        (3,) gyroscope bias, rad/s.
    force_bias, scale
        (3,) accelerometer bias, m/s², and scale: specific force is ``scale * measured - force_bias``.
    covariance
        (10, 10) of attitude, gyroscope bias, accelerometer bias and scale.
    velocity_mps
        (3,) of the sensor there, m/s: a flat foot still rolls a little.
    velocity_sd_mps
        How well that holds, m/s.
    """

    rotation: FloatArray
    rate_bias: FloatArray
    force_bias: FloatArray
    scale: float
    covariance: FloatArray
    velocity_mps: FloatArray
    velocity_sd_mps: float

    def corrected(self, force: FloatArray) -> FloatArray:
        """(..., 3) specific force from what the accelerometer measured, m/s²."""
        return self.scale * force - self.force_bias


@dataclass(frozen=True, slots=True)
class FlatReading:
    """What the samples around a foot-flat say.

    Attributes
    ----------
    force, rate
        (3,) mean specific force as measured (m/s²) and angular rate (bias removed, rad/s), sensor axes.
    motion_radps
        Motion measure.
    """

    force: FloatArray
    rate: FloatArray
    motion_radps: float

    def velocity_mps(self, rotation: FloatArray, settings: StepSettings) -> FloatArray:
        """(3,) of the sensor in the frame of `rotation`: it sits above a sole that turns with the foot."""
        x, y, _ = rotation @ self.rate
        return np.array([y, -x, 0.0]) * settings.sensor_height_m

    def velocity_sd_mps(self, settings: StepSettings) -> float:
        """The more the foot moves, the less its sensor stands still, m/s."""
        return float(np.hypot(settings.zero_velocity_sd_mps, settings.moving_flat_m * self.motion_radps))


@dataclass(frozen=True, slots=True)
class Samples:
    """One foot's samples from a foot-flat to the next.

    Attributes
    ----------
    time_s
        (n,) even instants, s.
    force
        (n, 3) specific force as measured, sensor axes, m/s².
    rate
        (n, 3) angular rate, bias removed, sensor axes, rad/s.
    turned
        (n, 3, 3) rotation since the first sample.
    doubtful
        (n,) True where a channel was at the end of its range, or a short gap was bridged.
    valid
        False where samples were lost.
    start, end
        Filter state at the first sample, and what the samples around the last one say.
    """

    time_s: FloatArray
    force: FloatArray
    rate: FloatArray
    turned: FloatArray
    doubtful: NDArray[np.bool_]
    valid: bool
    start: FlatState
    end: FlatReading


@dataclass(frozen=True, slots=True)
class Swing:
    """One foot's way from a foot-flat to the next, smoothed.

    Attributes
    ----------
    time_s
        (n,) s, first and last are the foot-flats.
    position_m, velocity_mps
        (n, 3) in the foot's own z-up frame, position since the first foot-flat.
    rotation
        (n, 3, 3) rotating sensor axes into that frame.
    covariance
        (3, 3) of the displacement, m².
    surprise
        Velocity left at the closing foot-flat over its expected SD: large where the foot did not stop.
    valid
        False across lost or saturated samples.
    samples
        What it was made of.
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    rotation: FloatArray
    covariance: FloatArray
    surprise: float
    valid: bool
    samples: Samples

    @property
    def displacement_m(self) -> FloatArray:
        """(3,) from the first to the last foot-flat, m."""
        return self.position_m[-1]


def cross_matrices(vectors: FloatArray) -> FloatArray:
    """(n, 3, 3) matrices [v]x with [v]x u = v x u."""
    out = np.zeros((len(vectors), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -vectors[:, 2], vectors[:, 1], -vectors[:, 0]
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = vectors[:, 2], -vectors[:, 1], vectors[:, 0]
    return out


def integral(values: FloatArray, dt_s: float) -> FloatArray:
    """Cumulative trapezoidal integral along the first axis, starting from zero."""
    out = np.empty_like(values)
    out[0] = 0.0
    np.cumsum((values[1:] + values[:-1]) * (0.5 * dt_s), axis=0, out=out[1:])
    return out


def small_rotation(vector: FloatArray) -> FloatArray:
    """(3, 3) rotation by a rotation vector (Rodrigues)."""
    angle = float(np.sqrt(vector @ vector))
    cross = cross_matrices(vector[None])[0]
    if angle < 1e-9:
        return np.eye(3) + cross
    return np.eye(3) + np.sin(angle) / angle * cross + (1.0 - np.cos(angle)) / angle**2 * cross @ cross


def tilt_error(rotation: FloatArray, force: FloatArray) -> FloatArray:
    """(2,) horizontal attitude error (world x and y, rad) that a measured gravity direction shows."""
    up = rotation @ force
    up = up / np.sqrt(up @ up)
    return np.array([up[1], -up[0]])


def _tilt_by(rotation: FloatArray) -> FloatArray:
    """(2, 10) sensitivity of a measured tilt to the lasting errors: a biased accelerometer sees gravity aslant."""
    out = np.zeros((2, STATES))
    out[:, LEVEL] = np.eye(2)
    out[0, FORCE], out[1, FORCE] = rotation[1] / GRAVITY_MPS2, -rotation[0] / GRAVITY_MPS2
    return out


def level(state: FlatState, force: FloatArray, tilt_sd_rad: float, size_sd: float) -> FlatState:
    """Take the direction and the size of gravity from a foot that stands.

    Parameters
    ----------
    state
        As known before.
    force
        (3,) mean specific force as measured, m/s².
    tilt_sd_rad, size_sd
        How well its direction (rad) and its size (1: 100 %) are gravity's.
    """
    corrected = state.corrected(force)
    size = float(np.sqrt(corrected @ corrected))
    along = corrected / size
    observe = np.zeros((3, STATES))
    observe[:2] = _tilt_by(state.rotation)
    observe[2, FORCE], observe[2, SCALE] = -along, along @ force
    residual = np.append(tilt_error(state.rotation, corrected), GRAVITY_MPS2 - size)
    noise = np.diag([tilt_sd_rad**2, tilt_sd_rad**2, (size_sd * GRAVITY_MPS2) ** 2])
    gain = np.linalg.solve(observe @ state.covariance @ observe.T + noise, observe @ state.covariance).T
    return moved(state, gain @ residual, state.covariance - gain @ observe @ state.covariance)


def moved(state: FlatState, errors: FloatArray, covariance: FloatArray) -> FlatState:
    """State after an update: (10,) errors found and (10, 10) what is left of them."""
    return replace(
        state,
        rotation=small_rotation(errors[:3]) @ state.rotation,
        rate_bias=state.rate_bias + errors[RATE],
        force_bias=state.force_bias + errors[FORCE],
        scale=state.scale + float(errors[SCALE]),
        covariance=covariance,
    )


def smooth(samples: Samples, settings: StepSettings) -> tuple[Swing, FlatState]:
    """Integrate one swing and take what its closing foot-flat says back to its beginning.

    The error state (attitude, biases and scale of the sensors, velocity at the start, an acceleration error
    constant over the swing, a rotation lost where the foot turns fastest) is linear in the swing's end velocity and
    position, with coefficients that are integrals of the specific force. One Kalman update with zero velocity and
    the direction of gravity at the end is therefore the fixed-interval smoother of an error-state filter
    with zero-velocity updates (Foxlin 2005, IEEE CG&A 25:38; Colomar et al. 2012, "Step-wise smoothing in
    zero-velocity-aided INS", PIMRC) over the swing, at once for all samples.

    Returns
    -------
    The swing and the filter state at its end.
    """
    time_s, raw, start, end = samples.time_s, samples.force, samples.start, samples.end
    dt_s = float(time_s[1] - time_s[0])
    rotation = start.rotation @ samples.turned
    world = np.einsum("nij,nj->ni", rotation, start.corrected(raw))
    acceleration = world - [0.0, 0.0, GRAVITY_MPS2]
    velocity = start.velocity_mps + integral(acceleration, dt_s)
    position = integral(velocity, dt_s)

    # Sensitivities of attitude, velocity and position to the errors
    crossed = cross_matrices(world)
    attitude_bias = -integral(rotation, dt_s)
    energy = np.einsum("ni,ni->n", samples.rate, samples.rate)
    fastest = int(np.argmax(energy))
    late = (np.arange(len(time_s)) > fastest)[:, None, None]
    slopes = np.zeros((len(time_s), 3, ERRORS))
    slopes[:, :, :3] = -crossed
    slopes[:, :, RATE] = -crossed @ attitude_bias
    slopes[:, :, FORCE] = -rotation
    slopes[:, :, SCALE] = np.einsum("nij,nj->ni", rotation, raw)
    slopes[:, :, DRIFT] = np.eye(3)
    slopes[:, :, LOST] = -crossed * late
    velocity_by = integral(slopes, dt_s)
    velocity_by[:, :, VELOCITY] = np.eye(3)
    position_by = integral(velocity_by, dt_s)

    prior = np.zeros((ERRORS, ERRORS))
    prior[:STATES, :STATES] = start.covariance
    prior[VELOCITY, VELOCITY] = np.eye(3) * start.velocity_sd_mps**2
    prior[DRIFT, DRIFT] = np.eye(3) * settings.drift_sd_mps2**2
    # Bandwidth and range cost most where the foot turns fastest
    lost = settings.lost_rotation_s * float(energy.sum()) * dt_s
    more = DOUBT_RADPS * int(samples.doubtful.sum()) * dt_s
    prior[LOST, LOST] = np.eye(3) * (lost**2 + more**2)
    end_by = np.eye(STATES, ERRORS)
    end_by[:3, RATE], end_by[:3, LOST] = attitude_bias[-1], np.eye(3)
    observe = np.zeros((5, ERRORS))
    observe[:3] = velocity_by[-1]
    observe[3:] = _tilt_by(rotation[-1]) @ end_by
    end_velocity = end.velocity_mps(rotation[-1], settings)
    end_sd = end.velocity_sd_mps(settings)
    # A foot that moves is also accelerated: its force is less of a vertical
    tilt_sd = settings.tilt_sd_rad * max(1.0, 2.0 * end.motion_radps)
    noise = np.diag([end_sd**2] * 3 + [tilt_sd**2] * 2)
    tilt = tilt_error(rotation[-1], start.corrected(end.force))
    residual = np.concatenate([end_velocity - velocity[-1], tilt])
    expected = observe @ prior @ observe.T + noise
    gain = np.linalg.solve(expected, observe @ prior).T
    surprise = float(np.sqrt(residual[:3] @ np.linalg.solve(expected[:3, :3], residual[:3]) / 3.0))
    errors = gain @ residual
    posterior = prior - gain @ observe @ prior
    # A rise that is none within what is known of it: the ground is level
    rise_by = position_by[-1, 2]
    rise, variance = float(position[-1, 2] + rise_by @ errors), float(rise_by @ posterior @ rise_by)
    if rise**2 < settings.level_gate**2 * variance:
        flatten = posterior @ rise_by / (variance + settings.level_sd_m**2)
        errors = errors - flatten * rise
        posterior = posterior - np.outer(flatten, rise_by @ posterior)

    position = position + position_by @ errors
    velocity = velocity + velocity_by @ errors
    attitude = errors[:3] + attitude_bias @ errors[RATE] + late[:, 0] * errors[LOST]
    final = replace(start, rotation=rotation[-1].copy(), velocity_mps=end_velocity, velocity_sd_mps=end_sd)
    rotation = rotation + cross_matrices(attitude) @ rotation

    covariance = end_by @ posterior @ end_by.T
    # All walk a little with each swing; heading is never measured, and kept as it is
    covariance[HEADING, :] = covariance[:, HEADING] = 0.0
    covariance[range(STATES), range(STATES)] += WALK**2
    swing = Swing(
        time_s,
        position,
        velocity,
        rotation,
        position_by[-1] @ posterior @ position_by[-1].T,
        surprise,
        samples.valid,
        samples,
    )
    return swing, moved(final, end_by @ errors, covariance)
