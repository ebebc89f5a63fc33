"""The verdicts of a grid as a table of one line per claim, which fits a terminal of 100 columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from suite.cli.commands.console import COLOURS
from suite.report.claim_names import claim_names
from suite.report.tables.table import NONE
from suite.text import interval, points
from suite.verdict.claims.published import table_name
from suite.verdict.metrics import metric_of
from suite.verdict.sentences import MEANINGS

_HEADS = ("Verdict", "Claim", "Claimed", "Observed [95 %]", "Pairs")
_WORDS = 2  # of these columns hold words, the others numbers

if TYPE_CHECKING:
    from suite.verdict.paper_level import PaperAnswer
    from suite.verdict.verdicts import Verdict


def verdict_lines(verdicts: Sequence[Verdict], answers: Sequence[PaperAnswer], width: int) -> list[Text]:
    """A line per verdict under the published table that it is about, and one for what a table's claims say together.

    Args:
        verdicts: the verdicts, at least one.
        answers: the answers of whole tables.
        width: the characters of a line. Names of claims that don't fit are cut off.
    """
    rows: list[Text | tuple[Text, ...]] = [tuple(map(Text, _HEADS))]
    together = Text("together", style="bold")
    rest = list(answers)

    def add(first: Text, *texts: str) -> None:
        rows.append((first, *map(Text, texts)))

    for title, group in groupby(verdicts, key=_title):
        rows.append(Text(title, style="bold"))
        members = list(group)
        for one, name in zip(members, claim_names(members), strict=True):
            claimed = "any" if one.claim.any_size else f"{points(one.claim.claimed_gain)}{_unit(one)}"
            add(word_text(one), name, claimed, _observed(one), _pairs(one))
        ids = {one.claim.id for one in members}
        for answer in [answer for answer in rest if ids.issuperset(answer.claims)]:
            add(together, _together(answer), "", _mean(answer), "")
            rest.remove(answer)
    for answer in rest:  # its claims stand in several groups
        add(together, _together(answer), "", _mean(answer), "")
    cells = [row for row in rows if isinstance(row, tuple)]
    widths = [max(row[place].cell_len for row in cells) for place in range(len(_HEADS))]
    others = sum(widths) - widths[1] + 2 * (len(_HEADS) - 1)
    widths[1] = max(min(widths[1], width - others), len(_HEADS[1]))
    lines = [row if isinstance(row, Text) else _aligned(row, widths) for row in rows]
    return [lines[0], Text("─" * (sum(widths) + 2 * (len(_HEADS) - 1))), *lines[1:]]


def _aligned(row: Sequence[Text], widths: Sequence[int]) -> Text:
    """The cells of a row, padded to these widths: words to the left, numbers to the right."""
    found = []
    for place, (text, width) in enumerate(zip(row, widths, strict=True)):
        cell = text.copy()
        cell.truncate(width, overflow="ellipsis")
        cell.align("left" if place < _WORDS else "right", width)
        found.append(cell)
    line = Text("  ").join(found)
    line.rstrip()
    return line


def word_text(verdict: Verdict) -> Text:
    """The word of a verdict, in its colour."""
    return Text(verdict.word.replace("_", " "), style=f"bold {COLOURS.get(verdict.word, 'dim')}")


def below_table(verdicts: Sequence[Verdict], command: str) -> Iterator[str]:
    """The lines below the table: how often each word occurs, what marks mean, and where the sentences are.

    Args:
        verdicts: the verdicts.
        command: what to type for these verdicts.
    """
    counts = Counter(verdict.word for verdict in verdicts)
    told = ", ".join(f"{counts[word]} {word.replace('_', ' ')}" for word in MEANINGS if counts[word])
    caveats = sum(len(verdict.caveats) for verdict in verdicts)
    yield f"{len(verdicts)} claim{'s' if len(verdicts) > 1 else ''}: {told}"
    if any(verdict.claim.kind == "analogue" for verdict in verdicts):
        yield "analogue: a published gain, carried over to other data, another size or another budget"
    if any(verdict.provisional for verdict in verdicts):
        yield "*: from fewer pairs than were fixed, so the word is provisional"
    yield f"`{command} --long` says why" + (f", with {caveats} caveat{'s' if caveats > 1 else ''}" if caveats else "")


def _title(verdict: Verdict) -> str:
    claim = verdict.claim
    analogue = ", analogues" if claim.kind == "analogue" else ""
    return f"{claim.paper} ({claim.version}), {table_name(claim.table)}{analogue}"


def _observed(verdict: Verdict) -> str:
    seen = verdict.evidence
    if seen is None:
        return NONE
    if seen.pairs < 2:
        return f"{points(seen.gain.mean)}{_unit(verdict)}"
    ends = seen.interval if math.isfinite(seen.interval.low) else seen.gain
    return f"{points(seen.gain.mean)}{_unit(verdict)} {interval(ends.low, ends.high)}"


def _unit(verdict: Verdict) -> str:
    return metric_of(verdict.claim.metric).suffix


def _pairs(verdict: Verdict) -> str:
    return "0" if verdict.evidence is None else f"{verdict.evidence.pairs}{'*' if verdict.provisional else ''}"


def _together(answer: PaperAnswer) -> str:
    found = answer.cells
    gaining = "" if found.clusters < 2 else f", {answer.gaining} or more gain"
    return f"{answer.treatment}: {found.cells} cells{gaining}"


def _mean(answer: PaperAnswer) -> str:
    found = answer.cells
    return points(found.mean) if found.clusters < 2 else f"{points(found.mean)} {interval(found.low, found.high)}"
