"""The whole body over the feet: pelvis, trunk and legs, as near the published curves as the feet allow.

The feet's trajectories are kept exactly. Pelvis and leg coordinates (6 + 6 + 6) are those nearest, in the
sense of the widths in `_WIDTHS`, to the published joint angles and pelvis motion: least squares under the
twelve constraints of the feet, solved by Newton's method for all instants together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from gait_twin.recording import Side
from gait_twin.recording.axes import ros_to_opensim
from gait_twin.simulation import published
from gait_twin.simulation.feet import FootMotion, FootShape, move_foot
from gait_twin.simulation.plan import WalkPlan
from gait_twin.simulation.skeleton import Skeleton, turn
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]

GRID_HZ = 200.0
BODIES = ("pelvis", "torso", "toes_r", "toes_l")
"""Ends of the chains that the virtual subject needs."""

_PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_tx", "pelvis_ty", "pelvis_tz")
_LEG = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle", "subtalar_angle")
_LEG_WIDTHS = dict(zip(_LEG, np.radians([4.0, 3.0, 4.0, 4.0, 3.0, 3.0]), strict=True))
_WIDTHS = {
    **_LEG_WIDTHS,
    **dict(zip(_PELVIS, (*np.radians([0.7, 0.7, 0.7]), 0.015, 0.02, 0.005), strict=True)),
}
"""Standard deviation of each coordinate about its prior, rad and m."""
_TIGHT_WIDTHS = {
    **_LEG_WIDTHS,
    **dict(zip(_PELVIS, (*np.radians([0.05, 0.05, 0.05]), 0.0004, 0.0004, 0.0004), strict=True)),
}
"""The same once the pelvis' way is settled."""
_COARSE = 4
_PELVIS_SMOOTHING_S, _SINK_SMOOTHING_S = 0.07, 0.06
_STANDING = {"hip_flexion": 0.04, "knee_angle": 0.08, "ankle_angle": 0.04}
_LEAD = 0.16
"""How far the pelvis is ahead of the middle between the heels in mid double support, fraction of the step."""
_NEWTON_STEPS, _SETTLED = 10, 1e-6
_LONGEST_STEP = 0.5
"""Of a coordinate in one Newton step, rad or m: keeps a far start from running away."""
_STRAIGHTEST_KNEE_RAD = 0.12
"""The pelvis sinks rather than let a knee be straighter than this."""
_ROWS_AT_ONCE = 4000


@dataclass(frozen=True, slots=True)
class BodyMotion:
    """A walk of the whole body on an even time grid.

    Attributes
    ----------
    time_s
        (n,) s.
    positions
        (n,) of each coordinate of the model's chain, rad or m.
    skeleton
        The model's kinematics.
    feet, shape
        Planned motion of each foot, and the sole.
    """

    time_s: FloatArray
    positions: dict[str, FloatArray]
    skeleton: Skeleton
    feet: dict[Side, FootMotion]
    shape: FootShape

    def pose(self, segment: str) -> tuple[FloatArray, FloatArray]:
        """(n, 3, 3) rotation and (n, 3) origin of a body in OpenSim's ground."""
        return self.skeleton.pose(segment, self.positions)


