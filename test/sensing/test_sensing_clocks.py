"""Device clocks on the host's: known clocks, rude transports, clocks that are set meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.sensing.clocks import ClockSettings, DeviceClock, HostClock

RATE_HZ = 100.0


def played(seconds, ppm=100.0, jitter_s=0.015, loss=0.01, seed=0, device_0=77.0):
    rng = np.random.default_rng(seed)
    true = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    kept = rng.random(len(true)) >= loss
    device = device_0 + true * (1.0 + ppm * 1e-6)
    arrival = np.maximum.accumulate(true + rng.uniform(0.0, jitter_s, len(true)))
    return true[kept], device[kept], arrival[kept]


def stamped(clock, device, arrival):
    stamps = [clock.stamp(d, a) for d, a in zip(device.tolist(), arrival.tolist(), strict=True)]
    return np.array([np.nan if s is None else s for s in stamps])


@pytest.mark.parametrize("ppm", [-30000.0, -100.0, 0.0, 100.0, 5000.0])
def test_error_after_30_s_is_far_below_a_millisecond(ppm):
    true, device, arrival = played(60.0, ppm)
    clock = DeviceClock()
    error = np.abs(stamped(clock, device, arrival) - true)[true > 30.0]
    assert np.quantile(error, 0.99) < 1e-3
    assert clock.report.skew_ppm == pytest.approx(-ppm / (1 + ppm * 1e-6), abs=20.0)
    assert clock.report.jitter_s == pytest.approx(0.0085, abs=0.002)
    assert clock.report.restarts == 0


def test_perfect_transport_gives_true_stamps_from_the_first_sample_on():
    true, device, arrival = played(5.0, ppm=0.0, jitter_s=0.0, loss=0.0)
    np.testing.assert_allclose(stamped(DeviceClock(), device, arrival), true, atol=1e-9)


def test_known_latency_is_taken_off():
    true, device, arrival = played(5.0, ppm=0.0, jitter_s=0.0)
    stamps = stamped(DeviceClock(ClockSettings(latency_s=0.004)), device, arrival + 0.004)
    np.testing.assert_allclose(stamps, true, atol=1e-9)


def test_stamps_run_evenly_from_the_start():
    true, device, arrival = played(10.0)
    stamps = stamped(DeviceClock(), device, arrival)
    pace = np.diff(stamps) / np.diff(true)
    assert np.all(np.abs(pace - 1.0) < 0.03)


def test_duplicates_and_overtaken_samples_are_counted_and_not_stamped():
    _, device, arrival = played(2.0, loss=0.0)
    clock = DeviceClock()
    for i in range(100):
        clock.stamp(device[i], arrival[i])
    assert clock.stamp(device[99], arrival[99] + 1e-3) is None
    assert clock.stamp(device[90], arrival[99] + 2e-3) is None
    assert (clock.report.duplicate, clock.report.disordered) == (1, 1)
    assert clock.stamp(device[100], arrival[100]) is not None


def test_device_that_restarts_is_on_time_again_within_three_samples():
    true, device, arrival = played(40.0)
    device = np.where(true >= 20.0, true - 20.0, device)
    clock = DeviceClock()
    stamps = stamped(clock, device, arrival)
    assert clock.report.restarts == 1
    assert np.isnan(stamps[true >= 20.0]).sum() < 6
    error = np.abs(stamps - true)[true >= 22.0]
    assert error.max() < 0.004


def test_host_clock_that_is_set_is_followed():
    true, device, arrival = played(60.0)
    for step in (-100.0, -0.5, 0.5, 100.0):
        clock = DeviceClock()
        shifted = arrival + np.where(true >= 20.0, step, 0.0)
        error = stamped(clock, device, shifted) - true - np.where(true >= 20.0, step, 0.0)
        assert clock.report.restarts == 1, step
        assert np.nanmax(np.abs(error[true >= 52.0])) < 1e-3
        assert np.isfinite(error[true >= 24.0]).all()


def test_stalls_after_a_reconnection_make_no_further_gap():
    """Seen once: two seconds after a sensor was back, its stamps leapt by 0.11 s (a slope from a second's delays)."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = np.arange(2700) / RATE_HZ
        true = true[(true < 20.0) | (true > 22.5)]
        delay = rng.exponential(0.001, len(true))
        for start, length in zip([22.5, *rng.uniform(0.0, 27.0, 25)], rng.uniform(0.05, 0.4, 26), strict=True):
            stalled = (true >= start) & (true < start + length)
            delay[stalled] = np.maximum(delay[stalled], start + length - true[stalled])
        clock, back = DeviceClock(), int(np.searchsorted(true, 21.0))
        device, arrival = true * (1.0 + 1e-4), np.maximum.accumulate(true + delay)
        stamps = stamped(clock, device[:back], arrival[:back])
        clock.reconnected()
        stamps = np.concatenate([stamps, stamped(clock, device[back:], arrival[back:])])
        assert np.count_nonzero(np.diff(stamps[np.isfinite(stamps)]) > 0.1) == 1


def test_a_single_impossible_device_time_is_left_out():
    _, device, arrival = played(20.0, loss=0.0)
    device[1000] += 1e6
    device[1100] -= 1e3
    clock = DeviceClock()
    stamps = stamped(clock, device, arrival)
    assert np.flatnonzero(np.isnan(stamps)).tolist() == [1000, 1100]
    assert clock.report.restarts == 0


def test_stall_of_the_transport_leaves_the_stamps_alone():
    true, device, arrival = played(40.0)
    stalled = (true >= 30.0) & (true < 31.5)
    arrival = np.where(stalled, 31.5, arrival)
    clock = DeviceClock()
    error = stamped(clock, device, np.maximum.accumulate(arrival)) - true
    assert np.ptp(error[true > 29.0]) < 5e-4
    assert clock.report.restarts == 0


def test_backlog_of_a_port_at_the_start_is_forgotten():
    true, device, arrival = played(10.0)
    arrival = np.maximum(arrival, 0.2)  # the first twenty samples lay in a buffer
    error = np.abs(stamped(DeviceClock(), device, arrival) - true)[true > 1.5]
    assert np.nanmax(error) < 0.002


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-1.0, 2.0), st.floats(-1e9, 1e9)), st.one_of(st.floats(0.0, 0.5), st.floats(-1e6, 1e6))
        ),
        max_size=300,
    )
)
def test_any_times_are_survived_and_stamps_of_one_fit_increase(steps):
    clock = DeviceClock()
    device = arrival = 0.0
    last, restarts = -np.inf, 0
    for device_step, arrival_step in steps:
        device += device_step
        arrival += arrival_step
        stamp = clock.stamp(device, arrival)
        if clock.report.restarts != restarts:
            last, restarts = -np.inf, clock.report.restarts
        if stamp is not None:
            assert np.isfinite(stamp)
            assert stamp > last
            last = stamp
    report = clock.report
    assert report.samples + report.duplicate + report.disordered + len(clock._leaps) == len(steps)


