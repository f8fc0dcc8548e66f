"""Orientation at a sensor's own rate: VQF in blocks, over jitter and gaps; rates from orientations."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sensing_person import wear
from vqf import VQF

from gait_twin.recording.axes import angle_between, quat_about_z, quat_conjugate, quat_multiply
from gait_twin.sensing.orientation import OrientationFilter, angular_rate, heading_of

NO_MAG = np.full((1, 3), np.nan)


def run(worn, rows=None, cuts=(), period_s=0.01, mag=None, use_magnetometer=False):
    rows = np.arange(len(worn.time_s)) if rows is None else rows
    mag = np.repeat(NO_MAG, len(worn.time_s), axis=0) if mag is None else mag
    orientation = OrientationFilter(0.1, 1.0, use_magnetometer)
    parts = [
        orientation.update(worn.time_s[p], worn.acc[p], worn.gyr[p], mag[p], period_s)
        for p in np.split(rows, cuts)
        if len(p)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def relative_error_deg(quat, truth):
    """Error but for a constant heading."""
    difference = quat_multiply(truth, quat_conjugate(quat))
    heading = np.angle(np.sum(np.exp(1j * heading_of(difference))))
    return np.degrees(angle_between(truth, quat_multiply(quat_about_z(heading), quat)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 1999), max_size=12))
def test_blocks_give_what_single_samples_give(cuts):
    worn = wear("tibia_r", end_s=20.0)
    single = VQF(0.01)
    expected = []
    between = 0.5 * (worn.gyr + np.vstack([worn.gyr[:1], worn.gyr[:-1]]))
    for gyr, acc in zip(between, worn.acc, strict=True):
        single.update(gyr, acc)
        expected.append(single.getQuat6D())
    quat, settled, epoch = run(worn, cuts=sorted(cuts))
    np.testing.assert_allclose(quat, expected, atol=1e-12)
    np.testing.assert_array_equal(settled, worn.time_s >= 1.0)
    assert not epoch.any()


def test_a_swinging_leg_is_not_half_a_sample_ahead():
    """At 100 Hz half a sample is more than a degree in mid-swing."""
    time_s = np.arange(0.0, 20.0, 0.01)
    angle = np.where(time_s > 2.0, 0.6 * np.sin(2.0 * np.pi * (time_s - 2.0)), 0.0)
    rate = np.where(time_s > 2.0, 1.2 * np.pi * np.cos(2.0 * np.pi * (time_s - 2.0)), 0.0)
    zero = np.zeros_like(time_s)
    acc = 9.80665 * np.stack([zero, np.sin(angle), np.cos(angle)], axis=1)
    gyr = np.stack([rate, zero, zero], axis=1)
    quat, _, _ = OrientationFilter(0.1, 1.0, False).update(time_s, acc, gyr, np.full_like(acc, np.nan), 0.01)
    found = 2.0 * np.arctan2(quat[:, 1], quat[:, 0])
    assert np.degrees(np.sqrt(np.mean((found - angle)[300:] ** 2))) < 0.4


def test_jitter_and_lost_samples_keep_the_angle():
    rng = np.random.default_rng(0)
    fine = wear("tibia_r", rate_hz=1000.0, end_s=20.0)
    rows = np.unique(np.round(np.arange(10, 19900, 10) + rng.uniform(-3, 3, 1989)).astype(int))
    rows = rows[rng.uniform(size=len(rows)) > 0.03]
    quat, settled, epoch = run(fine, rows)
    error = relative_error_deg(quat[settled], fine.quat[rows][settled])
    assert np.sqrt(np.mean(error**2)) < 2.5
    assert not epoch.any()


def test_long_gap_is_told_and_heading_goes_on():
    worn = wear("tibia_r", end_s=30.0, stand_s=20.0, turn_s=(2.0, 3.0))
    rows = np.flatnonzero((worn.time_s < 8.0) | (worn.time_s > 10.0))
    quat, settled, epoch = run(worn, rows)
    time = worn.time_s[rows]
    np.testing.assert_array_equal(epoch, (time > 9.0).astype(int))
    assert not settled[(time > 10.0) & (time < 11.0)].any()
    assert settled[time > 11.1].all()
    standing = settled & (time < 20.0)
    assert relative_error_deg(quat[standing], worn.quat[rows][standing]).max() < 2.5


def test_magnetometer_turns_the_world_north_in_any_cutting():
    worn = wear("pelvis", facing_rad=1.0, end_s=15.0)
    north = np.tile([0.0, 20.0, -40.0], (len(worn.time_s), 1))  # the world's y axis is north (ENU)
    field = np.array([np.linalg.inv(matrix(q)) @ b for q, b in zip(worn.quat, north, strict=True)])
    field[np.arange(len(field)) % 4 != 0] = np.nan  # a slower magnetometer
    field[:50] = np.nan
    first = run(worn, mag=field, use_magnetometer=True)
    second = run(worn, mag=field, cuts=list(range(1, 300, 7)), use_magnetometer=True)
    np.testing.assert_allclose(second[0], first[0], atol=1e-12)
    rows = worn.time_s > 5.0
    assert np.degrees(angle_between(first[0][rows], worn.quat[rows])).max() < 5.0


def matrix(q):
    w, x, y, z = q
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def test_rates_from_orientations():
    worn = wear("calcn_r", end_s=12.0)
    rate = angular_rate(worn.time_s, worn.quat, 0.1)
    np.testing.assert_allclose(rate[1:-1], worn.gyr[1:-1], atol=0.01)


def test_sample_alone_between_gaps_has_no_rate():
    rate = angular_rate(np.array([0.0, 1.0, 2.0, 2.01]), quat_about_z(np.array([0.0, 0.1, 0.2, 0.21])), 0.1)
    assert np.isnan(rate[:2]).all()
    np.testing.assert_allclose(rate[2, 2], 1.0, atol=1e-9)
    assert np.isnan(rate[3]).all()  # nothing follows
