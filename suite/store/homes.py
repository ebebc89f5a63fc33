"""The user's home folder. A container that runs as any user id has none: no HOME, and no entry in /etc/passwd."""

from __future__ import annotations

from pathlib import Path

from suite.errors import InputError


def home_folder(fix: str) -> Path:
    """The user's home folder.

    Args:
        fix: What to do if there is none.

    Raises:
        InputError: The system tells none.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise InputError(
            "there is no home folder",
            expected="HOME, or an entry for this user in /etc/passwd",
            found="neither",
            where="the environment",
            fix=fix,
        ) from None


def expanded(path: Path) -> Path:
    """A path with `~` and `~user` replaced.

    Raises:
        InputError: There is no such home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise InputError(
            "a path below a home folder that isn't there",
            expected="a home folder of this user",
            found="none",
            where=str(path),
            fix="write the path without `~`, or set HOME",
        ) from None
