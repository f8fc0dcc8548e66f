"""How all pictures look: colours, axes, titles, legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gait_twin.recording import Side

COLORS = {Side.LEFT: "#0072B2", Side.RIGHT: "#D55E00"}
"""Blue and vermilion of Okabe & Ito's palette, told apart with any colour vision."""
INK, FAINT, GRID = "#1c2733", "#6b7886", "#e6eaee"


def make_figure(width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, np.ndarray]:
    """Figure (inches) and its (rows, columns) axes."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(GRID)
        ax.tick_params(colors=FAINT, labelsize=9, length=0)
        ax.grid(color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.xaxis.label.set_color(FAINT)
        ax.yaxis.label.set_color(FAINT)
    return figure, axes


def title(ax: Axes, text: str) -> None:
    """Title over a panel's left edge."""
    ax.set_title(text, loc="left", fontsize=10.5, color=INK, fontweight="bold")


def legend(target: Axes | Figure, handles: Sequence[Artist], **where: Any) -> None:
    """Legend without a frame."""
    target.legend(handles=handles, frameon=False, fontsize=9, labelcolor=INK, **where)
