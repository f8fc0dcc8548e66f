"""Strides, steps and odometry of both feet from frames and gait events."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from gait_twin.recording import BodyFrames, EventKind, FootPose, GaitEvent, Side, SlotStatus, Step, Stride
from gait_twin.steps.early import EarlyStrides
from gait_twin.steps.foot import Flat, FootTracker
from gait_twin.steps.pair import FeetPair
from gait_twin.steps.settings import StepSettings
from gait_twin.steps.split import split
from gait_twin.steps.strides import build_stride

FLAT_WITHIN = 0.7
"""A heel strike's foot-flat comes within this part of the stride before it, or is missed."""
SHORTEST_STRIDE_S = 0.7
"""Heel strikes in quicker succession are not both real."""
FIRST_STRIDE_S = 1.5
"""Stride time taken for a first heel strike."""
EARLY_FLAT_S = 0.1
"""A heel strike that was found late, as after a last step, may come so long after its foot-flat."""
USUAL_STRIDES = 5
"""Strides whose median duration is the person's usual one ..."""
USUAL_MORE = 1.3
"""... which a stride may exceed by this factor before its heel strike's foot-flat counts as missed."""
TWO_STRIDES = 1.6
"""A stride that took and went farther than the usual one by this factor is two."""
GIVE_UP_S = 4.0
"""Frames this far past a heel strike have shown its foot-flat if there is one (a foot-flat is known at
most 1.5 s after it)."""


@dataclass(slots=True)
class StepOutput:
    """What became known with a block: strides, steps, and a pose for each valid sample of a foot.

    `early` holds strides as told with their heel strike, some half a second before they come out in `strides`: their
    length is provisional, and the rest of them is not known yet.
    """

    strides: list[Stride] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    poses: list[FootPose] = field(default_factory=list)
    early: list[Stride] = field(default_factory=list)


@dataclass(slots=True)
class _Landing:
    event: GaitEvent
    flat: Flat | None


