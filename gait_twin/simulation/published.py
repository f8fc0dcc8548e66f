"""Published numbers of normal walking: joint-angle curves, their scaling, timing, amplitudes.

Sources
-------
[W] Winter 1991, The Biomechanics and Motor Control of Human Gait, 2nd ed., and Winter 2009, 4th ed.: mean
    knee and ankle angles at natural cadence; key points read to about a degree.
[P] Perry, Burnfield 2010, Gait Analysis, 2nd ed.: thigh angle against the vertical, likewise. (Winter's hip
    angles, against the trunk, sweep 33°: too little to carry an upright pelvis over its own stride.)
[K] Kadaba, Ramakrishnan, Wootten 1990, J Orthop Res 8:383-392: frontal hip angle, pelvis rotations.
[S] Sekiya, Nagasaki 1998, Gait Posture 7:225-227: step length over cadence (the walk ratio) is constant over
    speeds within a person.
[H] Hof 1996, Gait Posture 4:222-223: scaling by leg length.
[O] Orendurff et al. 2004, J Rehabil Res Dev 41:829-834: excursion of the mass centre against speed.
[V] Voisard et al. 2023, Image Processing On Line 13 (article 497): 74 labelled trials of 13 healthy adults
    at 0.87-1.62 m/s; the two regressions marked [V] were fitted to its labels for this room.
[G] Hausdorff 2007, Hum Mov Sci 26:555-589; Owings, Grabiner 2004, J Biomech 37:935-938: variability of
    stride time, step length and step width, and its persistence from stride to stride.
[T] Thorstensson et al. 1984, Acta Physiol Scand 121:13-22; Stokes et al. 1989, J Biomech 22:43-50: trunk.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

FloatArray = NDArray[np.float64]

NORMAL_SPEED_MPS = 1.3
"""Speed to which the curves of [W] belong, for a person of `REFERENCE_HEIGHT_M`."""
REFERENCE_HEIGHT_M = 1.70
WALK_RATIO_M_PER_SPM = 0.0064
"""[S] Step length over cadence of a person of `REFERENCE_HEIGHT_M`, m/(steps/min)."""

# Per cent of the stride from heel strike to heel strike (toe-off at 60 %) and degrees.
_KEY_POINTS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # [P], thigh against the vertical (hip flexion less the mean pelvic tilt): flexion positive
    "hip_flexion": (
        (0, 4, 10, 20, 30, 40, 50, 55, 60, 66, 72, 80, 86, 93, 100),
        (20.8, 20.4, 18.0, 9.8, 0.0, -10.0, -18.8, -18.0, -11.0, 1.0, 12.0, 22.0, 24.8, 23.0, 20.8),
    ),
    # [W], flexion positive
    "knee_angle": (
        (0, 4, 8, 14, 20, 30, 40, 48, 54, 60, 66, 71, 76, 80, 86, 90, 94, 97, 100),
        (4.0, 9.0, 15.0, 20.5, 18.0, 10.8, 6.5, 11.0, 22.5, 40.5, 57.5, 64.8, 62.0, 54.0, 33.5, 18.5, 6.5, 2.5, 4.0),
    ),
    # [W], dorsiflexion positive
    "ankle_angle": (
        (0, 3, 6, 9, 12, 20, 30, 40, 44, 48, 52, 56, 60, 63, 68, 72, 76, 80, 86, 93, 100),
        (
            0.0,
            -3.3,
            -5.0,
            -4.0,
            -1.5,
            3.7,
            6.8,
            9.2,
            9.6,
            8.2,
            3.5,
            -5.5,
            -16.0,
            -19.7,
            -16.0,
            -10.0,
            -5.0,
            -1.5,
            0.8,
            0.4,
            0.0,
        ),
    ),
    # [K], adduction positive
    "hip_adduction": (
        (0, 6, 14, 25, 40, 50, 62, 75, 90, 100),
        (-0.5, 3.0, 5.5, 4.5, 3.0, 0.5, -5.5, -3.5, -1.0, -0.5),
    ),
}

CURVES = tuple(_KEY_POINTS)
"""Coordinates (without ``_r``, ``_l``) that have a published curve."""


def _spline(name: str) -> CubicSpline:
    percent, degrees = _KEY_POINTS[name]
    return CubicSpline(np.array(percent) / 100.0, np.radians(degrees), bc_type="periodic")


_SPLINES = {name: _spline(name) for name in CURVES}


def joint_curve(name: str, phase: ArrayLike) -> FloatArray:
    """Joint angle at normal speed, rad.

    Parameters
    ----------
    name
        One of `CURVES`; signs as in the Rajagopal model.
    phase
        (...,) 0 at heel strike, 0.6 at toe-off, 1 at the next heel strike; periodic.
    """
    return np.asarray(_SPLINES[name](np.mod(phase, 1.0)))


def natural_gait(
    height_m: float, speed_mps: float = 0.0, cadence_spm: float = 0.0, *, speed: float = 1.0, walk_ratio: float = 1.0
) -> tuple[float, float]:
    """Speed and cadence of steady walking where one of them, or neither, is given.

    Parameters
    ----------
    height_m
        Body height, m.
    speed_mps, cadence_spm
        What is given, m/s and steps/min; 0: not given. When both are given they are kept.
    speed, walk_ratio
        Factors of the natural speed and of the walk ratio.

    Returns
    -------
    speed_mps, cadence_spm
        Related by the walk ratio [S], which dynamic similarity [H] scales by leg length to the power 1.5.
    """
    size = height_m / REFERENCE_HEIGHT_M
    ratio = WALK_RATIO_M_PER_SPM * size**1.5 * walk_ratio
    if not speed_mps and not cadence_spm:
        speed_mps = NORMAL_SPEED_MPS * float(np.sqrt(size)) * speed
    if not cadence_spm:
        cadence_spm = float(np.sqrt(60.0 * speed_mps / ratio))
    if not speed_mps:
        speed_mps = ratio * cadence_spm**2 / 60.0
    return speed_mps, cadence_spm


def stance_fraction(speed_mps: ArrayLike) -> FloatArray:
    """[V] Stance time over stride time, 0.671 - 0.049 v (residual SD 0.015), kept within 0.56-0.72."""
    return np.clip(0.671 - 0.049 * np.asarray(speed_mps, dtype=float), 0.56, 0.72)


def vertical_excursion_m(speed_mps: ArrayLike, height_m: float) -> FloatArray:
    """[O] Peak to peak rise of the mass centre within a step: 2.74 cm at 0.7 m/s, 4.83 cm at 1.6 m/s."""
    line = 0.0274 + (0.0483 - 0.0274) / 0.9 * (np.asarray(speed_mps, dtype=float) - 0.7)
    return np.clip(line, 0.005, 0.06) * height_m / REFERENCE_HEIGHT_M


def lateral_excursion_m(speed_mps: ArrayLike, height_m: float) -> FloatArray:
    """[O] Peak to peak sideways way of the mass centre: 6.99 cm at 0.7 m/s, 3.85 cm at 1.6 m/s."""
    line = 0.0699 + (0.0385 - 0.0699) / 0.9 * (np.asarray(speed_mps, dtype=float) - 0.7)
    return np.clip(line, 0.03, 0.08) * height_m / REFERENCE_HEIGHT_M


PELVIS_ROTATION_RAD = float(np.radians(4.5))
"""[K] Amplitude about the vertical at normal speed, the side of the leading leg forward."""
PELVIS_LIST_RAD = float(np.radians(4.0))
"""[K] Amplitude of the obliquity at normal speed; the swing side drops in early single support."""
PELVIS_TILT_RAD = float(np.radians(1.0))
"""[K] Amplitude of the tilt, twice a stride."""
TRUNK_ROTATION_RAD = float(np.radians(3.5))
"""[T] Amplitude of the thorax about the vertical, against the pelvis."""
TRUNK_LIST_RAD = float(np.radians(2.0))
"""[T] Amplitude of the sideways lean, towards the stance leg."""
TRUNK_TILT_RAD = float(np.radians(1.2))
"""[T] Amplitude of the fore-aft lean, twice a stride."""
TRUNK_LEAN_RAD = float(np.radians(3.0))
"""[T] Mean forward lean while walking."""

STRIDE_TIME_CV = 0.019
"""[V] Median within-trial coefficient of variation of the stride time (0.01-0.03 in [G])."""
STEP_LENGTH_CV = 0.022
"""[G] Coefficient of variation of the step length."""
STEP_WIDTH_SD_M = 0.018
"""[G] Standard deviation of the step width."""
PERSISTENCE = 0.4
"""[G] Correlation of successive strides' deviations (healthy adults' walk is persistent)."""
