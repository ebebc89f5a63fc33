"""A grid with its folders: what nearly every command starts from. Needs neither torch nor Ray."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from suite.claims import Claim, load_claims, untested
from suite.errors import InputError, Problem
from suite.grid import Expansion, Grid, load_grid
from suite.record import RunRecord
from suite.store import Store, load_history, to_frame
from suite.verdict import Verdict, judge


@dataclass
class Workspace:
    """A grid, what it expands to, and where its results and its report are."""

    grid: Grid
    results: Path
    reports: Path
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

    @property
    def report_folder(self) -> Path:
        """Where the grid's report goes."""
        return self.reports / self.grid.name

    @cached_property
    def records(self) -> dict[str, RunRecord]:
        """All stored records, those of other trials (of an older recipe, say) too."""
        return self.store.records()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per stored run of this grid's trials."""
        return to_frame(record for record in self.records.values() if record.trial_id in self.expansion.ids)

    def history(self) -> pd.DataFrame:
        """A row per epoch of this grid's runs."""
        history = load_history(self.store.folder)
        return history[history["trial_id"].isin(self.expansion.ids)]

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims to judge."""
        return load_claims(self.grid.claim_files)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """What the runs say about the claims."""
        return judge(self.frame, self.claims)


def open_workspace(grid: str, overrides: Sequence[str], seeds: int | None, results: Path, reports: Path) -> Workspace:
    """Load a grid and expand it, so that whatever is wrong with it is said before anything else happens."""
    options = [part for assignment in overrides for part in ("--set", assignment)]
    options += ["--seeds", str(seeds)] if seeds else []
    workspace = Workspace(
        grid=load_grid(grid, overrides, seeds),
        # Absolute: Ray's workers have another working directory.
        results=results.resolve(),
        reports=reports.resolve(),
        command=shlex.join(["lape", "run", grid, *options]),
    )
    _ = workspace.expansion
    return workspace


def check_grids(grids: Sequence[str]) -> Iterator[str]:
    """Validate grids with their recipes and claims: a line for each good one, or `InputError` with all problems.

    A claim that the grid can't test is a note only: several grids may share a claim file.
    """
    problems: list[Problem] = []
    names: dict[str, Path] = {}
    for name in grids:
        try:
            workspace = open_workspace(name, (), None, Path("results"), Path("reports"))
            claims = workspace.claims
        except InputError as error:
            problems += error.problems
            continue
        expansion, document = workspace.expansion, workspace.grid.document
        first = names.setdefault(workspace.grid.name, document.path)
        if first.resolve() != document.path.resolve():
            problems.append(
                Problem(
                    f"two grids of the same name, {workspace.grid.name!r}",
                    expected="a name for each grid, since its results lie in a folder of that name",
                    found=f"first in {first}",
                    where=document.where(("name",)),
                    fix="give one of the two another name",
                )
            )
        yield (
            f"{document.path}: {len(expansion.trials)} trials, {len(expansion.dropped)} dropped cells, "
            f"{len(claims)} claims"
        )
        for claim in untested(claims, expansion.trials):
            yield f"  note: no two cells of this grid are those of the claim {claim.id!r}"
    if problems:
        raise InputError(problems=problems)
