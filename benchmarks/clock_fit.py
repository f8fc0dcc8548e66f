"""Error of the stamps that `gait_twin.sensing.DeviceClock` gives, for clocks and transports of many kinds.

    python benchmarks/clock_fit.py [--out clock_fit.json]

The target: 100 ppm of drift, 15 ms of transport jitter, 1 % loss; after 30 s the 99th percentile is at most 1 ms.
Errors are against the device's true instants plus the transport's shortest delay, which no one-way method sees.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from gait_twin.sensing.clocks import DeviceClock

SEEDS = 10
AFTER_S, UNTIL_S = 30.0, 120.0


def delays(kind: str, n: int, period_s: float, rng: np.random.Generator) -> np.ndarray:
    if kind == "uniform 0-15 ms":
        return rng.uniform(0.0, 0.015, n)
    if kind == "exponential, mean 15 ms":
        return rng.exponential(0.015, n)
    if kind == "normal, SD 15 ms, cut":
        return np.maximum(0.0, rng.normal(0.030, 0.015, n)) - 0.0
    if kind == "gamma(2), mean 15 ms":
        return rng.gamma(2.0, 0.0075, n)
    if kind == "gamma(4), SD 15 ms":
        return rng.gamma(4.0, 0.0075, n)
    if kind == "bursts each 16 ms":  # the latency timer of a USB serial adapter
        at = np.arange(n) * period_s
        return np.ceil(at / 0.016) * 0.016 - at + rng.uniform(0.0, 0.001, n)
    if kind == "stalls of 0.3 s":
        base = rng.uniform(0.0, 0.015, n)
        at = np.arange(n) * period_s
        for start in rng.uniform(0.0, at[-1], 20):
            inside = (at >= start) & (at < start + 0.3)
            base[inside] = np.maximum(base[inside], start + 0.3 - at[inside])
        return base
    raise ValueError(kind)


def one(kind: str, ppm: float, rate_hz: float, seed: int, wander_ppm: float = 0.0) -> tuple[np.ndarray, float]:
    rng = np.random.default_rng(seed)
    n = int(UNTIL_S * rate_hz)
    true = np.arange(n) / rate_hz
    skew = ppm * 1e-6 + wander_ppm * 1e-6 * np.sin(2 * np.pi * true / 300.0)
    device = 1234.5 + np.cumsum((1.0 + skew) / rate_hz)
    delay = delays(kind, n, 1.0 / rate_hz, rng)
    arrival = np.maximum.accumulate(true + delay)
    kept = np.flatnonzero(rng.random(n) > 0.01)
    clock = DeviceClock()
    begin = time.perf_counter()
    stamps = [clock.stamp(d, a) for d, a in zip(device[kept].tolist(), arrival[kept].tolist(), strict=True)]
    took_s = (time.perf_counter() - begin) / len(kept)
    late = true[kept] > AFTER_S
    got = np.array([np.nan if s is None else s for s in stamps])
    return (got - true[kept])[late], took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cases = [(kind, 100.0, 100.0, 0.0) for kind in (
        "uniform 0-15 ms", "exponential, mean 15 ms", "normal, SD 15 ms, cut", "gamma(2), mean 15 ms",
        "gamma(4), SD 15 ms", "bursts each 16 ms", "stalls of 0.3 s",
    )]  # fmt: skip
    cases += [("uniform 0-15 ms", ppm, 100.0, 0.0) for ppm in (0.0, -1000.0, 20000.0)]
    cases += [("uniform 0-15 ms", 100.0, rate, 0.0) for rate in (20.0, 400.0)]
    cases += [("uniform 0-15 ms", 100.0, 100.0, 20.0)]
    rows = []
    print(f"{SEEDS} runs each, {AFTER_S:.0f} to {UNTIL_S:.0f} s after the start; errors in ms")
    print(f"{'transport':26}{'drift ppm':>10}{'wander':>8}{'rate Hz':>9}{'median':>9}{'p99 |e|':>9}{'max':>9}{'us':>6}")
    for kind, ppm, rate, wander in cases:
        results = [one(kind, ppm, rate, seed, wander) for seed in range(SEEDS)]
        error = 1e3 * np.concatenate([r[0] for r in results])
        assert np.isfinite(error).all()
        row = {
            "transport": kind, "drift_ppm": ppm, "wander_ppm": wander, "rate_hz": rate,
            "median_ms": float(np.median(error)), "p99_ms": float(np.quantile(np.abs(error), 0.99)),
            "max_ms": float(np.abs(error).max()), "cost_us": 1e6 * float(np.mean([r[1] for r in results])),
        }  # fmt: skip
        rows.append(row)
        print(f"{kind:26}{ppm:10.0f}{wander:8.0f}{rate:9.0f}{row['median_ms']:9.3f}{row['p99_ms']:9.3f}"
              f"{row['max_ms']:9.3f}{row['cost_us']:6.1f}")  # fmt: skip
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
