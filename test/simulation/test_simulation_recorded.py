"""The virtual foot against recorded ones: the medians that its motion was taken from, computed again."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from gait_twin.recording import Side
from gait_twin.simulation import SensorSettings, WalkSettings, published
from gait_twin.simulation.body import move_body
from gait_twin.simulation.plan import plan_walk
from gait_twin.simulation.sensors import sensor_motion
from gait_twin.twin import build_default_model

PHASE = np.arange(0.24, 1.09, 0.02)
"""0 at heel strike, 0.6 at toe-off, 1 at the next heel strike."""
RATE_HZ = 100.0


def phase_of(time_s: np.ndarray, strike_s: float, off_s: float, next_s: float) -> np.ndarray:
    return np.interp(
        time_s,
        [strike_s, off_s, next_s, next_s + off_s - strike_s],
        [0.0, 0.6, 1.0, 1.6],
    )


def recorded_strides(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Straight strides of the first trial of each subject, right foot.

    Returns
    -------
    pitch, rate, stance
        (n, p) pitch against foot-flat, degrees; (n, p) sagittal angular rate, rad/s; (n,) stance fraction.
    """
    pitches, rates, stances = [], [], []
    for path in sorted(folder.glob("*-1.json")):
        trial = json.loads(path.read_text())
        with gzip.open(path.with_name(f"{path.stem}_rf.txt.gz"), "rt") as file:
            file.readline()
            names = [name.strip() for name in file.readline().split("\t")]
            rows = np.genfromtxt(file, delimiter="\t")
        # labels count packets; lost ones stay open
        packets = np.unwrap(rows[:, names.index("PacketCounter")], period=65536)
        at = np.asarray(packets - packets[0], dtype=int)
        gyro = np.full((at[-1] + 1, 3), np.nan)
        gyro[at] = rows[:, [k for k, name in enumerate(names) if name.startswith("Gyr")]]
        (begin, end), turn = trial["TrialBoundaries"], trial["UTurnBoundaries"]
        gyro -= np.nanmedian(gyro[: max(begin - 20, 50)], axis=0)
        lateral = np.linalg.svd(gyro[np.isfinite(gyro).all(axis=1)], full_matrices=False)[2][0]
        sagittal = gyro @ lateral
        events = trial["RightFootEvents"]
        swings = np.concatenate([sagittal[off:strike] for off, strike in events if strike < len(sagittal)])
        sagittal *= np.sign(np.nanmean(swings))
        size = np.convolve(np.linalg.norm(gyro, axis=1), np.ones(7) / 7.0, "same")
        for (_, strike), (off, following) in itertools.pairwise(events):
            straight = (strike > begin + 150 and following < turn[0] - 50) or (
                strike > turn[1] + 100 and following < end - 150
            )
            if not straight:
                continue
            first = strike + int(np.argmin(size[strike:off]))
            last = following + int(np.argmin(size[following : following + off - strike]))
            turned = sagittal[first:last]
            if last <= first or not np.isfinite(turned).all():
                continue
            pitch = np.concatenate([[0.0], np.cumsum(0.5 * (turned[1:] + turned[:-1]) / RATE_HZ)])
            pitch -= pitch[-1] * np.linspace(0.0, 1.0, len(pitch))
            phase = phase_of(np.arange(first, last), strike, off, following)
            pitches.append(np.interp(PHASE, phase, np.degrees(pitch), left=np.nan, right=np.nan))
            rates.append(np.interp(PHASE, phase, turned, left=np.nan, right=np.nan))
            stances.append((off - strike) / (following - strike))
    return np.array(pitches), np.array(rates), np.array(stances)


def test_virtual_feet_move_as_recorded_ones(data_dir: Path) -> None:
    pitches, rates, stances = recorded_strides(data_dir / "foot_healthy_10m")
    assert len(pitches) > 100
    walk = WalkSettings(duration_s=14.0, straight_length_m=50.0, speed_mps=1.2, height_m=1.7, variability=0.0)
    plan = plan_walk(walk)
    body = move_body(plan, build_default_model(walk.height_m, walk.mass_kg))
    motion = sensor_motion("calcn_r", body, SensorSettings(), walk.height_m)
    start, end = plan.footfalls[Side.RIGHT][3:5]
    phase = phase_of(body.time_s, start.strike_s, start.off_s, end.strike_s)
    pitch = np.degrees(np.interp(PHASE, phase, body.feet[Side.RIGHT].pitch_rad))
    rate = np.interp(PHASE, phase, motion.angular_rate(body.time_s)[:, 2])
    error = pitch - np.nanmedian(pitches, axis=0)
    assert np.sqrt(np.mean(error**2)) < 4.0
    assert np.corrcoef(rate, np.nanmedian(rates, axis=0))[0, 1] > 0.95
    # peaks within what the recorded people do
    for extreme in (np.nanmax, np.nanmin):
        low, high = np.percentile(extreme(rates, axis=1), [2.0, 98.0])
        assert low < extreme(rate) < high
    assert float(published.stance_fraction(1.2)) == pytest.approx(np.median(stances), abs=0.02)
