"""The tasks that a grid can name: what their data sets have, and what their runs are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TaskName = Literal["classification", "segmentation", "grouping"]


@dataclass(frozen=True)
class NamedTask:
    """A task as a grid names it; `suite.train.tasks` has what it means for training and testing.

    Args:
        data: what each image of its data sets has.
        metric: the metric of its own table, by its name in `suite.verdict.metrics`. That says unit and direction.
        accuracy: what the field `top1` of its records is.
        evidence: what a record keeps of each test item. Bootstrap intervals and paired tests use it.
    """

    data: str
    metric: str
    accuracy: str
    evidence: str


TASKS: Mapping[TaskName, NamedTask] = {
    "classification": NamedTask("a class", "top1", "Top-1", "a bit: whether the answer is correct"),
    "segmentation": NamedTask(
        "a mask of classes", "miou", "Pixel accuracy", "pixel counts of each class: correct, labelled, predicted"
    ),
    "grouping": NamedTask(
        "regions that people drew",
        "covering",
        "Covering",
        "covering, Rand index, variation of information and number of regions",
    ),
}
