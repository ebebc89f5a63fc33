"""YAML 1.2 files, validated by pydantic models. Error messages have the line of each problem."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt

from suite.errors import InputError, Problem, nearest
from suite.grid.refused import fields_at, keys_named, refused_parts
from suite.grid.shipped import shipped_folder
from suite.grid.yaml import HALF, load_yaml
from suite.store.files import opened, real_path
from suite.text import encodable

Location = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 1_000_000  # the largest file size; the largest file that comes with the suite has 30,000 bytes
_KEYS = re.compile(rb"^(seeds|axes|blocks|epochs|values|claims|stated):", re.MULTILINE)  # of the suite's own files
MOST_PROBLEMS = 50  # the most problems that one message lists


@dataclass
class Document:
    """The values of a YAML file, and the line of each value.

    Args:
        path: the file.
        values: its values as plain Python objects.
        lines: the line of each value, by location.
        overrides: the assignments of `--set` that replaced values, by location.
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Location, int] = field(default_factory=dict)
    overrides: dict[Location, str] = field(default_factory=dict)

    def where(self, location: Location) -> str:
        """Return the file and line of a value; if it isn't in the file, those of the innermost value around it."""
        for length in range(len(location), -1, -1):
            part = location[:length]
            if part in self.overrides:
                return f"--set {self.overrides[part]}"
            if part in self.lines:
                return f"{self.path}, line {self.lines[part]}"
        return str(self.path)

    def override(self, assignment: str, at: Location = ()) -> None:
        """Apply an assignment `key.key=value` as if it were written in the file, below the location `at`.

        The value is parsed as YAML.

        Raises:
            InputError: the assignment has no key or no value, or its path goes through a value that is no mapping.
        """
        if HALF.search(assignment):
            raise InputError(
                "an override with half of a character",
                expected="UTF-8 text",
                found=f"--set {encodable(assignment)}",
                where=f"--set {encodable(assignment)}",
                fix="write the character itself, in a terminal that uses UTF-8",
            )
        path, equals, text = assignment.partition("=")
        keys = path.strip().split(".")
        if "axes" in keys and keys[-2] in ("recipe", "size"):  # a setting as an axis: one key with a dot
            keys[-2:] = [".".join(keys[-2:])]
        if not equals or not all(keys):
            raise InputError(
                "an override must name a key and a value",
                expected="--set key.key=value",
                found=f"--set {assignment}",
                where=f"--set {assignment}",
                fix="for instance --set recipe.epochs=10",
            )
        values: Any = self.values
        for part in at:
            values = values[part]  # always a mapping: the caller checked it
        for depth, key in enumerate(keys[:-1]):
            inner = values.setdefault(key, {})
            if key == "recipe" and isinstance(inner, str):
                inner = values[key] = {"base": inner}
            if not isinstance(inner, dict):
                raise InputError(
                    f"{'.'.join(keys[: depth + 1])} has no keys of its own",
                    expected="the path of a value in the grid file",
                    found=f"--set {assignment}",
                    where=self.where((*at, *keys[: depth + 1])),
                    fix="override the value as a whole, for instance --set axes.join=[default,lape]",
                )
            values = inner
        values[keys[-1]] = _plain(load_yaml(text, f"--set {assignment}"))
        place = (*at, *keys)
        # The override replaces the file's value here and everything below it, so their lines no longer apply.
        self.lines = {other: line for other, line in self.lines.items() if other[: len(place)] != place}
        self.overrides[place] = assignment

    def validate(self, model: type[M], values: Any = None, at: Location = ()) -> M:
        """Validate values with a pydantic model.

        Args:
            model: the pydantic model.
            values: the values to validate; None: all values of the file.
            at: the location of `values` in the file, for messages.

        Raises:
            InputError: with every problem and its line.
        """
        try:
            return model.model_validate(self.values if values is None else values)
        except ValidationError as error:
            found = error.errors()
            problems = [self._problem(model, item, at) for item in found[:MOST_PROBLEMS]]
            raise InputError(problems=[*problems, *more_problems(len(found) - len(problems))]) from None

    def _problem(self, model: type[BaseModel], error: ErrorDetails, at: Location) -> Problem:
        inside = error["loc"]
        location = (*at, *inside)
        name = ".".join(map(str, location)) or self.path.name
        fields = fields_at(model, inside[:-1])
        if error["type"] == "extra_forbidden":
            key = str(location[-1])
            return Problem(
                f"unknown key {name!r}", "a key of this file", repr(key), self.where(location), nearest(key, fields)
            )
        if error["type"] == "missing" and isinstance(inside[-1], str):
            return Problem(
                f"key {name!r} is missing",
                expected=fields.get(inside[-1], "") or "a value for it",
                found="nothing",
                where=self.where(location[:-1]),
                fix=f"add the key {inside[-1]!r}",
            )
        if error["type"] == "missing":  # an entry of a list: the list as a whole is too short
            inside, location = inside[:-1], location[:-1]
            name = ".".join(map(str, location))
        if inside[-1:] == ("[key]",):  # pydantic's word for a key that is itself refused
            name = ".".join(map(str, location[:-1]))
        keys = keys_named(error)
        # A problem of several keys together has the line of the first one in the message. Entries of a claim file
        # inherit keys from the top of the file. Those keys have smaller lines than the entry, and the problem is in the
        # entry, so they are skipped.
        places = [(*location, key) for key in keys]
        own = [p for p in places if p in self.overrides or self.lines.get(p, 0) >= self.lines.get(location, 1)]
        refused = refused_parts(model, inside, error)
        return Problem(
            f"{name} can't be used" + (f": {refused.what}" if refused.what else ""),
            expected=refused.expected,
            found=refused.found,
            where=self.where(own[0] if own else location),
            fix=refused.fix,
        )


