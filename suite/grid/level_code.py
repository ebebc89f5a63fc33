"""The fingerprints of levels: what their code means, and what is said of them when they are registered.

A trial's id depends on those of levels from outside the package. A record keeps those of all its levels. Needs no
torch: code is parsed and not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any

from suite.grid.axes import AXES
from suite.grid.code_fingerprint import code_fingerprint, text_fingerprint
from suite.grid.methods import code_of, is_outside, source_of
from suite.models.architectures import FAMILIES, Architecture
from suite.models.backbone_size import body_of
from suite.store.canonical import fingerprint

ABSENT = "lape_methods_absent"  # the module of levels whose code isn't at hand; what follows is their fingerprint
_FOR_PEOPLE = {"name", "summary", "source", "equation", "prefix_tokens"}
_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
BACKBONE = "backbone"  # the part of an architecture with a semantic head that is a family of its own
_WITHOUT_CODE = ("dataset",)  # a trial's id has its checksum


def method_fingerprints(arch: Architecture, levels: Mapping[str, str]) -> dict[str, str]:
    """By axis, the fingerprints of the levels that come from outside the package. Part of a trial's id.

    levels: the levels of the other axes, by axis.
    """
    return {part: _of(axis, level, code) for part, axis, level, code in _outside(arch, levels)}


def outside_code(arch: Architecture, levels: Mapping[str, str]) -> dict[str, str]:
    """By axis, the "module:definition" of the levels that come from outside the package."""
    return {part: code for part, _, _, code in _outside(arch, levels)}


def level_fingerprints(arch: Architecture, levels: Mapping[str, str]) -> dict[str, str]:
    """By axis, the fingerprints of all levels that have code."""
    parts = _parts(arch, levels)
    return {part: _of(axis, name, code_of(axis, name)) for part, axis, name in parts if axis not in _WITHOUT_CODE}


def _outside(arch: Architecture, levels: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for part, axis, name in _parts(arch, levels):
        if (code := code_of(axis, name)) is not None:
            yield part, axis, name, code


def _parts(arch: Architecture, levels: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What the code of a cell consists of: each part's name, which is usually the axis, the axis, and the level."""
    body = body_of(arch)
    backbone = [] if body is arch else [(BACKBONE, "arch", body.family.name)]
    return [("arch", "arch", arch.family.name), *backbone, *((axis, axis, name) for axis, name in levels.items())]


@lru_cache
def _of(axis: str, name: str, code: str | None) -> str:
    """code: of the level if it is from outside. It tells two versions of a level apart that one process has loaded."""
    if code is not None and code.startswith(f"{ABSENT}:"):
        return code.partition(":")[2]
    level = FAMILIES[name] if axis == "arch" else AXES[axis].levels[name]
    return fingerprint(_facts(level))


def _facts(value: Any) -> Any:
    """What fixes the meaning of a value, as JSON: code by its fingerprint; of a dataclass what differs from its usual.

    So a new field of a level, whose default means what was done before, changes no fingerprint.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _facts(found)
            for field in fields(value)
            if field.name not in _FOR_PEOPLE and not _is_usual(field, found := getattr(value, field.name))
        }
    if isinstance(value, (list, tuple)):
        return [_facts(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _facts(item) for key, item in value.items()}
    if isinstance(value, str) and _CODE.fullmatch(value):
        return _code(*value.split(":"))
    if callable(value):
        return _code(value.__module__, value.__qualname__)
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _is_usual(field: Any, value: Any) -> bool:
    if field.default is not MISSING:
        return bool(value == field.default)
    return field.default_factory is not MISSING and bool(value == field.default_factory())


def _code(module: str, name: str) -> str:
    """The fingerprint of a definition; of a library's, its name."""
    if is_outside(module):
        text, distribution = source_of(module)
        try:
            found = text_fingerprint(text, name)
        except LookupError:  # a lambda, or what another module defines: the whole file counts
            found = text_fingerprint(text)
        return f"{distribution} {found}".strip()
    try:
        return code_fingerprint(f"{module}:{name}")
    except LookupError:
        return f"{module}:{name}"
