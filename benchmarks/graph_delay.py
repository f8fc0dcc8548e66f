#!/usr/bin/env python3
"""Delay of the whole live graph: from a sample to `joint_states` and `gait_phase` on the wire, and where it arises.

    python benchmarks/graph_delay.py [--seconds 40] [--rate 200] [--trunk] [--domain 77] [--json FILE]

A virtual subject with seven IMUs (eight with --trunk) is played in real time through the graph as `gait-twin up
replay` starts it: hub, events, steps, twin, classifier, recorder, each in its own process. This process only listens:
it notes when each message reached it, and takes the stamp out of its header without decoding the rest.

newest sample  when the last of the samples arrived that a frame rests on: frames of 100 Hz rest on samples up to one
               frame period ahead of their own stamp where sensors are faster than 133 Hz, else on the first at or
               after it (docs/sensing.md). The source's own lateness is not in it.
hub            newest sample to `body_imus`.
twin           `body_imus` to `joint_states`.

Target: 99th percentile of newest sample to `joint_states` at most 10 ms on a machine with two cores that does nothing
else. The load meanwhile is printed; on a busy machine the best ten seconds tell more than the whole.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

NAMESPACE = "delay"
WARM_UP_S = 12.0
"""Standing, first steps, and the start of all processes are left out."""
END_S = 0.5
BEST_S = 10.0
LOOK_S = 0.1


def listen(segments: tuple[str, ...], seen: dict[str, list[tuple[float, float]]], stop: threading.Event) -> None:
    """Note stamp and arrival of each message, s of the same clock.

    Arrival is when the middleware had it, which it notes itself: this thread looks only now and then, so that it
    takes little from the graph that it watches.
    """
    import rclpy

    from gait_twin.nodes.topics import BODY_IMUS, GAIT_PHASE, JOINT_STATES, imu_raw, qos

    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("delay_probe", namespace=NAMESPACE, context=context)
    subscriptions = {}
    results = [(topic.name, topic) for topic in (BODY_IMUS, GAIT_PHASE, JOINT_STATES)]
    for name, topic in (*((f"imu {s}", imu_raw(s)) for s in segments), *results):
        seen[name] = []
        profile = qos(topic, rate_hz=10000.0)
        subscriptions[name] = node.create_subscription(
            topic.message_class, topic.name, lambda _: None, profile, raw=True
        )
    last = False
    while not last:
        last = stop.wait(LOOK_S)
        for name, subscription in subscriptions.items():
            handle = subscription.handle
            with handle:
                while taken := handle.take_message(subscription.msg_type, True):
                    # a message's header is first: 4 bytes of encapsulation, then its stamp
                    sec, nanosec = struct.unpack_from("<iI", taken[0], 4)
                    seen[name].append((sec + 1e-9 * nanosec, 1e-9 * taken[1]["received_timestamp"]))
    node.destroy_node()
    context.shutdown()


def delays_ms(seen: dict[str, list[tuple[float, float]]], reach_s: float) -> dict[str, np.ndarray]:
    """Delays of each frame of `joint_states`, and their stamps, s."""
    arrays = {name: np.array(rows).reshape(-1, 2) for name, rows in seen.items()}
    results = [dict(arrays[name].tolist()) for name in ("body_imus", "gait_phase", "joint_states")]
    common = np.array(sorted(set.intersection(*map(set, results))))
    # the last frames are given out when the source tells that it has ended
    common = common[(common > common[0] + WARM_UP_S) & (common < common[-1] - END_S)]
    hub_s, phase_s, twin_s = (np.array([arrival[stamp] for stamp in common.tolist()]) for arrival in results)
    newest = np.full(len(common), -np.inf)
    for name, rows in arrays.items():
        if name.startswith("imu "):
            at = np.searchsorted(rows[:, 0], common + reach_s - 1e-6)
            newest = np.maximum(newest, rows[np.minimum(at, len(rows) - 1), 1])
    return {
        "stamp_s": common,
        "newest sample to body_imus": 1e3 * (hub_s - newest),
        "body_imus to joint_states": 1e3 * (twin_s - hub_s),
        "newest sample to joint_states": 1e3 * (twin_s - newest),
        "newest sample to gait_phase": 1e3 * (phase_s - newest),
    }


def best(stamp_s: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """The stretch of `BEST_S` with the smallest 99th percentile."""
    starts = np.arange(stamp_s[0], max(stamp_s[0] + 0.1, stamp_s[-1] - BEST_S), 1.0)
    pieces = [delay[(stamp_s >= start) & (stamp_s < start + BEST_S)] for start in starts]
    return min(pieces, key=lambda piece: float(np.quantile(piece, 0.99)))


def main() -> None:
    """Run the graph, listen, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=200.0, help="of the sensors, Hz")
    parser.add_argument("--trunk", action="store_true", help="with a sensor on the torso")
    parser.add_argument("--domain", type=int, default=77, help="ROS_DOMAIN_ID, where no one else is")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)

    from gait_twin.graph import GraphOptions
    from gait_twin.graph_runner import run_graph
    from gait_twin.recording import SEGMENTS, save
    from gait_twin.simulation import SensorSettings, WalkSettings, simulate

    segments = tuple(s for s in SEGMENTS if options.trunk or s != "torso")
    sensors = SensorSettings(segments=segments, rates_hz=(options.rate,), mounting="random")
    seen: dict[str, list[tuple[float, float]]] = {}
    stop = threading.Event()
    loads: list[float] = []
    with tempfile.TemporaryDirectory(prefix="gait_twin_delay_") as folder:
        bag = Path(folder) / "walk"
        save(simulate(WalkSettings(duration_s=options.seconds), sensors), bag)
        listener = threading.Thread(target=listen, args=(segments, seen, stop))
        listener.start()

        def say(name: str, line: str) -> None:
            del name, line
            loads.append(os.getloadavg()[0])

        result = run_graph(
            "replay", GraphOptions(bag=bag, rate=1.0, record=Path(folder) / "out", namespace=NAMESPACE), say
        )
        stop.set()
        listener.join()
    console = Console()
    for notice in result.notices:
        console.print(notice)
    reach_s = 0.01 if options.rate > 133.0 else 0.0
    found = delays_ms(seen, reach_s)
    stamp_s = found.pop("stamp_s")
    lost = {name: len(rows) for name, rows in seen.items()}
    rows: dict[str, dict[str, float]] = {}
    table = Table(
        "ms", "median", "p90", "p99", "largest", f"p99 of the best {BEST_S:.0f} s", title="Delay of the graph"
    )
    for name, delay in found.items():
        values = [float(np.quantile(delay, q)) for q in (0.5, 0.9, 0.99, 1.0)]
        good = float(np.quantile(best(stamp_s, delay), 0.99))
        rows[name] = dict(zip(("median", "p90", "p99", "largest", "best_p99"), (*values, good), strict=True))
        table.add_row(name, *(f"{value:.1f}" for value in (*values, good)))
    console.print(table)
    mean_load = float(np.mean(loads)) if loads else os.getloadavg()[0]
    console.print(f"{len(stamp_s)} frames, {os.cpu_count()} cores, mean load {mean_load:.1f}; messages: {lost}")
    if options.json:
        report: dict[str, Any] = {
            "delays_ms": rows,
            "frames": len(stamp_s),
            "cores": os.cpu_count(),
            "load": mean_load,
            "rate_hz": options.rate,
            "sensors": len(segments),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
