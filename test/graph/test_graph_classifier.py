"""A gait pattern is named live, over real DDS, as it is from the same data at a desk."""

from __future__ import annotations

import numpy as np
import pytest

from gait_twin.classification import ClassifierSettings, GaitClassifier, screen
from gait_twin.recording import BodyFrames, SlotStatus, load, open_bag, read_results
from gait_twin.recording.messages import TimeBase, from_gait_class
from gait_twin.sensing import HubSettings, SensorHub

pytestmark = pytest.mark.graph


def test_a_pattern_is_named_live_and_lies_in_the_bag(graph, tmp_path) -> None:
    out = tmp_path / "out"
    walk = {"walk.pattern": "drop_foot", "walk.affected_side": "left", "walk.severity": 0.8, "walk.turn_angle_deg": 0.0}
    asked = {"virtual_subject": walk, "classifier": {"orthopaedic": True}}
    run = graph("demo", duration_s=16.0, rate=0.0, record=out, parameters=asked)
    assert run.wait(150.0) == 0, run.output()
    results = read_results(out)
    assert len(results.classes) >= 5
    last = results.classes[-1]
    assert (last.label, last.side, last.model) == ("drop_foot", "left", "gait_patterns"), run.output()
    assert last.cycles == len(results.classes)
    assert last.start_s < results.strides[1].end_s
    assert "calcn_l" in last.segments
    assert "Gait: drop_foot" in run.output()

    # the other question, on its own topic
    with open_bag(out) as bag:
        topic = next(name for name in bag.topics if name.endswith("gait_class/orthopaedic"))
        screened = from_gait_class(TimeBase(0), bag.decode(list(bag.messages([topic]))[-1]))
    live_screen = screen([results.strides], load(out).subject.height_m)
    assert live_screen is not None
    assert screened.model == live_screen.model == "orthopaedic"
    np.testing.assert_allclose(screened.probabilities, live_screen.probabilities, atol=1e-6)

    # the same frames, states and strides at a desk
    recording = load(out)
    hub = SensorHub(tuple(recording.imus), HubSettings(max_wait_s=2.0))
    blocks = []
    for end_s in np.arange(1.0, recording.duration_s + 2.0):
        for segment, stream in recording.imus.items():
            a, b = np.searchsorted(stream.time_s, [end_s - 1.0, end_s])
            hub.push(segment, stream.time_s[a:b], stream.acc_mps2[a:b], stream.gyr_radps[a:b])
        blocks.append(hub.poll())
    frames = BodyFrames.joined([*blocks, hub.flush()])
    assert (frames.status & SlotStatus.CALIBRATED).any()
    subject = recording.subject
    person = ClassifierSettings(height_m=subject.height_m, mass_kg=subject.mass_kg)
    classifier = GaitClassifier(frames.segments, person)
    expected = classifier.update(frames, results.states, results.strides) + classifier.flush()
    assert len(expected) == len(results.classes)
    for live, desk in zip(results.classes, expected, strict=True):
        assert live.time_s == pytest.approx(desk.time_s, abs=0.01)
        np.testing.assert_allclose(live.probabilities, desk.probabilities, atol=0.02)
