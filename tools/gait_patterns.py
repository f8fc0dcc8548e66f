"""Draws docs/images/gait_patterns.png: joint curves of every gait pattern of the virtual subject.

.venv/bin/python tools/gait_patterns.py [OUT.png]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from gait_twin.recording import Side
from gait_twin.service.plot_style import FAINT, GRID, INK, legend, make_figure, title
from gait_twin.simulation import WalkSettings
from gait_twin.simulation.body import move_body
from gait_twin.simulation.patterns import PATTERNS
from gait_twin.simulation.plan import plan_walk
from gait_twin.twin import build_default_model

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "gait_patterns.png"
CURVES = {
    "Hip flexion": "hip_flexion_r",
    "Knee flexion": "knee_angle_r",
    "Ankle dorsiflexion": "ankle_angle_r",
    "Hip adduction": "hip_adduction_r",
    "Foot pitch, toes up": "pitch",
    "Pelvis, left side down": "drop",
    "Trunk, to the right": "lean",
    "Trunk, forwards": "flexion",
}
SEVERITIES = {"mild (0)": (0.0, "#56B4E9"), "middle (0.5)": (0.5, "#0072B2"), "severe (1)": (1.0, "#D55E00")}
PEOPLE = 24


def cycle(walk: WalkSettings) -> dict[str, np.ndarray]:
    """(101,) degrees of each of `CURVES` over a stride of the right leg in the middle of a walk."""
    plan = plan_walk(walk)
    body = move_body(plan, build_default_model(walk.height_m, walk.mass_kg))
    falls = plan.footfalls[Side.RIGHT]
    start, end = falls[len(falls) // 2], falls[len(falls) // 2 + 1]
    at = np.linspace(start.strike_s, end.strike_s, 101)
    up = body.pose("torso")[0][:, :, 1]
    values = {
        **body.positions,
        "pitch": body.feet[Side.RIGHT].pitch_rad,
        "drop": -body.positions["pelvis_list"],
        # the walk is along x; z is to the right
        "lean": np.arctan2(up[:, 2], up[:, 1]),
        "flexion": np.arctan2(up[:, 0], up[:, 1]),
    }
    return {name: np.degrees(np.interp(at, body.time_s, values[name])) for name in CURVES.values()}


def main(out: Path) -> None:
    """Draw."""
    walk = WalkSettings(duration_s=16.0, straight_length_m=60.0, sway=0.0)
    people = [cycle(replace(walk, style=1.0, seed=k)) for k in range(PEOPLE)]
    patterns = [name for name in PATTERNS if name != "normal"]
    figure, axes = make_figure(2.1 * len(CURVES), 1.75 * len(patterns) + 0.5, len(patterns), len(CURVES), sharex=True)
    for row, pattern in zip(axes, patterns, strict=True):
        curves = {
            color: cycle(replace(walk, variability=0.0, pattern=pattern, severity=severity))
            for severity, color in SEVERITIES.values()
        }
        for ax, name in zip(row, CURVES.values(), strict=True):
            every = np.array([person[name] for person in people])
            ax.fill_between(np.arange(101), *np.percentile(every, [2.5, 97.5], axis=0), color=GRID)
            for color, curve in curves.items():
                ax.plot(curve[name], color=color, linewidth=1.4)
            ax.tick_params(labelsize=7)
        row[0].set_ylabel(pattern.replace("_", " "), fontsize=10, color=INK, fontweight="bold")
    for ax, name in zip(axes[0], CURVES, strict=True):
        title(ax, f"{name}, °")
    for ax in axes[-1]:
        ax.set_xlabel("% of stride", fontsize=8)
    lines = [Line2D([], [], color=color, label=name) for name, (_, color) in SEVERITIES.items()]
    band = Patch(color=GRID, label=f"normal: 95 % of {PEOPLE} persons")
    legend(figure, [*lines, band], loc="outside lower center", ncols=4)
    figure.text(0.995, 0.002, "right leg, affected", ha="right", va="bottom", fontsize=8, color=FAINT)
    figure.savefig(out, dpi=80)
    with Image.open(out) as picture:
        picture.convert("RGB").quantize(96).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
