"""Run one trial: train a cell of the grid with one seed, and return the record of the training run.

`trials.py` is the entry point, `attempt.py` makes one attempt at a trial, and `steps/` holds the training loop.
Using one of the public names imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.train.machine import Machine as Machine
    from suite.train.trials import run_trial as run_trial
    from suite.train.trials import train_trials as train_trials

__getattr__ = lazy(
    __name__,
    {
        "Machine": "machine",
        "run_trial": "trials",
        "train_trials": "trials",
    },
)
