"""Labelled trials, and detectors run on them and on what was changed of them; for benchmarks/events.py."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from baseline import run as baseline_run
from scipy.spatial.transform import Rotation
from scoring import event_scores, matched

from gait_twin.events.features import FootFeatures
from gait_twin.events.training.walks import frames_of, splits, trials
from gait_twin.recording import BodyFrames, EventKind, GaitEvent, GaitPhase, Side, SlotStatus
from gait_twin.recording.importers import find_importer

FOLDS = Path(__file__).parent / "event_folds"
AROUND_TURN_S = 0.3
"""An event this near to the labelled U-turn is one of the turn."""
PIVOT_RADPS = 4.0
"""A foot on the inside of the U-turn that pitches slower than this in a labelled swing turns on the spot; walking ones
reach 6 to 12 rad/s."""
AFTER_S = 0.1
"""Labels are complete up to this long after the marked end of a trial; nobody says what is beyond."""


class Trial:
    """Frames and labels of one recording, and the fold that its person belongs to."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.recording = find_importer(path).load(path)
        meta = json.loads(path.read_text())
        self.subject, self.age = meta["Subject"], meta["Age"]
        self.fold = next(k for k, people in enumerate(splits()["folds"]) if self.subject in people)
        self.start_s, self.end_s = (i / 100.0 for i in meta["TrialBoundaries"])
        self.turn_s = tuple(i / 100.0 for i in meta["UTurnBoundaries"])
        self.frames = frames_of(self.recording)
        truth = [e for e in self.recording.truth.events if e.time_s <= self.end_s + AFTER_S]
        self.labels = {
            (side, kind): np.array([e.time_s for e in truth if e.side is side and e.kind is kind])
            for side in Side
            for kind in EventKind
        }
        self.pivots = self._pivots()

    def _pivots(self) -> dict[Side, list[tuple[float, float]]]:
        """From 0.3 s before to 0.3 s after each labelled swing in which the U-turn's inner foot turns on the spot."""
        f, found = self.frames, {side: [] for side in Side}
        turn = slice(*np.searchsorted(f.time_s, self.turn_s))
        rates = {}
        for side in Side:
            column = f.segments.index(side.foot)
            seen = FootFeatures(side is Side.LEFT, 0.01).update(f.acc_mps2[:, column], f.gyr_radps[:, column])
            rates[side] = 5.0 * seen[:, :3] * (-1.0 if side is Side.LEFT else 1.0)
        inner = Side.LEFT if sum(rate[turn, 1].sum() for rate in rates.values()) > 0.0 else Side.RIGHT
        strikes = self.labels[inner, EventKind.HEEL_STRIKE]
        for off in self.labels[inner, EventKind.TOE_OFF]:
            for strike in strikes[strikes > off][:1]:
                start, end = off - AROUND_TURN_S, strike + AROUND_TURN_S
                rows = slice(*np.searchsorted(f.time_s, [start, end]))
                middle = 0.5 * (off + strike)
                if (
                    self.turn_s[0] - AROUND_TURN_S < middle < self.turn_s[1] + AROUND_TURN_S
                    and np.abs(rates[inner][rows, 2]).max() < PIVOT_RADPS
                ):
                    found[inner].append((start, end))
        return found

    def inside(self, events: list[GaitEvent], side: Side, kind: EventKind) -> list[GaitEvent]:
        """Events of a foot and kind where labels are complete."""
        mine = (e for e in events if e.side is side and e.kind is kind)
        return [e for e in mine if self.start_s - 0.5 < e.time_s < self.end_s + AFTER_S]

    def place(self, side: Side, time_s: float) -> str:
        """`pivot` (the inner foot turns on the spot), else `turn`, `ends` (a foot's first and last) or `straight`."""
        if any(start < time_s < end for start, end in self.pivots[side]):
            return "pivot"
        if self.turn_s[0] - AROUND_TURN_S < time_s < self.turn_s[1] + AROUND_TURN_S:
            return "turn"
        bounds = [(x[0], x[-1]) for x in (self.labels[side, kind] for kind in EventKind)]
        if time_s < max(a for a, _ in bounds) + AFTER_S or time_s > min(b for _, b in bounds) - AFTER_S:
            return "ends"
        return "straight"


Make = Callable[[Trial], Any]
Found = dict[str, tuple[list[GaitEvent], list[GaitPhase]]]


def all_trials(data: Path) -> list[Trial]:
    people = [subject for fold in splits()["folds"] for subject in fold]
    return [Trial(path) for path in trials(data, people)]


