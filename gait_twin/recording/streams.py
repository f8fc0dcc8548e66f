"""Which rows of a sensor's samples can be used, and sentences on those that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.recording import ImuStream
from gait_twin.recording.segments import SEGMENTS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LONGEST_GAP_S = 3600.0
"""A pause longer than this is a clock that jumped, not a gap of one recording, s."""
_SAME_END_S = 0.1  # sensors that were stopped together end this close
_LEAST_KEPT = 0.5  # with fewer usable rows than this share the time is not a time


def usable_rows(
    time_s: FloatArray,
    channels: Sequence[FloatArray | None],
    where: str,
    rows: NDArray[np.int64] | None = None,
    noun: str = "row",
) -> tuple[BoolArray, list[str]]:
    """Find the rows that hold numbers at increasing times.

    Left out are rows with NaN or infinity in the time or in a channel, rows whose time is not after that of
    the rows before, and what lies beyond a jump of the clock by more than `LONGEST_GAP_S` (the longest part
    is kept).

    Parameters
    ----------
    time_s
        (n,) instants, s.
    channels
        Arrays (n, …) that must be finite; None is skipped.
    where
        Beginning of each sentence: the file or topic.
    rows
        (n,) numbers by which a person finds the rows; 1 to n if None.
    noun
        What a row is called.

    Returns
    -------
    usable
        (n,) True for rows to keep.
    sentences
        One for each reason for which rows were left out, with their numbers.

    Raises
    ------
    InputError
        If no row or less than half of the rows with numbers can be kept.
    """
    if rows is None:
        rows = np.arange(1, len(time_s) + 1)
    sentences: list[str] = []
    usable = np.isfinite(time_s)
    for channel in channels:
        if channel is not None:
            usable &= np.isfinite(channel).reshape(len(channel), -1).all(axis=1)
    if not usable.any():
        raise InputError(f"{where} holds no {noun} with numbers in all of its columns.")
    if not usable.all():
        sentences.append(f"{where}: {_listed(rows[~usable], noun)} without numbers left out as a gap.")

    numbered = int(usable.sum())
    index = np.flatnonzero(usable)
    t = time_s[index]
    jumps = np.flatnonzero(np.abs(np.diff(t)) > LONGEST_GAP_S)
    if len(jumps):
        parts = np.split(np.arange(len(t)), jumps + 1)
        longest = max(parts, key=len)
        first = jumps[0]
        other = np.setdiff1d(np.arange(len(t)), longest)
        sentences.append(
            f"{where}: the clock jumps by {t[first + 1] - t[first]:.6g} s at {noun} {rows[index[first + 1]]}; "
            f"{_listed(rows[index[other]], noun)} on the other side left out."
        )
        usable[index[other]] = False
        index, t = index[longest], t[longest]

    latest = np.concatenate([[-np.inf], np.maximum.accumulate(t)[:-1]])
    repeated, back = t == latest, t < latest
    if repeated.any():
        sentences.append(
            f"{where}: {_listed(rows[index[repeated]], noun)} left out, for the time is that of a {noun} before."
        )
    if back.any():
        worst = float(np.max((latest - t)[back]))
        sentences.append(
            f"{where}: {_listed(rows[index[back]], noun)} left out, for the time goes back by up to {worst:.6g} s."
        )
    usable[index[repeated | back]] = False
    if usable.sum() < _LEAST_KEPT * numbered:
        raise InputError(
            f"{where}: the time does not increase in {numbered - int(usable.sum())} of {numbered} {noun}s; "
            "give the column and unit of the time, or `wrap` where it is a counter that begins anew."
        )
    return usable, sentences


def nominal_rate_hz(time_s: FloatArray) -> float:
    """Sampling rate of increasing instants (n,), robust to gaps and dropped samples, Hz; NaN below 2."""
    if len(time_s) < 2:
        return float("nan")
    step = np.diff(time_s)
    # the mean of whole steps: printed times are rounded, and a median takes the rounding for the step
    typical = float(np.mean(step[step < 1.5 * np.median(step)]))
    # five digits: what is beyond them is the clock, not the nominal rate
    return float(f"{1.0 / typical:.5g}")


def _listed(rows: NDArray[np.int64], noun: str) -> str:
    """Return ``3 rows (7-8, 21)``: how many, and the first ranges of their numbers."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    ranges = [f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in np.split(rows, breaks)]
    shown = ", ".join(ranges[:4]) + (", …" if len(ranges) > 4 else "")
    return f"{len(rows)} {noun}{'s' if len(rows) != 1 else ''} ({shown})"


