"""Peak memory is that of one trial, not of the process's life."""

from __future__ import annotations

import sys

import pytest
import torch

from suite.training.memory import PeakMemory, release

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux starts its high-water mark anew")
def test_a_peak_is_seen_and_forgotten() -> None:
    base = PeakMemory(CPU).megabytes()
    memory = PeakMemory(CPU)
    block = torch.ones(50_000_000, dtype=torch.float32)  # 200 MB
    assert memory.megabytes() - base > 150
    del block
    release(CPU)
    assert memory.megabytes() - base > 150
    assert PeakMemory(CPU).megabytes() - base < 100
