"""The class of a walk from its last cycles, streaming."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.cycles import Cycle, CycleCutter
from gait_twin.classification.network import SETS, Model, between, known_channels, stacked, worn
from gait_twin.classification.settings import ClassifierSettings
from gait_twin.recording import SEGMENTS, BodyFrames, GaitClass, Side, Stride, TwinState

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one cycle says.

    Attributes
    ----------
    side, start_s, end_s, segments
        Of the cycle.
    logits
        (o,) with near read as left, far as right.
    limits
        Odds of none of the classes that are too high, for one cycle and for the mean of many.
    """

    side: Side
    start_s: float
    end_s: float
    segments: tuple[str, ...]
    logits: FloatArray
    limits: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Classified:
    """The class of a whole walk, and what it rests on.

    Attributes
    ----------
    result
        The class.
    cycles
        All cycles of the walk.
    model
        The classifier.
    """

    result: GaitClass
    cycles: tuple[Cycle, ...]
    model: Model


def judge(model: Model, cycles: Sequence[Cycle]) -> list[Judged]:
    """What each of some cycles says."""
    if not cycles:
        return []
    curves, numbers = stacked(cycles)
    logits = model.of_sides(model.answer(curves, numbers), [c.side for c in cycles])
    sets = worn(known_channels(curves))
    return [
        Judged(c.side, c.start_s, c.end_s, c.segments, logits[i], model.novelty[SETS[sets[i]]])
        for i, c in enumerate(cycles)
    ]


def together(model: Model, judged: Sequence[Judged]) -> GaitClass:
    """Class of a walk from what its cycles say, at least one: mean logarithmic odds, calibrated for their number."""
    n = len(judged)
    logits = np.mean([one.logits for one in judged], axis=0)
    shares = model.probabilities(logits, n)
    known = model.outputs[:-1]
    probabilities = np.zeros(len(model.labels))
    for output, share in zip(known, shares, strict=True):
        probabilities[output.label] += share
    best = int(np.argmax(probabilities))
    sided = {o.leg: s for o, s in zip(known, shares, strict=True) if o.label == best and o.leg}
    side, side_probability = None, float("nan")
    if sided:
        left = sided.get("near", 0.0) >= sided.get("far", 0.0)
        side = Side.LEFT if left else Side.RIGHT
        side_probability = float(max(sided.values()) / max(probabilities[best], 1e-300))
    odds = float(np.mean([model.odds_of_none(one.logits[None])[0] for one in judged]))
    cycle, walk = np.mean([one.limits for one in judged], axis=0)
    novelty = float(np.exp(np.clip(odds - between(float(cycle), float(walk), n), -20.0, 20.0)))
    counts = Counter(segment for one in judged for segment in one.segments)
    return GaitClass(
        time_s=max(one.end_s for one in judged),
        start_s=min(one.start_s for one in judged),
        cycles=n,
        labels=model.labels,
        probabilities=probabilities,
        novelty=novelty,
        unknown=novelty > 1.0,
        side=side,
        side_probability=side_probability,
        segments=tuple(s for s in SEGMENTS if counts[s] > n / 2),
        model=model.name,
    )


class GaitClassifier:
    """Names the gait from frames, the twin's states and strides.

    Parameters
    ----------
    segments
        Of the frames to come.
    settings
        Defaults when None.
    model
        The trained classifier; the one that the settings name when None.
    with_twin
        Whether states of a twin come too; otherwise the feet alone are looked at.
    keep
        Keep every cycle, for `walk`.

    Raises
    ------
    InputError
        If the model cannot be read.
    """

    def __init__(
        self,
        segments: Sequence[str],
        settings: ClassifierSettings | None = None,
        model: Model | None = None,
        with_twin: bool = True,
        keep: bool = False,
    ) -> None:
        self.settings = settings or ClassifierSettings()
        self.model = model or Model.of_settings(self.settings)
        self._cutter = CycleCutter(segments, self.settings, with_twin)
        self._recent: deque[Judged] = deque(maxlen=self.settings.cycles)
        self._keep = keep
        self._cycles: list[Cycle] = []
        self._judged: list[Judged] = []

    def update(
        self, frames: BodyFrames, states: Sequence[TwinState] = (), strides: Sequence[Stride] = ()
    ) -> list[GaitClass]:
        """Take what came and give the class after each cycle that became complete.

        Results depend on the data alone: not on how the three streams are cut into blocks, nor on which of them
        is ahead.

        Parameters
        ----------
        frames
            n frames that follow those given before; n may be 0.
        states, strides
            Of the twin, and of the step estimator, in their order; of any of the frames given so far or later.
        """
        return self._say(self._cutter.update(frames, states, strides))

    def flush(self) -> list[GaitClass]:
        """End of the stream: the class after each of the last cycles."""
        return self._say(self._cutter.flush())

    def walk(self) -> Classified | None:
        """Class of the whole walk; None without `keep` or a cycle."""
        if not self._judged:
            return None
        return Classified(together(self.model, self._judged), tuple(self._cycles), self.model)

    def _say(self, cycles: Sequence[Cycle]) -> list[GaitClass]:
        found = []
        # one by one: sums over several at once may differ in the last bit
        for cycle in cycles:
            self._recent.extend(judge(self.model, [cycle]))
            if self._keep:
                self._cycles.append(cycle)
                self._judged.append(self._recent[-1])
            while self._recent[0].end_s < cycle.end_s - self.settings.memory_s:
                self._recent.popleft()
            found.append(together(self.model, list(self._recent)))
        return found
