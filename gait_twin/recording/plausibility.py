"""Checks that a sensor's columns, units and axes can be what a description says: gravity must show in them.

Nothing is corrected here: what does not fit is refused with a sentence.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.axes import quat_from_rotvec, quat_multiply, quat_rotate
from gait_twin.recording.recording import ImuStream
from gait_twin.recording.units import ACC, GYR

FloatArray = NDArray[np.float64]

# |specific force| at the stillest moments: 9.8 m/s², but for accelerometers that are some per cent off and
# feet that run. The next unit is a factor of ten away.
_GRAVITY_MPS2 = (7.5, 12.5)
_STILLEST = 0.1  # share of the rows that counts as still
_FREE_MPS2 = 2.0  # below this, gravity is not in the signal at all
_FASTEST_RADPS = 60.0  # 3400 deg/s: beyond what gait sensors measure (2000 deg/s) and legs do
_MOVING_MPS2 = 1.0  # a sensor shaken like this turns too …
_SLOWEST_RADPS = 0.1  # … by more than this at its fastest (walking pelvis: 1 to 3 rad/s)

_WINDOW_S = 2.0
_STILL_S = 0.15
_STILL_MPS2 = 0.8
_WINDOWS = 24
_LEAST_WINDOWS = 3
# Set on 66 sensors of half of the real trials at hand (worst ratio of a right one: 2.3). Of the feet with gyr
# permuted or mirrored they find nine in ten, with a single minor axis mirrored half; at the pelvis almost none,
# for it turns too little.
_LARGEST_ERROR = 0.1  # of gravity
_CLEARLY = 3.0  # another set of axes must fit this much better before anything is refused


def check_plausible(stream: ImuStream, where: str, acc_unit: str, gyr_unit: str) -> None:
    """Refuse a stream whose units, columns or axes cannot be right.

    1. At the stillest moments the specific force is about 1 g.
    2. The angular rate is neither faster than a leg nor slower than something so shaken.
    3. Carried along by the angular rate from a still moment, the specific force of the next two seconds
       averages to gravity (velocity is bounded). With axes permuted, mirrored or in another unit it does not; such a
       stream is refused when another signed permutation or unit of the angular rate fits clearly better.

    Parameters
    ----------
    stream
        Usable samples of one sensor, in the vocabulary's units.
    where
        Beginning of the sentence.
    acc_unit, gyr_unit
        Units that the description says.

    Raises
    ------
    InputError
        Saying what does not fit, and what would.
    """
    acc, gyr = stream.acc_mps2, stream.gyr_radps
    still = _stillest_mps2(acc, stream.sampling_rate_hz)
    if not _GRAVITY_MPS2[0] <= still <= _GRAVITY_MPS2[1]:
        raise InputError(f"{where}: {_why_no_gravity(still, gyr, acc_unit, gyr_unit)}")
    if gyr is None:
        return
    fastest = float(np.percentile(np.linalg.norm(gyr, axis=1), 99))
    shaken = float(np.linalg.norm(np.std(acc, axis=0)))
    if fastest > _FASTEST_RADPS:
        raise InputError(
            f"{where}: gyr turns at {fastest:.0f} rad/s, faster than any leg; is its unit right? "
            f"{_unit_that_fits(fastest, gyr_unit)}"
        )
    if shaken > _MOVING_MPS2 and fastest < _SLOWEST_RADPS:
        raise InputError(
            f"{where}: gyr stays below {fastest:.2g} rad/s though the sensor is moved about; is its unit right? "
            f"{_unit_that_fits(fastest, gyr_unit)}"
        )
    _check_axes(acc, gyr, stream.sampling_rate_hz, where, gyr_unit)


def _why_no_gravity(still: float, gyr: FloatArray | None, acc_unit: str, gyr_unit: str) -> str:
    if gyr is not None:
        # the angular rate of a worn sensor is near 0 half of the time; gravity never is
        low, median = np.percentile(np.linalg.norm(gyr, axis=1) / GYR[gyr_unit], [5, 50])
        for unit, factor in ACC.items():
            if low > 0.5 * median and _GRAVITY_MPS2[0] <= median * factor <= _GRAVITY_MPS2[1]:
                return (
                    f"acc and gyr seem to be swapped: the columns of gyr show gravity (in {unit}), those of acc do not."
                )
    for unit, factor in ACC.items():
        if _GRAVITY_MPS2[0] <= still / ACC[acc_unit] * factor <= _GRAVITY_MPS2[1]:
            return (
                f"|acc| at its stillest is {still:.3g} m/s² instead of about 9.8; the values look like {unit} where "
                f"{acc_unit} is said."
            )
    if still < _FREE_MPS2:
        return (
            f"|acc| at its stillest is {still:.2g} m/s²: gravity is not in it. Give the specific force as measured, "
            "not the acceleration without gravity."
        )
    return f"|acc| at its stillest is {still:.3g} m/s² instead of about 9.8: wrong columns or unit."


def _stillest_mps2(acc: FloatArray, rate_hz: float) -> float:
    """Median of |specific force| where it changes least."""
    norm = np.linalg.norm(acc, axis=1)
    spread = _spread(acc, rate_hz)
    return float(np.median(norm[: len(spread)][spread <= np.quantile(spread, _STILLEST)]))


def _spread(acc: FloatArray, rate_hz: float) -> FloatArray:
    """(m,) standard deviation of the specific force over `_STILL_S` from each row on, m/s²."""
    length = min(max(2, round(_STILL_S * rate_hz)), len(acc))
    deviation = acc - acc.mean(axis=0)  # small numbers keep the difference of squares exact
    variance = _running_mean(deviation**2, length) - _running_mean(deviation, length) ** 2
    return np.sqrt(np.maximum(variance, 0.0).sum(axis=1))


def _unit_that_fits(fastest_radps: float, gyr_unit: str) -> str:
    fits = [
        unit
        for unit in ("rad/s", "deg/s")
        if 10 * _SLOWEST_RADPS < fastest_radps / GYR[gyr_unit] * GYR[unit] < _FASTEST_RADPS
    ]
    return f"The values look like {fits[0]} where {gyr_unit} is said." if fits else "Check the columns too."


def _check_axes(acc: FloatArray, gyr: FloatArray, rate_hz: float, where: str, gyr_unit: str) -> None:
    """Refuse axes or units of `gyr` that carry gravity away, where others keep it."""
    starts = _starts(acc, gyr, rate_hz)
    if len(starts) < _LEAST_WINDOWS:
        return
    other_units = [unit for unit in ("rad/s", "deg/s") if unit != gyr_unit]
    identity = np.eye(3)
    turned = np.array(
        [
            np.diag(signs) @ identity[list(order)]
            for order in itertools.permutations(range(3))
            for signs in itertools.product((1.0, -1.0), repeat=3)
        ]
    )
    scaled = [identity * GYR[unit] / GYR[gyr_unit] for unit in other_units]
    candidates = np.concatenate([turned, scaled])
    errors = _errors(acc, gyr, rate_hz, starts, candidates)
    mine = errors[int(np.argmax((candidates == identity).all(axis=(1, 2))))]
    best = int(np.argmin(errors))
    if mine < _LARGEST_ERROR or errors[best] * _CLEARLY > mine:
        return
    found = f"{where}: acc and gyr do not belong together: turned by gyr, gravity wanders by {mine:.0%} in two seconds"
    if best >= len(turned):
        unit = other_units[best - len(turned)]
        raise InputError(f"{found}. The values of gyr look like {unit} where {gyr_unit} is said.")
    if np.allclose(candidates[best], -identity):
        raise InputError(
            f"{found}, with all signs of gyr changed by {errors[best]:.0%}: a left-handed set of axes, or a gyr that "
            "counts the other way round. Give right-handed axes."
        )
    shown = ", ".join(
        f"{'-' if row.sum() < 0 else ''}gyr {'xyz'[int(np.argmax(np.abs(row)))]}" for row in candidates[best]
    )
    raise InputError(
        f"{found}, with ({shown}) in place of (gyr x, gyr y, gyr z) by {errors[best]:.0%}. Check the "
        "order and signs of their columns."
    )


def _starts(acc: FloatArray, gyr: FloatArray, rate_hz: float) -> NDArray[np.int64]:
    """First rows of windows that begin still and then turn most, half a window apart at least."""
    still, length = max(2, round(_STILL_S * rate_hz)), round(_WINDOW_S * rate_hz)
    if len(acc) < length + 2 * still:
        return np.zeros(0, dtype=np.int64)
    spread = _spread(acc, rate_hz)
    candidates = np.flatnonzero(spread[: len(acc) - length - still] < _STILL_MPS2)
    turned = np.concatenate([[0.0], np.cumsum(np.linalg.norm(gyr, axis=1))])
    starts: list[int] = []
    for row in candidates[np.argsort(turned[candidates] - turned[candidates + length])]:
        if all(abs(row - other) >= length // 2 for other in starts):
            starts.append(int(row))
            if len(starts) == _WINDOWS:
                break
    return np.array(starts, dtype=np.int64)


def _errors(
    acc: FloatArray, gyr: FloatArray, rate_hz: float, starts: NDArray[np.int64], candidates: FloatArray
) -> FloatArray:
    """(m,) median over windows of |mean of the carried force - gravity at the start| / gravity."""
    still, length = max(2, round(_STILL_S * rate_hz)), round(_WINDOW_S * rate_hz)
    gravity = _running_mean(acc, still)[starts]
    rows = starts + still // 2
    quat = np.zeros((len(candidates), len(starts), 4))
    quat[..., 0] = 1.0
    carried = np.zeros((len(candidates), len(starts), 3))
    for i in range(length):
        step = np.einsum("mij,kj->mki", candidates, gyr[rows + i] / rate_hz)
        quat = quat_multiply(quat, quat_from_rotvec(step))
        carried += quat_rotate(quat, acc[rows + i][None])
    error = np.linalg.norm(carried / length - gravity, axis=2) / np.linalg.norm(gravity, axis=1)
    return np.median(error, axis=1)


def _running_mean(values: FloatArray, length: int) -> FloatArray:
    """(n - length + 1, 3) means over `length` rows, each from its row on."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return (total[length:] - total[:-length]) / length
