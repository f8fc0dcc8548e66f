"""Trajectories of the feet: heel rocker, foot-flat, forefoot rocker, and the swing between two footfalls.

A foot is a sole with a round heel and a round forefoot. In stance it rolls on the ground without slip, its
place a function of its pitch alone; between foot-flats the pitch follows Winter's curves; in swing the
forefoot's centre runs on a spline of degree 7 that joins both rollings with equal velocity, acceleration
and jerk. So the sensors see no corner that a real foot would not make.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, make_interp_spline

from gait_twin.recording import Side
from gait_twin.simulation.plan import Footfall, WalkPlan

FloatArray = NDArray[np.float64]

# Pitch of the foot from heel rise to foot-flat, of a normal stride, degrees, toes up positive: the sum of
# Winter's (1991) hip, knee and ankle curves. Each part in fractions of (toe-off - rise), swing, (flat - strike).
_RISE = ((0.40, 0.70), (-4.0, -17.0))
_TOE_OFF_DEG = -53.0
_SWING = ((0.13, 0.32, 0.52, 0.72, 0.88), (-67.5, -59.0, -30.0, 1.0, 18.0))
_STRIKE_DEG = 19.0
_LOADING = ((0.47,), (9.0,))

# Way of the forefoot in swing (fraction of the whole) and its height over the sole's level at foot-flat
# (fraction of body height), at fractions of the swing; the way from the same curves and a steady pelvis.
_WAY = ((0.30, 0.70), (0.19, 0.845))
_HEIGHT = ((0.25, 0.60), (0.022, 0.015))

_DEGREE = 7


@dataclass(frozen=True, slots=True)
class FootShape:
    """Sole of a foot in the sagittal plane, in axes of the calcn: x forward, heights over the sole.

    Attributes
    ----------
    origin_height_m
        Of the calcn's origin over the sole.
    heel_x_m, ball_x_m, toe_x_m
        Where the round heel and the round forefoot meet the flat sole, and the toe's tip.
    heel_radius_m, ball_radius_m
        Radii of the heel rocker and of the forefoot rocker.
    """

    origin_height_m: float
    heel_x_m: float
    ball_x_m: float
    toe_x_m: float
    heel_radius_m: float
    ball_radius_m: float

    def roll(self, pitch: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Centre of the forefoot rocker of a foot rolled from flat to `pitch` (...,) without slip.

        Returns
        -------
        x, z
            (...,) along the foot from where the calcn's origin is at foot-flat, and over the ground, m.
        """
        pitch = np.asarray(pitch, dtype=float)
        toe_down = np.maximum(-pitch, 0.0)
        toe_up = np.maximum(pitch, 0.0)
        a, b = self.ball_x_m - self.heel_x_m, self.ball_radius_m - self.heel_radius_m
        c, s = np.cos(toe_up), np.sin(toe_up)
        x = self.heel_x_m - self.heel_radius_m * toe_up + a * c - b * s + self.ball_radius_m * toe_down
        z = self.heel_radius_m + a * s + b * c
        return x, z

    def roll_derivatives(self, jet: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """First three time derivatives of `roll`.

        Parameters
        ----------
        jet
            (4,) pitch and its first three derivatives, rad, rad/s, ...

        Returns
        -------
        x, z
            (3,) m/s, m/s², m/s³.
        """
        th, d1, d2, d3 = (float(v) for v in np.asarray(jet))
        if th <= 0.0:
            return -self.ball_radius_m * np.array([d1, d2, d3]), np.zeros(3)
        a, b = self.ball_x_m - self.heel_x_m, self.ball_radius_m - self.heel_radius_m
        c, s = np.cos(th), np.sin(th)
        chain = np.array([[d1, 0.0, 0.0], [d2, d1**2, 0.0], [d3, 3.0 * d1 * d2, d1**3]])
        x = chain @ np.array([-a * s - b * c, -a * c + b * s, a * s + b * c])
        z = chain @ np.array([a * c - b * s, -a * s - b * c, -a * c + b * s])
        return x - self.heel_radius_m * np.array([d1, d2, d3]), z


@dataclass(frozen=True, slots=True)
class FootMotion:
    """Pose of one foot on the time grid, ROS world.

    Attributes
    ----------
    side
        Foot.
    place_m
        (n, 3) of the calcn's origin, m.
    heading_rad, pitch_rad
        (n,) left positive; toes up positive. The foot never rolls sideways.
    toe_bend_rad
        (n,) of the toes against the foot, up positive.
    """

    side: Side
    place_m: FloatArray
    heading_rad: FloatArray
    pitch_rad: FloatArray
    toe_bend_rad: FloatArray


@dataclass(slots=True)
class _Flight:
    """From heel rise of one footfall to foot-flat of the next."""

    start: Footfall
    end: Footfall
    pitch: BSpline


def pitch_at(flight: BSpline, time_s: float) -> FloatArray:
    """(4,) pitch and its first three derivatives."""
    return np.array([float(flight(time_s, order)) for order in range(4)])


def plan_flights(plan: WalkPlan, side: Side, effort: ArrayLike = 1.0) -> list[_Flight]:
    """Pitch of a foot between each two foot-flats."""
    falls = plan.footfalls[side]
    flights = []
    for start, end in itertools.pairwise(falls):
        push = 0.35 + 0.65 * min(end.reach, 1.15)
        land = min(0.15 + 0.85 * end.reach, 1.2)
        if not np.isfinite(end.off_s):
            land *= 0.6
        off, strike = start.off_s, end.strike_s
        knots = np.concatenate(
            [
                [start.rise_s],
                start.rise_s + (off - start.rise_s) * np.array(_RISE[0]),
                [off],
                off + (strike - off) * np.array(_SWING[0]),
                [strike],
                strike + (end.flat_s - strike) * np.array(_LOADING[0]),
                [end.flat_s],
            ]
        )
        degrees = np.array([0.0, *_RISE[1], _TOE_OFF_DEG, *_SWING[1], _STRIKE_DEG, *_LOADING[1], 0.0])
        values = np.radians(np.where(degrees < 0.0, degrees * push, degrees * land))
        flights.append(_Flight(start, end, _joined(knots, values, np.zeros(3), np.zeros(3))))
    return flights


def move_foot(plan: WalkPlan, side: Side, shape: FootShape, time_s: FloatArray) -> FootMotion:
    """Trajectory of one foot on a time grid.

    Parameters
    ----------
    plan
        The walk.
    side, shape
        Which foot, and its sole.
    time_s
        (n,) increasing instants, s.
    """
    falls = plan.footfalls[side]
    n = len(time_s)
    pitch, heading = np.zeros(n), np.zeros(n)
    center = np.zeros((n, 3))
    flights = plan_flights(plan, side)
    for flight in flights:
        rows = _rows(time_s, flight.start.rise_s, flight.end.flat_s)
        pitch[rows] = flight.pitch(time_s[rows])
    for fall in falls:
        rows = _rows(time_s, fall.strike_s, fall.off_s)
        x, z = shape.roll(pitch[rows])
        center[rows, :2] = fall.place_m + np.outer(x, _ahead(fall))
        center[rows, 2] = z
        heading[rows] = fall.heading_rad
    size = plan.walk.height_m
    for flight in flights:
        off, strike = flight.start.off_s, flight.end.strike_s
        rows = _rows(time_s, off, strike)
        level, height = _swing(flight, shape, size)
        center[rows, :2], center[rows, 2] = level(time_s[rows]), height(time_s[rows])
        fraction = (time_s[rows] - off) / (strike - off)
        heading[rows] = flight.start.heading_rad + _smooth_step(fraction) * (
            flight.end.heading_rad - flight.start.heading_rad
        )
    # from the forefoot's centre back to the calcn's origin
    c, s = np.cos(pitch), np.sin(pitch)
    back, down = -shape.ball_x_m, shape.origin_height_m - shape.ball_radius_m
    along = back * c - down * s
    place = center + np.stack([along * np.cos(heading), along * np.sin(heading), back * s + down * c], axis=-1)
    return FootMotion(side, place, heading, pitch, _toe_bend(time_s, flights, shape))


def _swing(flight: _Flight, shape: FootShape, height_m: float) -> BSpline:
    """(x, y, z) of the forefoot's centre from toe-off to heel strike."""
    start, end = flight.start, flight.end
    off, strike = start.off_s, end.strike_s
    jets = [pitch_at(flight.pitch, off), pitch_at(flight.pitch, strike)]
    points, slopes = [], []
    for fall, jet in zip((start, end), jets, strict=True):
        x, z = shape.roll(jet[0])
        points.append(np.array([*(fall.place_m + x * _ahead(fall)), z]))
        dx, dz = shape.roll_derivatives(jet)
        slopes.append(np.column_stack([np.outer(dx, _ahead(fall)), dz]))
    lift = min(0.3 + 0.7 * end.reach, 1.2) * height_m
    duration = strike - off
    level = [
        _joined(
            np.array([off, *(off + duration * np.array(_WAY[0])), strike]),
            np.vstack([points[0][:2], points[0][:2] + np.outer(_WAY[1], (points[1] - points[0])[:2]), points[1][:2]]),
            slopes[0][:, :2],
            slopes[1][:, :2],
        ),
        _joined(
            np.array([off, *(off + duration * np.array(_HEIGHT[0])), strike]),
            np.array([points[0][2], *(shape.ball_radius_m + lift * np.array(_HEIGHT[1])), points[1][2]]),
            slopes[0][:, 2],
            slopes[1][:, 2],
        ),
    ]
    return level


def _through(table: tuple[tuple[float, ...], tuple[float, ...]], first: float, last: float) -> BSpline:
    return make_interp_spline([0.0, *table[0], 1.0], [first, *table[1], last], k=3)


def _toe_bend(time_s: FloatArray, flights: list[_Flight], shape: FootShape) -> FloatArray:
    """Toes stay on the ground while the foot rolls over them, and straighten in early swing."""
    bend = np.zeros(len(time_s))
    for flight in flights:
        off, strike = flight.start.off_s, flight.end.strike_s
        rows = _rows(time_s, flight.start.rise_s, off)
        bend[rows] = _bend(np.asarray(flight.pitch(time_s[rows])), shape)
        rows = _rows(time_s, off, strike)
        fraction = np.clip((time_s[rows] - off) / (0.5 * (strike - off)), 0.0, 1.0)
        bend[rows] = _bend(np.asarray(flight.pitch(off)), shape) * (1.0 - _smooth_step(fraction))
    return bend


def _bend(pitch: FloatArray, shape: FootShape) -> FloatArray:
    """Bend that lays the toe's tip on the ground under a foot rolled to `pitch`."""
    down = np.maximum(-pitch, 0.0)
    ball_height = shape.ball_radius_m * (1.0 - np.cos(down))
    toe_length = shape.toe_x_m - shape.ball_x_m
    return down - np.arcsin(np.clip(ball_height / toe_length, 0.0, 1.0))


def _joined(knots: FloatArray, values: FloatArray, start: FloatArray, end: FloatArray) -> BSpline:
    """Spline of degree 7 through `values`, with its first three derivatives given at both ends."""
    derivatives = [[(order + 1, slope[order]) for order in range(3)] for slope in (start, end)]
    return make_interp_spline(knots, values, k=_DEGREE, bc_type=tuple(derivatives))


def _rows(time_s: FloatArray, start_s: float, end_s: float) -> slice:
    return slice(int(np.searchsorted(time_s, start_s)), int(np.searchsorted(time_s, end_s)))


def _ahead(fall: Footfall) -> FloatArray:
    return np.array([np.cos(fall.heading_rad), np.sin(fall.heading_rad)])


def _smooth_step(u: FloatArray) -> FloatArray:
    """0 to 1 with three vanishing derivatives at both ends."""
    return u**4 * (35.0 - 84.0 * u + 70.0 * u**2 - 20.0 * u**3)
