"""What commands share that run devices: a driver, and what it hands on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.show import busy
from gait_twin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gait_twin.sensing import Body, Driver, Reading

BodyArgument = Annotated[Path, typer.Argument(metavar="BODY", help="body.yaml: which device is on which segment.")]


class Watch:
    """What the driver hands on, kept for the last seconds of each segment."""

    def __init__(self, keep: int = 4000) -> None:
        from collections import deque

        self._keep = keep

        self.rows: dict[str, Any] = {}
        self.said: list[str] = []
        self._deque = deque

    def take(self, reading: Reading) -> None:
        """Keep a sample."""
        sample = reading.sample
        if sample.acc_mps2 is not None:
            kept = self.rows.setdefault(reading.segment, deque(maxlen=self._keep))
            gyr, quat = sample.gyr_radps or (nan,) * 3, sample.quat_wxyz or (nan,) * 4
            kept.append((reading.steady_s, *sample.acc_mps2, *gyr, *quat))

    def say(self, _level: object, text: str) -> None:
        """Keep a sentence."""
        self.said.append(text)

    def recent(self, segment: str, seconds: float = 1.0) -> NDArray[np.float64]:
        """(n, 11) time, specific force, angular rate and orientation of the last seconds."""
        import numpy as np

        rows = np.array(list(self.rows.get(segment, ())), dtype=float).reshape(-1, 11)
        return rows[rows[:, 0] > rows[-1, 0] - seconds] if len(rows) else rows


@contextmanager
def driven(body: Body, watch: Watch) -> Iterator[Driver]:
    """A driver of a body's devices, streaming."""
    from gait_twin.sensing import Driver

    if not body.devices:
        raise InputError(
            "This body.yaml has no sensor with a `protocol`; `gait-twin sensors scan` lists what there is."
        )
    driver = Driver(body.devices, watch.take, watch.say)
    with busy("Opening the devices"):
        driver.open()
    driver.start()
    try:
        yield driver
    finally:
        driver.stop()
        driver.close()
