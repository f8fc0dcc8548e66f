"""The pictures of an analysis, as matplotlib figures; one function a picture, None where it has nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from gait_twin.recording import EventKind, Side
from gait_twin.service.comparison import compare
from gait_twin.service.cycle_plots import force_cycles, joint_cycles
from gait_twin.service.gait_class import evidence
from gait_twin.service.motion import footprints
from gait_twin.service.parameters import PARAMETERS, Parameter, value
from gait_twin.service.plot_style import COLORS, FAINT, INK, legend, make_figure, title

if TYPE_CHECKING:
    from gait_twin.service.results import Analysis

EXCERPT_S = 8.0
"""Length of the signal excerpt: long enough for some strides, short enough to see each event."""


def _busiest(analysis: Analysis) -> tuple[float, float]:
    """Start and end of the excerpt with most events; the earliest of equals."""
    times = np.array(sorted(event.time_s for event in analysis.events))
    if not len(times):
        return 0.0, EXCERPT_S
    counts = np.searchsorted(times, times + EXCERPT_S) - np.arange(len(times))
    # a full excerpt in the middle of the walk shows it better than its first steps do
    full = np.flatnonzero(counts >= counts.max() - 1)
    start = times[full[len(full) // 2]] - 0.2
    return start, start + EXCERPT_S


def foot_rate(analysis: Analysis) -> Figure | None:
    """Angular rate of the feet over some strides, with stance shaded and every event marked."""
    sides = [side for side in Side if side in analysis.foot_rate_radps]
    if not sides:
        return None
    start, end = _busiest(analysis)
    inside = (analysis.time_s >= start) & (analysis.time_s <= end)
    figure, axes = make_figure(10, 1.2 + 1.9 * len(sides), len(sides), sharex=True, sharey=True)
    for ax, side in zip(axes[:, 0], sides, strict=True):
        time, rate = analysis.time_s[inside], np.degrees(analysis.foot_rate_radps[side][inside])
        ax.plot(time, rate, color=COLORS[side], linewidth=1.3)
        for stride in analysis.strides:
            if (
                stride.side is side
                and stride.end_s > start
                and stride.start_s < end
                and stride.toe_off_s > stride.start_s
            ):
                ax.axvspan(stride.start_s, stride.toe_off_s, color=COLORS[side], alpha=0.08, linewidth=0)
        for kind, marker in ((EventKind.HEEL_STRIKE, "v"), (EventKind.TOE_OFF, "^")):
            times = np.array([e.time_s for e in analysis.events if e.side is side and e.kind is kind])
            times = times[(times >= start) & (times <= end)]
            levels = np.interp(times, time, rate) if len(time) else times
            ax.plot(times, levels, marker, color=INK, markersize=6.5, markeredgecolor="white", linestyle="none")
        title(ax, f"{side.capitalize()} foot")
        ax.set_ylabel("angular rate (°/s)")
        ax.set_ylim(bottom=0)
    axes[-1, 0].set_xlabel("time (s)")
    axes[-1, 0].set_xlim(start, end)
    handles = [
        Line2D([], [], color=INK, marker="v", linestyle="none", label="heel strike"),
        Line2D([], [], color=INK, marker="^", linestyle="none", label="toe-off"),
        Line2D([], [], color=FAINT, alpha=0.25, linewidth=8, label="stance"),
    ]
    legend(figure, handles, loc="outside lower center", ncols=3)
    return figure


def strides(analysis: Analysis) -> Figure | None:
    """Stride length and time over the recording with one standard deviation, true values where known."""
    if not analysis.strides:
        return None
    truth = analysis.recording.truth
    figure, axes = make_figure(10, 5.4, 2, sharex=True)
    panels = (
        ("stride_length_m", "stride_length_sd_m", "Stride length (m)"),
        ("stride_time_s", "stride_time_sd_s", "Stride time (s)"),
    )
    for ax, (key, sd_key, label) in zip(axes[:, 0], panels, strict=True):
        parameter = _parameter(key)
        for side in Side:
            ours = [s for s in analysis.strides if s.side is side]
            theirs = [s for s in truth.strides if s.side is side] if truth else []
            true_values = [value(s, parameter) for s in theirs]
            ax.plot(
                [s.end_s for s in theirs],
                true_values,
                color=COLORS[side],
                linewidth=1,
                alpha=0.55,
                linestyle="--",
            )
            ax.errorbar(
                [s.end_s for s in ours],
                [value(s, parameter) for s in ours],
                np.nan_to_num([getattr(s, sd_key) for s in ours]),
                fmt="o",
                color=COLORS[side],
                markersize=4,
                elinewidth=0.9,
                alpha=0.9,
            )
        title(ax, label)
        _frame_values(ax, [value(s, parameter) for s in analysis.strides])
    axes[-1, 0].set_xlabel("time (s)")
    handles = [Line2D([], [], color=COLORS[s], marker="o", linestyle="none", label=f"{s} (± 1 SD)") for s in Side]
    if truth and truth.strides:
        handles.append(Line2D([], [], color=FAINT, linestyle="--", label="true"))
    legend(figure, handles, loc="outside lower center", ncols=3)
    return figure


def _parameter(key: str) -> Parameter:
    return next(parameter for parameter in PARAMETERS if parameter.key == key)


def _frame_values(ax: Axes, values: Sequence[float]) -> None:
    """Limits around most values, so that one bad stride does not flatten the rest; it is drawn at the edge."""
    known = np.array([v for v in values if np.isfinite(v)])
    if len(known):
        low, high = np.percentile(known, [2, 98])
        room = max(0.6 * (high - low), 0.04 * abs(high))
        ax.set_ylim(max(low - room, 0), high + room)


def path(analysis: Analysis) -> Figure | None:
    """Where the feet stood and the pelvis went, seen from above: the twin's, or each foot's own odometry."""
    motion = analysis.motion
    prints = footprints(motion, analysis.strides) if motion is not None else []
    if motion is not None and prints:
        lines = [(INK, motion.points_m[:, 0, :2])]
    else:
        prints = [mark for side, foot in analysis.feet.items() for mark in foot.prints(side)]
        lines = [(COLORS[side], foot.position_m[:, :2]) for side, foot in analysis.feet.items()]
    if not prints:
        return None
    extent = np.ptp([(mark.x_m, mark.y_m) for mark in prints], axis=0) + 1.0
    figure, axes = make_figure(10, 0.6 + float(np.clip(10 * extent[1] / extent[0], 2.2, 8)))
    ax = axes[0, 0]
    for color, line in lines:
        ax.plot(line[:, 0], line[:, 1], color=color, linewidth=0.9, alpha=0.45)
    for mark in prints:
        angle = np.degrees(mark.heading_rad)
        ax.add_patch(Ellipse((mark.x_m, mark.y_m), 0.26, 0.10, angle=angle, color=COLORS[mark.side], alpha=0.75))
    handles = [Line2D([], [], color=COLORS[side], linewidth=3, label=f"{side} foot") for side in Side]
    if lines[0][0] == INK:
        handles.append(Line2D([], [], color=INK, linewidth=1, label="pelvis"))
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("forward (m)")
    ax.set_ylabel("left (m)")
    legend(figure, handles, loc="outside lower center", ncols=3)
    return figure


def estimated_against_true(analysis: Analysis) -> Figure | None:
    """Each paired stride or step, estimated over true, for the parameters people ask for first."""
    wanted = (
        "stride_length_m",
        "stride_time_s",
        "stance_time_s",
        "swing_time_s",
        "step_length_m",
        "foot_clearance_m",
    )
    found = compare(analysis).parameters
    scores = [score for key in wanted for score in found if score.parameter.key == key]
    if not scores:
        return None
    columns = min(3, len(scores))
    rows = -(-len(scores) // columns)
    figure, axes = make_figure(10, 0.4 + 3.2 * rows, rows, columns)
    for ax, score in zip(axes.flat, scores, strict=False):
        ours, theirs = score.pairs.T
        low, high = np.percentile(score.pairs, [1, 99])
        room = max(0.25 * (high - low), 0.02 * abs(high), 1e-3)
        limits = (low - room, high + room)
        ax.plot(limits, limits, color=FAINT, linewidth=1, linestyle="--")
        ax.plot(theirs, ours, "o", color="#009E73", alpha=0.6, markersize=4.5, markeredgewidth=0)
        ax.set_xlim(limits)
        ax.set_ylim(limits)
        ax.set_box_aspect(1)
        unit = score.parameter.unit
        digits = score.parameter.digits
        title(ax, f"{score.parameter.label} ({unit})")
        note = f"error {score.error.mean:+z.{digits}f} ± {score.error.sd:.{digits}f} {unit}\nn = {score.error.n}"
        ax.text(0.04, 0.96, note, transform=ax.transAxes, va="top", fontsize=8.5, color=INK)
        ax.set_xlabel("true")
        ax.set_ylabel("estimated")
    for ax in axes.flat[len(scores) :]:
        ax.set_visible(False)
    return figure


FIGURES: dict[str, tuple[str, Callable[[Analysis], Figure | None]]] = {
    "joint_cycles": ("Joint angles over the gait cycle, straight strides", joint_cycles),
    "force_cycles": ("Joint moments, powers and ground reactions over the gait cycle", force_cycles),
    "gait_class": ("What in the gait cycle speaks for the class", evidence),
    "strides": ("Every stride", strides),
    "path": ("From above", path),
    "foot_rate": ("Foot signals and events", foot_rate),
    "estimated_against_true": ("Each stride and step, estimated against true", estimated_against_true),
}
"""File stem, title and drawing function of each picture, in the order of the page."""
