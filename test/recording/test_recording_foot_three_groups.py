"""Importer of the foot trials of three groups: gravity that was taken off is found again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import EventKind, Side
from gait_twin.recording.importers import IMPORTERS, find_importer
from gait_twin.recording.importers.foot_three_groups import collection, movements, restored_gravity_g
from gait_twin.simulation import SensorSettings, WalkSettings, simulate

G = 9.80665


def walked(seed: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Acceleration without gravity (g), rate (rad/s), movements, and the gravity (g) of a virtual right foot."""
    recording = simulate(
        WalkSettings(duration_s=20.0, straight_length_m=6.0, seed=seed),
        SensorSettings(
            segments=("calcn_r", "calcn_l"), mounting="askew", mounting_askew_deg=30.0, gyro_bias_radps=noise, seed=seed
        ),
    )
    stream = recording.imus["calcn_r"]
    gravity = stream.acc_mps2[:100].mean(axis=0) / G
    events = [e for e in recording.truth.events if e.side is Side.RIGHT]
    offs = [e.time_s for e in events if e.kind is EventKind.TOE_OFF]
    strikes = [e.time_s for e in events if e.kind is EventKind.HEEL_STRIKE]
    # heel-off comes before toe-off, foot-flat after heel strike
    moves = np.array([[100 * (off - 0.25), 100 * (strike + 0.12)] for off, strike in zip(offs, strikes, strict=True)])
    return stream.acc_mps2 / G - gravity, stream.gyr_radps, moves.astype(int), gravity


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 100))
def test_gravity_is_found_again(seed: int) -> None:
    acc, gyr, moves, gravity = walked(seed, noise=0.005)
    found, left = restored_gravity_g(acc, gyr, moves)
    assert np.linalg.norm(found) == pytest.approx(1.0)
    # straight walking tells little of the lateral axis
    assert np.degrees(np.arccos(found @ gravity / np.linalg.norm(gravity))) < 12.0
    assert left < 0.05


def test_without_movements_the_usual_is_taken() -> None:
    acc, gyr, moves, _ = walked(1)
    found, left = restored_gravity_g(acc, gyr, moves[:0])
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert np.isnan(left)
    assert np.isfinite(restored_gravity_g(acc[:50], gyr[:50], moves)[0]).all()


def written(folder: Path, **other: object) -> Path:
    acc, gyr, moves, _ = walked(1)
    scale = np.array([*[0.0005] * 3, *[0.05] * 3] * 2)
    foot = np.column_stack([acc, np.degrees(gyr)])
    signal = np.round(np.column_stack([foot, foot]) / scale).astype(np.int16)
    columns = [f"{side}{kind}{axis}" for side in "LR" for kind in "AR" for axis in "XYZ"]
    arrays = {"signal": signal, "scale": scale, "offsets": np.array([0, len(signal)]), "columns": columns} | other
    np.savez(folder / "r.npz", codes=["7-1"], **arrays)
    about = {"Subject": 7, "Code": "7-1", "Height": 1.8, "Weight": "NC"}
    about |= {"LeftFootActivity": moves.tolist(), "RightFootActivity": moves.tolist()}
    (folder / "metadata.json.gz").write_bytes(gzip.compress(json.dumps([about]).encode()))
    return folder / "r.npz"


def test_made_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert find_importer(path).name == "foot_three_groups"
    made = IMPORTERS["foot_three_groups"].load(path, trial="7-1")
    assert made.subject.height_m == 1.8
    assert np.isnan(made.subject.mass_kg)
    assert set(made.imus) == {"calcn_l", "calcn_r"}
    rest = made.imus["calcn_r"].acc_mps2[:100]
    np.testing.assert_allclose(np.linalg.norm(rest, axis=1), G, atol=0.1)
    assert any("Gravity was restored" in notice for notice in made.notices)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = written(tmp_path)
    for trial in ("", "7-2"):
        with pytest.raises(InputError, match="has no trial"):
            IMPORTERS["foot_three_groups"].load(path, trial=trial)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        IMPORTERS["foot_three_groups"].load(tmp_path / "other" / "none.npz", trial="7-1")
    wrong = written(tmp_path / "other", columns=["?"] * 12)
    with pytest.raises(InputError, match="do not fit"):
        IMPORTERS["foot_three_groups"].load(wrong, trial="7-1")


def test_recorded_feet(data_dir: Path) -> None:
    """Restored gravity is much the same in all walks of a person, and feet rest after their strides."""
    path = data_dir / "foot_three_groups" / "recordings_int16.npz"
    held = collection(path)
    assert len(held.trials) == 823
    assert len(held.signal) == held.offsets[-1]
    angles, rests = [], []
    subjects = [s for s in ("12", "32", "47", "64", "122") if f"{s}-2" in held.trials]
    for subject in subjects:
        found = []
        for trial in [code for code in held.trials if code.split("-")[0] == subject][:4]:
            gravity, left = restored_gravity_g(*held.foot(trial, Side.LEFT), movements(held.trials[trial], Side.LEFT))
            found.append(gravity)
            rests.append(left)
        mean = np.mean(found, axis=0) / np.linalg.norm(np.mean(found, axis=0))
        angles += np.degrees(np.arccos(np.clip(np.array(found) @ mean, -1.0, 1.0))).tolist()
    assert np.median(angles) < 4.0
    assert np.median(rests) < 0.06
