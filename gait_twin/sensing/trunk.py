"""Which way a pelvis or a torso faces, found from a few strides of walking; directions as in `heading`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_about_z, quat_rotate
from gait_twin.sensing.heading import HeadingEstimate, jackknife, wrapped

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

STEP_BAND_HZ = (0.8, 3.0)
"""Step frequencies of slow patients to fast walkers."""
SHARED_PIECE_S = 0.5
"""Accelerations of neighbours are compared in pieces of this length, s."""
SHARED_RMS_MPS2 = 0.4
"""Horizontal acceleration of a piece that counts as walking."""
SHARED_SMOOTHING_S = 0.09
"""Length of the moving average, taken twice, over these accelerations: soft tissue and heel strikes are faster."""
SHARED_COHERENCE = 0.75
"""Least coherence of the two (1: the same motion)."""
TRUNK_WINDOW_S = 2.56
FINER = 4
"""The spectrum of such a window is interpolated so many times."""
DOUBLE_SHARE = 0.7
"""Share with which a step frequency's double speaks for it: slow walkers' doubles are up to twice as strong."""
TRUNK_CERTAINTY = 0.4
"""Least mean correlation of the trunk's forward and upward motion."""
TRUNK_MIN_RMS_MPS2 = 0.3
"""A trunk that moves less at the step frequency is not walking."""
SET_OFF_S = 2.5
"""The velocity gained since standing is taken as the mean over the second half of so long, s."""
SET_OFF_STILL_S = 0.5
"""Standing before setting off, during which the accelerometer's error is seen, s."""
SET_OFF_STILL_MPS2 = 0.12
"""Root mean square horizontal acceleration of standing."""
SET_OFF_MPS = 0.3
"""Who has gained less did not set off, or walks on a treadmill; an error of 1 degree of tilt makes as much."""
SET_OFF_COSINE = 0.7
"""The first steps go along the axis found, to within 45 degrees."""
SET_OFF_SD_RAD = np.radians(25.0)
"""Of their direction alone: some people turn at once."""


