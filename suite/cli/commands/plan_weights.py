"""Whether the weights of other models that trials need are there: of teachers, backbones and where training starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.data.cache import open_root
from suite.errors import InputError, Problem
from suite.grid.trial import Trial
from suite.run.prepared import Prepared, needed


def weights_problems(trials: Sequence[Trial], data: Path | None = None) -> list[Problem] | None:
    """What is wrong with the files of weights that trials need: each is read, verified and compared with the model.

    Args:
        trials: those that are to do.
        data: the folder of the prepared data sets; None for the usual one.

    Returns:
        The problems; None if no trial needs weights of another model.
    """
    others = needed(trials, Path()).others
    if not others:
        return None
    try:
        Prepared(open_root(data), (), others)()
    except InputError as error:  # a plan is no place to stop for it: the run does, with the whole message
        return list(error.problems)
    return []


def weights_lines(problems: Sequence[Problem] | None) -> list[str]:
    """A line for each problem, or one that there is none. Nothing if no trial needs weights of another model."""
    if problems is None:
        return []
    return list(map(weights_line, problems)) or ["of other models: all there, and verified"]


def weights_line(problem: Problem) -> str:
    """A problem with weights in one line."""
    return f"{problem.what}: expected {problem.expected}, found {problem.found}, in {problem.where}; {problem.fix}"
