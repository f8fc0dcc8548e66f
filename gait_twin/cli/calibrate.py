"""``calibrate``: a person stands, then walks some steps; what the sensors show is judged, printed and kept."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.sensors import BodyArgument, Watch, driven
from gait_twin.cli.show import LOST, number, out, say, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.recording import BodyFrames
    from gait_twin.sensing import Calibration, SensorHub

EACH_S = 0.1


def calibrate(
    body_path: BodyArgument,
    saved: Annotated[Path, typer.Option("--out", "-o", help="YAML to write.")] = Path("calibration.yaml"),
    stand_s: Annotated[float, typer.Option("--stand", min=2.0, help="Longest wait for quiet standing, s.")] = 30.0,
    walk_s: Annotated[float, typer.Option("--walk", min=3.0, help="Longest wait for walking, s.")] = 40.0,
) -> int:
    """Stand still, walk at least five steps straight ahead, and see whether all sensors are right.

    Shows each accelerometer's scale, each gyroscope's bias and the forward direction with its uncertainty, and says
    which sensors seem to be exchanged. Refused where the standing or the walking does not suffice.

    [bold]Examples[/bold]

      gait-twin calibrate body.yaml

      gait-twin calibrate body.yaml --out today.yaml
    """
    from gait_twin.sensing import HubSettings, SensorHub, misplaced, read_body

    body = read_body(body_path)
    segments = tuple(device.segment for device in body.devices)
    if not segments:
        raise InputError(f"{body_path} has no sensor with a `protocol`: there is nothing to calibrate.")
    hub = SensorHub(segments, HubSettings(mounting=body.mounting))
    watch = Watch()
    with driven(body, watch):
        out.print("[bold]Stand still and straight, feet as in walking.[/bold]")
        _run(hub, watch, stand_s, lambda c: all(one.calibrated for one in c.segments.values()))
        standing = hub.calibration
        if not any(one.calibrated for one in standing.segments.values()):
            raise InputError(f"No calibration: {' '.join(standing.notices)}")
        out.print("[bold]Walk straight ahead, ten steps or more.[/bold]")
        frames = _run(hub, watch, walk_s, lambda c: all(one.heading_known for one in c.segments.values()))
    found = hub.calibration
    out.print(_table(found))
    wrong = [*hub.faults.values(), *misplaced(frames)]
    say(found.notices, "blue", "note:")
    say(wrong, "bold yellow", "wrong:")
    poor = [name for name, one in found.segments.items() if not (one.calibrated and one.heading_known)]
    if poor:
        raise InputError(
            f"No calibration: the standing or the forward direction of {', '.join(poor)} was not found; do it again."
        )
    if wrong:
        return LOST
    _save(saved, found)
    wrote([saved])
    return 0


def _run(hub: SensorHub, watch: Watch, longest_s: float, enough: Any) -> BodyFrames:
    """Feed the hub until it has found enough, or the time is over; gives the frames."""
    import numpy as np

    from gait_twin.recording import BodyFrames

    blocks = [hub.poll()]
    end_s = time.monotonic() + longest_s
    while time.monotonic() < end_s:
        time.sleep(EACH_S)
        for segment in hub.segments:
            kept = watch.rows.get(segment)
            rows = [kept.popleft() for _ in range(len(kept))] if kept else []
            if rows:
                block = np.array(rows)
                gyr = block[:, 4:7]
                if np.isfinite(gyr).any():
                    hub.push(segment, block[:, 0], block[:, 1:4], gyr)
        blocks.append(hub.poll())
        if enough(hub.calibration):
            break
    arrays = (f.name for f in dataclasses.fields(BodyFrames) if f.name != "segments")
    return BodyFrames(hub.segments, *(np.concatenate([getattr(b, name) for b in blocks]) for name in arrays))


def _table(found: Calibration) -> Any:
    made = table("Segment", "at rest (m/s²)", "scale", "gyro bias (°/s)", "spread (°)", "forward (°)")
    for segment, one in found.segments.items():
        bias = math.degrees(math.hypot(*one.gyro_bias_radps))
        forward = f"{number(one.heading_deg, 0)} ± {number(one.heading_sd_deg, 1)}" if one.heading_known else "–"
        made.add_row(
            segment, number(one.gravity_mps2, 2), number(one.gravity_mps2 / 9.80665, 3), number(bias, 2),
            number(one.static_spread_deg, 2), forward,
        )  # fmt: skip
    return made


def _save(path: Path, found: Calibration) -> None:
    from ruamel.yaml import YAML

    content = {
        segment: {
            "acc_scale": round(one.gravity_mps2 / 9.80665, 5),
            "gyro_bias_radps": [round(value, 6) for value in one.gyro_bias_radps],
            "static_spread_deg": round(one.static_spread_deg, 3),
            "forward_sd_deg": round(one.heading_sd_deg, 2),
        }
        for segment, one in found.segments.items()
    }
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({"calibration": content}, file)
