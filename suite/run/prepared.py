"""Whether a machine has the data that a grid's trials need: asked before any of them starts, for none downloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.data.cache import META, verify
from suite.data.datasets import Dataset
from suite.errors import InputError, Problem
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial


@dataclass(frozen=True)
class Prepared:
    """Picklable, so that it can be asked on another machine. taught: recipes that have a teacher, with their data."""

    root: Path
    datasets: tuple[Dataset, ...]
    taught: tuple[tuple[Recipe, Dataset], ...]

    def seem_prepared(self) -> bool:
        """Whether each data set is in the cache, whole or not: a quick look."""
        return all((self.root / dataset.name / META).is_file() for dataset in self.datasets)

    def __call__(self) -> None:
        """Raise `InputError`, with all that is missing or damaged here."""
        problems: list[Problem] = []
        for dataset in self.datasets:
            try:
                verify(dataset, self.root)
            except InputError as error:
                problems += error.problems
        if self.taught:
            from suite.train.teachers import load_teacher  # torch and timm, only where there is a teacher

            for recipe, dataset in self.taught:
                try:
                    load_teacher(recipe, dataset, self.root)
                except InputError as error:
                    problems += error.problems
        if problems:
            raise InputError(problems=dict.fromkeys(problems))


def needed(trials: Sequence[Trial], root: Path) -> Prepared:
    """What these trials need. root: the folder of the prepared data sets."""
    datasets = {trial.dataset.name: trial.dataset for trial in trials}
    taught = dict.fromkeys((trial.recipe, trial.dataset) for trial in trials if trial.recipe.teacher is not None)
    return Prepared(root, tuple(datasets.values()), tuple(taught))
