"""Cycles with what is known of the walks they come from: what a classifier is trained on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification.channels import CHANNELS, NUMBERS, POINTS
from gait_twin.classification.cycles import Cycle
from gait_twin.classification.network import stacked
from gait_twin.errors import InputError
from gait_twin.recording import Side


@dataclass(frozen=True)
class Walk:
    """What is known of a walk.

    Attributes
    ----------
    name, subject, label
        Whose, and of what class.
    side
        Affected leg, ``left`` or ``right``; empty for none or not known.
    facts
        What else may differ between walks, as sensor, site, speed, session: numbers or words.
    """

    name: str
    subject: str
    label: str
    side: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CycleSet:
    """n cycles of w walks.

    Attributes
    ----------
    curves, numbers
        (n, 101, c) and (n, s), as in `Cycle`.
    right
        (n,) whether the near leg is the right one.
    walk
        (n,) index into `walks`.
    walks
        The walks.
    """

    curves: NDArray[np.float32]
    numbers: NDArray[np.float32]
    right: NDArray[np.bool_]
    walk: NDArray[np.intp]
    walks: tuple[Walk, ...]

    @classmethod
    def of(cls, walks: Iterable[tuple[Walk, Sequence[Cycle]]]) -> CycleSet:
        """Set of walks and their cycles; walks without any are left out."""
        kept = [(walk, cycles) for walk, cycles in walks if cycles]
        cycles = [cycle for _, own in kept for cycle in own]
        curves, numbers = stacked(cycles)
        index = np.repeat(np.arange(len(kept)), [len(own) for _, own in kept])
        right = np.array([cycle.side is Side.RIGHT for cycle in cycles], bool)
        return cls(curves, numbers, right, index.astype(np.intp), tuple(walk for walk, _ in kept))

    @classmethod
    def joined(cls, sets: Sequence[CycleSet]) -> CycleSet:
        """All of several sets."""
        starts = np.cumsum([0, *(len(one.walks) for one in sets)])
        return cls(
            np.concatenate([one.curves for one in sets]),
            np.concatenate([one.numbers for one in sets]),
            np.concatenate([one.right for one in sets]),
            np.concatenate([one.walk + start for one, start in zip(sets, starts, strict=False)]),
            tuple(walk for one in sets for walk in one.walks),
        )

    def __len__(self) -> int:
        return len(self.curves)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, ``normal`` or ``healthy`` first, then by name."""
        return tuple(sorted({w.label for w in self.walks}, key=lambda name: (name not in ("normal", "healthy"), name)))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose walks these are."""
        return tuple(dict.fromkeys(w.subject for w in self.walks))

    def of_walks(self, wanted: NDArray[np.bool_]) -> CycleSet:
        """The walks for which (w,) `wanted` is True."""
        rows = wanted[self.walk]
        index = np.cumsum(wanted) - 1
        walks = tuple(walk for walk, take in zip(self.walks, wanted, strict=True) if take)
        return CycleSet(self.curves[rows], self.numbers[rows], self.right[rows], index[self.walk[rows]], walks)

    def of_subjects(self, subjects: Iterable[str]) -> CycleSet:
        """The walks of some subjects."""
        wanted = set(subjects)
        return self.of_walks(np.array([walk.subject in wanted for walk in self.walks], bool))

    def with_inputs(self, curves: NDArray[np.float32], numbers: NDArray[np.float32]) -> CycleSet:
        """The same walks with other curves and numbers, as with sensors taken off."""
        return dataclasses.replace(self, curves=curves, numbers=numbers)

    def save(self, path: Path) -> None:
        """Write as one .npz file."""
        walks = json.dumps([dataclasses.asdict(walk) for walk in self.walks])
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            curves=self.curves.astype(np.float16),
            numbers=self.numbers,
            right=self.right,
            walk=self.walk,
            walks=np.array(walks),
            names=np.array(json.dumps([[c.name for c in CHANNELS], NUMBERS])),
        )
        partial.rename(path)  # a file that is there is whole

    @classmethod
    def load(cls, path: Path) -> CycleSet:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, or is of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as held:
                if json.loads(str(held["names"])) != [[c.name for c in CHANNELS], list(NUMBERS)]:
                    raise InputError(f"{path} holds cycles of another version; remove it.")
                walks = tuple(Walk(**walk) for walk in json.loads(str(held["walks"])))
                curves = held["curves"].astype(np.float32).reshape(-1, POINTS, len(CHANNELS))
                return cls(curves, held["numbers"], held["right"], held["walk"], walks)
        except (OSError, KeyError, ValueError, EOFError) as problem:
            raise InputError(f"{path} cannot be read as gait cycles: {problem}; remove it.") from None
