"""Memory that is used again, batch after batch. New memory is slow: the system must clear it page by page."""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


class Buffers:
    """Hands out tensors on the CPU whose memory was used before, by tensors that no longer exist."""

    _lock = threading.Lock()  # of all objects, so that each can be copied to another process

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[np.uint8]] = []

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Like `torch.empty`. The memory isn't handed out again while this tensor or a view of it exists."""
        with self._lock:  # else two threads could find the same memory unused
            return self._found(math.prod(shape) * dtype.itemsize).view(dtype).view(*shape)

    def _found(self, size: int) -> Tensor:
        """Memory that nobody uses, uint8 [size]."""
        for number in range(len(self._arrays)):
            # A tensor made from an array holds a reference to it, which its views share. The other two references are
            # the list's and the argument's.
            if self._arrays[number].nbytes == size and sys.getrefcount(self._arrays[number]) == 2:
                return torch.from_numpy(self._arrays[number])
        # Unused memory of another size is given up.
        kept = [number for number in range(len(self._arrays)) if sys.getrefcount(self._arrays[number]) > 2]
        self._arrays = [self._arrays[number] for number in kept]
        self._arrays.append(torch.empty(size, dtype=torch.uint8).numpy())  # aligned as torch's own
        return torch.from_numpy(self._arrays[-1])


def keep_freed_memory() -> None:
    """Make glibc keep the memory that is freed in this process, until `malloc_trim`, instead of returning it.

    If it went back to the system each time, the system would clear it again page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_TRIM_THRESHOLD, 2**30)
        mallopt(_MMAP_THRESHOLD, 2**25)
