"""The twin as a figure to look at: points on its bodies and the limbs between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side, Stride
from gait_twin.recording.axes import quat_rotate

FloatArray = NDArray[np.float64]

MOTION_RATE_HZ = 30.0
"""Rate of the moving figure, enough for the eye, Hz."""
REFERENCE_HEIGHT_M = 1.8
"""Body height for which `_POINTS` and `_LIMBS` give lengths, m."""

_SIDED_POINTS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("hip", "femur", (0.0, 0.0, 0.0)),
    ("knee", "tibia", (0.0, 0.0, 0.0)),
    ("heel", "calcn", (0.005, 0.012, 0.0)),
    ("ankle", "calcn", (0.049, 0.055, 0.0)),
    ("ball", "calcn", (0.165, 0.012, 0.0)),
    ("tip", "toes", (0.055, 0.008, 0.0)),
    ("shoulder", "humerus", (0.0, 0.0, 0.0)),
    ("elbow", "ulna", (0.0, 0.0, 0.0)),
    ("wrist", "hand", (0.0, 0.0, 0.0)),
)
_TRUNK_POINTS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("pelvis", "pelvis", (0.0, 0.0, 0.0)),
    ("waist", "torso", (0.0, 0.04, 0.0)),
    ("chest", "torso", (0.0, 0.32, 0.0)),
    ("neck", "torso", (0.0, 0.46, 0.0)),
    ("chin", "torso", (0.02, 0.55, 0.0)),
    ("head", "torso", (0.02, 0.62, 0.0)),
)
"""Point, its OpenSim body and its place in body axes (x forward, y up, z right), m."""

_SIDED_LIMBS: tuple[tuple[str, str, float, float], ...] = (
    ("hip", "knee", 0.078, 0.052),
    ("knee", "ankle", 0.052, 0.034),
    ("ankle", "heel", 0.034, 0.026),
    ("heel", "ball", 0.026, 0.024),
    ("ankle", "ball", 0.032, 0.024),
    ("ball", "tip", 0.024, 0.017),
    ("shoulder", "elbow", 0.042, 0.033),
    ("elbow", "wrist", 0.033, 0.022),
)
_TRUNK_LIMBS: tuple[tuple[str, str, float, float], ...] = (
    ("hip_r", "hip_l", 0.088, 0.088),
    ("pelvis", "waist", 0.110, 0.098),
    ("waist", "chest", 0.098, 0.125),
    ("chest", "neck", 0.125, 0.045),
    ("neck", "chin", 0.045, 0.055),
    ("chin", "head", 0.080, 0.100),
)
"""Two points and the radii there, m."""


@dataclass(frozen=True, slots=True)
class Limb:
    """A tapered limb between two points.

    Attributes
    ----------
    side
        ``left``, ``right`` or ``trunk``.
    start, end
        Indices of points.
    start_radius_m, end_radius_m
        Half its width there, m.
    """

    side: str
    start: int
    end: int
    start_radius_m: float
    end_radius_m: float


@dataclass(frozen=True, slots=True)
class Motion:
    """A moving figure.

    Attributes
    ----------
    time_s
        (f,) instants, s.
    names
        p names of points: ``pelvis``, ``heel_r`` and so on.
    points_m
        (f, p, 3) in the z-up world, m; the first point is the pelvis, or the first foot without one.
    limbs
        What joins the points.
    height_m
        Body height that the figure is drawn for, m.
    """

    time_s: FloatArray
    names: tuple[str, ...]
    points_m: FloatArray
    limbs: tuple[Limb, ...]
    height_m: float

    def __getitem__(self, rows: Any) -> Motion:
        """The same figure at some of its instants."""
        return Motion(self.time_s[rows], self.names, self.points_m[rows], self.limbs, self.height_m)


BodyPoses = Mapping[str, tuple[FloatArray, FloatArray]]
"""Position (3,) m and orientation wxyz (4,) of each body in the z-up world."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a foot stood.

    Attributes
    ----------
    side
        Foot.
    time_s
        Instant at which it lay flat, s.
    x_m, y_m, heading_rad
        Its middle in the z-up world (m), and where its toes point (rad).
    """

    side: Side
    time_s: float
    x_m: float
    y_m: float
    heading_rad: float


def footprints(motion: Motion, strides: Sequence[Stride]) -> list[Footprint]:
    """Footprints of the figure, one a stride, from the middle of stance when the foot lies flat."""
    prints = []
    for stride in strides:
        ends = [f"{point}_{stride.side.value[0]}" for point in ("heel", "tip")]
        flat_s = stride.start_s + 0.4 * (stride.toe_off_s - stride.start_s)
        row = int(np.searchsorted(motion.time_s, flat_s)) if math.isfinite(flat_s) else 0
        if 0 < row < len(motion.time_s) and set(ends) <= set(motion.names):
            heel, tip = (motion.points_m[row, motion.names.index(end), :2] for end in ends)
            x, y = (heel + tip) / 2
            heading = math.atan2(tip[1] - heel[1], tip[0] - heel[0])
            prints.append(Footprint(stride.side, flat_s, float(x), float(y), heading))
    return prints


def figure(time_s: Sequence[float], poses: Sequence[BodyPoses], height_m: float = math.nan) -> Motion | None:
    """Put points on the bodies of a gait model at each instant.

    Parameters
    ----------
    time_s
        f instants, s.
    poses
        f mappings of body name to its position and orientation (body axes as OpenSim's: x forward, y up).
    height_m
        Body height, m; the reference height when unknown.

    Returns
    -------
    Motion
        With the points whose bodies are there, at the instants where all are known; None when there are none.
    """
    if not len(time_s) or "pelvis" not in poses[0]:
        return None
    height = height_m if math.isfinite(height_m) else REFERENCE_HEIGHT_M
    scale = height / REFERENCE_HEIGHT_M
    wanted = [*_TRUNK_POINTS]
    wanted += [(f"{name}_{s}", f"{body}_{s}", place) for s in "lr" for name, body, place in _SIDED_POINTS]
    wanted = [point for point in wanted if point[1] in poses[0]]
    columns = []
    for _, body, place in wanted:
        origin = np.array([pose[body][0] for pose in poses])
        turn = np.array([pose[body][1] for pose in poses])
        columns.append(origin + quat_rotate(turn, scale * np.array(place)))
    index = {name: i for i, (name, _, _) in enumerate(wanted)}
    limbs = [
        Limb(side, index[a], index[b], scale * ra, scale * rb)
        for side, a, b, ra, rb in (
            *(("trunk", *limb) for limb in _TRUNK_LIMBS),
            *(("left", f"{a}_l", f"{b}_l", ra, rb) for a, b, ra, rb in _SIDED_LIMBS),
            *(("right", f"{a}_r", f"{b}_r", ra, rb) for a, b, ra, rb in _SIDED_LIMBS),
        )
        if a in index and b in index
    ]
    points = np.stack(columns, axis=1)
    known = np.isfinite(points).all(axis=(1, 2))
    motion = Motion(np.asarray(time_s, dtype=float), tuple(index), points, tuple(limbs), height)
    return motion[known] if known.any() else None
