"""``--set NAME=VALUE`` and ``--list-settings``: every setting of a room on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

from gait_twin.cli.show import out, table
from gait_twin.errors import InputError

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; --list-settings names them."),
]


def list_option(groups: Callable[[], Mapping[str, Any]]) -> Any:
    """Option ``--list-settings``, which shows the settings of `groups` and ends the program."""

    def show(wanted: bool) -> None:
        if wanted:
            list_settings(groups())
            raise typer.Exit

    return typer.Option("--list-settings", callback=show, is_eager=True, help="List every setting and exit.")


def choose(groups: Mapping[str, Any], assignments: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what a person chose.

    Parameters
    ----------
    groups
        Settings dataclasses by group name.
    assignments
        ``NAME=VALUE`` or ``GROUP.NAME=VALUE``; a name alone means every group that has it.
    values
        Values by name for the same; None is "not chosen".

    Raises
    ------
    InputError
        On a name that no group has, or a value that is not of the setting's type or range.
    """
    chosen: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for name, value in values.items():
        for group in _having(groups, name) if value is not None else ():
            chosen[group][name] = value
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        group, dot, name = path.rpartition(".")
        targets = [g for g in _having(groups, name) if not dot or g == group]
        if not equals or not targets:
            raise InputError(f"--set {assignment} names no setting; write NAME=VALUE with a name of --list-settings.")
        for target in targets:
            field = next(f for f in dataclasses.fields(groups[target]) if f.name == name)
            chosen[target][name] = _parse(path, text, field.default)
    return {group: dataclasses.replace(settings, **chosen[group]) for group, settings in groups.items()}


def _having(groups: Mapping[str, Any], name: str) -> list[str]:
    return [group for group, settings in groups.items() if any(f.name == name for f in dataclasses.fields(settings))]


def _parse(name: str, text: str, default: Any) -> Any:
    """A setting's text as a value of its default's type."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            parts = (part.strip() for part in text.split(",") if part.strip())
            return tuple(type(default[0])(part) if default else part for part in parts)
        return type(default)(text)
    except (KeyError, ValueError):
        wanted = {"bool": "true or false", "int": "whole number", "float": "number"}.get(type(default).__name__, "list")
        raise InputError(f"--set {name}={text}: {text!r} is no {wanted}; see --list-settings.") from None


def list_settings(groups: Mapping[str, Any]) -> None:
    """Show every setting with its value and meaning."""
    for group, settings in groups.items():
        made = table("Setting", "value")
        made.add_column("", justify="left", overflow="fold")
        for field in dataclasses.fields(settings):
            value = getattr(settings, field.name)
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            shown = shown if len(shown) < 20 else shown[:18] + "…"
            made.add_row(f"{group}.{field.name}", shown, field.metadata["description"])
        out.print(made)
        out.print()
