"""Inverse dynamics of a whole motion with measured ground reactions, as OpenSim's InverseDynamicsTool does it.

Here nothing is causal: coordinates are low-passed forth and back and differentiated by splines, with OpenSim's
own functions, so that the result is the tool's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.twin.dynamics import InverseDynamics
from gait_twin.twin.external_loads import ExternalLoads
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.storage import Table

FloatArray = NDArray[np.float64]

CUTOFF_HZ = 6.0
"""Low-pass of the coordinates, as in OpenSim's published setups of walking."""
FEWEST_ROWS = 20
FIT_M = 0.08
"""Registered centres of pressure lie within this of the predicted ones (root mean square), or they are of
another world: of a belt that moves, or of a walk that began elsewhere."""
LOADED_N = 20.0
LONGEST_GAP_S = 0.1
"""Longest step between two rows of ground reactions within which they are taken to go on evenly."""


def inverse_dynamics(
    skeleton: Skeleton, motion: Table, loads: ExternalLoads | None = None, cutoff_hz: float = CUTOFF_HZ
) -> tuple[Table, Table]:
    """Moments and powers of a motion.

    Parameters
    ----------
    skeleton
        The model.
    motion
        Coordinates over time, degrees (`in_degrees`) or rad, and m; those that are not in it keep their default.
    loads
        External wrenches; instants that they do not cover, or that lie in a gap, are left out. None: without any.
    cutoff_hz
        Low-pass of the coordinates, Hz.

    Returns
    -------
    moments, powers : Table
        ``<coordinate>_moment`` (N·m) or ``_force`` (N), and ``<coordinate>_power`` (W) of the joints, by the
        same derivatives.

    Raises
    ------
    InputError
        A motion without rows or with gaps, or without a time in common with the loads.
    """
    time_s = motion.time_s
    steps = np.diff(time_s)
    if len(time_s) < FEWEST_ROWS or not (steps > 0.0).all() or steps.max() > 3.0 * np.median(steps):
        raise InputError(
            f"Inverse dynamics needs a motion of at least {FEWEST_ROWS} rows at an even rate; this one has "
            f"{len(time_s)} rows and a longest step of {steps.max(initial=0.0):.3f} s. Cut it where it has gaps."
        )
    values = coordinate_values(skeleton, motion)
    inside = np.ones(len(time_s), dtype=bool)
    if loads is not None:
        # OpenSim's stamps are up to some microseconds beside the measurements
        inside = (time_s >= loads.time_s[0] - 1e-5) & (time_s <= loads.time_s[-1] + 1e-5)
        after = np.clip(np.searchsorted(loads.time_s, time_s), 1, len(loads.time_s) - 1)
        inside &= np.diff(loads.time_s)[after - 1] < LONGEST_GAP_S
        if not inside.any():
            raise InputError(
                f"The motion ({time_s[0]:.2f} s to {time_s[-1]:.2f} s) and the ground reactions "
                f"({loads.time_s[0]:.2f} s to {loads.time_s[-1]:.2f} s) have no time in common; shift them."
            )
    at = time_s[inside]
    position, rate, acceleration = _derivatives(skeleton, time_s, values, cutoff_hz, at)
    dynamics = InverseDynamics(skeleton)
    forces = np.array(
        [
            dynamics.solve(
                position[i],
                rate[i],
                acceleration[i],
                [] if loads is None else loads.at(float(np.clip(t, loads.time_s[0], loads.time_s[-1]))),
            )
            for i, t in enumerate(at)
        ]
    )
    joints = skeleton.joints
    powers = Table(at, tuple(f"{skeleton.coordinates[i]}_power" for i in joints), (forces * rate)[:, joints])
    return Table(at, skeleton.force_names, forces), powers


def coordinate_values(skeleton: Skeleton, motion: Table) -> FloatArray:
    """(n, m) coordinates of a motion's rows in rad and m; those that are not in it keep their default."""
    values = np.tile(skeleton.default, (len(motion.time_s), 1))
    for i, (name, turns) in enumerate(zip(skeleton.coordinates, skeleton.rotational, strict=True)):
        if name in motion.columns:
            values[:, i] = motion[name] * (np.pi / 180.0 if motion.in_degrees and turns else 1.0)
    return values


