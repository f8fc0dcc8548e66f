"""Trajectories of the feet: heel rocker, foot-flat, forefoot rocker, and the swing between two footfalls.

A foot is a sole with a round heel and a round forefoot. In stance it rolls on the ground without slip, its
place a function of its pitch alone; between foot-flats the pitch follows that of recorded feet; in swing the
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
from gait_twin.simulation.deviation import swing_pitch_deg
from gait_twin.simulation.patterns import FootChange
from gait_twin.simulation.plan import Footfall, WalkPlan

FloatArray = NDArray[np.float64]

# Feet of the 13 healthy adults of Voisard et al. 2023 (Image Processing On Line 13, article 497): medians over 1300
# straight strides, foot IMUs integrated between foot-flats, labelled heel strike put at 0 and toe-off at 60 % of the
# stride (test_simulation_recorded.py does so for the pitch). The dorsal sensor stays level until 56 %: it sits at
# the centre of a forefoot rocker, and its path is taken for that centre's.

# Pitch from heel rise to foot-flat, degrees, toes up positive; each part in fractions of toe-off - rise, of the
# swing, and of flat - strike.
_RISE = ((0.25, 0.40, 0.55, 0.70, 0.85), (-1.0, -3.6, -9.2, -20.0, -40.0))
_TOE_OFF_DEG = -62.0
_SWING = ((0.08, 0.20, 0.35, 0.50, 0.65, 0.80, 0.90), (-68.5, -61.0, -42.5, -21.0, -1.0, 16.0, 21.5))
_STRIKE_DEG = 20.5
_LOADING = ((0.25, 0.55), (14.0, 5.0))

_RELEASE = 0.15
"""This share of toe-off - rise before toe-off, only the tip of the toes is left on the ground."""
_SETTLE = 0.25
"""The heel slides forward by millimetres (Cham, Redfern 2002, J Biomech 35:1331) for this share of flat - strike."""
# Way of the forefoot rocker's centre (fraction of the whole) at fractions of the time from release to settling.
_WAY = ((0.20, 0.40, 0.60, 0.80), (0.121, 0.368, 0.658, 0.908))
_ASIDE = (0.45, 0.95, 1.0, 0.5)
"""Of the way aside of a leg swung round, at the same instants."""
# Its height over that at foot-flat, then the round heel's over the ground (fractions of body height), at fractions
# of the time from release to heel strike.
_HEIGHT = ((0.09, 0.20, 0.32, 0.455, 0.60), (0.0080, 0.0275, 0.0340, 0.0237, 0.0122))
_HEEL_HEIGHT = ((0.73, 0.82, 0.91), (0.0095, 0.0070, 0.0050))
# In swing the foot is inverted and turned inward, then outward: degrees at fractions of the swing; size from the same
# recordings' rates about the long and the vertical axis (1-2 rad/s).
_INVERSION = ((0.30, 0.70), (7.0, 2.0))
_OUTWARD = ((0.30, 0.70), (-3.0, 2.0))
_FLIGHT_CV = 0.03
"""From stride to stride, of pitch and lift: the scatter of foot angles within a walk is a few per cent."""
_TOE_BEND_RAD = 0.49
"""The toes' bend in early swing tends to this where the foot points down."""

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
    heading_rad, pitch_rad, roll_rad
        (n,) left positive; toes up positive; right side down positive (0 on the ground).
    toe_bend_rad
        (n,) of the toes against the foot, up positive.
    """

    side: Side
    place_m: FloatArray
    heading_rad: FloatArray
    pitch_rad: FloatArray
    roll_rad: FloatArray
    toe_bend_rad: FloatArray


@dataclass(frozen=True, slots=True)
class Flight:
    """A foot from heel rise of one footfall to foot-flat of the next.

    Attributes
    ----------
    start, end
        The two footfalls.
    release_s
        When the ball leaves the ground, shortly before toe-off, s.
    settle_s
        When the heel has stopped sliding, shortly after heel strike, s.
    lift
        How high the foot is lifted, 1 in a normal stride.
    pitch
        Spline of the pitch, rad.
    tilt
        Spline from toe-off to heel strike of heading and roll against those on the ground (2,), rad.
    aside_m
        Way of mid-swing to the left of the straight one, m.
    """

    start: Footfall
    end: Footfall
    release_s: float
    settle_s: float
    lift: float
    pitch: BSpline
    tilt: BSpline
    aside_m: float


def plan_flights(plan: WalkPlan, side: Side) -> list[Flight]:
    """Every flight of a foot in order of time; short steps lift and pitch the foot less."""
    flights = []
    rng = np.random.default_rng([plan.walk.seed, 2, side is Side.LEFT])
    foot = plan.deviation.foot(side)
    marked = plan.deviation.expression(side, len(plan.footfalls[side]))
    variability = plan.walk.variability * plan.deviation.pattern.variability
    for k, (start, end) in enumerate(itertools.pairwise(plan.footfalls[side])):
        varied = 1.0 + variability * _FLIGHT_CV * np.clip(rng.standard_normal(4), -2.5, 2.5)
        usual = 0.35 + 0.65 * min(end.reach, 1.15)
        push = usual * varied[0] * max(1.0 + marked[k] * foot.push, 0.1)
        lift = usual * varied[1] * max(1.0 + marked[k] * foot.lift, 0.2)
        land = min(0.15 + 0.85 * end.reach, 1.2) * varied[2]
        if not np.isfinite(end.off_s):
            land *= 0.6
        rise, off, strike, flat = start.rise_s, start.off_s, end.strike_s, end.flat_s
        knots = [
            rise,
            *(rise + (off - rise) * np.array(_RISE[0])),
            off,
            *(off + (strike - off) * np.array(_SWING[0])),
            strike,
            *(strike + (flat - strike) * np.array(_LOADING[0])),
            flat,
        ]
        degrees = np.array([0.0, *_RISE[1], _TOE_OFF_DEG, *_SWING[1], _STRIKE_DEG, *_LOADING[1], 0.0])
        degrees = np.where(degrees < 0.0, degrees * push, degrees * land)
        values = np.radians(degrees + _pitch_change(degrees, foot, start, end, marked[k] * min(end.reach / 0.6, 1.0)))
        pitch = _joined(knots, values, np.zeros(3), np.zeros(3))
        release, settle = off - _RELEASE * (off - rise), strike + _SETTLE * (flat - strike)
        # outward is left of the left foot; inversion is left side down of the left foot
        mirror = np.array([1.0, -1.0]) * (1.0 if side is Side.LEFT else -1.0)
        via = np.array([[0.0, 0.0], *zip(_OUTWARD[1], _INVERSION[1], strict=True), [0.0, 0.0]])
        at = [off, *(off + (strike - off) * np.array(_INVERSION[0])), strike]
        tilt = _joined(at, np.radians(via) * mirror * usual * varied[3], np.zeros((3, 2)), np.zeros((3, 2)))
        outward = foot.outward * plan.walk.height_m * marked[k] * min(end.reach / 0.6, 1.0)
        aside = outward if side is Side.LEFT else -outward
        flights.append(Flight(start, end, release, settle, lift, pitch, tilt, aside))
    return flights


def _pitch_change(degrees: FloatArray, foot: FootChange, start: Footfall, end: Footfall, marked: float) -> FloatArray:
    """Added to the normal pitch at the knots of a flight, degrees: what this foot does otherwise."""
    rise, strike = len(_RISE[0]) + 1, -len(_LOADING[0]) - 2
    before, after = np.degrees([start.flat_pitch_rad, end.flat_pitch_rad])
    change = np.zeros_like(degrees)
    change[rise : strike + 1 or None] = marked * swing_pitch_deg(foot, (0.0, *_SWING[0], 1.0))
    if after < 0.0:
        # who stands on the forefoot lands on it
        change[strike] = min(change[strike], after - 1.0 - degrees[strike])
    rolled, loaded = np.array([0.0, *_RISE[1]]) / _TOE_OFF_DEG, np.array([*_LOADING[1], 0.0]) / _STRIKE_DEG
    change[:rise] = before * (1.0 - rolled) + change[rise] * rolled
    change[strike + 1 :] = after * (1.0 - loaded) + change[strike] * loaded
    return change


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
    pitch, heading, roll = np.zeros(n), np.zeros(n), np.zeros(n)
    center = np.zeros((n, 3))
    flights = plan_flights(plan, side)
    for flight in flights:
        rows = _rows(time_s, flight.start.rise_s, flight.end.flat_s)
        pitch[rows] = flight.pitch(time_s[rows])
    for fall in falls:
        rows = _rows(time_s, fall.strike_s, fall.off_s)
        pitch[_rows(time_s, fall.flat_s, fall.rise_s)] = fall.flat_pitch_rad
        x, z = shape.roll(pitch[rows])
        center[rows, :2] = fall.place_m + np.outer(x, _ahead(fall))
        center[rows, 2] = z
        heading[rows] = fall.heading_rad
    for flight in flights:
        off, strike = flight.start.off_s, flight.end.strike_s
        level, rise = _swing(flight, shape, plan.walk.height_m)
        rows = _rows(time_s, flight.release_s, flight.settle_s)
        center[rows, :2] = level(time_s[rows])
        rows = _rows(time_s, flight.release_s, strike)
        center[rows, 2] = rise(time_s[rows])
        rows = _rows(time_s, off, strike)
        fraction = (time_s[rows] - off) / (strike - off)
        turned = flight.end.heading_rad - flight.start.heading_rad
        tilt = flight.tilt(time_s[rows])
        heading[rows] = flight.start.heading_rad + _smooth_step(fraction) * turned + tilt[:, 0]
        roll[rows] = tilt[:, 1]
    # from the forefoot's centre back to the calcn's origin; a foot rolled to the right moves its sole to the left
    c, s = np.cos(pitch), np.sin(pitch)
    back, down = -shape.ball_x_m, shape.origin_height_m - shape.ball_radius_m
    below, right = down * np.cos(roll), down * np.sin(roll)
    along = back * c - below * s
    ahead, aside = np.array([np.cos(heading), np.sin(heading)]), np.array([np.sin(heading), -np.cos(heading)])
    place = center + np.column_stack([*(along * ahead + right * aside), back * s + below * c])
    bend = _toe_bend(time_s, pitch, center[:, 2], flights, shape)
    return FootMotion(side, place, heading, pitch, roll, bend)


def _swing(flight: Flight, shape: FootShape, height_m: float) -> tuple[BSpline, BSpline]:
    """(x, y) of the forefoot rocker's centre from release to settling, its z to heel strike, ROS world, m."""
    release, settle, strike = flight.release_s, flight.settle_s, flight.end.strike_s

    def rolling(fall: Footfall, instant: float) -> tuple[FloatArray, FloatArray]:
        """Position (3,) and its first three derivatives (3, 3) were the foot rolling at this instant."""
        jet = np.array([float(flight.pitch(instant, order)) for order in range(4)])
        (x, z), (dx, dz) = shape.roll(jet[0]), shape.roll_derivatives(jet)
        ahead = _ahead(fall)
        return np.array([*(fall.place_m + x * ahead), z]), np.column_stack([np.outer(dx, ahead), dz])

    start, start_rates = rolling(flight.start, release)
    end, end_rates = rolling(flight.end, settle)
    via_s, share = release + (settle - release) * np.array(_WAY[0]), np.array(_WAY[1])[:, None]
    heading = 0.5 * (flight.start.heading_rad + flight.end.heading_rad)
    aside = flight.aside_m * np.outer(_ASIDE, [-np.sin(heading), np.cos(heading)])
    way = start[:2] + share * (end - start)[:2] + aside
    level = _joined(
        [release, *via_s, settle], np.vstack([start[:2], way, end[:2]]), start_rates[:, :2], end_rates[:, :2]
    )
    end, end_rates = rolling(flight.end, strike)
    lift = flight.lift * height_m
    early_s, late_s = (release + (strike - release) * np.array(table[0]) for table in (_HEIGHT, _HEEL_HEIGHT))
    early = start[2] + lift * np.array(_HEIGHT[1])
    late = lift * np.array(_HEEL_HEIGHT[1]) + shape.roll(np.maximum(flight.pitch(late_s), 0.0))[1]
    heights = np.array([start[2], *early, *late, end[2]])
    rise = _joined([release, *early_s, *late_s, strike], heights, start_rates[:, 2], end_rates[:, 2])
    return level, rise


