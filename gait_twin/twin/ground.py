"""Ground reactions without force plates: what both feet must have got from the ground for the body to move so.

Newton's and Euler's law for the whole body give the sum of all external forces, and about where it acts. What
each foot takes of it is certain while one foot stands, and a matter of judgement while both do. Three
estimates, none of which needs a plate, are put together:

* The centre of pressure moves under the foot as the shank rolls over it: the roll-over shape of ankle and
  foot does not depend on speed (Hansen, Childress and Knox 2004, Clin Biomech 19:407-414). Here it is a
  smooth step along the sole over the shank's inclination, and on to the toes as the heel rises. While one foot
  stands, Euler's law tells it too; the lasting distance of both is shared between them.
* In double support the load passes to the foot in front along a curve in time, averaged with the share for
  which the feet's two centres of pressure balance the body's (the zero moment point; Dijkstra and
  Gutierrez-Farewik 2015, J Biomech 48:3776-3781).
* Seen from the side, each foot's force points to a spot above the mass centre (the virtual pivot point; Maus
  et al. 2010, Nat Commun 1:70); the fore-aft forces are the mean of this direction's and Newton's. Seen from
  behind, it is the sum of both that points to the mass centre, mixed with Newton's likewise, and the feet share
  it as they share the weight.

The way of the pressure, and how much Euler's law counts in it, were chosen on the walks of nine people over force
plates, the other constants on the first half of one person's; docs/twin.md has what 16 other people's walks say of
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.axes import cross
from gait_twin.twin.contact import ContactTracker
from gait_twin.twin.dynamics import InverseDynamics, Wrench
from gait_twin.twin.model import Sole
from gait_twin.twin.plates import Load

FloatArray = NDArray[np.float64]

PIVOT = 0.30
"""Height of the virtual pivot above the mass centre, fraction of the mass centre's height."""
AIM_SHARE = 0.5
LATERAL_AIM_SHARE = 0.5
"""Weight of the direction in the fore-aft and in the lateral force; the rest is Newton's."""
PRESSURE_MIDDLE, PRESSURE_REACH = 0.67, 0.36
"""Middle of the centre of pressure's way along the sole, from the heel, and half its length, in heel-to-ball
lengths."""
PRESSURE_TOES = 0.31
"""How far it goes on to the toes as the heel rises, in heel-to-ball lengths times the sine of the sole's pitch."""
PRESSURE_OUTWARD = 0.11
"""How far its way lies outward of the ankle's middle, in heel-to-ball lengths."""
ROLL_MIDDLE_RAD, ROLL_WIDTH_RAD = np.radians(8.6), np.radians(7.4)
"""Forward inclination of the shank over the middle of the way, and the scale of the step around it."""
EULER_SHARE = 0.2
"""How far the centre of pressure in single support follows the changes of the one from Euler's law."""
LASTING_SHARE = 0.6
"""How far it is moved by their lasting distance: both are about equally far off, from person to person."""
BEHIND, AHEAD = -0.1, 1.35
"""Ends of the sole, in heel-to-ball lengths from the heel."""
STEADY_SHARE = 0.5
"""Weight of a steady transfer of the load in its curve over double support; the rest is a cubic that starts and ends
at rest."""
BALANCE_SHARE = 0.5
"""Weight of the balance of pressures in the share of the feet; the rest is the curve in time."""
LEAN_S = 2.0
"""Memory for the mean distance between both estimates of the centre of pressure: it comes from where the model's
mass is (a trunk that leans or is not measured, another body shape), and from how the person rolls over the foot."""
LEAN_PRIOR_S = 0.2
"""Weight of no such distance at the start, as so many seconds of single support."""
GAP_S = 0.1
UP = np.array([0.0, 1.0, 0.0])
NEAR_M = 0.05
"""Distance of the two centres of pressure below which their balance tells no share."""
DOUBLE_SUPPORT_CONFIDENCE = 0.6
RESIDUAL = 0.1
"""Residual force, as a fraction of body weight, at which confidence is one half."""


