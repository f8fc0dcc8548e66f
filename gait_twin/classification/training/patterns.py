"""Virtual subjects with gait patterns, walked through the real chain: data of the shipped model."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from gait_twin.classification.cycles import Cycle
from gait_twin.classification.training.chain import BLOCK_S, Chain, cycles_of
from gait_twin.classification.training.data import CycleSet, Walk
from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, Recording
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.simulation.random_patterns import RANDOM, random_pattern

PATTERNS = (
    "normal",
    "crouch",
    "stiff_knee",
    "drop_foot",
    "circumduction",
    "antalgic",
    "trendelenburg",
    "shuffling",
    "toe_walking",
)
BOTH_SIDES = ("normal", "crouch", "shuffling", "toe_walking")
"""Patterns of both legs alike: they have no affected side."""
WALKS = 720
"""Of the shipped model: 80 of each pattern."""
ABOUT = "It was trained on virtual subjects, whose deviations follow published descriptions; no patient was among them."
CHUNK = 30
"""Walks of one file in the cache."""
CYCLES = 16
"""At most so many cycles of a walk are kept: more walks tell more than longer ones."""
FRAME_RATES_HZ = (50.0, 60.0, 100.0)
LOOKED_AT = 8
"""Strides of each leg that forward directions are found from where a recording is looked at first."""
TRAINING, VALIDATION, TEST, STRANGERS = 0, 1_000_000, 2_000_000, 3_000_000
"""First seeds: no two of these groups of virtual subjects share one."""
CHAIN = 3
"""To be raised when the rooms between sensors and cycles change: walks of an older state are not used then."""


@dataclasses.dataclass(frozen=True)
class Wearing:
    """What is worn, and how well; None is drawn.

    Attributes
    ----------
    segments
        Sensors worn.
    askew_deg
        How far each sensor is turned away from its segment's axes, and each forward direction from the true one.
    one_missing
        One of the sensors is left out, another one for each subject.
    frame_rate_hz
        Of the hub.
    severity
        0 to 1.
    style
        Spread of persons' own ways of walking, 1 as among adults.
    pattern
        Of everyone; by the seed's remainder where it is not given.
    """

    segments: tuple[str, ...] | None = None
    askew_deg: float | None = None
    one_missing: bool = False
    frame_rate_hz: float | None = None
    severity: float | None = None
    style: float | None = None
    pattern: str | None = None


STRANGE = Wearing(pattern=RANDOM)
"""Of gaits like none that has a name."""


def drawn(seed: int, wearing: Wearing | None = None) -> tuple[WalkSettings, SensorSettings, Walk, float]:
    """Body, walk and sensors of one virtual subject; and by how much its forward directions are off, degrees.

    The pattern goes by the seed's remainder, all else is drawn from the seed.
    """
    given = wearing or Wearing()
    rng = np.random.default_rng([seed, 77])
    pattern = given.pattern or PATTERNS[seed % len(PATTERNS)]
    height = float(rng.uniform(1.45, 1.98))
    severity = float(rng.uniform(0.0, 1.0)) if given.severity is None else given.severity
    style = float(rng.uniform(0.5, 1.3)) if given.style is None else given.style
    parts, of = random_pattern(seed) if pattern == RANDOM else (None, ())
    one_sided = pattern not in BOTH_SIDES if parts is None else parts.sides != "both"
    side = str(rng.choice(["left", "right"])) if one_sided else "usual"
    own_pace = rng.random() < 0.6
    speed = 0.0 if own_pace else float(rng.uniform(0.45, 1.4))
    out_and_back = rng.random() < 0.2
    walk: dict[str, Any] = {
        "duration_s": 16.0 if out_and_back else 12.8,
        "standing_start_s": float(rng.uniform(3.0, 3.6)),
        "standing_end_s": 0.6,
        "height_m": height,
        "mass_kg": float(np.clip(rng.uniform(18.0, 34.0) * height**2, 40.0, 150.0)),
        "speed_mps": speed,
        "straight_length_m": float(rng.uniform(3.5, 5.0)) if out_and_back else 100.0,
        "turn_angle_deg": float(rng.choice([-180.0, 180.0])),
        "step_width_m": float(rng.uniform(0.06, 0.15)),
        "toe_out_deg": float(rng.uniform(-3.0, 14.0)),
        "length_asymmetry": float(np.clip(rng.normal(0.0, 0.03), -0.08, 0.08)),
        "time_asymmetry": float(np.clip(rng.normal(0.0, 0.02), -0.06, 0.06)),
        "variability": float(rng.uniform(0.6, 1.7)),
        "sway": float(rng.uniform(0.5, 1.5)),
        "trunk_motion": float(rng.uniform(0.6, 1.4)),
        "first_side": str(rng.choice(["left", "right"])),
        "pattern": pattern,
        "severity": severity,
        "affected_side": side,
        "style": style,
        "seed": seed,
    }
    worn = list(SEGMENTS)
    kind = rng.random()
    if kind < 0.10:
        worn = ["calcn_r", "calcn_l"]
    elif kind < 0.25:
        worn.remove("torso")
    elif kind < 0.45:
        worn.remove(str(rng.choice(SEGMENTS)))
    if given.segments is not None:
        worn = list(given.segments)
    if given.one_missing:
        worn.remove(str(rng.choice(worn)))
    askew = float(rng.uniform(0.0, 18.0)) if given.askew_deg is None else given.askew_deg
    heading = abs(float(rng.normal(0.0, 8.0))) if rng.random() < 0.6 else 0.0
    everyday = rng.uniform(0.3, 2.5)
    sensors: dict[str, Any] = {
        "segments": tuple(worn),
        "rates_hz": (float(rng.choice([60.0, 100.0, 100.0, 128.0])),),
        "mounting": "random" if given.askew_deg is None and rng.random() < 0.3 else "askew",
        "mounting_askew_deg": askew,
        "foot_site": str(rng.choice(["dorsum", "heel", "lateral"])),
        "site_spread_m": 0.012,
        "gyro_noise_radps_rthz": 1.7e-4 * everyday,
        "acc_noise_mps2_rthz": 2.0e-3 * everyday,
        "gyro_bias_radps": 3.5e-3 * everyday,
        "acc_bias_mps2": 0.05 * everyday,
        "acc_scale_error": 0.01,
        "gyro_scale_error": 0.003,
        "heel_strike_transient_mps2": float(rng.uniform(5.0, 50.0)),
        "clock_offset_s": 0.004,
        "jitter_s": 0.0005,
        "packet_loss": float(rng.choice([0.0, 0.002, 0.01])),
        "seed": seed,
    }
    facts: dict[str, Any] = {
        "severity": round(severity, 3),
        "own_pace": own_pace,
        "style": round(style, 3),
        "sensors": len(sensors["segments"]),
        "askew_deg": round(askew, 1),
    }
    if of:
        facts["of"] = list(of)
    affected = side if one_sided and parts is None else ""
    return (
        WalkSettings(**walk),
        SensorSettings(**sensors),
        Walk(f"virtual {seed}", f"virtual {seed}", pattern, affected, facts),
        heading if given.askew_deg is None else given.askew_deg,
    )


def walked(seed: int, wearing: Wearing | None = None) -> tuple[Walk, list[Cycle]]:
    """One virtual subject's walk through the chain."""
    given = wearing or Wearing()
    walk, sensors, about, heading_deg = drawn(seed, given)
    recording = None
    for pace in (walk.speed_mps, 0.0):  # where a pattern cannot be walked at a pace: at its own
        with contextlib.suppress(InputError):
            recording = recording or simulate(dataclasses.replace(walk, speed_mps=pace), sensors)
    if recording is None:  # nor by this body
        return about, []
    rng = np.random.default_rng([seed, 78])
    rate = float(rng.choice(FRAME_RATES_HZ)) if given.frame_rate_hz is None else given.frame_rate_hz
    hub = HubSettings(frame_rate_hz=rate)
    if rng.random() < 0.5 or heading_deg:  # as `analyze` does; the others find forward as they go, as live
        hub = dataclasses.replace(hub, mounting=_found(recording, heading_deg, rng))
    cycles, strides = cycles_of(recording, Chain(hub=hub))
    speeds = [s.speed_mps for s in strides if s.valid and math.isfinite(s.speed_mps)]
    about.facts["speed_mps"] = round(float(np.median(speeds)), 3) if speeds else math.nan
    if len(cycles) > CYCLES:
        start = int(rng.integers(0, len(cycles) - CYCLES + 1))
        cycles = cycles[start : start + CYCLES]
    return about, cycles


