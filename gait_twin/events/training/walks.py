"""Walks with known events: recorded and virtual."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gait_twin.errors import InputError
from gait_twin.recording import BodyFrames, EventKind, Recording, Side
from gait_twin.recording.importers import find_importer
from gait_twin.sensing import HubSettings, SensorHub

FloatArray = NDArray[np.float64]

SPLITS = Path(__file__).with_name("splits.json")
RATE_HZ = 100.0
BLOCK_S = 2.0
QUIET_RADPS = 0.3
"""A foot that turns slower than this is not on its way: so much is known where no one has labelled."""
AFTER_S = 0.1
"""Labels are complete up to this long after the marked end of a trial."""
MADE = ("virtual", "fidgeting", "sitting")
VIRTUAL_SHIFT_S = {EventKind.HEEL_STRIKE: 0.008, EventKind.TOE_OFF: -0.004}
"""Added to a virtual subject's exact events so that they mean what the labels of recordings mean: where a
network trained on the recordings alone found them."""


@dataclass(frozen=True)
class Walk:
    """Both feet of one person, left and right, at an even rate.

    Attributes
    ----------
    name
        Trial or seed.
    time_s
        (n,) s.
    acc_mps2, gyr_radps
        (n, 2, 3) in sensor axes, NaN where there is no sample.
    events
        Instants of each side's and kind's events, s.
    known
        (n, 2) whether it is known of an instant that an event is there or is not.
    """

    name: str
    time_s: FloatArray
    acc_mps2: FloatArray
    gyr_radps: FloatArray
    events: dict[tuple[Side, EventKind], FloatArray]
    known: NDArray[np.bool_]

    @property
    def made(self) -> bool:
        """Whether no one ever walked it."""
        return self.name.startswith(MADE)

    @property
    def subject(self) -> int:
        """Number of the person recorded; 0 where it is made."""
        return 0 if self.made else int(self.name.split("-")[0])

    @property
    def step_s(self) -> float:
        """Interval of the samples, s."""
        return float(self.time_s[1] - self.time_s[0])


def splits() -> dict[str, Any]:
    """`folds`: subjects of each of the four folds; `virtual_train`, …: first and last seed of virtual subjects."""
    return {key: value for key, value in json.loads(SPLITS.read_text()).items() if key != "about"}


def people() -> list[int]:
    """Subjects of all folds."""
    return sorted(subject for fold in splits()["folds"] for subject in fold)


def trials(data: Path, subjects: Iterable[int]) -> list[Path]:
    """Label files of the subjects' trials in a folder of recordings.

    Raises
    ------
    InputError
        If they are not there.
    """
    folder = data / "foot_healthy_10m"
    wanted = set(subjects)
    found = [path for path in folder.glob("*-*.json") if int(path.stem.split("-")[0]) in wanted]
    if not found:
        raise InputError(f"There are no trials of subjects {sorted(wanted)} in {folder}; give --data the folder above.")
    return sorted(found, key=lambda path: [int(part) for part in path.stem.split("-")])


def recorded(path: Path) -> Walk:
    """One trial of foot_healthy_10m, through the sensor hub as a live stream would go."""
    recording = find_importer(path).load(path)
    meta = json.loads(path.read_text(encoding="utf-8"))
    walk = from_recording(path.stem, recording)
    end_s = meta["TrialBoundaries"][1] / 100.0 + AFTER_S
    late = walk.time_s > end_s
    speed = np.linalg.norm(walk.gyr_radps, axis=2)
    # Moved since, or about to: what a foot does there nobody has said
    moved = signal.lfilter(np.ones(100), 1.0, (np.nan_to_num(speed, nan=9.0) > QUIET_RADPS)[::-1], axis=0)[::-1] > 0.5
    moved |= signal.lfilter(np.ones(30), 1.0, moved, axis=0) > 0.5
    walk.known[:] = ~(late[:, None] & moved)
    for key, times in walk.events.items():
        walk.events[key] = times[times <= end_s]
    return walk


def frames_of(recording: Recording, rate_hz: float = RATE_HZ) -> BodyFrames:
    """A recording's feet as the sensor hub gives them."""
    feet = tuple(side.foot for side in Side if side.foot in recording.imus)
    hub = SensorHub(feet, HubSettings(frame_rate_hz=rate_hz))
    blocks = []
    for end_s in np.arange(BLOCK_S, recording.duration_s + 2 * BLOCK_S, BLOCK_S):
        for segment in feet:
            stream = recording.imus[segment]
            a, b = np.searchsorted(stream.time_s, [end_s - BLOCK_S, end_s])
            if b > a and stream.gyr_radps is not None:
                hub.push(segment, stream.time_s[a:b], stream.acc_mps2[a:b], stream.gyr_radps[a:b])
        blocks.append(hub.poll())
    return BodyFrames.joined([*blocks, hub.flush()])


