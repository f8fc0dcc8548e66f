"""Where and when each foot stands: the route, the footfalls on it, and their exact gait parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import cumulative_simpson
from scipy.interpolate import CubicSpline

from gait_twin.errors import InputError
from gait_twin.recording import Side
from gait_twin.simulation import published
from gait_twin.simulation.deviation import Deviation, deviation_of
from gait_twin.simulation.patterns import FootChange
from gait_twin.simulation.settings import WalkSettings

FloatArray = NDArray[np.float64]

TURN_PER_STEP_RAD = 0.45
"""Steps shorten in a turn so that each turns by about this at most; 180° then takes 7 steps or so."""
STEP_CHANGE_PER_M = 0.4
"""Step length changes along the way by at most this, m/m: who turns slows down two steps before."""
TURN_AHEAD_M = 0.05
"""A foot is put down in the direction that the path has this far on, for the body will pass over it."""
FLAT_AT, RISE_AT = 0.16, 0.55
"""Foot flat, and heel rise, in fractions of the stance from its heel strike: 10 % and 34 % of the stride."""


class Route:
    """The line walked along, on the ground of the ROS world: starts at the origin along x.

    Turns are arcs whose curvature rises and falls smoothly.
    """

    def __init__(self, walk: WalkSettings, length_m: float) -> None:
        angle = np.radians(walk.turn_angle_deg)
        turn_length = abs(angle) * walk.turn_radius_m
        lap = walk.straight_length_m + turn_length
        s = np.linspace(0.0, length_m, int(length_m / 0.02) + 2)
        within = (np.mod(s, lap) - walk.straight_length_m) / max(turn_length, 1e-9)
        # a plateau between two smooth ramps of 0.3 of the turn each, with the turn's angle as its integral
        ramp = np.clip(np.minimum(within, 1.0 - within) / 0.3, 0.0, 1.0)
        curvature = angle / max(turn_length, 1e-9) / 0.7 * ramp**3 * (10.0 - 15.0 * ramp + 6.0 * ramp**2)
        heading = cumulative_simpson(curvature, x=s, initial=0.0)
        xy = [cumulative_simpson(f(heading), x=s, initial=0.0) for f in (np.cos, np.sin)]
        self._heading = CubicSpline(s, heading)
        self._xy = CubicSpline(s, np.stack(xy, axis=-1))
        self._s, self._curvature = s, curvature

    def heading(self, s: ArrayLike) -> FloatArray:
        """(...,) direction of the path at arc length `s`, rad, left positive."""
        return np.asarray(self._heading(s))

    def step_limits(self, step_length_m: float) -> tuple[FloatArray, FloatArray]:
        """Arc lengths and, at each, the longest step that starts there, m: shorter in and near turns."""
        s = self._s
        limit = step_length_m / np.sqrt(1.0 + (step_length_m * self._curvature / TURN_PER_STEP_RAD) ** 2)
        slope = STEP_CHANGE_PER_M * s
        limit = slope + np.minimum.accumulate(limit - slope)
        limit = np.minimum.accumulate((limit + slope)[::-1])[::-1] - slope
        return s, limit

    def place(self, s: ArrayLike, left_m: ArrayLike = 0.0) -> FloatArray:
        """(..., 2) point at arc length `s`, `left_m` beside the path, m."""
        heading = self.heading(s)
        normal = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
        return np.asarray(self._xy(s)) + normal * np.asarray(left_m)[..., None]


@dataclass(frozen=True, slots=True)
class Footfall:
    """One stance of a foot.

    Attributes
    ----------
    side
        Foot.
    strike_s, flat_s, rise_s, off_s
        Heel strike, beginning and end of foot-flat, toe-off, s; -inf and inf where the foot stands from
        the beginning or to the end.
    place_m
        (2,) of the heel on the ground, ROS world, m.
    heading_rad
        Direction of the foot, left positive, rad.
    arc_m
        Arc length of the route at which it stands, m.
    reach
        Way of the foot in the swing before, as a fraction of a normal stride (0.82 body heights).
    flat_pitch_rad
        Pitch between `flat_s` and `rise_s`: 0, or below where a foot stands on its forefoot.
    """

    side: Side
    strike_s: float
    flat_s: float
    rise_s: float
    off_s: float
    place_m: FloatArray
    heading_rad: float
    arc_m: float
    reach: float
    flat_pitch_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """A whole walk.

    Attributes
    ----------
    walk, route
        What it was planned from.
    speed_mps, cadence_spm
        Of steady straight walking.
    footfalls
        Every footfall of a side in order of time, the initial standing one first.
    landings
        All footfalls that begin with a heel strike, in order of time.
    deviation
        How this person's gait differs from the normal one.
    """

    walk: WalkSettings
    route: Route
    speed_mps: float
    cadence_spm: float
    footfalls: dict[Side, tuple[Footfall, ...]]
    landings: tuple[Footfall, ...]
    deviation: Deviation


@dataclass(slots=True)
class _Landing:
    """A footfall before its own toe-off is known."""

    side: Side
    strike_s: float
    off_other_s: float
    arc_m: float


def plan_walk(walk: WalkSettings) -> WalkPlan:
    """Lay out a walk's footfalls.

    Raises
    ------
    InputError
        When speed and cadence together ask for steps longer than legs can make.
    """
    deviation = deviation_of(walk)
    speed, cadence = published.natural_gait(
        walk.height_m,
        walk.speed_mps,
        walk.cadence_spm,
        speed=deviation.pattern.speed,
        walk_ratio=deviation.pattern.walk_ratio,
    )
    step_length, step_time = speed * 60.0 / cadence, 60.0 / cadence
    if not 0.1 <= step_length / walk.height_m <= 0.62:
        raise InputError(
            f"WalkSettings ask for steps of {step_length:.2f} m ({speed:.2f} m/s at {cadence:.0f} steps/min) of "
            f"a person {walk.height_m:.2f} m tall; give a speed and a cadence that make steps of "
            f"{0.1 * walk.height_m:.2f} to {0.62 * walk.height_m:.2f} m."
        )
    route = Route(walk, speed * walk.duration_s * 1.5 + 20.0)
    rng = np.random.default_rng([walk.seed, 0])
    landings = _landings(walk, deviation, route, speed, step_length, step_time, rng)
    width = walk.step_width_m + deviation.pattern.step_width_m
    width_sd = published.STEP_WIDTH_SD_M * walk.variability * deviation.pattern.variability / np.sqrt(2.0)

    feet: dict[Side, tuple[Footfall, ...]] = {}
    for side in Side:
        own = [mark for mark in landings if mark.side is side and np.isfinite(mark.strike_s)]
        # a foot leaves the ground after each landing of the other
        leaves = [m.off_other_s for m in landings if m.side is not side and np.isfinite(m.off_other_s)] + [np.inf]
        arcs = [0.0, *(mark.arc_m for mark in own)]
        strikes = [-np.inf, *(mark.strike_s for mark in own)]
        sign = 1.0 if side is Side.LEFT else -1.0
        falls: list[Footfall] = []
        foot = deviation.foot(side)
        for arc, strike, leave in zip(arcs, strikes, leaves, strict=True):
            wander = width_sd * float(np.clip(rng.standard_normal(), -2.5, 2.5)) if np.isfinite(strike) else 0.0
            place = route.place(arc, 0.5 * sign * width + wander)
            way = float(np.linalg.norm(place - falls[-1].place_m)) if falls else 0.0
            flat, rise = _flat_times(strike, leave, step_time, foot)
            heading = float(route.heading(arc + TURN_AHEAD_M)) + sign * float(np.radians(walk.toe_out_deg))
            reach = way / (0.82 * walk.height_m)
            standing = not (np.isfinite(strike) and np.isfinite(leave))
            pitch = 0.0 if standing else float(np.radians(foot.stance_deg))
            falls.append(Footfall(side, strike, flat, rise, leave, place, heading, arc, reach, pitch))
        feet[side] = tuple(falls)
    ordered = sorted((fall for falls in feet.values() for fall in falls[1:]), key=lambda fall: fall.strike_s)
    return WalkPlan(walk, route, speed, cadence, feet, tuple(ordered), deviation)


def _flat_times(strike_s: float, off_s: float, step_time_s: float, foot: FootChange) -> tuple[float, float]:
    """Begin and end of foot-flat in a stance that may be open on either side."""
    stance = off_s - strike_s
    usual = min(stance, 1.3 * step_time_s)
    flat = max(FLAT_AT + foot.flat, 0.06)
    rise = max(RISE_AT + foot.rise, flat + 0.12)
    return strike_s + flat * usual, off_s - (1.0 - rise) * usual


def _landings(
    walk: WalkSettings,
    deviation: Deviation,
    route: Route,
    speed: float,
    step_length: float,
    step_time: float,
    rng: np.random.Generator,
) -> list[_Landing]:
    """Heel strikes in order of time; the first entry stands for the foot that stays when walking begins."""
    first = Side(walk.first_side)
    marks = [_Landing(first.other, -np.inf, walk.standing_start_s, 0.0)]
    last_strike = walk.duration_s - walk.standing_end_s
    wander = np.zeros(2)
    time, arc, side = walk.standing_start_s, 0.0, first
    if last_strike < time + 4.0 * step_time:
        return [_Landing(first.other, -np.inf, np.inf, 0.0)]
    pattern = deviation.pattern
    time_asymmetry = walk.time_asymmetry + pattern.time_asymmetry
    length_asymmetry = walk.length_asymmetry + pattern.length_asymmetry
    sds = (
        walk.variability
        * pattern.variability
        * np.array([published.STRIDE_TIME_CV * np.sqrt(2.0), published.STEP_LENGTH_CV])
    )
    keep = published.PERSISTENCE
    limits = route.step_limits(step_length)
    while True:
        wander = keep * wander + np.sqrt(1.0 - keep**2) * rng.standard_normal(2)
        varied = 1.0 + np.clip(wander, -2.5, 2.5) * sds
        sign = 0.5 if side is Side.RIGHT else -0.5
        # the last step but one is shorter, the last ends beside the other foot
        remaining = int((last_strike - time) / (1.12 * step_time))
        starting = len(marks) == 1
        pace = 1.15 if starting else (1.1 if remaining <= 2 else 1.0)
        duration = step_time * varied[0] * (1.0 + sign * time_asymmetry) * pace
        length = step_length * varied[1] * (1.0 + sign * length_asymmetry)
        length *= 0.75 if starting else (0.8 if remaining <= 2 else 1.0)
        shortened = float(np.interp(arc, *limits)) / step_length
        length *= shortened
        duration *= 1.1 - 0.1 * shortened
        if remaining <= 1:
            length = 0.0
        if starting:
            duration -= 2.0 * (float(published.stance_fraction(speed)) + pattern.stance - 0.5) * step_time
        time, arc = time + float(duration), arc + float(length)
        support = 2.0 * (float(published.stance_fraction(length / duration)) + pattern.stance - 0.5) * step_time * pace
        marks.append(_Landing(side, time, np.inf if remaining <= 1 else time + support, arc))
        if remaining <= 1:
            return marks
        side = side.other
