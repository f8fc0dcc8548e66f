"""One self-contained page: the moving twin, the parameters, the pictures, the truth. Opens offline."""

from __future__ import annotations

import base64
import html
import json
import math
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

import gait_twin
from gait_twin.recording import EventKind, Side, Stride
from gait_twin.service import gait_class
from gait_twin.service.comparison import EVENT_TOLERANCE_S, Comparison
from gait_twin.service.motion import Limb, Motion, footprints
from gait_twin.service.parameters import PARAMETERS, Parameter, Spread, symmetry_index
from gait_twin.service.results import Analysis
from gait_twin.service.summary import spread
from gait_twin.service.tables import in_shown_units

FRAMES_MAX = 6000
"""Frames in a page, so that one of a long recording still opens quickly."""
FRAME_RATE_HZ = 30.0
BEND_RAD = 0.2
"""A stride that turns by more leaves the straight."""
EVENT_NAMES = {EventKind.HEEL_STRIKE: "heel strike", EventKind.TOE_OFF: "toe-off"}
CURVES = (("hip_flexion", "Hip flexion"), ("knee_angle", "Knee angle"), ("ankle_angle", "Ankle dorsiflexion"))
"""Coordinates that move along beside the figure."""


_PLAYER = """<section class="card twin">
<div class="views"{{layout}}><canvas id="scene"></canvas>{{curves}}</div>
<canvas id="band"></canvas>
<div class="controls"><button id="play">Pause</button>
<select id="rate" aria-label="speed">
<option value="0.25">¼ ×</option><option value="0.5">½ ×</option>
<option value="1" selected>1 ×</option><option value="2">2 ×</option></select>
<select id="views" aria-label="view">
<option value="-0.9,0.16">oblique</option><option value="-1.5708,0.02">from the right</option>
<option value="1.5708,0.02">from the left</option><option value="0,0.05">from the front</option>
<option value="-1.5708,1.45">from above</option></select>
<span id="clock"></span>
<span class="hint">drag to turn · wheel to zoom · space to pause · arrows to step</span></div></section>"""


def number(mean: float, digits: int, unit: str = "") -> str:
    """A number for people; a dash where it is not known."""
    return f"{mean:z.{digits}f}{' ' + unit if unit else ''}" if math.isfinite(mean) else "–"


def mean_sd(spread_: Spread, digits: int) -> str:
    """``mean ± SD``; the SD left out where there is one value only."""
    if not math.isfinite(spread_.sd):
        return number(spread_.mean, digits)
    return f"{spread_.mean:z.{digits}f} <small>± {spread_.sd:.{digits}f}</small>"


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _card(title: str, content: str, extra: str = "") -> str:
    return f'<section class="card {extra}"><h2>{html.escape(title)}</h2>{content}</section>'


