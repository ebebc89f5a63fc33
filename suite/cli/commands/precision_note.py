"""A note before hours are spent: bfloat16 was asked for, and this CPU is slow with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.cli.extras import is_installed
from suite.grid.trial import Trial
from suite.text import note
from suite.train.machine import Machine

if TYPE_CHECKING:
    import torch


def note_slow_bf16(trials: Sequence[Trial], machine: Machine) -> None:
    """Measure if any of the trials will train in bfloat16 on this machine's CPU, and say so if that is slow.

    Without torch, which only training needs, nothing is measured.
    """
    if machine.device not in ("auto", "cpu") or not any(trial.recipe.precision == "bf16" for trial in trials):
        return
    if not is_installed("torch"):
        return
    tell_slow_bf16("bf16", machine.torch_device(), machine.threads)


def tell_slow_bf16(precision: str, device: torch.device, threads: int) -> None:
    """Say so if this machine's CPU is to train in bfloat16, and is slow with it.

    Args:
        precision: the name of the precision that is used.
        device: where the training runs.
        threads: the number of CPU threads.
    """
    if precision != "bf16" or device.type != "cpu":
        return
    from suite.bench.half_precision import slow_bf16

    if told := slow_bf16(threads):
        note(told)
