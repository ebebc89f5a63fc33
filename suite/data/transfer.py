"""Copying tensors from the CPU to a device without blocking, and converting floats to uint8."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor to a device. To a GPU, it is copied asynchronously from pinned memory.

    torch's host allocator keeps the pinned copy until the GPU has read it.
    """
    if tensor.device.type == "cpu" and device.type == "cuda":
        # Contiguous, because an expanded tensor can't be pinned.
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_bytes(values: Tensor) -> Tensor:
    """Convert floats to uint8: clamp, then truncate. The input is overwritten.

    The conversion goes through int16. On a CPU, torch doesn't vectorise the direct one, which takes five times as long.
    """
    return values.clamp_(0, 255).to(torch.int16).to(torch.uint8)
