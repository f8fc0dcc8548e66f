"""Virtual IMUs: exact specific force and angular rate of a moving segment, then everything that spoils them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from gait_twin.recording import SEGMENTS, ImuStream
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    opensim_to_ros,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
)
from gait_twin.simulation.body import BodyMotion
from gait_twin.simulation.settings import SensorSettings

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
EARTH_FIELD_UT = np.array([20.0, 0.0, -43.0])
"""Magnetic flux density in the ROS world (x is magnetic north): a mid-European inclination of 65°, µT."""

_SITES: dict[str, tuple[float, float, float]] = {
    # in body axes (x forward, y up, z right; z outwards for the limbs), fractions of body height
    "pelvis": (-0.085, 0.01, 0.0),
    "torso": (0.06, 0.16, 0.0),
    "femur": (0.0, -0.13, 0.045),
    "tibia": (0.025, -0.08, 0.015),
    "dorsum": (0.100, 0.040, 0.0),
    "heel": (-0.008, 0.025, 0.0),
    "lateral": (0.045, 0.015, 0.022),
}
"""Sacrum, sternum, outer thigh, inner shin, and three places on the shoe."""

_SHOCK_SHARE = {"calcn": 1.0, "tibia": 0.45, "femur": 0.2, "pelvis": 0.12, "torso": 0.06}
"""How the shock of a heel strike fades up the body (Lafortune et al. 1996, J Biomech 29:1531)."""
_SHOCK_HZ, _SHOCK_DECAY_S = 25.0, 0.018


@dataclass(frozen=True, slots=True)
class Shock:
    """Heel strike as a shock.

    Attributes
    ----------
    time_s
        Instant, s.
    strength
        1 at a heel strike at 1.3 m/s.
    forward
        (3,) direction of walking, ROS world.
    foot
        ``calcn_r`` or ``calcn_l``.
    """

    time_s: float
    strength: float
    forward: FloatArray
    foot: str


@dataclass(frozen=True, slots=True)
class SensorMotion:
    """Smooth motion of one sensor in the ROS world: the truth that its samples derive from.

    Attributes
    ----------
    place
        Spline of the (3,) position, m.
    turn
        Spline of the (4,) quaternion rotating sensor axes into the world, not normalised.
    """

    place: BSpline
    turn: BSpline

    def position(self, time_s: FloatArray | float, derivative: int = 0) -> FloatArray:
        """(n, 3) position, m, or its time derivative."""
        return np.asarray(self.place(time_s, derivative))

    def quat_wxyz(self, time_s: FloatArray | float) -> FloatArray:
        """(n, 4) orientation, rotating sensor axes into the world."""
        q = np.asarray(self.turn(time_s))
        return q / np.linalg.norm(q, axis=-1, keepdims=True)

    def angular_rate(self, time_s: FloatArray | float) -> FloatArray:
        """(n, 3) angular rate in sensor axes, rad/s: 2 q* dq/dt of the normalised spline, exactly."""
        q, dq = np.asarray(self.turn(time_s)), np.asarray(self.turn(time_s, 1))
        return 2.0 * quat_multiply(quat_conjugate(q), dq)[..., 1:] / np.sum(q**2, axis=-1, keepdims=True)

    def specific_force(self, time_s: FloatArray | float) -> FloatArray:
        """(n, 3) acceleration less gravity, in sensor axes, m/s²."""
        free = self.position(time_s, 2) + np.array([0.0, 0.0, GRAVITY_MPS2])
        return quat_rotate(quat_conjugate(self.quat_wxyz(time_s)), free)


def site_m(segment: str, foot_site: str, height_m: float) -> FloatArray:
    """(3,) usual place of a sensor on its segment, in body axes, m."""
    kind = segment.split("_", maxsplit=1)[0]
    x, y, z = _SITES[foot_site if kind == "calcn" else kind]
    return height_m * np.array([x, y, -z if segment.endswith("_l") else z])


def mounting_quat(segment: str, sensors: SensorSettings) -> FloatArray:
    """(4,) rotating sensor axes into the segment's body axes."""
    rng = _generator(sensors, segment, 0)
    if sensors.mounting == "random":
        x, y, z, w = Rotation.random(rng=rng).as_quat()
        return np.array([w, x, y, z])
    if sensors.mounting == "nominal":
        return np.array([1.0, 0.0, 0.0, 0.0])
    axis = rng.standard_normal(3)
    half = 0.5 * np.radians(sensors.mounting_askew_deg)
    return np.array([np.cos(half), *(np.sin(half) * axis / np.linalg.norm(axis))])


def sensor_motion(
    segment: str, body: BodyMotion, sensors: SensorSettings, height_m: float, shocks: tuple[Shock, ...] = ()
) -> SensorMotion:
    """Motion of the sensor that a segment wears."""
    rotation, origin = body.pose(segment)
    spread = _generator(sensors, segment, 1).standard_normal(3) * sensors.site_spread_m
    site = site_m(segment, sensors.foot_site, height_m) + spread
    place = opensim_to_ros(origin + rotation @ site)
    xyzw = Rotation.from_matrix(rotation).as_quat()
    segment_quat = np.concatenate([xyzw[:, 3:], xyzw[:, :3]], axis=1)
    quat = quat_multiply(quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, segment_quat), mounting_quat(segment, sensors))
    # q and -q are the same rotation: keep to the side of the one before
    flips = np.sum(quat[1:] * quat[:-1], axis=1) < 0.0
    quat[1:] *= np.where(np.cumsum(flips) % 2, -1.0, 1.0)[:, None]
    for shock in shocks:
        _shake(place, body.time_s, shock, segment, sensors.heel_strike_transient_mps2)
    return SensorMotion(make_interp_spline(body.time_s, place, k=5), make_interp_spline(body.time_s, quat, k=5))


