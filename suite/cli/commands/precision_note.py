"""A note before hours are spent: bfloat16 was asked for, and this CPU is slow with it."""

from __future__ import annotations

from collections.abc import Sequence

from suite.cli.extras import is_installed
from suite.grid.trial import Trial
from suite.text import note
from suite.train.machine import Machine


def note_slow_bf16(trials: Sequence[Trial], machine: Machine) -> None:
    """Measure if any of the trials will train in bfloat16 on this machine's CPU, and say so if that is slow.

    Without torch, which only training needs, nothing is measured.
    """
    if machine.device not in ("auto", "cpu") or not any(trial.recipe.precision == "bf16" for trial in trials):
        return
    if not is_installed("torch") or machine.torch_device().type != "cpu":
        return
    from suite.bench.half_precision import slow_bf16

    if told := slow_bf16(machine.threads):
        note(told)
