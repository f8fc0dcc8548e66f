"""``sensors scan``, ``check`` and ``align``: devices found, watched, and put on one clock."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.driving import BodyArgument, Watch, driven
from gait_twin.cli.show import LOST, busy, number, out, say, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.sensing import SensorState

sensors_app = typer.Typer(
    name="sensors",
    help="Find devices and see whether they are in order.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

KEEP_ALIGNING = 100_000
"""Samples of each sensor that are kept to align them: a minute at 1600 Hz."""


# ---- scan


@sensors_app.command()
def scan(
    bluetooth_s: Annotated[
        float, typer.Option("--bluetooth", min=0.0, max=60.0, help="Search so long over Bluetooth, s; 0: not at all.")
    ] = 5.0,
    udp_s: Annotated[
        float, typer.Option("--udp", min=0.0, max=60.0, help="Listen so long on the usual UDP ports, s; 0: not at all.")
    ] = 2.0,
    probe: Annotated[
        bool, typer.Option(help="Open serial ports and find which protocol answers, at which baud rate.")
    ] = True,
    ports: Annotated[
        list[str] | None, typer.Option("--port", help="A further serial port to look at; may be repeated.")
    ] = None,
) -> int:
    """List what is plugged in, near by, or sending, with what to write into body.yaml.

    A serial port that cannot be told by its name is listened to for some seconds, at one baud rate after the other;
    a silent one is asked the questions of the devices that wait for one.

    [bold]Examples[/bold]

      gait-twin sensors scan

      gait-twin sensors scan --bluetooth 0 --no-probe

      gait-twin sensors scan --bluetooth 0 --udp 0 --port /dev/ttyS0
    """
    from gait_twin.sensing.scanning import Found, bluetooth_devices, probe_serial, serial_ports, udp_senders
    from gait_twin.sensing.transports import TransportError

    made = table("Found", title="")
    made.add_column("what it is", overflow="fold")
    made.add_column("in body.yaml", overflow="fold")
    rows, notices = [], []
    known = serial_ports() + [Found(port, "", f"device: {port}, protocol: any serial one") for port in ports or ()]
    for row in known:
        if not probe:
            rows.append(row)
            continue
        try:
            with busy(f"Listening to {row.where}"):
                answer = probe_serial(row.where)
        except TransportError as problem:
            notices.append(str(problem))
            rows.append(row)
        else:
            what = "; ".join(part for part in (row.what, answer.what) if part)
            rows.append(Found(row.where, what, answer.entry or row.entry))
    if bluetooth_s:
        with busy("Searching over Bluetooth"):
            try:
                rows += bluetooth_devices(bluetooth_s)
            except TransportError as problem:
                notices.append(str(problem))
    if udp_s:
        with busy("Listening on UDP"):
            found, problems = udp_senders(udp_s)
            rows += found
            notices += problems
    for row in rows:
        made.add_row(row.where, row.what, row.entry)
    if rows:
        out.print(made)
    else:
        out.print("Nothing is plugged in, near by, or sending.")
    say(notices, "blue", "note:")
    return 0


# ---- check


@sensors_app.command()
def check(
    body_path: BodyArgument,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.0, help="Stop after so long, s; 0: run until Ctrl-C.")
    ] = 10.0,
) -> int:
    """Show rate, gaps, clock and gravity of every sensor, live.

    At rest the specific force must be 9.8 m/s². Exit code 3 says that a sensor is not in order.

    [bold]Examples[/bold]

      gait-twin sensors check body.yaml

      gait-twin sensors check body.yaml --seconds 0
    """
    from rich.live import Live

    from gait_twin.sensing import HubSettings, read_body
    from gait_twin.sensing.health import SensorHealth

    body = read_body(body_path)
    watch = Watch()
    addresses = {device.segment: str(device.address) for device in body.devices}
    faults: dict[str, str] = {}
    states: list[SensorState] = []
    with driven(body, watch) as driver, Live(console=out, auto_refresh=False) as live:
        end_s = time.monotonic() + (seconds or math.inf)
        try:
            while time.monotonic() < end_s:
                time.sleep(min(0.5, max(0.01, end_s - time.monotonic())))
                states = driver.states()
                for state in states:
                    rows = watch.recent(state.segment, 1.5)
                    health = SensorHealth(state.segment, HubSettings())
                    if len(rows) and not math.isnan(rows[0, 4]):
                        health.judge(rows[:, :7])
                    faults[state.segment] = state.problem or health.fault
                live.update(_check_table(states, addresses, faults, watch), refresh=True)
        except KeyboardInterrupt:
            pass
        strangers = driver.strangers()
    bad = [sentence for sentence in faults.values() if sentence]
    if strangers:
        say([f"Heard, and worn by no segment: {', '.join(strangers)}."], "blue", "note:")
    say(bad, "bold yellow", "wrong:")
    return LOST if bad else 0


def _check_table(states: list[SensorState], addresses: dict[str, str], faults: dict[str, str], watch: Watch) -> Any:
    import numpy as np

    made = table("Segment", "state", "Hz", "lost", "gaps", "ms", "ppm", "m/s²")
    made.caption, made.caption_justify = "ms: transport jitter; ppm: clock; m/s²: specific force, 9.8 at rest", "left"
    made.add_column("device", overflow="fold")
    for state in states:
        rows, report = watch.recent(state.segment), state.report
        size = float(np.linalg.norm(rows[:, 1:4].mean(axis=0))) if len(rows) else math.nan
        fault = faults[state.segment]
        made.add_row(
            state.segment,
            "[bold red]wrong[/bold red]" if fault else "[green]good[/green]",
            number(report.rate_hz, 1),
            str(report.lost),
            str(report.gaps),
            number(1e3 * state.clock[1], 1),
            number(state.clock[0], 0),
            number(size, 2),
            addresses[state.segment],
        )
    return made


# ---- align


@sensors_app.command()
def align(
    body_path: BodyArgument,
    seconds: Annotated[float, typer.Option("--seconds", min=13.0, help="How long to move them, s.")] = 20.0,
    reference: Annotated[
        str | None, typer.Option(help="Segment whose latency stays; the first one where not given.")
    ] = None,
    write: Annotated[bool, typer.Option(help="Write what was found into the body.yaml.")] = True,
) -> int:
    """Put the clocks of all sensors on each other, by a motion that they make together.

    Hold all sensors in one hand, or strap them to one box, and turn and tap it for some ten seconds. What one radio or
    cable is slower than another becomes `latency_s` in the body.yaml, with its uncertainty `latency_sd_s`.

    [bold]Examples[/bold]

      gait-twin sensors align body.yaml

      gait-twin sensors align body.yaml --seconds 30 --no-write
    """
    from gait_twin.sensing import latencies, read_body, write_latencies

    body = read_body(body_path)
    segments = [device.segment for device in body.devices]
    chosen = reference or next(iter(segments), "")
    if len(segments) < 2 or chosen not in segments:
        raise InputError(f"{body_path} needs at least two sensors with a `protocol`, {chosen or 'one'} among them.")
    watch = Watch(KEEP_ALIGNING)
    with driven(body, watch) as driver, busy("Turn all sensors together, in one hand"):
        time.sleep(seconds)
        states = {state.segment: state.problem for state in driver.states()}
    streams = {}
    for segment in segments:
        rows = watch.recent(segment, seconds)
        if len(rows) == 0 or math.isnan(rows[0, 4]):
            why = states[segment] or "it has no gyroscope"
            raise InputError(f"{segment} cannot be aligned: {why}.".replace("..", "."))
        streams[segment] = (rows[:, 0], rows[:, 4:7])
    found = latencies(streams, {device.segment: device.latency_s for device in body.devices}, chosen)
    made = table("Segment", "latency (ms)", "± (ms)", "correlation", "drift (ppm)")
    for segment, (latency_s, sd_s, one) in found.items():
        shown = ("reference", "") if one is None else (number(one.correlation, 3), number(one.drift_ppm, 0))
        made.add_row(segment, number(1e3 * latency_s, 2), number(1e3 * sd_s, 2), *shown)
    out.print(made)
    if write:
        write_latencies(body_path, {segment: (value, sd) for segment, (value, sd, _) in found.items()})
        wrote([body_path])
    return 0


__all__ = ["align", "check", "scan", "sensors_app"]
