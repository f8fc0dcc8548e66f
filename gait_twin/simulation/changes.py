"""How pelvis, trunk and legs of a walk deviate from the published posture, over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side
from gait_twin.simulation import published
from gait_twin.simulation.feet import FootShape
from gait_twin.simulation.plan import WalkPlan

FloatArray = NDArray[np.float64]

_THIGH, _SHANK = 0.245, 0.246
"""Lengths, fractions of body height (Drillis and Contini 1966)."""


def posture_changes(
    plan: WalkPlan, shape: FootShape, phases: dict[Side, FloatArray], active: FloatArray
) -> dict[str, FloatArray]:
    """Work out what a person's deviation adds to the published posture.

    Parameters
    ----------
    plan, shape
        The walk, and the sole.
    phases
        (n,) of each leg: whole at heel strikes, 0.6 more at toe-offs.
    active
        (n,) 0 in standing, 1 in walking.

    Returns
    -------
    dict
        (n,) each. `pelvis_ahead`, `pelvis_left`, `pelvis_up`, m; `pelvis_turn` (left), `pelvis_list` (right side down),
        `pelvis_tilt` (forward), `trunk_flexion`, `trunk_list` (to the right), rad; of each leg the coordinates that
        change (`knee_angle_r`, ...; flexion positive), rad.
    """
    deviation, height = plan.deviation, plan.walk.height_m
    n = len(active)
    names = ("ahead", "left", "up", "turn", "list", "tilt")
    own = {name: np.zeros(n) for name in (*(f"pelvis_{name}" for name in names), "trunk_flexion", "trunk_list")}
    if not deviation.differs:
        return own
    lasting = deviation.standing + (1.0 - deviation.standing) * active
    offsets = deviation.offsets
    own["pelvis_tilt"] += np.radians(deviation.pattern.pelvis_tilt_deg + offsets.get("pelvis_tilt", 0.0)) * lasting
    own["trunk_flexion"] += (
        np.radians(deviation.pattern.trunk_flexion_deg + offsets.get("trunk_flexion", 0.0)) * lasting
    )
    own["trunk_list"] += np.radians(offsets.get("trunk_lean", 0.0)) * active
    own["pelvis_list"] -= np.radians(offsets.get("pelvis_drop", 0.0)) * active
    own["pelvis_ahead"] += 1e-3 * height * (deviation.pattern.pelvis_ahead + offsets.get("pelvis_ahead", 0.0)) * active
    own["pelvis_up"] += 1e-3 * height * offsets.get("pelvis_height", 0.0) * active
    lowered, weights = np.zeros(n), np.full(n, 1e-9)
    for side, phase in phases.items():
        letter, right = side.value[0], 1.0 if side is Side.RIGHT else -1.0
        strides = len(plan.footfalls[side])
        # of the swing before a strike and of the stance after it
        marked = np.interp(phase, np.arange(strides) + 0.1, deviation.expression(side, strides))

        def curve(name: str, side: Side = side, phase: FloatArray = phase, marked: FloatArray = marked) -> FloatArray:
            return deviation.curve(name, side, phase) * marked

        own["pelvis_turn"] += right * np.radians(curve("pelvis_forward")) * active
        own["pelvis_list"] -= right * np.radians(curve("pelvis_drop")) * active
        own["trunk_list"] += right * np.radians(curve("trunk_lean")) * active
        own["trunk_flexion"] += np.radians(curve("trunk_flexion")) * active
        own["pelvis_left"] -= right * 1e-3 * height * curve("pelvis_side") * active
        own["pelvis_up"] += 1e-3 * height * curve("pelvis_height") * active
        bent = {name: np.radians(curve(name)) * lasting for name in ("hip_flexion", "knee_angle", "ankle_angle")}
        own[f"hip_flexion_{letter}"] = bent["hip_flexion"] + own["pelvis_tilt"]
        own[f"knee_angle_{letter}"], own[f"ankle_angle_{letter}"] = bent["knee_angle"], bent["ankle_angle"]
        own[f"hip_adduction_{letter}"] = np.radians(curve("hip_adduction")) * active
        carries = _carrying(phase)
        shorter = _leg_length(phase, {}) - _leg_length(phase, bent)
        on_toes = np.sin(np.radians(deviation.foot(side).stance_deg)) * (shape.ball_x_m - shape.heel_x_m) * active
        lowered += carries * (shorter * height + on_toes)
        weights += carries
    own["pelvis_up"] -= lowered / weights
    return own


def _leg_length(phase: FloatArray, bent: dict[str, FloatArray]) -> FloatArray:
    """(n,) height of the hip over the ankle in the published posture, bent further; fraction of body height."""
    zero = np.zeros_like(phase)
    thigh = published.joint_curve("hip_flexion", phase) + bent.get("hip_flexion", zero)
    shank = thigh - published.joint_curve("knee_angle", phase) - bent.get("knee_angle", zero)
    return _THIGH * np.cos(thigh) + _SHANK * np.cos(shank)


def _carrying(phase: FloatArray) -> FloatArray:
    """(n,) share of the body's weight on a leg: shifted within the double supports (0 to 0.1, 0.5 to 0.6)."""
    at = np.mod(phase, 1.0)
    share = np.interp(at, [0.0, 0.12, 0.48, 0.6, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0])
    return np.asarray(share**2 * (3.0 - 2.0 * share))
