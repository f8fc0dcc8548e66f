"""Where the skeleton is: translations of its joint to ground, from standing feet and the strides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import angle_between
from gait_twin.twin.model import Sole
from gait_twin.twin.reconciliation import Reconciliation
from gait_twin.twin.root import RootTracker
from gait_twin.twin.skeleton import Skeleton

FloatArray = NDArray[np.float64]


class Place:
    """Moves a posed skeleton so that the standing foot stays where it is, and the way is the strides'.

    Parameters
    ----------
    skeleton
        The model; left in another pose.
    pelvis
        Its body on the joint to ground.
    translations
        Indices of that joint's translations.
    feet
        Soles of the right and the left foot; without them the skeleton stays in place.
    thighs
        Bodies that begin at the hips.

    Attributes
    ----------
    columns
        (t, 3) what the translations are for a place of the pelvis.
    tracker, strides
        What the feet tell, and what the step estimator's strides do.
    leg_m
        From the hips to the ground in the model's default pose, m; 0 without feet or thighs.
    points
        (4, 3) heel right, ball right, heel left, ball left in OpenSim's ground, m; None while not known.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        pelvis: str,
        translations: Sequence[int],
        feet: Sequence[Sole],
        thighs: Sequence[str] = (),
    ) -> None:
        self._skeleton, self._pelvis, self._feet = skeleton, pelvis, feet
        self._translations = list(translations)
        # how translational coordinates move the pelvis: constant for any sensible joint to ground
        skeleton.set(skeleton.default)
        rows = skeleton.jacobian_rows([pelvis])[0, 3:]
        self.columns = np.linalg.pinv(skeleton.jacobian()[rows][:, self._translations])
        values = skeleton.default.copy()
        values[self._translations] = 0.0
        skeleton.set(values)
        self._origin = skeleton.origins([pelvis])[0]
        self.leg_m = 0.0
        if thighs and feet:
            soles = [skeleton.stations(foot.body, foot.points)[:, 1] for foot in feet]
            self.leg_m = float(skeleton.origins(thighs)[:, 1].mean() - np.mean(soles))
        self.tracker = RootTracker()
        self.strides = Reconciliation()
        self.reset()

    def reset(self) -> None:
        """Start again above the origin."""
        self.tracker.reset()
        self.strides.reset()
        self.points: FloatArray | None = None
        self._quats: FloatArray | None = None
        self._rates = np.zeros(2)
        self._last = self._skeleton.default[self._translations]

    def hold(self) -> None:
        """What comes does not follow what was: stand still, and go on from here."""
        self.tracker.hold()
        self.strides.break_off()
        self.points = self._quats = None

    def update(self, time_s: float, elapsed_s: float, values: FloatArray, *, known: bool) -> FloatArray:
        """(m,) coordinates of one frame with the translations set.

        Parameters
        ----------
        time_s, elapsed_s
            Instant, and time since the frame before; any number after `hold`, s.
        values
            (m,) coordinates, in whose pose the skeleton is.
        known
            The pose is measured well enough to walk on it.
        """
        if not (known and self._feet):
            self.hold()
        else:
            self._last = self.columns @ (self._walk(time_s, elapsed_s) - self._origin)
        values = values.copy()
        values[self._translations] = self._last
        return values

    def _walk(self, time_s: float, elapsed_s: float) -> FloatArray:
        """(3,) place of the pelvis in OpenSim's ground, m."""
        skeleton, tracker = self._skeleton, self.tracker
        quats = skeleton.quaternions([foot.body for foot in self._feet])
        if self._quats is not None:
            # averaged over about three frames: orientations of cheap sensors tremble
            rates = angle_between(self._quats, quats) / elapsed_s
            self._rates = self._rates + (rates - self._rates) / 3.0
            x, z = self.strides.move(time_s, elapsed_s)
            tracker.place = tracker.place + np.array([x, 0.0, z])
        self._quats = quats
        tracker.scale = self.strides.scale
        pelvis = skeleton.origins([self._pelvis])[0]
        points = np.concatenate([skeleton.stations(foot.body, foot.points) for foot in self._feet]) - pelvis
        place = tracker.update(time_s, points, self._rates)
        self.points = points + place
        self.strides.note(time_s, self.points.reshape(2, 2, 3).mean(axis=1)[:, [0, 2]])
        return place
