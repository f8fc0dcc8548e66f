"""Streams of a short virtual walk, and a model of made-up cycles."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from classification_made import made_walks

from gait_twin.classification.training import TrainSettings, train
from gait_twin.events import EventDetector
from gait_twin.recording import BodyFrames, Stride, TwinState
from gait_twin.sensing import SensorHub
from gait_twin.simulation import SensorSettings, WalkSettings, simulate
from gait_twin.steps import StepEstimator
from gait_twin.twin import Twin, build_default_model


@dataclass(frozen=True)
class Streams:
    frames: BodyFrames
    states: list[TwinState]
    strides: list[Stride]


@pytest.fixture(scope="session")
def streams() -> Streams:
    """What the hub, the twin and the step estimator make of 11 s of a virtual subject."""
    walk = WalkSettings(duration_s=11.0, standing_start_s=3.0, standing_end_s=0.6, straight_length_m=50.0, seed=3)
    recording = simulate(walk, SensorSettings(seed=3))
    hub = SensorHub(tuple(recording.imus))
    for segment, stream in recording.imus.items():
        hub.push(segment, stream.time_s, stream.acc_mps2, stream.gyr_radps)
    frames = BodyFrames.joined([hub.poll(), hub.flush()])
    detector, estimator = EventDetector(), StepEstimator()
    strides = estimator.update(frames, detector.update(frames)[0]).strides
    strides += estimator.update(frames[:0], detector.flush()[0]).strides + estimator.flush().strides
    return Streams(frames, Twin(build_default_model(1.75, 70.0), frames.segments).update(frames), strides)


@pytest.fixture(scope="session")
def quick():
    """A model that tells the two kinds apart, and of the bent one the affected leg."""
    return train(made_walks(24, sided=True), "quick", TrainSettings(epochs=12, members=2, batch=32))
