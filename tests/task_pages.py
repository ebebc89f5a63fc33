"""What fills the pages of single grids: summaries, tables of tasks, verdicts, and figures beside the pages."""

from __future__ import annotations

from dataclasses import replace

from suite.report.figures.corruptions import draw_kinds
from suite.report.figures.gains import draw_gains
from suite.report.tables.corruptions import ALL as ALL_KINDS
from suite.report.tables.corruptions import kind_gains
from suite.report.tables.render import to_markdown
from suite.report.tables.rows import rows as summary_rows
from suite.report.tables.summary import summary_table
from tests.findings import workspace


def runs(grid: str) -> str:
    if workspace(grid).frame.empty:
        return f"No runs are committed yet: `lape run {grid}` makes them."
    return to_markdown(summary_table(summary_rows(workspace(grid).frame))).strip()


def verdicts(grid: str) -> str:
    if workspace(grid).frame.empty:
        return "Not tested yet."
    found = workspace(grid).verdicts
    return "\n".join(f"- {one.claim.id}: {one.sentence}" for one in found)


# Grids whose figure of gains is written beside a page, with the figure's name.
PICTURED = {"spoken_digits": "sound", "listops_budget": "listops"}


def pictured_verdicts(grid: str) -> str:
    """The verdicts, and once there are runs their figure."""
    figure = "" if workspace(grid).frame.empty else f"\n\n![The gains of the pairs]({PICTURED[grid]}.svg)"
    return verdicts(grid) + figure


def robustness(grid: str) -> str:
    """The summary of a grid on corrupted images, and its errors over all kinds."""
    space = workspace(grid)
    parts = [runs(grid)]
    for table in space.corruption_tables():
        over_all = [one for one in zip(table.rows, table.records, strict=True) if one[1]["corruption"] == ALL_KINDS]
        shown = replace(table, rows=tuple(row for row, _ in over_all), records=tuple(record for _, record in over_all))
        parts.append(to_markdown(shown).strip())
    return "\n\n".join(parts)


def of_task(grid: str) -> str:
    """The tables of a grid whose task isn't classification."""
    tables = workspace(grid).task_tables()
    return "\n\n".join(to_markdown(table).strip() for table in tables) or runs(grid)


def robustness_verdicts() -> str:
    """The verdicts, and once there are runs the figure of the gain on each kind, which is written beside the page."""
    figure = "" if workspace("robustness_cifar").frame.empty else "\n\n![Gain on each kind](robustness.svg)"
    return verdicts("robustness_cifar") + figure


def figures() -> dict[str, str]:
    """The figures beside the pages, by file name."""
    found = {}
    for grid, picture in PICTURED.items():
        if rows := summary_rows(workspace(grid).frame):
            found[f"{picture}.svg"] = draw_gains([row.comparison for row in rows if row.comparison is not None])
    for drawing in draw_kinds(kind_gains(workspace("robustness_cifar").columns), 1).values():
        found["robustness.svg"] = drawing
    return found
