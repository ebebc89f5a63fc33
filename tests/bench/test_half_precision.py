"""Whether bfloat16 pays on a CPU."""

from __future__ import annotations

import pytest
import torch

from suite.bench import half_precision
from suite.bench.half_precision import bf16_speed, slow_bf16


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, float]:
    """Operations per second that the measurement gives, by type."""
    found = {torch.float32: 84e9, torch.bfloat16: 10e9}
    monkeypatch.setattr(half_precision, "matmul_rate", lambda device, dtype, threads: found[dtype])
    return found


def test_a_cpu_that_emulates_it_is_told_of(rates: dict[torch.dtype, float]) -> None:
    assert bf16_speed(torch.device("cpu"), 1) == (pytest.approx(10 / 84), 10e9)
    assert "8.4 times as long as in float32" in slow_bf16(1)
    rates[torch.bfloat16] = 170e9
    assert slow_bf16(1) == ""


def test_the_ratio_is_that_of_the_products() -> None:
    ratio, rate = bf16_speed(torch.device("cpu"), 1)
    assert 1e-3 < ratio < 1e3
    assert 1e7 < rate < 1e15
