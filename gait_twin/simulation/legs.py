"""Pelvis and legs over given feet, as near the published posture as the feet allow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import maximum_filter1d

from gait_twin.errors import InputError
from gait_twin.recording import Side
from gait_twin.recording.axes import ros_to_opensim
from gait_twin.simulation.feet import FootMotion
from gait_twin.simulation.posture import GRID_HZ, LEG, PELVIS, knee_sign, smooth, smoothing_size
from gait_twin.simulation.skeleton import Pose, Skeleton, turn

FloatArray = NDArray[np.float64]

_FREE = (*PELVIS, *(f"{name}_r" for name in LEG), *(f"{name}_l" for name in LEG))
_LEG_WIDTHS = tuple(np.radians([4.0, 3.0, 4.0, 4.0, 3.0, 3.0]))
_WIDTHS = np.array([*np.radians([0.7, 0.7, 0.7]), 0.015, 0.02, 0.005, *_LEG_WIDTHS, *_LEG_WIDTHS])
"""Standard deviation of each of `_FREE` about the published posture, rad and m."""
_TIGHT_WIDTHS = np.array([*np.radians([0.05, 0.05, 0.05]), 0.0004, 0.0004, 0.0004, *_LEG_WIDTHS, *_LEG_WIDTHS])
"""The same once the pelvis' way is settled."""
_COARSE = 4
"""The pelvis' way is sought at every fourth instant: it is smooth."""
_PELVIS_SMOOTHING_S, _SINK_SMOOTHING_S = 0.07, 0.06
_STRAIGHTEST_KNEE_RAD, _SOFTNESS_M = 0.12, 0.004
"""The pelvis sinks, with a soft edge, rather than let a knee be straighter than this: nearer to straight, millimetres
of the foot make many degrees of the knee."""
_STANDING_KNEE_RAD, _STANDING_SOFTNESS_M = 0.05, 0.0003
"""The same of legs whose feet stay where they are: people stand with knees bent by about 3 degrees."""
_STANDING_MPS = 0.1
"""The pelvis of a standing body is slower than this, m/s."""
_NEWTON_STEPS, _SETTLED = 10, 1e-6
_LONGEST_STEP = 0.5
"""Of a coordinate in one Newton step, rad or m: keeps a far start from running away."""
_MISS_M = 1e-6
_ROWS_AT_ONCE = 4000


def reach_feet(
    skeleton: Skeleton,
    posture: dict[str, FloatArray],
    feet: dict[Side, FootMotion],
    time_s: FloatArray,
    progress: Callable[[float], None],
) -> dict[str, FloatArray]:
    """Coordinates of pelvis and legs that put both feet where they are planned.

    First where the legs would like the pelvis to be, then the legs under a pelvis that goes there smoothly.

    Parameters
    ----------
    skeleton
        The model's kinematics.
    posture
        (n,) wanted values of each coordinate.
    feet
        What both feet do.
    time_s
        (n,) s.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    dict
        (n,) of each coordinate of pelvis and legs, rad and m.

    Raises
    ------
    InputError
        When the legs cannot reach.
    """
    n, height = len(time_s), PELVIS.index("pelvis_ty")
    wanted = np.stack([posture[name] for name in _FREE], axis=-1)
    wanted[:, height] -= _sink(skeleton, posture, feet)
    targets = [_target(feet[side]) for side in (Side.RIGHT, Side.LEFT)]
    few = slice(None, None, _COARSE)
    liked = _solve(skeleton, wanted[few], [(r[few], p[few]) for r, p in targets], _WIDTHS)
    shift = CubicSpline(time_s[few], (liked - wanted[few])[:, :6])(time_s)
    wanted[:, :6] += smooth(shift, _PELVIS_SMOOTHING_S)
    settled = {**posture, **{name: wanted[:, k] for k, name in enumerate(PELVIS)}}
    wanted[:, height] -= _sink(skeleton, settled, feet)
    solved = np.empty_like(wanted)
    for first in range(0, n, _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, n))
        solved[rows] = _solve(skeleton, wanted[rows], [(r[rows], p[rows]) for r, p in targets], _TIGHT_WIDTHS)
        progress(rows.stop / n)
    reached = {name: solved[:, k] for k, name in enumerate(_FREE)}
    for letter, target in zip("rl", targets, strict=True):
        miss = np.linalg.norm(skeleton.pose(f"calcn_{letter}", reached)[1] - target[1], axis=1)
        # "not (a < b)" also refuses NaN
        if not miss.max() < _MISS_M:
            raise InputError(
                f"The model's legs cannot reach the steps asked for at {time_s[int(np.argmax(miss))]:.2f} s; "
                "give a slower walk, wider turns or a model of the walk's body height."
            )
    return reached


def _target(foot: FootMotion) -> tuple[FloatArray, FloatArray]:
    """Pose of a calcn in OpenSim's ground, (n, 3, 3) and (n, 3)."""
    x, y, z = np.eye(3)
    rotation = turn(y, foot.heading_rad) @ turn(z, foot.pitch_rad) @ turn(x, foot.roll_rad)
    return rotation, ros_to_opensim(foot.place_m)


