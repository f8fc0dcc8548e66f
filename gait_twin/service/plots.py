"""The pictures of an analysis, as matplotlib figures; one function a picture, None where it has nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from gait_twin.recording import EventKind, JointTrajectory, Side, Stride
from gait_twin.service.comparison import along_the_walk, compare
from gait_twin.service.motion import footprints
from gait_twin.service.parameters import PARAMETERS, Parameter, value
from gait_twin.service.tables import in_shown_units

if TYPE_CHECKING:
    from gait_twin.service.results import Analysis

COLORS = {Side.LEFT: "#0072B2", Side.RIGHT: "#D55E00"}
"""Blue and vermilion of Okabe & Ito's palette, told apart with any colour vision."""
INK, FAINT, GRID = "#1c2733", "#6b7886", "#e6eaee"
EXCERPT_S = 8.0
"""Length of the signal excerpt: long enough for some strides, short enough to see each event."""

STRAIGHT_RAD = 0.35
"""A stride that turns by less counts as straight: 20°."""

JOINTS: tuple[tuple[str, str], ...] = (
    ("hip_flexion", "Hip flexion"),
    ("hip_adduction", "Hip adduction"),
    ("hip_rotation", "Hip rotation"),
    ("knee_angle", "Knee angle"),
    ("ankle_angle", "Ankle dorsiflexion"),
    ("pelvis_tilt", "Pelvis tilt"),
    ("pelvis_list", "Pelvis list"),
    ("lumbar_extension", "Trunk extension"),
)
"""Coordinates drawn as cycles where the model has them; those of the legs carry ``_r`` or ``_l``."""


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for ax in axes.flat:
        _style(ax)
    return figure, axes


def _style(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GRID)
    ax.tick_params(colors=FAINT, labelsize=9, length=0)
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.xaxis.label.set_color(FAINT)
    ax.yaxis.label.set_color(FAINT)


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=10.5, color=INK, fontweight="bold")


def _legend(target: Axes | Figure, handles: Sequence[Line2D], **where: Any) -> None:
    target.legend(handles=handles, frameon=False, fontsize=9, labelcolor=INK, **where)


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
    figure, axes = _figure(10, 1.2 + 1.9 * len(sides), len(sides), sharex=True, sharey=True)
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
        _title(ax, f"{side.capitalize()} foot")
        ax.set_ylabel("angular rate (°/s)")
        ax.set_ylim(bottom=0)
    axes[-1, 0].set_xlabel("time (s)")
    axes[-1, 0].set_xlim(start, end)
    handles = [
        Line2D([], [], color=INK, marker="v", linestyle="none", label="heel strike"),
        Line2D([], [], color=INK, marker="^", linestyle="none", label="toe-off"),
        Line2D([], [], color=FAINT, alpha=0.25, linewidth=8, label="stance"),
    ]
    _legend(figure, handles, loc="outside lower center", ncols=3)
    return figure


def strides(analysis: Analysis) -> Figure | None:
    """Stride length and time over the recording with one standard deviation, true values where known."""
    if not analysis.strides:
        return None
    truth = analysis.recording.truth
    figure, axes = _figure(10, 5.4, 2, sharex=True)
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
        _title(ax, label)
        _frame_values(ax, [value(s, parameter) for s in analysis.strides])
    axes[-1, 0].set_xlabel("time (s)")
    handles = [Line2D([], [], color=COLORS[s], marker="o", linestyle="none", label=f"{s} (± 1 SD)") for s in Side]
    if truth and truth.strides:
        handles.append(Line2D([], [], color=FAINT, linestyle="--", label="true"))
    _legend(figure, handles, loc="outside lower center", ncols=3)
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


def cycles(joints: JointTrajectory, coordinate: str, strides_of_side: Sequence[Stride]) -> np.ndarray:
    """(c, 101) a coordinate over each stride, 0-100 % from heel strike to heel strike, ° or m."""
    known = in_shown_units(joints)[:, joints.coordinates.index(coordinate)]
    rows = [
        np.interp(np.linspace(stride.start_s, stride.end_s, 101), joints.time_s, known)
        for stride in strides_of_side
        if joints.time_s[0] <= stride.start_s and stride.end_s <= joints.time_s[-1]
    ]
    stacked = np.array(rows).reshape(-1, 101)
    return stacked[np.isfinite(stacked).all(axis=1)]


