"""Errors for bad input: one message of five parts, no traceback, exit code 2."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

_LISTED = 60  # the most names that a message lists

_PART = re.compile(r" +(expected|found|where|what to do): *(.*)")  # a line of a message, see `Problem`

# What a stranger's code may raise and is caught: `sys.exit()` in it must not end the suite, as if all were well. Ctrl-C
# and SIGTERM, which is made to raise the same, aren't among it.
STRANGERS_ERRORS = (Exception, SystemExit)


@dataclass(frozen=True)
class Problem:
    """One fault of the input, in five parts: what is wrong, expected, found, where, and what to do."""

    what: str
    expected: str = ""
    found: str = ""
    where: str = ""
    fix: str = ""

    def __str__(self) -> str:
        parts = (
            ("expected", self.expected),
            ("found", self.found),
            ("where", self.where),
            ("what to do", self.fix),
        )
        return "\n".join([self.what, *(f"  {name + ':':<12}{text}" for name, text in parts if text)])


class InputError(Exception):
    """Bad input: a grid, a data set, a results folder or an argument that can't be used as it is.

    The command line prints it and exits with 2. Nothing that is already stored is touched.
    """

    def __init__(
        self,
        what: str = "",
        *,
        expected: str = "",
        found: str = "",
        where: str = "",
        fix: str = "",
        problems: Iterable[Problem] = (),
    ) -> None:
        self.problems = tuple(problems) or (Problem(what, expected, found, where, fix),)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[()], dict[str, object]]:
        return type(self), (), {"problems": self.problems, "args": self.args}

    def at(self, where: str) -> InputError:
        """A copy of this error that gives `where` as the place of each problem without one."""
        return InputError(problems=[p if p.where else replace(p, where=where) for p in self.problems])


def first_line(error: BaseException) -> str:
    """The first line of another library's error; for a pydantic error, its first problem with the field's name."""
    from pydantic import ValidationError  # here, since `lape --help` imports this file

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    return (str(error).splitlines() or [type(error).__name__])[0]


def reason_line(text: str) -> str:
    """Why a run failed, in one line, from the end of a traceback.

    Usually the traceback's last line. The message of an `InputError` has several lines: all parts but the expected one
    are joined.
    """
    lines = text.strip().splitlines() or ["?"]
    parts: dict[str, str] = {}
    while len(lines) > 1 and (part := _PART.fullmatch(lines[-1])):
        parts[part[1]] = part[2]
        lines.pop()
    if not parts:
        return lines[-1]
    said = lines[-1].removeprefix("suite.errors.").removeprefix("InputError: ")
    said += f": {parts['found']}" if "found" in parts else ""
    said += f" ({parts['where']})" if "where" in parts else ""
    return said + (f"; {parts['what to do']}" if "what to do" in parts else "")


def unknown(
    kind: str, name: object, known: Iterable[str], *, expected: str = "", where: str = "", fix: str = ""
) -> InputError:
    """The error for a name that isn't among the known ones.

    Args:
        kind: what the name should be one of, such as "architecture".
        name: what was given.
        known: the names to choose from; the message suggests the nearest.
        expected: which names are accepted, if more can be said than that they are known.
        where: the place of the name, such as an option, or a file and line.
        fix: what else can be done.
    """
    names = list(known)
    return InputError(
        f"unknown {kind} {name!r}",
        expected=expected or f"a known {kind}",
        found=repr(name),
        where=where,
        fix="; ".join(part for part in (nearest(str(name), names) if names else "", fix) if part),
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known name, and the list of them (shortened if it is long)."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    suggestion = f"did you mean {close[0]!r}? " if close else ""
    rest = ", …" if len(names) > _LISTED else ""
    return f"{suggestion}choose one of: {', '.join(names[:_LISTED])}{rest}"