def _found(recording: Recording, off_deg: float, rng: np.random.Generator) -> tuple[str, ...]:
    """Forward directions found from the whole recording, each then turned by about `off_deg`: a calibration's error."""
    hub = SensorHub(tuple(recording.imus), HubSettings(heading_strides=LOOKED_AT))
    for start_s in np.arange(0.0, recording.duration_s + BLOCK_S, BLOCK_S):
        for segment, stream in recording.imus.items():
            a, b = np.searchsorted(stream.time_s, [start_s, start_s + BLOCK_S])
            if b > a and stream.gyr_radps is not None:
                hub.push(segment, stream.time_s[a:b], stream.acc_mps2[a:b], stream.gyr_radps[a:b])
        hub.poll()
    hub.flush()
    turned = []
    for entry in hub.calibration.mounting():
        segment, _, direction = entry.partition("=")
        forward = np.array([float(part) for part in direction.split()])
        axis = rng.standard_normal(3)
        angle = np.radians(off_deg) / np.linalg.norm(axis)
        x, y, z = Rotation.from_rotvec(angle * axis).apply(forward)
        turned.append(f"{segment}={x:.6f} {y:.6f} {z:.6f}")
    return tuple(turned)


def _version() -> str:
    """Short name of how walks are drawn: what was cached by another is not used."""
    from gait_twin.simulation.patterns import PATTERNS as TABLES

    few = range(len(PATTERNS))
    text = repr([CHAIN, [drawn(seed) for seed in few], [random_pattern(seed) for seed in few], TABLES])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _chunk(job: tuple[Path, tuple[int, ...], Wearing]) -> Path:
    path, seeds, wearing = job
    if not path.exists():
        CycleSet.of(walked(seed, wearing) for seed in seeds).save(path)
    return path


