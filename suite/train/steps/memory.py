"""Measure the peak memory of one trial, and release memory between trials that run in one process."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

from suite.data.buffers import keep_freed_memory

_ARENA_MAX = -8  # from glibc's malloc.h


class PeakMemory:
    """Measures peak memory from its creation on: allocations on a GPU, or the process's resident set on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        # This resets the peak on Linux. Elsewhere the peak covers the whole process, which is never an underestimate.
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
    """Make all threads of this process allocate from one glibc arena. Separate arenas can't reuse each other's memory.

    The arena also keeps freed memory until `release`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_ARENA_MAX, 1)
    keep_freed_memory()


def release(device: torch.device) -> None:
    """Release the memory of a trial, so that a worker's memory doesn't grow from trial to trial.

    glibc keeps freed memory in its arenas, where tensors of other sizes don't fit. Without this, a worker that trained
    a dozen CIFAR trials held 2.5 GB for models of 1.1 GB.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim()


def trim() -> None:
    """Return free memory in glibc's arenas to the system. The next phase allocates other sizes, which don't fit."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other systems have none
    if give_back is not None:
        give_back(0)
