"""Tables of text as Markdown and LaTeX: escaped, aligned, with notes below."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def numbered(below: Sequence[str], notes: Sequence[str]) -> list[str]:
    """What stands below a table: paragraphs, and then its notes, from [1] on."""
    return [*below, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))]


def markdown(table: pd.DataFrame, left: Collection[str], below: Sequence[str]) -> str:
    """For GitHub and its like. left: the columns that are aligned to the left. below: a paragraph each."""
    escaped = table.map(lambda text: _plain(text).replace("|", "\\|"))
    align = ["left" if name in left else "right" for name in table.columns]
    body = escaped.to_markdown(index=False, disable_numparse=True, colalign=align)
    return "\n\n".join([str(body), *map(_plain, below)]) + "\n"


def latex(table: pd.DataFrame, left: Collection[str], below: Sequence[str], notes: Sequence[str]) -> str:
    r"""With booktabs rules (`\usepackage{booktabs}`), and what stands below, the notes numbered, as a second tabular.

    Columns in two levels get heads in two rows, the upper ones centred over theirs.
    """
    align = "".join("l" if (name[-1] if isinstance(name, tuple) else name) in left else "r" for name in table.columns)
    marked = [*(("", text) for text in below), *((str(number), note) for number, note in enumerate(notes, 1))]
    legend = pd.DataFrame(marked, columns=["mark", "text"])
    return (
        _tabular(table, align, heads=True)
        + "\\par\\smallskip\\footnotesize\n"
        + _tabular(legend, r"@{}rp{0.9\linewidth}@{}", heads=False)
    )


def _tabular(table: pd.DataFrame, align: str, *, heads: bool) -> str:
    plain = table.map(lambda text: _one_line(text).replace("−", "–"))  # pdflatex has no U+2212
    style = plain.style.hide(axis="index").format(escape="latex")
    style = style.format_index(escape="latex", axis="columns") if heads else style.hide(axis="columns")
    return str(style.to_latex(hrules=heads, column_format=align, multicol_align="c"))


def _plain(text: str) -> str:
    """Without what Markdown takes for HTML or for emphasis; a name's underscores are neither."""
    return _one_line(text).replace("<", "&lt;").replace("*", "\\*")


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


NONE = "–"  # what a missing number prints as


def budget_note(budget: str) -> list[str]:
    """That the runs are at a smaller budget than the paper's, and in what; nothing without one."""
    return [f"Another budget than the paper's: {budget}."] if budget else []


def open_table(title: str, caption: str, *, narrow: bool = False) -> RichTable:
    """A table for a terminal, without columns yet, in the style that all have."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title) if title else None,
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0 if narrow else 1, 0, 0),
    )