def _toe_bend(
    time_s: FloatArray, pitch: FloatArray, center_height: FloatArray, flights: list[Flight], shape: FootShape
) -> FloatArray:
    """(n,) bend that keeps the toe's tip on the ground until toe-off, then straightens as the foot levels."""
    toe_length = shape.toe_x_m - shape.ball_x_m
    down = np.maximum(-pitch, 0.0)
    in_swing = _TOE_BEND_RAD * np.tanh(down / _TOE_BEND_RAD)
    bend = in_swing.copy()
    for flight in flights:
        off, strike = flight.start.off_s, flight.end.strike_s
        if flight.pitch(strike) < 0.0:
            # a forefoot lands with its toes level, and keeps them on the ground
            rows = _rows(time_s, off + 0.5 * (strike - off), flight.end.rise_s)
            part = _smooth_step(np.clip((time_s[rows] - strike) / (0.5 * (strike - off)) + 1.0, 0.0, 1.0))
            bend[rows] += part * (down[rows] - in_swing[rows])
        rows = _rows(time_s, flight.start.rise_s, off + 0.3 * (strike - off))
        ball = np.maximum(center_height[rows] - shape.ball_radius_m * np.cos(pitch[rows]), 0.0)
        on_ground = down[rows] - np.arcsin(np.minimum(ball / toe_length, 1.0))
        lifted = time_s[rows] >= off
        on_ground[lifted] = on_ground[~lifted][-1]
        part = _smooth_step(np.clip((time_s[rows] - off) / (0.3 * (strike - off)), 0.0, 1.0))
        bend[rows] = (1.0 - part) * on_ground + part * in_swing[rows]
    return bend


def _joined(knots: list[float], values: FloatArray, start: FloatArray, end: FloatArray) -> BSpline:
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
