"""From the CPU to a device, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device. A GPU gets it out of pinned memory, whenever it comes to it; a CPU the tensor itself.

    The host allocator keeps the pinned copy until the GPU has read it.
    """
    if tensor.device.type == "cpu" and device.type == "cuda":
        # Contiguous, since one number that is seen in many places can't be pinned.
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_bytes(values: Tensor) -> Tensor:
    """Floats to uint8, clamped, then truncated; the values are overwritten.

    By way of int16: from floats to uint8 torch has no vector instructions on a CPU, which takes five times as long.
    """
    return values.clamp_(0, 255).to(torch.int16).to(torch.uint8)
