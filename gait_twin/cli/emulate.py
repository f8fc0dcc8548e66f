"""``emulate``: pretended devices, for tests and for people without hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_twin.cli.driving import BodyArgument
from gait_twin.cli.recordings import read
from gait_twin.cli.show import busy, out, progress
from gait_twin.errors import InputError


def emulate(
    body_path: BodyArgument,
    recording_path: Annotated[
        Path | None,
        typer.Option(
            "--play", metavar="IN", help="Bag or device's export to play; without it a virtual subject walks."
        ),
    ] = None,
    duration_s: Annotated[float, typer.Option("--duration", min=1.0, help="Length of the virtual walk, s.")] = 60.0,
    stand_s: Annotated[
        float, typer.Option("--stand", min=0.5, max=600.0, help="How long the virtual subject stands first, s.")
    ] = 5.0,
    drift_ppm: Annotated[float, typer.Option("--drift", help="By how much the devices' clocks run fast, ppm.")] = 0.0,
    jitter_ms: Annotated[float, typer.Option("--jitter", min=0.0, help="Transport jitter, ms.")] = 0.0,
    loss: Annotated[float, typer.Option("--loss", min=0.0, max=1.0, help="Share of frames lost.")] = 0.0,
    corruption: Annotated[float, typer.Option("--corruption", min=0.0, max=1.0, help="Share damaged.")] = 0.0,
    unplug: Annotated[
        list[str] | None,
        typer.Option(metavar="SEGMENT:FROM,TO", help="Unplug a sensor from and to these times, s; may be repeated."),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", min=0.01, help="Multiple of real time.")] = 1.0,
) -> int:
    """Pretend to be the devices of a body.yaml: for tests, and for people without hardware.

    Serial devices appear as pseudo terminals under the names of the body.yaml (choose ones in a folder that you may
    write to, such as /tmp/calcn_r), UDP devices send to this machine, TCP devices listen on their port.

    [bold]Examples[/bold]

      gait-twin emulate body.yaml

      gait-twin emulate body.yaml --play walk --drift 100 --jitter 15 --loss 0.01

      gait-twin emulate body.yaml --unplug calcn_r:10,15
    """
    from gait_twin.sensing import read_body
    from gait_twin.sensing.players import outlet_for, play
    from gait_twin.sensing.protocols import EmulatedSensor, EmulatorSettings

    body = read_body(body_path)
    if not body.devices:
        raise InputError(f"{body_path} has no sensor with a `protocol`: there is nothing to pretend to be.")
    unplugged = _unplugged(unplug or [], [device.segment for device in body.devices])
    if recording_path is not None:
        with busy(f"Reading {recording_path}"):
            recording = read(recording_path)
    else:
        from gait_twin.simulation import SensorSettings, WalkSettings, simulate

        segments = tuple(device.segment for device in body.devices)
        with progress("Walking") as update:
            recording = simulate(
                WalkSettings(duration_s=duration_s, standing_start_s=stand_s),
                SensorSettings(segments=segments),
                progress=update,
            )
    sensors = {}
    for i, device in enumerate(body.devices):
        settings = EmulatorSettings(
            drift_ppm=drift_ppm, jitter_ms=jitter_ms, loss=loss, corruption=corruption, seed=i,
            unplugged_s=unplugged.get(device.segment, ()),
        )  # fmt: skip
        sensor = EmulatedSensor(device.protocol.name, device.options, settings)
        sensors[device.segment] = (sensor, outlet_for(device))
    for device in body.devices:
        out.print(f"{device.segment:10} {device.protocol.name} on {device.address}", soft_wrap=True)
    with progress("Playing") as update:
        sent = play(recording, sensors, speed=speed, progress=update)
    out.print(f"{sent} frames sent")
    return 0


def _unplugged(given: list[str], segments: list[str]) -> dict[str, tuple[float, ...]]:
    found: dict[str, tuple[float, ...]] = {}
    for text in given:
        segment, _, times = text.partition(":")
        try:
            begin_s, end_s = (float(part) for part in times.split(","))
        except ValueError:
            raise InputError(f"--unplug {text}: write SEGMENT:FROM,TO in seconds, such as calcn_r:10,15.") from None
        if segment not in segments:
            raise InputError(f"--unplug {text}: there is no device on {segment!r}; there are {', '.join(segments)}.")
        found[segment] = (*found.get(segment, ()), begin_s, end_s)
    return found
