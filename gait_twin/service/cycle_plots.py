"""Pictures over the gait cycle: joint angles; moments, powers and ground reactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gait_twin.recording import Side
from gait_twin.service.cycles import Cycles, gait_cycles
from gait_twin.service.plot_style import COLORS, FAINT, INK, legend, make_figure, title
from gait_twin.simulation.published import CURVES, joint_curve

if TYPE_CHECKING:
    from gait_twin.service.results import Analysis

PERCENT = np.arange(101)
COLUMNS = 4
DASHED, DOTTED = (0, (3, 2)), (0, (1, 1.2))
LEAST_RANGE = {"°": 10.0, "N·m/kg": 0.5, "W/kg": 1.0, "% body weight": 10.0, "0 to 1": 1.0}
"""A panel shows at least so much, or noise would look like a movement."""
QUANTITIES = {
    "°": "angle (°)",
    "N·m/kg": "internal moment (N·m/kg)",
    "W/kg": "power (W/kg)",
    "% body weight": "force (% body weight)",
    "0 to 1": "confidence (0 to 1)",
}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes
    ----------
    column
        Of `Cycles`.
    label, unit
        For people.
    sign
        -1 shows the opposite of the coordinate's sense.
    flexes
        The sense is turned in models whose knees count flexion negative.
    """

    column: str
    label: str
    unit: str
    sign: float = 1.0
    flexes: bool = False


ANGLES = (
    Panel("hip_flexion_deg", "Hip flexion", "°"),
    Panel("hip_adduction_deg", "Hip adduction", "°"),
    Panel("hip_rotation_deg", "Hip rotation", "°"),
    Panel("knee_angle_deg", "Knee flexion", "°", flexes=True),
    Panel("ankle_angle_deg", "Ankle dorsiflexion", "°"),
    Panel("pelvis_tilt_deg", "Pelvis tilt", "°"),
    Panel("pelvis_list_deg", "Pelvis list", "°"),
    Panel("lumbar_extension_deg", "Trunk extension", "°"),
)
MOMENTS, POWERS, GROUND = "N·m/kg", "W/kg", "% body weight"
FORCES = (
    Panel("hip_flexion_moment_nm_per_kg", "Hip extension moment", MOMENTS, -1.0),
    Panel("knee_angle_moment_nm_per_kg", "Knee extension moment", MOMENTS, -1.0, flexes=True),
    Panel("ankle_angle_moment_nm_per_kg", "Ankle plantarflexion moment", MOMENTS, -1.0),
    Panel("hip_adduction_moment_nm_per_kg", "Hip abduction moment", MOMENTS, -1.0),
    Panel("hip_flexion_power_w_per_kg", "Hip power, sagittal", POWERS),
    Panel("knee_angle_power_w_per_kg", "Knee power", POWERS),
    Panel("ankle_angle_power_w_per_kg", "Ankle power", POWERS),
    Panel("hip_adduction_power_w_per_kg", "Hip power, frontal", POWERS),
    Panel("ground_force_up_percent_bw", "Ground reaction, up", GROUND),
    Panel("ground_force_forward_percent_bw", "Ground reaction, forward", GROUND),
    Panel("ground_force_medial_percent_bw", "Ground reaction, medial", GROUND),
    Panel("force_confidence", "Confidence of forces", "0 to 1"),
)


def joint_cycles(analysis: Analysis) -> Figure | None:
    """Joint angles over straight strides, mean ± SD of each side, true and published means where known."""
    cycles = gait_cycles(analysis)
    truth = analysis.recording.truth
    true = gait_cycles(analysis, truth.joints) if truth and truth.joints is not None else {}
    return _draw(ANGLES, cycles, true)


def force_cycles(analysis: Analysis) -> Figure | None:
    """Internal joint moments, powers and ground reactions over straight strides, mean ± SD of each side.

    Dotted about a moment: how far it may be off without force plates.
    """
    return _draw(FORCES, gait_cycles(analysis), {})


