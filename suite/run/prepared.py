"""Check that a machine has the data that trials need, before any trial starts. Trials never download data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.data.cache import META, verify
from suite.data.corruptions.settings import Corruptions
from suite.data.datasets import Dataset
from suite.errors import InputError, Problem
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial


@dataclass(frozen=True)
class Prepared:
    """The data that trials need. It can be pickled, so that other machines can run the check.

    Args:
        root: The folder of the prepared data sets.
        datasets: The data sets.
        taught: Recipes with a teacher, each with its data set.
        grouped: A trial of each cell with a frozen backbone.
        continued: A trial of each cell that starts from weights of another run.
        corrupted: Data sets of whose test images corrupted copies are tested: which ones, and the recipe's
            test_crop_ratio.
    """

    root: Path
    datasets: tuple[Dataset, ...]
    taught: tuple[tuple[Recipe, Dataset], ...]
    corrupted: tuple[tuple[Dataset, Corruptions, float], ...] = ()
    grouped: tuple[Trial, ...] = ()
    continued: tuple[Trial, ...] = ()

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
        if self.taught:
            from suite.train.teachers import load_teacher  # imports torch and timm, so only if there is a teacher

            for recipe, dataset in self.taught:
                try:
                    load_teacher(recipe, dataset, self.root)
                except InputError as error:
                    problems += error.problems
        if self.grouped:
            from suite.train.backbones import load_backbone  # imports torch, so only if there is a backbone

            for trial in self.grouped:
                try:
                    load_backbone(trial, self.root)
                except InputError as error:
                    problems += error.problems
        if self.continued:
            from suite.train.pretrained import load_pretrained  # imports torch, so only if there are such weights

            for trial in self.continued:
                try:
                    load_pretrained(trial, self.root)
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
    taught = dict.fromkeys((trial.recipe, trial.dataset) for trial in trials if trial.recipe.teacher is not None)
    copied = dict.fromkeys(
        (trial.dataset, trial.recipe.corruptions, trial.recipe.test_crop_ratio)
        for trial in trials
        if trial.recipe.corruptions is not None
    )
    grouped = {trial.cell_id: trial for trial in trials if trial.recipe.backbone_sha256 is not None}
    continued = {trial.cell_id: trial for trial in trials if trial.recipe.pretrained is not None}
    of_cells = (tuple(by_cell.values()) for by_cell in (grouped, continued))
    return Prepared(root, tuple(datasets.values()), tuple(taught), tuple(copied), *of_cells)
