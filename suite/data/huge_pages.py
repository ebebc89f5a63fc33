"""Memory of large tensors in huge pages. The system clears them much faster than as many small pages."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

from torch import Tensor

_HUGE = 2**21  # bytes of a huge page
_OWN_MAPPING = 2**25  # glibc maps a tensor of more bytes by itself, so its pages are new each time it is allocated
_MADV_HUGEPAGE = 14  # from Linux's mman.h


def in_huge_pages(tensor: Tensor) -> Tensor:
    """Ask Linux for huge pages for a new tensor on a CPU, before it is written to. Returns the tensor.

    Small tensors and other systems are left alone. Values don't depend on it.
    """
    size = tensor.numel() * tensor.element_size()
    if size > _OWN_MAPPING and tensor.device.type == "cpu":
        first = -(-tensor.data_ptr() // _HUGE) * _HUGE
        length = (tensor.data_ptr() + size - first) // _HUGE * _HUGE
        advise = _madvise()
        if advise is not None:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(length), _MADV_HUGEPAGE)
    return tensor


@cache
def _madvise() -> Any:
    """The C library's function; None where there is none of this meaning."""
    return getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
