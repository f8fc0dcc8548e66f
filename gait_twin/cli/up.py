"""``up``: the whole graph of nodes, live, from a bag, or on a virtual subject."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from gait_twin.cli.show import (
    LOST,
    busy,
    comparison_tables,
    err,
    out,
    parameters_table,
    progress,
    report,
    wrote,
)
from gait_twin.errors import InputError

if TYPE_CHECKING:
    from gait_twin.graph_runner import GraphResult

LEVELS = {"DEBUG": "", "INFO": "", "WARN": "yellow", "ERROR": "bold red", "FATAL": "bold red"}
"""What nodes write before a line; those with a style are shown."""

up_app = typer.Typer(
    name="up",
    help="Start the whole graph of nodes: live, replay, demo.",
    epilog="[bold]Examples[/bold]  gait-twin up demo --out demo   ·   gait-twin up replay walk --rate 4   ·   "
    "gait-twin up live --body body.yaml --record walk",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the topics, one per subject.")]
RecordOption = Annotated[Path | None, typer.Option("--record", help="Bag to record everything into (a new folder).")]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="Your own OpenSim model (.osim); without it one of the person's size is built."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NODE.PARAMETER=VALUE", help="Parameter of a node; config/NODE.yaml lists them."),
]


@dataclass(frozen=True)
class RunOptions:
    """Options of every mode."""

    namespace: NamespaceOption = ""
    record: RecordOption = None
    model: ModelOption = None
    parameters: SetOption = None


def with_run_options(*left_out: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the `RunOptions`, but for those left out, gathered in its first argument."""
    hints = get_type_hints(RunOptions, include_extras=True)
    shared = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(RunOptions)
        if field.name not in left_out
    ]

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        _, *own = signature(command, eval_str=True).parameters.values()

        @wraps(command)
        def with_options(**given: Any) -> int:
            run = RunOptions(**{option.name: given.pop(option.name) for option in shared})
            return command(run, **given)

        parameters = [*(each.replace(kind=Parameter.KEYWORD_ONLY) for each in own), *shared]
        # what typer reads
        with_options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


class Told:
    """Shows what the nodes say: progress in a bar, warnings and what matters to the person as lines."""

    def __init__(self, what: str) -> None:
        columns = (
            TextColumn("{task.description}", table_column=Column(max_width=80)),
            BarColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task(f"Starting {what}", total=None)

    def __enter__(self) -> Told:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, node: str, line: str) -> None:
        """Take a line of a node; of the graph itself where `node` is empty."""
        level, colon, text = line.partition(": ")
        if not colon or level not in LEVELS:
            level, text = "INFO", line
        share = re.search(r"(\d+) ?%", text)
        if share:
            self._bar.update(self._task, description=text, total=100, completed=int(share[1]))
            return
        self._bar.update(self._task, description=f"{node} {text}", total=None)
        style = LEVELS[level]
        if style or not node or not err.is_terminal:
            err.print(Text.assemble((f"{node or 'graph'}: ", style or "dim"), text), soft_wrap=True)


@up_app.command()
@with_run_options()
def live(
    run: RunOptions,
    body: Annotated[
        Path | None, typer.Option("--body", help="Who, and which topic is on which segment; default config/body.yaml.")
    ] = None,
) -> int:
    """Start the graph for sensors that publish sensor_msgs/Imu. Ctrl-C ends it.

    [bold]Examples[/bold]

      gait-twin up live --body body.yaml

      gait-twin up live --body body.yaml --record walk --namespace subject_1
    """
    return _tell(_run("live", run, body=body))


@up_app.command()
@with_run_options()
def replay(
    run: RunOptions,
    bag: Annotated[Path, typer.Argument(metavar="BAG", help="Bag to play.")],
    rate: Annotated[
        float, typer.Option("--rate", help="Multiple of real time; 0: as fast as the graph follows.")
    ] = 1.0,
    subject: Annotated[str | None, typer.Option("--subject", help="Whose, where the bag holds several.")] = None,
) -> int:
    """Start the graph on a bag. It ends with the bag, and no sample is lost, however slow the machine.

    [bold]Examples[/bold]

      gait-twin up replay walk

      gait-twin up replay walk --rate 4 --record walk-again
    """
    return _tell(_run("replay", run, bag=bag, rate=rate, subject=subject))


