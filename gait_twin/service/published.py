"""The same analysis from what the nodes published into a bag, instead of from running the rooms again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gait_twin.recording import Recording, Side, TwinState
from gait_twin.recording.persistence import Results
from gait_twin.service.model import default_model
from gait_twin.service.motion import MOTION_RATE_HZ, BodyPoses, figure
from gait_twin.service.results import (
    Analysis,
    SensorReport,
    foot_paths,
    force_tables,
    joint_trajectory,
    mean_residuals_deg,
    twin_notices,
)
from gait_twin.twin import Twin, confidence_table, model_xml

if TYPE_CHECKING:
    import opensim

PLOT_RATE_HZ = 100.0
"""Rate of the foot signal that is drawn, Hz."""


def published(recording: Recording, results: Results, model: opensim.Model | None = None) -> Analysis:
    """Put together what a graph published.

    Parameters
    ----------
    recording
        The samples of the bag.
    results
        What the nodes published, of `gait_twin.recording.read_results`.
    model
        Model that the graph's twin used; None for the default one of the subject's size. It only draws the
        moving figure.

    Returns
    -------
    Analysis
        As `analyze` gives; without calibration, which the hub keeps to itself.
    """
    time_s = np.arange(0.0, recording.duration_s, 1 / PLOT_RATE_HZ)
    rates = {}
    for side in Side:
        stream = recording.imus.get(side.foot)
        if stream is not None and stream.gyr_radps is not None:
            rates[side] = np.interp(time_s, stream.time_s, np.linalg.norm(stream.gyr_radps, axis=1))
    residuals = mean_residuals_deg(results.states)
    twin = _twin(recording, results, model)
    times, poses = _poses(results, twin)
    forces = force_tables(results.states, twin.skeleton) if twin else {}
    return Analysis(
        recording=recording,
        events=tuple(sorted(results.events, key=lambda event: event.time_s)),
        strides=tuple(sorted(results.strides, key=lambda stride: stride.end_s)),
        steps=tuple(sorted(results.steps, key=lambda step: step.time_s)),
        time_s=time_s,
        foot_rate_radps=rates,
        feet=foot_paths(results.poses),
        joints=joint_trajectory(results.states),
        forces=forces,
        confidence=confidence_table(results.states) if forces else None,
        mass_kg=twin.skeleton.mass_kg if twin else math.nan,
        model=recording.subject.model,
        osim=model_xml(twin.skeleton.model) if twin else "",
        motion=figure(times, poses, recording.subject.height_m),
        sensors={
            segment: SensorReport(
                stream.sampling_rate_hz, {"received": len(stream.time_s)}, residuals.get(segment, math.nan)
            )
            for segment, stream in recording.imus.items()
        },
        notices=(*recording.notices, *twin_notices(results.states)),
        losses=(*recording.losses, *(loss for loss in results.losses if loss not in recording.losses)),
    )


def _twin(recording: Recording, results: Results, model: opensim.Model | None) -> Twin | None:
    """A twin like the graph's, for what follows from its states; None where there are no coordinates."""
    state = next((state for state in results.states if state.coordinates), None)
    if state is None:
        return None
    twin = Twin(model or default_model(recording.subject)[0], state.sensors)
    return twin if twin.coordinates == state.coordinates else None


def _poses(results: Results, twin: Twin | None) -> tuple[list[float], list[BodyPoses]]:
    """Body poses at the figure's rate, by the model's forward kinematics from the published states."""
    usable: list[TwinState] = []
    for state in results.states if twin else ():
        last_s = usable[-1].time_s if usable else -math.inf
        if state.quality > 0 and state.coordinates and state.time_s - last_s >= 1 / MOTION_RATE_HZ - 1e-6:
            usable.append(state)
    return [state.time_s for state in usable], [twin.body_poses(state) for state in usable] if twin else []
