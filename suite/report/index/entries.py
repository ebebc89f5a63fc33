"""The lines of the page: every claim with what each grid says about it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from suite.grid.shipped import known_files
from suite.report.index.cost import cost_text, trials_of
from suite.report.workspace import Workspace, not_tested, open_workspace
from suite.verdict.claims.claim import Claim
from suite.verdict.claims.published import table_name
from suite.verdict.claims.reader import ClaimReader
from suite.verdict.verdicts import Verdict

BUDGETS = {"published": "paper’s budget", "analogue": "stand-in", "own": "own claim"}
NO_GRID = "no grid here trains both of its sides"
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Entry:
    """A claim, and the verdict of one grid on it.

    Args:
        verdict: the verdict.
        grid: the name of the grid; empty if no grid names the claim.
        date: the day of the latest of its runs, as YYYY-MM-DD; empty without runs.
        reason: why it isn't tested; empty if it is.
        cost: what it takes to test it; empty if it is tested, or can't be.
        testable: whether the grid has both of its sides.
        place: its place among the claims of its file.
    """

    verdict: Verdict
    grid: str
    date: str
    reason: str
    cost: str
    testable: bool
    place: int

    @property
    def claim(self) -> Claim:
        """The claim, as the grid tests it."""
        return self.verdict.claim

    @property
    def table(self) -> str:
        """The version of the paper, and where in it the claim stands."""
        return f"{self.claim.version}, {table_name(self.claim.table)}"

    @cached_property
    def budget(self) -> str:
        """Whose budget the runs have, in words."""
        return BUDGETS[self.claim.kind]


def open_all(results: Path, reports: Path) -> list[Workspace]:
    """All grids of the working folder and of the suite, in the order of their names.

    Raises:
        InputError: a grid, a claim file or a record is wrong.
    """
    reader = ClaimReader()
    return [
        open_workspace(name, (), None, results, reports, reading=True, reader=reader) for name in sorted(known_files())
    ]


def entries(workspaces: Sequence[Workspace]) -> list[Entry]:
    """Every claim of every claim file, by paper and table, tables with runs first.

    A claim that several grids name has a line for each that has both of its sides; one that none has, a single line.

    Raises:
        InputError: a claim file or a record is wrong.
    """
    by_claim: dict[str, list[Entry]] = defaultdict(list)
    for workspace in workspaces:
        for entry in _of_grid(workspace):
            by_claim[entry.claim.id].append(entry)
    kept = [entry for found in by_claim.values() for entry in _worth_a_line(found)]
    reader = next((workspace.reader for workspace in workspaces), None)
    kept += _of_no_grid(by_claim.keys(), reader)
    sizes = Counter(paper for paper, _ in {(entry.claim.paper, entry.claim.id) for entry in kept})

    tested = {(entry.claim.paper, entry.table) for entry in kept if not entry.reason}

    def order(entry: Entry) -> tuple[object, ...]:
        """Papers with more claims first, own claims last; tables, and in them lines, with runs first; then by grid."""
        paper, table = entry.claim.paper, entry.table
        group = entry.claim.kind == "own", -sizes[paper], paper, (paper, table) not in tested, _natural(table)
        return *group, entry.reason != "", entry.claim.kind == "analogue", entry.grid, entry.place

    return sorted(kept, key=order)


def _worth_a_line(found: Sequence[Entry]) -> list[Entry]:
    """Of a claim's entries those of grids that can test it; else one, of the paper's own budget if there is one."""
    able = [entry for entry in found if entry.testable]
    return able or [min(found, key=lambda entry: (entry.claim.kind != "published", entry.reason == NO_GRID))]


def _of_grid(workspace: Workspace) -> Iterator[Entry]:
    places = {claim.id: place for place, claim in enumerate(workspace.claims)}
    for verdict in workspace.verdicts:
        claim = verdict.claim
        trials = [] if claim.obstacle else trials_of(claim, workspace.expansion.trials)
        reason = _reason(workspace, verdict, bool(trials))
        cost = cost_text(workspace, claim, trials) if reason and trials else ""
        name = workspace.grid.name
        testable = bool(trials) or verdict.evidence is not None
        yield Entry(verdict, name, _date(workspace, verdict), reason, cost, testable, places[claim.id])


def _of_no_grid(known: Collection[str], reader: ClaimReader | None) -> Iterator[Entry]:
    reader = reader or ClaimReader()
    for path in known_files("claims").values():
        for place, claim in enumerate(reader.read(path).claims):
            if claim.id not in known:
                reason = claim.obstacle or NO_GRID
                yield Entry(not_tested(claim, reason), "", "", reason, "", False, place)


def _reason(workspace: Workspace, verdict: Verdict, has_cells: bool) -> str:
    """Why the claim isn't tested; empty if it is."""
    claim = verdict.claim
    if verdict.word != "not_tested":
        return ""
    if claim.obstacle:
        return claim.obstacle
    if workspace.grid.file.not_runnable:
        return workspace.grid.file.not_runnable
    if not has_cells and verdict.evidence is None:
        return NO_GRID
    if not workspace.has_runs:
        return NOT_RUN
    return verdict.obstacle


def _date(workspace: Workspace, verdict: Verdict) -> str:
    seen = verdict.evidence
    if seen is None:
        return ""
    sides = (seen.comparison.baseline, seen.comparison.treatment)
    trials = {side.trials[seed] for side in sides for seed in seen.comparison.seeds}
    return max(workspace.records[trial].started_at[:10] for trial in trials)


def _natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts Table 2 before Table 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