@up_app.command()
@with_run_options("record")
def demo(
    run: RunOptions,
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bag, the pictures and the page.")],
    duration_s: Annotated[float, typer.Option("--duration", help="How long the virtual subject walks, s.")] = 60.0,
    rate: Annotated[
        float, typer.Option("--rate", help="Multiple of real time; 0: as fast as the graph follows.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the virtual subject.")] = 7,
) -> int:
    """Start the graph on a virtual subject, then compare what it published with the truth.

    Writes a bag of everything, tables, pictures, and report.html: one page with the moving twin.

    [bold]Examples[/bold]

      gait-twin up demo --out demo

      gait-twin up demo --out demo --duration 20 --rate 1
    """
    bag = out_dir / "bag"
    _make_room(out_dir, bag)
    result = _run("demo", replace(run, record=bag), duration_s=duration_s, rate=rate, seed=seed)
    if result.exit_code not in (0, LOST):
        return _tell(result)
    with busy("Reading the bag back"):
        from gait_twin import service
        from gait_twin.recording import load, read_results
        from gait_twin.twin import load_model

        recording, results = load(bag), read_results(bag)
        analysis = service.published(recording, results, load_model(run.model) if run.model else None)
    with progress("Writing") as update:
        paths = service.write(analysis, out_dir, progress=update)
    comparison = service.compare(analysis)
    out.print("\n[bold]What the graph published, against the truth[/bold]\n")
    for made in comparison_tables(comparison) or [parameters_table(analysis)]:
        out.print(made)
        out.print()
    wrote([bag, *paths])
    return max(result.exit_code, report((*result.notices, *analysis.notices), analysis.losses))


def _tell(result: GraphResult) -> int:
    """Name the bag that was recorded; gives the exit code."""
    if result.bag_path is not None:
        wrote([result.bag_path])
    return result.exit_code


def _make_room(out_dir: Path, bag: Path) -> None:
    """Take away the bag of an earlier demonstration, and nothing else."""
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(f"{out_dir} is a file; give --out a folder.")
    if not bag.exists():
        return
    if not bag.is_dir() or any(file.suffix != ".mcap" and file.name != "metadata.yaml" for file in bag.iterdir()):
        raise InputError(f"{bag} is there and is not an earlier demo's bag; give another --out.")
    shutil.rmtree(bag)


def _run(mode: str, run: RunOptions, **options: Any) -> GraphResult:
    """Start the graph and stay with it to its end."""
    from gait_twin.graph import GraphOptions
    from gait_twin.graph_runner import run_graph

    if run.model is not None:
        from gait_twin.twin import load_model

        load_model(run.model)  # refuses what is no model here, in one sentence, instead of in a node's log
    if run.record is not None:
        if run.record.exists():
            raise InputError(f"{run.record} is there already; give a new name, or remove it first.")
        run.record.parent.mkdir(parents=True, exist_ok=True)
    chosen = GraphOptions(
        **options,
        namespace=run.namespace,
        record=run.record,
        model_path=str(run.model or ""),
        parameters=_parameters(run.parameters or ()),
    )
    with Told(mode) as told:
        return run_graph(mode, chosen, told.say)


def _parameters(assignments: list[str] | tuple[()]) -> dict[str, dict[str, Any]]:
    """``NODE.PARAMETER=VALUE`` as parameters by node; values are read as YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        node, dot, name = path.partition(".")
        if not (equals and dot and name):
            raise InputError(f"--set {assignment} is not of the form NODE.PARAMETER=VALUE.")
        try:
            found.setdefault(node, {})[name] = YAML(typ="safe").load(text)
        except YAMLError:
            raise InputError(f"--set {assignment}: {text!r} is no value.") from None
    return found
