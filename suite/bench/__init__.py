"""Measured time and memory: a method beside its baseline, and training throughput beside timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.bench.speed import compare as compare
    from suite.bench.throughput.measure import measure as measure

__getattr__ = lazy(
    __name__,
    {
        "compare": "speed",
        "measure": "throughput.measure",
    },
)
