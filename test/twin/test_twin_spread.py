"""Standard deviations of moments: what known errors of the ground reactions do to them, by phase and plane."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gait_twin.twin import Skeleton, build_default_model
from gait_twin.twin.dynamics import InverseDynamics
from gait_twin.twin.ground import Reactions
from gait_twin.twin.model import sole_points
from gait_twin.twin.spread import FORCE_SD, FREE_SD_M, INERTIA_SD, MASS_PLACE_SD_M, PRESSURE_SD, MomentSpread

FORWARD = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def dynamics() -> InverseDynamics:
    skeleton = Skeleton(build_default_model(1.75, 70.0))
    skeleton.set(skeleton.default)
    return InverseDynamics(skeleton)


def reactions(dynamics: InverseDynamics, share: tuple[float, float]) -> Reactions:
    """Feet that push straight up, 5 cm ahead of the ankles."""
    ankles = dynamics.skeleton.origins(["talus_r", "talus_l"])
    point = (ankles + np.array([0.05, 0.0, 0.0])) * [1.0, 0.0, 1.0]
    force = np.array(share)[:, None] * dynamics.weight_n * [[0.0, 1.0, 0.0]]
    none = np.zeros(3)
    return Reactions(force, point, np.array(share), none, none, 1.0, np.zeros((2, 3)), FORWARD)


def sds(dynamics: InverseDynamics, free: np.ndarray, given: Reactions, *, felt: bool = True) -> np.ndarray:
    """Of all moments."""
    spread = MomentSpread(dynamics, sole_points(dynamics.skeleton.model, "calcn_r", "calcn_l"))
    return spread.of(free, given, dynamics.skeleton.jacobian(coupled=False), felt=felt)


def test_an_ankle_under_one_foot_is_as_unsure_as_force_and_pressure(dynamics: InverseDynamics) -> None:
    """Known answer: the moment is force by lever, so its errors are lever by the force's and force by the lever's."""
    free = np.zeros(len(dynamics.skeleton.coordinates))
    sd = dict(
        zip(
            dynamics.skeleton.coordinates,
            sds(dynamics, free, reactions(dynamics, (1.0, 0.0))),
            strict=True,
        )
    )
    weight_n, skeleton = dynamics.weight_n, dynamics.skeleton
    (sole,) = sole_points(skeleton.model, "calcn_r")
    length = float(np.linalg.norm(sole.points[1] - sole.points[0]))
    height = float(skeleton.origins(["talus_r"])[0, 1])
    expected = weight_n * np.linalg.norm([PRESSURE_SD[0] * length, FORCE_SD[1] * 0.05, FORCE_SD[0] * height])
    # the ankle's axis is a few degrees off the lateral one, and the foot's own mass adds a little
    assert sd["ankle_angle_r"] == pytest.approx(expected, rel=0.05)
    assert sd["ankle_angle_l"] == pytest.approx(MASS_PLACE_SD_M * 0.016 * weight_n, rel=0.1)
    assert sd["hip_rotation_r"] > FREE_SD_M * weight_n
    assert all(np.isnan(value) for name, value in sd.items() if name.startswith("pelvis"))


def test_phase_plane_and_what_is_known_count(dynamics: InverseDynamics) -> None:
    names = dynamics.skeleton.coordinates
    free = np.zeros(len(names))
    hip, knee = names.index("hip_flexion_r"), names.index("knee_angle_r")
    alone, both = (reactions(dynamics, share) for share in ((1.0, 0.0), (0.5, 0.5)))
    one, two = (sds(dynamics, free, each) for each in (alone, both))
    assert (sds(dynamics, free, alone, felt=False)[[hip, knee]] > one[[hip, knee]]).all()
    # relative to what the foot bears, sharing costs
    assert two[hip] / 0.5 > one[hip]
    measured = dataclasses.replace(alone, measured=(True, False))
    placed = dataclasses.replace(measured, placed=(True, False))
    found = [sds(dynamics, free, each)[knee] for each in (alone, measured, placed)]
    assert found == sorted(found, reverse=True)
    assert found[2] < 0.4 * found[0]
    air = sds(dynamics, np.full(len(names), 10.0), reactions(dynamics, (0.0, 0.0)))
    assert air[knee] == pytest.approx(
        np.hypot(INERTIA_SD * 10.0, MASS_PLACE_SD_M * 0.0626 * dynamics.weight_n), rel=0.05
    )
