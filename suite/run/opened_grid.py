"""A grid with the folder of its results: what commands start from that look at it and judge nothing.

Needs neither torch nor Ray, and no pandas: `lape status` answers at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from suite.errors import InputError
from suite.grid.grid import Expansion, Grid, load_grid
from suite.grid.methods import loaded_files, option_texts
from suite.run.absent_methods import stand_in
from suite.store.folder import Store
from suite.text import note


@dataclass
class OpenGrid:
    """A grid, what it expands to, and where its results are."""

    grid: Grid
    results: Path
    command: str  # what to type to run this grid

    @cached_property
    def expansion(self) -> Expansion:
        """The grid's trials and dropped cells."""
        return self.grid.expand()

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
    opened = OpenGrid(
        grid=load_grid(grid, overrides, seeds),
        # Absolute: Ray's workers have another working directory.
        results=results.resolve(),
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