def move_body(plan: WalkPlan, model: opensim.Model, progress: Progress | None = None) -> BodyMotion:
    """Move a model along a planned walk.

    Parameters
    ----------
    plan
        The walk.
    model
        OpenSim model with Rajagopal's coordinate names (knee flexion positive).
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    InputError
        When the model lacks a body or coordinate, or has joints of another kind.
    """
    skeleton = Skeleton(model, BODIES)
    skeleton.require(_PELVIS + tuple(f"{name}_{side}" for name in _LEG for side in "rl"))
    shape = foot_shape(skeleton, plan.walk.height_m)
    n = int(np.ceil(plan.walk.duration_s * GRID_HZ)) + 1
    time_s = np.arange(n) / GRID_HZ
    feet = {side: move_foot(plan, side, shape, time_s) for side in Side}
    prior, torso = _prior(plan, skeleton, shape, time_s)
    rng = np.random.default_rng([plan.walk.seed, 1])
    _sway(prior, time_s, plan.walk.sway, rng)

    # first where the legs would like the pelvis to be, then legs for a pelvis that goes there smoothly
    few = slice(None, None, _COARSE)
    free = [*_PELVIS, *(f"{name}_r" for name in _LEG), *(f"{name}_l" for name in _LEG)]
    wanted = np.stack([prior[name] for name in free], axis=-1)
    wanted[:, free.index("pelvis_ty")] -= _sink(skeleton, prior, feet)
    targets = [_target(feet[side]) for side in (Side.RIGHT, Side.LEFT)]
    liked = _solve(skeleton, free, wanted[few], [(r[few], p[few]) for r, p in targets], _WIDTHS)
    shift = CubicSpline(time_s[few], (liked - wanted[few])[:, :6])(time_s)
    wanted[:, :6] += _smooth(shift, _PELVIS_SMOOTHING_S)
    prior.update({name: wanted[:, k] for k, name in enumerate(_PELVIS)})
    wanted[:, free.index("pelvis_ty")] -= _sink(skeleton, prior, feet)
    solved = np.empty_like(wanted)
    for first in range(0, n, _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, n))
        there = [(r[rows], p[rows]) for r, p in targets]
        solved[rows] = _solve(skeleton, free, wanted[rows], there, _TIGHT_WIDTHS)
        if progress:
            progress(rows.stop / n)
    positions = {name: np.full(n, value) for name, value in skeleton.defaults.items()}
    positions.update({name: solved[:, k] for k, name in enumerate(free)})
    for side in Side:
        name = f"mtp_angle_{side.value[0]}"
        low, high = skeleton.ranges[name]
        sign = _toes_up_sign(skeleton, side)
        positions[name] = np.clip(sign * feet[side].toe_bend_rad, low, high)
    pelvis = skeleton.pose("pelvis", positions)[0]
    positions.update(skeleton.joint_angles("torso", np.swapaxes(pelvis, 1, 2) @ torso))
    return BodyMotion(time_s, positions, skeleton, feet, shape)


def foot_shape(skeleton: Skeleton, height_m: float) -> FootShape:
    """Sole under a model's foot: its length from ankle height and foot length of Drillis and Contini 1966.

    Heel and forefoot rockers have radii of 2 % and 4 % of body height: the forefoot then rolls on to the
    toe's tip at toe-off while the toes bend less than 30°.
    """
    at_default = {name: np.array([value]) for name, value in skeleton.defaults.items()}
    ankle = -skeleton.pose("calcn_r", at_default, base="talus_r")[1][0]
    toe_joint = skeleton.pose("toes_r", at_default, base="calcn_r")[1][0]
    return FootShape(
        origin_height_m=max(0.0, 0.039 * height_m - ankle[1]),
        heel_x_m=0.02 * height_m,
        ball_x_m=float(toe_joint[0]),
        toe_x_m=float(toe_joint[0]) + 0.047 * height_m,
        heel_radius_m=0.02 * height_m,
        ball_radius_m=0.04 * height_m,
    )


def _toes_up_sign(skeleton: Skeleton, side: Side) -> float:
    """+1 where a positive toe coordinate lifts the toes; models differ."""
    letter = side.value[0]
    rotation, _ = skeleton.pose(f"toes_{letter}", {f"mtp_angle_{letter}": np.array([0.1])}, base=f"calcn_{letter}")
    return float(np.sign(rotation[0, 1, 0]))


def _target(foot: FootMotion) -> tuple[FloatArray, FloatArray]:
    """Pose of a calcn in OpenSim's ground, (n, 3, 3) and (n, 3)."""
    y, z = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    return turn(y, foot.heading_rad) @ turn(z, foot.pitch_rad), ros_to_opensim(foot.place_m)


def _smooth(values: FloatArray, width_s: float) -> FloatArray:
    """Three moving means: C2, without overshoot, at rest where the input is."""
    for _ in range(3):
        values = uniform_filter1d(values, _smoothing_size(width_s), axis=0, mode="nearest")
    return values


