"""Where the two feet are to each other: step length and width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side
from gait_twin.steps.settings import StepSettings

FloatArray = NDArray[np.float64]

STANDING_SD_M = 0.08
"""Feet of quiet standing are side by side to this."""
STANCE_WIDTH_SD_M = 0.05
"""... and their distance is known to this."""
WIDTH_M, WIDTH_SD_M = 0.11, 0.035
"""Mean step width of adults and its spread over them (Owings & Grabiner 2004, J Biomech 37:935; Hollman et al.
2011, Gait & Posture 34:111)."""
ASYMMETRY_SD_M = 0.025
"""Spread over persons of how much longer one foot's steps are than half a stride (Patterson et al. 2010,
Gait & Posture 31:241: healthy step length ratios of 1.0 to 1.08)."""
STEP_SD_M = 0.03
"""Scatter of single steps about the person's mean pattern."""
MISMATCH_SD = 0.015
"""Two sensors' stride lengths differ by this fraction (errors of their accelerometers)."""
PERSON_WALK = 0.001
"""Width (m) and mismatch (1) change by this from step to step."""
ASYMMETRY_MEMORY_STEPS = 60.0
"""What the start told of the asymmetry is forgotten over this many steps: a wrong start must not persist."""
CHANGE_PART = 0.25
"""Where strides grow or shrink, a step is ahead of half its stride by this part of their difference ..."""
CHANGE_SD = 0.25
"""... give or take this part."""
MAX_SURPRISE = 2.5
"""A landing further off the pattern, in SDs, shows that the feet's places were wrong (a start astride, a belt
that sets off under standing feet), not that the person limps."""
TURN_SD_M_PER_RAD = 0.3
"""The pattern holds less while turning."""
HEADING_SD_RAD = 0.02
"""Error of one foot's frame against the other's, per stride."""
HEADING_MEMORY = 0.85
"""Weight of the past in the two frames' heading difference: about six strides."""
WALKING_STRIDE_M = 0.3
"""Shorter strides show no walking direction."""


