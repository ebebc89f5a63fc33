"""Methods from outside the package: Python files that a command names, and installed packages.

Nothing but `--methods FILE` and an installed package's entry point of the group `lape.methods` causes code to be
loaded. A results folder, a grid or a claim file never does. Needs no torch, unless a method file imports it.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from suite.errors import STRANGERS_ERRORS, InputError
from suite.grid.axes import AXES
from suite.grid.method_effects import contained
from suite.models.architectures import FAMILIES
from suite.registry import Registry, registering_from
from suite.store.files import opened

GROUP = "lape.methods"
LARGEST = 2**20  # bytes of a method file
OWN = "a method of your own needs --methods FILE"  # advice for an unknown level: no grid or results name the file

_PREFIX = "lape_methods_"


@dataclass(frozen=True)
class MethodFile:
    """A file that registers levels. Picklable: a worker on another machine loads the text, not the path.

    Args:
        path: Where it was read, for messages.
        text: Its source.
    """

    path: str
    text: str

    @classmethod
    def read(cls, path: Path) -> MethodFile:
        """Read a file; raises `InputError` if that can't be done."""
        try:
            with opened(path) as file:
                content = file.read(LARGEST + 1)
            text = content.decode("utf-8-sig") if len(content) <= LARGEST else None
            found = f"more than {LARGEST:,} bytes"
        except (OSError, ValueError) as error:
            text, found = None, getattr(error, "strerror", None) or str(error)
        if text is None:
            raise InputError(
                "a method file that can't be read",
                expected="a Python file in UTF-8",
                found=found,
                where=f"--methods {path}",
                fix="give the path of a file that registers levels; `lape new NAME` writes one",
            )
        return cls(str(path), text)

    @cached_property
    def hash(self) -> str:
        """16 hex digits of its content."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def module(self) -> str:
        """The name under which it is imported. Two files are two modules, whatever they are called."""
        return _PREFIX + self.hash


_LOADED: dict[str, MethodFile] = {}  # by module: what this process has loaded
_PACKAGES: dict[str, str] = {}  # module → name and version of the distribution


def load_methods(paths: Iterable[Path]) -> tuple[MethodFile, ...]:
    """Import method files, each once, after the installed packages that have methods.

    Raises:
        InputError: a file can't be read, raises an error, registers nothing, or a name that is taken; with its line.
            Then it has registered nothing.
    """
    load_packages()
    files = tuple(MethodFile.read(path) for path in paths)
    load_files(files)
    return files


def load_files(files: Iterable[MethodFile]) -> None:
    """Import method files by their content; raises `InputError` as `load_methods`."""
    for file in files:
        if file.module not in _LOADED:
            _load(file)


def load_packages() -> None:
    """Import what installed packages name as their methods; raises `InputError` if that fails."""
    for point in entry_points(group=GROUP):
        if point.module not in _PACKAGES:
            _PACKAGES[point.module] = f"{point.dist.name} {point.dist.version}" if point.dist else point.name
            _load_package(point)


class Carried:
    """The method files that are loaded here. Unpickling it loads them in the process that does so.

    It goes before what uses their levels, among the arguments of a process that is spawned.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (loaded_files(),)


def _arrive(files: tuple[MethodFile, ...]) -> Carried:
    load_packages()
    load_files(files)
    return Carried()


def loaded_files() -> tuple[MethodFile, ...]:
    """The method files that this process has loaded."""
    return tuple(_LOADED.values())


def unload(files: Iterable[MethodFile]) -> None:
    """Forget method files and what they have registered."""
    for file in files:
        _forget(file.module)
        _LOADED.pop(file.module, None)


def code_of(axis: str, level: str) -> str | None:
    """The "module:definition" of a level from outside the package; None for the package's own.

    The level of the axis `arch` is a family: a size has no code.
    """
    registry = FAMILIES if axis == "arch" else AXES[axis].levels
    return registry.outside.code(level) if isinstance(registry, Registry) else None


def origin(axis: str, level: str) -> str:
    """The file or the package that a level comes from; empty for the package's own."""
    outside = getattr(AXES[axis].levels, "outside", None)
    if axis == "arch" and level in FAMILIES:
        outside = FAMILIES.outside
    code = None if outside is None else outside.code(level)
    if code is None:
        return ""
    return holder(code)


