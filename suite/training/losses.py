"""The levels of the `loss` axis. Facts only: nothing here needs torch."""

from __future__ import annotations

from suite.registry import Registry

LOSSES: Registry[str] = Registry("loss")

LOSSES.register("default", "cross entropy with the recipe's label smoothing")