def _sink(skeleton: Skeleton, posture: dict[str, FloatArray], feet: dict[Side, FootMotion]) -> FloatArray:
    """(n,) how much lower than wanted the pelvis must be for both legs to reach their feet, m."""
    pelvis = skeleton.pose("pelvis", posture)
    speed = np.hypot(*(np.gradient(pelvis[1][:, axis]) * GRID_HZ for axis in (0, 2)))
    # widened before it is smoothed: the knees give way before the first step, not during it
    walking = smooth(maximum_filter1d((speed > _STANDING_MPS).astype(float), int(0.3 * GRID_HZ), mode="nearest"), 0.25)
    straightest = _STANDING_KNEE_RAD + walking * (_STRAIGHTEST_KNEE_RAD - _STANDING_KNEE_RAD)
    softness = _STANDING_SOFTNESS_M + walking * (_SOFTNESS_M - _STANDING_SOFTNESS_M)
    total = np.ones(len(pelvis[1]))
    for side, foot in feet.items():
        letter = side.value[0]
        bent = {name: np.array([value]) for name, value in skeleton.defaults.items()}
        hip_to_ankle = []
        for knee in (_STANDING_KNEE_RAD, _STRAIGHTEST_KNEE_RAD):
            bent[f"knee_angle_{letter}"] = np.array([knee * knee_sign(skeleton, side)])
            hip_to_ankle.append(np.linalg.norm(skeleton.pose(f"talus_{letter}", bent, base=f"femur_{letter}")[1][0]))
        reach = np.interp(straightest, (_STANDING_KNEE_RAD, _STRAIGHTEST_KNEE_RAD), hip_to_ankle)
        hip_in_pelvis = skeleton.pose(f"femur_{letter}", bent, base="pelvis")[1][0]
        ankle_in_foot = -skeleton.pose(f"calcn_{letter}", bent, base=f"talus_{letter}")[1][0]
        hip = pelvis[1] + pelvis[0] @ hip_in_pelvis
        rotation, heel = _target(foot)
        gap = hip - (heel + rotation @ ankle_in_foot)
        level = gap[:, 0] ** 2 + gap[:, 2] ** 2
        excess = gap[:, 1] - np.sqrt(np.maximum(reach**2 - level, 0.01 * reach**2))
        total += np.exp(np.clip(excess / softness, -50.0, 100.0))
    # widened before it is smoothed, so that it is never too little
    size = 3 * smoothing_size(_SINK_SMOOTHING_S)
    return smooth(maximum_filter1d(softness * np.log(total), size, mode="nearest"), _SINK_SMOOTHING_S)


def _solve(skeleton: Skeleton, wanted: FloatArray, targets: list[Pose], widths: FloatArray) -> FloatArray:
    """Coordinates (m, 18) nearest to `wanted`, by `widths`, that put both feet on their targets.

    Least squares under twelve constraints, by Newton's method for all instants together. It starts from `wanted`,
    whose knees are bent: a leg has a second, bent-back solution.
    """
    q = wanted.copy()
    for _ in range(_NEWTON_STEPS):
        positions = {name: q[:, k] for k, name in enumerate(_FREE)}
        parts = [
            _miss(skeleton, f"calcn_{side}", positions, target) for side, target in zip("rl", targets, strict=True)
        ]
        error, jacobian = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        weighted = jacobian * widths**2
        right = (jacobian @ (wanted - q)[..., None])[..., 0] + error
        force = np.linalg.solve(weighted @ np.swapaxes(jacobian, 1, 2), right[..., None])
        step = wanted - (np.swapaxes(weighted, 1, 2) @ force)[..., 0] - q
        q = q + step * np.minimum(1.0, _LONGEST_STEP / (np.abs(step).max(axis=1, keepdims=True) + 1e-12))
        if np.abs(step).max() < _SETTLED:
            break
    return q


def _miss(
    skeleton: Skeleton, foot: str, positions: dict[str, FloatArray], target: Pose
) -> tuple[FloatArray, FloatArray]:
    """(m, 6) turn (rad, the sine of it) and way (m) by which a foot misses, and its (m, 6, 18) Jacobian."""
    (rotation, place), jacobian = skeleton.pose_and_jacobian(foot, _FREE, positions)
    back = np.swapaxes(target[0], 1, 2)
    off = back @ rotation
    skew = 0.5 * (off - np.swapaxes(off, 1, 2))
    turned = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1)
    # of the skew part of a rotation E turned at rate w: (tr(E) - E) w / 2
    jacobian[:, :3] = 0.5 * (np.trace(off, axis1=1, axis2=2)[:, None, None] * np.eye(3) - off) @ back @ jacobian[:, :3]
    return np.concatenate([turned, place - target[1]], axis=1), jacobian
