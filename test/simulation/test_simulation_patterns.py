"""Gait patterns: each shows what its sources describe, severer more so; contact and truth hold; normal is as ever."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import EventKind, Side
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.simulation.body import BodyMotion, move_body
from gait_twin.simulation.patterns import PATTERNS
from gait_twin.simulation.plan import WalkPlan, plan_walk
from gait_twin.twin import build_default_model

STEADY = WalkSettings(duration_s=13.0, straight_length_m=60.0, variability=0.0, sway=0.0)
ABNORMAL = [name for name in PATTERNS if name != "normal"]


@cache
def body_of(walk: WalkSettings) -> tuple[WalkPlan, BodyMotion]:
    plan = plan_walk(walk)
    return plan, move_body(plan, build_default_model(walk.height_m, walk.mass_kg))


def curves(walk: WalkSettings, side: Side = Side.RIGHT) -> dict[str, np.ndarray]:
    """(101,) degrees over a stride in the middle of the walk; `own` leg, and pelvis and trunk seen from it."""
    plan, body = body_of(walk)
    falls = plan.footfalls[side]
    start, end = falls[len(falls) // 2], falls[len(falls) // 2 + 1]
    at = np.linspace(start.strike_s, end.strike_s, 101)
    sign, letter = (1.0 if side is Side.RIGHT else -1.0), side.value[0]
    up = body.pose("torso")[0][:, :, 1]
    foot = body.feet[side]
    values = {name: body.positions[f"{name}_{letter}"] for name in ("hip_flexion", "knee_angle", "ankle_angle")}
    values |= {
        "pitch": foot.pitch_rad,
        "pelvis_drop": -sign * body.positions["pelvis_list"],
        "pelvis_rotation": body.positions["pelvis_rotation"],
        "trunk_lean": sign * np.arctan2(up[:, 2], up[:, 1]),
        "trunk_flexion": np.arctan2(up[:, 0], up[:, 1]),
    }
    made = {name: np.degrees(np.interp(at, body.time_s, value)) for name, value in values.items()}
    out = -foot.place_m[:, 1] * sign
    made["outward"] = 1e3 * np.interp(at, body.time_s, out)
    made["stance"] = np.array([100.0 * (start.off_s - start.strike_s) / (end.strike_s - start.strike_s)])
    return made


def stance_knee(c: dict[str, np.ndarray]) -> float:
    return float(c["knee_angle"][10:50].min())


def swing_knee(c: dict[str, np.ndarray]) -> float:
    return float(c["knee_angle"][60:].max())


def outward(c: dict[str, np.ndarray]) -> float:
    return float(c["outward"][65:92].max() - c["outward"][[30, 99]].mean())


# what is measured, at severities 0 and 1: (least, most) of each
HALLMARKS = {
    "crouch": [
        (stance_knee, (18.0, 28.0), (36.0, 52.0)),
        (lambda c: float(c["ankle_angle"][10:50].max()), (22.0, 30.0), (30.0, 38.0)),
        (lambda c: float(c["hip_flexion"][:55].min()), (-15.0, 0.0), (5.0, 25.0)),
    ],
    "stiff_knee": [(swing_knee, (45.0, 56.0), (15.0, 32.0)), (outward, (10.0, 45.0), (35.0, 90.0))],
    "drop_foot": [
        (lambda c: float(c["pitch"][0]), (-5.0, 7.0), (-25.0, -8.0)),
        (lambda c: float(c["ankle_angle"][85:].min()), (-20.0, -8.0), (-42.0, -28.0)),
        (swing_knee, (67.0, 78.0), (73.0, 85.0)),
    ],
    "circumduction": [
        (outward, (25.0, 80.0), (80.0, 150.0)),
        (swing_knee, (50.0, 62.0), (28.0, 45.0)),
        (lambda c: float(c["pelvis_drop"][65:85].max()), (-2.0, 2.0), (2.5, 7.0)),
    ],
    "antalgic": [
        (lambda c: float(c["stance"][0]), (55.5, 59.0), (50.0, 54.5)),
        (lambda c: float(c["trunk_lean"][10:50].max()), (4.0, 8.0), (8.5, 14.0)),
    ],
    "trendelenburg": [
        (lambda c: float(c["pelvis_drop"][15:45].max()), (6.0, 10.0), (11.0, 17.0)),
        (lambda c: float(c["trunk_lean"][10:50].max()), (4.0, 8.0), (8.5, 14.0)),
    ],
    "shuffling": [
        (lambda c: float(c["trunk_flexion"].mean()), (7.0, 13.0), (16.0, 24.0)),
        (lambda c: float(np.ptp(c["hip_flexion"])), (30.0, 42.0), (18.0, 30.0)),
        (lambda c: float(c["pitch"][0]), (10.0, 17.0), (2.0, 9.0)),
        (lambda c: float(np.ptp(c["pelvis_rotation"])), (4.0, 8.0), (1.0, 4.0)),
    ],
    "toe_walking": [
        (lambda c: float(c["pitch"][:60].max()), (-9.0, -5.0), (-22.0, -15.0)),
        (lambda c: float(c["ankle_angle"][10:50].max()), (10.0, 19.0), (-6.0, 6.0)),
    ],
}


@pytest.mark.parametrize("pattern", ABNORMAL)
def test_hallmarks_grow_with_severity(pattern: str) -> None:
    """What the literature names a pattern by is there from the mild end, in both legs alike, and grows."""
    for hallmark, mild, severe in HALLMARKS[pattern]:
        found = [
            hallmark(curves(dataclasses.replace(STEADY, pattern=pattern, severity=severity)))
            for severity in (0.0, 0.5, 1.0)
        ]
        normal = hallmark(curves(STEADY))
        assert mild[0] <= found[0] <= mild[1]
        assert severe[0] <= found[2] <= severe[1]
        steps = np.diff([normal, *found])
        assert (steps > 0.0).all() or (steps < 0.0).all()


@pytest.mark.parametrize("pattern", ["stiff_knee", "trendelenburg", "antalgic"])
def test_left_is_right_in_the_mirror(pattern: str) -> None:
    right = curves(dataclasses.replace(STEADY, pattern=pattern, first_side="right"), Side.RIGHT)
    left = curves(dataclasses.replace(STEADY, pattern=pattern, affected_side="left", first_side="left"), Side.LEFT)
    for name in ("hip_flexion", "knee_angle", "ankle_angle", "pitch", "pelvis_drop", "trunk_lean"):
        np.testing.assert_allclose(left[name], right[name], atol=1.0, err_msg=name)


def test_the_sound_leg_stays_nearly_sound() -> None:
    sound = curves(dataclasses.replace(STEADY, pattern="stiff_knee", severity=1.0), Side.LEFT)
    assert swing_knee(sound) > 58.0
    both = curves(dataclasses.replace(STEADY, pattern="stiff_knee", severity=1.0, affected_side="both"), Side.LEFT)
    assert swing_knee(both) < 40.0


def test_paces() -> None:
    """Shufflers take short quick steps; who limps is slower; a speed that is given is kept."""
    normal = plan_walk(STEADY)
    shuffling = plan_walk(dataclasses.replace(STEADY, pattern="shuffling", severity=1.0))
    assert shuffling.cadence_spm > normal.cadence_spm
    assert shuffling.speed_mps / shuffling.cadence_spm < 0.5 * normal.speed_mps / normal.cadence_spm
    assert plan_walk(dataclasses.replace(STEADY, pattern="antalgic")).speed_mps < 0.85 * normal.speed_mps
    assert plan_walk(dataclasses.replace(STEADY, pattern="antalgic", speed_mps=1.2)).speed_mps == 1.2
    steps = simulate(
        dataclasses.replace(STEADY, pattern="antalgic", severity=1.0), SensorSettings(segments=("calcn_r",))
    ).truth.steps[3:-3]
    # the right leg hurts: the left one's step is hurried and short
    right, left = ([s for s in steps if s.side is side] for side in (Side.RIGHT, Side.LEFT))
    assert np.mean([s.step_time_s for s in left]) < 0.8 * np.mean([s.step_time_s for s in right])
    assert np.mean([s.step_length_m for s in left]) < 0.85 * np.mean([s.step_length_m for s in right])


@settings(max_examples=8, deadline=None)
@given(
    pattern=st.sampled_from(ABNORMAL),
    severity=st.floats(0.0, 1.0),
    side=st.sampled_from(["usual", "left", "right", "both"]),
    height=st.floats(1.5, 1.95),
    turn=st.sampled_from([-180.0, 90.0, 180.0]),
    seed=st.integers(0, 1000),
)
def test_any_patient_stands_on_the_floor(
    pattern: str, severity: float, side: str, height: float, turn: float, seed: int
) -> None:
    """Feet touch the floor and never sink in, heel strike is first contact, joints stay near their ranges.

    A few of the most severe cannot be walked by short legs, and are refused.
    """
    walk = WalkSettings(
        duration_s=13.0,
        straight_length_m=4.0,
        turn_angle_deg=turn,
        pattern=pattern,
        severity=severity,
        affected_side=side,
        style=1.0,
        height_m=height,
        seed=seed,
    )
    try:
        plan, body = body_of(walk)
    except InputError:
        if severity <= 0.5:
            raise
        return
    for name, position in body.positions.items():
        low, high = body.skeleton.ranges[name]
        if not name.startswith("pelvis"):
            assert low - np.radians(20.0) <= position.min(), name
            assert position.max() <= high + np.radians(20.0), name
    for foot_side in Side:
        lowest = lowest_of(body, foot_side)
        assert lowest.min() > -1.5e-3
        for fall in plan.footfalls[foot_side]:
            stands = (body.time_s > fall.strike_s) & (body.time_s < fall.off_s)
            assert np.abs(lowest[stands]).max() < 1.5e-3
            before = (body.time_s > fall.strike_s - 0.15) & (body.time_s < fall.strike_s - 0.03)
            if np.isfinite(fall.strike_s):
                assert lowest[before].min() > 1e-4


def lowest_of(body: BodyMotion, side: Side) -> np.ndarray:
    """(n,) height of the lowest of heel, ball and toe's tip over the floor, m."""
    shape, foot = body.shape, body.feet[side]
    rotation, origin = body.pose(side.foot)

    def height(x: float, over_sole: float) -> np.ndarray:
        return origin[:, 1] + rotation[:, 1] @ np.array([x, over_sole - shape.origin_height_m, 0.0])

    heel = height(shape.heel_x_m, shape.heel_radius_m) - shape.heel_radius_m
    ball = height(shape.ball_x_m, shape.ball_radius_m) - shape.ball_radius_m
    toes = shape.toe_x_m - shape.ball_x_m
    tip = height(shape.ball_x_m, 0.0) + toes * np.sin(foot.pitch_rad + foot.toe_bend_rad)
    return np.min([heel, ball, tip], axis=0)


