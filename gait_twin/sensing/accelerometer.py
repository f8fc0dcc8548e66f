"""Scale and bias of an accelerometer, from what it shows at rest.

At rest the specific force is gravity's, whatever way the sensor lies: I. Frosio, F. Pedersini, N. A. Borghese (2009),
"Autocalibration of MEMS accelerometers", IEEE Transactions on Instrumentation and Measurement 58(6). Six sides find
everything; quiet standing alone finds one number of the six, the error along the vertical. What data sheets say of
such sensors is therefore taken along as a prior: what rest did not show stays at it, with its uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.sensing.standing import GRAVITY_MPS2

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]

SCALE_SD, BIAS_SD_MPS2 = 0.02, 0.4
"""Of sensors as they are bought (MPU-9250, BMI160, BNO055: 2 to 3 %, 40 to 80 mg)."""
REST_SD_MPS2 = 0.03
"""Of the mean of a second's rest: sway, noise, and what an accelerometer does beside scale and bias."""
SAME_POSE_DEG = 15.0
"""Directions closer than this are one pose."""
ITERATIONS = 8


@dataclass(frozen=True, slots=True)
class Accelerometer:
    """How to right an accelerometer: ``scale * (measured - bias)``, axis by axis.

    Attributes
    ----------
    scale, scale_sd
        Factors, and one standard deviation.
    bias_mps2, bias_sd_mps2
        What it shows too much, m/s².
    poses
        Directions of rest that it was found from; 6 or more determine everything.
    residual_mps2
        RMS of what is left of the error at rest, m/s².
    """

    scale: Vector = (1.0, 1.0, 1.0)
    bias_mps2: Vector = (0.0, 0.0, 0.0)
    scale_sd: Vector = (SCALE_SD, SCALE_SD, SCALE_SD)
    bias_sd_mps2: Vector = (BIAS_SD_MPS2, BIAS_SD_MPS2, BIAS_SD_MPS2)
    poses: int = 0
    residual_mps2: float = float("nan")

    def __call__(self, acc: FloatArray) -> FloatArray:
        """Right (..., 3) specific forces, m/s²."""
        return np.asarray(self.scale * (acc - self.bias_mps2))

    def after(self, first: Accelerometer) -> Accelerometer:
        """One correction for `first` and then this one."""
        scale = np.array(first.scale) * self.scale
        bias = np.array(first.bias_mps2) + np.array(self.bias_mps2) / first.scale
        return Accelerometer(
            _vector(scale), _vector(bias), self.scale_sd, self.bias_sd_mps2, self.poses, self.residual_mps2
        )


class AccelerometerFit:
    """Collects a sensor's rests."""

    def __init__(self) -> None:
        self._sums: list[FloatArray] = []
        self._counts: list[int] = []

    def rest(self, force_mps2: FloatArray) -> None:
        """Note the mean specific force (3,), m/s², of a second's rest."""
        for i, total in enumerate(self._sums):
            cosine = total @ force_mps2 / (np.linalg.norm(total) * np.linalg.norm(force_mps2))
            if cosine > np.cos(np.radians(SAME_POSE_DEG)):
                self._sums[i] = total + force_mps2
                self._counts[i] += 1
                return
        self._sums.append(np.asarray(force_mps2, dtype=float))
        self._counts.append(1)

    def solve(self) -> Accelerometer:
        """Most likely scale and bias (Gauss-Newton on the lengths, with the prior)."""
        if not self._sums:
            return Accelerometer()
        measured = np.array(self._sums) / np.array(self._counts)[:, None]
        prior = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        weights = np.repeat([1.0 / SCALE_SD, 1.0 / BIAS_SD_MPS2], 3)
        x = prior.copy()
        for _ in range(ITERATIONS):
            force = x[:3] * (measured - x[3:])
            length = np.linalg.norm(force, axis=1)
            up = force / length[:, None]
            jacobian = np.hstack([up * (measured - x[3:]), -up * x[:3]]) / REST_SD_MPS2
            matrix = np.vstack([jacobian, np.diag(weights)])
            rest = np.concatenate([(GRAVITY_MPS2 - length) / REST_SD_MPS2, weights * (prior - x)])
            x = x + np.linalg.lstsq(matrix, rest, rcond=None)[0]
        sd = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))
        left = np.linalg.norm(x[:3] * (measured - x[3:]), axis=1) - GRAVITY_MPS2
        return Accelerometer(
            _vector(x[:3]), _vector(x[3:]), _vector(sd[:3]), _vector(sd[3:]), len(measured),
            float(np.sqrt(np.mean(left**2))),
        )  # fmt: skip


def _vector(values: FloatArray) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))