def joint_cycles(analysis: Analysis) -> Figure | None:
    """Joint angles over straight strides, mean ± SD of each side, true mean dashed where known."""
    straight = [s for s in analysis.strides if not abs(s.turning_angle_rad) > STRAIGHT_RAD]
    if analysis.joints is None or not straight:
        return None
    joints = along_the_walk(analysis.joints)
    truth = analysis.recording.truth
    true_joints = along_the_walk(truth.joints) if truth and truth.joints is not None else None
    panels: list[tuple[str, list[tuple[Side, str]]]] = []
    for stem, label in JOINTS:
        sided = [(side, f"{stem}_{side.value[0]}") for side in Side]
        present = [(side, name) for side, name in sided if name in joints.coordinates]
        if not present and stem in joints.coordinates:
            present = [(Side.RIGHT, stem)]  # the trunk has no side: right heel strike begins its cycle
        if present:
            panels.append((label, present))
    if not panels:
        return None
    columns = 4
    rows = -(-len(panels) // columns)
    figure, axes = _figure(12, 0.9 + 2.5 * rows, rows, columns, sharex=True)
    percent = np.arange(101)
    has_truth = False
    for ax, (label, present) in zip(axes.flat, panels, strict=False):
        for side, name in present:
            own = [s for s in straight if s.side is side]
            curves = cycles(joints, name, own)
            if not len(curves):
                continue
            color = COLORS[side] if len(present) > 1 else INK
            mean, sd = curves.mean(axis=0), curves.std(axis=0)
            ax.fill_between(percent, mean - sd, mean + sd, color=color, alpha=0.18, linewidth=0)
            ax.plot(percent, mean, color=color, linewidth=1.8)
            if true_joints is not None and name in true_joints.coordinates:
                true_curves = cycles(true_joints, name, own)
                if len(true_curves):
                    ax.plot(percent, true_curves.mean(axis=0), color=color, linewidth=1.2, linestyle=(0, (3, 2)))
                    has_truth = True
        _title(ax, label)
        low, high = ax.get_ylim()
        if high - low < 10:  # a degree of noise shall not look like a movement
            ax.set_ylim((low + high) / 2 - 5, (low + high) / 2 + 5)
        ax.set_xlim(0, 100)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("angle (°)")
    for ax in axes[-1]:
        ax.set_xlabel("gait cycle (%)")
    handles = [Line2D([], [], color=COLORS[s], linewidth=2, label=f"{s}, mean ± SD") for s in Side]
    if has_truth:
        handles.append(Line2D([], [], color=FAINT, linestyle=(0, (3, 2)), label="true, mean"))
    _legend(figure, handles, loc="outside lower center", ncols=3)
    return figure


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
    figure, axes = _figure(10, 0.6 + float(np.clip(10 * extent[1] / extent[0], 2.2, 8)))
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
    _legend(figure, handles, loc="outside lower center", ncols=3)
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
    figure, axes = _figure(10, 0.4 + 3.2 * rows, rows, columns)
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
        _title(ax, f"{score.parameter.label} ({unit})")
        note = f"error {score.error.mean:+z.{digits}f} ± {score.error.sd:.{digits}f} {unit}\nn = {score.error.n}"
        ax.text(0.04, 0.96, note, transform=ax.transAxes, va="top", fontsize=8.5, color=INK)
        ax.set_xlabel("true")
        ax.set_ylabel("estimated")
    for ax in axes.flat[len(scores) :]:
        ax.set_visible(False)
    return figure


FIGURES: dict[str, tuple[str, Callable[[Analysis], Figure | None]]] = {
    "joint_cycles": ("Joint angles over the gait cycle, straight strides", joint_cycles),
    "strides": ("Every stride", strides),
    "path": ("From above", path),
    "foot_rate": ("Foot signals and events", foot_rate),
    "estimated_against_true": ("Each stride and step, estimated against true", estimated_against_true),
}
"""File stem, title and drawing function of each picture, in the order of the page."""
