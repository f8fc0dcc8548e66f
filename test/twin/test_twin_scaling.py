"""Scaling to a person: against OpenSim's published example, and lengths that come out as asked."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_twin.errors import InputError
from gait_twin.twin import (
    MarkerKinematics,
    Skeleton,
    build_default_model,
    load_model,
    read_markers,
    scale_by_lengths,
    scale_by_markers,
    scale_by_setup,
)
from gait_twin.twin.opensim_api import opensim


def total_mass(model: opensim.Model) -> float:
    return model.getTotalMass(model.initSystem())


@pytest.mark.data
def test_setup_reproduces_the_published_masses_and_scale_factors(data_dir: Path) -> None:
    folder = data_dir / "opensim_gait" / "gait2354"
    model, published = (
        scale_by_setup(folder / "subject01_Setup_Scale.xml"),
        load_model(folder / "subject01_scaled.osim"),
    )
    generic = load_model(folder / "gait2354_simbody.osim")
    factors = {
        scale.findtext("segment"): float(scale.findtext("scales").split()[1])
        for scale in ElementTree.parse(folder / "reference_scale_factors.xml").iter("Scale")
    }
    for i in range(model.getBodySet().getSize()):
        body = model.getBodySet().get(i)
        name = body.getName()
        assert body.getMass() == pytest.approx(published.getBodySet().get(name).getMass(), rel=1e-9)
        center, before = (m.getBodySet().get(name).getMassCenter().to_numpy() for m in (model, generic))
        np.testing.assert_allclose(center, factors[name] * before, atol=2e-6)


@pytest.mark.data
def test_default_model_takes_the_size_of_a_static_trial(data_dir: Path) -> None:
    static = data_dir / "opensim_gait" / "gait2354" / "subject01_static.trc"
    generic = build_default_model(1.65, 60.0)
    model = scale_by_markers(generic, static, 72.6)
    assert total_mass(model) == pytest.approx(72.6)
    # hip to ankle of the same person in the published scaled model: 0.879 m
    skeleton = Skeleton(model)
    hip, knee, ankle = skeleton.origins(["femur_r", "tibia_r", "talus_r"])
    assert np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle) == pytest.approx(0.879, abs=0.04)
    markers = read_markers(static)
    found = MarkerKinematics(skeleton, list(markers.names)).solve(markers.positions_m[0])
    assert np.nanmax(found.residuals_m) < 0.005
    assert generic.getTotalMass(generic.initSystem()) == pytest.approx(60.0)


@given(thigh=st.floats(0.3, 0.6), shank=st.floats(0.3, 0.6), hips=st.floats(0.12, 0.3), mass=st.floats(10.0, 200.0))
@settings(max_examples=8, deadline=None)
def test_lengths_come_out_as_asked(thigh: float, shank: float, hips: float, mass: float) -> None:
    lengths = {"femur_r": thigh, "femur_l": thigh, "tibia_r": shank, "tibia_l": shank, "pelvis": hips}
    model = scale_by_lengths(build_default_model(1.75, 70.0), lengths, mass)
    assert total_mass(model) == pytest.approx(mass)
    skeleton = Skeleton(model)
    hip, knee, ankle, other = skeleton.origins(["femur_r", "tibia_r", "talus_r", "femur_l"])
    assert np.linalg.norm(hip - knee) == pytest.approx(thigh, abs=1e-9)
    assert np.linalg.norm(knee - ankle) == pytest.approx(shank, abs=1e-9)
    assert np.linalg.norm(hip - other) == pytest.approx(hips, abs=1e-9)


def test_what_cannot_be_scaled_is_refused(tmp_path: Path) -> None:
    model = build_default_model(1.75, 70.0)
    with pytest.raises(InputError, match="no body 'wing'"):
        scale_by_lengths(model, {"wing": 0.4}, 70.0)
    with pytest.raises(InputError, match="no person's"):
        scale_by_lengths(model, {"femur_r": 420.0}, 70.0)
    with pytest.raises(InputError, match="Body mass"):
        scale_by_lengths(model, {"femur_r": 0.42}, 0.0)
    with pytest.raises(InputError, match="does not tell the length"):
        scale_by_lengths(model, {"torso": 0.42}, 70.0)
    with pytest.raises(InputError, match="ScaleTool"):
        scale_by_setup(tmp_path / "nothing.xml")
    path = tmp_path / "static.trc"
    path.write_text(
        "PathFileType\t4\nDataRate\tNumMarkers\tUnits\n100\t2\tm\nFrame#\tTime\tR.ASIS\t\t\tL.ASIS\t\t\n\tX1\n"
        "1\t0\t0\t1\t0.1\t0\t1\t-0.1\n"
    )
    with pytest.raises(InputError, match=r"does not tell the size of torso: measure V\.Sacral and Top\.Head"):
        scale_by_markers(model, path, 70.0)
