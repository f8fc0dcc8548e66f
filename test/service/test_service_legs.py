"""A height that is wrong is found by the strides, and the analysis made with legs that fit."""

import dataclasses

import pytest

from gait_twin.recording import Recording, Subject
from gait_twin.service import AnalysisSettings, analyze
from gait_twin.simulation import WalkSettings, simulate
from gait_twin.twin import TwinSettings


@pytest.fixture(scope="module")
def walk() -> Recording:
    """A person of 1.75 m who is said to be 1.60 m tall."""
    recording = simulate(WalkSettings(duration_s=18.0, speed_mps=1.2, straight_length_m=30.0))
    return dataclasses.replace(recording, subject=Subject("too short", 1.60, 70.0))


def test_the_model_is_built_anew_with_legs_that_make_the_strides(walk: Recording) -> None:
    found = analyze(walk)
    (sentence,) = [notice for notice in found.notices if "legs" in notice]
    assert sentence.startswith("The person's legs seem ")
    height_m = float(sentence.split("the model of ")[1].split(" ")[0])
    assert height_m == pytest.approx(1.75, rel=0.025)
    assert f"{height_m:.2f}m" in found.osim
    assert found.mass_kg == pytest.approx(70.0)


def test_switched_off_it_is_only_said(walk: Recording) -> None:
    found = analyze(walk, AnalysisSettings(twin=TwinSettings(fit_legs=False)))
    sentences = [notice for notice in found.notices if "legs" in notice]
    assert 1 <= len(sentences) <= 3
    assert sentences[0].startswith("Twin, for ")
    assert "set the height to 1.7" in sentences[0]
    assert "1.60m" in found.osim
