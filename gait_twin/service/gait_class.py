"""The class of the gait in the report: what it is, how sure, and what speaks for it."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gait_twin.classification import Classified
from gait_twin.classification.channels import CHANNELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gait_twin.service.results import Analysis

SHOWN = 6
"""Curves in the picture: those that say most."""
LISTED = 0.005
"""Classes less probable than this are not listed."""
_WORDS = {"near": "of this leg", "far": "of the other leg"}


def spoken(label: str) -> str:
    """A class as people read it."""
    return label.replace("_", " ")


def tile(gait: Classified | None) -> str:
    """The class as one of the page's tiles; empty without one."""
    if gait is None:
        return ""
    found = gait.result
    side = f" <small>{found.side}</small>" if found.side is not None and not found.unknown else ""
    sure = "like none it knows" if found.unknown else f"gait, {found.probabilities.max():.0%}"
    return f'<div class="tile"><b>{html.escape(spoken(found.label))}{side}</b><span>{sure}</span></div>'


def paragraphs(gait: Classified) -> str:
    """What the card says, as HTML."""
    found = gait.result
    names = ", ".join(found.segments)
    rows = "".join(
        f"<tr><td>{html.escape(spoken(label))}</td><td>{share:.1%}</td></tr>"
        for share, label in sorted(zip(found.probabilities.tolist(), found.labels, strict=True), reverse=True)
        if share >= LISTED
    )
    if found.unknown:
        said = (
            f"The walk is unlike every gait that the model was trained on (novelty {found.novelty:.2f}; above 1 is one "
            "known walk in twenty). The probabilities hold only if it is one of these all the same."
        )
    else:
        affected = f", {found.side} leg affected ({found.side_probability:.0%})" if found.side is not None else ""
        said = f"Most like {spoken(found.label)}{affected}; novelty {found.novelty:.2f}, below 1 for known gaits."
    about = gait.model.notes.get("about", "")
    return (
        f"<p>{html.escape(said)}</p><table><thead><tr><th>Gait</th><th>probability</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p><small>{found.cycles} gait cycles, sensors on {html.escape(names)}; model "
        f"{html.escape(found.model)}. {html.escape(about)} It names a pattern of movement and is no diagnosis."
        "</small></p>"
    )


def as_dict(gait: Classified | None) -> dict[str, Any] | None:
    """The class for ``summary.json``."""
    if gait is None:
        return None
    found = gait.result
    return {
        "label": found.label,
        "probabilities": dict(zip(found.labels, found.probabilities.tolist(), strict=True)),
        "novelty": found.novelty,
        "unknown": found.unknown,
        "affected_side": None if found.side is None else str(found.side),
        "affected_side_probability": found.side_probability,
        "cycles": found.cycles,
        "segments": list(found.segments),
        "model": found.model,
    }


def evidence(analysis: Analysis) -> Figure | None:
    """The curves that say most about the class, shaded where they speak for it and against it."""
    from matplotlib.colors import Normalize

    from gait_twin.classification.explanation import explain
    from gait_twin.service.plot_style import FAINT, INK, make_figure, title

    gait = analysis.gait
    if gait is None:
        return None
    best = gait.result.labels[int(np.argmax(gait.result.probabilities))]
    found = explain(gait.model, gait.cycles, best, gait.result.side)
    columns = found.strongest(SHOWN)
    if not columns:
        return None
    figure, axes = make_figure(12, 6.2, 2, -(-SHOWN // 2), sharex=True)
    percent = np.arange(101)
    limit = float(np.abs(found.shares[:, columns]).max())
    for ax, i in zip(axes.flat, columns, strict=False):
        channel = CHANNELS[i]
        unit, factor = _unit(channel.group, channel.source)
        curve, usual = factor * found.curves[:, i], factor * found.usual[:, i]
        known = np.concatenate([curve[np.isfinite(curve)], usual[np.isfinite(usual)]])
        low, high = float(known.min()), float(known.max())
        room = 0.08 * (high - low) + 1e-6
        ax.imshow(
            found.shares[None, :, i],
            aspect="auto",
            extent=(-0.5, 100.5, low - room, high + room),
            cmap="PiYG",
            norm=Normalize(-limit, limit),
            alpha=0.6,
            interpolation="bilinear",
        )
        ax.plot(percent, usual, color=FAINT, linewidth=1.2, linestyle="--", label=f"mean of {found_first(gait)}")
        ax.plot(percent, curve, color=INK, linewidth=2.0, label="this walk")
        ax.set_ylim(low - room, high + room)
        ax.grid(visible=False)
        total = found.shares[:-1, i].sum()
        name = channel.name.replace("_", " ")
        for word, meaning in _WORDS.items():
            name = name.replace(f" {word}", f", {meaning}")
        title(ax, f"{name} ({unit}): {total:+.1f}" if unit else f"{name}: {total:+.1f}")
    for ax in axes.flat[len(columns) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel(f"gait cycle of the {found.near} leg (%)")
    lines, words = axes.flat[0].get_legend_handles_labels()
    figure.legend(lines, words, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(
        f"What speaks for {spoken(best)} (green) and against it (pink), in logarithmic odds", fontsize=11, color=INK
    )
    return figure


def found_first(gait: Classified) -> str:
    """Name of the class that curves are compared with."""
    return spoken(gait.model.labels[0])


def _unit(group: str, source: str) -> tuple[str, float]:
    degrees = 180.0 / math.pi
    if group in ("angles", "trunk") or (group == "pelvis" and source != "pelvis_height") or source == "foot_pitch":
        return "°", degrees
    if group == "rates":
        return "°/s", degrees
    if group == "moments":
        return "N·m/kg", 1.0
    if source == "pelvis_height":
        return "cm", 100.0
    return "", 1.0
