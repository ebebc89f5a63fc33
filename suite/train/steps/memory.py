"""The peak memory of one trial, though many may run in one process after another."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

_ARENA_MAX, _TRIM_THRESHOLD, _MMAP_THRESHOLD = -8, -1, -3  # of glibc's malloc.h


class PeakMemory:
    """Measures from its making on: the GPU's allocations, or on a CPU the process's resident set."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        # Linux starts its high-water mark anew; elsewhere it covers the whole process, no underestimate at least.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def megabytes(self) -> float:
        """The peak so far, in units of 10^6 bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 1e6
        try:
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        except (OSError, IndexError):
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def share_arena() -> None:
    """Let all threads of this process allocate from one arena of glibc's: each one's own keeps what it has freed.

    It keeps what is freed until `release`: memory that goes back and comes again is cleared page by page, in
    every step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, 2**30)
        mallopt(_MMAP_THRESHOLD, 2**25)


def release(device: torch.device) -> None:
    """Give back what a trial held, so that a worker's thousandth trial starts as its first did.

    glibc keeps freed memory in its arenas, where tensors of other sizes don't fit: without this, a worker
    that trained a dozen CIFAR trials held 2.5 GB for models of 1.1 GB.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim()


def trim() -> None:
    """Give back what is free in glibc's arenas: what comes next needs other sizes, and would be held beside it."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other systems have none
    if give_back is not None:
        give_back(0)
