"""The in-memory recording: what sensors measured, of whom, and what is known to be true of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.gait import GaitEvent, Step, Stride
from gait_twin.recording.segments import Side

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Subject:
    """The person.

    Attributes
    ----------
    name
        Free text; empty when unknown.
    height_m, mass_kg
        Body height (m) and mass (kg); NaN when unknown.
    model
        OpenSim model that the twin used: its file, or "default"; empty when unknown.
    """

    name: str = ""
    height_m: float = float("nan")
    mass_kg: float = float("nan")
    model: str = ""


@dataclass(frozen=True, slots=True)
class ImuStream:
    """Samples of one IMU, in the sensor's own axes and at its own rate, gaps left open.

    Attributes
    ----------
    segment
        Segment that wears it, one of `SEGMENTS`.
    time_s
        (n,) strictly increasing instants of measurement, s since the recording's first sample.
    acc_mps2
        (n, 3) specific force, gravity included (about +9.81 upwards at rest), m/s².
    gyr_radps
        (n, 3) angular rate, rad/s; None where the sensor gave none.
    mag_ut
        (n, 3) magnetic flux density, µT; None where the sensor gave none.
    quat_wxyz
        (n, 4) the device's own orientation, rotating sensor axes into its z-up earth frame; None where
        the sensor gave none.
    sampling_rate_hz
        Nominal rate, Hz.
    """

    segment: str
    time_s: FloatArray
    acc_mps2: FloatArray
    gyr_radps: FloatArray | None
    mag_ut: FloatArray | None = None
    quat_wxyz: FloatArray | None = None
    sampling_rate_hz: float = float("nan")


@dataclass(frozen=True, slots=True)
class JointTrajectory:
    """Joint coordinates over time.

    Attributes
    ----------
    time_s
        (n,) s since the recording's first sample.
    coordinates
        m coordinate names as in the OpenSim model.
    positions
        (n, m) rad or m.
    """

    time_s: FloatArray
    coordinates: tuple[str, ...]
    positions: FloatArray


@dataclass(frozen=True, slots=True)
class FootTrajectory:
    """Where a foot's sensor was, as a reference system saw it.

    Attributes
    ----------
    time_s
        (n,) s since the recording's first sample.
    position_m
        (n, 3) in the reference system's own z-up frame, m.
    """

    time_s: FloatArray
    position_m: FloatArray


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a recording from elsewhere: labels, a reference system, the simulation itself."""

    events: tuple[GaitEvent, ...] = ()
    strides: tuple[Stride, ...] = ()
    steps: tuple[Step, ...] = ()
    joints: JointTrajectory | None = None
    foot_positions: dict[Side, FootTrajectory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """IMU streams of one person on one clock.

    Attributes
    ----------
    imus
        Stream of each segment that wears a sensor.
    subject
        The person.
    start_time_ns
        Unix time of the recording's first sample, ns; 0 when unknown.
    truth
        Reference values; None when there are none.
    notices
        Sentences on what was unusual but usable (derived channels, unequal lengths).
    losses
        Sentences on what could not be read or had to be left out; a command that meets any finishes its
        work and exits with 3.
    """

    imus: dict[str, ImuStream]
    subject: Subject = field(default_factory=Subject)
    start_time_ns: int = 0
    truth: Truth | None = None
    notices: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Time from the first to the last sample of any sensor, s."""
        ends = [s.time_s[-1] for s in self.imus.values() if len(s.time_s)]
        return float(max(ends)) if ends else 0.0
