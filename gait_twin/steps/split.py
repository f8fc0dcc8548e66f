"""A foot-flat that the samples alone did not show, where a heel strike says that the foot came down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gait_twin.steps.foot import FLAT_HALF_WIDTH_S, MIN_SWING_S, Flat
from gait_twin.steps.settings import StepSettings
from gait_twin.steps.swing import FlatReading, Samples, smooth

SETTLE_S = 0.03
"""No foot is flat sooner after its heel strike."""
STANCE_PART = 0.45
"""A foot is flattest within this part of the stride after its heel strike."""


def split(flat: Flat, strike_s: float, stride_s: float, settings: StepSettings) -> tuple[Flat, Flat] | None:
    """Divide the way to a foot-flat where the foot moved least after a heel strike on that way.

    Parameters
    ----------
    flat
        Foot-flat that ends a way over more than one stride.
    strike_s
        Instant of the heel strike, s.
    stride_s
        Duration of this person's strides, s.
    settings
        As given to the estimator.

    Returns
    -------
    The foot-flat of the heel strike and the one given, with their ways; None where the heel strike is not on the way,
    or where the foot did not come to rest.
    """
    if flat.swing is None:
        return None
    samples = flat.swing.samples
    time_s = samples.time_s
    dt_s = float(time_s[1] - time_s[0])
    first = max(strike_s + SETTLE_S, float(time_s[0]) + MIN_SWING_S)
    last = min(strike_s + STANCE_PART * stride_s, float(time_s[-1]) - MIN_SWING_S)
    rows = np.flatnonzero((time_s >= first) & (time_s <= last))
    if strike_s < time_s[0] or not len(rows):
        return None
    half = max(1, round(FLAT_HALF_WIDTH_S / dt_s))
    around = [slice(row - half, row + half + 1) for row in rows]
    motions = [float(np.sqrt((samples.rate[near] ** 2).sum(axis=1).mean())) for near in around]
    best = int(np.argmin(motions))
    at, near = int(rows[best]), around[best]
    reading = FlatReading(samples.force[near].mean(axis=0), samples.rate[near].mean(axis=0), motions[best])
    before, state = smooth(replace(part(samples, slice(0, at + 1)), end=reading), settings)
    if before.surprise > settings.max_surprise:
        return None
    # The rotation was integrated with the bias that was known at the beginning
    start = replace(state, rate_bias=samples.start.rate_bias)
    after, _ = smooth(replace(part(samples, slice(at, None)), start=start), settings)
    place_m = flat.position_m - flat.swing.displacement_m + before.displacement_m
    there = replace(flat, time_s=float(time_s[at]), position_m=place_m, rotation=before.rotation[-1], swing=before)
    return there, replace(flat, swing=after)


def part(samples: Samples, rows: slice) -> Samples:
    """Return the samples of some rows; `start` and `end` are left as they are."""
    turned = samples.turned[rows]
    return replace(
        samples,
        time_s=samples.time_s[rows],
        force=samples.force[rows],
        rate=samples.rate[rows],
        turned=turned[0].T @ turned,
        doubtful=samples.doubtful[rows],
    )
