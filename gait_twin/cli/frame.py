"""The command line's frame: its commands, and one place where anything that goes wrong becomes a sentence."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.rich_utils
from rich.console import Console
from rich.text import Text

import gait_twin
from gait_twin.cli.calibrate import calibrate
from gait_twin.cli.emulate import emulate
from gait_twin.cli.model import mocap, scale
from gait_twin.cli.orthopaedic import screen
from gait_twin.cli.recordings import import_, info
from gait_twin.cli.sensors import sensors_app
from gait_twin.cli.train import train_app
from gait_twin.cli.up import up_app
from gait_twin.cli.work import analyze, simulate
from gait_twin.errors import InputError

REFUSED, USAGE, DEFECT = 1, 2, 70

app = typer.Typer(
    name="gait-twin",
    help="A digital twin of a walking person: IMUs in; gait events, steps and a moving OpenSim skeleton out.",
    epilog=(
        "[bold]Start here[/bold]  gait-twin up demo --out demo   ·   gait-twin simulate walk   ·   "
        "gait-twin analyze walk --out result"
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(up_app)
app.add_typer(sensors_app)
app.command()(calibrate)
app.command()(emulate)
app.add_typer(train_app)
app.command("import")(import_)
app.command()(analyze)
app.command()(screen)
app.command()(scale)
app.command()(mocap)
app.command()(simulate)
app.command()(info)


def _version(wanted: bool) -> None:
    if wanted:
        Console().print(f"gait_twin {gait_twin.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version


def _say(sentence: str) -> None:
    """One sentence on stderr, not wrapped, so that scripts and people get it whole."""
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("gait-twin: ", "bold red"), sentence))


def _write_traceback() -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="gait-twin-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"gait_twin {gait_twin.__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        file.write(traceback.format_exc())
    return Path(file.name)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and give its exit code; never raises."""
    try:
        code: Any = app(args=arguments, prog_name="gait-twin", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except InputError as error:
        _say(str(error))
        return REFUSED
    except (KeyboardInterrupt, typer.Abort):
        _say("Stopped.")
        return 130
    except Exception as error:  # noqa: BLE001  the last resort: a person shall not meet a traceback
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # typer's own: wrong usage
            typer.rich_utils.rich_format_error(error)  # type: ignore[arg-type]
            return int(error.exit_code)
        if isinstance(error, OSError) and error.filename is not None:
            _say(f"{error.filename}: {error.strerror}; check the path and its permissions.")
            return REFUSED
        if isinstance(error, MemoryError):
            _say("There is not enough memory for this; give a shorter recording.")
            return REFUSED
        name = type(error).__name__
        _say(
            f"This is a defect of gait_twin, not of your input ({name}: {error}); details are in {_write_traceback()}."
        )
        return DEFECT


def main() -> None:
    """Entry point of the ``gait-twin`` command."""
    sys.exit(run())
