"""A grid with the folder of its results: what commands start from that look at it and judge nothing.

Needs neither torch nor Ray, and no pandas: `lape status` answers at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from suite.errors import InputError
from suite.grid.choice import Choice, final_trials
from suite.grid.grid import Expansion, Grid, load_grid
from suite.grid.methods import loaded_files, option_texts
from suite.grid.settings import number_of
from suite.grid.trial import Trial
from suite.run.absent_methods import stand_in
from suite.run.timing.pace import work_of
from suite.store.files import RESULTS, real_path, resolved
from suite.store.folder import Store
from suite.text import note


def _dearest(choice: Choice) -> Trial:
    def price(trial: Trial) -> tuple[int, float]:
        work = work_of(trial)
        return work.trained + work.tested, number_of(trial.varied[choice.search.axis]) or 0.0

    return max(choice.candidates, key=price)


@dataclass
class OpenGrid:
    """A grid, what it expands to, and where its results are."""

    grid: Grid
    results: Path
    command: str  # what to type to run this grid

    @cached_property
    def expansion(self) -> Expansion:
        """The grid's trials and dropped cells.

        In a grid with `choose` these are the search, and then the chosen level of each side. For a side that isn't
        decided the level with the most images to train on, or the largest size, stands in: it makes the price no lower.
        """
        if self._declared.search is None:
            return self._declared
        return self._with(final_trials(self.choices, self.grid.file.seeds, _dearest))

    @cached_property
    def runnable(self) -> Expansion:
        """The trials that can run now: without those whose level isn't chosen yet."""
        if self._declared.search is None:
            return self.expansion
        return self._with(final_trials(self.choices, self.grid.file.seeds))

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """What the stored runs say about each side of a search; empty in a grid without `choose`."""
        if self.grid.file.choose is None:  # known without expanding the grid
            return ()
        search = self._declared.search
        return () if search is None else search.choices(self.store.records())

    @cached_property
    def _declared(self) -> Expansion:
        return self.grid.expand()

    def _with(self, trials: list[Trial]) -> Expansion:
        search = self._declared.search
        return replace(self._declared, trials=(*(search.trials if search is not None else ()), *trials))

    def command_for(self, verb: str) -> str:
        """What to type for another command on this grid."""
        return self.command.replace("lape run", f"lape {verb}", 1)

    @property
    def store(self) -> Store:
        """The grid's results."""
        return Store(self.results / self.grid.name)


def open_grid(
    grid: str, overrides: Sequence[str], seeds: int | None, results: Path, *, reading: bool = False
) -> OpenGrid:
    """Load a grid and expand it, so that whatever is wrong with it is said before anything else happens.

    Args:
        grid: A file, or the name of one in grids/.
        overrides: As `load_grid` has them.
        seeds: As `load_grid` has them.
        results: The folder of all grids' results.
        reading: Nothing will be trained: unknown levels of stored runs may come from a method file that isn't at hand.
    """
    options = [part for assignment in overrides for part in ("--set", assignment)]
    options += ["--seeds", str(seeds)] if seeds else []
    options += option_texts(loaded_files())
    folder = resolved(results)
    options += ["--results", str(results)] if folder != real_path(RESULTS) else []
    opened = OpenGrid(
        grid=load_grid(grid, overrides, seeds),
        # Absolute: Ray's workers have another working directory.
        results=folder,
        command=shlex.join(["lape", "run", grid, *options]),
    )
    try:
        _ = opened.expansion
    except InputError:
        missing = stand_in(opened.store.records().values()) if reading else []
        if not missing:
            raise
        _ = opened.expansion
        note(f"the method file isn't at hand (--methods FILE), and runs are read as recorded: {'; '.join(missing)}")
    return opened
