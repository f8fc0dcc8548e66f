"""One sensor's stream: what arrives in any order and shape becomes clean samples, then values on the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import SlotStatus
from gait_twin.sensing.accelerometer import Accelerometer
from gait_twin.sensing.health import SensorHealth
from gait_twin.sensing.orientation import LONG_INTERVAL, OrientationFilter, angular_rate, differences
from gait_twin.sensing.resampling import (
    ACC,
    COLUMNS,
    EPOCH,
    GYR,
    LIMIT,
    MAG,
    QUAT,
    STATUS,
    TIME,
    TIME_TOLERANCE_S,
    on_grid,
    reach,
)
from gait_twin.sensing.settings import HubSettings

FloatArray = NDArray[np.float64]

CONFIRM_SAMPLES = 3
"""So many samples must agree on a time stamp before it is believed to be a clock's jump, not a stray value."""
FIRST_INTERVALS, INTERVALS = 16, 256
"""The sampling period is the median of the first, and then of every further so many intervals."""
ACC_LIMIT_MPS2, GYR_LIMIT_RADPS = 5e3, 500.0
"""No sensor on a person measures more (500 g, 80 turns/s): such values are transmission errors."""


@dataclass(slots=True)
class StreamReport:
    """Counters of one sensor's stream.

    Attributes
    ----------
    received
        Samples pushed.
    invalid
        Samples left out because a time, acceleration or angular rate was NaN or impossible.
    duplicate, disordered
        Samples left out because their time was already there, or had been passed.
    faulty
        Samples left out because the sensor was not in order (`SensorHealth`).
    off_clock
        Samples left out because their time stamps do not fit the other sensors' clock.
    late
        Samples that came after their frames had gone out without them.
    gaps
        Times that samples were missing (intervals above 1.75 sampling periods).
    clock_jumps
        Times that this sensor's clock jumped.
    rate_hz
        Measured sampling rate, Hz; NaN until 17 samples came.
    """

    received: int = 0
    invalid: int = 0
    duplicate: int = 0
    disordered: int = 0
    faulty: int = 0
    off_clock: int = 0
    late: int = 0
    gaps: int = 0
    clock_jumps: int = 0
    rate_hz: float = float("nan")


