"""``sensors scan`` and ``sensors check``, and ``emulate``: real devices and pretended ones."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.recordings import read
from gait_twin.cli.show import LOST, busy, number, out, progress, say, table
from gait_twin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gait_twin.sensing import Body, Driver, Reading, SensorState

sensors_app = typer.Typer(
    name="sensors",
    help="Find devices and see whether they are in order.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

BodyArgument = Annotated[Path, typer.Argument(metavar="BODY", help="body.yaml: which device is on which segment.")]


# ---- scan


@sensors_app.command()
def scan(
    bluetooth_s: Annotated[
        float, typer.Option("--bluetooth", min=0.0, max=60.0, help="Search so long over Bluetooth, s; 0: not at all.")
    ] = 5.0,
    udp_s: Annotated[
        float, typer.Option("--udp", min=0.0, max=60.0, help="Listen so long on the usual UDP ports, s; 0: not at all.")
    ] = 2.0,
) -> int:
    """List what is plugged in, near by, or sending, with what to write into body.yaml.

    [bold]Examples[/bold]

      gait-twin sensors scan

      gait-twin sensors scan --bluetooth 0
    """
    from gait_twin.sensing.scanning import bluetooth_devices, serial_ports, udp_senders
    from gait_twin.sensing.transports import TransportError

    made = table("Found", title="")
    made.add_column("what it is", overflow="fold")
    made.add_column("in body.yaml", overflow="fold")
    rows = list(serial_ports())
    notices = []
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


class Watch:
    """What the driver hands on, kept for the last seconds of each segment."""

    KEEP = 4000

    def __init__(self) -> None:
        from collections import deque

        self.rows: dict[str, Any] = {}
        self.said: list[str] = []
        self._deque = deque

    def take(self, reading: Reading) -> None:
        """Keep a sample."""
        sample = reading.sample
        if sample.acc_mps2 is not None:
            kept = self.rows.setdefault(reading.segment, self._deque(maxlen=self.KEEP))
            gyr, quat = sample.gyr_radps or (math.nan,) * 3, sample.quat_wxyz or (math.nan,) * 4
            kept.append((reading.steady_s, *sample.acc_mps2, *gyr, *quat))

    def say(self, _level: object, text: str) -> None:
        """Keep a sentence."""
        self.said.append(text)

    def recent(self, segment: str, seconds: float = 1.0) -> NDArray[np.float64]:
        """(n, 11) time, specific force, angular rate and orientation of the last seconds."""
        import numpy as np

        rows = np.array(list(self.rows.get(segment, ())), dtype=float).reshape(-1, 11)
        return rows[rows[:, 0] > rows[-1, 0] - seconds] if len(rows) else rows


@contextmanager
def driven(body: Body, watch: Watch) -> Iterator[Driver]:
    """A driver of a body's devices, streaming."""
    from gait_twin.sensing import Driver

    if not body.devices:
        raise InputError(
            "This body.yaml has no sensor with a `protocol`; `gait-twin sensors scan` lists what there is."
        )
    driver = Driver(body.devices, watch.take, watch.say)
    with busy("Opening the devices"):
        driver.open()
    driver.start()
    try:
        yield driver
    finally:
        driver.stop()
        driver.close()


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


# ---- emulate


def emulate(
    body_path: BodyArgument,
    recording_path: Annotated[
        Path | None,
        typer.Option(
            "--play", metavar="IN", help="Bag or device's export to play; without it a virtual subject walks."
        ),
    ] = None,
    duration_s: Annotated[float, typer.Option("--duration", min=1.0, help="Length of the virtual walk, s.")] = 60.0,
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
                WalkSettings(duration_s=duration_s), SensorSettings(segments=segments), progress=update
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


__all__ = ["check", "emulate", "scan", "sensors_app"]
