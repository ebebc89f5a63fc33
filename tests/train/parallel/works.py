"""What the processes of a test do. A process that begins imports this module, and so it imports little."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from suite.train.parallel.processes import Found
from suite.train.parallel.team import Team


def fail(team: Team) -> Found:
    """The second one fails, the first waits for it."""
    if team.rank == 1:
        return False, b"why"
    team.add([torch.ones(1)])
    return True, b""


def die(team: Team) -> Found:
    if team.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    team.add([torch.ones(1)])
    return True, b""


def hang(team: Team) -> Found:
    if team.rank == 1:
        time.sleep(600)
    team.add([torch.ones(1)])
    return True, b""


def wait(team: Team, folder: str) -> Found:
    Path(folder, str(team.rank)).write_text(str(os.getpid()))
    time.sleep(600)
    return True, b""
