"""The event network: features that do not know the mounting, a stream that does not know its blocks."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gait_twin.errors import InputError
from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.events.features import CHANNELS, FootFeatures, Resampler
from gait_twin.events.network import (
    FIRST_LAG,
    INPUTS,
    KERNEL,
    LAGS,
    LAST_LAG,
    OUTPUTS,
    SPAN,
    WIDTH,
    NetworkStream,
    Weights,
)
from gait_twin.events.neural import EventPicker, NeuralDetector, calibrated
from gait_twin.events.training.augmentation import augmented, features, mirrored, targets
from gait_twin.events.training.fitting import fit, outputs, pairs
from gait_twin.events.training.idle import fidgeting, sitting
from gait_twin.events.training.walks import Walk, patient, people, recorded, splits, virtual
from gait_twin.recording import BodyFrames, EventKind, Side, SlotStatus, Stride

SHIPPED = Weights.load()


@pytest.fixture(scope="module")
def walk():
    return virtual(55, duration_s=16.0, speed_mps=1.2, straight_length_m=30.0)


def frames_of(walk, rows=slice(None), feet=("calcn_l", "calcn_r"), rotation=None, rate_hz=100.0):
    time_s, acc, gyr = walk.time_s, walk.acc_mps2, walk.gyr_radps
    if rate_hz != 100.0:
        at = np.arange(time_s[0], time_s[-1], 1.0 / rate_hz)
        acc, gyr = (
            np.column_stack([np.interp(at, time_s, c) for c in x.reshape(len(x), -1).T]).reshape(-1, 2, 3)
            for x in (acc, gyr)
        )
        time_s = at
    if rotation is not None:
        acc, gyr = (rotation.apply(x.reshape(-1, 3)).reshape(x.shape) for x in (acc, gyr))
    columns = [("calcn_l", "calcn_r").index(foot) for foot in feet]
    acc, gyr = acc[rows][:, columns], gyr[rows][:, columns]
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (len(acc), len(feet), 1))
    status = np.where(np.isfinite(acc).all(axis=2), int(SlotStatus.VALID), 0).astype(np.uint8)
    return BodyFrames(feet, time_s[rows], acc, gyr, quat, quat, status)


def hits(walk, events, side, kind, within_s=0.08):
    found = np.array([e.time_s for e in events if e.side is side and e.kind is kind])
    labels = walk.events[side, kind]
    near = int((np.abs(labels[:, None] - found).min(axis=1) < within_s).sum()) if len(found) else 0
    return near, len(labels), len(found)


# --- features ---


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_features_are_the_same_for_any_mounting(walk, seed):
    turn = Rotation.random(rng=seed)
    acc, gyr = walk.acc_mps2[:, 0], walk.gyr_radps[:, 0]
    a = FootFeatures(True, 0.01).update(acc, gyr)
    b = FootFeatures(True, 0.01).update(turn.apply(acc), turn.apply(gyr))
    assert np.abs(a - b).max() < 1e-3


def test_features_are_in_the_feet_s_axes(walk):
    seen = features(walk)
    assert seen.shape == (len(walk.time_s), 2, CHANNELS)
    for i, side in enumerate(Side):
        strikes, offs = (walk.events[side, k] for k in (EventKind.HEEL_STRIKE, EventKind.TOE_OFF))
        for off in offs[1:]:
            strike = strikes[strikes > off][0]
            late = slice(int(100 * (off + 0.4 * (strike - off))), int(100 * (off + 0.8 * (strike - off))))
            assert seen[late, i, 2].mean() > 0.0  # the toes turn up
            assert seen[late, i, 7].mean() > 0.2  # the foot goes forward
    still = walk.time_s < 1.0
    assert np.abs(seen[still][:, :, 3:6]).max() < 0.1


def test_a_scale_error_of_the_accelerometer_does_not_matter(walk):
    acc, gyr = walk.acc_mps2[:, 1], walk.gyr_radps[:, 1]
    a, b = (FootFeatures(False, 0.01).update(s * acc, gyr) for s in (1.0, 1.05))
    assert np.abs(a - b)[50:].max() < 0.1


def test_missing_samples_are_zeros_and_flagged(walk):
    acc = walk.acc_mps2[:, 0].copy()
    acc[500:510] = np.nan
    seen = FootFeatures(True, 0.01).update(acc, walk.gyr_radps[:, 0])
    assert not seen[500:510].any()
    assert np.isfinite(seen).all()
    assert (seen[510:, 8] == 1.0).all()


@pytest.mark.parametrize("rate_hz", [50.0, 64.0, 128.0, 200.0, 400.0])
def test_resampling_keeps_time_and_size(rate_hz):
    time_s = 3.0 + np.arange(int(4 * rate_hz)) / rate_hz
    wave = lambda t: np.column_stack([np.sin(2 * np.pi * 1.5 * t), t])  # noqa: E731
    out_s, out = Resampler(1.0 / rate_hz, 2).update(time_s, wave(time_s))
    assert np.allclose(np.diff(out_s), 0.01)
    assert np.abs(out - wave(out_s)).max() < 0.015
    assert time_s[-1] - out_s[-1] < 0.016


@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), st.sampled_from([50.0, 128.0, 400.0]))
@settings(max_examples=20, deadline=None)
def test_resampling_does_not_know_blocks(sizes, rate_hz):
    rng = np.random.default_rng(0)
    time_s, x = np.arange(400) / rate_hz, rng.standard_normal((400, 3))
    x[100:103] = np.nan
    whole = Resampler(1.0 / rate_hz, 3).update(time_s, x)
    cut, parts, at, turn = Resampler(1.0 / rate_hz, 3), [], 0, 0
    while at < len(x):
        size = sizes[turn % len(sizes)]
        parts.append(cut.update(time_s[at : at + size], x[at : at + size]))
        at, turn = at + size, turn + 1
    for i in range(2):
        assert np.array_equal(np.concatenate([p[i] for p in parts]), whole[i], equal_nan=True)


# --- network ---


def test_stream_is_the_torch_network():
    torch = pytest.importorskip("torch")
    from gait_twin.events.training.model import Network

    torch.manual_seed(0)
    network = Network().eval()
    x = np.random.default_rng(0).standard_normal((200, 2, CHANNELS)).astype(np.float32)
    stream = NetworkStream(network.weights({}), 2).update(x)
    for foot in range(2):
        own = np.concatenate([x[:, foot], x[:, 1 - foot]], axis=1)
        padded = np.concatenate([np.zeros((SPAN - 1, INPUTS), np.float32), own])
        with torch.no_grad():
            wanted = network(torch.from_numpy(padded.T[None].copy()))[0].numpy()
        assert np.abs(stream[:, foot] - wanted).max() < 1e-4


def test_layout():
    assert [k.shape for k in SHIPPED.kernels] == [
        (KERNEL, INPUTS, WIDTH),
        (KERNEL, WIDTH, WIDTH),
        (KERNEL, WIDTH, WIDTH),
    ]
    assert SHIPPED.head.shape == (WIDTH, OUTPUTS)
    assert 20_000 < SHIPPED.count < 60_000


def test_weights_that_are_none(tmp_path):
    with pytest.raises(InputError, match="cannot be read as weights"):
        Weights.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        Weights.load(tmp_path / "text.npz")
    small = Weights(SHIPPED.kernels, SHIPPED.biases, SHIPPED.head[:5], SHIPPED.head_bias)
    small.save(tmp_path / "small.npz")
    with pytest.raises(InputError, match="another network"):
        Weights.load(tmp_path / "small.npz")


# --- detector ---


def test_finds_the_events_of_a_virtual_subject(walk):
    events, phases = NeuralDetector().update(frames_of(walk))
    assert len(phases) == 2 * len(walk.time_s)
    for side in Side:
        for kind in EventKind:
            near, labels, found = hits(walk, events, side, kind)
            assert near >= labels - 1
            assert found <= labels + 1
    assert all(0.0 < e.confidence <= 1.0 for e in events)
    late = [e.delay_s for e in events if e.kind is EventKind.HEEL_STRIKE]
    assert np.percentile(late, 95) <= 0.08


@pytest.mark.parametrize("seed", [103, 111])
def test_a_toe_walker_strikes_with_the_forefoot(seed):
    walk = patient(seed, duration_s=12.0)  # seeds that are not trained on
    assert seed >= splits()["patient_test"][0]
    events, _ = NeuralDetector().update(frames_of(walk))
    for side in Side:
        near, labels, found = hits(walk, events, side, EventKind.HEEL_STRIKE, within_s=0.05)
        assert near >= labels - 1
        assert found <= labels + 1


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30), st.sampled_from([100.0, 64.0, 200.0]))
@settings(max_examples=10, deadline=None)
def test_same_however_cut(walk, sizes, rate_hz):
    frames = frames_of(walk, rate_hz=rate_hz)[: int(8 * rate_hz)]
    frames.acc_mps2[600:620, 0] = np.nan
    frames.status[600:620, 0] = 0
    whole = NeuralDetector(weights=SHIPPED).update(frames)
    detector = NeuralDetector(weights=SHIPPED)
    events, phases, at, turn = [], [], 0, 0
    while at < len(frames):
        more = detector.update(frames[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
        events += more[0]
        phases += more[1]
    assert events == whole[0]
    assert repr(phases) == repr(whole[1])


def test_any_mounting(walk):
    a = NeuralDetector().update(frames_of(walk))[0]
    b = NeuralDetector().update(frames_of(walk, rotation=Rotation.random(rng=5)))[0]
    assert [(e.side, e.kind) for e in a] == [(e.side, e.kind) for e in b]
    assert np.allclose([e.time_s for e in a], [e.time_s for e in b], atol=1e-3)


@pytest.mark.parametrize("rate_hz", [50.0, 128.0, 200.0, 400.0])
def test_any_rate(walk, rate_hz):
    events, phases = NeuralDetector().update(frames_of(walk, rate_hz=rate_hz))
    assert len(phases) == 2 * len(frames_of(walk, rate_hz=rate_hz))
    for side in Side:
        near, labels, found = hits(walk, events, side, EventKind.HEEL_STRIKE)
        assert near >= labels - 2
        assert found <= labels + 1


@pytest.mark.parametrize("foot", ["calcn_l", "calcn_r"])
def test_one_foot_alone(walk, foot):
    events, phases = NeuralDetector().update(frames_of(walk, feet=(foot,)))
    side = Side.LEFT if foot == "calcn_l" else Side.RIGHT
    assert {e.side for e in events} == {side}
    near, labels, _ = hits(walk, events, side, EventKind.HEEL_STRIKE)
    assert near >= labels - 2
    assert not any(p.walking for p in phases if p.side is side.other)


def test_phase_rises_from_heel_strike_to_heel_strike(walk):
    _, phases = NeuralDetector().update(frames_of(walk))
    for side in Side:
        mine = [p for p in phases if p.side is side]
        strikes = walk.events[side, EventKind.HEEL_STRIKE]
        errors = []
        for a, b in itertools.pairwise(strikes[1:-1]):
            for p in mine[int(100 * a) : int(100 * b)]:
                error = p.phase - (p.time_s - a) / (b - a)
                errors.append(abs((error + 0.5) % 1.0 - 0.5))
        assert np.nanmedian(errors) < 0.05
    assert not any(p.walking for p in phases if p.time_s < 1.5)


def test_clock_that_leaps_and_frames_that_are_missing(walk):
    frames = frames_of(walk)
    detector = NeuralDetector()
    first = detector.update(frames[:900])
    back = detector.update(frames[200:700])  # the clock leaps back
    on = detector.update(frames[760:])  # frames are missing
    assert len(first[1]) + len(back[1]) + len(on[1]) == 2 * (900 + 500 + len(frames) - 760)
    assert back[0]
    assert all(e.delay_s > -0.03 for e in first[0] + back[0] + on[0])


def test_nothing_and_one_frame(walk):
    detector = NeuralDetector()
    assert detector.update(frames_of(walk)[:0]) == ([], [])
    assert detector.update(frames_of(walk)[:1]) == ([], [])
    events, phases = detector.flush()
    assert not events
    assert len(phases) == 2
    assert NeuralDetector().flush() == ([], [])


def test_no_feet(walk):
    frames = frames_of(walk)
    pelvis = BodyFrames(("pelvis", "torso"), *(getattr(frames, n) for n in frames.__slots__[1:]))
    events, phases = NeuralDetector().update(pelvis)
    assert not events
    assert not any(p.walking for p in phases)


@pytest.mark.parametrize("idle", [fidgeting, sitting])
def test_moving_without_a_step_is_not_walking(idle):
    minutes, events = 0.0, []
    for seed in (95, 96):
        events += NeuralDetector().update(frames_of(idle(seed, 60.0)))[0]
        minutes += 2.0
    assert len(events) <= 0.5 * minutes


@given(st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_idle_feet_stay_where_they_are(seed):
    for idle in (fidgeting, sitting):
        still = idle(seed, 12.0)
        assert still.made
        assert still.subject == 0
        assert not any(len(times) for times in still.events.values())
        force = np.linalg.norm(still.acc_mps2, axis=2)
        assert np.isfinite(force).all()
        assert 8.0 < np.median(force) < 25.0


def test_the_first_event_after_a_pause_must_be_surer():
    out = np.full((1000, OUTPUTS), -9.0, np.float32)
    out[:, LAGS] = out[:, 2 * LAGS + 1] = 0.0
    for at in (300, 400, 800):  # each with a probability of 0.8
        for row in range(at + 6, at + 16):
            out[row, row - at - FIRST_LAG] = np.log(4.0)
    unsure = EventPicker(0.01, 0.06).update(np.arange(1000) * 0.01, out)
    assert not unsure
    out[306:316, LAGS] = -9.0  # now the first one is sure
    found = EventPicker(0.01, 0.06).update(np.arange(1000) * 0.01, out)
    assert [f.time_s for f in found] == pytest.approx([3.0, 4.0], abs=1e-6)


def test_confidence_falls_with_the_spread():
    line = (-13.0, -4.2)
    said = [calibrated(spread_s, line) for spread_s in (0.003, 0.01, 0.03, 0.1)]
    assert all(0.0 < p < 1.0 for p in said)
    assert said == sorted(said, reverse=True)
    assert calibrated(1.0, (0.0, -4.2)) == pytest.approx(0.5)


def test_picker_reads_a_distribution():
    out = np.full((60, OUTPUTS), -9.0, np.float32)
    out[:, LAGS] = out[:, 2 * LAGS + 1] = 0.0  # "none" but around a heel strike at step 20
    for row in range(60):
        lag = row - 20
        if FIRST_LAG <= lag <= LAST_LAG:
            out[row, LAGS], out[row, lag - FIRST_LAG] = -9.0, 3.0
    for look_ahead_s in (0.0, 0.04, 0.08):
        found = EventPicker(0.01, look_ahead_s).update(np.arange(60) * 0.01, out)
        assert len(found) == 1
        assert found[0].time_s == pytest.approx(0.2, abs=1e-3)
        assert found[0].row == 20 + round(100 * look_ahead_s)


def test_a_stricter_threshold_is_passed_later(walk):
    strikes = {}
    for strictness in (1.0, 100.0):
        detector = NeuralDetector()
        detector.adapt(Side.LEFT, EventKind.HEEL_STRIKE, strictness)
        events, _ = detector.update(frames_of(walk))
        strikes[strictness] = [e for e in events if e.side is Side.LEFT and e.kind is EventKind.HEEL_STRIKE]
    late = np.array([[s.time_s + s.delay_s for s in strikes[k][1:8]] for k in (1.0, 100.0)])
    assert (late[1] >= late[0]).all()
    assert (late[1] > late[0]).any()  # surer, and so later


def strides_of(walk):
    """Strides from strike to strike, each with when an estimator would have it."""
    for side in Side:
        for start_s, end_s in itertools.pairwise(walk.events[side, EventKind.HEEL_STRIKE].tolist()):
            if end_s - start_s < 2.0:
                yield end_s + 0.8, Stride(side, start_s, end_s)


def closed(walk, sizes, *, teach=True):
    """Events with the loop closed, frames cut into blocks of these sizes in turn."""
    detector, frames, found = EventDetector(DetectorSettings(closed_loop=True)), frames_of(walk), []
    waiting = sorted(strides_of(walk), key=lambda pair: pair[0]) if teach else []
    edges = np.cumsum([0, *itertools.islice(itertools.cycle(sizes), len(frames))])
    for start, end in itertools.pairwise(edges[edges < len(frames) + max(sizes)].tolist()):
        found += detector.update(frames[start:end])[0]
        while waiting and waiting[0][0] <= frames.time_s[min(end, len(frames)) - 1]:
            detector.take_strides([waiting.pop(0)[1]])
    return found


def test_confirmed_strides_let_the_next_events_be_known_earlier(walk):
    alone = closed(walk, [50], teach=False)
    assert alone == NeuralDetector().update(frames_of(walk))[0]  # nothing is learnt: nothing changes
    taught = closed(walk, [50])
    for kind in EventKind:
        known = [
            [e.time_s + e.delay_s for e in found if e.kind is kind and e.time_s > 9.0] for found in (alone, taught)
        ]
        assert len(known[0]) == len(known[1]) > 5
        gained_s = np.sort(known[0]) - np.sort(known[1])
        assert gained_s.max() > 0.005
        assert gained_s.mean() > 0.0


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4))
@settings(max_examples=6, deadline=None)
def test_the_closed_loop_does_not_know_blocks(walk, sizes):
    assert closed(walk, sizes) == closed(walk, [25])


# --- training ---


def test_no_subject_is_in_two_folds():
    split = splits()
    subjects = [s for fold in split["folds"] for s in fold]
    assert len(subjects) == len(set(subjects)) == len(people()) == 13
    seeds = [s for part in ("train", "test") for s in range(*split[f"virtual_{part}"])]
    assert len(seeds) == len(set(seeds))


def test_augmentation_keeps_events_where_they_are(walk):
    rng = np.random.default_rng(3)
    for _ in range(6):
        changed, seen = augmented(walk, rng)
        assert seen.shape == (len(changed.time_s), 2, CHANNELS)
        assert np.isfinite(seen).all()
        for i, side in enumerate(Side):
            pitch = seen[:, i, 2]
            for off in changed.events[side, EventKind.TOE_OFF][1:]:
                row = int((off - changed.time_s[0]) / changed.step_s)
                part = pitch[row - 15 : row + 15]
                assert part.min() < -0.3 or not seen[row - 15 : row + 15, i, 8].all()  # push-off


def test_mirror_twice_is_none(walk):
    seen = features(walk)
    again, twice = mirrored(*mirrored(walk, seen))
    assert np.array_equal(twice, seen)
    assert np.array_equal(again.events[Side.LEFT, EventKind.TOE_OFF], walk.events[Side.LEFT, EventKind.TOE_OFF])


def test_a_network_is_trained_and_what_goes_with_it_fitted(walk):
    pytest.importorskip("torch")
    from gait_twin.events.training.run import EVERYONE, TrainSettings, fit_network

    told = []
    fitted = fit_network([walk, sitting(1)], EVERYONE, TrainSettings(epochs=2), told.append)
    assert [row["epoch"] for row in fitted.curves] == [1, 2]
    assert len(told) == 2
    assert fitted.weights.count == SHIPPED.count
    notes = fit([walk], outputs(SHIPPED, [features(walk)]))
    for kind in EventKind:
        assert 0.3 < notes["thresholds"][kind] < 0.7
        assert notes["confidence"][kind][1] <= 0.0


def test_a_label_is_not_taken_to_the_millisecond():
    torch = pytest.importorskip("torch")
    from gait_twin.events.training.model import losses

    n = 200
    nothing = {"stance": (n,), "phase": (n, 2), "times": (n, 4)}
    wanted = {name: torch.full((1, *size), torch.nan) for name, size in nothing.items()}
    lag = (torch.arange(n) - 100.0)[None]
    wanted |= {"lag_heel_strike": lag, "lag_toe_off": lag, "known": torch.ones(1, n)}

    def loss(off_by):
        out = torch.full((1, n, OUTPUTS), -4.0)
        for step in range(n):
            where = step - 100 - off_by - FIRST_LAG
            out[0, step, where if 0 <= where < LAGS else LAGS] = 4.0
        return float(losses(out, wanted)["heel_strike"])

    right, beside, far = loss(0), loss(1), loss(3)
    assert right < beside < far
    assert beside - right < 0.6 * (far - right)


def test_every_pattern_is_trained_on_and_tested():
    from gait_twin.simulation.patterns import PATTERNS

    split = splits()
    for part in ("patient_train", "patient_test"):
        first, last = split[part]
        assert (last - first + 1) % (len(PATTERNS) - 1) == 0
    assert split["patient_train"][1] < split["patient_test"][0]


def test_targets_of_a_known_walk():
    time_s = np.arange(600) / 100.0
    events = {(side, kind): np.empty(0) for side in Side for kind in EventKind}
    events[Side.LEFT, EventKind.TOE_OFF] = np.array([1.5, 2.6, 3.6])
    events[Side.LEFT, EventKind.HEEL_STRIKE] = np.array([2.0, 3.0, 4.0])
    made = targets(Walk("made", time_s, np.zeros((600, 2, 3)), np.zeros((600, 2, 3)), events, np.ones((600, 2), bool)))
    assert made["lag_heel_strike"][205, 0] == pytest.approx(5.0, abs=1e-3)
    assert made["lag_toe_off"][255, 0] == pytest.approx(-5.0, abs=1e-3)
    assert np.isnan(made["lag_toe_off"][:, 1]).all()
    assert made["stance"][[170, 230, 280], 0] == pytest.approx([0.0, 1.0, 0.0])
    assert made["phase"][225, 0] == pytest.approx([0.0, 1.0], abs=1e-3)
    assert np.exp(made["times"][230, 0, :3]) == pytest.approx([1.0, 0.6, 0.4], abs=1e-3)
    assert not made["phase"][20, 0].any()
    assert np.isnan(made["phase"][450, 0]).all()


# --- behind the detector's interface ---


@pytest.mark.parametrize("detector", ["network", "classical"])
def test_either_detector_behind_one_interface(walk, detector):
    events, phases = EventDetector(DetectorSettings(detector=detector)).update(frames_of(walk))
    assert len(phases) == 2 * len(walk.time_s)
    for side in Side:
        near, labels, _ = hits(walk, events, side, EventKind.HEEL_STRIKE)
        assert near >= labels - 2


def test_look_ahead_is_a_setting(walk):
    late = {}
    for look_ahead_s in (0.02, 0.08):
        settings = DetectorSettings(detector="network", look_ahead_s=look_ahead_s)
        events, _ = EventDetector(settings).update(frames_of(walk))
        late[look_ahead_s] = np.median([e.delay_s for e in events])
    assert late[0.08] - late[0.02] == pytest.approx(0.06, abs=0.02)
    with pytest.raises(InputError, match="look_ahead_s"):
        DetectorSettings(look_ahead_s=0.5)
    with pytest.raises(InputError, match="choose one of network, classical"):
        DetectorSettings(detector="magic")


@pytest.mark.parametrize("trial", ["10-1", "16-3"])
def test_labels_of_people_never_seen(data_dir, trial):
    path = data_dir / "foot_healthy_10m" / f"{trial}.json"
    weights = Weights.load(Path(__file__).parents[2] / "benchmarks" / "event_folds" / "fold1.npz")
    assert int(trial.split("-")[0]) in weights.notes["left_out"]
    walk = recorded(path)
    events, _ = NeuralDetector(weights=weights).update(frames_of(walk))
    for kind in EventKind:
        total = near = 0
        for side in Side:
            times = [e.time_s for e in events if e.side is side and e.kind is kind]
            known = [t for t in times if walk.known[int(100 * t), list(Side).index(side)]]
            near += 2 * len(pairs(walk.events[side, kind], np.array(known)))
            total += len(walk.events[side, kind]) + len(known)
        assert near / total > 0.9  # a pair is 0.03
    late = [e.delay_s for e in events if e.kind is EventKind.HEEL_STRIKE]
    assert np.percentile(late, 95) <= 0.08
