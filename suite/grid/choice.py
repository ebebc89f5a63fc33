"""`choose:` in a grid: the level of a search axis that is best on the validation images, for each side on its own.

A side is a cell of the grid without the search axis. It is trained at every level with the search seeds. The level that
is best on the validation images is then trained with the grid's own seeds, and only those runs are judged. Nothing of
this is stored: the choice is computed anew from the records of the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

from suite.errors import InputError, nearest
from suite.grid.axes import AXES, is_usual
from suite.grid.documents import Document
from suite.grid.recipe import Recipe
from suite.grid.schema import Block, Choose
from suite.grid.settings import SETTINGS
from suite.grid.trial import Trial
from suite.store.canonical import fingerprint
from suite.store.record import RunRecord

Epoch = Literal["last", "best"]
_NOT_SEARCHED = ("recipe.validation", "recipe.validation_by_seed", "recipe.test_every")


@dataclass(frozen=True)
class Search:
    """What a grid with `choose` searches.

    Args:
        axis: the setting that is searched.
        seeds: the search seeds.
        epoch: whose validation accuracy counts.
        sides: for each side a trial of each level, in the order of the levels. Their seed doesn't matter.
    """

    axis: str
    seeds: tuple[int, ...]
    epoch: Epoch
    sides: tuple[tuple[Trial, ...], ...]

    @property
    def trials(self) -> list[Trial]:
        """The training runs of the search, by seed."""
        return [trial.with_seed(seed) for seed in self.seeds for side in self.sides for trial in side]

    def choices(self, records: Mapping[str, RunRecord]) -> tuple[Choice, ...]:
        """What the records say about each side. records: by trial id."""
        return tuple(Choice(self, side, tuple(self._score(trial, records) for trial in side)) for side in self.sides)

    def _score(self, trial: Trial, records: Mapping[str, RunRecord]) -> Score:
        found = [records.get(trial.with_seed(seed).id) for seed in self.seeds]
        done = [record for record in found if record is not None and record.status == "done"]
        values = [
            record.validation_top1 if self.epoch == "last" else record.validation_top1_best_epoch for record in done
        ]
        return Score(
            trial.varied[self.axis],
            tuple(value for value in values if value is not None),
            missing=found.count(None),
            failed=len(found) - found.count(None) - len(done),
        )


@dataclass(frozen=True)
class Score:
    """One level of one side.

    Args:
        level: the level, as text.
        values: the validation accuracy of each search run that is done, in percent.
        missing: how many search runs have no record.
        failed: how many have failed.
    """

    level: str
    values: tuple[float, ...]
    missing: int
    failed: int

    @property
    def mean(self) -> float:
        """The mean validation accuracy; NaN without any."""
        return fmean(self.values) if self.values else math.nan


@dataclass(frozen=True)
class Choice:
    """One side of a search, and the level that is chosen for it.

    Args:
        search: the search.
        candidates: a trial of each level.
        scores: in the same order.
    """

    search: Search
    candidates: tuple[Trial, ...]
    scores: tuple[Score, ...]

    @cached_property
    def place(self) -> int | None:
        """Which candidate is chosen; None while search runs are missing, or if each level has failed runs.

        The best mean counts, and of equal ones the first. A level at which a run fails isn't chosen.
        """
        if any(score.missing for score in self.scores):
            return None
        whole = [place for place, score in enumerate(self.scores) if not score.failed and score.values]
        return max(whole, key=lambda place: self.scores[place].mean) if whole else None

    @property
    def chosen(self) -> Trial | None:
        """The chosen candidate."""
        return None if self.place is None else self.candidates[self.place]

    @property
    def level(self) -> str | None:
        """The chosen level."""
        return None if self.place is None else self.scores[self.place].level

    @property
    def side(self) -> str:
        """The side in words: its levels but that of the search axis."""
        trial = self.candidates[0]
        others = {name: text for name, text in trial.varied.items() if name != self.search.axis}
        levels = [level for name, level in trial.declared_levels.items() if name in AXES and not is_usual(name, level)]
        return " ".join([*levels, *(f"{SETTINGS[name].key}={text}" for name, text in others.items())])

    @property
    def text(self) -> str:
        """The state of the choice in words."""
        if self.level is not None:
            return f"{self.search.axis} {self.level}"
        missing = sum(score.missing for score in self.scores)
        return f"not chosen yet, {missing} search runs are missing" if missing else "none: each level has failed runs"


def find_sides(axis: str, trials: Iterable[Trial]) -> tuple[tuple[Trial, ...], ...]:
    """The trials, grouped by all that fixes them but the search axis."""
    sides: dict[str, list[Trial]] = {}
    for trial in trials:
        recipe, arch = (dict(part) for part in trial.settings)
        (recipe if SETTINGS[axis].of_recipe else arch).pop(SETTINGS[axis].key, None)
        config = trial.config
        key = fingerprint([{**config["axes"], "arch": arch}, {**config, "axes": None, "recipe": recipe}])
        sides.setdefault(key, []).append(trial)
    return tuple(map(tuple, sides.values()))


def final_trials(
    choices: Sequence[Choice], seeds: Iterable[int], stand_in: Callable[[Choice], Trial] | None = None
) -> list[Trial]:
    """The training runs at the chosen levels, by seed.

    Args:
        choices: the choices.
        seeds: the grid's seeds.
        stand_in: which candidate to take for a side that isn't decided; None: leave that side out.
    """
    found = [
        trial
        for choice in choices
        if (trial := choice.chosen or (None if stand_in is None else stand_in(choice))) is not None
    ]
    return [trial.with_seed(seed) for seed in seeds for trial in found]


def check_search(choose: Choose, blocks: Collection[Block], document: Document) -> None:
    """Check that the search axis can be searched.

    Raises:
        InputError: it is no setting, no axis of each block, tied to others, or has a single level.
    """
    where, axis = document.where(("choose", "axis")), choose.axis
    common = [name for name in SETTINGS if all(name in block.axes.settings for block in blocks)]
    several = [name for name in common if all(len(block.axes.settings[name]) > 1 for block in blocks)]
    fitting = [name for name in several if name not in _NOT_SEARCHED]
    expected = f"one of {', '.join(fitting)}" if fitting else "a setting with two levels or more among the axes"
    if axis in fitting:
        return
    if any(axis in group for block in blocks for group in block.axes.tied):
        what = f"{axis} is tied to other settings, and can't be searched"
    elif axis in _NOT_SEARCHED:
        what = f"{axis} decides what a choice is made by, and can't be searched"
    elif axis in common:
        what = f"{axis} has a single level, and nothing can be chosen"
    else:
        what = f"{axis} is no setting that is an axis of this grid"
    named = axis if axis in SETTINGS and axis not in _NOT_SEARCHED else "recipe.lr"
    fix = nearest(axis, fitting) if fitting else f"add {named} to the axes, with several levels"
    raise InputError(what, expected=expected, found=axis, where=where, fix=fix)


def check_validation(recipe: Recipe, where: str) -> None:
    """Raise `InputError` if the recipe of a grid with `choose` holds out no images. where: the recipe's location."""
    if recipe.validation is None:
        raise InputError(
            "a choice without a validation split",
            expected="validation in the recipe: training images by which levels are chosen",
            found="none",
            where=where,
            fix="add, for instance, `validation: 0.2` to the recipe",
        )