def _sentences(sentences: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _tiles(analysis: Analysis) -> str:
    def tile(key: str, label: str) -> str:
        parameter = next(p for p in PARAMETERS if p.key == key)
        both = spread(analysis, parameter)
        if not both.n:
            return ""
        shown = number(both.mean, parameter.digits)
        return f'<div class="tile"><b>{shown} <small>{parameter.unit}</small></b><span>{label}</span></div>'

    strides = f'<div class="tile"><b>{len(analysis.strides)}</b><span>strides</span></div>'
    return strides + "".join(
        tile(key, label)
        for key, label in (
            ("speed_mps", "walking speed"),
            ("cadence_spm", "cadence"),
            ("stride_length_m", "stride length"),
            ("stride_time_s", "stride time"),
            ("stance_percent", "stance"),
        )
    )


def _parameter_rows(analysis: Analysis) -> list[list[str]]:
    rows = []
    for parameter in PARAMETERS:
        left, right, both = (spread(analysis, parameter, side) for side in (Side.LEFT, Side.RIGHT, None))
        if not both.n:
            continue
        # a ratio of right and left says something only of what is counted from zero
        ratio = symmetry_index(left.mean, right.mean) if _is_ratio_scaled(parameter) else math.nan
        rows.append(
            [
                f"{parameter.label} <small>({parameter.unit})</small>",
                mean_sd(left, parameter.digits),
                mean_sd(right, parameter.digits),
                f"{ratio:+z.1f} %" if math.isfinite(ratio) else "–",
                str(both.n),
            ]
        )
    return rows


def _is_ratio_scaled(parameter: Parameter) -> bool:
    return parameter.unit != "°"


def _comparison_card(comparison: Comparison) -> str:
    parts = []
    if comparison.events:
        tolerance = f"± {1000 * EVENT_TOLERANCE_S:.0f} ms"
        rows = [
            [
                EVENT_NAMES[score.kind],
                str(score.n_true),
                str(score.n_found),
                str(score.n_estimated - score.n_found),
                number(score.f1, 3),
                mean_sd(score.error_ms, 1) + " ms",
            ]
            for score in comparison.events
        ]
        parts.append(_table(["Event", "true", f"found {tolerance}", "false", "F1", "timing error"], rows))
    if comparison.parameters:
        rows = []
        for score in comparison.parameters:
            digits = score.parameter.digits
            error = f"{score.error.mean:+z.{digits}f} <small>± {score.error.sd:.{digits}f}</small>"
            rows.append(
                [
                    f"{score.parameter.label} <small>({score.parameter.unit})</small>",
                    mean_sd(score.estimated, digits),
                    mean_sd(score.true, digits),
                    error if math.isfinite(score.error.sd) else f"{score.error.mean:+z.{digits}f}",
                    str(score.error.n),
                ]
            )
        parts.append(_table(["Parameter", "estimated", "true", "error", "n"], rows))
    if comparison.joints:
        rows = [
            [
                score.coordinate,
                number(score.rmse, 2 if score.unit == "°" else 3, score.unit),
                number(score.rmse_aligned, 2 if score.unit == "°" else 3, score.unit),
                number(score.true_range, 1 if score.unit == "°" else 2, score.unit),
            ]
            for score in comparison.joints
            if score.moves
        ]
        header = ["Coordinate", "RMSE", "RMSE without constant offset", "true range"]
        parts.append(_table(header, rows))
    return _card("Estimated against true", "".join(parts)) if parts else ""


def feet_motion(analysis: Analysis) -> Motion | None:
    """The feet alone, as balls, where there is no twin."""
    feet = [(side, foot) for side, foot in analysis.feet.items() if len(foot.time_s)]
    if not feet:
        return None
    time = feet[0][1].time_s
    columns = [
        np.column_stack([np.interp(time, foot.time_s, foot.position_m[:, axis]) for axis in range(3)])
        for _, foot in feet
    ]
    limbs = tuple(Limb(str(side), i, i, 0.05, 0.05) for i, (side, _) in enumerate(feet))
    names = tuple(side.foot for side, _ in feet)
    points = np.stack(columns, axis=1)
    return Motion(time, names, points, limbs, 0.9)[np.isfinite(points).all(axis=(1, 2))]


def _thin(time_s: np.ndarray) -> np.ndarray:
    """Indices of the frames that the page shows."""
    if len(time_s) < 2:
        return np.arange(len(time_s))
    rate = (len(time_s) - 1) / (time_s[-1] - time_s[0])
    return np.arange(0, len(time_s), max(1, round(rate / FRAME_RATE_HZ)))[:FRAMES_MAX]


def _curves(analysis: Analysis, time_s: np.ndarray) -> list[dict[str, Any]]:
    if analysis.joints is None:
        return []
    shown = in_shown_units(analysis.joints)
    curves: list[dict[str, Any]] = []
    for stem, label in CURVES:
        entry: dict[str, Any] = {"label": label}
        values = []
        for side in Side:
            name = f"{stem}_{side.value[0]}"
            if name in analysis.joints.coordinates:
                column = shown[:, analysis.joints.coordinates.index(name)]
                curve = np.interp(time_s, analysis.joints.time_s, column)
                entry[str(side)] = [round(10 * v) if math.isfinite(v) else None for v in curve]
                values.append(curve[np.isfinite(curve)])
        if values and sum(map(len, values)):
            every = np.concatenate(values)
            low, high = np.percentile(every, [0.5, 99.5])
            curves.append(entry | {"low": float(low) - 5, "high": float(high) + 5})
    return curves


def _player(analysis: Analysis) -> tuple[str, str]:
    """The card with the moving figure, and the script and data behind it."""
    motion = analysis.motion or feet_motion(analysis)
    if motion is None or len(motion.time_s) < 2:
        return "", ""
    motion = motion[_thin(motion.time_s)]
    time = motion.time_s
    curves = _curves(analysis, time)
    strides = sorted(analysis.strides, key=lambda stride: stride.start_s)
    stances = [[str(s.side), round(s.start_s, 3), round(s.toe_off_s, 3)] for s in strides if math.isfinite(s.toe_off_s)]
    walked = _straight_ahead(strides) if strides else time[0]
    data = {
        "time": [round(float(t), 4) for t in time],
        "points": np.rint(1000 * motion.points_m).astype(int).tolist(),
        "limbs": [[b.side, b.start, b.end, b.start_radius_m, b.end_radius_m] for b in motion.limbs],
        "height": motion.height_m,
        "floor": _floor(motion),
        "prints": [
            [str(p.side), round(p.time_s, 3), round(p.x_m, 3), round(p.y_m, 3), round(p.heading_rad, 3)]
            for p in footprints(motion, strides)
        ],
        "stance": stances,
        "curves": curves,
        "start": float(walked),
        "heading": _heading(motion, float(walked)),
    }
    side_view = '<canvas id="curves"></canvas>' if curves else ""
    layout = "" if curves else ' style="grid-template-columns:1fr"'
    card = _PLAYER.replace("{{layout}}", layout).replace("{{curves}}", side_view)
    script = resources.files("gait_twin.service").joinpath("player.js").read_text(encoding="utf-8")
    payload = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return card, f'<script type="application/json" id="twin-data">{payload}</script><script>{script}</script>'


def _straight_ahead(strides: list[Stride]) -> float:
    """Instant at which to begin: the third stride of the longest way straight ahead, s."""
    runs: list[list[Stride]] = [[]]
    for stride in strides:
        if abs(stride.turning_angle_rad) < BEND_RAD:
            runs[-1].append(stride)
        elif runs[-1]:
            runs.append([])
    longest = max(runs, key=len) or strides
    return longest[min(2, len(longest) - 1)].start_s


def _heading(motion: Motion, time_s: float) -> float:
    """Direction of the walk around an instant, rad: the page looks at the person from there."""
    here = (motion.time_s >= time_s - 1.5) & (motion.time_s <= time_s + 1.5)
    way = np.ptp(motion.points_m[here, 0, :2], axis=0) if here.any() else np.zeros(2)
    if math.hypot(*way) < 0.3:
        return 0.0
    x, y = motion.points_m[here, 0, :2][-1] - motion.points_m[here, 0, :2][0]
    return round(math.atan2(y, x), 3)


def _floor(motion: Motion) -> float:
    """Height of the ground, m: under the lowest points of most of the walk."""
    lowest = np.nanmin(motion.points_m[:, :, 2], axis=1)
    return float(np.nanpercentile(lowest, 20)) - 0.02


def render(
    analysis: Analysis,
    comparison: Comparison,
    pictures: dict[str, tuple[str, bytes]],
) -> str:
    """The page as HTML.

    Parameters
    ----------
    analysis, comparison
        What to show.
    pictures
        PNG by file stem, each with its title; put into the page itself.
    """
    subject = analysis.recording.subject
    facts = [number(subject.height_m, 2, "m") if math.isfinite(subject.height_m) else ""]
    facts.append(number(subject.mass_kg, 1, "kg") if math.isfinite(subject.mass_kg) else "")
    facts.append(f"{len(analysis.recording.imus)} sensors")
    facts.append(f"{analysis.recording.duration_s:.1f} s")
    facts.append(f"model {Path(analysis.model).name}" if analysis.model else "")
    if analysis.recording.start_time_ns:
        start = datetime.fromtimestamp(analysis.recording.start_time_ns / 1e9, UTC)
        facts.append(f"{start:%Y-%m-%d %H:%M} UTC")
    twin, script = _player(analysis)
    figures = "".join(
        _card(title, f'<figure><img alt="{html.escape(title)}" src="data:image/png;base64,{encoded}"></figure>')
        for title, encoded in ((title, base64.b64encode(png).decode("ascii")) for title, png in pictures.values())
    )
    header = [
        "Parameter, mean ± SD",
        '<span class="left">left</span>',
        '<span class="right">right</span>',
        "symmetry index",
        "n",
    ]
    rows = _parameter_rows(analysis)
    noticed = (*analysis.calibration, *analysis.notices)
    parts = {
        "title": html.escape(f"Walk of {subject.name}" if subject.name else "A walk"),
        "subtitle": html.escape(" · ".join(fact for fact in facts if fact)),
        "tiles": gait_class.tile(analysis.gait) + _tiles(analysis),
        "losses": _card("What was lost", _sentences(analysis.losses), "lost") if analysis.losses else "",
        "twin": twin,
        "comparison": _comparison_card(comparison),
        "parameters": _card("Gait parameters", _table(header, rows)) if rows else "",
        "figures": (_card("Class of the gait", gait_class.paragraphs(analysis.gait)) if analysis.gait else "")
        + figures,
        "notices": _card("What was noticed", _sentences(noticed)) if noticed else "",
        "footer": f"gait_twin {gait_twin.__version__}. Symmetry index: (right − left) over their mean.",
        "script": script,
    }
    page = resources.files("gait_twin.service").joinpath("page.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        page = page.replace("{{" + name + "}}", content)
    return page
