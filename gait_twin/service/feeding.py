"""A recording on its way into the hub: in blocks, once to find which way the sensors face, once for everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gait_twin.recording import Recording
from gait_twin.sensing import HubSettings, SensorHub

Progress = Callable[[float], None]
"""Called with the fraction done, 0-1."""

BLOCK_S = 5.0
"""Results do not depend on it: long enough to be fast, short enough to show progress."""
LONG_STRIDES = 8
"""Strides that a recording is first searched for to find the forward direction; where there are fewer, the live
hub's number serves."""


def blocks(recording: Recording, block_s: float = BLOCK_S) -> Iterator[tuple[float, list[tuple[str, slice]]]]:
    """Page through a recording's streams together.

    Yields
    ------
    (float, list of (str, slice))
        End of the block (s), and each segment's rows within it.
    """
    ends = dict.fromkeys(recording.imus, 0)
    for end_s in np.arange(block_s, recording.duration_s + block_s, block_s):
        rows = []
        for segment, stream in recording.imus.items():
            start, ends[segment] = ends[segment], int(np.searchsorted(stream.time_s, end_s))
            if ends[segment] > start:
                rows.append((segment, slice(start, ends[segment])))
        yield float(end_s), rows


def push(hub: SensorHub, recording: Recording, rows: Sequence[tuple[str, slice]]) -> None:
    """Hand rows of a recording's streams, as `blocks` gives them, to a hub."""
    for segment, part in rows:
        stream = recording.imus[segment]
        gyr, quat, mag = (
            None if channel is None else channel[part]
            for channel in (stream.gyr_radps, stream.quat_wxyz, stream.mag_ut)
        )
        hub.push(segment, stream.time_s[part], stream.acc_mps2[part], gyr, quat, mag)


def with_mounting(recording: Recording, settings: HubSettings, progress: Progress | None = None) -> HubSettings:
    """Find from the whole recording which way each sensor faces, for a hub that is to know it from the start.

    Live, a heading is provisional until the person has walked; a recording can be looked at first, so that
    its first steps are as good as its last.

    Parameters
    ----------
    recording
        What was measured.
    settings
        Settings of the hub; the mounting they give is kept.
    progress
        Told the fraction done.
    """
    found: tuple[str, ...] = ()
    for strides in sorted({LONG_STRIDES, settings.heading_strides}, reverse=True):
        hub = SensorHub(tuple(recording.imus), dataclasses.replace(settings, heading_strides=strides))
        for end_s, rows in blocks(recording):
            push(hub, recording, rows)
            hub.poll()
            if progress:
                progress(min(1.0, end_s / max(recording.duration_s, 1e-9)))
            if len(hub.calibration.mounting()) == len(recording.imus):
                break  # a heading that was found stays: the rest of the recording tells nothing new
        else:
            hub.flush()
        found = hub.calibration.mounting()
        if len(found) == sum(one.calibrated for one in hub.calibration.segments.values()):
            break
    return dataclasses.replace(settings, mounting=(*found, *settings.mounting))
