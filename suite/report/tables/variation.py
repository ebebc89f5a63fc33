"""The table of a grid whose axis is `recipe.vary`: how much each source adds to the variance from seed to seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.grid.sources import SOURCES
from suite.report.tables.table import NONE, Column, Table, budget_note
from suite.text import interval
from suite.verdict.stats.variation import Variation, variations

if TYPE_CHECKING:
    from suite.report.tables.by_level import Series
    from suite.verdict.comparisons import Comparison

AXIS = "recipe.vary"
_OF = ("baseline", "treatment", "gain")
_BELOW = (
    "Standard deviation from seed to seed (95 % interval, for normal values), and the share in the sum of the "
    "variances of the sources that vary alone. If variances add up, the share of several sources together is the sum "
    "of theirs. Both sides of a pair draw alike, so that a source may vary accuracies more than gains."
)


def variation_table(series: Sequence[Series], budget: str) -> Table:
    """The shares of each source in the variance of both accuracies and of the gain.

    Args:
        series: the comparisons over the levels of `recipe.vary`.
        budget: see `suite.report.tables.table.budget_note`.
    """
    rows, records = [], []
    for one in series:
        levels = sorted((level for level, _ in one.points), key=_order)
        single = [level for level in levels if "," not in level]
        found = {of: variations({level: _values(comparison, of) for level, comparison in one.points}, single)
                 for of in _OF}  # fmt: skip
        for level in levels:
            parts = {of: found[of][level] for of in _OF}
            rows.append((
                one.title, level.strip("[]"), f"{one.treatment} vs {one.baseline}",
                *(text for part in parts.values() for text in _texts(part)), str(parts["gain"].n),
            ))  # fmt: skip
            records.append({"cell": one.title, "vary": level.strip("[]"), "baseline": one.baseline,
                            "treatment": one.treatment, "pairs": parts["gain"].n} | {
                f"{of}_{key}": value for of, part in parts.items()
                for key, value in vars(part).items() if key != "n"
            })  # fmt: skip
    heads = {"baseline": "Baseline", "treatment": "Treatment", "gain": "Gain"}
    columns = (
        Column("cell", "Cell", text=True, constant=True, wraps=True), Column("vary", "Varies", text=True, wraps=True),
        Column("contrast", "Contrast", text=True, constant=True),
        *(column for of, head in heads.items() for column in (
            Column(f"{of}_sd", f"{head}: sd [95 %]", interval=True), Column(f"{of}_share", f"{head}: share"),
        )),
        Column("pairs", "Pairs"),
    )  # fmt: skip
    return Table("variation", "Where variation comes from", columns, tuple(rows), tuple(records), tuple(records[0]),
                 below=(*budget_note(budget), _BELOW))  # fmt: skip


def _order(level: str) -> tuple[int, list[int]]:
    """Single sources first, in the order of `SOURCES`; several together after them."""
    places = [SOURCES.index(name.strip()) for name in level.strip("[]").split(",")]
    return len(places), places


def _values(comparison: Comparison, of: str) -> list[float]:
    if of == "gain":
        return list(comparison.gains)
    side = comparison.baseline if of == "baseline" else comparison.treatment
    return [side.values[seed] for seed in comparison.seeds]


def _texts(one: Variation) -> tuple[str, str]:
    if math.isnan(one.sd_low):
        return NONE, NONE
    share = NONE if math.isnan(one.share) else f"{100 * one.share:.0f} %"
    return f"{math.sqrt(one.variance):.2f} {interval(one.sd_low, one.sd_high)}", share
