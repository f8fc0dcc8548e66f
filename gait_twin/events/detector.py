"""Gait events and phases of both feet from frames of their sensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from gait_twin.events.classical import ClassicalDetector
from gait_twin.events.closed_loop import ClosedLoop
from gait_twin.events.phase import PhasePredictor
from gait_twin.events.settings import DetectorSettings
from gait_twin.recording import BodyFrames, GaitEvent, GaitPhase, Side, SlotStatus, Stride

if TYPE_CHECKING:
    from gait_twin.events.neural import NeuralDetector


def _network(settings: DetectorSettings) -> NeuralDetector | ClosedLoop:
    # Compiled code is loaded by those who use it alone
    from gait_twin.events.neural import NeuralDetector

    detector = NeuralDetector(settings.look_ahead_s, settings.max_stride_s)
    return ClosedLoop(detector) if settings.closed_loop else detector


class EventDetector:
    """Finds heel strikes and toe-offs of each foot that wears a sensor, and predicts its phase.

    The feet are `calcn_l` and `calcn_r`. The learned network or the classical detector does the work, as set; a foot
    without a sensor has no events and its phase says `walking=False`. What comes out does not depend on how frames
    are cut into blocks.

    Parameters
    ----------
    settings
        Thresholds; defaults when None.
    """

    def __init__(self, settings: DetectorSettings | None = None) -> None:
        self._settings = settings or DetectorSettings()
        self._network = _network(self._settings) if self._settings.detector == "network" else None
        self._held: BodyFrames | None = None
        self._feet: dict[Side, ClassicalDetector] = {}
        self._phases = {side: PhasePredictor(side, self._settings) for side in Side}

    def update(self, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """Take the next frames.

        Parameters
        ----------
        frames
            n frames that follow those given before.

        Returns
        -------
        events
            Those that became known with these frames, in the order of becoming known.
        phases
            Left and right of each frame; the very first frame's come with the second, which tells the
            sampling interval.
        """
        if self._network is not None:
            return self._network.update(frames)
        if self._held is not None:
            frames, self._held = BodyFrames.joined([self._held, frames]), None
        if not self._feet:
            if len(frames) < 2:
                self._held = frames if len(frames) else None
                return [], []
            dt_s = float(frames.time_s[1] - frames.time_s[0])
            self._feet = {side: ClassicalDetector(side, self._settings, dt_s) for side in Side}
        return self._update(frames)

    def take_strides(self, strides: Iterable[Stride]) -> None:
        """Strides of the step estimator, as soon as they are known; heeded where the settings close the loop."""
        if isinstance(self._network, ClosedLoop):
            self._network.take_strides(strides)

    def _update(self, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
        found: list[GaitEvent] = []
        sides: list[list[GaitPhase]] = []
        times_s = frames.time_s.tolist()
        for side in Side:
            events: list[GaitEvent] = []
            if side.foot in frames.segments:
                column = frames.segments.index(side.foot)
                valid = (frames.status[:, column] & SlotStatus.VALID) != 0
                gyr = frames.gyr_radps[:, column]
                if not valid.all():
                    gyr = np.where(valid[:, None], gyr, np.nan)
                events = self._feet[side].update(frames.time_s, frames.acc_mps2[:, column], gyr)
            found += events
            sides.append(self._phases[side].update(times_s, events))
        found.sort(key=lambda event: event.time_s + event.delay_s)
        return found, [phase for pair in zip(*sides, strict=True) for phase in pair]

    def flush(self) -> tuple[list[GaitEvent], list[GaitPhase]]:
        """End of the stream: what is left, which is nothing but for a stream of one frame."""
        if self._network is not None:
            return self._network.flush()
        frames, self._held = self._held, None
        if frames is None:
            return [], []
        return [], [p for side in Side for p in self._phases[side].update(frames.time_s.tolist(), [])]
