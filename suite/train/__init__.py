"""One trial: from a cell and a seed to the record of a training run.

`trials.py` is the entrance, `attempt.py` one attempt, `steps/` the training loop. The public names import torch.
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
