"""From foot-flat to foot-flat: the error-state filter's step over one swing, smoothed when it closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.steps.settings import StepSettings

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
LEVEL = slice(0, 2)
ERRORS = 15
LOST = slice(12, 15)
"""Rotation lost, among the errors of a swing."""


@dataclass(frozen=True, slots=True)
class FlatState:
    """What the filter knows at a foot-flat.

    Attributes
    ----------
    rotation
        (3, 3) rotating sensor axes into the foot's own z-up frame.
    rate_bias
        (3,) gyroscope bias, rad/s.
    covariance
        (6, 6) of the attitude error (world axes, rad) and the bias error.
    velocity_mps
        (3,) of the sensor there, m/s: a flat foot still rolls a little.
    velocity_sd_mps
        How well that holds, m/s.
    """

    rotation: FloatArray
    rate_bias: FloatArray
    covariance: FloatArray
    velocity_mps: FloatArray
    velocity_sd_mps: float


@dataclass(frozen=True, slots=True)
class FlatReading:
    """What the samples around a foot-flat say.

    Attributes
    ----------
    force, rate
        (3,) mean specific force (scale corrected, m/s²) and angular rate (bias removed, rad/s), sensor axes.
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
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    rotation: FloatArray
    covariance: FloatArray
    surprise: float
    valid: bool

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


def smooth(
    time_s: FloatArray,
    force: FloatArray,
    turned: FloatArray,
    speed: FloatArray,
    start: FlatState,
    end: FlatReading,
    settings: StepSettings,
    valid: bool,
) -> tuple[Swing, FlatState]:
    """Integrate one swing and take what its closing foot-flat says back to its beginning.

    The error state (attitude, gyroscope bias, velocity at the start, an acceleration error constant over
    the swing, a rotation lost where the foot turns fastest) is linear in the swing's end velocity and
    position, with coefficients that are integrals of the specific force. One Kalman update with zero velocity and
    the direction of gravity at the end is therefore the fixed-interval smoother of an error-state filter
    with zero-velocity updates (Foxlin 2005, IEEE CG&A 25:38; Colomar et al. 2012, "Step-wise smoothing in
    zero-velocity-aided INS", PIMRC) over the swing, at once for all samples.

    Parameters
    ----------
    time_s
        (n,) even instants, s.
    force
        (n, 3) specific force with scale corrected, sensor axes, m/s².
    turned
        (n, 3, 3) rotation since the first sample, from the bias-corrected rate.
    speed
        (n,) size of that rate, rad/s.
    start
        Filter state at the first sample.
    end
        What the samples around the last one say.

    Returns
    -------
    The swing and the filter state at its end.
    """
    dt_s = float(time_s[1] - time_s[0])
    since = time_s - time_s[0]
    rotation = start.rotation @ turned
    world = np.einsum("nij,nj->ni", rotation, force)
    acceleration = world - [0.0, 0.0, GRAVITY_MPS2]
    velocity = start.velocity_mps + integral(acceleration, dt_s)
    position = integral(velocity, dt_s)

    # Sensitivities of attitude, velocity and position to the 15 errors
    crossed = cross_matrices(world)
    attitude_bias = -integral(rotation, dt_s)
    fastest = int(np.argmax(speed))
    late = (np.arange(len(time_s)) > fastest)[:, None, None]
    slopes = np.concatenate([-crossed, -crossed @ attitude_bias, -crossed * late], axis=2)
    by_slopes = integral(slopes, dt_s)
    velocity_by = np.zeros((len(time_s), 3, ERRORS))
    velocity_by[:, :, :6] = by_slopes[:, :, :6]
    velocity_by[:, :, 6:9] = np.eye(3)
    velocity_by[:, :, 9:12] = np.eye(3) * since[:, None, None]
    velocity_by[:, :, LOST] = by_slopes[:, :, 6:]
    position_by = integral(velocity_by, dt_s)

    prior = np.zeros((ERRORS, ERRORS))
    # Bandwidth and range cost most where the foot turns fastest
    lost = settings.lost_rotation_s * float(speed @ speed) * dt_s
    prior[LOST, LOST] = np.eye(3) * lost**2
    prior[:6, :6] = start.covariance
    prior[range(6, 9), range(6, 9)] = start.velocity_sd_mps**2
    prior[range(9, 12), range(9, 12)] = settings.drift_sd_mps2**2
    observe = np.zeros((5, ERRORS))
    observe[:3] = velocity_by[-1]
    observe[3:, LEVEL] = observe[3:, LOST][:, :2] = np.eye(2)
    observe[3:, 3:6] = attitude_bias[-1][:2]
    end_velocity = end.velocity_mps(rotation[-1], settings)
    end_sd = end.velocity_sd_mps(settings)
    # A foot that moves is also accelerated: its force is less of a vertical
    tilt_sd = settings.tilt_sd_rad * max(1.0, 2.0 * end.motion_radps)
    noise = np.diag([end_sd**2] * 3 + [tilt_sd**2] * 2)
    residual = np.concatenate([end_velocity - velocity[-1], tilt_error(rotation[-1], end.force)])
    expected = observe @ prior @ observe.T + noise
    gain = np.linalg.solve(expected, observe @ prior).T
    surprise = float(np.sqrt(residual[:3] @ np.linalg.solve(expected[:3, :3], residual[:3]) / 3.0))
    errors = gain @ residual
    posterior = prior - gain @ observe @ prior

    position = position + position_by @ errors
    velocity = velocity + velocity_by @ errors
    attitude = errors[:3] + attitude_bias @ errors[3:6] + late[:, 0] * errors[LOST]
    rotation = rotation + cross_matrices(attitude) @ rotation

    end_by = np.zeros((6, ERRORS))
    end_by[:3, :3] = end_by[3:, 3:6] = end_by[:3, LOST] = np.eye(3)
    end_by[:3, 3:6] = attitude_bias[-1]
    covariance = end_by @ posterior @ end_by.T
    # The attitude walks a little with each swing; heading is never measured, and kept as it is
    covariance[:3, :3] += np.eye(3) * 0.003**2
    covariance[2, :] = covariance[:, 2] = 0.0
    covariance[3:, 3:] += np.eye(3) * 0.0003**2 * max(since[-1], 0.0)
    final = small_rotation(attitude[-1]) @ (start.rotation @ turned[-1])
    swing = Swing(
        time_s,
        position,
        velocity,
        rotation,
        position_by[-1] @ posterior @ position_by[-1].T,
        surprise,
        valid,
    )
    return swing, FlatState(final, start.rate_bias + errors[3:6], covariance, end_velocity, end_sd)
