"""A simple person for tests: stands, then walks with a turn, wearing sensors turned in any way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    quat_about_z,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    rotvec_from_quat,
)

STRIDE_S, STRIDE_M, GRAVITY = 1.1, 1.3, 9.80665

# pitch about the right-pointing axis over the cycle from heel strike, degrees, roughly as Winter (2009) shows
PITCH = {
    "calcn": ([0, 0.08, 0.42, 0.62, 0.93, 1], [18, 0, 0, -60, 22, 18]),
    "tibia": ([0, 0.1, 0.62, 0.95, 1], [18, 5, -48, 22, 18]),
    "femur": ([0, 0.1, 0.3, 0.52, 0.62, 0.75, 0.86, 1], [24, 22, 4, -12, 4, 23, 27, 24]),
}


@dataclass
class Worn:
    """One sensor's samples and the truth behind them."""

    time_s: np.ndarray
    acc: np.ndarray
    gyr: np.ndarray
    quat: np.ndarray
    body_quat: np.ndarray


def wear(
    segment: str,
    *,
    rate_hz: float = 100.0,
    mounting: np.ndarray | None = None,
    stand_s: float = 3.0,
    end_s: float = 25.0,
    start_s: float = 0.0,
    turn_s: tuple[float, float] = (12.0, 15.0),
    facing_rad: float = 0.0,
    acc_scale: float = 1.0,
    gyro_bias: tuple[float, float, float] = (0.0, 0.0, 0.0),
    noise: float = 0.0,
    seed: int = 0,
) -> Worn:
    """Samples of one sensor; `mounting` (4,) rotates sensor axes into the standing person's (x forward, z up)."""
    mounting = np.array([1.0, 0, 0, 0]) if mounting is None else mounting
    step = 1.0 / rate_hz
    time = np.arange(start_s, end_s, step)
    fine = np.concatenate([time[:1] - step, time, time[-1:] + step])
    quat, position, body = _pose(segment, fine, stand_s, turn_s, facing_rad)
    acceleration = np.diff(position, n=2, axis=0) / step**2 + [0.0, 0.0, GRAVITY]
    quat = quat_multiply(quat, mounting)
    turned = rotvec_from_quat(quat_multiply(quat_conjugate(quat[:-2]), quat[2:])) / (2 * step)
    quat = quat[1:-1]
    rng = np.random.default_rng(seed)
    acc = quat_rotate(quat_conjugate(quat), acceleration) * acc_scale + noise * rng.normal(size=(len(time), 3))
    gyr = turned + gyro_bias + 0.1 * noise * rng.normal(size=(len(time), 3))
    return Worn(time, acc, gyr, quat, body[1:-1])


def _pose(segment, time, stand_s, turn_s, facing_rad):
    part, _, side = segment.partition("_")
    # the left foot leads with half a cycle; before the first heel strike everyone stands
    cycle = np.maximum(time - stand_s, 0.0) / STRIDE_S + (0.5 if side == "l" else 0.0)
    started = np.clip((time - stand_s) / STRIDE_S, 0.0, 1.0)
    started = started**3 * (10 - 15 * started + 6 * started**2)
    turning = np.clip((time - turn_s[0]) / (turn_s[1] - turn_s[0]), 0.0, 1.0)
    yaw = facing_rad + np.pi * turning**3 * (10 - 15 * turning + 6 * turning**2)
    phase = cycle % 1.0
    pitch = np.zeros_like(time)
    speed = np.full_like(time, STRIDE_M / STRIDE_S)
    side_way, height = np.zeros_like(time), np.zeros_like(time)
    if part in PITCH:
        knots, angles = PITCH[part]
        wide_k = np.concatenate([np.array(knots[:-1]) - 1, knots, np.array(knots[1:]) + 1])
        wide_a = np.concatenate([angles[:-1], angles, angles[1:]])
        pitch = np.radians(PchipInterpolator(wide_k, wide_a)(phase))
        swing = np.clip((phase - 0.6) / 0.38, 0.0, 1.0)
        if part == "calcn":
            speed = STRIDE_M * 30 * (swing * (1 - swing)) ** 2 / (0.38 * STRIDE_S)
            height = 0.1 * np.sin(np.pi * swing) ** 4
    else:
        beat = 4 * np.pi * (cycle - 0.3)
        height = 0.02 * np.cos(beat)
        speed = speed - 0.15 * np.cos(beat)
        side_way = -0.02 * np.sin(2 * np.pi * (cycle + 0.05))  # over the standing foot
        pitch = np.radians(2.0) * np.cos(beat)
    heading = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], axis=1)
    left = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=1)
    position = np.cumsum(heading * (speed * started)[:, None], axis=0) * (time[1] - time[0])
    position += left * (side_way * started)[:, None]
    position[:, 2] += height * started
    tilt = quat_from_rotvec((pitch * started)[:, None] * np.array([0.0, -1.0, 0.0]))
    quat = quat_multiply(quat_about_z(yaw), tilt)
    return quat, position, quat_multiply(quat, OPENSIM_TO_ROS_QUAT_WXYZ)


def play(hub, sensors: dict[str, Worn], block_s: float = 0.5, device_orientation: bool = False, gyro: bool = True):
    """Push all sensors in blocks of time, poll after each, flush; the blocks of frames."""
    pushes = push_blocks(hub, sensors, block_s, device_orientation, gyro)
    return [hub.poll() for _ in pushes] + [hub.flush()]


def push_blocks(hub, sensors, block_s=0.5, device_orientation=False, gyro=True):
    """Push all sensors in blocks of time; yields after each."""
    begin = min(s.time_s[0] for s in sensors.values())
    end = max(s.time_s[-1] for s in sensors.values())
    edges = np.arange(begin, end + 2 * block_s, block_s)
    cuts = {segment: np.searchsorted(worn.time_s, edges) for segment, worn in sensors.items()}
    for n in range(len(edges) - 1):
        for segment, worn in sensors.items():
            i, j = cuts[segment][n : n + 2]
            quat = worn.quat[i:j] if device_orientation else None
            hub.push(segment, worn.time_s[i:j], worn.acc[i:j], worn.gyr[i:j] if gyro else None, quat)
        yield


def joined(blocks, name: str) -> np.ndarray:
    """One attribute of all blocks, in a row."""
    return np.concatenate([getattr(b, name) for b in blocks])