def load_document(path: Path, model: type[M]) -> M:
    """Read and validate one YAML file.

    Raises:
        InputError: the file is missing, isn't YAML, has a duplicate key, or has values that the model rejects.
    """
    return read_document(path).validate(model)


def read_document(path: Path) -> Document:
    """Read one YAML file without validating its values.

    Raises:
        InputError: the file is missing, unreadable, too large, or not a YAML mapping.
    """
    try:
        with opened(path) as file:
            data = file.read(MOST_BYTES + 1)
        text = data[:MOST_BYTES].decode("utf-8") if len(data) <= MOST_BYTES else None
    except FileNotFoundError:
        near = _files_of_the_suite(path.parent)
        raise InputError(
            "no such file",
            expected="a YAML file",
            found="nothing",
            where=str(path),
            fix=f"{nearest(path.name, near)}, in {path.parent}"
            if near
            else f"there is no grid, recipe or claim file in {path.parent}; give another path",
        ) from None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        raise InputError(
            "the file can't be read",
            expected="a UTF-8 text file",
            found=getattr(error, "strerror", None) or str(error),
            where=str(path),
            fix="give the path of a YAML file",
        ) from None
    if text is None:
        raise InputError(
            "the file is too large",
            expected=f"a YAML file of at most {MOST_BYTES:,} bytes",
            found="more",
            where=str(path),
            fix="give the path of a grid, a recipe or a claim file, or split it into several",
        )
    document = _parsed(text, path)
    # A caller may change its document: `override` does.
    return Document(path, copy.deepcopy(document.values), dict(document.lines))


def _files_of_the_suite(folder: Path) -> list[str]:
    """The names of grids, recipes and claim files in a folder, by a key that each has. Other programs have YAML too."""
    found = []
    for path in sorted(folder.glob("[!.]*.yaml")):
        with suppress(OSError), opened(path) as file:
            if _KEYS.search(file.read(MOST_BYTES)):
                found.append(path.name)
    return found


@lru_cache(maxsize=256)
def _parsed(text: str, path: Path) -> Document:
    """The document of a file's text. Grids that are opened together share recipe files, and parsing is slow."""
    loaded = load_yaml(text, str(path))
    if not isinstance(loaded, CommentedMap):
        raise InputError(
            "the file doesn't hold what it should",
            expected="keys with values (a YAML mapping)",
            found="an empty file" if loaded is None else type(_plain(loaded)).__name__,
            where=str(path),
            fix=f"compare it with {shipped_folder() / 'quickstart.yaml'}",
        )
    document = Document(path, _plain(loaded))
    _note_lines(loaded, (), document.lines)
    return document


def check_inside(path: Path, folder: Path, where: str) -> None:
    """Check that a file named in a grid is below the grid's folder, or below `grids/` of the project or the suite.

    This is a security check. Error messages quote lines of files that can't be parsed, and a grid from an untrusted
    source must not make them quote arbitrary files.

    Args:
        path: the named file.
        folder: the folder of the file that names it.
        where: the file and line of the name, for the message.

    Raises:
        InputError: the file is elsewhere.
    """
    resolved = real_path(path) if "\0" not in str(path) else None  # no file has a null character
    roots = (folder, Path("grids"), shipped_folder())
    if resolved is None or not any(resolved.is_relative_to(real_path(root)) for root in roots):
        raise InputError(
            "a file outside the grid's folder",
            expected=f"a file in {folder}, or in {real_path(Path('grids'))}",
            found=repr(os.path.relpath(path, folder) if "\0" not in str(path) else str(path)),
            where=where,
            fix="copy the file into a folder beside the grid, and name it there",
        )


def more_problems(count: int) -> list[Problem]:
    """Return a closing entry for a list of problems that leaves out `count` more; nothing if `count` is 0."""
    return [Problem(f"and {count} more problems like these", fix="mend those above first")] if count > 0 else []


def _plain(value: Any) -> Any:
    """Convert the YAML loader's own number, string and container types to Python's."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for special, plain in ((ScalarFloat, float), (ScalarInt, int), (str, str)):
        if isinstance(value, special):
            return plain(value)
    return value


def _note_lines(value: Any, location: Location, lines: dict[Location, int]) -> None:
    if isinstance(value, CommentedMap):
        for key, item in value.items():
            lines[(*location, key)] = value.lc.key(key)[0] + 1
            _note_lines(item, (*location, key), lines)
    elif isinstance(value, CommentedSeq):
        for index, item in enumerate(value):
            lines[(*location, index)] = value.lc.item(index)[0] + 1
            _note_lines(item, (*location, index), lines)
