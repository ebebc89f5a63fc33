"""The machine's peak floating-point rate in practice, measured with one large matrix product."""

from __future__ import annotations

import time

import torch

SECONDS = 0.3  # total time of the repeated products


def matmul_rate(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """Return the floating-point operations per second of the fastest of several products of two square matrices.

    Args:
        device: where the product is computed.
        dtype: the type of the matrices' elements.
        threads: the number of CPU threads.
    """
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
