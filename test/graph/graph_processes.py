"""Processes of a graph: which they are, waiting for them, and the end that leaves no time for anything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest


def node_pids(runner_pid: int) -> dict[str, int]:
    """Ids of the nodes of a runner, by name."""
    found = {}
    for process in psutil.Process(runner_pid).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        for word in words:
            if word.startswith("gait_twin.nodes."):
                found[word.rpartition(".")[2]] = process.pid
    return found


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.05)


def kill_9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
