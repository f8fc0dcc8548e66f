"""What the command line shows: progress, sentences, tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from gait_twin.recording import Recording
    from gait_twin.service import Analysis, Comparison

LOST = 3
"""Exit code: finished, but something of the input was lost."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr for one job; gives a function that takes the fraction done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


@contextmanager
def busy(label: str) -> Iterator[None]:
    """A spinner on stderr for a job whose length is not known."""
    with err.status(label):
        yield


def say(sentences: Iterable[str], style: str = "", mark: str = "·") -> None:
    """Sentences on stderr, one a line, whole."""
    for sentence in sentences:
        err.print(Text.assemble((f"{mark} ", style), sentence), soft_wrap=True)


def report(notices: Iterable[str], losses: Iterable[str]) -> int:
    """Say what was noticed and lost; gives the exit code."""
    lost = tuple(losses)
    say(notices, "blue", "note:")
    say(lost, "bold yellow", "lost:")
    return LOST if lost else 0


def wrote(paths: Iterable[Path]) -> None:
    """Name what was written, one path a line, so that it can be clicked or copied."""
    for path in paths:
        out.print(Text.assemble(("wrote ", "green"), str(path)), soft_wrap=True)


def table(*columns: str, title: str = "") -> Table:
    """A table whose first column is text and whose others are numbers."""
    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 else "right", header_style="dim", no_wrap=True)
    return made


def number(value: float, digits: int, sign: str = "") -> str:
    """A number for people; a dash where it is not known."""
    return format(value, f"{sign}z.{digits}f") if math.isfinite(value) else "–"


def mean_sd(mean: float, sd: float, digits: int, sign: str = "") -> str:
    """``mean ± SD``, the SD left out where there is one value only."""
    return number(mean, digits, sign) + (f" ± {sd:.{digits}f}" if math.isfinite(sd) else "")


def parameters_table(analysis: Analysis) -> Table:
    """Mean ± SD of each gait parameter."""
    from gait_twin.recording import Side
    from gait_twin.service.parameters import PARAMETERS
    from gait_twin.service.summary import spread

    made = table("Parameter, mean ± SD", "left", "right", "n")
    for parameter in PARAMETERS:
        left, right, both = (spread(analysis, parameter, side) for side in (Side.LEFT, Side.RIGHT, None))
        if both.n:
            made.add_row(
                f"{parameter.label} ({parameter.unit})",
                mean_sd(left.mean, left.sd, parameter.digits),
                mean_sd(right.mean, right.sd, parameter.digits),
                str(both.n),
            )
    return made


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Estimated against true: events, parameters, joint angles."""
    from gait_twin.service.comparison import EVENT_TOLERANCE_S
    from gait_twin.service.page import EVENT_NAMES

    tables = []
    if comparison.events:
        made = table("Events", "true", f"found ±{1000 * EVENT_TOLERANCE_S:.0f} ms", "false", "F1", "timing error (ms)")
        for score in comparison.events:
            made.add_row(
                EVENT_NAMES[score.kind],
                str(score.n_true),
                str(score.n_found),
                str(score.n_estimated - score.n_found),
                number(score.f1, 3),
                mean_sd(score.error_ms.mean, score.error_ms.sd, 1, "+"),
            )
        tables.append(made)
    if comparison.parameters:
        made = table("Parameter, mean ± SD", "estimated", "true", "error", "n")
        for row in comparison.parameters:
            digits = row.parameter.digits
            made.add_row(
                f"{row.parameter.label} ({row.parameter.unit})",
                mean_sd(row.estimated.mean, row.estimated.sd, digits),
                mean_sd(row.true.mean, row.true.sd, digits),
                mean_sd(row.error.mean, row.error.sd, digits, "+"),
                str(row.error.n),
            )
        tables.append(made)
    if comparison.joints:
        made = table("Coordinate", "RMSE", "RMSE less offset", "true range")
        for joint in comparison.joints:
            angle = joint.unit == "°"
            if joint.moves:
                digits = 2 if angle else 3
                unit = "°" if angle else " m"
                made.add_row(
                    joint.coordinate,
                    number(joint.rmse, digits) + unit,
                    number(joint.rmse_aligned, digits) + unit,
                    number(joint.true_range, 1) + unit,
                )
        tables.append(made)
    return tables


def sensors_table(recording: Recording) -> Table:
    """What each sensor of a recording gave."""
    import numpy as np

    made = table("Segment", "samples", "rate (Hz)", "gaps", "longest (s)", "at rest (m/s²)", "gyr", "mag", "quat")
    for segment, stream in recording.imus.items():
        steps = np.diff(stream.time_s)
        rate = 1 / float(np.median(steps)) if len(steps) else math.nan
        nominal = stream.sampling_rate_hz if math.isfinite(stream.sampling_rate_hz) else rate
        gaps = steps[steps > 1.5 / nominal] if len(steps) else steps
        made.add_row(
            segment,
            str(len(stream.time_s)),
            number(rate, 1),
            str(len(gaps)),
            number(float(gaps.max()), 2) if len(gaps) else "–",
            number(at_rest(stream.acc_mps2), 2),
            *("yes" if channel is not None else "–" for channel in (stream.gyr_radps, stream.mag_ut, stream.quat_wxyz)),
        )
    return made


def at_rest(acc_mps2: object) -> float:
    """Median magnitude of the specific force over the quietest tenth of windows, m/s²; 9.81 is right."""
    import numpy as np

    magnitude = np.linalg.norm(np.asarray(acc_mps2, dtype=float), axis=1)
    magnitude = magnitude[np.isfinite(magnitude)]
    width = 20
    if len(magnitude) < width:
        return math.nan
    windows = magnitude[: len(magnitude) // width * width].reshape(-1, width)
    quiet = windows[windows.std(axis=1) <= np.quantile(windows.std(axis=1), 0.1)]
    return float(np.median(quiet))
