"""One recording through hub, detector and estimator, in blocks, with the time each took."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import numpy as np
from event_cases import FOLDS

from gait_twin.events import EventDetector
from gait_twin.events.network import Weights
from gait_twin.events.neural import NeuralDetector
from gait_twin.events.training.walks import splits
from gait_twin.recording import BodyFrames, FootPose, GaitEvent, Recording, Side, Step, Stride
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.steps import StepEstimator, StepOutput

BLOCK_S = 2.0
FEET = tuple(side.foot for side in Side)


@functools.cache
def _weights(path: Path) -> Weights:
    return Weights.load(path)


def left_out(subject: int, folds: Path = FOLDS) -> NeuralDetector:
    """Detector whose network never saw this person of foot_healthy_10m; the shipped one learned from all of them."""
    fold = next(k for k, people in enumerate(splits()["folds"]) if subject in people)
    return NeuralDetector(weights=_weights(folds / f"fold{fold + 1}.npz"))


class Run:
    """One recording's feet through hub, detector (the shipped one if none is given) and estimator, timed."""

    def __init__(
        self, recording: Recording, rate_hz: float, detector: EventDetector | NeuralDetector | None = None
    ) -> None:
        feet = {name: stream for name, stream in recording.imus.items() if name in FEET}
        hub = SensorHub(tuple(feet), HubSettings(frame_rate_hz=rate_hz))
        detector, estimator = detector or EventDetector(), StepEstimator()
        self.events: list[GaitEvent] = []
        self.strides: list[Stride] = []
        self.steps: list[Step] = []
        self.poses: list[FootPose] = []
        self.early: list[Stride] = []
        frames: list[BodyFrames] = []
        self.seconds = {"hub": 0.0, "events": 0.0, "steps": 0.0}

        def take(block: BodyFrames) -> None:
            frames.append(block)
            began = time.process_time()
            events, _ = detector.update(block)
            between = time.process_time()
            out = estimator.update(block, events)
            self.seconds["events"] += between - began
            self.seconds["steps"] += time.process_time() - between
            self._keep(events, out)

        for end_s in np.arange(BLOCK_S, recording.duration_s + 2 * BLOCK_S, BLOCK_S):
            began = time.process_time()
            for name, stream in feet.items():
                a, b = np.searchsorted(stream.time_s, [end_s - BLOCK_S, end_s])
                if b > a:
                    hub.push(name, stream.time_s[a:b], stream.acc_mps2[a:b], stream.gyr_radps[a:b])
            block = hub.poll()
            self.seconds["hub"] += time.process_time() - began
            take(block)
        take(hub.flush())
        self._keep([], estimator.flush())
        self.frames = frames
        self.time_s = np.concatenate([f.time_s for f in frames])
        self.duration_s = recording.duration_s

    def _keep(self, events: list[GaitEvent], out: StepOutput) -> None:
        self.events += events
        self.strides += out.strides
        self.steps += out.steps
        self.early += out.early
        self.poses += out.poses

    def times(self, side: Side, kind: str) -> np.ndarray:
        return np.array([e.time_s for e in self.events if e.side is side and e.kind == kind])

    def samples(self, side: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Even grid of one foot with holes filled linearly: the baseline cannot do with holes."""
        column = self.frames[0].segments.index(side.foot) if side.foot in self.frames[0].segments else None
        if column is None:
            return None
        acc = np.concatenate([f.acc_mps2[:, column] for f in self.frames])
        gyr = np.concatenate([f.gyr_radps[:, column] for f in self.frames])
        good = np.flatnonzero(np.isfinite(acc[:, 0]))
        part = slice(good[0], good[-1] + 1)
        fill = [
            np.column_stack([np.interp(self.time_s[part], self.time_s[good], c[good]) for c in x.T]) for x in (acc, gyr)
        ]
        return self.time_s[part], *fill

    def position(self, side: Side, at_s: float) -> np.ndarray:
        """Odometry's horizontal position nearest to an instant, m."""
        track = [p for p in self.poses if p.side is side]
        times = np.array([p.time_s for p in track])
        return track[int(np.argmin(np.abs(times - at_s)))].position_m[:2]
