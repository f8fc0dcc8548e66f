"""The summary of an analysis: one dictionary for ``summary.json`` and the page's table."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from typing import Any

import numpy as np

import gait_twin
from gait_twin.recording import Side
from gait_twin.service.comparison import Comparison
from gait_twin.service.gait_class import as_dict
from gait_twin.service.parameters import PARAMETERS, Parameter, Spread, select, symmetry_index, value
from gait_twin.service.results import Analysis


def spread(analysis: Analysis, parameter: Parameter, side: Side | None = None) -> Spread:
    """Mean and SD of a parameter over one side's strides or steps, or both sides', in shown units."""
    chosen = select(parameter, analysis.strides, analysis.steps, side)
    return Spread.of(value(item, parameter) for item in chosen)


def _versions() -> dict[str, str]:
    versions = {"gait_twin": gait_twin.__version__, "python": platform.python_version()}
    for package in ("opensim", "vqf", "numpy", "scipy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _without_nan(item: Any) -> Any:
    """The same structure with plain Python numbers and None for "not known": JSON has no NaN."""
    if isinstance(item, dict):
        return {str(key): _without_nan(v) for key, v in item.items()}
    if isinstance(item, list | tuple):
        return [_without_nan(v) for v in item]
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, float):
        return round(item, 6) if math.isfinite(item) else None
    return item


def summarize(analysis: Analysis, comparison: Comparison | None = None) -> dict[str, Any]:
    """Everything that ``summary.json`` holds; plain types only, None for "not known"."""
    recording = analysis.recording
    table: dict[str, Any] = {}
    for parameter in PARAMETERS:
        left, right, both = (spread(analysis, parameter, side) for side in (Side.LEFT, Side.RIGHT, None))
        if both.n:
            table[parameter.key] = {
                "label": parameter.label,
                "unit": parameter.unit,
                "left": {"n": left.n, "mean": left.mean, "sd": left.sd},
                "right": {"n": right.n, "mean": right.mean, "sd": right.sd},
                "both": {"n": both.n, "mean": both.mean, "sd": both.sd},
                "symmetry_index_percent": symmetry_index(left.mean, right.mean),
            }
    counts = {
        str(side): {
            "heel_strikes": sum(e.side is side and e.kind == "heel_strike" for e in analysis.events),
            "toe_offs": sum(e.side is side and e.kind == "toe_off" for e in analysis.events),
            "strides": sum(s.side is side for s in analysis.strides),
            "strides_valid": sum(s.side is side and s.valid for s in analysis.strides),
            "steps": sum(s.side is side for s in analysis.steps),
        }
        for side in Side
    }
    return _without_nan(
        {
            "subject": {
                "name": recording.subject.name,
                "height_m": recording.subject.height_m,
                "mass_kg": recording.subject.mass_kg,
            },
            "duration_s": recording.duration_s,
            "start_time_ns": recording.start_time_ns,
            "counts": counts,
            "parameters": table,
            "sensors": {
                segment: {
                    "sampling_rate_hz": report.sampling_rate_hz,
                    "residual_deg": report.residual_deg,
                    **report.counts,
                }
                for segment, report in analysis.sensors.items()
            },
            "gait": as_dict(analysis.gait),
            "calibration": list(analysis.calibration),
            "twin": None
            if analysis.joints is None
            else {
                "model": analysis.model,
                "mass_kg": analysis.mass_kg,
                "coordinates": list(analysis.joints.coordinates),
                "frames": len(analysis.joints.time_s),
            },
            "comparison": comparison.as_dict() if comparison else None,
            "notices": list(analysis.notices),
            "losses": list(analysis.losses),
            "versions": _versions(),
        }
    )
