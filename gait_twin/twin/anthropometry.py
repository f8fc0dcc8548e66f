"""Published body proportions, for a person of whom only height and mass are known.

Sources
-------
[D] Dumas, Chèze, Verriest 2007, J Biomech 40:543-553, table 2 (and its body heights, 1.61 m and 1.77 m):
    masses, mass centres, radii of gyration, in axes x forward, y up, z right: OpenSim's.
[R] Reed, Manary, Schneider 1999, SAE 1999-01-0959, as used by [D]: hip and lumbosacral joint centres in
    fractions of pelvis width, from the midpoint of the anterior superior iliac spines.
[W] Winter 2009, Biomechanics and Motor Control of Human Movement, 4th ed., fig. 4.1 (Drillis and Contini
    1966): segment lengths in fractions of body height.
[P] Delp et al. 1990, IEEE Trans Biomed Eng 37:757-767, foot of the 1.70 m Rajagopal et al. 2016 model
    (IEEE Trans Biomed Eng 63:2068-2079): places of subtalar and toe joints within the foot.
[I] Isman and Inman 1969, Bull Prosthet Res 10-11:97-129; Inman 1976, The Joints of the Ankle: axes.
[K] Walker, Rovick, Robertson 1988, J Biomech 21:965-974: how the tibia turns and slides as the knee bends,
    polynomials in degrees and mm, with the slides at 0.8 of their size on the 1.70 m model of [P].

Sex is not asked for: every [D] and [R] value is the mean of the published female and male one. Products
of inertia are left out (below a tenth of the principal moments for every segment but the trunk).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FEMALE_HEIGHT_M, MALE_HEIGHT_M = 1.61, 1.77
"""Mean statures behind [D]."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Inertial parameters of a segment from [D], mean of female and male.

    Attributes
    ----------
    length
        Segment's own length, fraction of body height.
    mass
        Fraction of body mass.
    mass_center
        (3,) from the proximal joint, fraction of the segment's length; z outwards to the right.
    gyration
        (3,) radii of gyration about the mass centre, fraction of the segment's length.
    """

    length: float
    mass: float
    mass_center: tuple[float, float, float]
    gyration: tuple[float, float, float]

    def inertia(self, body_mass_kg: float, length_m: float) -> FloatArray:
        """(3,) principal moments about the mass centre, kg·m²."""
        return self.mass * body_mass_kg * (np.array(self.gyration) * length_m) ** 2


def _segment(
    lengths_m: tuple[float, float],
    masses: tuple[float, float],
    centers: tuple[tuple[float, float, float], tuple[float, float, float]],
    gyrations: tuple[tuple[float, float, float], tuple[float, float, float]],
) -> Segment:
    """Mean of a (female, male) row of [D]."""
    cx, cy, cz = (float(v) for v in np.mean(centers, axis=0))
    gx, gy, gz = (float(v) for v in np.mean(gyrations, axis=0))
    length = 0.5 * (lengths_m[0] / FEMALE_HEIGHT_M + lengths_m[1] / MALE_HEIGHT_M)
    return Segment(length, float(np.mean(masses)), (cx, cy, cz), (gx, gy, gz))


# [D] (female, male): length m, mass fraction, mass centre and radii of gyration in fractions of length.
# The small lateral offsets of the unpaired segments are asymmetries of the sample: left out.
PELVIS = _segment(
    (0.107, 0.094),
    (0.146, 0.142),
    ((-0.009, -0.232, 0.0), (0.028, -0.280, 0.0)),
    ((0.91, 1.00, 0.79), (1.01, 1.06, 0.95)),
)
"""From the lumbosacral joint down to the hips."""
TRUNK = _segment(
    (0.429, 0.477),
    (0.304, 0.333),
    ((-0.016, -0.436, 0.0), (-0.036, -0.420, 0.0)),
    ((0.29, 0.27, 0.29), (0.27, 0.25, 0.28)),
)
"""From the cervical joint down to the lumbosacral joint."""
HEAD = _segment(
    (0.253, 0.277), (0.067, 0.067), ((0.016, 0.575, 0.0), (0.020, 0.536, 0.0)), ((0.29, 0.23, 0.30), (0.28, 0.21, 0.30))
)
"""Head and neck, from the cervical joint up."""
UPPER_ARM = _segment(
    (0.243, 0.271),
    (0.022, 0.024),
    ((-0.073, -0.454, -0.028), (0.017, -0.452, -0.026)),
    ((0.33, 0.17, 0.33), (0.31, 0.14, 0.32)),
)
FOREARM = _segment(
    (0.247, 0.283),
    (0.013, 0.017),
    ((0.021, -0.411, 0.019), (0.010, -0.417, 0.014)),
    ((0.26, 0.14, 0.25), (0.28, 0.11, 0.27)),
)
HAND = _segment(
    (0.167, 0.189),
    (0.005, 0.006),
    ((0.033, -0.327, 0.021), (0.035, -0.357, 0.032)),
    ((0.27, 0.18, 0.25), (0.26, 0.16, 0.24)),
)
THIGH = _segment(
    (0.379, 0.432),
    (0.146, 0.123),
    ((-0.077, -0.377, 0.009), (-0.041, -0.429, 0.033)),
    ((0.31, 0.19, 0.32), (0.29, 0.15, 0.30)),
)
SHANK = _segment(
    (0.388, 0.433),
    (0.045, 0.048),
    ((-0.049, -0.404, 0.031), (-0.048, -0.410, 0.007)),
    ((0.28, 0.10, 0.28), (0.28, 0.10, 0.28)),
)
SHOE_MASS = 0.005
"""Of an ordinary shoe, 0.35 kg, in a body of 70 kg with its shoes: people walk in them, and what swings is heavier
by half than a bare foot."""
FOOT = _segment(
    (0.165, 0.183),
    (0.010 + SHOE_MASS, 0.012 + SHOE_MASS),
    ((0.270, -0.218, 0.039), (0.382, -0.151, 0.026)),
    ((0.17, 0.36, 0.35), (0.17, 0.37, 0.36)),
)
"""From the ankle joint to between the first and fifth metatarsal heads, with the shoe's mass in it."""