@dataclass(frozen=True, slots=True)
class Reactions:
    """Ground reactions in OpenSim's ground axes; rows are the feet, in the order of the soles.

    Attributes
    ----------
    force, point
        (2, 3) N, and m on the ground; a foot in the air has zero force.
    share
        (2,) of the vertical load.
    residual_force, residual_moment
        (3,) of the whole body's wrench that the feet do not take, N, and N·m about the mass centre.
    confidence
        0 to 1, from the phase and the residual.
    torque
        (2, 3) beside the force, N·m: free moments, which only plates tell.
    forward
        (2, 3) where the feet point, level.
    measured, placed
        Which feet's forces are measured, and where they act.
    """

    force: FloatArray
    point: FloatArray
    share: FloatArray
    residual_force: FloatArray
    residual_moment: FloatArray
    confidence: float
    torque: FloatArray
    forward: FloatArray
    measured: tuple[bool, bool] = (False, False)
    placed: tuple[bool, bool] = (False, False)

    def wrenches(self, soles: list[Sole]) -> list[Wrench]:
        """What the inverse dynamics takes."""
        return [
            Wrench(sole.body, self.force[i], self.point[i], self.torque[i])
            for i, sole in enumerate(soles)
            if self.share[i]
        ]


class GroundPredictor:
    """Splits the whole body's external wrench between the feet.

    Parameters
    ----------
    dynamics
        Inverse dynamics of the model; its skeleton holds the instant's pose.
    pelvis
        Body that the joint to ground carries.
    soles
        Both feet.
    shanks
        Bodies of both shanks, in the order of the soles.

    Raises
    ------
    InputError
        The model does not have two feet.
    """

    def __init__(self, dynamics: InverseDynamics, pelvis: str, soles: list[Sole], shanks: list[str]) -> None:
        if len(soles) != 2:
            raise InputError("Ground reactions need a model with two feet; name them with bodies: calcn_r=BODY.")
        self._dynamics, self._skeleton, self._pelvis = dynamics, dynamics.skeleton, pelvis
        self.soles = soles
        # knee and ankle: origins of each shank and of what it carries
        self._shank_ends = [end for shank in shanks for end in (shank, self._skeleton.child(shank))]
        self._length = np.array([float(np.linalg.norm(sole.points[1] - sole.points[0])) for sole in soles])
        # a planar model's joint to ground knows nothing across its plane
        row = self._skeleton.jacobian_rows([pelvis])[0]
        columns = self._skeleton.jacobian(coupled=False)[row][:, dynamics.root]
        reach = np.diag(columns @ np.linalg.pinv(columns)) > 0.5
        self._rolls, self._known = reach[:3], reach[3:]
        self._weight_n = dynamics.weight_n
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._lean = np.zeros(2)
        self._seen_s = 0.0
        self._time_s = float("nan")

    def predict(
        self,
        time_s: float,
        forces: FloatArray,
        contact: ContactTracker,
        ground_m: float = 0.0,
        measured: Sequence[Load | None] = (None, None),
        trunk: bool = True,
    ) -> Reactions:
        """Ground reactions at the skeleton's present pose.

        Parameters
        ----------
        time_s
            Its instant, s.
        forces
            (m,) of `InverseDynamics.solve` without wrenches.
        contact
            Who is on the ground.
        ground_m
            Height of the ground, m.
        measured
            What plates or insoles tell of each foot. Where they tell it of one foot only, the other one takes
            what Newton's law leaves.
        trunk
            Whether it is measured how the trunk leans. Where half of the mass is only supposed to be, Euler's law
            says nothing lasting about the pressure.
        """
        force, moment = self._dynamics.external(forces, self._pelvis)
        center = self._skeleton.mass_center()
        ground = np.array([0.0, ground_m, 0.0])
        about = moment - cross(ground, force)
        point, forward = self._pressure(ground_m)
        # where the sum would act on the ground; where the model cannot tell, under the feet
        vertical = max(force[1], 0.1 * self._weight_n)
        balance = np.array([about[2], 0.0, -about[0]]) / vertical
        balance[[0, 2]] = np.where(self._rolls[[2, 0]], balance[[0, 2]], np.nan)

        down = contact.down(time_s)
        point, balance = self._upright(time_s, down, point, forward, balance, LASTING_SHARE if trunk else 0.0)
        share = self._share(time_s, down, contact, point, balance)
        under = np.where(np.isfinite(balance), balance, share @ point)
        alone = (share[0] - share[1]) ** 2
        shift = EULER_SHARE * alone * (forward @ (under - share @ point))
        point = self._on_sole(point + shift[:, None] * forward, forward)

        each = self._aimed(force, center, point, share, forward, ground_m)
        torque = np.zeros((2, 3))
        told = (measured[0] is not None, measured[1] is not None)
        if any(told):
            each, point, torque = _with_measured(each, point, torque, force, measured, share)
            total = each[:, 1].sum()
            share = each[:, 1] / total if total > 0.0 else np.zeros(2)
        left = np.where(self._known, force - each.sum(axis=0), 0.0)
        turn = moment - cross(center, force) - (cross(point - center, each) + torque).sum(axis=0)
        confidence = 1.0 / (1.0 + (np.linalg.norm(left) / (RESIDUAL * self._weight_n)) ** 2)
        if all(down) and not any(told):
            confidence *= DOUBLE_SUPPORT_CONFIDENCE
        turn = np.where(self._rolls, turn, 0.0)
        placed = tuple(load is not None and load.point is not None for load in measured)
        return Reactions(
            each, point, share, left, turn, float(confidence), torque, forward, told, (placed[0], placed[1])
        )

    def _aimed(
        self,
        force: FloatArray,
        center: FloatArray,
        point: FloatArray,
        share: FloatArray,
        forward: FloatArray,
        ground_m: float,
    ) -> FloatArray:
        """(2, 3) forces of the feet, between where they aim at and what Newton asks for in sum."""
        vertical = share * max(force[1], 0.0)
        height = max(center[1] - ground_m, 0.1)
        arm = center - point
        ahead, aside = _axes(forward)
        fore = vertical / ((1.0 + PIVOT) * height) * (arm @ ahead)
        across = float(vertical / height @ (arm @ aside))
        if self._tells(ahead):
            fore += (1.0 - AIM_SHARE) * share * (force @ ahead - fore.sum())
        if self._tells(aside):
            across += (1.0 - LATERAL_AIM_SHARE) * (float(force @ aside) * share.sum() - across)
        return np.outer(fore, ahead) + np.outer(share * across, aside) + np.outer(vertical, UP)

    def _tells(self, direction: FloatArray) -> bool:
        """Whether the model's joint to ground knows forces along a level direction."""
        return bool(self._known[np.abs(direction) > 0.2].all())

    def _upright(
        self,
        time_s: float,
        down: tuple[bool, bool],
        point: FloatArray,
        forward: FloatArray,
        balance: FloatArray,
        lasting: float,
    ) -> tuple[FloatArray, FloatArray]:
        """Pressures and balance point, moved to where their lasting distance, ahead and aside, is nothing."""
        axes = _axes(forward)
        elapsed_s = time_s - self._time_s if time_s - self._time_s < GAP_S else 0.0
        self._time_s = time_s
        if down[0] != down[1]:
            off = axes @ np.nan_to_num(balance - point[0 if down[0] else 1])
            self._seen_s += elapsed_s
            self._lean += elapsed_s / min(self._seen_s + LEAN_PRIOR_S, LEAN_S) * (off - self._lean)
        kept = np.array([lasting, 0.0]) * self._lean
        return point + kept @ axes, balance - (self._lean - kept) @ axes

    def _pressure(self, ground_m: float) -> tuple[FloatArray, FloatArray]:
        """(2, 3) centres of pressure by the shanks' inclination, and (2, 3) where the feet point, level."""
        points, ahead = [], []
        ends = self._skeleton.origins(self._shank_ends).reshape(2, 2, 3)
        for sole, (knee, ankle), length in zip(self.soles, ends, self._length, strict=True):
            heel, ball = self._skeleton.stations(sole.body, sole.points)
            forward = ball - heel
            rise = max(-float(forward[1]) / length, 0.0)
            forward[1] = 0.0
            level = float(np.linalg.norm(forward))
            forward /= max(level, 1e-6)
            axis = knee - ankle
            lean = float(np.arctan2(axis @ forward, axis[1]))
            way = PRESSURE_MIDDLE + PRESSURE_REACH * np.tanh((lean - ROLL_MIDDLE_RAD) / ROLL_WIDTH_RAD)
            along = level * way + length * PRESSURE_TOES * rise - (ankle - heel) @ forward
            # the left foot is the second one; outward is to its left
            outward = PRESSURE_OUTWARD if sole is self.soles[0] else -PRESSURE_OUTWARD
            place = ankle + along * forward + outward * length * cross(forward, UP)
            place[1] = ground_m
            points.append(place)
            ahead.append(forward)
        return np.array(points), np.array(ahead)

    def _on_sole(self, point: FloatArray, forward: FloatArray) -> FloatArray:
        heels = np.array([self._skeleton.stations(sole.body, sole.points[:1])[0] for sole in self.soles])
        along = np.einsum("ij,ij->i", point - heels, forward)
        inside = np.clip(along, BEHIND * self._length, AHEAD * self._length)
        return point + (inside - along)[:, None] * forward

    def _share(
        self,
        time_s: float,
        down: tuple[bool, bool],
        contact: ContactTracker,
        point: FloatArray,
        balance: FloatArray,
    ) -> FloatArray:
        """(2,) share of each foot in the load."""
        if down[0] != down[1]:
            return np.array(down, dtype=float)
        if not any(down):
            return np.zeros(2)
        known = np.isfinite(balance) & [True, False, True]
        between = (point[1] - point[0])[known]
        distance2 = float(between @ between)
        second = 0.5
        if distance2 > NEAR_M**2:
            second = float(np.clip((balance - point[0])[known] @ between / distance2, 0.0, 1.0))
        transfer = contact.transfer(time_s)
        if transfer is not None:
            leading, x = transfer
            curve = STEADY_SHARE * x + (1.0 - STEADY_SHARE) * x * x * (3.0 - 2.0 * x)
            curve = curve if leading else 1.0 - curve
            # at both ends the load is on one foot, whatever the balance says
            weight = BALANCE_SHARE * (1.0 - (2.0 * x - 1.0) ** 4)
            second = weight * second + (1.0 - weight) * curve
        return np.array([1.0 - second, second])


def _with_measured(
    each: FloatArray,
    point: FloatArray,
    torque: FloatArray,
    total: FloatArray,
    measured: Sequence[Load | None],
    share: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(2, 3) forces, points and torques with what was measured in place of what was predicted."""
    each, point, torque = each.copy(), point.copy(), torque.copy()
    for foot, load in enumerate(measured):
        if load is None:
            continue
        each[foot], torque[foot] = load.force, load.torque
        if load.point is not None:
            point[foot] = load.point
        other = 1 - foot
        if measured[other] is None and share[other]:
            each[other] = total - load.force
    return each, point, torque


def _axes(forward: FloatArray) -> FloatArray:
    """(2, 3) level directions ahead and aside, between where both feet point."""
    x, _, z = forward.sum(axis=0) / max(float(np.linalg.norm(forward.sum(axis=0))), 1e-6)
    return np.array([[x, 0.0, z], [-z, 0.0, x]])
