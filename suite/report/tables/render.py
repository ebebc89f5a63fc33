"""The renderer of all tables, for CSV, Markdown, LaTeX and HTML. `terminal` has the one for terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.report.tables.table import Column, Table, numbered
from suite.store import files
from suite.text import csv_text

if TYPE_CHECKING:
    from markupsafe import Markup

_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": "\\textbackslash ",
    "~": "\\textasciitilde ",
    "^": "\\textasciicircum ",
    "−": "–",  # pdflatex doesn't support U+2212
}


def write(tables: Iterable[Table], folder: Path, suffixes: Sequence[str] = ("csv", "md", "tex", "html")) -> list[Path]:
    """Write each table in each of these formats into the folder, and return the files' paths.

    Args:
        tables: the tables.
        folder: the folder to write to.
        suffixes: the formats, as file suffixes.

    Raises:
        InputError: the folder can't be written.
    """
    renderers = {"csv": to_csv, "md": to_markdown, "tex": to_latex, "html": to_html}
    made = {f"{table.name}.{suffix}": renderers[suffix](table) for table in tables for suffix in suffixes}
    return files.write_texts(made, folder)


def to_csv(table: Table) -> str:
    """The records as CSV with a header line. Numbers have ten digits."""
    return csv_text(table.records, table.fields, digits=10)


def to_markdown(table: Table) -> str:
    """The caption, the table and the notes in Markdown, for GitHub and similar sites."""
    from tabulate import tabulate

    heads = [f"{column.above}: {column.head}" if column.above else column.head for column in table.columns]
    rows = [[_markdown(text).replace("|", "\\|") for text in row] for row in table.rows]
    align = ["left" if column.text else "right" for column in table.columns]
    body = tabulate(rows, heads, tablefmt="pipe", disable_numparse=True, colalign=align if rows else None)
    caption = [f"**{table.caption}**"] if table.caption else []
    return "\n\n".join([*caption, body, *map(_markdown, numbered(table.below, table.notes))]) + "\n"


def _markdown(text: str) -> str:
    """Escape what Markdown reads as HTML or as emphasis. Underscores within a name don't need it."""
    return _one_line(text).replace("<", "&lt;").replace("*", "\\*")


def to_latex(table: Table) -> str:
    r"""The table in LaTeX, with booktabs rules (`\usepackage{booktabs}`). The notes are a second tabular."""
    heads = [_latex_row(_latex(column.head) for column in table.columns)]
    if any(column.above for column in table.columns):
        heads.insert(0, _latex_row(map(_latex_span, *_spans(table.columns))))
    below = [text for text in (table.caption, *table.below) if text]
    marked = [*(("", text) for text in below), *((str(number), note) for number, note in enumerate(table.notes, 1))]
    lines = [
        rf"\begin{{tabular}}{{{''.join('l' if column.text else 'r' for column in table.columns)}}}",
        *(r"\toprule", *heads, r"\midrule"),
        *(_latex_row(map(_latex, row)) for row in table.rows),
        *(r"\bottomrule", r"\end{tabular}"),
        r"\par\smallskip\footnotesize",
        r"\begin{tabular}{@{}rp{0.9\linewidth}@{}}",
        *(_latex_row(map(_latex, row)) for row in marked),
        r"\end{tabular}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _spans(columns: Sequence[Column]) -> tuple[list[str], list[int]]:
    """The upper headings that neighbouring columns share, and the number of columns that each spans."""
    found = [(above, len(list(its))) for above, its in groupby(columns, key=lambda column: column.above)]
    return [above for above, _ in found], [width for _, width in found]


def _latex_span(above: str, width: int) -> str:
    return rf"\multicolumn{{{width}}}{{c}}{{{_latex(above)}}}" if width > 1 else _latex(above)


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex(text: str) -> str:
    r"""Escape LaTeX's special characters. LaTeX drops a space after a command, so it is written as `\space`."""
    return re.sub(
        r"([\\~^])( ?)|([&%$#_{}−])",
        lambda found: _LATEX[found[1] or found[3]] + ("\\space " if found[2] else ""),
        _one_line(text),
    )


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def to_html(table: Table) -> str:
    """The table as an HTML fragment without styles: a `table` element, and the notes below it."""
    from suite.report.templates import template

    view = html_view(table)
    return "".join(template(name).render(table=view) for name in ("table.html.j2", "table_notes.html.j2"))


def html_view(table: Table, drawings: tuple[Markup, Sequence[Markup]] | None = None) -> dict[str, Any]:
    """The values that the HTML templates of tables need.

    Args:
        table: the table.
        drawings: a scale for the head and a drawing for each row. They are put beside the column with intervals.
    """
    grouped = [place for place, column in enumerate(table.columns) if column.group and table.layout == "groups"]
    order = {column.name: place for place, column in enumerate(table.columns)}
    wanted = [order[name] for name in table.page_order if name in order] or list(order.values())
    shown = [table.columns[place] for place in wanted if place not in grouped] if table.rows else []
    places = [place for place in wanted if place not in grouped]
    label = [place for place in grouped if place not in table.constants]

    def cells(row: Sequence[str], drawing: Markup | None) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for column, place in zip(shown, places, strict=True):
            found.append((row[place], _css(column)))
            if column.interval and drawing is not None:
                found.append((drawing, "plot"))
        return found

    groups: list[tuple[str, list[list[tuple[str, str]]]]] = []
    for number, row in enumerate(table.rows):
        if not number or [row[place] for place in grouped] != [table.rows[number - 1][place] for place in grouped]:
            groups.append((" · ".join(row[place] for place in label), []))
        groups[-1][1].append(cells(row, drawings[1][number] if drawings and drawings[1] else None))
    spans = [(above, width) for above, width in zip(*_spans(shown), strict=True) if above]
    heads = [column.head for column in table.columns]
    return {
        "name": table.name,
        "caption": table.title if table.rows else "",
        "spans": spans,
        "heads": cells(heads, drawings[0] if drawings and drawings[1] else None) if shown else [],
        "groups": groups,
        "below": table.below,
        "notes": table.notes,
    }


def _css(column: Column) -> str:
    return f"{'text' if column.text else 'number'} {column.css}".rstrip()