def _draw(panels: tuple[Panel, ...], cycles: dict[Side, Cycles], true: dict[Side, Cycles]) -> Figure | None:
    present = [panel for panel in panels if any(len(one.of(panel.column)) for one in cycles.values())]
    if not present:
        return None
    rows = -(-len(present) // COLUMNS)
    figure, axes = make_figure(12, 0.9 + 2.5 * rows, rows, COLUMNS, sharex=True)
    flexion = -1.0 if _extends(cycles) else 1.0
    lines: dict[str, Line2D] = {}
    for ax, panel in zip(axes.flat, present, strict=False):
        sign = panel.sign * (flexion if panel.flexes else 1.0)
        # the trunk has no side: right heel strike begins its cycle
        sided = not panel.column.startswith(("pelvis", "lumbar"))
        published = panel.column.removesuffix("_deg")
        if panel.unit == "°" and published in CURVES:
            normal = np.degrees(joint_curve(published, PERCENT / 100.0))
            (line,) = ax.plot(PERCENT, normal, color=FAINT, linewidth=1.2, linestyle=DOTTED)
            lines["healthy adults at 1.3 m/s, published mean"] = line
        for side, one in cycles.items():
            if not sided and side is not Side.RIGHT and Side.RIGHT in cycles:
                continue
            color = COLORS[side] if sided else INK
            mean, sd, count = one.spread(panel.column)
            if not count:
                continue
            low, high = sign * mean - np.nan_to_num(sd), sign * mean + np.nan_to_num(sd)
            ax.fill_between(PERCENT, low, high, color=color, alpha=0.18, linewidth=0)
            ax.plot(PERCENT, sign * mean, color=color, linewidth=1.8)
            _mark_toe_off(ax, one, color)
            error = one.spread(panel.column.replace("_moment_", "_moment_sd_"))[0]
            if panel.unit == MOMENTS and np.isfinite(error).any():
                for edge in (error, -error):
                    ax.plot(PERCENT, sign * mean + edge, color=color, linewidth=0.9, linestyle=DOTTED)
                lines["expected error, 1 SD"] = Line2D([], [], color=FAINT, linestyle=DOTTED)
            if side in true and len(true[side].of(panel.column)):
                known = true[side].spread(panel.column)[0]
                ax.plot(PERCENT, known, color=color, linewidth=1.2, linestyle=DASHED)
                lines["true, mean"] = Line2D([], [], color=FAINT, linestyle=DASHED)
        _frame(ax, panel)
    for i, (ax, panel) in enumerate(zip(axes.flat, present, strict=False)):
        if i % COLUMNS == 0 or panel.unit != present[i - 1].unit:
            ax.set_ylabel(QUANTITIES[panel.unit])
    for ax in axes.flat[len(present) :]:
        ax.set_visible(False)
    for column in range(COLUMNS):  # the lowest panel that is there says what the axis is
        shown = [axes[row, column] for row in range(rows) if row * COLUMNS + column < len(present)]
        if shown:
            shown[-1].set_xlabel("gait cycle (%)")
            shown[-1].tick_params(labelbottom=True)
    handles = [Line2D([], [], color=COLORS[s], linewidth=2, label=_counted(s, one)) for s, one in cycles.items()]
    handles.append(Line2D([], [], color=FAINT, linewidth=0.8, label="toe-off"))
    for label, line in sorted(lines.items(), reverse=True):
        line.set_label(label)
        handles.append(line)
    legend(figure, handles, loc="outside lower center", ncols=len(handles))
    return figure


def _extends(cycles: dict[Side, Cycles]) -> bool:
    """Whether the model counts knee flexion negative: the knee bends by far more than it overstretches."""
    knees = [one.of("knee_angle_deg") for one in cycles.values()]
    every = np.concatenate(knees) if knees else np.empty(0)
    return bool(every.size) and abs(float(every.min())) > abs(float(every.max()))


def _counted(side: Side, one: Cycles) -> str:
    n = int(one.straight.sum())
    return f"{side}, mean ± SD of {n} strides" if n > 1 else f"{side}, {n} stride"


def _mark_toe_off(ax: Axes, one: Cycles, color: str) -> None:
    straight = [s for s, use in zip(one.strides, one.straight, strict=True) if use]
    shares = [100.0 * (s.toe_off_s - s.start_s) / s.stride_time_s for s in straight if np.isfinite(s.toe_off_s)]
    if shares:
        ax.axvline(float(np.mean(shares)), color=color, linewidth=0.8, alpha=0.6, zorder=0)


def _frame(ax: Axes, panel: Panel) -> None:
    title(ax, panel.label)
    low, high = ax.get_ylim()
    least = LEAST_RANGE[panel.unit]
    if panel.unit == "0 to 1":
        ax.set_ylim(0.0, 1.0)
    elif high - low < least:
        ax.set_ylim((low + high - least) / 2, (low + high + least) / 2)
    if panel.unit != "°" and panel.unit != "0 to 1":
        ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    ax.set_xlim(0, 100)
    ax.xaxis.set_major_locator(MaxNLocator(5))
