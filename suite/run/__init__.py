"""Run many trials: plan a grid, run its missing trials with Ray or serially, retry, and report progress.

Only `worker`, `serial`, `ray` and `timing.calibration` import torch or Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.run.driver import run_missing as run_missing
    from suite.run.plan import make_plan as make_plan
    from suite.run.status import Watcher as Watcher
    from suite.run.timing.estimate import estimate as estimate

__getattr__ = lazy(
    __name__,
    {
        "Watcher": "status",
        "estimate": "timing.estimate",
        "make_plan": "plan",
        "run_missing": "driver",
    },
)
