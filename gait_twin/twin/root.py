"""Where the body is: translation of the pelvis from the feet that stand on the ground.

Orientations tell how every point of the feet moves against the pelvis; where the person walks follows from
which of these points stand still on the ground. Four points are watched, heel and ball of both feet. Each
one implies a velocity of the pelvis (that which would keep it still), and the pelvis moves by their mean,
weighted by how likely each point is to be the one that stands: near the lowest, on a foot that turns
slowly, and implying a velocity near that of the moment before, since a pelvis cannot jump from the walking
speed to the swing foot's. In double support the points agree and share the load; in single support the
swing foot implies something absurd and its weight vanishes. Position and velocity are thus continuous
where the stance foot changes, and the foot is held where it landed. Height follows the ground slowly,
taking away what the steps' small errors add up to: the ground is level.

Walking on orientations and leg lengths alone is how Roetenberg, Luinge and Slycke 2009 (Xsens MVN) and
Kok, Hol and Schön 2014 place the pelvis as well; the weighting is this project's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import Side

FloatArray = NDArray[np.float64]

HEIGHT_M = 0.02
"""Height over the lowest point at which a point's weight has fallen to 1/e."""
RATE_RADPS = 1.5
"""Angular rate of a foot at which its weight has fallen to one half."""
VELOCITY_MPS = 0.3
"""Difference from the pelvis velocity of the moment before that counts as one standard deviation."""
SMOOTHING_S = 0.03
"""Time constant of that velocity."""
GROUND_S = 0.2
"""Time constant with which the standing foot's height returns to the ground."""
SWITCH = 0.65
"""Share of the weight that makes the other foot the stance foot."""


class RootTracker:
    """Translation of the body from heel and ball of both feet, causal and deterministic.

    Attributes
    ----------
    stance
        Foot that holds the body; None before the first frame.
    scale
        Way over the ground to that which the legs make; 1 unless someone knows better.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again above the origin."""
        self.place = np.zeros(3)
        self.velocity = np.zeros(3)
        self.stance: Side | None = None
        self.scale = 1.0
        self._points: FloatArray | None = None
        self._time_s = float("nan")

    def hold(self) -> None:
        """The pose is not known: stand still, and begin anew from here with the next known one."""
        self._points = None
        self.velocity = np.zeros(3)
        self.stance = None

    def update(self, time_s: float, points: FloatArray, rates_radps: FloatArray) -> FloatArray:
        """Place of the pelvis' origin at one instant.

        Parameters
        ----------
        time_s
            Instant, s.
        points
            (4, 3) heel right, ball right, heel left, ball left from the pelvis' origin, in OpenSim's
            ground axes (y up), m; on the sole.
        rates_radps
            (2,) angular rates of the right and the left foot, rad/s.

        Returns
        -------
        ndarray
            (3,) in OpenSim's ground, m, with the ground at y = 0.
        """
        height = points[:, 1] - points[:, 1].min()
        weight = np.exp(-height / HEIGHT_M) / (1.0 + (rates_radps.repeat(2) / RATE_RADPS) ** 2)
        if self._points is None:
            self._set_height(points, weight / weight.sum(), 1.0)
        else:
            elapsed = time_s - self._time_s
            shift = self._points - points
            off = np.linalg.norm(shift / elapsed - self.velocity, axis=1) / VELOCITY_MPS
            # a floor keeps the ratio defined where every point is far off
            weight *= np.exp(-0.5 * np.minimum(off, 30.0) ** 2 + 0.5 * min(off.min(), 30.0) ** 2) + 1e-9
            weight /= weight.sum()
            move = weight @ shift
            self.place = self.place + move * [self.scale, 1.0, self.scale]
            self.velocity += (move / elapsed - self.velocity) * -np.expm1(-elapsed / SMOOTHING_S)
            self._set_height(points, weight, -np.expm1(-elapsed / GROUND_S))
        self._points, self._time_s = points, time_s
        weight /= weight.sum()
        right = float(weight[:2].sum())
        if self.stance is None:
            self.stance = Side.RIGHT if right >= 0.5 else Side.LEFT
        elif right > SWITCH:
            self.stance = Side.RIGHT
        elif right < 1.0 - SWITCH:
            self.stance = Side.LEFT
        return self.place

    def _set_height(self, points: FloatArray, weight: FloatArray, share: float) -> None:
        place = self.place.copy()
        place[1] += share * (-weight @ points[:, 1] - place[1])
        self.place = place
