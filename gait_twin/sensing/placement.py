"""Whether each sensor sits on the segment that it is said to, judged by the first steps.

In quiet standing nothing tells one well-mounted sensor from another: every mounting is allowed, so "upside down"
and "wrong segment" have no meaning before something moves. The first steps tell:

- along a leg angular speed grows from thigh to shank to foot, and the foot alone rests once a stride
  (Winter 2009, Biomechanics and Motor Control of Human Movement, angular kinematics of level walking);
- the trunk turns less than any part of the legs;
- the pelvis is accelerated towards the swinging leg's side, away from the standing foot, and rises on the standing
  side's (MacKinnon & Winter 1993, "Control of whole body balance in the frontal plane during human walking").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gait_twin.recording import BodyFrames, SlotStatus
from gait_twin.recording.axes import quat_about_z, quat_conjugate, quat_multiply, quat_rotate

FloatArray = NDArray[np.float64]

LEAST_S = 3.0
"""So much walking is needed, s: about five steps."""
WALKING_RADPS = 1.0
"""Legs whose fast angular speed (95th percentile) is below this do not walk."""
QUIET_RADPS = 0.4
"""A resting foot turns slower than this."""
MARGIN = 1.05
"""Two segments whose angular speeds differ by less are not told apart."""
SIDE_SCORE = 0.45
"""Sum of the two correlations from which the sides are taken to be exchanged."""
STEP_BAND_HZ = (0.4, 2.5)
TRUNK = ("pelvis", "torso")


def misplaced(frames: BodyFrames) -> list[str]:
    """Sentences on sensors that seem to be on another segment, or feet that seem to be exchanged.

    Parameters
    ----------
    frames
        At least `LEAST_S` of walking, at best straight ahead; nothing is said of less.
    """
    if len(frames) < 2:
        return []
    rate_hz = (len(frames) - 1) / float(frames.time_s[-1] - frames.time_s[0])
    speed = np.linalg.norm(frames.gyr_radps, axis=2)
    fast, quiet = {}, {}
    for i, segment in enumerate(frames.segments):
        known = speed[np.isfinite(speed[:, i]), i]
        if len(known) >= LEAST_S * rate_hz:
            fast[segment] = float(np.quantile(known, 0.95))
            quiet[segment] = float(np.mean(known < QUIET_RADPS))
    if max((v for s, v in fast.items() if s not in TRUNK), default=0.0) < WALKING_RADPS:
        return []
    found = [*_along_legs(fast, quiet), *_trunk(fast)]
    return found or _sides(frames, fast, rate_hz)


def _along_legs(fast: dict[str, float], quiet: dict[str, float]) -> list[str]:
    found = []
    for side in "rl":
        thigh, shank, foot = (f"{name}_{side}" for name in ("femur", "tibia", "calcn"))
        if {foot, shank} <= fast.keys() and fast[shank] > fast[foot] * MARGIN and quiet[shank] > quiet[foot]:
            found.append(_exchanged(foot, shank, "the foot turns fastest and rests once a stride"))
        elif {thigh, shank} <= fast.keys() and fast[thigh] > fast[shank] * MARGIN:
            found.append(_exchanged(thigh, shank, "the shank turns faster than the thigh"))
        elif {thigh, foot} <= fast.keys() and fast[thigh] > fast[foot] * MARGIN:
            found.append(_exchanged(thigh, foot, "the foot turns fastest"))
    return found


def _trunk(fast: dict[str, float]) -> list[str]:
    legs = {segment: value for segment, value in fast.items() if segment not in TRUNK}
    for trunk in TRUNK:
        if trunk in fast and legs:
            slowest = min(legs, key=lambda segment: legs[segment])
            if fast[trunk] > legs[slowest] * MARGIN:
                return [_exchanged(trunk, slowest, "the trunk turns less than the legs")]
    return []


def _exchanged(a: str, b: str, why: str) -> str:
    return f"The sensors of {a} and {b} seem to be exchanged: {why}, and here it is the other way round."


def _sides(frames: BodyFrames, fast: dict[str, float], rate_hz: float) -> list[str]:
    """Left and right: which way the pelvis goes while which leg swings."""
    pair = left_and_right(tuple(fast))
    if pair is None or "pelvis" not in fast:
        return []
    score = side_score(frames, pair, rate_hz)
    if score > -SIDE_SCORE:
        return []
    sentence = (
        f"Left and right seem to be exchanged ({pair[0]} and {pair[1]}), or the pelvis' forward direction is taken "
        "for its opposite (say `forward` of it in body.yaml): it goes to the other side than the leg that swings."
    )
    return [sentence]


def left_and_right(segments: tuple[str, ...]) -> tuple[str, str] | None:
    """The lowest part of the legs that is worn on both sides."""
    pairs = ((f"{name}_r", f"{name}_l") for name in ("calcn", "tibia", "femur"))
    return next((pair for pair in pairs if set(pair) <= set(segments)), None)


def side_score(frames: BodyFrames, pair: tuple[str, str], rate_hz: float) -> float:
    """From -2 (exchanged) to 2 (right), about 0 where the walk does not tell.

    Parameters
    ----------
    frames
        As of `misplaced`.
    pair
        A right and a left segment.
    rate_hz
        Rate of the frames, Hz.
    """
    pelvis, right, left = (frames.segments.index(s) for s in ("pelvis", *pair))
    body = frames.body_quat_wxyz[:, pelvis]
    whole = np.isfinite(body).all(axis=1) & np.isfinite(frames.gyr_radps[:, [pelvis, right, left]]).all(axis=(1, 2))
    # a provisional forward direction may still be the backward one
    whole &= (frames.status[:, pelvis] & SlotStatus.HEADING) != 0
    if whole.sum() < LEAST_S * rate_hz:
        return 0.0
    body, quat = body[whole], frames.quat_wxyz[whole, pelvis]
    to_common = quat_about_z(_heading_between(quat, body))
    world_acc = quat_rotate(to_common, quat_rotate(quat, frames.acc_mps2[whole, pelvis]))
    world_gyr = quat_rotate(to_common, quat_rotate(quat, frames.gyr_radps[whole, pelvis]))
    rightwards, forwards = quat_rotate(body, [0.0, 0.0, 1.0]), quat_rotate(body, [1.0, 0.0, 0.0])
    rightwards[:, 2] = forwards[:, 2] = 0.0
    swing = np.linalg.norm(frames.gyr_radps[whole, right], axis=1) - np.linalg.norm(
        frames.gyr_radps[whole, left], axis=1
    )
    sos = signal.butter(2, STEP_BAND_HZ, "bandpass", fs=rate_hz, output="sos")

    def smooth(values: FloatArray) -> FloatArray:
        return np.asarray(signal.sosfiltfilt(sos, values))

    swing = smooth(swing)
    aside = smooth(np.sum(world_acc * rightwards, axis=1))
    roll = np.cumsum(smooth(np.sum(world_gyr * forwards, axis=1)))
    return float(np.corrcoef(aside, swing)[0, 1] + np.corrcoef(smooth(roll), swing)[0, 1])


def _heading_between(quat: FloatArray, body: FloatArray) -> float:
    """Angle about z from the sensor's own world to the common one: both see the same turns, rad."""
    step = max(1, len(quat) // 100)
    own = quat_multiply(quat[step:], quat_conjugate(quat[:-step]))
    common = quat_multiply(body[step:], quat_conjugate(body[:-step]))
    own, common = (q * np.sign(q[:, :1]) for q in (own, common))
    return float(np.angle(np.sum((common[:, 1] + 1j * common[:, 2]) * np.conj(own[:, 1] + 1j * own[:, 2]))))