def from_recording(name: str, recording: Recording) -> Walk:
    """A recording's feet and labelled events."""
    frames = frames_of(recording)
    columns = [frames.segments.index(side.foot) for side in Side]
    truth = recording.truth.events if recording.truth else ()
    events = {
        (side, kind): np.array([e.time_s for e in truth if e.side is side and e.kind is kind])
        for side in Side
        for kind in EventKind
    }
    acc, gyr = frames.acc_mps2[:, columns], frames.gyr_radps[:, columns]
    return Walk(name, frames.time_s, acc, gyr, events, np.ones((len(frames), 2), bool))


def virtual(seed: int, duration_s: float = 30.0, **chosen: Any) -> Walk:
    """A virtual subject's walk: pace, turns, asymmetry, and the sensors' place and faults are drawn from the seed."""
    from gait_twin.simulation import SensorSettings, WalkSettings, simulate

    rng = np.random.default_rng(seed)
    walk: dict[str, Any] = {
        "duration_s": duration_s,
        "standing_start_s": float(rng.uniform(2.0, 6.0)),
        "height_m": float(rng.uniform(1.5, 1.95)),
        "speed_mps": float(rng.uniform(0.5, 1.7)),
        "straight_length_m": float(rng.uniform(3.0, 12.0)),
        "turn_angle_deg": float(rng.choice([-180.0, -90.0, 90.0, 180.0])),
        "turn_radius_m": float(rng.uniform(0.4, 1.5)),
        "step_width_m": float(rng.uniform(0.06, 0.16)),
        "length_asymmetry": float(rng.choice([0.0, rng.normal(0.0, 0.1)])),
        "time_asymmetry": float(rng.choice([0.0, rng.normal(0.0, 0.07)])),
        "variability": float(rng.uniform(0.5, 2.0)),
        "first_side": str(rng.choice(["left", "right"])),
        "seed": seed,
    }
    sensors: dict[str, Any] = {
        "segments": ("calcn_l", "calcn_r"),
        "mounting": "random",
        "foot_site": str(rng.choice(["dorsum", "heel", "lateral"])),
        "site_spread_m": 0.01,
        "gyro_noise_radps_rthz": 3e-4,
        "acc_noise_mps2_rthz": 3e-3,
        "gyro_bias_radps": 5e-3,
        "acc_bias_mps2": 0.1,
        "acc_scale_error": 0.02,
        "heel_strike_transient_mps2": float(rng.uniform(10.0, 60.0)),
        "seed": seed,
    }
    made = from_recording(
        f"virtual {seed}",
        simulate(
            WalkSettings(**(walk | {k: v for k, v in chosen.items() if k not in sensors})),
            SensorSettings(**(sensors | {k: v for k, v in chosen.items() if k in sensors})),
        ),
    )
    for (_, kind), times in made.events.items():
        times += VIRTUAL_SHIFT_S[kind]
    return made


def patient(seed: int, duration_s: float = 30.0) -> Walk:
    """A virtual subject's walk with an abnormal gait pattern, each in turn; severity, side and style from the seed.

    The few who would have to stride further than the model's legs reach walk slower.
    """
    from gait_twin.simulation.patterns import PATTERNS

    abnormal = [name for name in PATTERNS if name != "normal"]
    rng = np.random.default_rng(30_000 + seed)
    chosen: dict[str, Any] = {
        "pattern": abnormal[seed % len(abnormal)],
        "severity": float(rng.uniform(0.0, 1.0)),
        "affected_side": str(rng.choice(["usual", "left", "right"])),
        "style": 1.0,
    }
    speed_mps = float(rng.uniform(0.4, 1.3))
    while True:
        try:
            return virtual(30_000 + seed, duration_s, speed_mps=speed_mps, **chosen)
        except InputError:
            speed_mps *= 0.8
            if speed_mps < 0.3:
                raise
