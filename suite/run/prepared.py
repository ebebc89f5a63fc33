"""Check that a machine has the data that trials need, before any trial starts. Trials never download data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.data.cache import META, verify
from suite.data.corruptions.settings import Corruptions
from suite.data.datasets import Dataset
from suite.errors import InputError, Problem
from suite.grid.trial import Trial


@dataclass(frozen=True)
class Prepared:
    """The data that trials need. It can be pickled, so that other machines can run the check.

    Args:
        root: The folder of the prepared data sets.
        datasets: The data sets.
        others: A trial of each cell that needs weights of other models; of a teacher, one for all of its cells.
        corrupted: Data sets of whose test images corrupted copies are tested: which ones, and the recipe's
            test_crop_ratio.
    """

    root: Path
    datasets: tuple[Dataset, ...]
    others: tuple[Trial, ...] = ()
    corrupted: tuple[tuple[Dataset, Corruptions, float], ...] = ()

    def seem_prepared(self) -> bool:
        """Whether each data set is in the cache. This is quick: it doesn't check that they are complete."""
        return all((self.root / dataset.name / META).is_file() for dataset in self.datasets)

    def __call__(self) -> None:
        """Check the data on this machine, and make the corrupted copies of test images that are missing.

        Raises:
            InputError: Data are missing or damaged. The error lists all problems.
        """
        problems: list[Problem] = []
        for dataset in self.datasets:
            try:
                verify(dataset, self.root)
            except InputError as error:
                problems += error.problems
        if self.others:
            from suite.train.other_models import load_other_models  # imports torch, so only if there are any

            for trial in self.others:
                try:
                    load_other_models(trial, self.root)
                except InputError as error:
                    problems += error.problems
        if self.corrupted and not problems:
            from suite.data.corruptions.images import load_corrupted  # imports torch, so only if there are any

            for dataset, corruptions, crop_ratio in self.corrupted:
                try:
                    load_corrupted(dataset, corruptions, crop_ratio, self.root)
                except InputError as error:
                    problems += error.problems
        if problems:
            raise InputError(problems=dict.fromkeys(problems))


def needed(trials: Sequence[Trial], root: Path) -> Prepared:
    """The data that these trials need, in the folder `root` of prepared data sets."""
    datasets = {trial.dataset.name: trial.dataset for trial in trials}
    copied = dict.fromkeys(
        (trial.dataset, trial.recipe.corruptions, trial.recipe.test_crop_ratio)
        for trial in trials
        if trial.recipe.corruptions is not None
    )
    others = {_of_others(trial): trial for trial in trials if any(_of_others(trial))}
    return Prepared(root, tuple(datasets.values()), tuple(others.values()), tuple(copied))


def _of_others(trial: Trial) -> tuple[object, ...]:
    """Equal for trials that need the same files of other models; its parts are empty if a trial needs none."""
    recipe = trial.recipe
    of_cell = recipe.backbone_sha256 is not None or recipe.pretrained is not None
    taught = recipe.teacher is not None
    return trial.cell_id if of_cell else "", (recipe, trial.dataset.name) if taught else ""
