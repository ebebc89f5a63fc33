"""The software and hardware that a run was made with, for its record."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import subprocess
from functools import lru_cache
from pathlib import Path

import suite
from suite import __version__
from suite.store.record import Environment

_ADDRESS = re.compile(r"\d{1,3}([.-]\d{1,3}){3}|:")  # 10.0.0.1, ip-10-0-0-1, or one of IPv6


def describe(
    torch_version: str,
    device: str,
    precision: str,
    threads: int,
    *,
    compiled: bool = False,
    stacked: int = 1,
    micro_batch: int | None = None,
    processes: int = 1,
    timm: str | None = None,
) -> Environment:
    """The environment of a run on this machine."""
    return Environment(
        torch=torch_version,
        device=device,
        precision=precision,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=processor(),
        threads=threads,
        suite=__version__,
        commit=_commit(),
        compiled=compiled,
        stacked=stacked,
        micro_batch=micro_batch,
        processes=processes,
        timm=timm,
    )


@lru_cache
def node_name() -> str:
    """The name of this machine without its domain. A name that tells an address is hidden: records are public."""
    return public_name(socket.gethostname())


def public_name(hostname: str) -> str:
    """A host's name in the form that records have: without its domain, and hidden if it tells an address."""
    if _ADDRESS.search(hostname):
        return f"node-{hashlib.sha256(hostname.encode()).hexdigest()[:8]}"
    return hostname.split(".")[0] or "unnamed"


@lru_cache
def processor() -> str:
    """The name of this machine's processor; empty if the system doesn't tell it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@lru_cache
def _commit() -> str | None:
    """The commit of the code, with '+dirty' if the code isn't that of the commit; None outside of a git checkout.

    The code is everything in the package: changed, removed and new files, also new Python files that git is told to
    ignore. Grids and recipes don't count, since what they say is in the record's config.
    """
    package = Path(suite.__file__).resolve().parent
    # A hook or a script may have set these for another repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=variables)
        return ended.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != package.parent:
            return None  # installed inside somebody else's repository
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=all", "--", ".")
        ignored = git("ls-files", "--others", "--", "*.py")
        states = git("ls-files", "-v", "--", ".").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    unseen = [line for line in states if line[0].islower() or line[0] == "S"]  # files that git is told not to look at
    return f"{commit}+dirty" if changed or ignored or unseen else commit
