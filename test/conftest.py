"""Fixtures for every test: a DDS domain of its own, processes that end with the test, the recordings."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Above 101 the ports of a domain's participants reach into Linux's range of ephemeral ports.
DOMAINS = range(1, 102)
# Shared by all checkouts and users of the machine: domains are numbers of UDP ports, and there is one set.
LOCKS = Path("/tmp/gait_twin-ros-domains")


class DomainLock:
    """Holds one DDS domain for as long as it is open; the kernel lets go of it whatever ends the process."""

    def __init__(self) -> None:
        LOCKS.mkdir(exist_ok=True)
        if LOCKS.stat().st_uid == os.getuid():
            LOCKS.chmod(0o1777)
        # Starting at different places, two runs seldom try the same one.
        start = (os.getpid() * 7919) % len(DOMAINS)
        for offset in range(len(DOMAINS)):
            domain = DOMAINS[(start + offset) % len(DOMAINS)]
            try:
                handle = os.open(LOCKS / str(domain), os.O_RDWR | os.O_CREAT, 0o666)
            except PermissionError:
                continue  # another user's
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            self.domain = domain
            self._handle = handle
            return
        raise RuntimeError(f"all DDS domains 1 to 101 are taken by other tests (see {LOCKS})")

    def close(self) -> None:
        os.close(self._handle)


@pytest.fixture(autouse=True)
def ros_domain_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the test a DDS domain that no other test, worker or checkout uses meanwhile, on this machine only."""
    lock = DomainLock()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(lock.domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.delenv("ROS_STATIC_PEERS", raising=False)
    monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
    yield lock.domain
    lock.close()


@pytest.fixture
def ros(ros_domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Initialise rclpy in this process, in the test's domain, with its log in the test's folder."""
    rclpy = pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "ros_log"))
    rclpy.init(domain_id=ros_domain_id)
    yield
    rclpy.try_shutdown()


@dataclass
class Started:
    """A process that a test started: `popen`, and what it wrote so far."""

    popen: subprocess.Popen[bytes]
    log: Path
    _handle: IO[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        """Return what it wrote to stdout and stderr so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, timeout_s: float = 30.0) -> str:
        """Wait until the output contains `text`; fail with the output if it ends before or takes longer."""
        end = time.monotonic() + timeout_s
        while text not in self.output():
            if self.popen.poll() is not None and text not in self.output():
                pytest.fail(f"{self.log.stem} ended with {self.popen.returncode} before {text!r}:\n{self.output()}")
            if time.monotonic() > end:
                pytest.fail(f"{self.log.stem} did not write {text!r} within {timeout_s} s:\n{self.output()}")
            time.sleep(0.02)
        return self.output()

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for its end and return the exit code; fail with the output if it takes longer."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.log.stem} still runs after {timeout_s} s:\n{self.output()}")

    def stop(self, sign: int = signal.SIGINT, timeout_s: float = 20.0) -> int:
        """Send a signal to the process alone (as a user or a supervisor does) and wait for its end."""
        if self.popen.poll() is None:
            self.popen.send_signal(sign)
        return self.wait(timeout_s)

    def end(self) -> None:
        """End the process and everything that it started, by process group: politely, then not."""
        for sign, patience_s in ((signal.SIGINT, 3.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self.popen.pid, sign)
            except (ProcessLookupError, PermissionError):
                break
            end = time.monotonic() + patience_s
            while time.monotonic() < end and self._group_lives():
                self.popen.poll()
                time.sleep(0.02)
            if not self._group_lives():
                break
        self.popen.wait(5.0)
        self._handle.close()

    def _group_lives(self) -> bool:
        self.popen.poll()
        try:
            os.killpg(self.popen.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


Start = Callable[..., Started]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Start]:
    """Start processes that end with the test.

    ``processes(command, name="hub", env={...}, cwd=...)`` runs a command in a process group of its own, with the
    test's ROS_DOMAIN_ID and its output in ``tmp_path/<name>.log``. A string that starts with ``gait_twin.``
    as the first item is a module: ``processes(["gait_twin.nodes.twin", "--ros-args", …])``. Groups that are still
    there at the end of the test are ended by their id, the last one first.
    """
    started: list[Started] = []

    def start(
        command: Sequence[str | Path],
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Started:
        words = [str(word) for word in command]
        if words[0].startswith("gait_twin."):
            words = [sys.executable, "-m", *words]
        label = name or f"process-{len(started)}"
        log = tmp_path / f"{label}.log"
        if log.exists():
            log = tmp_path / f"{label}-{len(started)}.log"
        handle = log.open("wb")
        popen = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            cwd=cwd or tmp_path,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "ROS_LOG_DIR": str(tmp_path / "ros_log"),
                **(env or {}),
            },
            start_new_session=True,
        )
        process = Started(popen, log, handle)
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.end()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of recordings: $GAIT_TWIN_DATA, else ../shared/data beside the checkout; else skip."""
    named = os.environ.get("GAIT_TWIN_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        where = "GAIT_TWIN_DATA names" if named else "the recordings are expected in"
        pytest.skip(f"no recordings: {where} {folder}, which is not there; set GAIT_TWIN_DATA to their folder")
    return folder
