"""What the accuracy of runs is called: top-1, or what else the task of a grid has in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.data.tasks import TASKS, TaskName
from suite.verdict.runs import is_missing, unique_runs

if TYPE_CHECKING:
    from suite.verdict.runs import Frame, Run


def accuracy_name(frame: Frame) -> str:
    """What the field `top1` of these runs is; "Top-1" if they are of several tasks, or none is finished."""
    return accuracy_of({_task(run) for run in unique_runs(frame) if run["status"] == "done"})


def accuracy_of(tasks: set[TaskName]) -> str:
    """What the accuracy of runs of these tasks is called."""
    return TASKS[next(iter(tasks)) if len(tasks) == 1 else "classification"].accuracy


def _task(run: Run) -> TaskName:
    if not is_missing(run.get("miou")):
        return "segmentation"
    return "classification" if is_missing(run.get("covering")) else "grouping"
