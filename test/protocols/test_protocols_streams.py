"""What holds for every protocol: there and back, any pieces, any damage."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protocols_cases import CASES, STREAMS, Case, assert_close, merged, walks

from gait_twin.sensing.protocols import Decoder, Sample, Unwrapper, damage

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for length in lengths:
        pieces.append(data[at : at + length])
        at += length
    return [*pieces, data[at:]]


def feed(decoder: Decoder, pieces: list[bytes]) -> list[Sample]:
    return [sample for piece in pieces for sample in decoder.feed(piece)]


@pytest.mark.parametrize("case", CASES, ids=str)
@given(walk=walks())
@few
def test_what_is_encoded_is_decoded_within_the_format_s_resolution(case: Case, walk: list[Sample]) -> None:
    encoder, decoder = case.encoder(), case.decoder()
    last = walk[-1]._replace(device_time_s=walk[-1].device_time_s + 0.01, counter=walk[-1].counter + 1)
    got = merged(feed(decoder, [encoder.encode(sample) for sample in [*walk, last]]))
    for sample, sent in zip(got, walk, strict=False):
        assert_close(case, sample, sent)
    assert len(got) >= len(walk)
    if case.counter:
        # an 8-bit counter shows its steps; where it began is not sent
        assert np.array_equal(np.diff([s.counter for s in got[:4]]), np.diff([s.counter for s in walk]))
    stats = decoder.stats
    assert stats.dropped_bytes == stats.checksum_errors == stats.malformed == stats.device_errors == 0


@pytest.mark.parametrize("case", STREAMS, ids=str)
@given(
    walk=walks(3),
    noise=st.lists(st.binary(max_size=40), min_size=4, max_size=4),
    lengths=st.lists(st.integers(0, 60), max_size=60),
    seed=st.integers(0, 2**32 - 1),
)
@few
def test_the_cuts_between_pieces_do_not_matter(
    case: Case, walk: list[Sample], noise: list[bytes], lengths: list[int], seed: int
) -> None:
    encoder, rng = case.encoder(), np.random.default_rng(seed)
    frames = [encoder.encode(sample) for sample in walk]
    damaged = [damage(frame, rng) if rng.random() < 0.5 else frame for frame in frames]
    data = b"".join(a + b for a, b in zip(noise, [*damaged, b""], strict=True)) + b"".join(frames)
    whole, byte_by_byte, cut_up = case.decoder(), case.decoder(), case.decoder()
    expected = repr(feed(whole, [data]))  # repr, for NaN is not equal to itself
    assert repr(feed(byte_by_byte, [bytes((b,)) for b in data])) == expected
    assert repr(feed(cut_up, [memoryview(piece) for piece in cut(data, lengths)])) == expected
    assert asdict(byte_by_byte.stats) == asdict(whole.stats) == asdict(cut_up.stats)


@pytest.mark.parametrize("case", CASES, ids=str)
@given(pieces=st.lists(st.binary(max_size=300), max_size=10), walk=walks(6))
@few
def test_after_any_bytes_good_frames_are_found_again(case: Case, pieces: list[bytes], walk: list[Sample]) -> None:
    encoder, decoder = case.encoder(), case.decoder()
    feed(decoder, pieces)
    frames = [encoder.encode(sample) for sample in walk]
    clean = case.decoder()
    expected = {sample[:4] for sample in merged(feed(clean, frames))[2:5]}
    got = {sample[:4] for sample in merged(feed(decoder, frames))}
    assert expected <= got


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_byte_fed_is_accounted_for(case: Case) -> None:
    rng = np.random.default_rng(3)
    encoder, decoder = case.encoder(), case.decoder()
    sample = Sample((0.0, 0.0, 9.8), (1.0, 2.0, 3.0), (20.0, 0.0, -40.0), (1.0, 0.0, 0.0, 0.0), 1.0, 1)
    for _ in range(200):
        decoder.feed(encoder.encode(sample))
        if case.protocol.datagram or rng.random() < 0.5:
            decoder.feed(rng.bytes(int(rng.integers(1, 200))))
    decoder.reset()
    stats = decoder.stats
    assert 0 < stats.dropped_bytes < stats.received_bytes
    assert stats.frames > 100
    assert stats.samples > 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_restart_is_a_clean_beginning(case: Case) -> None:
    encoder, decoder, fresh = case.encoder(), case.decoder(), case.decoder()
    sample = Sample((0.0, 0.0, 9.8), (1.0, 2.0, 3.0), (20.0, 0.0, -40.0), (1.0, 0.0, 0.0, 0.0))
    before = [encoder.encode(sample._replace(device_time_s=4000.0 + i, counter=200 + i)) for i in range(5)]
    after = [encoder.encode(sample._replace(device_time_s=1.0 + i, counter=i)) for i in range(5)]
    feed(decoder, [*before, b"" if case.protocol.datagram else before[0][:-3]])
    decoder.reset()
    assert repr(feed(decoder, after)) == repr(feed(fresh, after))


@given(start=st.integers(0, 255), steps=st.lists(st.integers(-100, 127), max_size=100))
def test_a_wrapping_counter_is_continued(start: int, steps: list[int]) -> None:
    unwrap, true = Unwrapper(8), start
    assert unwrap(start) == start
    for step in steps:
        true += step
        assert unwrap(true & 0xFF) == true


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_late_value_gets_its_own_place(bits: int) -> None:
    unwrap, top = Unwrapper(bits), 1 << bits
    assert [unwrap(v) for v in (top - 2, 0, top - 1, 1)] == [top - 2, top, top - 1, top + 1]
