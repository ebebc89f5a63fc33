"""The rate that this machine reaches in what it is best at: one large matrix product."""

from __future__ import annotations

import time

import torch

SECONDS = 0.3  # of trying


def matmul_rate(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """Floating-point operations per second of the fastest of some products of square matrices."""
    size = 8192 if device.type == "cuda" else 1536
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = torch.randn(2, size, size, device=device, dtype=dtype)
        made = left @ right
        times: list[float] = []
        while sum(times) < SECONDS:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            began = time.perf_counter()
            torch.matmul(left, right, out=made)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / min(times)
