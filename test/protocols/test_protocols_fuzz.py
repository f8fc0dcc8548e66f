"""A short run of the fuzzing benchmark: `benchmarks/decoder_fuzz.py` does ten million bytes a decoder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "decoder_fuzz.py"
spec = importlib.util.spec_from_file_location("decoder_fuzz", PATH)
decoder_fuzz = importlib.util.module_from_spec(spec)
sys.modules["decoder_fuzz"] = decoder_fuzz  # its dataclasses look themselves up there
spec.loader.exec_module(decoder_fuzz)


@pytest.mark.parametrize("case", decoder_fuzz.CASES)
def test_noise_and_damage_are_survived(case: str) -> None:
    result = decoder_fuzz.Fuzz(case, seed=7).run(150_000)
    assert result.bad_checksum_taken == 0
    assert result.resynchronised_after <= 2
    assert result.stretches > 50