def test_truth_of_a_pattern() -> None:
    recording = simulate(
        WalkSettings(duration_s=13.0, pattern="toe_walking", style=1.0), SensorSettings(segments=("calcn_l", "calcn_r"))
    )
    truth = recording.truth
    strikes = [e.time_s for e in truth.events if e.kind is EventKind.HEEL_STRIKE]
    assert len(strikes) > 8
    for stride in truth.strides:
        assert stride.end_s in strikes
        assert stride.foot_angle_heel_strike_rad < 0.0 or stride is truth.strides[-1] or stride is truth.strides[-2]


def test_persons_differ_and_repeat() -> None:
    """A style is a person's own, from the seed; without one everyone is alike."""
    walk = dataclasses.replace(STEADY, style=1.0)
    one, other = curves(walk), curves(dataclasses.replace(walk, seed=2))
    assert np.abs(one["ankle_angle"] - other["ankle_angle"]).max() > 2.0
    np.testing.assert_array_equal(one["knee_angle"], curves(dataclasses.replace(walk, mass_kg=70.0))["knee_angle"])
    plain = [curves(dataclasses.replace(STEADY, seed=seed))["knee_angle"] for seed in (1, 2)]
    np.testing.assert_allclose(*plain, atol=1e-6)


def test_normal_gait_is_as_it_was() -> None:
    """Severity and side mean nothing to it, and the walks that detectors were trained on stay the same."""
    sensors = SensorSettings(segments=("calcn_r",))
    walk = WalkSettings(duration_s=10.0, speed_mps=1.2, seed=5)
    plain = simulate(walk, sensors).imus["calcn_r"]
    named = simulate(dataclasses.replace(walk, severity=1.0, affected_side="left"), sensors).imus["calcn_r"]
    np.testing.assert_array_equal(plain.acc_mps2, named.acc_mps2)
    # of the simulator before it knew patterns
    np.testing.assert_allclose(plain.gyr_radps[[400, 500, 600, 700], 2], [-0.795436, 0.0, 2e-06, 0.882621], atol=1e-5)


@pytest.mark.parametrize("wrong", [{"pattern": "limping"}, {"severity": 1.1}, {"affected_side": "up"}, {"style": -1.0}])
def test_unknown_patterns_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="WalkSettings"):
        WalkSettings(**wrong)
