"""``calibrate``: a person stands, then walks some steps; what the sensors show is judged, printed and kept."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.driving import BodyArgument, Watch, driven
from gait_twin.cli.show import number, out, say, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.sensing import GuidedCalibration, SavedCalibration, SensorHub

EACH_S = 0.05


def calibrate(
    body_path: BodyArgument,
    saved: Annotated[Path, typer.Option("--out", "-o", help="YAML to write.")] = Path("calibration.yaml"),
    stand_s: Annotated[float, typer.Option("--stand", min=2.0, help="Longest wait for quiet standing, s.")] = 30.0,
    walk_s: Annotated[float, typer.Option("--walk", min=3.0, help="Longest wait for walking, s.")] = 60.0,
) -> int:
    """Stand still, walk some ten steps straight ahead, and keep how every sensor sits and errs.

    Finds scale and bias of each accelerometer, bias of each gyroscope and the rotation from sensor to segment, with
    their uncertainties, and says which sensors are exchanged or turned. Refused, with the reasons, where anything is
    too poor. What is written holds until a sensor is moved: name it in body.yaml (calibration: calibration.yaml), or
    give it to the sensor_hub as calibration_file. Sensors that lay on each of their six sides for some seconds, before
    they are put on, get all of their accelerometers' errors known; standing alone shows one of six.

    [bold]Examples[/bold]

      gait-twin calibrate body.yaml

      gait-twin calibrate body.yaml --out today.yaml
    """
    from gait_twin.sensing import HubSettings, SensorHub, read_body, write_calibration

    body = read_body(body_path)
    segments = tuple(device.segment for device in body.devices)
    if not segments:
        raise InputError(f"{body_path} has no sensor with a `protocol`: there is nothing to calibrate.")
    hub = SensorHub(segments, HubSettings(mounting=body.mounting, up=body.up))
    watch = Watch()
    with driven(body, watch):
        guided = hub.calibrate(stand_s, walk_s)
        _run(hub, guided, watch)
    if guided.saved is None:
        raise InputError(guided.guidance)
    out.print(_table(guided.saved))
    say(hub.calibration.notices, "blue", "note:")
    write_calibration(saved, guided.saved)
    wrote([saved])
    return 0


def _run(hub: SensorHub, guided: GuidedCalibration, watch: Watch) -> None:
    """Feed the hub until the calibration has come to an end, or nothing comes at all."""
    import numpy as np

    told, heard_s = "", time.monotonic()
    limit_s = 30.0
    while guided.running:
        if guided.guidance != told:
            told = guided.guidance
            out.print(f"[bold]{told}[/bold]")
        time.sleep(EACH_S)
        for segment in hub.segments:
            kept = watch.rows.get(segment)
            rows = [kept.popleft() for _ in range(len(kept))] if kept else []
            if not rows:
                continue
            heard_s = time.monotonic()
            block = np.array(rows)
            gyr, quat = (None if np.isnan(part).all() else part for part in (block[:, 4:7], block[:, 7:11]))
            if gyr is not None or quat is not None:
                hub.push(segment, block[:, 0], block[:, 1:4], gyr, quat)
        hub.poll()
        if time.monotonic() - heard_s > limit_s:
            raise InputError(f"No calibration: no sensor has sent anything for {limit_s:.0f} s.")


def _table(found: SavedCalibration) -> Any:
    made = table(
        "Segment", "at rest (m/s²)", "acc. error (m/s²)", "poses", "gyro bias (°/s)", "sway (°)", "forward ± (°)"
    )
    for segment, sensor in found.sensors.items():
        place, acc = sensor.place, sensor.accelerometer
        made.add_row(
            segment,
            number(place.gravity_mps2, 2),
            f"{number(math.hypot(*acc.bias_mps2), 2)} ± {number(math.hypot(*acc.bias_sd_mps2), 2)}",
            str(acc.poses),
            number(math.degrees(math.hypot(*place.gyro_bias_radps)), 2),
            number(place.static_spread_deg, 2),
            f"{number(place.heading_sd_deg, 1)}",
        )
    sides = "" if math.isnan(found.side_score) else f"; left and right {found.side_score:+.1f} (-2 exchanged, +2 right)"
    made.caption, made.caption_justify = f"judged by {found.walking_s:.0f} s of walking{sides}", "left"
    return made
