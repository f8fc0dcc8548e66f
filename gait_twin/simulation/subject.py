"""A virtual subject walks: from settings to a recording that knows its own truth."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import (
    EventKind,
    GaitEvent,
    ImuStream,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    Subject,
    Truth,
)
from gait_twin.simulation.body import BodyMotion, move_body
from gait_twin.simulation.feet import plan_flights
from gait_twin.simulation.plan import Footfall, WalkPlan, plan_walk
from gait_twin.simulation.sensors import SensorMotion, Shock, measure, sensor_motion
from gait_twin.simulation.settings import SensorSettings, WalkSettings
from gait_twin.twin import build_default_model
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]


def simulate(
    walk: WalkSettings | None = None,
    sensors: SensorSettings | None = None,
    model: opensim.Model | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Let a virtual subject walk with virtual IMUs.

    Everything follows from the settings: the same settings give the same recording to the last bit.

    Parameters
    ----------
    walk, sensors
        What to do and what to wear; defaults when None.
    model
        OpenSim model of the body, with Rajagopal's coordinate names; None: the twin's default model of
        this height and mass.
    progress
        Called with the share done, 0 to 1, a few times a second.

    Returns
    -------
    Recording
        Stamps are on each sensor's own clock; the truth is on the true clock, whose zero is where the
        clock of a sensor without offset reads zero. Zero is the earliest stamp.
        Truth: every heel strike and toe-off as planned; strides between two heel strikes of a foot, with the
        length between its two places on the ground (of the heel) and the foot's angle at the strike that ends
        it; steps with length and width along the route's direction halfway between the two feet; joints at
        200 Hz, all coordinates of the model's legs and trunk.

    Raises
    ------
    InputError
        Settings that no one can walk, or a model without the needed bodies and coordinates.
    """
    walk, sensors = walk or WalkSettings(), sensors or SensorSettings()
    plan = plan_walk(walk)
    report = progress or (lambda _: None)
    skeleton = model or build_default_model(walk.height_m, walk.mass_kg)
    body = move_body(plan, skeleton, lambda share: report(0.8 * share))
    shocks = _shocks(plan)
    imus: dict[str, ImuStream] = {}
    for k, segment in enumerate(sensors.segments):
        motion = sensor_motion(segment, body, sensors, walk.height_m, shocks)
        imus[segment] = measure(segment, motion, sensors, walk.duration_s)
        report(0.8 + 0.2 * (k + 1) / len(sensors.segments))
    truth = _truth(plan, body, _foot_motions(body, sensors, walk))
    first = min(float(stream.time_s[0]) for stream in imus.values())
    return Recording(
        imus={name: dataclasses.replace(s, time_s=s.time_s - first) for name, s in imus.items()},
        subject=Subject(f"virtual subject {walk.seed}", walk.height_m, walk.mass_kg),
        truth=_earlier(truth, first),
    )


def _foot_motions(body: BodyMotion, sensors: SensorSettings, walk: WalkSettings) -> dict[Side, SensorMotion]:
    return {side: sensor_motion(side.foot, body, sensors, walk.height_m) for side in Side}


def _shocks(plan: WalkPlan) -> tuple[Shock, ...]:
    """One for each heel strike, the harder the longer the swing before it."""
    return tuple(
        Shock(
            fall.strike_s,
            float(np.clip(fall.reach * plan.speed_mps / 1.3, 0.1, 1.6)),
            np.array([np.cos(fall.heading_rad), np.sin(fall.heading_rad), 0.0]),
            fall.side.foot,
        )
        for fall in plan.landings
    )


def _truth(plan: WalkPlan, body: BodyMotion, feet: dict[Side, SensorMotion]) -> Truth:
    events = [
        GaitEvent(time, side, kind, confidence=1.0, delay_s=0.0)
        for side, falls in plan.footfalls.items()
        for fall in falls
        for time, kind in ((fall.strike_s, EventKind.HEEL_STRIKE), (fall.off_s, EventKind.TOE_OFF))
        if np.isfinite(time)
    ]
    strides = [stride for side in Side for stride in _strides(plan, side, feet[side])]
    names = tuple(body.positions)
    return Truth(
        events=tuple(sorted(events, key=lambda event: event.time_s)),
        strides=tuple(sorted(strides, key=lambda stride: stride.end_s)),
        steps=tuple(_step(plan, *pair) for pair in zip(plan.landings[:-1], plan.landings[1:], strict=True)),
        joints=JointTrajectory(body.time_s, names, np.stack([body.positions[name] for name in names], axis=-1)),
    )


def _strides(plan: WalkPlan, side: Side, foot: SensorMotion) -> list[Stride]:
    strides = []
    other = plan.footfalls[side.other]
    # the first flight starts from standing, not from a heel strike
    for flight in plan_flights(plan, side)[1:]:
        start, end = flight.start, flight.end
        alone = sum(
            max(0.0, min(end.strike_s, landed.strike_s) - max(start.strike_s, left.off_s))
            for left, landed in itertools.pairwise(other)
        )
        swing = end.strike_s - start.off_s
        instants = np.linspace(start.off_s, end.strike_s, 200)
        flat = float(foot.position(0.5 * (start.flat_s + start.rise_s))[2])
        strides.append(
            Stride(
                side,
                start.strike_s,
                end.strike_s,
                toe_off_s=start.off_s,
                stride_length_m=float(np.linalg.norm(end.place_m - start.place_m)),
                stride_length_sd_m=0.0,
                stance_time_s=start.off_s - start.strike_s,
                swing_time_s=swing,
                double_support_time_s=end.strike_s - start.strike_s - swing - alone,
                stride_time_sd_s=0.0,
                foot_clearance_m=float(foot.position(instants)[:, 2].max()) - flat,
                foot_clearance_sd_m=0.0,
                height_change_m=0.0,
                foot_angle_heel_strike_rad=float(flight.pitch(end.strike_s)),
                foot_angle_toe_off_rad=float(flight.pitch(start.off_s)),
                foot_angle_sd_rad=0.0,
                turning_angle_rad=end.heading_rad - start.heading_rad,
                turning_angle_sd_rad=0.0,
            )
        )
    return strides


def _step(plan: WalkPlan, before: Footfall, landing: Footfall) -> Step:
    heading = float(plan.route.heading(0.5 * (before.arc_m + landing.arc_m)))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    beside = np.array([-np.sin(heading), np.cos(heading)]) * (1.0 if landing.side is Side.LEFT else -1.0)
    way = landing.place_m - before.place_m
    return Step(
        landing.side,
        landing.strike_s,
        landing.strike_s - before.strike_s,
        step_length_m=float(way @ ahead),
        step_length_sd_m=0.0,
        step_width_m=float(way @ beside),
        step_width_sd_m=0.0,
    )


def _earlier(truth: Truth, by_s: float) -> Truth:
    """The same truth on a clock whose zero is `by_s` later."""
    joints = truth.joints
    return Truth(
        events=tuple(dataclasses.replace(e, time_s=e.time_s - by_s) for e in truth.events),
        strides=tuple(
            dataclasses.replace(s, start_s=s.start_s - by_s, end_s=s.end_s - by_s, toe_off_s=s.toe_off_s - by_s)
            for s in truth.strides
        ),
        steps=tuple(dataclasses.replace(s, time_s=s.time_s - by_s) for s in truth.steps),
        joints=None if joints is None else dataclasses.replace(joints, time_s=joints.time_s - by_s),
    )
