"""A registry of named objects of one kind: joins, position embeddings, architectures, data sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Generic, TypeVar

from suite.errors import unknown

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,99}")  # of what method files register

_REGISTERING: ContextVar[str] = ContextVar("registering", default="")


@contextmanager
def registering_from(module: str) -> Iterator[None]:
    """Within it, what is registered is from this module outside the package, whoever calls `register`."""
    token = _REGISTERING.set(module)
    try:
        yield
    finally:
        _REGISTERING.reset(token)


class Outside:
    """Which names of a registry come from outside the package, and from what code."""

    def __init__(self) -> None:
        self._code: dict[str, str] = {}

    def note(self, name: str, code: str = "") -> None:
        """Remember where a name comes from.

        Args:
            name: A name that is being registered.
            code: "module:definition". Without it, the module is that of `registering_from`; outside of such a block
                the name is the package's own.
        """
        if code or _REGISTERING.get():
            self._code[name] = code or f"{_REGISTERING.get()}:"

    def code(self, name: str) -> str | None:
        """Its "module:definition", with no definition if that isn't known; None for the package's own."""
        return self._code.get(name)

    def names(self, module: str) -> list[str]:
        """What a module has registered."""
        return [name for name, code in self._code.items() if code.partition(":")[0] == module]

    def forget(self, name: str) -> None:
        """Take a name for the package's own, or for none."""
        self._code.pop(name, None)


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to objects, in order of registration. An unknown name raises `InputError`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.outside = Outside()
        self._objects: dict[str, T] = {}

    def register(self, name: str, obj: T, code: str = "") -> T:
        """Add `obj` under `name`.

        Args:
            name: A new name.
            obj: What it names.
            code: Where it is defined if that is outside the package: "module:definition".

        Raises:
            ValueError: the name is taken (two meanings of one name would mix their results), or a method file gives a
                name that can't be stored in a record or printed.
        """
        if _REGISTERING.get() and not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ValueError(f"{name!a:.100} can't be the name of a {self.kind}: letters, digits and _+.- only")
        if name in self._objects:
            raise ValueError(f"{self.kind} {name!r} is registered already: {self._objects[name]!r}")
        self._objects[name] = obj
        self.outside.note(name, code)
        return obj

    def forget(self, module: str) -> None:
        """Remove what a module outside the package has registered."""
        for name in self.outside.names(module):
            del self._objects[name]
            self.outside.forget(name)

    def __getitem__(self, name: str) -> T:
        try:
            return self._objects[name]
        except KeyError:
            raise unknown(self.kind, name, self._objects) from None

    def __contains__(self, name: object) -> bool:
        return name in self._objects

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def resolve(builder: Any) -> Any:
    """What a "module:object" string names, imported now; anything else is returned as it is."""
    if not isinstance(builder, str):
        return builder
    module, _, name = builder.partition(":")
    return getattr(import_module(module), name)
