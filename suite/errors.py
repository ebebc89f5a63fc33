"""What the suite says when its input is at fault: one message, no traceback, exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace

_LISTED = 60  # names in an advice


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input, in the five parts a user needs to mend it."""

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
        """The same error, with the place filled in wherever it was unknown."""
        return InputError(problems=[p if p.where else replace(p, where=where) for p in self.problems])


def first_line(error: Exception) -> str:
    """What another library's error says, in a line; of a pydantic error, its first problem with the field's name."""
    from pydantic import ValidationError  # here, since `lape --help` imports this file

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    return (str(error).splitlines() or [type(error).__name__])[0]


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known one, and the list to choose from (its beginning, if it is long)."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    suggestion = f"did you mean {close[0]!r}? " if close else ""
    rest = ", …" if len(names) > _LISTED else ""
    return f"{suggestion}choose one of: {', '.join(names[:_LISTED])}{rest}"
