"""Virtual IMUs on motion that was recorded by others: OpenSim's marker kinematics of walking, stride after stride."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline, make_interp_spline
from scipy.signal import butter, filtfilt

from gait_twin.recording import SEGMENTS, JointTrajectory, Recording, Subject, Truth
from gait_twin.recording.axes import OPENSIM_TO_ROS_QUAT_WXYZ, opensim_to_ros, quat_multiply, quat_rotate
from gait_twin.simulation import SensorSettings
from gait_twin.simulation.sensors import SensorMotion, measure, mounting_quat, site_m
from gait_twin.twin import Skeleton, map_segments, read_table

RATE_HZ = 200.0
STANDING_S = 4.0
START_S = 0.8
"""From standing to walking; the published motion has no first step."""
LOWPASS_HZ = 6.0
GAIT_LEGS = ("hip_flexion_r", "knee_angle_r", "hip_flexion_l", "knee_angle_l")


def walking(skeleton: Skeleton, path: Path, duration_s: float, standing: dict[str, float]) -> tuple[np.ndarray, ...]:
    """Times (n,) and coordinates (n, m): standing in the model's default pose, then the published stride over and over.

    Parameters
    ----------
    skeleton
        The model of the motion.
    path
        Its ``reference_ik.mot``.
    duration_s
        Length, s.
    standing
        Coordinates of the standing that are not the default pose's, deg.
    """
    table = read_table(path)
    rate_hz = 1.0 / np.median(np.diff(table.time_s))
    values = np.tile(skeleton.default, (len(table.time_s), 1))
    low = butter(2, LOWPASS_HZ, fs=rate_hz)
    for name, column in zip(table.columns, table.values.T, strict=True):
        if name in skeleton.coordinates:
            i = skeleton.coordinates.index(name)
            values[:, i] = filtfilt(*low, np.radians(column) if skeleton.rotational[i] else column)
    legs = [skeleton.coordinates.index(name) for name in GAIT_LEGS]
    # the stride: where the legs come back to where they were, as nearly as the recording has it
    lengths = range(round(0.95 * rate_hz), min(round(1.35 * rate_hz), len(values) - 7))
    n = min(lengths, key=lambda k: float(np.abs(values[k : k + 6, legs] - values[:6, legs]).mean()))
    share = np.linspace(-0.5, 0.5, n + 1)[:, None]
    stride = values[: n + 1] - share * (values[n] - values[0])
    stride[-1] = stride[0]
    time_s = np.arange(0.0, duration_s, 1.0 / RATE_HZ)
    walk = CubicSpline(np.arange(n + 1) / rate_hz, stride, bc_type="periodic")((time_s - STANDING_S) % (n / rate_hz))
    stand = skeleton.default.copy()
    stand[~skeleton.rotational] = stride[:, ~skeleton.rotational].mean(axis=0)
    for name, angle in standing.items():
        stand[skeleton.coordinates.index(name)] = np.radians(angle)
    x = np.clip((time_s - STANDING_S) / START_S, 0.0, 1.0)[:, None]
    poses = stand + (walk - stand) * x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
    poses[:, skeleton.fixed] = skeleton.default[skeleton.fixed]
    return time_s, poses


def wear(
    skeleton: Skeleton, time_s: np.ndarray, poses: np.ndarray, sensors: SensorSettings, height_m: float
) -> Recording:
    """What IMUs on all segments would measure of a motion, with the motion as truth."""
    bodies = list(map_segments(skeleton.model, SEGMENTS)[0].values())
    rng = np.random.default_rng(sensors.seed)
    sites = [site_m(s, sensors.foot_site, height_m) + sensors.site_spread_m * rng.standard_normal(3) for s in SEGMENTS]
    places, turns = np.empty((len(time_s), len(SEGMENTS), 3)), np.empty((len(time_s), len(SEGMENTS), 4))
    for k, pose in enumerate(poses):
        skeleton.set(pose)
        turns[k] = skeleton.quaternions(bodies)
        places[k] = skeleton.origins(bodies) + quat_rotate(turns[k], np.array(sites))
    imus = {}
    for i, segment in enumerate(SEGMENTS):
        quat = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, turns[:, i])
        quat = quat_multiply(quat, mounting_quat(segment, sensors))
        flips = np.sum(quat[1:] * quat[:-1], axis=1) < 0.0
        quat[1:] *= np.where(np.cumsum(flips) % 2, -1.0, 1.0)[:, None]
        motion = SensorMotion(
            make_interp_spline(time_s, opensim_to_ros(places[:, i]), k=5), make_interp_spline(time_s, quat, k=5)
        )
        imus[segment] = measure(segment, motion, sensors, float(time_s[-1]))
    first = min(float(imu.time_s[0]) for imu in imus.values())
    return Recording(
        imus={s: dataclasses.replace(imu, time_s=imu.time_s - first) for s, imu in imus.items()},
        subject=Subject("published motion", height_m, skeleton.mass_kg),
        truth=Truth(joints=JointTrajectory(time_s - first, skeleton.coordinates, poses)),
    )
