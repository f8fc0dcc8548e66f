"""Walks made different: pace, place, scale, noise, range, rate, lost samples, left for right."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.spatial.transform import Rotation

from gait_twin.events.features import MIRRORED, FootFeatures, Resampler
from gait_twin.events.training.walks import RATE_HZ, Walk
from gait_twin.recording import EventKind, Side

FloatArray = NDArray[np.float64]
G_MPS2 = 9.80665


def features(walk: Walk) -> NDArray[np.float32]:
    """Features of both feet as a running detector has them: (n, 2, CHANNELS)."""
    both = [
        FootFeatures(side is Side.LEFT, walk.step_s).update(walk.acc_mps2[:, i], walk.gyr_radps[:, i])
        for i, side in enumerate(Side)
    ]
    return np.stack(both, axis=1)


def mirrored(walk: Walk, seen: NDArray[np.float32]) -> tuple[Walk, NDArray[np.float32]]:
    """The walk and its features in a mirror."""
    turned = seen[:, ::-1].copy()
    turned[..., MIRRORED] *= -1.0
    events = {(side.other, kind): times for (side, kind), times in walk.events.items()}
    swapped = dataclasses.replace(
        walk,
        acc_mps2=walk.acc_mps2[:, ::-1],
        gyr_radps=walk.gyr_radps[:, ::-1],
        events=events,
        known=walk.known[:, ::-1],
    )
    return swapped, turned


def resampled(walk: Walk, rate_hz: float) -> Walk:
    """The walk as a sensor of another rate and the network's resampler give it."""
    columns = np.concatenate([walk.acc_mps2, walk.gyr_radps], axis=2).reshape(len(walk.time_s), -1)
    at = np.arange(walk.time_s[0], walk.time_s[-1], 1.0 / rate_hz)
    taken = np.column_stack([np.interp(at, walk.time_s, c) for c in columns.T])
    time_s, steps = Resampler(1.0 / rate_hz, columns.shape[1]).update(at, taken)
    steps = steps.reshape(len(time_s), 2, 6)
    return Walk(walk.name, time_s, steps[..., :3], steps[..., 3:], walk.events, walk.known[_next(walk.time_s, time_s)])


def _next(time_s: FloatArray, at: FloatArray) -> NDArray[np.intp]:
    """Row of the first instant not before each of `at`; the last row after the end."""
    return np.minimum(np.searchsorted(time_s, at), len(time_s) - 1)


def augmented(walk: Walk, rng: np.random.Generator) -> tuple[Walk, NDArray[np.float32]]:
    """Another walk like this one, and its features (n, 2, CHANNELS).

    Each change is drawn for each foot or walk: pace 0.8 to 1.35 times, sensor moved by 4 cm and turned any way,
    strength of shocks, scale and bias, noise, range ±8 g or ±16 g and 1000 or 2000 °/s, a rate of 50 to 400 Hz,
    bursts of lost samples, and a mirror.
    """
    acc, gyr, time_s = walk.acc_mps2.copy(), walk.gyr_radps.copy(), walk.time_s
    lost = np.isnan(acc + gyr).max(axis=2)
    for x in (acc, gyr):
        for c in x.reshape(len(x), -1).T:
            bad = ~np.isfinite(c)
            c[bad] = np.interp(time_s[bad], time_s[~bad], c[~bad]) if (~bad).any() else 0.0
    for foot in range(2):
        arm = rng.normal(0.0, 0.04, 3)
        alpha = signal.lfilter([0.25, 0.5, 0.25], 1.0, np.gradient(gyr[:, foot], walk.step_s, axis=0), axis=0)
        acc[:, foot] += np.cross(alpha, arm) + np.cross(gyr[:, foot], np.cross(gyr[:, foot], arm))
        if rng.random() < 0.5:
            sos = signal.butter(1, 12.0, fs=RATE_HZ, output="sos")
            slow = signal.sosfiltfilt(sos, acc[:, foot], axis=0)
            acc[:, foot] = slow + rng.uniform(0.5, 1.5) * (acc[:, foot] - slow)
        turn = Rotation.random(rng=rng)
        acc[:, foot] = turn.apply(acc[:, foot]) * rng.normal(1.0, 0.03) + rng.normal(0.0, 0.15, 3)
        gyr[:, foot] = turn.apply(gyr[:, foot]) * rng.normal(1.0, 0.01) + rng.normal(0.0, 0.01, 3)
    acc += rng.exponential(0.05) * rng.standard_normal(acc.shape)
    gyr += rng.exponential(0.01) * rng.standard_normal(gyr.shape)
    acc = np.clip(acc, *(np.array([-1.0, 1.0]) * rng.choice([8.0, 16.0]) * G_MPS2))
    gyr = np.clip(gyr, *(np.array([-1.0, 1.0]) * np.radians(rng.choice([1000.0, 2000.0]))))
    events = walk.events
    if rng.random() < 0.6:
        pace = rng.uniform(0.8, 1.35)
        time_s = time_s / pace
        gyr = gyr * pace
        events = {key: times / pace for key, times in events.items()}
    changed = Walk(walk.name, time_s, acc, gyr, events, walk.known)
    # Back on the even grid, or by way of another rate
    rate_hz = float(rng.choice([50.0, 60.0, 128.0, 200.0, 400.0])) if rng.random() < 0.3 else RATE_HZ
    if rate_hz != RATE_HZ:
        changed = resampled(changed, rate_hz)
    elif events is not walk.events:
        at = np.arange(time_s[0], time_s[-1], 1.0 / RATE_HZ)
        acc, gyr = (
            np.column_stack([np.interp(at, time_s, c) for c in x.reshape(len(x), -1).T]).reshape(len(at), 2, 3)
            for x in (acc, gyr)
        )
        changed = Walk(walk.name, at, acc, gyr, events, walk.known[_next(time_s, at)])
    gone = lost[_next(time_s, changed.time_s)]
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 6)):
            start, length = rng.integers(len(gone)), rng.integers(1, 30)
            gone[start : start + length, rng.integers(2)] = True
    changed.acc_mps2[gone] = np.nan
    seen = features(changed)
    return mirrored(changed, seen) if rng.random() < 0.5 else (changed, seen)


