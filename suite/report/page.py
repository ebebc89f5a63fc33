"""The report of a grid: a self-contained HTML page, and its tables, figures and verdicts as separate files.

The page makes no requests and runs no scripts. Each claim and each run has an anchor. All text from records is
escaped. The same input gives the same bytes: the only dates in the page are those of the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from suite import __version__
from suite.grid.axes import is_usual
from suite.report.claim_details import claim_groups, claims_of_runs
from suite.report.claim_rows import SIGNS
from suite.report.figures import curves, patch_similarity
from suite.report.figures import interactions as interaction_figures
from suite.report.figures import paths as path_figures
from suite.report.figures.by_level import draw_series
from suite.report.figures.corruptions import draw_kinds
from suite.report.figures.forest import SHAPES, axis, common_scale, gridlines
from suite.report.figures.gains import MAX_GAINS, draw_gains, gain_marks
from suite.report.figures.style import colour_number, svg_file
from suite.report.remarks import GridSummary, by_reason, caveats, environments, facts, made, overview, shown_value
from suite.report.run_list import rerun_options, run_list
from suite.report.tables.by_level import Series
from suite.report.tables.corruptions import KindGains, kind_gains
from suite.report.tables.effects import effect_tables
from suite.report.tables.published import PublishedTable
from suite.report.tables.published_text import text_table
from suite.report.tables.render import html_view, write
from suite.report.tables.rows import rows
from suite.report.tables.summary import accuracy_name, gain_text, summary_table, write_summary
from suite.report.tables.table import NONE, Table, budget_note
from suite.report.templates import asset, template
from suite.store.files import write_atomic
from suite.store.record import AXIS_FIELDS, RunRecord
from suite.text import encodable
from suite.verdict.interactions import Factorial
from suite.verdict.paper_level import by_claim
from suite.verdict.runs import Run, is_missing, unique_runs
from suite.verdict.sentences import MEANINGS
from suite.verdict.training_curves import curves_of
from suite.verdict.verdicts import Verdict, to_json

if TYPE_CHECKING:
    import pandas as pd

    from suite.verdict.runs import Frame

MAX_FAILURES = 200


def render(
    grid: GridSummary,
    frame: Frame,
    history: pd.DataFrame | None,
    verdicts: Sequence[Verdict],
    folder: Path,
    *,
    published: Sequence[PublishedTable] = (),
    factorials: Sequence[Factorial] = (),
    series: Sequence[Series] = (),
    levels: Sequence[Table] = (),
    corruptions: Sequence[Table] = (),
    tasks: Sequence[Table] = (),
    records: Mapping[str, RunRecord] | None = None,
    up: str = "",
) -> Path:
    """Write index.html, tables/, figures/ and verdicts.json into the folder, and return the page's path.

    Args:
        grid: the summary of the grid.
        frame: the runs of the grid's trials, as `suite.store.load_frame` returns them, or its columns as lists.
        history: their epochs, as `suite.store.load_history` returns them; None: draw no figures.
        verdicts: the verdicts on the grid's claims.
        folder: the folder to write.
        published: the published tables that the claims come from.
        factorials: the factorials of the runs, if the grid combines methods.
        series: the gains over the levels of settings, if the grid has such axes.
        levels: their tables.
        corruptions: the tables of errors on corrupted images, if runs were tested on them.
        tasks: the tables of segmentations and of groupings into regions, if runs are such.
        records: the records of the runs, by trial id; without them the page doesn't say which code made a run.
        up: the address of the page of all claims, to link to; empty if there is none.

    Raises:
        InputError: the folder can't be written, or the frame has two different training runs under one name.
    """
    cells = rows(frame)
    results = summary_table(cells, grid.budget)
    comparisons = [row.comparison for row in cells if row.comparison is not None]
    accuracy = accuracy_name(cells)
    drawn, groups = curves.panels(frame, history, accuracy=accuracy) if history is not None else ([], 0)
    alike = patch_similarity.likenesses(frame, history) if history is not None else []
    looked = path_figures.paths(verdicts) if history is not None else []
    effects = effect_tables(factorials, grid.budget)
    beside = [text_table(table) for table in published]
    interactions = interaction_figures.draw_all(factorials) if history is not None else {}
    drawings = {**curves.draw_panels(drawn), **patch_similarity.draw_likenesses(alike)}
    drawings |= path_figures.draw_paths(looked)
    by_kind = kind_gains(frame) if history is not None else []
    drawn_kinds = draw_kinds(by_kind)
    whole = {"gains": draw_gains(comparisons)} if history is not None else {}
    by_level = draw_series(series, curves_of(history)) if series and history is not None else {}
    scale = common_scale(verdicts)
    of_runs = {trial: panel.name for panel in drawn for trial in panel.trials}
    groups_of_claims, notes = claim_groups(verdicts, scale, of_runs, grid.budget)

    def view(table: Table) -> dict[str, Any]:
        return html_view(_without_budget(table, grid.budget))

    page = template("report.html.j2").render(
        results=html_view(_without_budget(results, grid.budget), gain_marks([row.comparison for row in cells])),
        **_failures(frame),
        grid=grid,
        css=Markup(  # noqa: S704 -- files of this package, and numbers
            asset("base.css") + asset("claims.css").replace("GRIDLINES", gridlines(scale)) + asset("report.css")
        ),
        up=up,
        shapes=SHAPES,
        axis=axis(scale),
        groups=groups_of_claims,
        notes=notes,
        **run_list(frame, records or {}, claims_of_runs(verdicts), rerun_options(grid.command, grid.name)),
        sections=_sections(
            grid,
            frame,
            published,
            factorials,
            bool(alike),
            bool(levels),
            bool(corruptions),
            tasks,
            _curves_title(drawn),
        ),
        published=[view(table) for table in beside],
        effects=[view(table) for table in effects],
        interactions=_interactions(factorials, interactions),
        levels=[view(table) for table in levels],
        corruptions=[view(table) for table in corruptions],
        tasks=[{"name": table.name, "text": _TASKS[table.name], "table": view(table)} for table in tasks],
        by_kind=[_kinds(one, drawing) for one, drawing in zip(by_kind, drawn_kinds.values(), strict=False)],
        series=[_series(one, drawing) for one, drawing in zip(series, by_level.values(), strict=False)],
        overview=overview(grid, frame, verdicts),
        facts=facts(grid, frame),
        paths=[_path(one, drawings[one.name]) for one in looked],
        meanings=[(SIGNS[word][1], meaning) for word, meaning in MEANINGS.items()],
        curves=[_curve(panel, drawings[panel.name]) for panel in drawn],
        alike=[_alike(one, drawings[one.name]) for one in alike],
        more_panels=groups if groups > len(drawn) else 0,
        more_gains=MAX_GAINS if len(comparisons) > MAX_GAINS else 0,
        key=_key(drawn),
        curves_title=_curves_title(drawn),
        accuracy=accuracy,
        with_curves=any(panel.has_curves for panel in drawn),
        with_dots=any(not panel.has_curves for panel in drawn),
        has_figures=history is not None,
        dropped=by_reason(grid.dropped),
        commands=grid.commands,
        recipes=[
            (name, [(key, shown_value(value)) for key, value in values.items()])
            for name, values in grid.recipes.items()
        ],
        environments=environments(frame),
        caveats=list(caveats(grid, frame, history, verdicts)),
        version=__version__,
        made=made(frame),
    )
    write_summary(results, folder / "tables")
    write([*levels, *corruptions, *tasks, *beside, *effects], folder / "tables")
    _write_figures({**drawings, **interactions, **by_level, **whole, **drawn_kinds}, folder / "figures")
    write_atomic(folder / "verdicts.json", to_json(verdicts, by_claim(verdicts)).encode())
    write_atomic(folder / "index.html", encodable(page).encode())
    return folder / "index.html"


def _without_budget(table: Table, budget: str) -> Table:
    """The table as the page shows it, which says once, at its top, what the budget is."""
    return replace(table, below=tuple(text for text in table.below if text not in budget_note(budget)))


def _write_figures(drawings: Mapping[str, str], folder: Path) -> None:
    for name, text in drawings.items():
        write_atomic(folder / f"{name}.svg", svg_file(text).encode())
    kinds = ("curves-*", "interactions-*", "levels-*", "similarity-*", "path-*", "corruptions-*", "gains")
    for path in [path for kind in kinds for path in folder.glob(f"{kind}.svg")]:
        if path.stem not in drawings:  # left over from an earlier report with more cells, or with figures
            path.unlink()


# ── the head ──────────────────────────────────────────────────────────────────────────────────────────


# What runs of a task answer, by the name of its table.
_TASKS = {
    "segmentation": "Each pixel of a test image has a class. Pixel accuracy is the share of labelled pixels that are "
    "correct.",
    "regions": "The patches of each test image are grouped into regions without classes, and compared with the regions "
    "that several people drew.",
}


def _sections(
    grid: GridSummary,
    frame: Frame,
    published: Sequence[PublishedTable],
    factorials: Sequence[Factorial],
    alike: bool,
    levels: bool,
    corruptions: bool,
    tasks: Sequence[Table],
    curves_title: str,
) -> list[tuple[str, str]]:
    combined = [("interactions", "Do the gains add up?")] if factorials else []
    beside = [("published", "Beside the paper")] if published else []
    dropped = [("dropped", "Cells left out")] if grid.dropped else []
    return [
        ("verdicts", "Verdicts"),
        ("results", "Results"),
        *([("levels", "By setting")] if levels else []),
        *([("corruptions", "Corrupted images")] if corruptions else []),
        *((table.name, table.caption) for table in tasks),
        *combined,
        *beside,
        ("curves", curves_title),
        *([("alike", "How alike patches are")] if alike else []),
        *([("runs", "The runs")] if len(frame["trial_id"]) else []),
        ("failures", "Failures"),
        *dropped,
        ("made", "How this was made"),
        ("caveats", "What to keep in mind"),
    ]


# ── curves, failures, dropped cells ───────────────────────────────────────────────────────────────────


def _labelled(drawing: str, label: str) -> Markup:
    """A drawing as the page embeds it, with a label for screen readers. matplotlib has escaped its own text."""
    opening = Markup('<svg role="img" aria-label="{}" ').format(label)
    return Markup(drawing.replace("<svg ", opening, 1))  # noqa: S704


def _curves_title(drawn: Sequence[curves.Panel]) -> str:
    return "Accuracy curves" if any(panel.has_curves for panel in drawn) or not drawn else "Accuracies"


def _curve(panel: curves.Panel, drawing: str) -> dict[str, Any]:
    ends = "; ".join(f"{line.join} {line.mean[-1]:.2f} % (n = {line.n})" for line in panel.lines)
    kind = "Accuracy by epoch" if panel.has_curves else "Accuracy of each seed"
    svg = _labelled(drawing, f"{kind} of {panel.title}. At the end: {ends}")
    return {"name": panel.name, "title": panel.title, "ends": f"at the end: {ends}", "svg": svg}


def _interactions(factorials: Sequence[Factorial], drawings: Mapping[str, str]) -> list[dict[str, Any]]:
    shown = []
    for factorial, drawing in zip(factorials, drawings.values(), strict=False):  # there may be no drawings
        means = ", ".join(
            f"{' '.join(cell)} {sum(its.values()) / len(its):.2f} %" for cell, its in factorial.values.items() if its
        )
        svg = _labelled(drawing, f"Mean accuracies: {means}")
        shown.append({"title": interaction_figures.title(factorial), "svg": svg})
    return shown


def _path(one: path_figures.Drawn, drawing: str) -> dict[str, Any]:
    svg = _labelled(drawing, f"Gain after each pair: {one.title}, {one.caption}")
    return {"title": one.title, "ends": one.caption, "svg": svg}


def _series(one: Series, drawing: str) -> dict[str, Any]:
    gains = "; ".join(f"{level}: {gain_text(comparison.gain)}" for level, comparison in one.points)
    title = f"{one.title}: {one.treatment} vs {one.baseline} by {one.key}"
    return {"title": title, "svg": _labelled(drawing, f"{title}. Gains in points: {gains}")}


def _kinds(one: KindGains, drawing: str) -> dict[str, Any]:
    gains = "; ".join(f"{kind.replace('_', ' ')} {gain_text(gain)}" for kind, gain in one.gains.items())
    return {"title": one.title, "svg": _labelled(drawing, f"{one.title}. Gains in points by corruption: {gains}")}


def _alike(one: patch_similarity.Likeness, drawing: str) -> dict[str, Any]:
    ends = patch_similarity.ends(one.lines)
    svg = _labelled(drawing, f"Mean |cos| between patches after each block, of {one.title}. After the last: {ends}")
    return {"title": one.title, "ends": f"after the last block: {ends}", "svg": svg}


def _key(drawn: Sequence[curves.Panel]) -> list[tuple[str, int]]:
    joins = dict.fromkeys(line.join for panel in drawn for line in panel.lines)
    return [(join, colour_number(join)) for join in joins]


def _failures(frame: Frame) -> dict[str, Any]:
    failed = [run for run in unique_runs(frame) if run["status"] != "done"]
    failed.sort(key=lambda run: (*(str(run[axis]) for axis in AXIS_FIELDS), int(run["seed_index"])))
    return {
        "failures": [_failure(run) for run in failed[:MAX_FAILURES]],
        "more_failures": len(failed) if len(failed) > MAX_FAILURES else 0,
    }


def _failure(run: Run) -> dict[str, Any]:
    error: str = "" if is_missing(run["error"]) else str(run["error"]).strip()
    last: str = error.splitlines()[-1] if error else NONE
    if run["status"] == "diverged" and not is_missing(run["diverged_step"]):
        last = f"the loss was not finite at step {int(run['diverged_step'])}"
    return {
        "cell": " ".join(str(run[axis]) for axis in AXIS_FIELDS if not is_usual(axis, str(run[axis]))),
        "seed": int(run["seed_index"]),
        "status": run["status"],
        "epochs": int(run["epochs"]),
        "trial": run["trial_id"],
        "last": last if len(last) <= 90 else f"{last[:89]}…",
        "error": error,
    }


# ── how it was made ───────────────────────────────────────────────────────────────────────────────────