def trunk_heading(acc: FloatArray, yaw: FloatArray, rate_hz: float) -> HeadingEstimate | None:
    """Forward direction of the pelvis or torso from its accelerations at the step frequency.

    Going over the stance leg like an inverted pendulum, the trunk is slowest and highest at mid-stance and
    fastest and lowest in double support (Zijlstra & Hof 2003, doi:10.1016/S0966-6362(02)00190-X): at the
    step frequency the forward acceleration leads the vertical one by a quarter period, while sideways motion
    goes with the stride, half as often. So the covariance of the horizontal acceleration with the derivative
    of the vertical one, around the step frequency, points forward.

    Twice as often, it points backward, and slow walkers rise and fall about as much twice a step: the step
    frequency is the one that has most together with its double. Where a standing is seen before the walk, nobody
    sets off backward: the velocity gained then decides the sign.

    Parameters
    ----------
    acc, yaw, rate_hz
        As for `heading.leg_heading`; the first `SET_OFF_STILL_S` may be standing.
    """
    n = int(TRUNK_WINDOW_S * rate_hz)
    forward_frame = quat_rotate(quat_about_z(-yaw), acc)
    window = np.hanning(n)[:, None]
    frequency = np.fft.rfftfreq(FINER * n, 1.0 / rate_hz)
    candidates = np.flatnonzero((frequency >= STEP_BAND_HZ[0]) & (frequency <= STEP_BAND_HZ[1]))
    candidates = candidates[2 * candidates < len(frequency)]
    pieces = []
    for start in range(int(SET_OFF_STILL_S * rate_hz), len(acc) - n + 1, n // 2):
        piece = forward_frame[start : start + n]
        if not np.isfinite(piece).all():
            continue
        spectrum = np.fft.rfft(window * (piece - piece.mean(axis=0)), FINER * n, axis=0)
        rise = np.abs(spectrum[:, 2])
        step_hz = frequency[candidates[np.argmax(rise[candidates] + DOUBLE_SHARE * rise[2 * candidates])]]
        near = np.abs(frequency / step_hz - 1.0) < 0.35
        x, y, z = spectrum[near].T
        rms = np.sqrt((np.abs(z) ** 2).sum() / FINER) * np.sqrt(2.0 / n / (window**2).sum())
        if rms < TRUNK_MIN_RMS_MPS2:
            continue
        rising = 1j * z
        covariance = (x * rising.conj()).real.sum() + 1j * (y * rising.conj()).real.sum()
        scale = np.sqrt((np.abs(x) ** 2 + np.abs(y) ** 2).sum() * (np.abs(z) ** 2).sum())
        pieces.append(covariance / scale)
    gained = set_off(acc, yaw, rate_hz)
    array = np.array(pieces)
    certainty = abs(array.mean()) if len(array) > 1 else 0.0
    if certainty < TRUNK_CERTAINTY:
        return HeadingEstimate(float(np.angle(gained)), SET_OFF_SD_RAD, 0) if abs(gained) > SET_OFF_MPS else None
    angle = float(np.angle(array.sum()))
    along = gained * np.exp(-1j * angle)
    if -along.real > max(SET_OFF_MPS * certainty, SET_OFF_COSINE * abs(along)):
        angle = wrapped(angle + np.pi)
    return HeadingEstimate(angle, jackknife(array), len(array))


def set_off(acc: FloatArray, yaw: FloatArray, rate_hz: float) -> complex:
    """Velocity gained since standing, in the standing frame, m/s; summed where the person set off more than once.

    Parameters
    ----------
    acc, yaw, rate_hz
        As for `heading.leg_heading`.

    Returns
    -------
    complex
        Forward (of the sensor's standing frame) and left; 0 where no standing, or no walking after it, is seen.
    """
    horizontal = acc[:, 0] + 1j * acc[:, 1]
    still, after = int(SET_OFF_STILL_S * rate_hz), int(SET_OFF_S * rate_hz)
    if len(acc) < still + after:
        return 0j
    every = max(1, int(0.05 * rate_hz))
    starts = np.arange(0, len(acc) - still + 1, every)
    rest = horizontal[starts[:, None] + np.arange(still)]
    error = rest.mean(axis=1)
    quiet = np.sqrt((np.abs(rest - error[:, None]) ** 2).mean(axis=1)) < SET_OFF_STILL_MPS2
    gained = 0j
    for i in np.flatnonzero(quiet[:-1] & ~quiet[1:]).tolist():
        rows = slice(starts[i] + still, starts[i] + still + after)
        if rows.stop > len(acc):
            break
        velocity = np.cumsum(horizontal[rows] - error[i]) / rate_hz * np.exp(-1j * yaw[rows])
        gained += complex(velocity[after // 2 :].mean())
    return gained


def shared_heading(acc: FloatArray, near: ComplexArray, lever: ComplexArray, rate_hz: float) -> HeadingEstimate | None:
    """Forward direction of a pelvis or torso from neighbours whose own is known: both move along together.

    The hip joints are the pelvis' and the thighs' alike, so the mean acceleration of both thighs, taken to the
    hips, is the pelvis'; torso and pelvis are near enough to each other. How far the hip is above the thigh's
    sensor follows from the same fit. One and a half seconds of walking suffice.

    Parameters
    ----------
    acc
        (n, 3) acceleration without gravity in the sensor's world, m/s²; NaN where unknown.
    near
        (n,) horizontal acceleration of the neighbours, forward and left as real and imaginary part, m/s².
    lever
        (n,) what each metre up along the neighbours adds to it, m/s² a metre; zeros for none.
    rate_hz
        Rate of the frames, Hz.

    Returns
    -------
    HeadingEstimate or None
        None while they do not move, or do not move alike. The angle turns `near` into the sensor's world; its
        cycles are pieces of half a second.
    """
    own = acc[:, 0] + 1j * acc[:, 1]
    known = np.isfinite(own) & np.isfinite(near) & np.isfinite(lever)
    width = max(1, round(SHARED_SMOOTHING_S * rate_hz))
    box = np.convolve(np.ones(width), np.ones(width)) / width**2
    if np.count_nonzero(known) < 3 * len(box):
        return None
    own, near, lever = (np.convolve(np.where(known, v, 0.0), box, mode="same") for v in (own, near, lever))
    known &= np.convolve(known, np.ones(len(box)), mode="same") > len(box) - 0.5
    own, near, lever = own[known], near[known], lever[known]
    # near + length * lever = factor * own, in least squares over both factor's parts and the length
    matrix = np.stack([own, 1j * own, -lever], axis=1)
    matrix = np.concatenate([matrix.real, matrix.imag])
    normal = matrix.T @ matrix
    normal.flat[::4] += 1e-9
    length = float(np.linalg.solve(normal, matrix.T @ np.concatenate([near.real, near.imag]))[2])
    near = near + length * lever
    coherence = abs(np.vdot(near, own)) / (np.linalg.norm(near) * np.linalg.norm(own) + 1e-9)
    size = int(SHARED_PIECE_S * rate_hz)
    starts = np.arange(0, len(near), size)
    strong = np.add.reduceat(np.abs(near) ** 2, starts) > size * SHARED_RMS_MPS2**2
    pieces = np.add.reduceat(own * near.conj(), starts)[strong]
    if coherence < SHARED_COHERENCE or len(pieces) < 2:
        return None
    return HeadingEstimate(float(np.angle(pieces.sum())), jackknife(pieces), len(pieces))