class StepEstimator:
    """Joins each foot's trajectory with the gait events into strides and steps.

    Trajectories come from frames alone, causally; events only say where strides begin and end. A heel
    strike is worked on when its foot-flat is known, in the order in which the events became known, so
    that nothing depends on when events arrive relative to frames or on how frames are cut.

    Parameters
    ----------
    settings
        Defaults when None.
    """

    def __init__(self, settings: StepSettings | None = None) -> None:
        self._settings = settings or StepSettings()
        self._held: BodyFrames | None = None
        self._feet: dict[Side, FootTracker] = {}
        self._flats: dict[Side, deque[Flat]] = {side: deque() for side in Side}
        self._queue: deque[GaitEvent] = deque()
        self._past: deque[GaitEvent] = deque()
        self._landed: dict[Side, _Landing] = {}
        self._placed: dict[Side, Flat] = {}
        self._usual: dict[Side, deque[tuple[float, float]]] = {side: deque(maxlen=USUAL_STRIDES) for side in Side}
        self._early = {side: EarlyStrides(self._settings) for side in Side}
        self._pair = FeetPair(self._settings)
        self._known_s = -math.inf
        self._now_s = -math.inf
        self._leapt = False

    def update(self, frames: BodyFrames, events: list[GaitEvent]) -> StepOutput:
        """Take the next frames and the events that arrived, in the order in which they became known.

        Parameters
        ----------
        frames
            n frames that follow those given before; n may be 0.
        events
            Of any of the frames given so far or later.

        Returns
        -------
        What became known.
        """
        out = StepOutput()
        if len(frames) and frames.time_s[0] <= self._now_s:
            self._leap(out)
        self._queue.extend(events)
        for event in events:
            if event.kind is EventKind.HEEL_STRIKE:
                self._early[event.side].hear(event)
        if self._held is not None:
            frames, self._held = BodyFrames.joined([self._held, frames]), None
        if not self._feet:
            if len(frames) < 2:
                # The sampling interval is known with the second frame
                self._held = frames if len(frames) else None
                return out
            dt_s = float(frames.time_s[1] - frames.time_s[0])
            self._feet = {s: FootTracker(s, self._settings, dt_s) for s in Side if s.foot in frames.segments}
        new: dict[Side, list[Flat]] = {}
        for side, foot in self._feet.items():
            column = frames.segments.index(side.foot)
            status = frames.status[:, column]
            lost = (status & SlotStatus.VALID) == 0
            acc, gyr = frames.acc_mps2[:, column], frames.gyr_radps[:, column]
            if lost.any():
                acc = np.where(lost[:, None], np.nan, acc)
            doubtful = (status & (SlotStatus.SATURATED | SlotStatus.BRIDGED)) != 0
            flats, poses = foot.update(frames.time_s, acc, gyr, doubtful)
            self._flats[side].extend(flats)
            new[side] = flats
            out.poses += poses
        out.poses.sort(key=lambda pose: pose.time_s)
        if len(frames):
            self._now_s = float(frames.time_s[-1])
        self._work(out)
        for side, foot in self._feet.items():
            out.early += self._early[side].update(foot, new[side], self._now_s)
        out.early.sort(key=lambda stride: stride.end_s)
        return out

    def flush(self) -> StepOutput:
        """End of the stream: what the last heel strikes give."""
        out = StepOutput()
        for side, foot in self._feet.items():
            self._flats[side].extend(foot.flush())
        self._now_s = math.inf
        self._work(out)
        return out

    def _leap(self, out: StepOutput) -> None:
        """The clock has leapt back: finish the old timeline and begin anew."""
        out_of_old = self.flush()
        out.strides += out_of_old.strides
        out.steps += out_of_old.steps
        for flats in self._flats.values():
            flats.clear()
        self._past.clear()
        self._landed.clear()
        self._placed.clear()
        for early in self._early.values():
            early.restart()
        self._pair.restart()
        self._known_s = -math.inf
        self._leapt = True

    def _work(self, out: StepOutput) -> None:
        while self._queue:
            event = self._queue[0]
            if self._leapt and event.time_s > self._now_s + GIVE_UP_S:
                self._queue.popleft()  # a late one of the timeline before a leap
                continue
            if event.kind is EventKind.TOE_OFF or event.side not in self._feet:
                self._past.append(self._queue.popleft())
                continue
            flat = next((f for f in self._flats[event.side] if f.time_s > event.time_s - EARLY_FLAT_S), None)
            if flat is None and self._now_s < event.time_s + GIVE_UP_S:
                return
            self._past.append(self._queue.popleft())
            # In data time, whenever it arrives
            known_s = event.time_s + GIVE_UP_S if flat is None else flat.known_s
            self._known_s = max(self._known_s, known_s, event.time_s + max(event.delay_s, 0.0))
            stride_s = self._stride_s(event)
            if flat is not None and flat.time_s > event.time_s + FLAT_WITHIN * stride_s:
                flat = self._missed(flat, event, stride_s)
            self._land(event, flat, out)
            while self._past[0].time_s < event.time_s - 2.0 * GIVE_UP_S:
                self._past.popleft()

    def _stride_s(self, event: GaitEvent) -> float:
        """Time since the foot's heel strike before, within reason, s."""
        before = self._landed.get(event.side)
        stride_s = event.time_s - before.event.time_s if before is not None else math.inf
        if stride_s > self._settings.max_stride_s:
            return FIRST_STRIDE_S
        usual = self._usual[event.side]
        if len(usual) == USUAL_STRIDES:
            stride_s = min(stride_s, USUAL_MORE * median(s for s, _ in usual))
        return max(stride_s, SHORTEST_STRIDE_S)

    def _missed(self, flat: Flat, event: GaitEvent, stride_s: float) -> Flat | None:
        """Foot-flat of a heel strike that the samples alone did not show: the event says where to look."""
        parts = split(flat, event.time_s, stride_s, self._settings) if self._settings.flats_from_events else None
        if parts is None:
            return None
        flats = self._flats[event.side]
        at = flats.index(flat)
        flats[at] = parts[1]
        flats.insert(at, parts[0])
        return parts[0]

    def _land(self, event: GaitEvent, flat: Flat | None, out: StepOutput) -> None:
        side = event.side
        before = self._landed.get(side)
        self._landed[side] = _Landing(event, flat)
        if before is not None and 0.0 < event.time_s - before.event.time_s <= self._settings.max_stride_s:
            path: list[Flat] = []
            if flat is not None and before.flat is not None and before.flat is not flat:
                path = [f for f in self._flats[side] if before.flat.time_s <= f.time_s <= flat.time_s]
            shared = self._pair.shared(side)
            stride = build_stride(side, before.event.time_s, event.time_s, path, tuple(self._past), shared)
            usual = self._usual[side]
            if len(usual) == USUAL_STRIDES and stride.valid:
                usual_s, usual_m = (median(values) for values in zip(*usual, strict=True))
                if stride.stride_time_s > TWO_STRIDES * usual_s and stride.stride_length_m > TWO_STRIDES * usual_m:
                    stride = replace(stride, valid=False, reason="two strides: a heel strike was missed")
            if stride.valid:
                usual.append((stride.stride_time_s, stride.stride_length_m))
            out.strides.append(stride)
            self._early[side].learn(self._known_s, stride)
        self._step(event, flat, out)
        if flat is not None:
            while self._flats[side] and self._flats[side][0].time_s < flat.time_s:
                self._flats[side].popleft()

    def _step(self, event: GaitEvent, flat: Flat | None, out: StepOutput) -> None:
        side = event.side
        if len(self._feet) < 2:
            return
        length = None
        start = self._placed.get(side) or (self._flats[side][0] if self._flats[side] else None)
        if flat is not None and start is not None and start is not flat:
            if start.chain != flat.chain:
                self._pair.restart()
            else:
                path = [f for f in self._flats[side] if start.time_s < f.time_s <= flat.time_s]
                swings = [f.swing for f in path if f.swing is not None]
                covariance = sum((s.covariance for s in swings), np.zeros((3, 3)))
                turned = flat.rotation @ start.rotation.T
                turning = math.atan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1])
                way = sum((s.displacement_m for s in swings), np.zeros(3))
                length = self._pair.land(side, way[:2], covariance[:2, :2], turning)
        if flat is not None:
            self._placed[side] = flat
        other = self._landed.get(side.other)
        if other is None:
            return
        step_s = event.time_s - other.event.time_s
        if not 0.0 < step_s <= self._settings.max_stride_s:
            return
        values = length or (math.nan,) * 4
        out.steps.append(Step(side, event.time_s, step_s, *values, valid=length is not None))
