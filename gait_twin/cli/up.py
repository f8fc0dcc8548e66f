"""``up``: the whole graph of nodes, live, from a bag, or on a virtual subject."""

from __future__ import annotations

import typer

up_app = typer.Typer(name="up", help="Start the whole graph of nodes.", no_args_is_help=True, rich_markup_mode="rich")


@up_app.command()
def demo() -> int:
    return 0


@up_app.command()
def live() -> int:
    return 0
