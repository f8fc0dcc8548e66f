"""Drifting headings and askew calibrations, put on the virtual subject's frames and found again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gait_twin.recording import SEGMENTS, BodyFrames, SlotStatus, TwinState
from gait_twin.recording.axes import OPENSIM_TO_ROS_QUAT_WXYZ, quat_about_z, quat_from_rotvec, quat_multiply
from gait_twin.simulation import WalkSettings, simulate
from gait_twin.twin import Skeleton, Twin, TwinSettings, build_default_model

GOOD = int(SlotStatus.VALID | SlotStatus.ORIENTED | SlotStatus.CALIBRATED | SlotStatus.HEADING)
HINGES = ("knee_angle_r", "knee_angle_l", "ankle_angle_r", "ankle_angle_l")
BALLS = ("hip_rotation_r", "hip_rotation_l", "lumbar_rotation", "hip_flexion_r", "hip_flexion_l")
PERIOD_S = 0.04


@pytest.fixture(scope="module")
def walk() -> tuple[BodyFrames, np.ndarray]:
    """Perfect frames at 25 Hz of a walk to and fro, and the (n, m) poses."""
    truth = simulate(WalkSettings(duration_s=70.0)).truth
    assert truth is not None
    assert truth.joints is not None
    skeleton = Skeleton(build_default_model(1.75, 70.0))
    rows = slice(0, None, round(PERIOD_S * 200.0))
    time_s = truth.joints.time_s[rows]
    poses = np.tile(skeleton.default, (len(time_s), 1))
    for name, values in zip(truth.joints.coordinates, truth.joints.positions[rows].T, strict=True):
        poses[:, skeleton.coordinates.index(name)] = values
    poses[:, skeleton.fixed] = skeleton.default[skeleton.fixed]
    quats = np.empty((len(time_s), len(SEGMENTS), 4))
    for k, pose in enumerate(poses):
        skeleton.set(pose)
        quats[k] = skeleton.quaternions(SEGMENTS)
    quats = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, quats)
    zero = np.zeros((*quats.shape[:2], 3))
    status = np.full(quats.shape[:2], GOOD, dtype=np.uint8)
    return BodyFrames(SEGMENTS, time_s, zero, zero, quats, quats, status), poses


@pytest.fixture(scope="module")
def good(walk: tuple[BodyFrames, np.ndarray]) -> list[TwinState]:
    """States of the perfect frames."""
    return run(walk[0])


def spoiled(frames: BodyFrames, drift_degps: np.ndarray, mounting_deg: np.ndarray) -> BodyFrames:
    """Frames whose headings drift and whose sensors sit askew: (k,) deg/s and (k, 3) deg."""
    turn = quat_about_z(np.radians(drift_degps) * frames.time_s[:, None])
    askew = quat_from_rotvec(np.radians(mounting_deg))
    return dataclasses.replace(frames, body_quat_wxyz=quat_multiply(turn, quat_multiply(frames.body_quat_wxyz, askew)))


def angles(states: list[TwinState], names: tuple[str, ...]) -> np.ndarray:
    """(n, names) deg."""
    columns = [states[0].coordinates.index(name) for name in names]
    return np.degrees([state.positions[columns] for state in states])


def run(frames: BodyFrames, *, refine: bool = True) -> list[TwinState]:
    return Twin(build_default_model(1.75, 70.0), SEGMENTS, TwinSettings(refine=refine)).update(frames)


def test_drift_of_every_heading_is_held(walk: tuple[BodyFrames, np.ndarray]) -> None:
    """0.06 deg/s, each its own way: after 70 s headings are up to 8 deg apart, angles stay within 3 deg."""
    frames, poses = walk
    drift = 0.06 * np.array([1.0, -1.0, -1.0, 1.0, -0.5, 1.0, -1.0, 0.7])
    bad = spoiled(frames, drift, np.zeros((8, 3)))
    last = slice(-400, -100)
    errors = {}
    for refine in (False, True):
        states = run(bad, refine=refine)
        names = (*HINGES, *BALLS)
        truth = np.degrees(poses[:, [states[0].coordinates.index(name) for name in names]])
        errors[refine] = np.abs((angles(states, names) - truth)[last].mean(axis=0))
    assert errors[False].max() > 6.0
    assert errors[True].max() < 3.0
    assert errors[True][: len(HINGES)].max() < 1.0


def test_a_shank_turned_on_its_leg_is_found(walk: tuple[BodyFrames, np.ndarray], good: list[TwinState]) -> None:
    """The shank's calibration is 12 deg off about its long axis: hinges tell, and the ankle is right again."""
    frames, _ = walk
    mounting = np.zeros((8, 3))
    mounting[SEGMENTS.index("tibia_r"), 1] = 12.0
    right = angles(good, HINGES)
    last = slice(1000, 1600)
    errors = [
        np.sqrt(np.mean((angles(run(spoiled(frames, np.zeros(8), mounting), refine=r), HINGES) - right)[last] ** 2))
        for r in (False, True)
    ]
    assert errors[1] < 0.6 * errors[0]


