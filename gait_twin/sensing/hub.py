"""The sensor hub: unsynchronised streams in, synchronised and calibrated frames of the whole body out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, BodyFrames
from gait_twin.sensing.calibration import Calibration
from gait_twin.sensing.calibration_file import SavedCalibration, SavedSensor, read_calibration
from gait_twin.sensing.calibrator import BodyCalibrator
from gait_twin.sensing.guided import GuidedCalibration, Stage
from gait_twin.sensing.resampling import TIME_TOLERANCE_S, turned
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.stream import SensorStream, StreamReport
from gait_twin.sensing.watch import PlacementWatch

FloatArray = NDArray[np.float64]

LIVE_S = 1.0
"""A segment silent for longer, and for longer than `max_wait_s`, is not waited for until it sends again, s."""
BLOCK = 2048
"""Frames are made in blocks of at most so many, to bound memory."""


class SensorHub:
    """Puts the streams of k sensors on one even grid and finds where each sensor sits on its segment.

    A frame goes out when every live segment has what the frame needs, or when any segment is `max_wait_s`
    ahead of it: a missing sensor makes an invalid slot, never a stalled graph. The grid is anchored at the
    first sample of any sensor. Frames depend on the samples alone, not on how these were cut into pushes or
    interleaved, as long as sensors are pushed within `max_wait_s` less `max_gap_s` of each other.

    Time stamps that leap by more than `clock_jump_s` are believed when three samples agree. Where most of
    the sensors leap alike (a bag that starts again, a corrected clock), the hub finishes the frames of the
    old timeline and anchors a new grid; a sensor that leaps alone is left out until it fits again.

    Parameters
    ----------
    segments
        Segments that wear a sensor, names of `SEGMENTS`; the order of the frames' slots.
    settings
        See `HubSettings`.

    Raises
    ------
    InputError
        On unknown, repeated or no segments, or a calibration file that cannot be used.
    """

    def __init__(self, segments: tuple[str, ...] | list[str], settings: HubSettings | None = None) -> None:
        self.segments = tuple(segments)
        self.settings = settings or HubSettings()
        unknown = [s for s in self.segments if s not in SEGMENTS]
        if unknown or not self.segments or len(set(self.segments)) != len(self.segments):
            raise InputError(
                f"The hub was given the segments {', '.join(self.segments) or '(none)'}; "
                f"give each once, of {', '.join(SEGMENTS)}."
            )
        self._streams = {s: SensorStream(s, self.settings) for s in self.segments}
        path = self.settings.calibration_file
        self._use(read_calibration(path).only(self.segments) if path else SavedCalibration({}))
        self.guided: GuidedCalibration | None = None
        """The calibration that a person asked for last."""
        self._anchor_s: float | None = None
        self._next = 0
        self._astray_since: dict[str, dict[str, float | None]] = {}

    def _use(self, saved: SavedCalibration) -> None:
        """Know from now on what a calibration found."""
        for name, sensor in saved.sensors.items():
            self._streams[name].correct(sensor.accelerometer, sensor.place.gyro_bias_radps)
        places = {name: sensor.place for name, sensor in saved.sensors.items()}
        self._calibrator = BodyCalibrator(self.segments, self.settings, places)
        self._watch = PlacementWatch(self.segments, self.settings, saved.sensors)
        self._findings = saved.findings

    def calibrate(self, stand_s: float | None = None, walk_s: float | None = None) -> GuidedCalibration:
        """Begin a calibration that walks a person through; what is in use stays until it is found to be good.

        Parameters
        ----------
        stand_s, walk_s
            Longest waits, s; the usual ones where not given.
        """
        limits = {name: value for name, value in (("stand_s", stand_s), ("walk_s", walk_s)) if value is not None}
        self.guided = GuidedCalibration(self.segments, self.settings, **limits)
        return self.guided

    def cancel(self) -> None:
        """End a calibration that was begun, without any change."""
        self.guided = None

    def _guide(
        self, grid: FloatArray, values: FloatArray, status: NDArray[np.int64], shared: NDArray[np.bool_]
    ) -> None:
        """Let the calibration that was asked for see the frames, and go over to it when it is good."""
        guided = self.guided
        if guided is None or not guided.running:
            return
        guided.update(grid, values, status, shared, self.faults)
        if guided.stage is Stage.DONE and guided.saved is not None:
            whole = {}
            for name, sensor in guided.saved.sensors.items():
                stream = self._streams[name]
                stream.correct(sensor.accelerometer, sensor.place.gyro_bias_radps)
                accelerometer, bias = stream.correction
                place = replace(sensor.place, gyro_bias_radps=(float(bias[0]), float(bias[1]), float(bias[2])))
                whole[name] = SavedSensor(place, accelerometer, sensor.walking_up)
            guided.saved = replace(guided.saved, sensors=whole)
            self._calibrator = guided.calibrator
            self._watch = PlacementWatch(self.segments, self.settings, whole)
            self._findings = ()

    @property
    def calibration(self) -> Calibration:
        """What the calibration found so far, with sentences for a person."""
        found = self._calibrator.calibration
        now, ever = self.faults, [fault for stream in self._streams.values() for fault in stream.health.past]
        over = (f"For a while: {fault}" for fault in ever if fault not in now.values())
        return replace(found, notices=(*now.values(), *over, *self._findings, *self._watch.notices, *found.notices))

    @property
    def reports(self) -> dict[str, StreamReport]:
        """Counters of each segment's stream."""
        return {name: stream.report for name, stream in self._streams.items()}

    @property
    def misplaced(self) -> tuple[str, ...]:
        """Sentences on sensors that seem to be exchanged, turned or moved, by the standing and the first steps."""
        return self._watch.notices

    @property
    def faults(self) -> dict[str, str]:
        """A sentence on each segment whose sensor is not in order now; its slots are invalid."""
        return {name: stream.health.fault for name, stream in self._streams.items() if stream.health.fault}

    def push(
        self,
        segment: str,
        time_s: FloatArray,
        acc: FloatArray,
        gyr: FloatArray | None = None,
        quat: FloatArray | None = None,
        mag: FloatArray | None = None,
    ) -> None:
        """Hand over m samples of one sensor, in its own axes; nothing is computed until `poll`.

        Parameters
        ----------
        segment
            Segment that wears the sensor.
        time_s
            (m,) instants of measurement, s.
        acc
            (m, 3) specific force, m/s², about +9.81 upwards at rest.
        gyr
            (m, 3) angular rate, rad/s; None where the sensor has none: it is derived from `quat` then.
        quat
            (m, 4) device orientation, scalar first, sensor axes into a z-up earth frame shared by all
            sensors; None where the device sends none.
        mag
            (m, 3) magnetic flux density, µT; None where there is none.

        Raises
        ------
        InputError
            On an unknown segment, wrong shapes, or neither `gyr` nor `quat`.
        """
        stream = self._streams.get(segment)
        if stream is None:
            raise InputError(f"There is no segment {segment!r} in this hub; it has {', '.join(self.segments)}.")
        stream.push(time_s, acc, gyr, quat, mag)

    def poll(self) -> BodyFrames:
        """All frames that are complete now, possibly none."""
        return self._advance(final=False)

    @property
    def awaits_s(self) -> float:
        """Instant before which no sample completes another frame, s: until one does, `poll` need not be called."""
        if self._anchor_s is None:
            return -np.inf
        ahead_s = min(self.settings.max_wait_s, *(stream.reach_s for stream in self._streams.values()))
        return self._anchor_s + self._next / self.settings.frame_rate_hz + ahead_s - 2.0 * TIME_TOLERANCE_S

    def flush(self) -> BodyFrames:
        """All frames up to the last sample of any sensor; call it when no more samples will come."""
        parts: list[BodyFrames] = []
        while not parts or len(parts[-1]) or any(s.astray for s in self._streams.values()):
            parts.append(self._advance(final=True))
        return self._joined(parts)

    # ---- time

    def _advance(self, final: bool) -> BodyFrames:
        ended = None
        for stream in self._streams.values():
            stream.take()
        for name in self.segments:
            self._rejoin(name)
        if any(s.astray for s in self._streams.values()) and self._new_timeline_wanted(final):
            ended = self._emit(final=True)
            self._begin_timeline()
            if len(ended):
                return ended  # time may go backwards between, not within, two blocks
        return self._emit(final)

    def _front_s(self) -> float:
        """Latest sample on the timeline, s."""
        times = [s.last_time_s for s in self._streams.values() if s.last_time_s is not None]
        return max(times, default=-np.inf)

    def _emitted_until_s(self) -> float:
        assert self._anchor_s is not None
        return self._anchor_s + (self._next - 1) / self.settings.frame_rate_hz

    def _rejoin(self, name: str) -> None:
        """Take a sensor back whose samples, after a silence or for the first time, fit the others' clock."""
        stream, slack = self._streams[name], self.settings.clock_jump_s
        while stream.astray and self._anchor_s is not None:
            start, last = stream.stray_from_s, stream.last_time_s
            fits = self._emitted_until_s() - slack <= start <= self._front_s() + slack
            if not fits or (last is not None and start <= last):
                return
            stream.join(jumped=False)
            self._astray_since.pop(name, None)

    def _new_timeline_wanted(self, final: bool) -> bool:
        """Whether the sensors that left the timeline outnumber those that still follow it."""
        wait = self.settings.max_wait_s
        astray = [n for n, s in self._streams.items() if s.astray]
        for name in astray:
            others = {n: s.last_time_s for n, s in self._streams.items() if n not in astray}
            self._astray_since.setdefault(name, others)
        patient = [n for n in astray if self._streams[n].stray_for_s >= wait]
        if not final and not patient and len(astray) < len(self._streams):
            return False
        for name in patient or astray:
            group = self._agreeing(astray, name)
            if self._anchor_s is None:
                return True
            before = self._astray_since[name]
            moving = [
                n for n, t in before.items()
                if (now := self._streams[n].last_time_s) is not None and (t is None or now > t + 0.5 * wait)
            ]  # fmt: skip
            if len(group) > len(moving):
                return True
            self._streams[name].drop()
            del self._astray_since[name]
        return False

    def _agreeing(self, names: list[str], name: str) -> list[str]:
        start = self._streams[name].stray_from_s
        return [n for n in names if abs(self._streams[n].stray_from_s - start) <= self.settings.clock_jump_s]

    def _begin_timeline(self) -> None:
        jumped = self._anchor_s is not None
        astray = [n for n, s in self._streams.items() if s.astray]
        members = max((self._agreeing(astray, n) for n in astray), key=len)
        for stream in self._streams.values():
            stream.leave_timeline()
        self._anchor_s = min(self._streams[n].stray_from_s for n in members)
        self._next = 0
        for stream in self._streams.values():
            stream.emitted_until_s = -np.inf
        for name in members:
            self._streams[name].join(jumped)
        self._astray_since.clear()
        self._calibrator.new_timeline()
        self._watch.new_timeline()
        if self.guided is not None:
            self.guided.new_timeline()

    # ---- frames

    def _emit(self, final: bool) -> BodyFrames:
        parts: list[BodyFrames] = []
        if self._anchor_s is not None:
            rate, front = self.settings.frame_rate_hz, self._front_s()
            waited_for = [s for s in self._streams.values() if self._is_live(s, front)]
            complete = min((s.ready_until_s() for s in waited_for), default=-np.inf)
            # half a microsecond beyond rounding: the same tolerance as for samples on the grid
            until = front + 1e-6 if final else max(complete, front - self.settings.max_wait_s)
            end = int(np.floor((until - self._anchor_s) * rate)) + 1
            while self._next < end:
                parts.append(self._block(min(end, self._next + BLOCK)))
        return self._joined(parts)

    def _is_live(self, stream: SensorStream, front: float) -> bool:
        assert self._anchor_s is not None
        last = self._anchor_s if stream.last_time_s is None else stream.last_time_s
        return front - last <= max(LIVE_S, self.settings.max_wait_s)

    def _block(self, end: int) -> BodyFrames:
        assert self._anchor_s is not None
        grid = self._anchor_s + np.arange(self._next, end) / self.settings.frame_rate_hz
        n, k = len(grid), len(self.segments)
        raw, status = np.empty((n, k, 16)), np.empty((n, k), np.int64)
        for i, stream in enumerate(self._streams.values()):
            raw[:, i], status[:, i] = stream.on_grid(grid)
            stream.emitted_until_s = float(grid[-1])
            stream.forget(float(grid[-1]))
        self._next = end
        values = turned(raw)
        shared = np.array([s.shares_earth_frame for s in self._streams.values()])
        body = self._calibrator.update(grid, values, status, shared)
        frames = BodyFrames(
            self.segments,
            grid,
            values[..., :3].copy(),
            values[..., 3:6].copy(),
            values[..., 6:10].copy(),
            body,
            status.astype(np.uint8),
        )
        self._watch.update(frames)
        self._guide(grid, values, status, shared)
        return frames

    def _joined(self, parts: list[BodyFrames]) -> BodyFrames:
        """All parts as one block, of no frames if there are none."""
        parts = [part for part in parts if len(part)]
        return BodyFrames.joined(parts) if parts else BodyFrames.empty(self.segments)
