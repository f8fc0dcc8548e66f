"""Starts a graph without ROS's launch: supervisord keeps the nodes running, this says what they do and ends it."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from supervisor.xmlrpc import SupervisorTransport

import gait_twin
from gait_twin.errors import InputError
from gait_twin.graph import RECORDER, GraphDescription, GraphOptions, NodeDescription, describe

Say = Callable[[str, str], None]
"""Called with the name of a node (empty: the graph itself) and a line that it says."""

LOST, INTERRUPTED, REFUSED = 3, 130, 1
EACH_S = 0.1
STOP_S = 2.0
"""A node has so long to end after SIGTERM; then it is killed."""
MANY_STARTS = 5
"""A node that had to be started anew so often will not come right by itself."""


@dataclass(frozen=True)
class GraphResult:
    """How a graph ended.

    Attributes
    ----------
    exit_code
        0: as planned (live: stopped by the person); 3: something of the input was lost, see `notices`;
        130: stopped before the end.
    bag_path
        Bag that was recorded; None where none was.
    notices
        Sentences on what happened.
    """

    exit_code: int
    bag_path: Path | None
    notices: tuple[str, ...]


@dataclass(slots=True)
class _Watched:
    """A node that runs."""

    node: NodeDescription
    log: Path
    read: int = 0
    pid: int = 0
    state: str = ""
    exit_code: int = 0
    starts: int = 0
    said: list[str] = field(default_factory=list)


def run_graph(mode: str, options: GraphOptions | None = None, progress: Say | None = None) -> GraphResult:
    """Start a graph and return when it has ended: its source has played everything, or the person stops it.

    Parameters
    ----------
    mode, options
        See `gait_twin.graph.describe`.
    progress
        Told what the nodes say.

    Raises
    ------
    InputError
        When something given cannot be used, also where only a node finds out.
    """
    graph = describe(mode, options)
    return _Run(graph, progress or _silent).run()


def _silent(_name: str, _line: str) -> None:
    """Nobody listens."""


class _Run:
    def __init__(self, graph: GraphDescription, say: Say) -> None:
        self._graph, self._say = graph, say
        # short: the path of a unix socket has at most 107 characters
        self._folder = Path(tempfile.mkdtemp(prefix="gait_twin_"))
        self._watched = {node.name: _Watched(node, self._folder / f"{node.name}.log") for node in graph.nodes}
        self._notices = list(graph.notices)
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._rpc: Any = None

    def run(self) -> GraphResult:
        for notice in self._notices:
            self._say("", notice)
        code = REFUSED
        try:
            with _sigterm_as_interrupt():
                try:
                    self._start()
                    code = self._watch()
                except KeyboardInterrupt:
                    code = 0 if self._graph.mode == "live" else INTERRUPTED
                    self._say("", "Stopping.")
                finally:
                    self._stop()
        finally:
            self._tell_lines()
            if code in (0, INTERRUPTED):
                shutil.rmtree(self._folder, ignore_errors=True)
            elif code == LOST:
                self._notices.append(f"What each node said is in {self._folder}.")
        return GraphResult(code, self._bag_path(), tuple(self._notices))

    # ---- start

    def _start(self) -> None:
        config = self._folder / "supervisord.conf"
        socket = self._folder / "socket"
        lines = [
            "[unix_http_server]", f"file={_ini(socket)}",
            "[supervisord]", "nodaemon=true", "silent=true", "minfds=64", "minprocs=16",
            f"logfile={_ini(self._folder / 'supervisord.log')}", f"pidfile={_ini(self._folder / 'supervisord.pid')}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]  # fmt: skip
        for name, watched in self._watched.items():
            lines += [
                f"[program:{name}]", f"command={_ini(shlex.join(self._command(watched.node)))}",
                f"directory={_ini(self._folder)}", f"stdout_logfile={_ini(watched.log)}", "redirect_stderr=true",
                "stdout_logfile_maxbytes=0", "stopsignal=TERM", f"stopwaitsecs={STOP_S:.0f}", "startsecs=0",
                # 0: ended; 1: refused with a sentence. Anything else is an accident.
                f"autorestart={'false' if watched.node.is_source else 'unexpected'}", "exitcodes=0,1",
            ]  # fmt: skip
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "supervisord.err").open("wb"),
            env=_environment(self._folder),
            # Ctrl-C in a terminal reaches this process alone, which stops the nodes in order
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one thread
        )
        self._rpc = xmlrpc.client.ServerProxy(
            "http://localhost", SupervisorTransport(None, None, f"unix://{socket}")
        ).supervisor
        end_s = time.monotonic() + 20.0
        while not socket.exists():
            if self._supervisor.poll() is not None or time.monotonic() > end_s:
                said = (self._folder / "supervisord.err").read_text(errors="replace").strip().splitlines()
                raise RuntimeError(f"supervisord did not start: {said[-1] if said else 'it says nothing'}")
            time.sleep(0.05)

    def _command(self, node: NodeDescription) -> list[str]:
        own = self._folder / f"{node.name}.yaml"
        with own.open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump({"/**": {"ros__parameters": node.parameters}}, file)
        command = [sys.executable, "-m", f"gait_twin.nodes.{node.name}", "--ros-args", "--log-level", "info"]
        if self._graph.namespace != "/":
            command += ["-r", f"__ns:={self._graph.namespace}"]
        for topic, other in node.remappings.items():
            command += ["-r", f"{topic}:={other}"]
        return [*command, "--params-file", str(node.config), "--params-file", str(own)]

    # ---- while it runs

    def _watch(self) -> int:
        while True:
            time.sleep(EACH_S)
            self._tell_lines()
            for info in self._infos():
                watched = self._watched[info["name"]]
                watched.state = info["statename"]
                watched.exit_code = info["exitstatus"]
                if info["pid"] and info["pid"] != watched.pid:
                    watched.pid = info["pid"]
                    watched.starts += 1
                    if watched.starts > 1:
                        self._note(f"{info['name']} ended unexpectedly and was started again.")
                ended = watched.state in ("EXITED", "FATAL")
                if ended and watched.exit_code == REFUSED:
                    self._tell_lines()
                    raise InputError(_sentence(watched))
                if watched.state == "FATAL" or watched.starts > MANY_STARTS:
                    self._note(f"{info['name']} cannot be kept running.")
                    return LOST
                if ended and watched.node.is_source:
                    return self._end_of_source(watched)

    def _end_of_source(self, source: _Watched) -> int:
        self._tell_lines()
        if source.exit_code not in (0, LOST):
            self._note(f"{source.node.name} was stopped before it had played everything.")
            return LOST
        if source.exit_code == LOST:
            self._note(f"Not all of the recording could be played: see what {source.node.name} says.")
        again = any(watched.starts > 1 for watched in self._watched.values())
        return LOST if again or source.exit_code == LOST else 0

    def _note(self, sentence: str) -> None:
        self._notices.append(sentence)
        self._say("", sentence)

    def _infos(self) -> list[dict[str, Any]]:
        infos: list[dict[str, Any]] = self._rpc.getAllProcessInfo()
        return infos

    def _tell_lines(self) -> None:
        for name, watched in self._watched.items():
            if not watched.log.exists():
                continue
            with watched.log.open("rb") as file:
                file.seek(watched.read)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            watched.read += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                watched.said.append(line)
                self._say(name, line)
            del watched.said[:-100]

    def _bag_path(self) -> Path | None:
        recorder = self._watched.get(RECORDER)
        if recorder is None:
            return None
        path = Path(recorder.node.parameters["bag"])
        return path if path.exists() else None

    # ---- stop

    def _stop(self) -> None:
        """Stop all, the recorder last; whatever is left then is killed by its id."""
        if self._supervisor is None:
            return
        pids = {watched.pid for watched in self._watched.values() if watched.pid}
        try:
            names = set(self._watched)
            self._stop_nodes(names - {RECORDER})
            self._stop_nodes(names & {RECORDER})
            self._rpc.shutdown()
            self._supervisor.wait(1.0)
        except (OSError, xmlrpc.client.Error, http.client.HTTPException, subprocess.TimeoutExpired, KeyboardInterrupt):
            self._supervisor.kill()
            for pid in pids:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    if any(word.startswith("gait_twin.nodes.") for word in process.cmdline()):
                        process.kill()
        self._supervisor.wait()

    def _stop_nodes(self, names: set[str]) -> None:
        for name in names:
            with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
                self._rpc.stopProcess(name, False)
        end_s = time.monotonic() + STOP_S + 0.2
        while time.monotonic() < end_s:
            running = [info for info in self._infos() if info["name"] in names and info["pid"]]
            if not running:
                return
            time.sleep(EACH_S / 2)


def _sentence(watched: _Watched) -> str:
    """Why a node refused to start: the last thing it said."""
    said = next((line for line in reversed(watched.said) if line.strip()), "it did not say why")
    return f"{watched.node.name}: {said.partition('FATAL: ')[2] or said}"


def _ini(value: object) -> str:
    return str(value).replace("%", "%%")


def _environment(folder: Path) -> dict[str, str]:
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "ROS_LOG_DIR": str(folder / "ros"),
        "RCUTILS_CONSOLE_OUTPUT_FORMAT": "{severity}: {message}",
        # one thread a node: numpy's own would take each other's processors
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
    }
    root = Path(gait_twin.__file__).resolve().parent.parent
    if not root.name.endswith("-packages"):  # a checkout that is not installed
        environment["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return environment


def _die_with_parent() -> None:
    """Let the kernel send SIGTERM to supervisord when this process ends, whatever ends it."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread: who runs it there stops it otherwise
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