def _shake(place: FloatArray, time_s: FloatArray, shock: Shock, segment: str, peak_mps2: float) -> None:
    """Add the shock's damped oscillation: micrometres of place, so that it integrates to nothing."""
    share = _SHOCK_SHARE[segment.split("_", maxsplit=1)[0]]
    if peak_mps2 == 0.0 or (segment[-2:] in ("_r", "_l") and segment[-2:] != shock.foot[-2:]):
        return
    rows = slice(int(np.searchsorted(time_s, shock.time_s)), int(np.searchsorted(time_s, shock.time_s + 0.2)))
    t = time_s[rows] - shock.time_s
    omega = 2.0 * np.pi * _SHOCK_HZ
    # u³ makes place, velocity and acceleration start from zero
    wave = (t / _SHOCK_DECAY_S) ** 3 * np.exp(-t / _SHOCK_DECAY_S * 1.5) * np.cos(omega * t)
    size = 1.6 * share * shock.strength * peak_mps2 / omega**2
    place[rows] += size * np.outer(wave, np.array([0.0, 0.0, 1.0]) - 0.5 * shock.forward)


def measure(segment: str, motion: SensorMotion, sensors: SensorSettings, duration_s: float) -> ImuStream:
    """Samples of one sensor, on its own clock, with all its errors.

    Parameters
    ----------
    segment, sensors
        Which sensor.
    motion
        Its true motion.
    duration_s
        Length of the walk, s.

    Returns
    -------
    ImuStream
        Stamps in the sensor's clock, which is true time but for offset, drift and jitter; lost samples
        left out.
    """
    rate = sensors.rate_hz(segment)
    clock, noise = _generator(sensors, segment, 2), _generator(sensors, segment, 3)
    start = clock.uniform(0.0, 1.0) * sensors.start_spread_s
    offset, drift = clock.standard_normal(2) * [sensors.clock_offset_s, 1e-6 * sensors.clock_drift_ppm]
    # the crystal that stamps the samples also times them
    time_s = np.arange(start, duration_s, 1.0 / (rate * (1.0 + drift)))
    n = len(time_s)
    acc, gyr = motion.specific_force(time_s), motion.angular_rate(time_s)

    acc_gain, gyr_gain = 1.0 + noise.standard_normal(2) * [sensors.acc_scale_error, sensors.gyro_scale_error]
    acc_bias, gyr_bias = noise.standard_normal((2, 3)) * [[sensors.acc_bias_mps2], [sensors.gyro_bias_radps]]
    step = 1.0 / rate
    acc = acc * acc_gain + acc_bias + _wander(noise, n, step, sensors.acc_bias_instability_mps2, sensors)
    gyr = gyr * gyr_gain + gyr_bias + _wander(noise, n, step, sensors.gyro_bias_instability_radps, sensors)
    # white noise of density d sampled over the band up to half the rate
    acc = acc + noise.standard_normal((n, 3)) * sensors.acc_noise_mps2_rthz * np.sqrt(0.5 * rate)
    gyr = gyr + noise.standard_normal((n, 3)) * sensors.gyro_noise_radps_rthz * np.sqrt(0.5 * rate)
    acc = _convert(acc, sensors.acc_range_mps2, sensors.quantisation_bits)
    gyr = _convert(gyr, sensors.gyro_range_radps, sensors.quantisation_bits)
    mag = None
    if sensors.magnetometer:
        mag = quat_rotate(quat_conjugate(motion.quat_wxyz(time_s)), EARTH_FIELD_UT)
        mag = mag + noise.standard_normal((n, 3)) * sensors.mag_noise_ut

    stamps = time_s * (1.0 + drift) + offset
    # neighbours never change places
    jitter = np.clip(clock.standard_normal(n) * sensors.jitter_s, -0.45 / rate, 0.45 / rate)
    kept = _received(clock, n, rate, sensors)
    stamps = (stamps + jitter)[kept]
    return ImuStream(segment, stamps, acc[kept], gyr[kept], None if mag is None else mag[kept], sampling_rate_hz=rate)


def _wander(noise: np.random.Generator, n: int, step_s: float, size: float, sensors: SensorSettings) -> FloatArray:
    """(n, 3) first-order Gauss-Markov process of standard deviation `size`, starting from zero."""
    keep = float(np.exp(-step_s / sensors.bias_correlation_s))
    drive = noise.standard_normal((n, 3)) * size * np.sqrt(1.0 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], drive, axis=0))


def _convert(values: FloatArray, limit: float, bits: int) -> FloatArray:
    """Saturate and quantise."""
    if not limit:
        return values
    values = np.clip(values, -limit, limit)
    if bits:
        step = 2.0 * limit / 2**bits
        values = np.clip(np.round(values / step) * step, -limit, limit)
    return values


def _received(clock: np.random.Generator, n: int, rate: float, sensors: SensorSettings) -> NDArray[np.bool_]:
    """(n,) samples that arrive; the first always does."""
    kept = clock.uniform(size=n) >= sensors.packet_loss
    bursts = clock.poisson(sensors.burst_loss_per_min * n / rate / 60.0)
    for start, length in zip(
        clock.integers(0, n, bursts), clock.exponential(sensors.burst_length_s, bursts), strict=True
    ):
        kept[start : start + 1 + int(length * rate)] = False
    kept[0] = True
    return kept


def _generator(sensors: SensorSettings, segment: str, purpose: int) -> np.random.Generator:
    return np.random.default_rng([sensors.seed, SEGMENTS.index(segment), purpose])
