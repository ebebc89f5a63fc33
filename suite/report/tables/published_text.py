"""A published table as CSV, Markdown, LaTeX and HTML, and for a terminal: one table of text makes them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from suite.report.tables import render
from suite.report.tables.published import Entry, PublishedTable
from suite.report.tables.render import NONE, budget_note, open_table
from suite.store.files import write_texts
from suite.store.record import AXIS_FIELDS
from suite.text import csv_text
from suite.verdict.claims.published import METRICS, decimals
from suite.verdict.stats import Consistency

if TYPE_CHECKING:
    from rich.table import Table as RichTable

# Below each published column; at another budget, a difference would be one between two experiments.
_PARTS = ("paper", "ours", "n", "difference")
_PARTS_AT_ANOTHER_BUDGET = _PARTS[:-1]
_LEFT = ("group", "row", "notes")

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


def to_csv(table: PublishedTable) -> str:
    """A line per published value, unrounded (ten digits; UTF-8; a header line)."""
    return csv_text((_record(entry, table) for entry in table.entries), digits=10)


def _record(entry: Entry, table: PublishedTable) -> dict[str, Any]:
    value, prediction = entry.value, entry.prediction
    return {
        **{name: getattr(value, name) for name in ("id", "paper", "version", "table", "group", "row", "column")},
        **{axis: getattr(value.cell, axis) for axis in AXIS_FIELDS},
        "metric": value.metric,
        "epoch": value.epoch,
        "published": value.printed,
        "published_runs": value.runs,
        "ours": entry.ours.mean,
        "sd": entry.ours.sd,
        "n": entry.ours.n,
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


@dataclass(frozen=True)
class Text:
    """A published table as text. heads: of each column, the published column above it, if any, and what it holds.

    notes: numbered from 1 in the last column.
    """

    heads: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def frame(self, heads: Sequence[Any]) -> pd.DataFrame:
        """The lines below such heads."""
        columns = pd.MultiIndex.from_tuples(heads) if isinstance(heads[0], tuple) else list(heads)
        return pd.DataFrame(list(self.lines), columns=columns)


def display(table: PublishedTable) -> Text:
    """The table as text; the groups and the notes are columns only where there are any."""
    notes = tuple(dict.fromkeys(note for entry in table.entries for note in entry.notes))
    grouped = any(group for group, _ in table.rows)
    heads = [("", "group")] * grouped + [("", "row")]
    parts = _parts_of(table)
    heads += [(column, part) for column in table.columns for part in parts] + [("", "notes")] * bool(notes)
    lines = []
    for (group, row), entries in table.rows.items():
        marks = sorted({notes.index(note) + 1 for entry in entries.values() for note in entry.notes})
        texts = [text for column in table.columns for text in _parts(entries.get(column))[: len(parts)]]
        lines.append((*[group] * grouped, row, *texts, *[", ".join(map(str, marks))] * bool(notes)))
    return Text(tuple(heads), tuple(lines), notes)


def _parts_of(table: PublishedTable) -> tuple[str, ...]:
    return _PARTS_AT_ANOTHER_BUDGET if table.budget else _PARTS


def _parts(entry: Entry | None) -> tuple[str, ...]:
    if entry is None:
        return "", "", "", ""
    metric, printed = METRICS[entry.value.metric], entry.value.printed
    digits = decimals(printed)
    if entry.baseline and metric.percent:
        printed += f" ({_signed(entry.published_gain, digits)})"
    if not entry.ours.n:
        return printed, NONE, "0", NONE
    digits = min(digits, 2) if metric.tested else digits
    ours = f"{entry.ours.mean:.{digits}f}"
    ours += "" if math.isnan(entry.ours.sd) else f" ± {entry.ours.sd:.{digits}f}"
    ours += f" ({_signed(entry.gain.mean, digits)})" if entry.gain.n and metric.percent else ""
    return printed, ours, str(entry.ours.n), _signed(entry.difference, digits) + _MARKS[entry.consistency]


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def general_notes(table: PublishedTable) -> list[str]:
    """What holds for the table as a whole; first of all, whether its runs are at the paper's budget."""
    notes = [*budget_note(table.budget), *([_UNLIKE_BUDGET] if table.budget else [])]
    notes.append(_LEGEND.format(difference="" if table.budget else "; difference: ours − paper"))
    metrics = {entry.value.metric for entry in table.entries if entry.ours.n}
    if "top1_best_epoch" in metrics:
        notes.append(_BEST_EPOCH.format(unless=", but for columns of an earlier epoch" if "top1" in metrics else ""))
    if any(entry.consistency == "not_consistent" for entry in table.entries):
        notes.append(_UNLIKE)
    if any(entry.ours.n > 1 and entry.prediction and entry.value.runs is None for entry in table.entries):
        notes.append(_ONE_RUN)
    counts = sorted({entry.ours.n for entry in table.entries})
    if len(counts) > 1:
        notes.append(f"n differs between numbers: from {counts[0]} to {counts[-1]} seeds.")
    return notes