class BaselineDetector:
    """The plain offline baseline, behind a detector's methods; it knows nothing of delays."""

    def update(self, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
        events = []
        for column, segment in enumerate(frames.segments):
            side = next(s for s in Side if s.foot == segment)
            gyr, acc = (_bridged(x[:, column]) for x in (frames.gyr_radps, frames.acc_mps2))
            done = baseline_run(frames.time_s, acc, gyr)
            for kind, times in ((EventKind.HEEL_STRIKE, done.heel_strikes_s), (EventKind.TOE_OFF, done.toe_offs_s)):
                events += [GaitEvent(float(t), side, kind) for t in times]
        return events, []

    def flush(self) -> tuple[list[GaitEvent], list[GaitPhase]]:
        return [], []


def _bridged(x: np.ndarray) -> np.ndarray:
    good = np.isfinite(x).all(axis=1)
    at = np.arange(len(x))
    return np.column_stack([np.interp(at, at[good], c[good]) for c in x.T])


def detect(detector: Any, frames: BodyFrames) -> tuple[list[GaitEvent], list[GaitPhase]]:
    events, phases = detector.update(frames)
    more, last = detector.flush()
    return events + more, phases + last


def run(chosen: Sequence[Trial], make: Make, change: Callable[[Trial], BodyFrames] | None = None) -> Found:
    """Events and phases of each trial."""
    return {t.name: detect(make(t), change(t) if change else t.frames) for t in chosen}


def scores(chosen: Sequence[Trial], found: Found, own_offsets: bool = False) -> dict[str, Any]:
    """Scores of each kind, and by place; `own_offsets` takes each trial's and foot's own label offset off as well."""
    result: dict[str, Any] = {}
    for kind in EventKind:
        cases, delays, whose = [], [], []
        for trial in chosen:
            events, _ = found[trial.name]
            for side in Side:
                if not any(e.side is side for e in events):
                    continue
                mine = trial.inside(events, side, kind)
                labels, times = trial.labels[side, kind], np.array([e.time_s for e in mine])
                if own_offsets:
                    near = [times[j] - labels[i] for i, j in matched(labels, times, 0.15)]
                    labels = labels + (float(np.median(near)) if len(near) > 5 else 0.0)
                cases.append((labels, times))
                whose.append((trial, side))
                delays += [1e3 * e.delay_s for e in mine]
        row = event_scores(cases) | {
            "delay_median_ms": float(np.median(delays)),
            "delay_p95_ms": float(np.percentile(delays, 95)),
        }
        row["places"] = _by_place(cases, whose, row["bias_ms"] / 1e3)
        result[kind.value] = row
    return result


def _by_place(
    cases: list[tuple[np.ndarray, np.ndarray]], whose: list[tuple[Trial, Side]], bias_s: float
) -> dict[str, dict[str, float]]:
    """Hits, misses and false events at ±50 ms on the straight, at turns, at their pivots, and at the ends of walks."""
    counts: dict[str, dict[str, float]] = defaultdict(lambda: {"labels": 0, "missed": 0, "false": 0})
    for (labels, times), (trial, side) in zip(cases, whose, strict=True):
        near = matched(labels, times - bias_s, 0.05)
        for i, label in enumerate(labels):
            row = counts[trial.place(side, label)]
            row["labels"] += 1
            row["missed"] += i not in {i for i, _ in near}
        for j, time_s in enumerate(times):
            counts[trial.place(side, time_s)]["false"] += j not in {j for _, j in near}
    names = ("labels", "missed", "false")
    counts["all but pivots"] = {n: sum(row[n] for place, row in counts.items() if place != "pivot") for n in names}
    for row in counts.values():
        hits = row["labels"] - row["missed"]
        row["f1_50ms"] = 2.0 * hits / (row["labels"] + hits + row["false"])
    return dict(counts)


def agreement(chosen: Sequence[Trial], found: dict[str, Found], who: str) -> dict[str, dict[str, dict[str, int]]]:
    """Of labels that one detector misses at ±50 ms, by kind and place: how many others meet, and who sides with it.

    `label`: another detector has an event within 50 ms of it. `event`: none has, but the detector's own event up to
    0.4 s away has another's within 50 ms.
    """
    result: dict[str, dict[str, dict[str, int]]] = {}
    for kind in EventKind:
        bias_s = {name: scores(chosen, them)[kind.value]["bias_ms"] / 1e3 for name, them in found.items()}
        counts: dict[str, dict[str, int]] = defaultdict(lambda: {"missed": 0, "label": 0, "event": 0})
        for trial in chosen:
            for side in Side:
                times = {
                    name: np.array([e.time_s for e in trial.inside(them[trial.name][0], side, kind)]) - bias_s[name]
                    for name, them in found.items()
                }
                labels, mine = trial.labels[side, kind], times.pop(who)
                others = np.concatenate(list(times.values()))
                near = matched(labels, mine, 0.05)
                free = np.delete(mine, [j for _, j in near])
                for i in sorted(set(range(len(labels))) - {i for i, _ in near}):
                    row = counts[trial.place(side, labels[i])]
                    own = free[np.argsort(np.abs(free - labels[i]))[:1]]
                    own = own[np.abs(own - labels[i]) < 0.4]
                    row["missed"] += 1
                    if (np.abs(others - labels[i]) < 0.05).any():
                        row["label"] += 1
                    elif (np.abs(others[:, None] - own) < 0.05).any():
                        row["event"] += 1
        result[kind.value] = dict(counts)
    return result


def turned(trial: Trial) -> BodyFrames:
    """The frames as if each sensor sat turned some way on its foot."""
    f = trial.frames
    acc, gyr = f.acc_mps2.copy(), f.gyr_radps.copy()
    for column in range(len(f.segments)):
        turn = Rotation.random(rng=np.random.default_rng(len(trial.name) + 17 * column + trial.subject))
        acc[:, column], gyr[:, column] = turn.apply(acc[:, column]), turn.apply(gyr[:, column])
    return BodyFrames(f.segments, f.time_s, acc, gyr, f.quat_wxyz, f.body_quat_wxyz, f.status)


def one_foot(frames: BodyFrames, segment: str) -> BodyFrames:
    columns = [frames.segments.index(segment)]
    parts = (frames.acc_mps2, frames.gyr_radps, frames.quat_wxyz, frames.body_quat_wxyz, frames.status)
    return BodyFrames((segment,), frames.time_s, *(part[:, columns] for part in parts))


def walk_frames(walk: Any) -> BodyFrames:
    n = len(walk.time_s)
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (n, 2, 1))
    valid = np.isfinite(walk.gyr_radps).all(axis=2)
    status = np.where(valid, int(SlotStatus.VALID), 0).astype(np.uint8)
    return BodyFrames(("calcn_l", "calcn_r"), walk.time_s, walk.acc_mps2, walk.gyr_radps, quat, quat, status)
