"""Filters for the measurements that are valid on this machine or on a cluster. Does not import torch."""

from __future__ import annotations

import sys
from pathlib import Path

from suite.run.timing.estimate import Where
from suite.store.environment import processor

_GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # from NVIDIA's driver, WSL and AMD's driver


def here(device: str, threads: int) -> Where:
    """A filter for the devices that trials on this machine may use.

    Args:
        device: The value of `--device`; "auto" means a GPU if there is one.
        threads: CPU threads per trial.
    """
    return Where(_gpu(device), threads, processor() or "cpu")


def anywhere(device: str, threads: int) -> Where:
    """A filter for the devices that trials on a cluster may use. The arguments are those of `here`."""
    return Where(None if device == "auto" else device != "cpu", threads)


def _gpu(device: str) -> bool | None:
    if device != "auto":
        return device != "cpu"
    missing = sys.platform == "linux" and not any(Path(file).exists() for file in _GPU_FILES)
    return False if missing else None
