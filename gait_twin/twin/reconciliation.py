"""The twin's legs and the step estimator's strides, reconciled by their variances.

Both tell how far a foot went from one foot-flat to the next: the twin by its legs' lengths and angles, the step
estimator by integrating the foot's acceleration between two standstills. Where they differ lastingly, the
model's legs are too short or too long (or a calibration makes them seem so): a scale of the way, found by a
Kalman filter on the logarithm of the ratio. What differs from stride to stride is shared by variance, and the
twin's share is walked off smoothly.

A stride takes effect at a fixed time after it ended, so that results do not depend on when it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side, Stride
from gait_twin.twin.anthropometry import ANKLE_HEIGHT, SHANK_LENGTH, THIGH_LENGTH

FloatArray = NDArray[np.float64]

EFFECT_S = 2.0
"""A stride takes effect so long after its end, s: the step estimator knows it in half a second, and live nodes run
up to a second apart."""
MEMORY_S = 12.0
"""Places of the feet are remembered so long: strides of up to five seconds, s."""
FLAT = (0.12, 0.3)
"""The foot is flat in this part of the stride that follows a heel strike."""
WALK_OFF_S = 0.5
"""Time constant with which a difference is walked off, s."""
SCALE_SD = 0.05
"""Legs of a height differ by so much (Drillis and Contini 1966: 4 %), and a shoe, a hip calibrated askew."""
SCALE_WALK = 0.003
"""Random walk of the scale a stride: it depends a little on the speed."""
TWIN_RELATIVE, TWIN_M = 0.03, 0.02
"""Standard deviation of the twin's stride length: share of it, and m."""
UNSTATED_SD_M = 0.05
"""Of a stride whose own is not stated, m."""
LARGEST = 0.35
"""A stride that differs by more than this share is not the same one."""
SYSTEMATIC = 0.02
"""What the scale may be off for other reasons than the legs' length, as standard deviation: the step estimator's
own scale (1 %), and the twin's way with legs of the right length (1.5 %)."""
MANY = 10
"""Strides that speak of the legs."""


@dataclass(frozen=True, slots=True)
class Legs:
    """The person's legs against the model's, as their strides tell.

    Attributes
    ----------
    factor
        Length of the person's legs to that of the model's.
    sd
        Its standard deviation, systematic errors included.
    strides
        How many it rests on.
    model_m
        Length of the model's legs, from the hip to the ground, m.
    """

    factor: float
    sd: float
    strides: int
    model_m: float

    @property
    def significant(self) -> bool:
        """The model's legs are not the person's, at two standard deviations."""
        return self.strides >= MANY and abs(float(np.log(self.factor))) > 2.0 * self.sd

    @property
    def height_m(self) -> float:
        """Height of an average person with these legs, m."""
        return self.model_m * self.factor / (THIGH_LENGTH + SHANK_LENGTH + ANKLE_HEIGHT)

    def sentence(self) -> str:
        """What it says, where it is significant, in steps of 2 %: what changes all the time is not read; else empty."""
        if not self.significant:
            return ""
        percent = 2 * round(50.0 * (self.factor - 1.0))
        height_m = self.height_m * (1.0 + 0.01 * percent) / self.factor
        return (
            f"The person's legs seem about {abs(percent)} % {'longer' if percent > 0 else 'shorter'} than the model's, "
            f"by their strides: set the height to {height_m:.2f} m, or fit the model to the person."
        )


class Reconciliation:
    """Scale of the way, and corrections of the place, from strides.

    Attributes
    ----------
    scale
        Way in the world to that of the model's legs.
    scale_sd
        Its standard deviation.
    strides
        How many were used.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._log, self._variance = 0.0, SCALE_SD**2
        self.strides = 0
        self._waiting: list[Stride] = []
        self._places: deque[tuple[float, FloatArray]] = deque()
        self._left = np.zeros(2)

    @property
    def scale(self) -> float:
        """Way in the world to that of the model's legs."""
        return float(np.exp(self._log))

    @property
    def scale_sd(self) -> float:
        """Standard deviation of `scale`."""
        return float(np.sqrt(self._variance))

    def legs(self, model_m: float) -> Legs:
        """What the strides tell of legs that are `model_m` long in the model."""
        return Legs(self.scale, float(np.hypot(self.scale_sd, SYSTEMATIC)), self.strides, model_m)

    def take(self, strides: Iterable[Stride]) -> None:
        """Strides of the step estimator, in any order; later ones than `EFFECT_S` after their end count at once."""
        self._waiting += [s for s in strides if s.valid and np.isfinite(s.stride_length_m) and s.stride_length_m > 0.0]
        self._waiting.sort(key=lambda stride: (stride.end_s, stride.side))

    def break_off(self) -> None:
        """The place is not known for a while: what lies before and behind does not belong together."""
        self._places.clear()

    def move(self, time_s: float, elapsed_s: float) -> FloatArray:
        """(2,) correction of the place at one instant, along the ground's two axes, m."""
        while self._waiting and self._waiting[0].end_s + EFFECT_S <= time_s:
            self._use(self._waiting.pop(0))
        step = -np.expm1(-elapsed_s / WALK_OFF_S) * self._left
        self._left = self._left - step
        return step

    def note(self, time_s: float, feet: FloatArray) -> None:
        """Remember (2, 2) places of the right and the left foot on the ground, m, after `move`."""
        self._places.append((time_s, feet))
        while self._places[0][0] < time_s - MEMORY_S:
            self._places.popleft()

    def _use(self, stride: Stride) -> None:
        period = stride.stride_time_s
        foot = 0 if stride.side is Side.RIGHT else 1
        ends = []
        for strike in (stride.start_s, stride.end_s):
            flat = [p[foot] for t, p in self._places if strike + FLAT[0] * period <= t <= strike + FLAT[1] * period]
            if not flat or self._places[0][0] > strike:
                return
            ends.append(np.mean(flat, axis=0))
        way = ends[1] - ends[0]
        length = float(np.hypot(*way))
        if length < 0.1 or abs(stride.stride_length_m / length - 1.0) > LARGEST:
            return
        sd = stride.stride_length_sd_m if np.isfinite(stride.stride_length_sd_m) else UNSTATED_SD_M
        own = (TWIN_RELATIVE * length) ** 2 + TWIN_M**2
        # the way was made with the scale of that time, which has hardly changed since
        variance = self._variance + SCALE_WALK**2
        gain = variance / (variance + (sd**2 + own) / length**2)
        change = gain * float(np.log(stride.stride_length_m / length))
        self._log += change
        self._variance = (1.0 - gain) * variance
        self.strides += 1
        # each instant lies in a stride of either foot: half to each
        share = 0.5 * own / (own + sd**2)
        self._left = self._left + share * (stride.stride_length_m / length - 1.0) * way
