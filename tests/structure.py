"""The shape of the code, read without running it: its wings, and which file imports which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

WINGS = ("store", "models", "data", "grid", "train", "bench", "run", "verdict", "report", "cli")


def imports(package: Path) -> dict[str, set[str]]:
    """For each module of a package: the modules of that package that it imports when it is itself imported.

    Imports within functions and those for type checkers alone don't count. Nor does it count that a module's import
    runs its parent packages first: only what a file names itself.
    """
    files = {_module(package, file): file for file in package.rglob("*.py")}
    return {
        module: {
            found for name in _names(ast.parse(file.read_text(encoding="utf-8"))) if (found := _known(name, files))
        }
        - {module}
        for module, file in files.items()
    }


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a cycle, the first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _module(package: Path, file: Path) -> str:
    parts = [package.name, *file.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _known(name: str, files: dict[str, Path]) -> str | None:
    """The module that an imported name is, or is defined in."""
    return next((known for known in (name, name.rpartition(".")[0]) if known in files), None)


def _names(node: ast.AST) -> Iterator[str]:
    """The dotted names that are imported outside functions."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.Import):
            yield from (alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            assert not part.level, "a relative import"
            yield from (f"{part.module}.{alias.name}" for alias in part.names)
        elif isinstance(part, ast.If) and "TYPE_CHECKING" in ast.unparse(part.test):
            for other in part.orelse:
                yield from _names(ast.Module([other], []))
        elif not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _names(part)