class FeetPair:
    """Kalman filter of one foot's place relative to the other's.

    Nothing measures the distance between two foot sensors, so its low frequencies come from what is
    known of walking: feet stand side by side at the start, both walk in one direction (which joins their
    heading-free frames), and a person's steps are half a stride plus an asymmetry that is small and
    nearly constant. Each stride's displacement moves the state, each landing compares it with the
    pattern. The asymmetry seen while the start is remembered is kept; later changes of it show only
    slowly, and the standard deviation says so.

    The state is right foot minus left foot (x, y, m, in the left foot's frame), the asymmetry of the
    right step (m), the mean step width (m), and by how much the right foot's strides come out too long
    for the left's (a fraction): both feet walk the same way, their sensors do not know it.
    """

    def __init__(self, settings: StepSettings) -> None:
        self._width_m = settings.stance_width_m
        self._heading: complex = 0.0
        self._ways: dict[Side, complex] = {}
        self._before_m = 0.0  # length of the latest stride, whichever foot's
        self._state: FloatArray | None = None
        self._covariance = np.zeros((5, 5))

    def restart(self) -> None:
        """Forget the feet's places (a trajectory began anew); keep what is known of the person."""
        self._heading, self._ways, self._before_m = 0.0, {}, 0.0
        if self._state is not None:
            self._covariance[:2, :] = self._covariance[:, :2] = 0.0
            self._covariance[[0, 1], [0, 1]] = 0.5**2

    def shared(self, side: Side) -> float:
        """Factor on a foot's stride lengths that lets both feet walk the same way: each bears half the mismatch."""
        if self._state is None:
            return 1.0
        return 1.0 - 0.5 * float(self._state[4]) * (1.0 if side is Side.RIGHT else -1.0)

    def land(
        self, side: Side, way_m: FloatArray, covariance: FloatArray, turning_rad: float
    ) -> tuple[float, float, float, float] | None:
        """A foot has landed.

        Parameters
        ----------
        side
            Foot.
        way_m
            (2,) its displacement in its own frame, m.
        covariance
            (2, 2) of it, m².
        turning_rad
            Its turning over the swing, rad.

        Returns
        -------
        Step length, its SD, step width, its SD, m; None while the frames are not joined yet.
        """
        way = complex(way_m[0], way_m[1])
        walking = abs(way) > WALKING_STRIDE_M
        if walking:
            self._ways[side] = way
            if len(self._ways) == 2:
                left, right = self._ways[Side.LEFT], self._ways[Side.RIGHT]
                difference = left * right.conjugate() / abs(left * right)
                trust = math.exp(-((turning_rad / 0.3) ** 2))
                self._heading = HEADING_MEMORY * self._heading + trust * (1 - HEADING_MEMORY) * difference
        joined = self._heading / abs(self._heading) if self._heading else 1.0
        sign = 1.0 if side is Side.RIGHT else -1.0
        turn = joined if side is Side.RIGHT else 1.0 + 0.0j
        moved = way * turn
        if self._state is None:
            if not walking:
                return None
            self._begin(moved)
        assert self._state is not None
        rotation = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
        across = np.array([-moved.imag, moved.real]) * HEADING_SD_RAD
        step = np.array([moved.real, moved.imag])
        self._state[:2] += (sign - 0.5 * self._state[4]) * step
        transition = np.eye(5)
        transition[:2, 4] = -0.5 * step
        self._covariance = transition @ self._covariance @ transition.T
        self._covariance[:2, :2] += rotation @ covariance @ rotation.T + np.outer(across, across)
        self._covariance[[3, 4], [3, 4]] += PERSON_WALK**2
        self._forget_asymmetry()
        change_m, self._before_m = abs(way) - self._before_m, abs(way)
        if len(self._ways) < 2 or not walking:
            return None
        ahead = self._direction(joined)
        usual_m = 0.5 * abs(way) + CHANGE_PART * change_m
        self._expect(sign, ahead, usual_m, math.hypot(CHANGE_SD * change_m, TURN_SD_M_PER_RAD * turning_rad))
        return self._step(sign, ahead)

    def _begin(self, moved: complex) -> None:
        """Quiet standing: side by side across the first step's direction."""
        unit = moved / abs(moved)
        place = -1j * unit * self._width_m  # right of the left foot
        self._state = np.array([place.real, place.imag, 0.0, WIDTH_M, 0.0])
        ahead = np.array([[unit.real, -unit.imag], [unit.imag, unit.real]])
        self._covariance[:2, :2] = ahead @ np.diag([STANDING_SD_M**2, STANCE_WIDTH_SD_M**2]) @ ahead.T
        self._covariance[2, 2], self._covariance[3, 3] = ASYMMETRY_SD_M**2, WIDTH_SD_M**2
        self._covariance[4, 4] = MISMATCH_SD**2

    def _direction(self, joined: complex) -> complex:
        left, right = self._ways[Side.LEFT], self._ways[Side.RIGHT] * joined
        both = left / abs(left) + right / abs(right)
        return both / abs(both) if abs(both) > 0.1 else left / abs(left)

    def _forget_asymmetry(self) -> None:
        """Let it return to none, with the spread of persons (a Gauss-Markov process)."""
        assert self._state is not None
        keep = math.exp(-1.0 / ASYMMETRY_MEMORY_STEPS)
        self._state[2] *= keep
        self._covariance[2, :] *= keep
        self._covariance[:, 2] *= keep
        self._covariance[2, 2] += (1.0 - keep**2) * ASYMMETRY_SD_M**2

    def _expect(self, sign: float, ahead: complex, usual_m: float, more_sd_m: float) -> None:
        """Kalman update with the person's pattern of steps; where it contradicts the places, they yield."""
        assert self._state is not None
        observe = np.array(
            [
                [sign * ahead.real, sign * ahead.imag, -sign, 0.0, 0.0],
                [ahead.imag, -ahead.real, 0.0, -1.0, 0.0],
            ]
        )
        residual = np.array([usual_m, 0.0]) - observe @ self._state
        noise = np.eye(2) * (STEP_SD_M**2 + more_sd_m**2)
        expected = observe @ self._covariance @ observe.T + noise
        surprise = float(residual @ np.linalg.solve(expected, residual)) / 2.0
        if surprise > MAX_SURPRISE**2:
            self._covariance[:2, :2] += np.eye(2) * float(residual @ residual)
            expected = observe @ self._covariance @ observe.T + noise
        gain = np.linalg.solve(expected, observe @ self._covariance).T
        self._state = self._state + gain @ residual
        self._covariance = self._covariance - gain @ observe @ self._covariance

    def _step(self, sign: float, ahead: complex) -> tuple[float, float, float, float]:
        assert self._state is not None
        place, spread = self._state[:2], self._covariance[:2, :2]
        u, n = np.array([ahead.real, ahead.imag]), np.array([ahead.imag, -ahead.real])
        return (
            float(sign * place @ u),
            math.sqrt(u @ spread @ u),
            float(place @ n),
            math.sqrt(n @ spread @ n),
        )