def _smoothing_size(width_s: float) -> int:
    """Samples of each of the three moving means."""
    return 2 * int(0.5 * width_s * GRID_HZ / np.sqrt(3.0)) + 1


def _prior(
    plan: WalkPlan, skeleton: Skeleton, shape: FootShape, time_s: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Published motion at this walk's phases: (n,) of each free coordinate, and the torso's (n, 3, 3)."""
    walk = plan.walk
    size = walk.height_m / published.REFERENCE_HEIGHT_M
    step_s = 60.0 / plan.cadence_spm
    nodes, arcs, phases, reaches = _nodes(plan)
    arc = _smooth(np.interp(time_s, nodes, arcs), 0.8 * step_s)
    phase = _smooth(np.interp(time_s, nodes, phases), 0.5 * step_s)
    amount = _smooth(np.interp(time_s, nodes, reaches), 0.8 * step_s)
    active = _smooth(
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
    place = plan.route.place(arc - float(heel[0]), -0.5 * sideways * np.sin(phase))
    heading = plan.route.heading(arc)

    x, y, z = np.eye(3)
    motion = walk.trunk_motion * np.clip(amount, 0.0, 1.3)
    pelvis = (
        turn(y, heading + published.PELVIS_ROTATION_RAD * motion * np.cos(phase))
        @ turn(x, -published.PELVIS_LIST_RAD * motion * np.sin(phase + 0.4))
        @ turn(z, published.PELVIS_TILT_RAD * motion * np.cos(2.0 * phase + 1.0))
    )
    torso = (
        turn(y, heading - published.TRUNK_ROTATION_RAD * motion * np.cos(phase))
        @ turn(x, published.TRUNK_LIST_RAD * motion * np.sin(phase))
        @ turn(z, -published.TRUNK_LEAN_RAD * active - published.TRUNK_TILT_RAD * motion * np.cos(2.0 * phase))
    )
    prior = skeleton.joint_angles("pelvis", pelvis)
    prior["pelvis_tx"], prior["pelvis_tz"] = place[:, 0], -place[:, 1]
    prior["pelvis_ty"] = top - 0.010 * size * active - 0.5 * rise * (1.0 + np.cos(2.0 * phase))
    for side in Side:
        leg_phase = _leg_phase(plan, side, time_s)
        for name in _LEG:
            standing = np.full(len(time_s), _STANDING.get(name, 0.0))
            if name in published.CURVES:
                standing = standing + amount * (published.joint_curve(name, leg_phase) - standing)
            prior[f"{name}_{side.value[0]}"] = standing
    return prior, torso


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
        # the pelvis leads: thigh and shank of [P] and [W] put the hip over the ankle at 20 % of the stride
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
    return _smooth(np.interp(time_s, times, phases), 0.08)


def _sway(prior: dict[str, FloatArray], time_s: FloatArray, amount: float, rng: np.random.Generator) -> None:
    """Slow sway of a standing body: millimetres below 1 Hz (Winter et al. 1998, J Neurophysiol 80:1211)."""
    for name, size in (("pelvis_tx", 0.003), ("pelvis_tz", 0.002), ("pelvis_rotation", 0.003), ("pelvis_tilt", 0.002)):
        frequency = rng.uniform(0.1, 0.7, 6)
        angle = 2.0 * np.pi * np.outer(time_s, frequency) + rng.uniform(0.0, 2.0 * np.pi, 6)
        prior[name] = prior[name] + amount * size / np.sqrt(3.0) * np.sin(angle).sum(axis=1)


def _sink(skeleton: Skeleton, prior: dict[str, FloatArray], feet: dict[Side, FootMotion]) -> FloatArray:
    """(n,) how much lower than wanted the pelvis must be for both legs to reach their feet, m."""
    pelvis = skeleton.pose("pelvis", prior)
    softness = 0.004
    total = np.ones(len(pelvis[1]))
    for side, foot in feet.items():
        letter = side.value[0]
        bent = {name: np.array([value]) for name, value in skeleton.defaults.items()}
        bent[f"knee_angle_{letter}"] = np.array([_STRAIGHTEST_KNEE_RAD])
        reach = float(np.linalg.norm(skeleton.pose(f"talus_{letter}", bent, base=f"femur_{letter}")[1][0]))
        hip_in_pelvis = skeleton.pose(f"femur_{letter}", bent, base="pelvis")[1][0]
        ankle_in_foot = -skeleton.pose(f"calcn_{letter}", bent, base=f"talus_{letter}")[1][0]
        hip = pelvis[1] + pelvis[0] @ hip_in_pelvis
        rotation, heel = _target(foot)
        gap = hip - (heel + rotation @ ankle_in_foot)
        level = gap[:, 0] ** 2 + gap[:, 2] ** 2
        excess = gap[:, 1] - np.sqrt(np.maximum(reach**2 - level, 0.01 * reach**2))
        total += np.exp(np.clip(excess / softness, -50.0, 100.0))
    # widened before it is smoothed, so that it is never too little
    size = 3 * _smoothing_size(_SINK_SMOOTHING_S)
    return _smooth(maximum_filter1d(softness * np.log(total), size, mode="nearest"), _SINK_SMOOTHING_S)


def _solve(
    skeleton: Skeleton,
    names: list[str],
    wanted: FloatArray,
    targets: list[tuple[FloatArray, FloatArray]],
    widths: dict[str, float],
) -> FloatArray:
    """Coordinates (m, 18) nearest to `wanted` that put both feet on their targets.

    Newton's method starts from `wanted`, whose knees are bent: a leg has a second, bent-back solution.
    """
    variance = np.array([widths[name if name in widths else name[:-2]] ** 2 for name in names])
    q = wanted.copy()
    for _ in range(_NEWTON_STEPS):
        error, jacobian = _feet_error(skeleton, names, q, targets)
        weighted = jacobian * variance
        right = (jacobian @ (wanted - q)[..., None])[..., 0] + error
        force = np.linalg.solve(weighted @ np.swapaxes(jacobian, 1, 2), right[..., None])
        step = wanted - (np.swapaxes(weighted, 1, 2) @ force)[..., 0] - q
        q = q + step * np.minimum(1.0, _LONGEST_STEP / (np.abs(step).max(axis=1, keepdims=True) + 1e-12))
        if np.abs(step).max() < _SETTLED:
            break
    return q


def _feet_error(
    skeleton: Skeleton, names: list[str], q: FloatArray, targets: list[tuple[FloatArray, FloatArray]]
) -> tuple[FloatArray, FloatArray]:
    """(m, 12) rotation (rad) and place (m) by which the feet miss, and its (m, 12, 18) Jacobian."""
    delta = 1e-6
    error = np.empty((len(q), 12))
    jacobian = np.zeros((len(q), 12, 18))
    positions = {name: q[:, k] for k, name in enumerate(names)}
    moved = [{**positions, name: positions[name] + delta} for name in names]
    pelvis = skeleton.pose("pelvis", positions)
    pelvis_moved = [skeleton.pose("pelvis", moved[k]) for k in range(6)]
    for foot, (side, target) in enumerate(zip("rl", targets, strict=True)):
        rows, first = slice(6 * foot, 6 * foot + 6), 6 + 6 * foot
        leg = skeleton.pose(f"calcn_{side}", positions, base="pelvis")
        error[:, rows] = here = _miss(pelvis, leg, target)
        for k in range(6):
            jacobian[:, rows, k] = (_miss(pelvis_moved[k], leg, target) - here) / delta
            leg_moved = skeleton.pose(f"calcn_{side}", moved[first + k], base="pelvis")
            jacobian[:, rows, first + k] = (_miss(pelvis, leg_moved, target) - here) / delta
    return error, jacobian


def _miss(
    pelvis: tuple[FloatArray, FloatArray], leg: tuple[FloatArray, FloatArray], target: tuple[FloatArray, FloatArray]
) -> FloatArray:
    rotation = np.swapaxes(target[0], 1, 2) @ (pelvis[0] @ leg[0])
    skew = 0.5 * (rotation - np.swapaxes(rotation, 1, 2))
    place = pelvis[1] + (pelvis[0] @ leg[1][..., None])[..., 0] - target[1]
    return np.concatenate([np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1), place], axis=-1)
