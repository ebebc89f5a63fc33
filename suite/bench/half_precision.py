"""Whether bfloat16 pays on a device. Some CPUs emulate it, and are several times slower with it than in float32."""

from __future__ import annotations

import torch

from suite.bench.throughput.matmul import matmul_rate


def bf16_speed(device: torch.device, threads: int) -> tuple[float, float]:
    """How many times as fast a large matrix product is in bfloat16 as in float32, and its rate in bfloat16.

    The rate is in floating-point operations per second. On a CPU this takes a second or two.

    Args:
        device: where the product is computed.
        threads: the number of CPU threads.
    """
    whole, half = (matmul_rate(device, dtype, threads) for dtype in (torch.float32, torch.bfloat16))
    return half / whole, half


def slow_bf16(threads: int) -> str:
    """What to say of training in bfloat16 on this machine's CPU: empty if it is as fast as in float32.

    threads: the number of CPU threads.
    """
    ratio, _ = bf16_speed(torch.device("cpu"), threads)
    if ratio >= 1:
        return ""
    return (
        f"bfloat16 is slow on this CPU: a matrix product takes {1 / ratio:.1f} times as long as in float32. "
        "--set recipe.precision=fp32 trains in float32, as trials of their own"
    )
