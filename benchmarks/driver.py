"""Throughput and delay of the driver node: many emulated sensors, one process on one core, real DDS.

    python benchmarks/driver.py [--sensors 16] [--rate 400] [--seconds 30] [--protocol xsens_mti] [--out driver.json]

The emulators (one process) write each sample to a pty or a loopback socket with the instant of writing in it as the
device's time. The driver node (another process, held to one core) publishes to a third process that has subscribed
to every topic. The delay is from before the write to after the publication. Target: nothing lost at 16 x 400 Hz,
99th percentile of the delay at most 3 ms.

On a machine at work all processes are stopped now and then, and a pty hands its bytes on in a kernel thread that waits
for its turn as well; so the 99th percentile is given of the whole, of the median second and of the best third in a
row, with the load meanwhile, the emulator's own lateness, the waits of this process for the processor, and the
pauses of its garbage collector. `--realtime` shows what the driver itself takes, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gait_twin.sensing import make_device
from gait_twin.sensing.players import PtyOutlet, TcpOutlet, UdpOutlet
from gait_twin.sensing.protocols import Sample, find

PORT = 28000


def outlet_of(transport: str, i: int, folder: Path):
    if transport == "serial":
        return PtyOutlet(folder / f"imu{i}")
    if transport == "udp":
        return UdpOutlet(PORT + i)
    return TcpOutlet(PORT + i)


def emulate(arguments: argparse.Namespace) -> None:
    """Send until the time is over; prints how many samples and how late the emulator itself was."""
    protocol = find(arguments.protocol)
    outlets = [outlet_of(arguments.transport, i, arguments.folder) for i in range(arguments.sensors)]
    encoders = [protocol.encoder(protocol.make_options({})) for _ in outlets]
    for outlet in outlets:
        outlet.plug()
    print("ready", flush=True)
    input()  # the driver is there
    begin, period, late = time.monotonic() + 0.2, 1.0 / arguments.rate, []
    phases = np.random.default_rng(0).uniform(0.0, period, len(outlets))  # devices are not in step
    last = [0.0] * len(outlets)
    order = np.argsort(phases).tolist()
    for n in range(int(arguments.seconds * arguments.rate)):
        for i in order:
            due = begin + n * period + phases[i]
            wait = due - time.monotonic()
            if wait > 0.0:
                time.sleep(wait)
            now = time.monotonic()
            late.append(now - due)
            # an emulator that catches up must not send two samples within a tick (0.1 ms) of the device's clock
            now = last[i] = max(now, last[i] + 2e-4)
            angle = n * 0.01
            sample = Sample((0.1, angle % 1.0, 9.8), (0.1, 0.2, angle % 1.0), None, None, now, n, 0.0, "", 0)
            outlets[i].send(encoders[i].encode(sample))
    print(json.dumps({"sent": len(late), "late_p99_ms": 1e3 * float(np.quantile(late, 0.99))}), flush=True)
    time.sleep(1.0)
    for outlet in outlets:
        outlet.unplug()


def serve(arguments: argparse.Namespace) -> None:
    """The node, with devices of any number instead of a body's, and a clock after each publication."""
    from rclpy.clock import Clock
    from rclpy.clock_type import ClockType

    from gait_twin.nodes import base, imu_driver

    pauses: list[float] = []

    def paused(phase: str, _info: object) -> None:
        pauses.append(-time.perf_counter() if phase == "start" else pauses.pop() + time.perf_counter())

    gc.callbacks.append(paused)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    devices = tuple(
        make_device(
            arguments.protocol,
            {
                "serial": f"serial:{arguments.folder}/imu{i}",
                "udp": f"udp::{PORT + i}",
                "tcp": f"tcp:127.0.0.1:{PORT + i}",
            }[arguments.transport],
            f"sensor_{i}",
        )
        for i in range(arguments.sensors)
    )
    delays: list[float] = []

    class Measured(imu_driver.ImuDriverNode):
        def __init__(self) -> None:
            super().__init__()
            self._cpu, self._begin_s = 0.0, 0.0
            self._count_before = -1
            print("ready", flush=True)
            self.create_timer(0.5, self._end, clock=Clock(clock_type=ClockType.STEADY_TIME))

        def _chosen(self):
            return devices

        def _publish(self, reading) -> None:
            super()._publish(reading)
            now = time.monotonic()
            if not delays:
                pauses.clear()  # those of the start
                self._cpu, self._begin_s = time.process_time(), now
            delays.append(now - reading.sample.device_time_s)

        def _end(self) -> None:
            count = len(delays)
            if count and count == self._count_before:
                states = self._driver.states()
                settled = np.array(delays[len(delays) // 10 :])
                span = time.monotonic() - self._begin_s - 0.5
                seconds = [1e3 * float(np.quantile(part, 0.99)) for part in np.array_split(settled, int(span) or 1)]
                parts = [settled[i : i + len(settled) // 3] for i in range(0, len(settled), len(settled) // 20)]
                result = {
                    "published": count,
                    "received": sum(s.report.received for s in states),
                    "lost": sum(s.report.lost for s in states),
                    "refused": sum(s.refused[0] for s in states),
                    "disordered": sum(f.clock.disordered for f in self._driver.feeds.values()),
                    "delay_ms": {f"p{q:g}": 1e3 * float(np.quantile(settled, q / 100)) for q in (50, 90, 99, 99.9)},
                    "p99_of_a_second_ms": float(np.median(seconds)),
                    "p99_best_third_ms": 1e3
                    * min(float(np.quantile(p, 0.99)) for p in parts if len(p) > len(settled) / 3.1),
                    "waited_for_processor_s": _waited_s(),
                    "gc_longest_ms": 1e3 * max(pauses, default=0.0),
                    "max_ms": 1e3 * float(settled.max()),
                    "processor": (time.process_time() - self._cpu) / span,
                }
                print(json.dumps(result), flush=True)
                self.finish(0)
            self._count_before = count

    sys.exit(base.run(Measured, ["--ros-args", "--log-level", "error", "-p", "silence_s:=600.0"]))


def _waited_s() -> float:
    """Time that threads of this process were ready and had no processor, s (Linux)."""
    threads = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[1]) for thread in threads) / 1e9


def listen(arguments: argparse.Namespace) -> None:
    """Subscribe to everything, so that every message is really sent."""
    import rclpy

    from gait_twin.nodes.topics import imu_raw, qos

    rclpy.init()
    node = rclpy.create_node("listener")
    for i in range(arguments.sensors):
        topic = imu_raw(f"sensor_{i}")
        node.create_subscription(topic.message_class, topic.name, print, qos(topic), raw=True)
    print("ready", flush=True)
    input()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sensors", type=int, default=16)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--protocol", default="xsens_mti")
    parser.add_argument("--transport", choices=("serial", "udp", "tcp"), default="serial")
    parser.add_argument(
        "--realtime", action="store_true", help="before all other programs of the machine (SCHED_RR; needs root)"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--role", choices=("emulate", "serve", "listen"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        if arguments.realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        {"emulate": emulate, "serve": serve, "listen": listen}[arguments.role](arguments)
        return
    os.environ.setdefault("ROS_DOMAIN_ID", "97")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with tempfile.TemporaryDirectory() as folder:

        def start(role: str) -> subprocess.Popen[str]:
            command = [sys.executable, __file__, *sys.argv[1:], "--role", role, "--folder", folder]
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        listener, emulator = start("listen"), start("emulate")
        listener.stdout.readline()
        emulator.stdout.readline()
        driver = start("serve")
        driver.stdout.readline()
        time.sleep(1.0)
        emulator.stdin.write("go\n")
        emulator.stdin.flush()
        sent = json.loads(emulator.stdout.readline())
        result = json.loads(driver.stdout.readline())
        driver.wait(30.0)
        listener.stdin.write("end\n")
        listener.stdin.close()
        emulator.wait(30.0)
        listener.wait(30.0)
    load = os.getloadavg()[0]
    row = {
        "protocol": arguments.protocol, "transport": arguments.transport, "sensors": arguments.sensors,
        "rate_hz": arguments.rate, **sent, **result, "load": load, "cores": os.cpu_count(),
    }  # fmt: skip
    delay = " ".join(f"{name} {value:.2f}" for name, value in result["delay_ms"].items())
    print(f"{arguments.sensors} x {arguments.rate:g} Hz, {arguments.protocol} over {arguments.transport}")
    print(
        f"sent {sent['sent']}, published {result['published']}, lost {sent['sent'] - result['published']}, of them "
        f"{result['disordered']} left out by the clock, {result['lost']} missing by the devices' counters"
    )
    print(
        f"delay ms: {delay} max {result['max_ms']:.1f}; p99 of the median second {result['p99_of_a_second_ms']:.2f}, "
        f"of the best third in a row {result['p99_best_third_ms']:.2f}; the emulator's own lateness p99 "
        f"{sent['late_p99_ms']:.2f}; garbage collector's longest pause {result['gc_longest_ms']:.1f}"
    )
    where = f"load {load:.1f} on {os.cpu_count()} cores{', all real-time' * arguments.realtime}"
    waited = f"waited {result['waited_for_processor_s']:.1f} s for it"
    print(f"processor {100 * result['processor']:.0f} % of one core, {waited}; {where}")
    if arguments.out:
        arguments.out.write_text(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