@dataclass(frozen=True)
class Source:
    """Samples of one sensor as they stand in a file: any origin of time, rows not yet looked at.

    Attributes
    ----------
    stream
        The samples; times on the clock that all sources of a recording share, not necessarily increasing.
    where
        File or topic, for sentences.
    rows
        (n,) line of each sample; None where there are no lines.
    """

    stream: ImuStream
    where: str
    rows: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Assembled:
    """Usable streams of a recording, times from the first sample of any.

    Attributes
    ----------
    imus
        Streams by segment.
    origin_s
        Time of the first sample on the sources' clock, s.
    notices, losses
        As in `Recording`.
    """

    imus: dict[str, ImuStream]
    origin_s: float
    notices: tuple[str, ...]
    losses: tuple[str, ...]


def assemble(sources: Sequence[Source]) -> Assembled:
    """Put the usable samples of several sensors on one time.

    Rows that repeat the row before in full are left out with a notice, all others that cannot be used with a
    loss; see `usable_rows`.

    Raises
    ------
    InputError
        If two sources are of one segment, or a source holds nothing to be used.
    """
    notices: list[str] = []
    losses: list[str] = []
    kept: dict[str, ImuStream] = {}
    for source in sources:
        stream = source.stream
        if stream.segment in kept:
            raise InputError(f"{source.where} is a second sensor on {stream.segment}; one a segment.")
        rows = source.rows if source.rows is not None else np.arange(1, len(stream.time_s) + 1)
        again = _repeats(stream)
        if again.any():
            notices.append(f"{source.where}: {_listed(rows[again], 'row')} repeated in full and taken once.")
            stream, rows = _pick(stream, ~again), rows[~again]
        usable, sentences = usable_rows(stream.time_s, [stream.acc_mps2, stream.gyr_radps], source.where, rows)
        losses.extend(sentences)
        kept[stream.segment] = _pick(stream, usable)
    origin_s = min(stream.time_s[0] for stream in kept.values())
    ends_s = {segment: stream.time_s[-1] - origin_s for segment, stream in kept.items()}
    if max(ends_s.values()) - min(ends_s.values()) > _SAME_END_S:
        first = min(ends_s, key=lambda segment: ends_s[segment])
        notices.append(
            f"The sensors end at different times: {first} at {ends_s[first]:.2f} s, the last at "
            f"{max(ends_s.values()):.2f} s."
        )
    imus = {}
    for segment in sorted(kept, key=SEGMENTS.index):
        stream = kept[segment]
        rate_hz = stream.sampling_rate_hz
        imus[segment] = replace(
            stream,
            time_s=stream.time_s - origin_s,
            sampling_rate_hz=rate_hz if rate_hz > 0 else nominal_rate_hz(stream.time_s),
        )
    return Assembled(imus, float(origin_s), tuple(notices), tuple(losses))


def _repeats(stream: ImuStream) -> BoolArray:
    """(n,) True where a row has the time and values of the row before."""
    values = [stream.time_s[:, None], stream.acc_mps2]
    values += [v for v in (stream.gyr_radps, stream.mag_ut, stream.quat_wxyz) if v is not None]
    table = np.concatenate(values, axis=1)
    return np.concatenate([[False], (np.diff(table, axis=0) == 0.0).all(axis=1)])


def _pick(stream: ImuStream, keep: BoolArray) -> ImuStream:
    def of(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[keep]

    return replace(
        stream,
        time_s=stream.time_s[keep],
        acc_mps2=stream.acc_mps2[keep],
        gyr_radps=of(stream.gyr_radps),
        mag_ut=of(stream.mag_ut),
        quat_wxyz=of(stream.quat_wxyz),
    )