def test_nothing_jumps(walk: tuple[BodyFrames, np.ndarray]) -> None:
    """Wherever corrections come from, angles move no faster than in the walk itself."""
    frames, poses = walk
    mounting = np.random.default_rng(1).normal(0.0, 5.0, (8, 3))
    states = run(spoiled(frames, np.full(8, 0.02) * np.arange(-4, 4), mounting))
    names = (*HINGES, *BALLS)
    truth = np.degrees(poses[:, [states[0].coordinates.index(name) for name in names]])
    off = angles(states, names) - truth
    assert np.abs(np.diff(off, axis=0)).max() < 1.5


def test_a_heading_lost_in_a_gap_is_found_again(walk: tuple[BodyFrames, np.ndarray], good: list[TwinState]) -> None:
    """A thigh's sensor comes back 15 deg turned; two strides later hip and knee are near again."""
    frames, _ = walk
    right = angles(good, ("hip_rotation_r", "knee_angle_r"))
    thigh = SEGMENTS.index("femur_r")
    quats, status = frames.body_quat_wxyz.copy(), frames.status.copy()
    quats[800:, thigh] = quat_multiply(quat_about_z(np.radians(15.0)), quats[800:, thigh])
    status[780:800, thigh] = GOOD - int(SlotStatus.HEADING)
    bad = dataclasses.replace(frames, body_quat_wxyz=quats, status=status)
    off = np.abs(angles(run(bad), ("hip_rotation_r", "knee_angle_r")) - right)
    assert off[801:804, 0].mean() > 5.0
    assert off[1200:1600].mean() < 2.5


def test_toes_out_in_the_standing_are_found(walk: tuple[BodyFrames, np.ndarray], good: list[TwinState]) -> None:
    """Both legs stood turned outward by 15 deg: in walking they seem turned inward, which hardly anyone does."""
    names = ("hip_rotation_r", "hip_rotation_l")
    turn = np.array([{"_r": 15.0, "_l": -15.0}.get(segment[-2:], 0.0) for segment in SEGMENTS])
    quats = quat_multiply(quat_about_z(np.radians(turn)), walk[0].body_quat_wxyz)
    twin = Twin(build_default_model(1.75, 70.0), SEGMENTS)
    off = angles(twin.update(dataclasses.replace(walk[0], body_quat_wxyz=quats)), names) - angles(good, names)
    assert np.abs(off[100:200]).mean() > 11.0
    assert np.abs(off[1000:1600]).mean() < 6.5
    assert np.abs(np.diff(off, axis=0)).max() < 1.5  # nothing jumps
    assert [s.split(" is turned")[0] for s in twin.findings] == [f"In walking the {s} leg" for s in ("right", "left")]


def test_a_bad_calibration_is_said_with_its_residual(
    walk: tuple[BodyFrames, np.ndarray], good: list[TwinState]
) -> None:
    """Corrected where it can be, called bad where not; a good one is not spoken of."""
    frames = walk[0][:1000]
    assert not any(state.message for state in good[200:])
    mounting = np.zeros((8, 3))
    mounting[SEGMENTS.index("tibia_r"), 1] = 25.0
    bad = spoiled(frames, np.zeros(8), mounting)
    twin = Twin(build_default_model(1.75, 70.0), SEGMENTS, TwinSettings(refine=False))
    states = twin.update(bad)
    assert twin.residuals_deg["tibia_r"] == pytest.approx(15.0, abs=3.0)
    assert twin.residuals_deg["femur_l"] < 3.0
    assert states[-1].message.startswith("The sensor on tibia_r has been about 15°")
    twin = Twin(build_default_model(1.75, 70.0), SEGMENTS)
    twin.update(bad)
    assert twin.residuals_deg["tibia_r"] < 4.0
    assert [sentence[:20] for sentence in twin.findings] == ["Walking shows tibia_"]


def test_knees_that_were_bent_in_the_standing_are_said(walk: tuple[BodyFrames, np.ndarray]) -> None:
    """Thighs 11 deg forward and shanks 11 deg back in the standing: in walking both knees seem to bend backward."""
    mounting = np.zeros((8, 3))
    for side in "rl":
        mounting[SEGMENTS.index(f"femur_{side}"), 2] = -11.0
        mounting[SEGMENTS.index(f"tibia_{side}"), 2] = 11.0
    states = run(spoiled(walk[0][:400], np.zeros(8), mounting))
    assert states[-1].message.startswith("In walking knee_angle_")
