"""Peak memory is that of one trial, not of the process's life."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: what other tests leave behind is freed at any time, and moves the resident set.
SCRIPT = """
import torch
from suite.train.steps.memory import PeakMemory, release

device = torch.device("cpu")
torch.ones(10).sum()
release(device)
base = PeakMemory(device).megabytes()
memory = PeakMemory(device)
block = torch.ones(50_000_000, dtype=torch.float32)  # 200 MB
held = memory.megabytes() - base
del block
release(device)
print(held, memory.megabytes() - base, PeakMemory(device).megabytes() - base)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux starts its high-water mark anew")
def test_a_peak_is_seen_and_forgotten() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held, afterwards, anew = map(float, done.stdout.split())
    assert held == pytest.approx(200, abs=30)
    assert afterwards == pytest.approx(held, abs=1)  # the kernel counts pages a little late
    assert anew < 50