MASS_SUM = sum(s.mass for s in (PELVIS, TRUNK, HEAD)) + 2 * sum(
    s.mass for s in (UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT)
)
"""Sum of all fractions (the published ones 1.0005); masses are divided by it so that they add up to the person."""

PELVIS_WIDTH = 0.5 * (0.238 / FEMALE_HEIGHT_M + 0.224 / MALE_HEIGHT_M)
"""[D] Between the anterior superior iliac spines, fraction of body height."""
HIP = np.mean([(-0.197, -0.270, 0.372), (-0.208, -0.278, 0.361)], axis=0)
"""[R] Right hip joint centre from the midpoint of those spines, fractions of pelvis width."""
LUMBAR = np.mean([(-0.289, 0.172, 0.0), (-0.264, 0.126, 0.0)], axis=0)
"""[R] Lumbosacral joint centre, likewise."""

THIGH_LENGTH, SHANK_LENGTH, ANKLE_HEIGHT = 0.245, 0.246, 0.039
"""[W] Hip to knee, knee to ankle, ankle to sole, fractions of body height."""
FOOT_LENGTH, FOOT_WIDTH = 0.152, 0.055
"""[W] Fractions of body height."""
SHOULDER_HEIGHT, SHOULDER_HALF_WIDTH = 0.818, 0.129
"""[W] Of the shoulder joint above ground and from the midline, fractions of body height."""

_P_HEIGHT_M = 1.70
SUBTALAR_FROM_ANKLE = np.array([-0.04877, -0.04195, 0.00792]) / _P_HEIGHT_M
"""[P] Point on the right subtalar axis at the back of the heel, fractions of body height."""
TOES_FROM_HEEL = 0.1788 / _P_HEIGHT_M
"""[P] Toe joint ahead of the back of the heel, fraction of body height."""
FOOT_MASS_SHARE = {"talus": 0.0638, "calcn": 0.7979, "toes": 0.1383}
"""[P] How the foot's mass is shared (0.1, 1.25 and 0.2166 kg there)."""


def _axis(forward: float, up: float, right: float) -> FloatArray:
    vector = np.array([forward, up, right])
    return vector / np.linalg.norm(vector)


ANKLE_AXIS = _axis(-np.tan(np.radians(6.0)), -np.tan(np.radians(10.0)), 1.0)
"""[I] Right ankle, pointing laterally: 10° down and 6° backwards; dorsiflexion positive."""
SUBTALAR_AXIS = _axis(
    np.cos(np.radians(42.0)) * np.cos(np.radians(23.0)),
    np.sin(np.radians(42.0)),
    -np.cos(np.radians(42.0)) * np.sin(np.radians(23.0)),
)
"""[I] Right subtalar, pointing forwards: 42° up and 23° medially; inversion positive."""

KNEE_ADDUCTION_DEG = (0.0, 0.0791, -5.733e-4, -7.682e-6, 5.759e-8)
KNEE_ROTATION_DEG = (0.0, 0.3695, -2.958e-3, 7.666e-6)
"""[K] Adduction and internal rotation of the tibia, deg: coefficients of powers of flexion in degrees."""
KNEE_FORWARD_MM = (0.0, 0.1283, -4.796e-4)
KNEE_UP_MM = (0.0, 0.0683, -8.804e-4, 3.750e-6)
"""[K] Slide of the tibia in the femur, mm."""
KNEE_SLIDE_SCALE = 0.8 / _P_HEIGHT_M
"""[P] Times body height, on the slides."""
