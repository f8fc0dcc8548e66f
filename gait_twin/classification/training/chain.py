"""From a recording to gait cycles, through the classes that the nodes run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gait_twin.classification.cycles import Cycle, CycleCutter
from gait_twin.classification.settings import ClassifierSettings
from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.recording import BodyFrames, Recording, Stride
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.steps import StepEstimator, StepSettings
from gait_twin.twin import Twin, TwinSettings, make_model

BLOCK_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """Settings of the rooms between sensors and cycles; defaults are those of the live graph."""

    hub: HubSettings = dataclasses.field(default_factory=HubSettings)
    detector: DetectorSettings = dataclasses.field(default_factory=DetectorSettings)
    steps: StepSettings = dataclasses.field(default_factory=StepSettings)
    twin: TwinSettings = dataclasses.field(default_factory=TwinSettings)


def cycles_of(recording: Recording, chain: Chain | None = None) -> tuple[list[Cycle], list[Stride]]:
    """Gait cycles and strides of a recording, as the live nodes would see them.

    Parameters
    ----------
    recording
        What was measured, of whom.
    chain
        Settings of the rooms; defaults when None.
    """
    chain = chain or Chain()
    subject = recording.subject
    height = subject.height_m if math.isfinite(subject.height_m) else 0.0
    mass = subject.mass_kg if math.isfinite(subject.mass_kg) else 0.0
    hub = SensorHub(tuple(recording.imus), chain.hub)
    detector, estimator = EventDetector(chain.detector), StepEstimator(chain.steps)
    person = dataclasses.replace(chain.twin, height_m=height or chain.twin.height_m, mass_kg=mass)
    twin = Twin(make_model(person), hub.segments, person)
    cutter = CycleCutter(hub.segments, ClassifierSettings(height_m=height, mass_kg=mass), bool(twin.coordinates))
    cycles: list[Cycle] = []
    strides: list[Stride] = []

    def take(frames: BodyFrames) -> None:
        if len(frames):
            events, _ = detector.update(frames)
            found = estimator.update(frames, events).strides
            detector.take_strides(found)
            strides.extend(found)
            cycles.extend(cutter.update(frames, twin.update(frames) if twin.coordinates else (), found))

    for start_s in np.arange(0.0, recording.duration_s + BLOCK_S, BLOCK_S):
        for segment, stream in recording.imus.items():
            a, b = np.searchsorted(stream.time_s, [start_s, start_s + BLOCK_S])
            channels: Sequence[Any] = (stream.gyr_radps, stream.quat_wxyz, stream.mag_ut)
            if b > a:
                hub.push(
                    segment, stream.time_s[a:b], stream.acc_mps2[a:b], *(c if c is None else c[a:b] for c in channels)
                )
        take(hub.poll())
    last = hub.flush()
    take(last)
    found = estimator.flush().strides
    strides.extend(found)
    cycles.extend(cutter.update(last[:0], (), found))
    cycles.extend(cutter.flush())
    return cycles, strides
