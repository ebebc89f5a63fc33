"""A registry of named objects of one kind: joins, position embeddings, architectures, data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from suite.errors import unknown

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to objects, in order of registration. An unknown name raises `InputError`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._objects: dict[str, T] = {}

    def register(self, name: str, obj: T) -> T:
        """Add `obj` under `name`.

        Raises:
            ValueError: the name is taken; two meanings of one name would mix their results.
        """
        if name in self._objects:
            raise ValueError(f"{self.kind} {name!r} is registered already: {self._objects[name]!r}")
        self._objects[name] = obj
        return obj

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
