"""Heel strikes and toe-offs of one foot from its pitch rate: the classical detector."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gait_twin.events.axis import MediolateralAxis
from gait_twin.events.settings import DetectorSettings
from gait_twin.recording import EventKind, GaitEvent, Side

FloatArray = NDArray[np.float64]

LATE_SWING = 0.15
"""Below this fraction of its peak rate a swing is about to land."""
QUIET_RADPS = 0.4
"""A foot that was put down flat, without a landing trough, turns slower than this."""
QUIET_S = 0.06
"""... for this long."""
USUAL_LANDING = 0.8
"""A landing's trough of this fraction of the recent ones' median need not be waited out."""
CONFIDENCE = {EventKind.HEEL_STRIKE: (0.07, 1.5), EventKind.TOE_OFF: (0.8, 4.0)}
"""Odds of a false event at the threshold, and power with which they fall with the trough's depth over it;
fitted to how often events of the tuning subjects met a label (docs/events_and_steps.md)."""


class _State(Enum):
    STANCE = 0
    SWING = 1
    LANDING = 2


class ClassicalDetector:
    """Causal event detector of one foot, for any mounting on it.

    The pitch rate of a walking foot falls into a deep trough as the heel lifts and the foot pushes off,
    rises to the toes-up lobe of swing, crosses zero as the leg is about to land and dips into a second
    trough as the sole slaps down. Salarian et al. 2004 (IEEE TBME 51:1434) found initial and terminal
    contact as the troughs of a shank's pitch rate beside the swing lobe; Jasiewicz et al. 2006 (Gait &
    Posture 24:502) and Mariani et al. 2013 (IEEE TBME 60:2162) compared such features on the foot. Here
    an event is the instant where the rate passes `event_level` of its trough: out of the push-off's for
    toe-off, into the landing's for heel strike. Against manual labels that spread less, over persons
    and within them, than zero crossings, troughs, or peaks of acceleration (docs/events_and_steps.md).

    Parameters
    ----------
    side
        Foot, copied into the events.
    settings
        Thresholds.
    dt_s
        Sampling interval, s.

    Notes
    -----
    Acceleration serves only the sign of the pitch axis: neither its scale nor its range matters.
    """

    def __init__(self, side: Side, settings: DetectorSettings, dt_s: float) -> None:
        self._side = side
        self._settings = settings
        self._axis = MediolateralAxis()
        self._dt_s = dt_s
        # Bessel: the same delay at all frequencies, so that one constant takes it off an event's time
        cutoff_hz = min(settings.cutoff_hz, 0.4 / dt_s)
        self._b, self._a = signal.bessel(2, cutoff_hz, norm="mag", fs=1.0 / dt_s)
        delays = signal.group_delay((self._b, self._a), w=[1.0, 3.0], fs=1.0 / dt_s)[1]
        self._filter_delay_s = float(np.mean(delays)) * dt_s
        self._steady: FloatArray = signal.lfilter_zi(self._b, self._a)
        self._zi = np.zeros((2, 6))
        self._last_time_s = -math.inf
        self._peaks: deque[float] = deque(maxlen=5)
        self._angles: deque[float] = deque(maxlen=5)
        self._troughs: deque[float] = deque(maxlen=5)
        self._landings: deque[float] = deque(maxlen=5)
        self._heel_strike_s = -math.inf
        self._to_stance()

    def update(self, time_s: FloatArray, acc: FloatArray, gyr: FloatArray) -> list[GaitEvent]:
        """Take consecutive samples; NaN rows are gaps.

        Parameters
        ----------
        time_s
            (n,) s.
        acc
            (n, 3) specific force in sensor axes, m/s².
        gyr
            (n, 3) angular rate in sensor axes, rad/s.

        Returns
        -------
        Events in the order in which they became known.
        """
        events: list[GaitEvent] = []
        samples = np.hstack([gyr, acc])
        rows = np.flatnonzero(~np.isnan(samples).any(axis=1))
        if len(rows):
            for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
                part = slice(int(run[0]), int(run[-1]) + 1)
                events += self._run(time_s[part], samples[part])
        return events

    def _run(self, time_s: FloatArray, samples: FloatArray) -> list[GaitEvent]:
        dt_s = self._dt_s
        gap_s = float(time_s[0]) - self._last_time_s
        if not 0.0 < gap_s < 1.5 * dt_s:
            # Samples are missing, or the clock has leapt: the filter starts anew in its steady state
            self._zi = self._steady[:, None] * samples[:1]
            self._axis.restart()
            if not 0.0 < gap_s <= self._settings.max_gap_s:
                self._to_stance()
            if gap_s <= 0.0:
                self._heel_strike_s = -math.inf
        self._last_time_s = float(time_s[-1])
        filtered, self._zi = signal.lfilter(self._b, self._a, samples, axis=0, zi=self._zi)
        events: list[GaitEvent] = []
        project, step = self._axis.project, self._step
        for now_s, (x, y, z, *force) in zip(time_s.tolist(), filtered.tolist(), strict=True):
            rate = project((x, y, z), force, dt_s)
            event = step(now_s, rate, x * x + y * y + z * z)
            if event is not None:
                events.append(event)
        return events

    def _to_stance(self) -> None:
        self._state = _State.STANCE
        self._trough = 0.0
        self._crossing_s = math.nan
        self._lobe_angle = self._lobe_peak = 0.0
        self._previous = 0.0

    def _least(self, floor: float, recent: deque[float]) -> float:
        return max(floor, self._settings.adaptive_fraction * median(recent)) if recent else floor

    def _step(self, now_s: float, rate: float, squared: float) -> GaitEvent | None:
        event = None
        if self._state is _State.STANCE:
            event = self._stance(now_s, rate)
        elif self._state is _State.SWING:
            self._swing(now_s, rate)
        else:
            event = self._landing(now_s, rate, squared)
        self._previous = rate
        return event

    def _cross_s(self, now_s: float, rate: float, level: float) -> float:
        """Instant at which the rate passed a level since the last sample, filter delay taken off, s."""
        change = rate - self._previous
        back = (rate - level) / change if change else 0.0
        return now_s - min(max(back, 0.0), 1.0) * self._dt_s - self._filter_delay_s

    def _stance(self, now_s: float, rate: float) -> GaitEvent | None:
        s = self._settings
        if rate < 0.0:
            self._lobe_angle = self._lobe_peak = 0.0
            if now_s - self._filter_delay_s - self._heel_strike_s < s.min_stance_s:
                return None
            if rate < self._trough:
                self._trough, self._crossing_s = rate, math.nan
                return None
            if rate > 0.2 * self._trough > -0.2 * s.push_off_min_radps:
                self._trough = 0.0
        level = s.event_level * self._trough
        if self._previous <= level < rate and math.isnan(self._crossing_s):
            self._crossing_s = self._cross_s(now_s, rate, level)
        if rate <= 0.0:
            return None
        # Toes-up: a swing if it goes on
        self._lobe_angle += rate * self._dt_s
        self._lobe_peak = max(self._lobe_peak, rate)
        pushed = self._trough < -self._least(s.push_off_min_radps, self._troughs)
        enough = 0.3 if pushed else 1.0
        if self._lobe_peak < self._least(s.swing_min_radps, self._peaks):
            return None
        if self._lobe_angle < enough * self._least(s.swing_min_angle_rad, self._angles):
            return None
        self._state = _State.SWING
        self._swing_start_s = now_s
        if not pushed or math.isnan(self._crossing_s):
            return None
        self._troughs.append(-self._trough)
        margin = -self._trough / self._least(s.push_off_min_radps, self._troughs)
        return self._event(EventKind.TOE_OFF, self._crossing_s, now_s, margin)

    def _swing(self, now_s: float, rate: float) -> None:
        if now_s - self._swing_start_s > self._settings.max_swing_s:
            self._to_stance()
            return
        self._lobe_peak = max(self._lobe_peak, rate)
        if rate > 0.0:
            self._lobe_angle += rate * self._dt_s
        late = LATE_SWING * self._lobe_peak
        enough = self._least(self._settings.swing_min_angle_rad, self._angles)
        if rate < late and self._lobe_angle > enough:
            self._state = _State.LANDING
            self._slowed_s = self._cross_s(now_s, rate, late)
            self._zero_s = self._cross_s(now_s, rate, 0.0) if rate <= 0.0 else math.inf
            self._path = [(now_s - self._dt_s, self._previous), (now_s, rate)]
            self._low = rate
            self._quiet_since_s = math.inf

    def _landing(self, now_s: float, rate: float, squared: float) -> GaitEvent | None:
        s = self._settings
        self._path.append((now_s, rate))
        self._low = min(self._low, rate)
        if rate > 0.0:
            self._lobe_angle += rate * self._dt_s
        elif self._zero_s == math.inf:
            self._zero_s = self._cross_s(now_s, rate, 0.0)
        least = 0.4 * self._least(s.push_off_min_radps, self._troughs)
        if rate > 0.5 * self._lobe_peak and self._low > -2.0 * least:
            self._state = _State.SWING  # it only hesitated
            return None
        # A first dip may only ring; one as deep as usual is the landing's
        usual = max(least, USUAL_LANDING * median(self._landings)) if self._landings else least
        risen = rate > s.event_level * self._low and self._low < -usual
        waited_s = now_s - self._filter_delay_s - self._zero_s
        if self._low < -least and (risen or waited_s >= s.landing_wait_s):
            self._landings.append(-self._low)
            return self._heel_strike(self._passed_s(s.event_level * self._low), now_s, -self._low / least)
        # Put down flat: no trough, but the foot has come to rest
        self._quiet_since_s = min(self._quiet_since_s, now_s) if squared < QUIET_RADPS**2 else math.inf
        if now_s - self._quiet_since_s >= QUIET_S:
            return self._heel_strike(self._slowed_s, now_s, 1.0)
        if now_s - self._swing_start_s > s.max_swing_s:
            self._to_stance()
        return None

    def _passed_s(self, level: float) -> float:
        """Instant at which the landing first passed a level downwards, filter delay taken off, s."""
        (last_s, last), *later = self._path
        for now_s, rate in later:
            if rate <= level:
                return last_s + (last - level) / (last - rate) * (now_s - last_s) - self._filter_delay_s
            last_s, last = now_s, rate
        return last_s - self._filter_delay_s

    def _heel_strike(self, time_s: float, now_s: float, margin: float) -> GaitEvent | None:
        self._peaks.append(self._lobe_peak)
        self._angles.append(self._lobe_angle)
        self._heel_strike_s = time_s
        self._to_stance()
        return self._event(EventKind.HEEL_STRIKE, time_s, now_s, margin)

    def _event(self, kind: EventKind, time_s: float, now_s: float, margin: float) -> GaitEvent | None:
        if not self._axis.settled:
            return None  # heel strike and push-off may be mistaken for each other
        odds, power = CONFIDENCE[kind]
        confidence = 1.0 / (1.0 + odds * max(margin, 0.1) ** -power)
        return GaitEvent(time_s, self._side, kind, confidence, now_s - time_s)
