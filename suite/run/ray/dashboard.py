"""Ray's own dashboard: off by default, reachable only from this machine, and protected by a token.

Anyone who can use the dashboard can submit jobs, and so run any code. It listens only on 127.0.0.1. Other users of this
machine can reach that address too. So Ray requires a token with every request, in a file that only its owner can read.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import stat
from pathlib import Path

from suite.errors import InputError
from suite.store.homes import home_folder
from suite.text import note

HOST = "127.0.0.1"
_TOKEN_ADVICE = "name another file by RAY_AUTH_TOKEN_PATH, or set HOME to a folder that you can write"  # noqa: S105
_NEEDS = ("aiohttp", "aiohttp_cors", "grpc", "opencensus", "prometheus_client")  # from Ray's extra `default`


def check_dashboard() -> None:
    """Raise `InputError` if Ray's dashboard is not installed, or if it would not require a token."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "Ray's dashboard is not installed",
            expected="what Ray's extra `default` brings",
            found=f"no {', '.join(missing)}",
            where="--dashboard",
            fix="install the suite with its extra `ray`: `uv sync --extra train --extra ray`; or leave --dashboard out",
        )
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode is not None and mode.lower() != "token":
        raise InputError(
            "a dashboard without a token: anybody on this machine could run code as you",
            expected="RAY_AUTH_MODE unset, or token",
            found=f"RAY_AUTH_MODE={mode}",
            where="the environment, with --dashboard",
            fix="unset it, or leave --dashboard out; `lape status --watch` needs neither",
        )


def secure_token(kept: bool = True) -> None:
    """Create the token of a cluster on this machine, if there is none yet, in a file that only its owner can read.

    Ray would create the file itself, but readable for everyone.

    Args:
        kept: Whether others than this process and its children need the token. If not, and the file can't be written
            (there may be no home folder), the token is kept in the environment instead.

    Raises:
        InputError: The file can't be written.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    try:
        _write_token(_token_path())
    except InputError:
        if kept or os.environ.get("RAY_AUTH_TOKEN_PATH"):
            raise
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _write_token(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)
            return
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    except OSError as error:
        raise InputError(
            "the token of Ray's cluster can't be kept",
            expected="a file that only you can read",
            found=error.strerror or str(error),
            where=str(path),
            fix=_TOKEN_ADVICE,
        ) from None


def tell_dashboard(url: str | None) -> None:
    """Print the dashboard's address and where its token is. The token itself is never printed, since logs keep it."""
    if not url:
        note("Ray has started no dashboard; its own logs may tell why")
        return
    held = "in RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else f"in {_token_path()}"
    note(f"Ray's dashboard: http://{url}; it asks for the token, which is {held}")


def _token_path() -> Path:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else home_folder(_TOKEN_ADVICE) / ".ray" / "auth_token"