def generate(
    first: int,
    count: int,
    cache: Path,
    wearing: Wearing | None = None,
    processes: int = 2,
    progress: Callable[[float], None] = lambda _: None,
) -> CycleSet:
    """Walks of the virtual subjects `first` to `first` + `count` - 1; what is in the cache is taken from there.

    Parameters
    ----------
    first, count
        Seeds.
    cache
        Folder; made if it is not there.
    wearing
        What is not drawn.
    processes
        How many work at once.
    progress
        Told the fraction done.
    """
    cache.mkdir(parents=True, exist_ok=True)
    given = wearing or Wearing()
    kind = hashlib.sha256(json.dumps(dataclasses.asdict(given)).encode()).hexdigest()[:6]
    seeds = range(first, first + count)
    jobs = [
        (cache / f"{_version()}_{kind}_{part[0]}_{len(part)}.npz", part, given)
        for part in (tuple(seeds[i : i + CHUNK]) for i in range(0, count, CHUNK))
    ]
    paths: list[Path] = []
    if processes > 1 and any(not path.exists() for path, _, _ in jobs):
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for path in pool.map(_chunk, jobs):
                paths.append(path)
                progress(len(paths) / len(jobs))
    else:
        for job in jobs:
            paths.append(_chunk(job))
            progress(len(paths) / len(jobs))
    return CycleSet.joined([CycleSet.load(path) for path in paths])


def without(pattern: str, data: CycleSet) -> tuple[CycleSet, CycleSet]:
    """The data without a pattern, and the pattern alone."""
    its = np.array([walk.label == pattern for walk in data.walks], bool)
    return data.of_walks(~its), data.of_walks(its)
