"""The paper-level answer: what the claims of one table say together, beside the single verdicts.

Each tested claim is a cell with its mean gain. The mean over cells is tested by the spread from cell to cell, clustered
by architecture where cells share one (`suite.verdict.stats.several_cells`). It decides no word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from suite.text import interval, p_value, points
from suite.verdict.claims.published import table_name
from suite.verdict.stats.several_cells import SeveralCells, cells_that_gain, several_cells
from suite.verdict.verdicts import Verdict

LEAST_CELLS = 3  # the spread of two says next to nothing
LEVEL = 0.05  # of "at least so many cells gain"


@dataclass(frozen=True)
class PaperAnswer:
    """What the tested claims of a table say together.

    Args:
        title: the paper, its version and the table.
        treatment: the axis that differs, its baseline and its treatment.
        cells: the mean over cells, its interval and the next cell's.
        claims: the ids of the claims that count.
        gaining: at least so many of the cells gain, with 95 % confidence (Bonferroni's partial conjunction).
    """

    title: str
    treatment: str
    cells: SeveralCells
    gaining: int
    claims: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The answer for a reader of the paper."""
        found = self.cells
        architectures = "one architecture" if found.clusters == 1 else f"{found.clusters} architectures"
        by = f" of {architectures}" if found.clusters < found.cells else ""
        if found.clusters < 2:
            return f"mean gain {points(found.mean)} over {found.cells} cells{by}: too few to tell how much cells differ"
        return (
            f"mean gain {points(found.mean)} {interval(found.low, found.high)} over {found.cells} cells{by}, "
            f"p = {p_value(found.p_greater)}; cells differ by a standard deviation of {found.sd:.2f}; the gain of a "
            f"new cell: {interval(found.next_low, found.next_high)}; with 95 % confidence, at least {self.gaining} of "
            f"{found.cells} cells gain"
        )


def paper_answers(verdicts: Sequence[Verdict]) -> list[PaperAnswer]:
    """The answers of all tables with three tested claims at least of one treatment over one baseline, in their order.

    A claim counts if it was tested, whatever its word; by a single look or by its own rule alike, with its mean gain.
    """
    groups: dict[tuple[str, ...], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        claim, asked = verdict.claim, verdict.claim.contrast
        if verdict.word != "not_tested" and verdict.evidence is not None and claim.side == "greater":
            contrast = (asked.axis, asked.baseline, asked.treatment, claim.metric)
            groups[claim.paper, claim.version, claim.table, *contrast].append(verdict)
    return [_answer(group) for group in groups.values() if len(group) >= LEAST_CELLS]


def _answer(group: Sequence[Verdict]) -> PaperAnswer:
    claim, asked = group[0].claim, group[0].claim.contrast
    seen = [verdict.evidence for verdict in group if verdict.evidence is not None]
    # A claim on architectures themselves has none to cluster by: each of its cells stands alone.
    archs = [one.comparison.cell.get("arch", str(place)) for place, one in enumerate(seen)]
    clusters = archs if len(set(archs)) < len(archs) else None
    return PaperAnswer(
        f"{claim.paper} ({claim.version}), {table_name(claim.table)}",
        f"{asked.axis} {asked.treatment} over {asked.baseline}",
        several_cells([one.gain.mean for one in seen], clusters),
        cells_that_gain([one.p for one in seen], LEVEL),
        tuple(verdict.claim.id for verdict in group),
    )


def by_claim(verdicts: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """The numbers of the answers under the ids of their claims, for `suite.verdict.verdicts.to_json`."""
    return {
        name: {**asdict(answer.cells), "gaining": answer.gaining, "claims": answer.claims, "sentence": answer.sentence}
        for answer in paper_answers(verdicts)
        for name in answer.claims
    }
