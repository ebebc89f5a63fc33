"""Which measurements hold on this machine. Needs no torch."""

from __future__ import annotations

import sys
from pathlib import Path

from suite.run.timing.estimate import Where
from suite.store.environment import processor

_GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of NVIDIA's driver, of Windows below Linux, of AMD's driver


def here(device: str, threads: int) -> Where:
    """The devices that trials on this machine may use.

    Args:
        device: As `--device` has it; "auto" is a GPU where there is one.
        threads: CPU threads of each trial.
    """
    return Where(_gpu(device), threads, processor() or "cpu")


def anywhere(device: str, threads: int) -> Where:
    """The devices that trials on a cluster may use."""
    return Where(None if device == "auto" else device != "cpu", threads)


def _gpu(device: str) -> bool | None:
    if device != "auto":
        return device != "cpu"
    missing = sys.platform == "linux" and not any(Path(file).exists() for file in _GPU_FILES)
    return False if missing else None
