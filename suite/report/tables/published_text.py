"""The text of a published table with our runs: it turns a `PublishedTable` into a `Table`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from suite.report.tables.published import Entry, PublishedTable
from suite.report.tables.table import NONE, Column, Table, budget_note, marks, number_notes
from suite.store.record import AXIS_FIELDS
from suite.text import signed
from suite.verdict.claims.published import decimals
from suite.verdict.metrics import METRICS
from suite.verdict.stats import Consistency

# The columns below each published column. At a smaller budget there is no difference column, because the difference
# would be between two different experiments.
_PARTS = ("paper", "ours", "n", "difference")
_PARTS_AT_ANOTHER_BUDGET = _PARTS[:-1]

_MARKS: Mapping[Consistency, str] = {"consistent": "", "not_consistent": " ≠", "cant_say": ""}

_LEGEND = (
    "Ours: mean ± sample standard deviation over n seeds{difference}. In brackets: the gain over the default joining "
    "in the same column, of the paper's numbers, and of our pairs of the same seed."
)
_BEST_EPOCH = (
    "Ours is by the best epoch on the test set{unless}, which is optimistic, as the paper's numbers are taken to be."
)
_UNLIKE = "≠: the paper's number lies outside of the 95 % prediction interval of our runs: another training, or luck."
_UNLIKE_BUDGET = "The numbers aren't comparable with the paper's, and the gains only as analogues."
_ONE_RUN = "Where the paper doesn't say how many runs its number is the mean of, the interval is for one."


def text_table(table: PublishedTable) -> Table:
    """The table in the paper's layout. It has columns for groups and for notes only if there are any."""
    numbers = number_notes(note for entry in table.entries for note in entry.notes)
    grouped = any(group for group, _ in table.rows)
    parts = _PARTS_AT_ANOTHER_BUDGET if table.budget else _PARTS
    rows = []
    for (group, row), entries in table.rows.items():
        texts = [text for column in table.columns for text in _texts(entries.get(column))[: len(parts)]]
        told = marks(numbers, (note for entry in entries.values() for note in entry.notes))
        rows.append((*[group] * grouped, row, *texts, *[told] * bool(numbers)))
    records = tuple(_record(entry, table) for entry in table.entries)
    return Table(
        name=table.name,
        caption=table.caption,
        columns=tuple(_columns(table, parts, grouped=grouped, noted=bool(numbers))),
        rows=tuple(rows),
        records=records,
        fields=tuple(records[0]),
        below=tuple(_below(table)),
        notes=tuple(numbers),
    )


def _columns(table: PublishedTable, parts: tuple[str, ...], *, grouped: bool, noted: bool) -> Iterator[Column]:
    """The columns. In a terminal each heading has two lines; the first is the heading of the published column."""
    if grouped:
        yield Column("group", "group", text=True, group=True, terminal_head="\n", wraps=True)
    yield Column("row", "row", text=True, css="join", terminal_head="\n", wraps=True)
    for column in table.columns:
        for part in parts:
            head = f"{column if part == parts[0] else ''}\n{'diff.' if part == 'difference' else part}"
            yield Column(f"{column}: {part}", part, above=column, css=part, terminal_head=head, wraps=True)
    if noted:
        yield Column("notes", "notes", text=True, terminal_head="\nnotes", wraps=True)


def _record(entry: Entry, table: PublishedTable) -> dict[str, Any]:
    value, prediction = entry.value, entry.prediction
    return {
        **{name: getattr(value, name) for name in ("id", "paper", "version", "table", "group", "row", "column")},
        **{axis: getattr(value.cell, axis) for axis in AXIS_FIELDS},
        "metric": value.metric,
        "epoch": value.epoch,
        "published": value.printed,
        "published_runs": value.runs,
        "ours": entry.spread.mean,
        "sd": entry.spread.sd,
        "n": entry.spread.n,
        "difference": entry.difference,
        "published_gain": entry.published_gain,
        "gain": entry.gain.mean,
        "gain_low": entry.gain.low,
        "gain_high": entry.gain.high,
        "pairs": entry.gain.n,
        "prediction_low": math.nan if prediction is None else prediction.low,
        "prediction_high": math.nan if prediction is None else prediction.high,
        "consistency": entry.consistency,
        "budget": table.budget,
        "notes": "; ".join(entry.notes),
    }


def _texts(entry: Entry | None) -> tuple[str, ...]:
    """The text of an entry in each column of `_PARTS`."""
    if entry is None:
        return "", "", "", ""
    metric, printed, ours = METRICS[entry.value.metric], entry.value.printed, entry.spread
    digits = decimals(printed)
    if entry.baseline and metric.percent:
        printed += f" ({signed(entry.published_gain, digits)})"
    if not ours.n:
        return printed, NONE, "0", NONE
    digits = min(digits, 2) if metric.tested else digits
    text = f"{ours.mean:.{digits}f}"
    text += "" if math.isnan(ours.sd) else f" ± {ours.sd:.{digits}f}"
    text += f" ({signed(entry.gain.mean, digits)})" if entry.gain.n and metric.percent else ""
    return printed, text, str(ours.n), signed(entry.difference, digits) + _MARKS[entry.consistency]


def _below(table: PublishedTable) -> Iterator[str]:
    """The paragraphs below the table. The first one says if the runs are at a smaller budget than the paper's."""
    yield from budget_note(table.budget)
    if table.budget:
        yield _UNLIKE_BUDGET
    yield _LEGEND.format(difference="" if table.budget else "; difference: ours − paper")
    metrics = {entry.value.metric for entry in table.entries if entry.spread.n}
    if "top1_best_epoch" in metrics:
        yield _BEST_EPOCH.format(unless=", but for columns of an earlier epoch" if "top1" in metrics else "")
    if any(entry.consistency == "not_consistent" for entry in table.entries):
        yield _UNLIKE
    if any(entry.spread.n > 1 and entry.prediction and entry.value.runs is None for entry in table.entries):
        yield _ONE_RUN
    counts = sorted({entry.spread.n for entry in table.entries})
    if len(counts) > 1:
        yield f"n differs between numbers: from {counts[0]} to {counts[-1]} seeds."
    for sentence in table.together:
        yield f"What its tested claims say together, {sentence}."
