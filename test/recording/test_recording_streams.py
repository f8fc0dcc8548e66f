"""Which rows are usable, and what is said of the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.recording import ImuStream
from gait_twin.recording.streams import Source, assemble, nominal_rate_hz, usable_rows


def test_all_good():
    usable, sentences = usable_rows(np.arange(5.0), [np.zeros((5, 3)), None], "x")
    assert usable.all()
    assert sentences == []


def test_rows_are_named():
    acc = np.zeros((30, 3))
    acc[[3, 4, 5, 9, 20, 22, 24], 1] = np.nan
    usable, sentences = usable_rows(np.arange(30.0), [acc], "walk.csv", rows=np.arange(30) + 2)
    assert usable.sum() == 23
    assert sentences == ["walk.csv: 7 rows (5-7, 11, 22, 24, …) without numbers left out as a gap."]


def test_time_that_repeats_or_goes_back():
    usable, sentences = usable_rows(np.array([0, 1, 1, 0.5, 2, 3]), [np.zeros((6, 3))], "x")
    assert usable.tolist() == [True, True, False, False, True, True]
    assert "1 row (3) left out, for the time is that of a row before" in sentences[0]
    assert "1 row (4) left out, for the time goes back by up to 0.5 s" in sentences[1]


def test_a_clock_that_jumps_keeps_the_longer_side():
    time_s = np.concatenate([np.arange(3.0), 1.7e9 + np.arange(5.0)])
    usable, sentences = usable_rows(time_s, [np.zeros((8, 3))], "x")
    assert np.flatnonzero(usable).tolist() == [3, 4, 5, 6, 7]
    assert "the clock jumps by 1.7e+09 s at row 4; 3 rows (1-3) on the other side left out" in sentences[0]


def test_what_cannot_be_used_at_all():
    with pytest.raises(InputError, match="no row with numbers"):
        usable_rows(np.full(3, np.nan), [np.zeros((3, 3))], "x")
    with pytest.raises(InputError, match="does not increase in 9 of 10 rows"):
        usable_rows(np.zeros(10), [np.zeros((10, 3))], "x")


@given(st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 100)), min_size=1, max_size=60))
def test_what_is_kept_increases_and_is_finite(times):
    time_s = np.array(times)
    try:
        usable, sentences = usable_rows(time_s, [np.zeros((len(times), 3))], "x")
    except InputError:
        return
    kept = time_s[usable]
    assert np.isfinite(kept).all()
    assert (np.diff(kept) > 0).all()
    assert usable.all() == (not sentences)


def stream(segment, time_s, **channels):
    n = len(time_s)
    return ImuStream(segment, np.asarray(time_s, float), np.arange(3.0 * n).reshape(n, 3), None, **channels)


def test_assembled_streams_share_the_first_sample():
    made = assemble([Source(stream("torso", [5.0, 5.1, 5.2]), "a"), Source(stream("pelvis", [4.9, 5.0, 6.5]), "b")])
    assert list(made.imus) == ["pelvis", "torso"]  # in the order of SEGMENTS
    assert made.origin_s == 4.9
    np.testing.assert_allclose(made.imus["torso"].time_s, [0.1, 0.2, 0.3])
    assert "torso at 0.30 s" in made.notices[0]
    with pytest.raises(InputError, match="second sensor on torso"):
        assemble([Source(stream("torso", [0, 1]), "a"), Source(stream("torso", [0, 1]), "b")])


def test_rows_repeated_in_full_are_no_loss():
    acc = np.array([[1.0, 2, 3], [1, 2, 3], [1, 2, 4], [5, 5, 5]])
    made = assemble([Source(ImuStream("pelvis", np.array([0.0, 0.0, 0.0, 1.0]), acc, None), "x")])
    assert "1 row (2) repeated in full" in made.notices[0]
    assert "1 row (3) left out" in made.losses[0]
    assert len(made.imus["pelvis"].time_s) == 2


@pytest.mark.parametrize("rate_hz", [60.0, 100.0, 128.0, 148.15, 400.0])
def test_rate_despite_gaps_and_rounding(rate_hz):
    keep = np.random.default_rng(0).random(2000) > 0.1
    time_s = np.round(np.arange(2000)[keep] / rate_hz, 5)
    assert nominal_rate_hz(time_s) == pytest.approx(rate_hz, rel=1e-3)
    assert np.isnan(nominal_rate_hz(time_s[:1]))