def _derivatives(
    skeleton: Skeleton, time_s: FloatArray, values: FloatArray, cutoff_hz: float, at: FloatArray
) -> list[FloatArray]:
    """Coordinates, rates and accelerations at some instants, prepared as the tool prepares them."""
    labels = opensim.ArrayStr()
    for name in ("time", *skeleton.coordinates):
        labels.append(name)
    storage = opensim.Storage()
    storage.setColumnLabels(labels)
    for t, row in zip(time_s.tolist(), values, strict=True):
        storage.append(t, opensim.Vector.createFromMat(np.ascontiguousarray(row)))
    storage.pad(storage.getSize() // 2)
    storage.lowpassIIR(cutoff_hz)
    splines = opensim.GCVSplineSet(5, storage)
    each = [splines.get(i) for i in range(splines.getSize())]
    orders = [opensim.StdVectorInt([0] * order) for order in range(3)]
    points = [opensim.Vector(1, t) for t in at.tolist()]
    found = [np.array([[spline.calcValue(x) for spline in each] for x in points])]
    found += [np.array([[spline.calcDerivative(order, x) for spline in each] for x in points]) for order in orders[1:]]
    return found


def registered(
    loads: ExternalLoads, time_s: FloatArray, force: FloatArray, point: FloatArray
) -> tuple[ExternalLoads, str]:
    """Measured ground reactions in the walk's own world.

    A laboratory's world and the twin's differ by where the walk began and which way it went: the turn about the
    vertical and the shift that bring the centres of pressure together are taken (Kabsch 1976).

    Parameters
    ----------
    loads
        On the right and on the left foot, in the laboratory's y-up axes.
    time_s, force, point
        (n,) instants, (n, 2, 3) predicted forces (N) and centres of pressure (m) of right and left foot, in OpenSim's
        ground.

    Returns
    -------
    loads : ExternalLoads
        Turned and shifted. Where centres of pressure cannot be brought together (a treadmill's belt moves under
        the person), with forces as they are and the predicted centres of pressure.
    notice : str
        What was done.
    """
    mine, theirs = [], []
    for foot in range(2):
        near = np.clip(np.searchsorted(loads.time_s, time_s), 0, len(loads.time_s) - 1)
        apart = np.abs(loads.time_s[near] - time_s) < 0.02
        both = (loads.force[near, foot, 1] > LOADED_N) & (force[:, foot, 1] > LOADED_N) & apart
        mine.append(point[both, foot][:, [0, 2]])
        theirs.append(loads.point[near[both], foot][:, [0, 2]])
    ours, lab = np.concatenate(mine), np.concatenate(theirs)
    if len(ours) < FEWEST_ROWS:
        raise InputError(
            "The ground reactions and the walk have hardly a contact in common: check the start of the ground "
            "reactions against the recording's."
        )
    turn, shift = _rigid(lab, ours)
    rms = float(np.sqrt(np.mean(np.sum((lab @ turn.T + shift - ours) ** 2, axis=1))))
    if rms > FIT_M:
        held = np.stack([_held(loads.time_s, time_s, force[:, k], point[:, k]) for k in range(2)], axis=1)
        return replace(loads, point=held, torque=np.zeros_like(loads.torque)), (
            f"The measured centres of pressure do not move with the feet ({1000 * rms:.0f} mm apart at best), as on a "
            "treadmill: forces are the measured ones, where they act is predicted."
        )
    angle = float(np.arctan2(turn[1, 0], turn[0, 0]))
    horizontal = np.array([[turn[0, 0], 0.0, turn[0, 1]], [0.0, 1.0, 0.0], [turn[1, 0], 0.0, turn[1, 1]]])
    moved = replace(
        loads,
        force=loads.force @ horizontal.T,
        point=loads.point @ horizontal.T + np.array([shift[0], 0.0, shift[1]]),
        torque=loads.torque @ horizontal.T,
    )
    return moved, (
        f"The ground reactions were turned by {np.degrees(-angle):.0f}° and shifted by {np.hypot(*shift):.2f} m into "
        f"the walk's world, where their centres of pressure are {1000 * rms:.0f} mm from the predicted ones."
    )


def _rigid(source: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(2, 2) rotation and (2,) shift that bring points of a plane closest to others."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, _, vt = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return turn, target.mean(axis=0) - turn @ source.mean(axis=0)


def _held(at: FloatArray, time_s: FloatArray, force: FloatArray, point: FloatArray) -> FloatArray:
    """(n, 3) predicted centres of pressure at other instants; in the air, the nearest one."""
    standing = np.flatnonzero(force[:, 1] > 0.0)
    if not len(standing):
        return np.zeros((len(at), 3))
    return np.column_stack([np.interp(at, time_s[standing], point[standing, k]) for k in range(3)])
