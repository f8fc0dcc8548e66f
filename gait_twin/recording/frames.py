"""Synchronised frames of all IMUs: the unit of work of every streaming room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class SlotStatus(IntFlag):
    """What holds for one segment's slot of a frame."""

    VALID = 1
    """Specific force and angular rate are measured (or bridged over a short gap)."""
    ORIENTED = 2
    """`BodyFrames.quat_wxyz` has settled."""
    CALIBRATED = 4
    """`BodyFrames.body_quat_wxyz` holds: the sensor's place on its segment is known."""
    HEADING = 8
    """The heading of `body_quat_wxyz` is the walk's; without it, provisional."""
    SATURATED = 16
    """A channel is at the end of its range."""
    GYRO_DERIVED = 32
    """Angular rate was derived from orientations: the sensor has no gyroscope."""
    BRIDGED = 64
    """Interpolated over a short gap."""


@dataclass(frozen=True, slots=True)
class BodyFrames:
    """n consecutive frames of k segments. Live n is 1 or a few; offline hundreds.

    Invalid slots hold NaN. The world frame is z-up (REP-103); with `HEADING`, x points where the person
    faced while standing still.

    Attributes
    ----------
    segments
        k segment names, the same for every block of a session.
    time_s
        (n,) instants on the hub's even grid, s.
    acc_mps2
        (n, k, 3) specific force in sensor axes, m/s².
    gyr_radps
        (n, k, 3) angular rate in sensor axes, rad/s.
    quat_wxyz
        (n, k, 4) rotating sensor axes into a z-up world (each sensor's own heading).
    body_quat_wxyz
        (n, k, 4) rotating the segment's OpenSim body axes (x forward, y up, z right in the neutral
        standing pose) into the common z-up world.
    status
        (n, k) `SlotStatus` bits, uint8.
    """

    segments: tuple[str, ...]
    time_s: FloatArray
    acc_mps2: FloatArray
    gyr_radps: FloatArray
    quat_wxyz: FloatArray
    body_quat_wxyz: FloatArray
    status: NDArray[np.uint8]

    @classmethod
    def empty(cls, segments: tuple[str, ...]) -> BodyFrames:
        """No frames of these segments."""
        k = len(segments)
        vectors, quats = np.empty((0, k, 3)), np.empty((0, k, 4))
        return cls(segments, np.empty(0), vectors, vectors, quats, quats, np.empty((0, k), np.uint8))

    @classmethod
    def joined(cls, blocks: Sequence[BodyFrames]) -> BodyFrames:
        """Consecutive blocks of the same segments as one; at least one."""
        if len(blocks) == 1:
            return blocks[0]
        names = ("time_s", "acc_mps2", "gyr_radps", "quat_wxyz", "body_quat_wxyz", "status")
        return cls(blocks[0].segments, *(np.concatenate([getattr(b, name) for b in blocks]) for name in names))

    def __len__(self) -> int:
        return len(self.time_s)

    def __getitem__(self, rows: slice) -> BodyFrames:
        """Frames of a slice of rows, as views."""
        return BodyFrames(
            self.segments,
            self.time_s[rows],
            self.acc_mps2[rows],
            self.gyr_radps[rows],
            self.quat_wxyz[rows],
            self.body_quat_wxyz[rows],
            self.status[rows],
        )
