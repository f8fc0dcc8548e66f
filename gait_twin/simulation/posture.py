"""Published motion of pelvis, trunk and legs at the phases of a planned walk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from gait_twin.recording import Side
from gait_twin.simulation import published
from gait_twin.simulation.changes import posture_changes
from gait_twin.simulation.feet import FootShape
from gait_twin.simulation.plan import WalkPlan
from gait_twin.simulation.skeleton import Skeleton, turn

FloatArray = NDArray[np.float64]

GRID_HZ = 200.0
"""Of the time grid on which bodies move."""
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_tx", "pelvis_ty", "pelvis_tz")
LEG = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle", "subtalar_angle")
"""Coordinates of a leg, less ``_r`` and ``_l``."""

_STANDING = {"hip_flexion": 0.03, "knee_angle": 0.06, "ankle_angle": 0.03}
_LEAD = 0.16
"""How far the pelvis is ahead of the middle between the heels in mid double support, fraction of the step: by the
published thigh and shank angles the hip passes the ankle at 20 % of the stride."""

_LEAST_KNEE_RAD = 0.15
"""Least flexion of a knee wanted where something deviates: a straight leg may find the solution bent backwards."""


def smooth(values: FloatArray, width_s: float) -> FloatArray:
    """Three moving means: C2, without overshoot, at rest where the input is."""
    for _ in range(3):
        values = uniform_filter1d(values, smoothing_size(width_s), axis=0, mode="nearest")
    return values


def smoothing_size(width_s: float) -> int:
    """Samples of each of the three moving means."""
    return 2 * int(0.5 * width_s * GRID_HZ / np.sqrt(3.0)) + 1


def published_posture(
    plan: WalkPlan, skeleton: Skeleton, shape: FootShape, time_s: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Published motion at this walk's phases.

    Parameters
    ----------
    plan, skeleton, shape
        The walk, and who walks.
    time_s
        (n,) even grid of `GRID_HZ`, s.

    Returns
    -------
    posture
        (n,) of each coordinate in `PELVIS` and of each leg, rad or m.
    torso
        (n, 3, 3) rotation of the torso's axes into OpenSim's ground.
    """
    walk = plan.walk
    size = walk.height_m / published.REFERENCE_HEIGHT_M
    step_s = 60.0 / plan.cadence_spm
    nodes, arcs, phases, reaches = _nodes(plan)
    arc = smooth(np.interp(time_s, nodes, arcs), 0.8 * step_s)
    phase = smooth(np.interp(time_s, nodes, phases), 0.5 * step_s)
    amount = smooth(np.interp(time_s, nodes, reaches), 0.8 * step_s)
    active = smooth(
        np.interp(time_s, [nodes[0], nodes[0] + 0.3, nodes[-1] - 0.3, nodes[-1]], [0.0, 1.0, 1.0, 0.0]), 0.4
    )
    if not plan.landings:
        active = np.zeros_like(time_s)
    speed = np.gradient(arc, time_s)

    at_default = {name: np.array([value]) for name, value in skeleton.defaults.items()}
    heel = skeleton.pose("calcn_r", at_default, base="pelvis")[1][0]
    top = -float(heel[1]) + shape.origin_height_m - 0.002 * size
    rise = published.vertical_excursion_m(speed, walk.height_m) * active * np.clip(amount, 0.0, 1.0)
    sideways = published.lateral_excursion_m(speed, walk.height_m) * active
    leg_phases = {side: _leg_phase(plan, side, time_s) for side in Side}
    own = posture_changes(plan, shape, leg_phases, active)
    left = own["pelvis_left"] - 0.5 * sideways * np.sin(phase)
    place = plan.route.place(arc - float(heel[0]) + own["pelvis_ahead"], left)
    heading = plan.route.heading(arc)

    x, y, z = np.eye(3)
    motion = walk.trunk_motion * np.clip(amount, 0.0, 1.3)
    # a factor of the rotations, and of the list
    rotation = motion * plan.deviation.pattern.rotation * plan.deviation.amplitudes["rotation"]
    listing = motion * plan.deviation.amplitudes["list"]
    pelvis = (
        turn(y, heading + published.PELVIS_ROTATION_RAD * rotation * np.cos(phase) + own["pelvis_turn"])
        @ turn(x, -published.PELVIS_LIST_RAD * listing * np.sin(phase + 0.4) + own["pelvis_list"])
        @ turn(z, published.PELVIS_TILT_RAD * motion * np.cos(2.0 * phase + 1.0) - own["pelvis_tilt"])
    )
    lean = published.TRUNK_LEAN_RAD * active + own["trunk_flexion"]
    torso = (
        turn(y, heading - published.TRUNK_ROTATION_RAD * rotation * np.cos(phase))
        @ turn(x, published.TRUNK_LIST_RAD * listing * np.sin(phase) + own["trunk_list"])
        @ turn(z, -lean - published.TRUNK_TILT_RAD * motion * np.cos(2.0 * phase))
    )
    prior = skeleton.joint_angles("pelvis", pelvis)
    prior["pelvis_tx"], prior["pelvis_tz"] = place[:, 0], -place[:, 1]
    prior["pelvis_ty"] = top - 0.010 * size * active - 0.5 * rise * (1.0 + np.cos(2.0 * phase)) + own["pelvis_up"]
    for side in Side:
        leg_phase = leg_phases[side]
        for name in LEG:
            standing = np.full(len(time_s), _STANDING.get(name, 0.0))
            if name in published.CURVES:
                standing = standing + amount * (published.joint_curve(name, leg_phase) - standing)
            joint = f"{name}_{side.value[0]}"
            if joint in own:
                standing = standing + own[joint]
                if name == "knee_angle":
                    standing = np.maximum(standing, _LEAST_KNEE_RAD)
            prior[joint] = standing
        prior[f"knee_angle_{side.value[0]}"] *= knee_sign(skeleton, side)
    return prior, torso