def to_markdown(table: PublishedTable) -> str:
    """The table for GitHub and its like: the caption, the table, the notes."""
    text = display(table)
    shown = text.frame([f"{column}: {part}" if column else part for column, part in text.heads])
    return f"**{table.caption}**\n\n" + render.markdown(shown, _LEFT, render.numbered(general_notes(table), text.notes))


def to_latex(table: PublishedTable) -> str:
    r"""The table for a paper, with booktabs rules (`\usepackage{booktabs}`), and the notes as a second tabular."""
    text = display(table)
    below = [table.caption, *general_notes(table)]
    return render.latex(text.frame(text.heads), _LEFT, below, text.notes)


def to_html(table: PublishedTable) -> str:
    """The table as an HTML fragment without style."""
    from suite.report.templates import template

    return template("published_table.html.j2").render(table=view(table))


def view(table: PublishedTable) -> dict[str, Any]:
    """What the HTML template of a published table is filled with."""
    text = display(table)
    numbers = slice(text.heads.index(("", "row")) + 1, len(text.heads) - bool(text.notes))
    groups: dict[str, list[dict[str, Any]]] = {}
    for (group, row), line in zip(table.rows, text.lines, strict=True):
        cells = [(part, value) for (_, part), value in zip(text.heads[numbers], line[numbers], strict=True)]
        groups.setdefault(group, []).append({"row": row, "cells": cells, "marks": line[-1] if text.notes else ""})
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": table.columns,
        "parts": _parts_of(table),
        "groups": groups,
        "notes": text.notes,
        "general_notes": general_notes(table),
    }


def to_terminal(table: PublishedTable) -> RichTable:
    """The table for a terminal; a group isn't repeated."""
    from rich.text import Text as Plain  # brackets in it are no markup

    text = display(table)
    found = open_table(table.caption, "\n".join(render.numbered(general_notes(table), text.notes)))
    for column, part in text.heads:
        head = {"group": "", "row": "", "difference": "diff."}.get(part, part)
        found.add_column(
            Plain(f"{column if part == _PARTS[0] else ''}\n{head}"),
            justify="left" if part in _LEFT else "right",
            overflow="fold",
        )
    above = ""
    for line in text.lines:
        same = text.heads[0][1] == "group" and line[0] == above
        found.add_row(*map(Plain, ("", *line[1:]) if same else line))
        above = line[0]
    return found


def write_published(tables: Sequence[PublishedTable], folder: Path) -> list[Path]:
    """Write each table as CSV, Markdown, LaTeX and HTML into the folder; raises `InputError` if that can't be."""
    renderers = {"csv": to_csv, "md": to_markdown, "tex": to_latex, "html": to_html}
    made = {f"{table.name}.{suffix}": render(table) for table in tables for suffix, render in renderers.items()}
    return write_texts(made, folder)
