"""The names that method files give their levels."""

from __future__ import annotations

import re
from typing import Any

from suite.errors import InputError
from suite.grid.methods import holder

_NAME = re.compile(r"[a-z0-9][a-z0-9_+.-]{0,99}")


def check_name(name: str) -> None:
    """Raise `InputError` if a level can't have the name."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} can't be the name of a level",
            expected="lower-case letters, digits, '_', '+', '.' and '-', at most 100",
            found=repr(name),
            fix="give another with name=",
        )


def check_free(kind: str, name: str, *registries: Any) -> None:
    """Raise `InputError` if a name is taken: two meanings of one name would mix their results."""
    for registry in registries:
        if name not in registry:
            continue
        code = registry.outside.code(name)
        raise InputError(
            f"{kind} {name!r} is registered already",
            expected="a name that neither the package nor another method file has",
            found="it is the package's own" if code is None else f"it is from {holder(code)}",
            fix="give the level another name",
        )