def knee_sign(skeleton: Skeleton, side: Side) -> float:
    """+1 where the model counts knee flexion positive (Rajagopal), -1 where negative (gait2392)."""
    letter = side.value[0]
    return -skeleton.sign(f"knee_angle_{letter}", f"tibia_{letter}", f"femur_{letter}")


def _nodes(plan: WalkPlan) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Middles of the double supports: instants, arc length of the body, phase (a step is pi), reach."""
    start = plan.walk.standing_start_s - 0.35
    if not plan.landings:
        return np.array([start]), np.zeros(1), np.zeros(1), np.zeros(1)
    leaves = sorted(fall.off_s for falls in plan.footfalls.values() for fall in falls if np.isfinite(fall.off_s))
    times, arcs, reaches = [start], [0.0], [0.0]
    before = 0.0
    for landing, off in zip(plan.landings, [*leaves[1:], plan.landings[-1].strike_s + 0.3], strict=True):
        times.append(0.5 * (landing.strike_s + off))
        arcs.append(0.5 * (landing.arc_m + before) + _LEAD * (landing.arc_m - before))
        reaches.append(landing.reach if len(times) > 2 else 1.4 * landing.reach)
        before = landing.arc_m
    reaches[-1] = 0.0
    # even multiples of pi belong to a leading right leg
    first = 0 if plan.landings[0].side is Side.RIGHT else 1
    phases = np.pi * (np.arange(len(times)) - 1 + first)
    return np.array(times), np.array(arcs), np.asarray(phases, dtype=float), np.array(reaches)


def _leg_phase(plan: WalkPlan, side: Side, time_s: FloatArray) -> FloatArray:
    """Phase of the published curves: n at the n-th heel strike, n + 0.6 at the toe-off after it."""
    times, phases = [], []
    for n, fall in enumerate(plan.footfalls[side]):
        if np.isfinite(fall.strike_s):
            times.append(fall.strike_s)
            phases.append(float(n))
        else:
            times.append(fall.rise_s if np.isfinite(fall.rise_s) else 0.0)
            phases.append(n + 0.35)
        if np.isfinite(fall.off_s):
            times.append(fall.off_s)
            phases.append(n + 0.6)
    times.append(times[-1] + 0.2)
    phases.append(phases[-1] + (0.15 if len(times) > 2 else 0.0))
    return smooth(np.interp(time_s, times, phases), 0.08)


def sway(posture: dict[str, FloatArray], time_s: FloatArray, amount: float, rng: np.random.Generator) -> None:
    """Slow sway of a standing body: millimetres below 1 Hz (Winter et al. 1998, J Neurophysiol 80:1211)."""
    for name, size in (("pelvis_tx", 0.003), ("pelvis_tz", 0.002), ("pelvis_rotation", 0.003), ("pelvis_tilt", 0.002)):
        frequency = rng.uniform(0.1, 0.7, 6)
        angle = 2.0 * np.pi * np.outer(time_s, frequency) + rng.uniform(0.0, 2.0 * np.pi, 6)
        posture[name] = posture[name] + amount * size / np.sqrt(3.0) * np.sin(angle).sum(axis=1)