def holder(code: str) -> str:
    """The file or the package that a definition is from. code: "module:definition"."""
    module = code.partition(":")[0]
    if module in _LOADED:
        return _LOADED[module].path
    return "the same file" if module.startswith(_PREFIX) else _PACKAGES.get(module, module)


def is_outside(module: str) -> bool:
    """Whether a module is a method file, or of an installed package of methods."""
    return module in _LOADED or module.split(".")[0] in {known.split(".")[0] for known in _PACKAGES}


def source_of(module: str) -> tuple[str, str]:
    """The source text of a module from outside, and the distribution that it is of, if it is an installed one."""
    if module in _LOADED:
        return _LOADED[module].text, ""
    found = sys.modules[module]
    text = Path(str(found.__file__)).read_text(encoding="utf-8")
    return text, next((name for known, name in _PACKAGES.items() if module.split(".")[0] == known.split(".")[0]), "")


def may_be_own(error: InputError) -> InputError:
    """The error of a level that isn't known, with the advice to name the method file that it may be from."""
    return InputError(problems=[replace(problem, fix=f"{problem.fix}; {OWN}") for problem in error.problems])


def _load(file: MethodFile) -> None:
    _import_own_levels()
    module = ModuleType(file.module)
    module.__file__ = file.path
    # A worker has no such file: this is where tracebacks find their lines.
    linecache.cache[file.path] = (len(file.text), None, file.text.splitlines(keepends=True), file.path)
    sys.modules[file.module] = module
    try:
        with contained(), registering_from(file.module):
            exec(compile(file.text, file.path, "exec", dont_inherit=True), vars(module))  # noqa: S102 (its purpose)
        _check_registered(file)
    except InputError as error:
        _forget(file.module)
        raise error.at(_where(file, error)) from None
    except KeyboardInterrupt:
        _forget(file.module)
        raise
    except BaseException as error:  # whatever a stranger's code raises is said with its place
        _forget(file.module)
        raise InputError(
            "a method file that can't be loaded",
            expected="a Python file that can be imported, with names that the package doesn't have",
            found=f"{type(error).__name__}: {getattr(error, 'msg', None) or error}",
            where=_where(file, error),
            fix="mend that line",
        ) from None
    _LOADED[file.module] = file


def _check_registered(file: MethodFile) -> None:
    if not any(registry.outside.names(file.module) for registry in _registries()):
        raise InputError(
            "a method file that registers nothing",
            expected="at least one level, such as a function below `@join()`",
            found="none",
            where=f"{file.path}:1",
            fix="see the module `suite.methods`, or let `lape new NAME` write an example",
        )


def _load_package(point: EntryPoint) -> None:
    _import_own_levels()
    try:
        with contained(), registering_from(point.module):
            point.load()
    except STRANGERS_ERRORS as error:  # whatever a stranger's code raises is said with its name
        _forget(point.module)
        del _PACKAGES[point.module]
        raise InputError(
            "an installed package whose methods can't be loaded",
            expected=f"a module that registers levels, as its entry point of the group {GROUP} says",
            found=f"{type(error).__name__}: {error}",
            where=f"{point.dist.name if point.dist else ''} ({point.name} = {point.value})",
            fix="mend the package, or uninstall it",
        ) from None


def _where(file: MethodFile, error: BaseException) -> str:
    """The line of the file that an error is from: the innermost one of its traceback."""
    if isinstance(error, SyntaxError) and error.filename == file.path:
        return f"{file.path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file.path]
    return f"{file.path}:{lines[-1] if lines else 1}"


def _import_own_levels() -> None:
    """The package registers its own levels when they are first asked for: within a stranger's file, say."""
    for _ in _registries():
        pass


def _registries() -> Iterator[Any]:
    yield from (axis.levels for axis in AXES.values())
    yield FAMILIES


def _forget(module: str) -> None:
    for registry in _registries():
        registry.forget(module)
    sys.modules.pop(module, None)


def option_texts(files: Sequence[MethodFile]) -> list[str]:
    """The options of a command that loads the same files."""
    return [part for file in files for part in ("--methods", file.path)]
