"""Feet that move without a step, made from a seed: fidgeting, and sitting with taps, bounces and leg swings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.spatial.transform import Rotation

from gait_twin.events.training.walks import RATE_HZ, Walk
from gait_twin.recording import EventKind, Side

FloatArray = NDArray[np.float64]

G_MPS2 = 9.80665


def _measured(turn: Rotation, place: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Specific force and rate, (n, 3) each, of a sensor mounted at random on a foot.

    Parameters
    ----------
    turn
        n rotations of foot axes (x forward, y left, z up) into the world.
    place
        (n, 3) of the sensor in the world, m.
    rng
        Mounting and noise.
    """
    rate = (turn[:-1].inv() * turn[1:]).as_rotvec() * RATE_HZ
    force = np.gradient(np.gradient(place, 1.0 / RATE_HZ, axis=0), 1.0 / RATE_HZ, axis=0)
    force[:, 2] += G_MPS2
    mounted = Rotation.random(rng=rng)
    n = len(place)
    gyr = mounted.apply(np.vstack([rate, rate[-1:]])) + 0.005 * rng.standard_normal((n, 3))
    acc = mounted.apply(turn.inv().apply(force)) + 0.03 * rng.standard_normal((n, 3))
    return acc, gyr


def _slow_noise(n: int, cutoff_hz: float, rng: np.random.Generator, order: int = 2) -> FloatArray:
    sos = signal.butter(order, cutoff_hz, fs=RATE_HZ, output="sos")
    noise: FloatArray = signal.sosfilt(sos, rng.standard_normal(n))
    return noise / max(float(noise.std()), 1e-9)


def _without_events(name: str, n: int, feet: list[tuple[FloatArray, FloatArray]]) -> Walk:
    events = {(side, kind): np.empty(0) for side in Side for kind in EventKind}
    acc, gyr = (np.stack([foot[k] for foot in feet], axis=1) for k in range(2))
    return Walk(name, np.arange(n) / RATE_HZ, acc, gyr, events, np.ones((n, 2), bool))


def fidgeting(seed: int, duration_s: float = 30.0) -> Walk:
    """Feet that turn, tap and shift about without a step, as of someone sitting or standing: no events."""
    rng = np.random.default_rng(10_000 + seed)
    n = int(duration_s * RATE_HZ)
    feet = []
    for _ in range(2):
        # A few axes, each moved by slow noise that comes and goes
        angles, place = np.zeros((n, 3)), np.zeros((n, 3))
        for signal_of, size in ((angles, rng.uniform(0.02, 0.35, 3)), (place, rng.uniform(0.002, 0.04, 3))):
            for axis in range(3):
                noise = _slow_noise(n, rng.uniform(0.5, 4.0), rng)
                gate = np.clip(_slow_noise(n, 0.3, rng, order=1) + rng.uniform(-1.0, 0.5), 0.0, 1.5)
                signal_of[:, axis] = size[axis] * gate * noise
        feet.append(_measured(Rotation.from_rotvec(angles), place, rng))
    return _without_events(f"fidgeting {seed}", n, feet)


def sitting(seed: int, duration_s: float = 30.0) -> Walk:
    """Feet of someone seated: toes or heels that tap, knees that bounce, a lower leg that swings, and rest: no events.

    A tap turns the foot about its heel or toes and ends on the floor; a swing turns it about the knee, to and fro.
    """
    rng = np.random.default_rng(20_000 + seed)
    n = int(duration_s * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    feet = []
    for _ in range(2):
        site = np.array([rng.uniform(-0.05, 0.08), rng.normal(0.0, 0.03), rng.uniform(0.03, 0.09)])
        pitch, arm = np.zeros(n), np.zeros((n, 3))
        place = np.zeros((n, 3))
        end_s = rng.uniform(0.0, 2.0)
        while end_s < duration_s:
            start_s, end_s = end_s, end_s + rng.uniform(1.5, 8.0)
            rows = (t >= start_s) & (t < end_s)
            what = rng.choice(["rest", "toes", "heel", "swing"])
            ramp = np.clip(np.minimum(t[rows] - start_s, end_s - t[rows]) / 0.4, 0.0, 1.0)
            beat_hz = rng.uniform(0.6, 1.3) if what == "swing" else rng.uniform(0.8, 5.0)
            beat = np.sin(
                2.0 * np.pi * beat_hz * (t[rows] - start_s) + 0.5 * _slow_noise(int(rows.sum()) + 1, 0.5, rng)[1:]
            )
            if what == "toes":  # about the heel, down to the floor
                arm[rows] = np.array([0.1, 0.0, 0.0])
                pitch[rows] = -rng.uniform(0.05, 0.45) * ramp * np.maximum(beat, -0.2)
            elif what == "heel":  # about the toes
                arm[rows] = np.array([-0.12, 0.0, 0.0])
                pitch[rows] = rng.uniform(0.05, 0.5) * ramp * np.maximum(beat, -0.2)
            elif what == "swing":  # about the knee
                arm[rows] = np.array([0.0, 0.0, -rng.uniform(0.35, 0.5)])
                pitch[rows] = -rng.uniform(0.05, 0.6) * ramp * (beat + rng.uniform(-0.3, 0.6))
            end_s += rng.exponential(1.5)
        sos = signal.butter(2, 20.0, fs=RATE_HZ, output="sos")  # floors and shoes give way
        pitch = signal.sosfiltfilt(sos, pitch)
        wobble = np.column_stack([_slow_noise(n, 1.0, rng) for _ in range(2)]) * rng.uniform(0.0, 0.03)
        turn = Rotation.from_euler("YXZ", np.column_stack([pitch, wobble]))
        place = turn.apply(arm + site)
        # Where one movement ends and another begins the foot is at rest: its place is continued, not leapt to
        leaps = np.flatnonzero(np.abs(np.diff(arm, axis=0)).max(axis=1) > 0.0) + 1
        for row in leaps:
            place[row:] -= place[row] - place[row - 1]
        feet.append(_measured(turn, place, rng))
    return _without_events(f"sitting {seed}", n, feet)
