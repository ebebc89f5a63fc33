"""A fingerprint of what code means: comments, docstrings and formatting don't change it.

The fingerprint of a definition covers the definition itself and every definition that it uses, directly or through
others: in its own module, and in other modules of this package. Libraries are not covered; a record names their
versions. Source files are parsed and never imported, so that reading results needs no torch.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import suite
from suite.grid.earlier_text import text_before

DIGITS = 16  # of a SHA-256 in hexadecimal, as many as a trial id has

_PACKAGE = "suite"
_UNSAID = {"type_comment", "kind", "ctx", "type_params"}  # without meaning, or in newer Pythons only


def code_fingerprint(code: str) -> str:
    """The fingerprint of a definition in this package.

    Args:
        code: "module:name", for instance "suite.models.joins:lape".

    Raises:
        LookupError: there is no such module, or no such definition in it.
    """
    module, _, name = code.partition(":")
    return _fingerprint(_module(module), name)


def text_fingerprint(text: str, name: str = "") -> str:
    """The fingerprint of a definition in a module outside the package, with what it uses in that module.

    What it uses of the package doesn't count, nor do decorators of `suite.methods` on the definition: a trial's id
    depends on `CODE_EPOCH`, and on what the decorators say of the level.

    Args:
        text: The module's source.
        name: The definition; empty for the whole module.

    Raises:
        LookupError: the module has no such definition.
        SyntaxError: the text is not Python.
    """
    tree = ast.parse(text)
    if not name:
        return _digest({"": "".join(_meaning(tree))})
    source = Source("", tree)
    for statement in source.definitions.get(name, ()):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            statement.decorator_list = [one for one in statement.decorator_list if not _registers(one, source)]
    return _fingerprint(source, name, package=False)


def _registers(decorator: ast.expr, source: Source) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    used = ast.unparse(called).partition(".")[0]
    return source.imports.get(used, ("",))[0] == f"{_PACKAGE}.methods" or source.imports.get(used) == (
        _PACKAGE,
        "methods",
    )


@dataclass(frozen=True)
class Source:
    """A parsed module. name: its dotted name; empty for a file outside the package."""

    name: str
    tree: ast.Module = field(repr=False)

    @classmethod
    def read(cls, path: Path, name: str) -> Source:
        """Parse a file of this package, as it counts: see `suite.grid.earlier_text`."""
        return cls(name, ast.parse(text_before(name, path.read_text(encoding="utf-8")), str(path)))

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """The statements at the top level that bind or fill each name, in their order."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in _top_level(self.tree.body):
            for name in _bound(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """The names that come from this package: (module, name), with "" for a module as a whole."""
        found: dict[str, tuple[str, str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and _is_ours(module := self._absolute(node)):
                for alias in node.names:
                    found[alias.asname or alias.name] = (module, alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname and _is_ours(alias.name):
                        found[alias.asname] = (alias.name, "")
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        base = self.name.split(".")[: -node.level]
        return ".".join([*base, *([node.module] if node.module else [])])


@lru_cache
def _module(name: str) -> Source:
    # By its path: `importlib` would import the packages around it.
    path = Path(suite.__file__).parent.joinpath(*name.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if _is_ours(name) and candidate.is_file():
            return Source.read(candidate, name)
    raise LookupError(f"there is no module {name}")


def _fingerprint(source: Source, name: str, *, package: bool = True) -> str:
    if name not in source.definitions:
        raise LookupError(f"{source.name or 'the file'} defines no {name!r}")
    return _digest(dict(_closure(source, name, package)))


def _digest(texts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(texts):
        digest.update(f"{key}\n{texts[key]}\n".encode())
    return digest.hexdigest()[:DIGITS]


def _closure(source: Source, name: str, package: bool) -> Iterator[tuple[str, str]]:
    """Each definition that is used: its place, and its meaning as text. package: follow imports from the package."""
    waiting, seen = [(source, name)], {(source.name, name)}
    while waiting:
        where, what = waiting.pop()
        if what not in where.definitions:
            continue
        statements = where.definitions[what]
        yield f"{where.name}:{what}", "\n".join("".join(_meaning(statement)) for statement in statements)
        for used in {name for statement in statements for name in _used(statement)}:
            for found in _resolve(where, used):
                if not package and found[0] is not where:
                    continue
                if (found[0].name, found[1]) not in seen:
                    seen.add((found[0].name, found[1]))
                    waiting.append(found)


def _resolve(where: Source, used: str) -> Iterator[tuple[Source, str]]:
    """Where a used name, such as `Terms` or `stats.gain`, is defined in this package."""
    first, _, rest = used.partition(".")
    if first in where.definitions:
        yield where, first
    if first not in where.imports:
        return
    module, name = where.imports[first]
    attribute = rest.partition(".")[0]
    for candidate, wanted in ((module, name), (f"{module}.{name}".rstrip("."), attribute)):
        try:
            found = _module(candidate)
        except LookupError:
            continue
        if wanted in found.definitions:
            yield found, wanted


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _top_level([*statement.body, *statement.orelse])
        else:
            yield statement


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top level defines."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    yield node.id


def _used(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def _meaning(node: ast.AST) -> Iterator[str]:
    """A text of the syntax tree that is the same for every version of Python."""
    yield f"{type(node).__name__}("
    for name, value in ast.iter_fields(node):
        if name in _UNSAID or value is None or value == []:
            continue
        if name == "body" and isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            value = _without_docstring(value)
        yield f"{name}="
        if isinstance(value, list):
            for item in value:
                yield from _meaning(item) if isinstance(item, ast.AST) else (f"{item!r};",)
        elif isinstance(value, ast.AST):
            yield from _meaning(value)
        else:
            yield f"{value!r};"
    yield ")"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def _is_ours(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