class SensorStream:
    """Samples of one segment's sensor on their way to the grid.

    `take` moves what was pushed onto the timeline until it meets time stamps that leap; the hub, which sees
    all sensors, decides what these are (`astray`) and calls `join` or `drop`.
    """

    def __init__(self, segment: str, settings: HubSettings) -> None:
        self.segment = segment
        self.report = StreamReport()
        self.health = SensorHealth(segment, settings)
        self.last_time_s: float | None = None
        self._accelerometer, self._gyro_bias = Accelerometer(), np.zeros(3)
        self._from_device = False
        self._quat_seen = False
        self._settings = settings
        self._filter = OrientationFilter(settings.max_gap_s, settings.settle_time_s, settings.use_magnetometer)
        self._pending: list[FloatArray] = []
        self._waiting = np.empty((0, COLUMNS))
        self._gyro_derived: bool | None = None
        self._uncooked = np.empty((0, COLUMNS))  # joined, but the period or the next orientation is awaited
        self._previous: FloatArray | None = None
        self._intervals: list[float] = []
        self._period_s = float("nan")
        self._last_cooked_s = float("nan")
        self.table = np.empty((0, COLUMNS))
        self.astray = False
        self.emitted_until_s = -np.inf
        """Last grid instant that has gone out, s; set by the hub."""

    def correct(self, accelerometer: Accelerometer, gyro_bias_radps: tuple[float, float, float]) -> None:
        """Right the samples from now on, on top of what is righted already."""
        self._accelerometer = accelerometer.after(self._accelerometer)
        self._gyro_bias = self._gyro_bias + gyro_bias_radps
        self._filter.shift_bias(np.array(gyro_bias_radps))

    @property
    def correction(self) -> tuple[Accelerometer, FloatArray]:
        """What the samples are righted by: accelerometer, and gyroscope's bias (3,), rad/s."""
        return self._accelerometer, self._gyro_bias

    # ---- intake

    def push(
        self,
        time_s: FloatArray,
        acc: FloatArray,
        gyr: FloatArray | None,
        quat: FloatArray | None,
        mag: FloatArray | None,
    ) -> None:
        """Keep a block for the next `take`; see `SensorHub.push`."""
        time = np.atleast_1d(np.asarray(time_s, dtype=float))
        rows = np.full((len(time), COLUMNS), np.nan)
        rows[:, TIME] = time
        for name, columns, width, values in (
            ("acc", ACC, 3, acc), ("gyr", GYR, 3, gyr), ("quat", QUAT, 4, quat), ("mag", MAG, 3, mag),
        ):  # fmt: skip
            if values is None:
                continue
            values = np.asarray(values, dtype=float)
            if time.ndim != 1 or values.reshape(-1).shape != (len(time) * width,):
                raise InputError(
                    f"{self.segment}: {name} has shape {values.shape} for {time.shape} times; give (m, {width})."
                )
            rows[:, columns] = values.reshape(len(time), width)
        if gyr is None and quat is None:
            raise InputError(
                f"{self.segment}: neither angular rate nor orientation; a sensor must send one of the two."
            )
        if self._gyro_derived is None:
            self._gyro_derived = gyr is None
            self._from_device = quat is not None and self._settings.use_device_orientation
        self.report.received += len(rows)
        self._pending.append(rows)

    def take(self) -> None:
        """Move pushed rows onto the timeline, up to time stamps that do not continue it."""
        if self._pending:
            rows = self._pending[0] if len(self._pending) == 1 else np.vstack(self._pending)
            self._pending.clear()
            good = self._sane(rows)
            self.report.invalid += len(rows) - int(np.count_nonzero(good))
            if not good.all():
                self.health.refused(rows[~good, TIME])
            self._waiting = _after(self._waiting, rows[good])
        if self.astray or not len(self._waiting):
            return
        time, jump = self._waiting[:, TIME], self._settings.clock_jump_s
        steps = differences(time, np.nan if self.last_time_s is None else self.last_time_s)
        if np.all((steps > TIME_TOLERANCE_S) & (steps <= jump)):
            self._accept(self._waiting)
            self._waiting = self._waiting[:0]
            return
        self._take_disturbed()

    def _sane(self, rows: FloatArray) -> NDArray[np.bool_]:
        """Which rows can be used; normalises orientations on the way."""
        acc, gyr, quat = np.abs(rows[:, ACC]), np.abs(rows[:, GYR]), rows[:, QUAT]
        good = np.isfinite(rows[:, TIME]) & np.all(acc <= ACC_LIMIT_MPS2, axis=1)
        norm = np.linalg.norm(quat, axis=1)
        whole = (norm > 0.5) & (norm < 2.0)
        quat[whole] /= norm[whole, None]
        quat[~whole] = np.nan
        if self._gyro_derived:
            return np.asarray(good & whole)
        return np.asarray(good & np.all(gyr <= GYR_LIMIT_RADPS, axis=1))

    def _take_disturbed(self) -> None:
        """`take`, sample by sample, where stamps repeat, go backwards or leap."""
        jump = self._settings.clock_jump_s
        last = self.last_time_s
        accepted: list[int] = []
        stray: list[int] = []
        for i, t in enumerate(self._waiting[:, TIME].tolist()):
            if last is not None and abs(t - last) <= jump:
                if t - last > TIME_TOLERANCE_S:
                    accepted.append(i)
                    last = t
                    self.report.off_clock += len(stray)  # the clock was right, those stamps were not
                    stray.clear()
                elif last - t <= TIME_TOLERANCE_S:
                    self.report.duplicate += 1
                else:
                    self.report.disordered += 1
                continue
            if stray:
                step = t - float(self._waiting[stray[-1], TIME])
                if abs(step) > jump:
                    self.report.off_clock += len(stray)
                    stray.clear()
                elif step <= TIME_TOLERANCE_S:
                    self.report.duplicate += abs(step) <= TIME_TOLERANCE_S
                    self.report.disordered += step < -TIME_TOLERANCE_S
                    continue
            stray.append(i)
            if len(stray) == CONFIRM_SAMPLES:
                self.astray = True
                stray += range(i + 1, len(self._waiting))
                break
        self._accept(self._waiting[accepted])
        self._waiting = self._waiting[stray]

    @property
    def stray_from_s(self) -> float:
        """First time stamp of the samples that do not continue the timeline, s."""
        return float(self._waiting[0, TIME])

    @property
    def stray_for_s(self) -> float:
        """Time that those samples cover without a further leap, s."""
        steps = np.diff(self._waiting[:, TIME])
        whole = np.abs(steps) <= self._settings.clock_jump_s
        return float(steps[: int(np.argmin(whole)) if not whole.all() else None].sum())

    def join(self, jumped: bool) -> None:
        """Go on with the samples that were astray."""
        self.report.clock_jumps += jumped
        self.astray = False
        self._accept(self._waiting[:1])
        self._waiting = self._waiting[1:]
        self.take()

    def drop(self) -> None:
        """Leave out the samples that were astray."""
        self.report.off_clock += len(self._waiting)
        self._waiting = self._waiting[:0]
        self.astray = False

    def leave_timeline(self) -> None:
        """Forget the clock: the hub begins a new timeline."""
        self.last_time_s = None
        self._uncooked = self._uncooked[:0]
        self._previous = None
        self.table = self.table[:0]

    # ---- samples

    def _accept(self, rows: FloatArray) -> None:
        """Take rows in strictly increasing time; cut only where the counted period estimate changes."""
        if not len(rows):
            return
        self.last_time_s = float(rows[-1, TIME])
        self.report.late += int(np.count_nonzero(rows[:, TIME] < self.emitted_until_s - TIME_TOLERANCE_S))
        self._uncooked = _after(self._uncooked, rows)
        self._cook()

    def _cook(self) -> None:
        rows = self._uncooked
        if self._gyro_derived:
            rows, self._uncooked = self._derive(rows)
        else:
            self._uncooked = rows[:0]
        while len(rows):
            wanted = (FIRST_INTERVALS if np.isnan(self._period_s) else INTERVALS) - len(self._intervals)
            part, rows = rows[: max(wanted, 1)], rows[max(wanted, 1) :]
            intervals = differences(part[:, TIME], self._last_cooked_s)
            self._last_cooked_s = float(part[-1, TIME])
            self._to_table(part, intervals)
            self._intervals += intervals[intervals > 0.0].tolist()
            if len(self._intervals) >= (FIRST_INTERVALS if np.isnan(self._period_s) else INTERVALS):
                # a device that sends only NaN for its orientation has none
                self._from_device &= self._quat_seen
                self._period_s = float(np.median(self._intervals))
                self._intervals.clear()
                self.report.rate_hz = 1.0 / self._period_s

    def _derive(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Fill the angular rate of all rows but the last, which awaits its successor; drop those without one."""
        if len(rows) < 2:
            return rows[:0], rows
        both = rows if self._previous is None else np.vstack([self._previous, rows])
        rate = angular_rate(both[:, TIME], both[:, QUAT], self._settings.max_gap_s)
        done, rest = rows[:-1].copy(), rows[-1:]
        done[:, GYR] = rate[len(rate) - len(rows) : -1]
        self._previous = done[-1:].copy()
        return done[np.isfinite(done[:, GYR]).all(axis=1)], rest

    def _to_table(self, rows: FloatArray, intervals: FloatArray) -> None:
        settings = self._settings
        out, status = rows.copy(), np.zeros(len(rows), np.int64)
        out[:, ACC] = self._accelerometer(rows[:, ACC])
        if not self._gyro_derived:
            out[:, GYR] -= self._gyro_bias
        if self._from_device:
            whole = np.isfinite(rows[:, QUAT]).all(axis=1)
            self._quat_seen |= bool(whole.any())
            status |= np.where(whole, int(SlotStatus.ORIENTED), 0)
            out[:, EPOCH] = 0
        elif np.isnan(self._period_s):
            out[:, QUAT], out[:, EPOCH] = np.nan, self._filter.epoch
        else:
            quat, settled, epoch = self._filter.update(
                rows[:, TIME], out[:, ACC], out[:, GYR], rows[:, MAG], self._period_s
            )
            out[:, QUAT], out[:, EPOCH] = quat, epoch
            status |= np.where(settled, int(SlotStatus.ORIENTED), 0)
        saturated = (np.abs(rows[:, ACC]) >= settings.acc_range_mps2).any(axis=1)
        if self._gyro_derived:
            status |= int(SlotStatus.GYRO_DERIVED)
        else:
            saturated |= (np.abs(rows[:, GYR]) >= settings.gyr_range_radps).any(axis=1)
        status |= np.where(saturated, int(SlotStatus.SATURATED), 0)
        faulty = ~self.health.judge(rows[:, :7])
        if faulty.any():
            # the orientation filter has seen them, for it must know all that happened; nobody else shall
            self.report.faulty += int(np.count_nonzero(faulty))
            out[faulty, 1:7] = np.nan
        out[:, STATUS] = status
        out[:, LIMIT] = LONG_INTERVAL * self._period_s
        self.report.gaps += int(np.count_nonzero(intervals > LONG_INTERVAL * self._period_s))
        self.table = np.vstack([self.table, out])

    # ---- grid

    @property
    def shares_earth_frame(self) -> bool:
        """True when orientations are in an earth frame that all such sensors may share."""
        return self._from_device or self._filter.points_north

    def ready_until_s(self) -> float:
        """Latest grid instant for which all that it needs is there, s."""
        if not len(self.table):
            return -np.inf
        return float(self.table[-1, TIME] - self.reach_s + TIME_TOLERANCE_S)

    @property
    def reach_s(self) -> float:
        """How far beyond a grid instant the samples lie that it needs, s."""
        return float(reach(self.table[-1, LIMIT], 1.0 / self._settings.frame_rate_hz)) if len(self.table) else 0.0

    def on_grid(self, grid_s: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
        """Values and status at grid instants, see `resampling.on_grid`."""
        return on_grid(self.table, grid_s, self._settings.frame_rate_hz, self._settings.max_gap_s)

    def forget(self, before_s: float) -> None:
        """Let go of samples that no grid instant from `before_s` on needs."""
        keep_from = before_s - 1.0 / self._settings.frame_rate_hz - TIME_TOLERANCE_S
        first = int(np.searchsorted(self.table[:, TIME], keep_from)) - 2
        if first > 0:
            self.table = self.table[first:]


def _after(rows: FloatArray, more: FloatArray) -> FloatArray:
    """Rows and those that follow them; mostly there are none before."""
    return np.vstack([rows, more]) if len(rows) else more
