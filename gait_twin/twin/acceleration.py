"""Acceleration of the pelvis in the common world, from its IMU.

Differentiating twice where leg lengths and orientations put the pelvis adds up the errors of a whole leg; the
sensor on the pelvis measures its acceleration directly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_about_z, quat_conjugate, quat_multiply, quat_rotate, rotvec_from_quat

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665
MEMORY_S = 5.0
"""Time constant with which a lasting acceleration is taken for the sensor's error: people come back to rest,
and the mean over strides of steady walking is zero."""
PRIOR_S = 1.0
"""Weight of "no error" at the start, as so many seconds of data."""
RENEW_S = 2.0
"""Age at which the reference orientation is renewed."""
ENOUGH_RAD2 = 3e-3
"""Sum of squared tilts after which the heading between the two worlds is determined (one frame at 3 deg, or
many at less)."""
AGREE_RAD = 0.01
"""Largest difference between the angles that the same turn has in both worlds."""


class PelvisAcceleration:
    """Turns specific force into acceleration in the common world.

    The frames give the sensor's orientation in a z-up world of its own heading, and the segment's in the
    common world. Both turn by the same rotation, seen in two worlds that differ by a heading: comparing the
    horizontal parts of their rotation vectors since a moment before gives that heading, without knowing how
    the sensor sits on the segment.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._reference: tuple[FloatArray, FloatArray] | None = None
        self._reference_s = float("nan")
        self._sum = 0j
        self._error = np.zeros(3)
        self._seen_s = 0.0

    def update(
        self, time_s: float, elapsed_s: float, acc: FloatArray, quat: FloatArray, body: FloatArray
    ) -> FloatArray:
        """Acceleration of the sensor at one instant.

        Parameters
        ----------
        time_s, elapsed_s
            Instant, and time since the frame before, s; a first frame has 0.
        acc
            (3,) specific force in sensor axes, m/s².
        quat, body
            (4,) orientation of the sensor in its own world, of its segment in the common one.

        Returns
        -------
        ndarray
            (3,) in the common z-up world, m/s², less its slow mean; NaN while not known.
        """
        if not (np.isfinite(acc).all() and np.isfinite(quat).all() and np.isfinite(body).all()):
            self._reference = None
            return np.full(3, np.nan)
        if self._reference is not None:
            own, common = (
                rotvec_from_quat(quat_multiply(now, quat_conjugate(before)))
                for now, before in zip((quat, body), self._reference, strict=True)
            )
            if abs(np.linalg.norm(own) - np.linalg.norm(common)) > AGREE_RAD:
                # the calibration or the heading has changed between
                self._reference, self._sum = None, 0j
            else:
                self._sum = 0.999 * self._sum + complex(*common[:2]) * complex(own[0], -own[1])
        if self._reference is None or time_s - self._reference_s > RENEW_S:
            self._reference, self._reference_s = (quat.copy(), body.copy()), time_s
        if abs(self._sum) < ENOUGH_RAD2:
            return np.full(3, np.nan)
        heading = quat_about_z(np.angle(self._sum))
        acceleration = quat_rotate(heading, quat_rotate(quat, acc)) - [0.0, 0.0, GRAVITY_MPS2]
        self._seen_s += elapsed_s
        share = elapsed_s / min(self._seen_s + PRIOR_S, MEMORY_S)
        self._error = self._error + share * (acceleration - self._error)
        return acceleration - self._error
