"""Sensor-to-segment calibration: standing gives the inclination of each sensor, walking its heading.

With q(t) the sensor's orientation, q0 that in quiet standing, psi the angle of the person's forward
direction in the sensor's own world while standing, C the standing orientation of every body (OpenSim axes in
the z-up world) and phi the person's heading at that standing (0 for the first one)::

    body(t) = Rz(phi - psi) q(t) q0^-1 Rz(psi) C
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording import SlotStatus
from gait_twin.recording.axes import (
    OPENSIM_TO_ROS_QUAT_WXYZ,
    quat_about_z,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
)
from gait_twin.sensing.calibration import Calibration, SegmentCalibration, open_points
from gait_twin.sensing.facing import Facing
from gait_twin.sensing.heading import HeadingEstimate, is_enough, pooled, sideways_lean
from gait_twin.sensing.memory import FrameMemory
from gait_twin.sensing.orientation import heading_of
from gait_twin.sensing.settings import HubSettings
from gait_twin.sensing.standing import GRAVITY_MPS2, Stillness, mean_orientation, stillness
from gait_twin.sensing.trunk import SET_OFF_STILL_S, shared_heading
from gait_twin.sensing.walking import TRUNK, Walking

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

EVERY_S = 0.1
"""Standing is looked for, and realignment judged, so often, s; walking five times less often."""
MEMORY_S = 20.0
"""Walking is remembered so long for the heading, s."""
AGAIN_S = 2.0
"""A forward direction that is known is looked at again so often while strides are few, s."""
ALMOST_S = 3.0
"""All sensors but one still for so long: the one is left out, s."""
TILT_DEG = 5.0
"""Over some strides the mean specific force is vertical to within this, degrees."""
LEAN_DEG = 12.0
"""Shanks and thighs of healthy walkers lean sideways less than this in the mean, degrees."""
SYSTEMATIC_RAD = np.radians(8.0)
"""Spread of single segments' forward directions about the body's (toe-out, soft tissue)."""


class BodyCalibrator:
    """Finds the calibration on the hub's frames and applies it to them; each frame sees only its past.

    Parameters
    ----------
    segments, settings
        Of the hub.
    given
        What is known already of some segments' sensors: how they sit on them (`sensor_to_segment_wxyz`).
    """

    def __init__(
        self, segments: tuple[str, ...], settings: HubSettings, given: Mapping[str, SegmentCalibration] | None = None
    ) -> None:
        k = len(segments)
        self._segments, self._settings = segments, settings
        self._rate_hz = settings.frame_rate_hz
        self._every = max(1, round(EVERY_S * self._rate_hz))
        self._rest_frames = max(2, round(settings.rest_time_s * self._rate_hz))
        self._memory = FrameMemory(max(self._rest_frames, round(MEMORY_S * self._rate_hz)), k)
        self._forward = settings.forward_axes()
        self._found: dict[str, SegmentCalibration] = {s: SegmentCalibration() for s in segments}
        self._static_inverse = np.tile([1.0, 0.0, 0.0, 0.0], (k, 1))
        self._facing, self._phi = Facing(k, self._rate_hz), np.zeros(k)
        self._scale = np.ones(k)
        self._calibrated, self._adrift = np.zeros(k, bool), np.zeros(k, bool)
        self._epoch = np.full(k, np.nan)
        self._shared = np.zeros(k, bool)
        self._sent, self._own_heading = self._shared, False
        self._seen = np.zeros(k, bool)
        self._restless = np.zeros(k, int)
        self._almost = 0
        self._frames = 0
        self._first_s = float("nan")
        self._rest_s = (float("nan"), float("nan"))
        self._remarks: dict[str, str] = {}
        self._given = {i: given[s] for i, s in enumerate(segments) if given and s in given}

    # ---- streaming

    def new_timeline(self) -> None:
        """The next frames do not follow the last ones in time."""
        self._memory.clear()
        self._almost = 0

    def update(
        self, time_s: FloatArray, values: FloatArray, status: NDArray[np.int64], shared: BoolArray
    ) -> FloatArray:
        """Body orientations of n consecutive frames; sets CALIBRATED and HEADING in `status`.

        Parameters
        ----------
        time_s, values, status
            (n,), (n, k, 11) as `SensorStream.on_grid` gives, (n, k).
        shared
            (k,) orientation is in an earth frame that such sensors share.

        Returns
        -------
        (n, k, 4); NaN before calibration.
        """
        body = np.empty((*status.shape, 4))
        self._sent, self._shared = shared, shared & (not self._own_heading)
        if len(time_s) and np.isnan(self._first_s):
            self._first_s = float(time_s[0])
        i = 0
        while i < len(time_s):
            j = min(len(time_s), i + self._every - self._frames % self._every)
            rows = slice(i, j)
            self._watch_gaps(time_s[rows], values[rows])
            body[rows] = self._apply(values[rows], status[rows])
            self._memory.append(time_s[rows], values[rows], status[rows])
            self._frames += j - i
            if self._frames % self._every == 0:
                self._look()
            i = j
        return body

    def _apply(self, values: FloatArray, status: NDArray[np.int64]) -> FloatArray:
        psi, there = self._facing.applied(self._frames + 1 + np.arange(len(values))[:, None])
        left = quat_about_z(self._phi - psi)
        right = quat_multiply(quat_multiply(self._static_inverse, quat_about_z(psi)), OPENSIM_TO_ROS_QUAT_WXYZ)
        body = quat_multiply(left, quat_multiply(values[..., 6:10], right))
        body[:, ~self._calibrated] = np.nan
        oriented = (status & int(SlotStatus.ORIENTED)) != 0
        status |= np.where(oriented & self._calibrated, int(SlotStatus.CALIBRATED), 0)
        known = oriented & self._calibrated & self._facing.known & ~self._adrift & there
        status |= np.where(known, int(SlotStatus.HEADING), 0)
        return body

    def _look(self) -> None:
        self._facing.settle(self._frames)
        self._seen |= np.isfinite(self._memory.values(self._every)[..., 0]).any(axis=0)
        if self._given:
            self._take_given()
        if not self._calibrated[self._seen].all():
            self._look_for_standing()
        if self._adrift.any():
            self._realign()
        if self._frames % (5 * self._every) == 0:
            improve = self._frames % (round(AGAIN_S / EVERY_S) * self._every) == 0
            unknown = self._calibrated & ~self._facing.known
            wanted = unknown | (self._calibrated & ~self._facing.final) if improve else unknown
            if wanted.any():
                self._look_for_walking(wanted)

    # ---- a calibration that is known

    def _take_given(self) -> None:
        """Apply known places on segments: at once, and with the mean heading of a second for good.

        The rotation from sensor to segment is known whole. What is found here is where forward lies in the sensor's
        own world: the person faces it meanwhile, standing or walking, as the segments known before do.
        """
        n = max(2, round(self._rate_hz))
        status, values = self._memory.status(n), self._memory.values(n)
        settled = ((status & int(SlotStatus.ORIENTED)) != 0).all(axis=0) & (len(status) == n)
        psi: dict[int, float] = {}
        for i, given in self._given.items():
            quat = values[np.isfinite(values[:, i, 6]), i, 6:10]
            if len(quat):
                # the turn since a neutral standing that faced x of the sensor's world
                neutral = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, given.sensor_to_segment_wxyz)
                faced = _mean_angle(heading_of(quat_multiply(quat, quat_conjugate(neutral))))
                others = self._heading_of_others(i, n) if self._facing.known.any() else 0.0
                psi[i] = faced - (0.0 if np.isnan(others) else others)
        together = [i for i in psi if self._shared[i]]
        if together:
            known = np.flatnonzero(self._facing.known & self._shared)
            one = (
                self._facing.angle_rad[known[0]] - self._phi[known[0]]
                if len(known)
                else _mean_angle([psi[i] for i in together])
            )
            psi |= dict.fromkeys(together, float(one))
        for i, angle in psi.items():
            name, given = self._segments[i], self._given[i]
            neutral = quat_multiply(OPENSIM_TO_ROS_QUAT_WXYZ, given.sensor_to_segment_wxyz)
            self._static_inverse[i] = quat_conjugate(quat_multiply(quat_about_z(angle), neutral))
            self._facing.set_to(i, angle)
            self._phi[i], self._epoch[i] = 0.0, values[-1, i, 10]
            if not self._calibrated[i]:
                self._calibrated[i] = True
                start_s = float(self._memory.time(1)[0])
                self._found[name] = replace(given, calibrated=True, rest_start_s=start_s, heading_known=False)
        for i in [i for i in psi if settled[i]]:
            sd = float(np.radians(self._given.pop(i).heading_sd_deg))
            self._set_heading(i, HeadingEstimate(float(self._facing.angle_rad[i]), sd, 0), "file")

    # ---- standing

    def _look_for_standing(self) -> None:
        n, settings = self._rest_frames, self._settings
        time = self._memory.time(n)
        if len(time) < n:
            return
        start = float(time[0])
        by_hand = settings.rest_at_s >= 0.0 and not self._calibrated.any()
        if by_hand and start < self._first_s + settings.rest_at_s - 0.5 / self._rate_hz:
            return
        values, status = self._memory.values(n), self._memory.status(n)
        found = stillness(values[..., :3], values[..., 3:6], (status & int(SlotStatus.ORIENTED)) != 0)
        moving = found.present & ~found.still
        self._restless[moving] += 1
        self._almost = self._almost + 1 if moving.sum() <= (1 if found.present.sum() >= 3 else 0) else 0
        quiet = found.present.any() and not moving.any()
        if by_hand:
            # the person vouches for this instant
            chosen = found.present
        elif quiet or self._almost * EVERY_S >= ALMOST_S:
            chosen = found.gravity_ok
        else:
            return
        for i in np.flatnonzero(chosen & ~self._calibrated).tolist():
            self._stand(i, start, float(time[-1]), values[:, i], found)
        self._share_heading()
        for i in np.flatnonzero(found.still & ~found.gravity_ok & ~self._calibrated).tolist():
            self._remarks[self._segments[i]] = (
                f"{self._segments[i]} shows {found.gravity_mps2[i]:.1f} m/s^2 at rest instead of 9.8 and stays "
                "uncalibrated: check its unit and range."
            )
        if by_hand and moving.any():
            names = ", ".join(np.array(self._segments)[moving])
            self._remarks["given"] = f"In the standing given at {start:.2f} s these sensors moved: {names}."

    def _stand(self, i: int, start_s: float, end_s: float, values: FloatArray, found: Stillness) -> None:
        mean, spread = mean_orientation(values[:, 6:10])
        name = self._segments[i]
        first = not self._calibrated.any() or start_s == self._rest_s[0]
        if np.isnan(self._rest_s[0]):
            self._rest_s = (start_s, end_s)
        self._phi[i] = 0.0 if first else self._heading_of_others(i, self._rest_frames)
        self._static_inverse[i] = quat_conjugate(mean)
        self._scale[i] = found.gravity_mps2[i] / GRAVITY_MPS2
        self._calibrated[i] = True
        self._epoch[i] = values[-1, 10]
        self._remarks.pop(name, None)
        if not first and start_s > self._rest_s[1]:
            self._remarks[name] = f"{name} was calibrated in a later standing, at {start_s:.1f} s."
        force, bias = np.nanmean(values[:, :3], axis=0), np.nanmean(values[:, 3:6], axis=0)
        self._found[name] = SegmentCalibration(
            True, start_s, float(np.degrees(spread)), float(found.gravity_mps2[i]),
            (float(force[0]), float(force[1]), float(force[2])), (float(bias[0]), float(bias[1]), float(bias[2])),
        )  # fmt: skip
        if name in self._forward:
            x, y, _ = quat_rotate(mean, self._forward[name])
            if np.hypot(x, y) < 0.5:
                self._remarks[f"mounting {name}"] = (
                    f"The mounting of {name} names an axis that is nearly vertical in standing; "
                    "its forward direction is found from walking instead."
                )
            else:
                self._facing.set_to(i, float(np.arctan2(y, x)))
                self._set_heading(i, HeadingEstimate(float(np.arctan2(y, x)), 0.0, 0), "mounting")

    def _share_heading(self) -> None:
        """Sensors in one earth frame have one heading: whoever knows it tells the rest."""
        known = np.flatnonzero(self._calibrated & self._facing.known & self._shared)
        for i in np.flatnonzero(self._calibrated & ~self._facing.known & self._shared).tolist() if len(known) else []:
            like = int(known[0])
            angle = float(self._facing.angle_rad[like] - self._phi[like] + self._phi[i])
            sd = float(np.radians(self._found[self._segments[like]].heading_sd_deg))
            self._set_heading(i, HeadingEstimate(angle, sd, 0), "shared")
            self._facing.final[i] = self._facing.final[like]

    # ---- walking

    def _set_heading(self, i: int, estimate: HeadingEstimate, source: str) -> None:
        self._facing.turn_to(i, estimate.angle_rad, self._frames)
        self._facing.known[i] = True
        name = self._segments[i]
        x, y, z = quat_rotate(self._static_inverse[i], [np.cos(estimate.angle_rad), np.sin(estimate.angle_rad), 0.0])
        self._found[name] = replace(
            self._found[name],
            heading_known=True,
            forward=(float(x), float(y), float(z)),
            heading_deg=float(np.degrees(np.angle(np.exp(1j * estimate.angle_rad)))),
            heading_sd_deg=float(np.degrees(estimate.sd_rad)),
            heading_from=source,
        )

    def _look_for_walking(self, wanted: BoolArray) -> None:
        time = self._memory.time(None)
        # with the end of the standing, from which the person sets off
        rest_s = max(0.0, self._settings.rest_time_s - SET_OFF_STILL_S)
        since = max(f.rest_start_s for f in self._found.values() if f.calibrated) + rest_s
        values = self._memory.values(None)[np.searchsorted(time, since) :]
        unknown = self._calibrated & ~self._facing.known
        estimates: dict[int, HeadingEstimate] = {}
        # legs first, then what moves along with them
        for i in sorted(np.flatnonzero(wanted).tolist(), key=self._order):
            estimate = self._along_with_neighbours(i, values) or self._walking(i, values).heading()
            if estimate is None:
                continue
            estimates[i] = estimate
            if not self._shared[i]:
                enough = is_enough(estimate, self._is_trunk(i), self._settings.heading_strides)
                if enough and self._facing.fits(i, estimate.angle_rad):
                    self._set_heading(i, estimate, "walking")
                    self._facing.final[i] = estimate.cycles >= self._settings.heading_best_strides
                elif not self._facing.known[i]:
                    self._facing.turn_to(i, estimate.angle_rad, self._frames)  # provisional until there is enough
        self._pool(estimates, wanted)
        for i in np.flatnonzero(unknown & self._facing.known).tolist():
            self._judge_standing(i, values[:, i])

    def _pool(self, estimates: dict[int, HeadingEstimate], wanted: BoolArray) -> None:
        """One heading for the sensors of a shared earth frame."""
        together = [i for i in estimates if self._shared[i] and estimates[i].sd_rad < np.radians(20.0)]
        wanted = wanted & self._shared
        if not together:
            return
        now = [replace(estimates[i], angle_rad=estimates[i].angle_rad - self._phi[i]) for i in together]
        pool, agree = pooled(now, SYSTEMATIC_RAD)
        precise = np.array([e.sd_rad < np.radians(12.0) for e in now])
        if np.count_nonzero(precise & ~agree) >= max(1.0, np.count_nonzero(precise) / 3.0):
            if not self._facing.known[wanted].all():
                self._own_heading = True
                self._remarks["own heading"] = (
                    "The devices' orientations have no common heading, as of devices without magnetometer; the "
                    "heading of each was found by itself."
                )
            return
        provisional = np.flatnonzero(wanted & ~self._facing.known)
        self._facing.turn_to(provisional, pool.angle_rad + self._phi[provisional], self._frames)
        legs = [i for i in together if not self._is_trunk(i)]
        swings = sum(estimates[i].cycles for i in legs) if legs else pool.cycles
        enough = agree.sum() >= min(3, wanted.sum()) and swings >= max(3, len(legs) * self._settings.heading_strides)
        if enough and agree.mean() > 0.6 and pool.sd_rad < np.radians(6.0 if agree.sum() > 2 else 10.0):
            for i in np.flatnonzero(wanted).tolist():
                angle = float(pool.angle_rad + self._phi[i])
                if self._facing.fits(i, angle):
                    self._set_heading(i, replace(pool, angle_rad=angle), "shared")
                    self._facing.final[i] = swings >= len(legs) * self._settings.heading_best_strides

    def _judge_standing(self, i: int, values: FloatArray) -> None:
        """Check on some strides what standing could not show: the mean force points up, the mean leg is straight."""
        name = self._segments[i]
        up = np.nanmean(quat_rotate(values[:, 6:10], values[:, :3]), axis=0)
        tilt = np.degrees(np.arctan2(np.hypot(up[0], up[1]), up[2]))
        if self._sent[i] and tilt > TILT_DEG:
            self._remarks[f"tilt {name}"] = (
                f"The orientation that the device on {name} sends is {tilt:.0f} degrees off gravity; switch "
                "use_device_orientation off to have it estimated here."
            )
        turn = quat_multiply(values[:, 6:10], self._static_inverse[i])
        lean = np.degrees(sideways_lean(turn, values[:, 3:6], self._facing.angle_rad[i]))
        if name.startswith(("femur", "tibia")) and abs(lean) > LEAN_DEG:
            self._remarks[f"lean {name}"] = (
                f"In walking, {name} leans {abs(lean):.0f} degrees to the {'left' if lean > 0 else 'right'} against "
                "the standing: that was not the neutral pose (feet apart, weight on one leg?) or the sensor slipped; "
                "frontal-plane angles are off by as much, so stand straight and calibrate again."
            )

    def _order(self, i: int) -> int:
        return TRUNK.index(self._segments[i]) + 1 if self._is_trunk(i) else 0

    def _along_with_neighbours(self, i: int, values: FloatArray) -> HeadingEstimate | None:
        """Forward direction of a trunk's sensor by the accelerations of thighs or pelvis, where theirs is known."""
        names = {"pelvis": ("femur_r", "femur_l"), "torso": ("pelvis",)}.get(self._segments[i], ())
        near = [self._segments.index(name) for name in names if name in self._segments]
        if self._shared[i] or not near or not self._facing.known[near].all() or self._adrift[near].any():
            return None
        accelerations, levers = [], []
        for j in near:
            ahead = np.exp(1j * (self._phi[j] - self._facing.angle_rad[j]))
            walking = self._walking(j, values)
            x, y, _ = walking.acceleration().T
            accelerations.append((x + 1j * y) * ahead)
            x, y, _ = walking.lever().T if names[0] == "femur_r" else np.zeros((3, len(values)))
            levers.append((x + 1j * y) * ahead)
        found = shared_heading(
            self._walking(i, values).acceleration(),
            np.mean(accelerations, axis=0),
            np.mean(levers, axis=0),
            self._rate_hz,
        )
        return found and replace(found, angle_rad=found.angle_rad + float(self._phi[i]))

    def _is_trunk(self, i: int) -> bool:
        return self._segments[i] in TRUNK

    def _walking(self, i: int, values: FloatArray) -> Walking:
        return Walking(self._segments[i], values[:, i], self._static_inverse[i], float(self._scale[i]), self._rate_hz)

    # ---- gaps

    def _watch_gaps(self, time_s: FloatArray, values: FloatArray) -> None:
        """An orientation that started anew after a long gap has lost its heading against the others'."""
        epoch = values[..., 10]
        for i in np.flatnonzero(self._calibrated & ~self._shared).tolist():
            restarted = np.flatnonzero(epoch[:, i] > self._epoch[i])
            if len(restarted):
                name = self._segments[i]
                self._epoch[i] = np.nanmax(epoch[:, i])
                self._adrift[i] = True
                self._remarks[f"gap {name}"] = (
                    f"{name} was silent until {time_s[restarted[0]]:.2f} s; its heading is being aligned anew "
                    "to the other segments'."
                )

    def _realign(self) -> None:
        n = max(2, round(self._rate_hz))
        for i in np.flatnonzero(self._adrift).tolist():
            oriented = (self._memory.status(n)[:, i] & int(SlotStatus.ORIENTED)) != 0
            if len(oriented) < n or not oriented.all():
                continue
            own = self._mean_heading(i, n)
            others = self._heading_of_others(i, n)
            if np.isnan(others):
                others = own + self._phi[i]  # alone: there is nothing to align to
            self._phi[i] = others - own
            self._adrift[i] = False
            name = self._segments[i]
            self._remarks[f"gap {name}"] = (
                f"{name} lost its heading in a gap and was aligned to the other segments at "
                f"{self._memory.time(1)[0]:.1f} s."
            )

    def _mean_heading(self, i: int, n: int) -> float:
        """Mean heading of segment i since its standing, over the last n frames, rad."""
        turned = heading_of(quat_multiply(self._memory.values(n)[:, i, 6:10], self._static_inverse[i]))
        return _mean_angle(turned)

    def _heading_of_others(self, i: int, n: int) -> float:
        headings = [
            self._mean_heading(j, n) + self._phi[j]
            for j in np.flatnonzero(self._calibrated & ~self._adrift).tolist()
            if j != i and np.isfinite(self._memory.values(n)[:, j, 6]).any()
        ]
        return float(np.angle(np.mean(np.exp(1j * np.array(headings))))) if headings else float("nan")

    # ---- report

    @property
    def calibration(self) -> Calibration:
        """What was found so far."""
        missing = open_points(
            self._found,
            self._frames / self._rate_hz,
            self._settings.rest_time_s,
            {name: int(count) for name, count in zip(self._segments, self._restless, strict=True)},
            {name for name, seen in zip(self._segments, self._seen, strict=True) if seen},
            set(self._remarks),
        )
        forwards = quat_multiply(self._static_inverse, quat_about_z(self._facing.angle_rad))
        placed = quat_conjugate(quat_multiply(forwards, OPENSIM_TO_ROS_QUAT_WXYZ)).tolist()
        found = dict(self._found)
        for i in np.flatnonzero(self._calibrated).tolist():
            name = self._segments[i]
            found[name] = replace(found[name], sensor_to_segment_wxyz=tuple(placed[i]))
        return Calibration(found, *self._rest_s, (*self._remarks.values(), *missing))


def _mean_angle(angles: FloatArray | list[float]) -> float:
    """Mean direction, without NaN, rad."""
    return float(np.angle(np.nanmean(np.exp(1j * np.asarray(angles)))))
