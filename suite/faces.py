"""Lazy imports of the public names of a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) that imports a module when one of its names is first asked for.

    So `import suite.train` loads no torch, and a module can be imported without its siblings.

    Args:
        package: the package's `__name__`.
        names: each public name, and the module below the package that defines it.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 (it becomes the package's own)
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{names[name]}"), name)

    return __getattr__
