"""YAML files that people write: read, checked against a pydantic model, errors that name file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gait_twin.errors import InputError
from gait_twin.recording.tables import did_you_mean

Location = Sequence[str | int]
"""Keys from the top of the YAML down, as ``("sensors", "calcn_r", "acc")``."""
Model = TypeVar("Model", bound=BaseModel)


class Keys(BaseModel):
    """Base of the models: no other keys, no values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class CheckedYaml:
    """A YAML file of keys and values.

    Attributes
    ----------
    path
        The file.
    plain
        Its content.
    """

    path: Path
    plain: dict[str, Any]
    _tree: Any

    @classmethod
    def read(cls, path: Path | str, needs: str) -> CheckedYaml:
        """Read a file; `needs` is the key that it must have at least, for the error.

        Raises
        ------
        InputError
            If it cannot be read, or is not YAML with keys.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"The file {path} is not there.") from None
        except (OSError, UnicodeDecodeError) as problem:
            raise InputError(f"The file {path} cannot be read: {problem}.") from None
        try:
            tree = YAML(typ="rt").load(text)
            plain = YAML(typ="safe").load(text)
        except MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise InputError(f"{path}{at}: this is not YAML: {str(problem.problem).splitlines()[0]}.") from None
        except (YAMLError, ValueError) as problem:
            raise InputError(f"{path}: this is not YAML: {str(problem).splitlines()[0]}.") from None
        if not isinstance(plain, dict):
            raise InputError(f"{path} does not hold keys and values; it needs at least `{needs}`.")
        return cls(path, plain, tree)

    def where(self, location: Location, *, key: bool = False) -> str:
        """Return ``recording.yaml, line 4, column 7`` of a value, or of its key."""
        return _where(self.path, self._tree, location, key=key)

    def check_keys(self, at: str, known: Iterable[str], what: str) -> None:
        """Refuse keys under `at` that are not known; `what` each of them should be, as ``a segment``.

        Raises
        ------
        InputError
            Naming the first one.
        """
        known = tuple(known)
        for name in self.plain[at] if isinstance(self.plain.get(at), dict) else ():
            if name not in known:
                raise InputError(
                    f"{self.where((at, name), key=True)}: {name!r} is not {what}"
                    f"{did_you_mean(str(name), known)}; choose of {', '.join(known)}."
                )

    def check(self, model: type[Model], known_keys: Callable[[Location], list[str]]) -> Model:
        """Content as an object of a model.

        Parameters
        ----------
        model
            What it has to fit.
        known_keys
            Keys that are allowed at a location, for the error about one that is not.

        Raises
        ------
        InputError
            With file, line and column of the first thing that is wrong.
        """
        try:
            return model.model_validate(self.plain)
        except ValidationError as problem:
            raise InputError(_first_error(self.path, self._tree, problem, known_keys)) from None


def _first_error(path: Path, tree: Any, problem: ValidationError, known_keys: Callable[[Location], list[str]]) -> str:
    # a misspelt key says more than that the right one is missing
    errors = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
    first = errors[0]
    location = _walkable(tree, first["loc"])
    last = str(first["loc"][-1]) if first["loc"] else ""
    name = f"`{'.'.join(map(str, location))}`"
    if first["type"] == "missing":
        inside = f" in {name}" if location else ""
        return f"{_where(path, tree, location, key=True)}: `{last}` is missing{inside}."
    if first["type"] == "extra_forbidden":
        known = known_keys(first["loc"][:-1])
        return (
            f"{_where(path, tree, location, key=True)}: `{last}` is not a key here{did_you_mean(last, known)}; there "
            f"are {', '.join(known)}."
        )
    context = first.get("ctx", {})
    if first["type"] == "value_error":
        says = f"{name}: {context['error']}"
    elif first["type"] in ("too_short", "too_long"):
        wanted = context.get("min_length", context.get("max_length"))
        says = f"{name} has {context['actual_length']} entries; give {wanted}"
    elif first["type"] in ("model_type", "dict_type"):
        says = f"{name} is {first['input']!r}; give keys with values"
    else:
        wanted = first["msg"].removeprefix("Input should be ").replace("less than or equal to", "at most")
        says = f"{name} is {first['input']!r}; give {wanted.replace('greater than or equal to', 'at least')}"
    return f"{_where(path, tree, location)}: {says}."


def _walkable(tree: Any, location: Location) -> tuple[str | int, ...]:
    """Return the keys of a location that are in the YAML (pydantic adds names of alternatives)."""
    found: list[str | int] = []
    for part in location:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            continue
        found.append(part)
    return tuple(found)


def _where(path: Path, tree: Any, location: Location, *, key: bool = False) -> str:
    """Return file, line and column of a value (or of its key)."""
    line, column = 0, 0
    for depth, part in enumerate(location):
        try:
            child = tree[part]
        except (KeyError, IndexError, TypeError):
            break
        as_key = isinstance(part, str) and (key or hasattr(child, "lc")) and hasattr(tree.lc, "key")
        last = depth == len(location) - 1
        line, column = tree.lc.key(part) if as_key and (last or key) else _value_at(tree, part)
        tree = child
    return f"{path}, line {line + 1}, column {column + 1}"


def _value_at(tree: Any, part: str | int) -> tuple[int, int]:
    at: tuple[int, int] = tree.lc.item(part) if isinstance(part, int) else tree.lc.value(part)
    return at
