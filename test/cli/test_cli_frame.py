"""The command line itself: help, version, exit codes, and what happens to errors."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gait_twin.cli import frame
from gait_twin.errors import InputError

COMMAND = [sys.executable, "-m", "gait_twin.cli"]


def gait_twin(*arguments: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **env},
        timeout=120,
        check=False,
    )


def test_version() -> None:
    done = gait_twin("--version")
    assert (done.returncode, done.stdout) == (0, "gait_twin 0.1.0\n")


@pytest.mark.parametrize(
    "command", ["", "up", "up live", "up replay", "up demo", "import", "analyze", "simulate", "info"]
)
def test_help_of_every_command_has_an_example(command: str) -> None:
    done = gait_twin(*command.split(), "--help")
    assert done.returncode == 0
    assert f"gait-twin {command}".strip() in done.stdout
    assert done.stderr == ""


def test_help_does_not_import_what_it_does_not_need() -> None:
    script = (
        "import sys; sys.argv = ['gait-twin', '--help']\n"
        "from gait_twin.cli import app\n"
        "app(standalone_mode=False)\n"
        "slow = {'opensim', 'torch', 'matplotlib', 'plotly', 'scipy', 'pandas', 'rclpy', 'rosbags', 'numba'}\n"
        "print('loaded', sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "loaded []" in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["analyze"], ["analyze", "x", "--nonsense"], ["import", "csv"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = gait_twin(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(frame, "app", fail)
    return frame.run([])


def test_an_input_error_is_one_sentence_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "The column 'ax' [left] is not there; " + "name another, " * 20 + "or leave it out."
    assert fail_with(monkeypatch, InputError(sentence)) == 1
    assert capsys.readouterr().err == f"gait-twin: {sentence}\n"


def test_a_defect_is_one_sentence_and_the_traceback_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(monkeypatch, ZeroDivisionError("oh")) == 70
    said = capsys.readouterr().err
    assert said.startswith("gait-twin: This is a defect of gait_twin, not of your input (ZeroDivisionError: oh)")
    assert said.count("\n") == 1
    file = Path(said.rsplit(" in ", 1)[1].strip().removesuffix("."))
    assert "ZeroDivisionError: oh" in file.read_text()
    file.unlink()


def test_a_file_that_cannot_be_opened_is_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(monkeypatch, PermissionError(13, "Permission denied", "/some/where")) == 1
    assert capsys.readouterr().err.startswith("gait-twin: /some/where: Permission denied")


def test_ctrl_c_is_tidy() -> None:
    script = (
        "import os, signal\n"
        "import gait_twin.cli.frame as module\n"
        "def stop(**_): os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(5)\n"
        "module.app = stop\n"
        "raise SystemExit(module.run([]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "gait-twin: Stopped.\n"