def test_silence_longer_than_the_window_is_survived():
    true, device, arrival = played(200.0)
    awake = (true < 20.0) | (true > 150.0)
    clock = DeviceClock()
    error = np.abs(stamped(clock, device[awake], arrival[awake]) - true[awake])
    assert np.nanmax(error[true[awake] > 180.0]) < 1e-3


@pytest.mark.parametrize(("shape", "limit_s"), [(2.0, 0.001), (4.0, 0.0025)])
def test_sensors_on_a_transport_without_short_delays_agree(shape, limit_s):
    """In a stream that keeps its order, delays of a gamma distribution are never nearly as short as the shortest."""
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        true = np.arange(6000) / RATE_HZ
        arrival = np.maximum.accumulate(true + rng.gamma(shape, 0.0075, len(true)))
        errors.append((stamped(DeviceClock(), true * (1.0 + 1e-4), arrival) - true)[3000:])
    errors = np.array(errors)
    assert np.quantile(np.abs(errors - errors.mean()), 0.99) < limit_s


@pytest.mark.parametrize("step_s", [-0.04, 0.04])
def test_shortest_delay_that_changes_is_followed(step_s):
    true, device, arrival = played(60.0)
    arrival = np.maximum.accumulate(arrival + 0.05 + np.where(true > 30.0, step_s, 0.0))
    error = stamped(DeviceClock(), device, arrival) - true - 0.05
    assert np.abs(error[(true > 20.0) & (true < 30.0)]).max() < 1e-3
    assert np.abs(error[true > 40.0] - step_s).max() < 2e-3


def test_settings_are_checked():
    with pytest.raises(InputError, match="wander_ppm"):
        ClockSettings(wander_ppm=0.0)


def test_host_clock_keeps_its_course_when_the_system_clock_is_set():
    steady, system = [10_000_000_000], [1_700_000_000_000_000_000]
    clock = HostClock(lambda: steady[0], lambda: system[0])
    assert clock.unix_ns(10.5) == 1_700_000_000_500_000_000
    assert clock.step_s() == 0.0
    steady[0] += 1_000_000_000
    system[0] += 1_000_000_000 - 2_500_000_000
    assert clock.step_s() == pytest.approx(-2.5)
    assert clock.unix_ns(clock.now_s()) == 1_700_000_001_000_000_000