def targets(walk: Walk) -> dict[str, NDArray[np.float32]]:
    """What the network should say at each step of both feet.

    Returns
    -------
    lag_heel_strike, lag_toe_off
        (n, 2) steps since the nearest event (negative before it); NaN where it is far or not known.
    known
        (n, 2) 1 where events and their absence are known.
    stance
        (n, 2) 1 on the ground, 0 in swing, NaN where not known.
    phase
        (n, 2, 2) cosine and sine, zeros while standing, NaN where not known.
    times
        (n, 2, 4) logarithms of this stride's stride, stance, swing and double support time (s), NaN where not known.
    """
    n, t = len(walk.time_s), walk.time_s
    out = {
        "known": walk.known.astype(np.float32),
        "stance": np.full((n, 2), np.nan, np.float32),
        "phase": np.full((n, 2, 2), np.nan, np.float32),
        "times": np.full((n, 2, 4), np.nan, np.float32),
    }
    for kind in EventKind:
        lags = np.full((n, 2), np.nan, np.float32)
        for i, side in enumerate(Side):
            times = walk.events[side, kind]
            if len(times):
                lags[:, i] = (t - times[np.argmin(np.abs(t[:, None] - times), axis=1)]) / walk.step_s
        out[f"lag_{kind.value}"] = lags
    everything = np.sort(np.concatenate(list(walk.events.values()))) if walk.events else np.empty(0)
    for i, side in enumerate(Side):
        strikes, offs = walk.events[side, EventKind.HEEL_STRIKE], walk.events[side, EventKind.TOE_OFF]
        # Standing: far from any event of either foot, and quiet
        far = np.ones(n, bool) if not len(everything) else np.abs(t[:, None] - everything).min(axis=1) > 1.0
        speed = np.nan_to_num(np.linalg.norm(walk.gyr_radps[:, i], axis=1), nan=9.0)
        still = far & walk.known[:, i] & ((speed < 0.5) | (len(everything) == 0))
        out["stance"][still, i], out["phase"][still, i] = 1.0, 0.0
        strides = [(a, b, offs[(offs > a) & (offs < b)]) for a, b in itertools.pairwise(strikes)]
        strides = [(a, b, c) for a, b, c in strides if 0.6 < b - a < 2.5 and len(c) == 1]
        if strides and len(offs) and offs[0] < strikes[0]:  # the first step: a swing, as if a stride had gone before
            strides.insert(0, (strikes[0] - (strides[0][1] - strides[0][0]), strikes[0], offs[:1]))
        other = walk.events[side.other, EventKind.TOE_OFF], walk.events[side.other, EventKind.HEEL_STRIKE]
        for number, (a, b, (c, *_)) in enumerate(strides):
            first = number == 0 and a not in strikes
            rows = slice(*np.searchsorted(t, [c if first else a, b]))
            out["stance"][rows, i] = (t[rows] < c).astype(np.float32)
            angle = 2.0 * np.pi * (t[rows] - a) / (b - a)
            out["phase"][rows, i] = np.column_stack([np.cos(angle), np.sin(angle)])
            if first:
                continue
            values = [b - a, c - a, b - c, np.nan]
            off, strike = (x[(x > a) & (x < b)] for x in other)
            if len(off) == 1 and len(strike) == 1 and off[0] < strike[0] < c:
                values[3] = (off[0] - a) + (c - strike[0])
            with np.errstate(invalid="ignore"):
                out["times"][rows, i] = np.log(np.maximum(values, 0.02))
    return out
