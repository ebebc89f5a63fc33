"""Prints a grid's tables and verdicts, and writes its report.

This module imports neither torch nor Ray, so that it works on a machine without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from suite.cli.commands.console import open_console, print_line, shown
from suite.report.workspace import Workspace
from suite.run.plan import Plan, make_plan
from suite.store.files import make_folder
from suite.text import counted, note, say

if TYPE_CHECKING:
    from suite.grid.recipe import Recipe
    from suite.verdict.verdicts import Verdict

# Verdicts that a reader may quote. Their caveats are printed here, and not only in the report.
_SAYS_SOMETHING = ("confirmed", "direction_only", "contradicted", "gain_here", "opposite_here", "no_gain_here")


def print_tables(workspace: Workspace, *, as_json: bool = False) -> None:
    """Run `lape tables`: print a grid's tables, and write them as CSV, Markdown and LaTeX."""
    from suite.cli.answers.answer import json_text
    from suite.cli.answers.tables import tables_answer
    from suite.report.tables.effects import effect_tables
    from suite.report.tables.published_text import text_table
    from suite.report.tables.render import write
    from suite.report.tables.rows import rows
    from suite.report.tables.summary import summary_table, write_summary
    from suite.report.tables.terminal import to_terminal

    make_folder(workspace.report_folder)
    folder = workspace.report_folder / "tables"
    console = open_console()
    budget = workspace.budget_note
    summary = [summary_table(rows(workspace.columns), budget)] if workspace.has_runs else []
    further = workspace.level_tables() + workspace.corruption_tables() + workspace.task_tables()
    further += effect_tables(workspace.factorials, budget)
    further += [text_table(published) for published in workspace.published()]
    written = [path for table in summary for path in write_summary(table, folder)]
    if as_json:
        written += write(further, folder)
        runs = len(workspace.columns["trial_id"])
        found = tables_answer(workspace.grid.name, budget, runs, [*summary, *further], written)
        say(json_text(found, indent=1))
        return
    if not summary:
        print_line(console, f"{workspace.grid.name}: no runs yet")
    for table in summary:
        console.print(to_terminal(table, console.width))
    for table in further:
        console.print()
        console.print(to_terminal(table, console.width))
    for path in [*written, *write(further, folder)]:
        print_line(console, shown(path))


def print_verdicts(workspace: Workspace, *, as_json: bool = False, long: bool = False) -> bool:
    """Run `lape verify`: print the verdict on each claim.

    Args:
        workspace: the grid with its results.
        as_json: print JSON.
        long: print each verdict's sentence and caveats, in place of a table.

    Returns:
        Whether any claim is contradicted.
    """
    from suite.cli.answers.answer import json_text
    from suite.cli.answers.verify import verdicts_answer
    from suite.cli.commands.verdict_table import below_table, verdict_lines
    from suite.verdict.paper_level import paper_answers

    console = open_console()
    verdicts = workspace.verdicts
    if as_json:
        say(json_text(verdicts_answer(verdicts), indent=2))
    elif not verdicts:
        print_line(console, f"{workspace.grid.name} names no claims")
    elif long:
        _print_sentences(console, verdicts)
    else:
        for row in verdict_lines(verdicts, paper_answers(verdicts), console.width):
            console.print(row, soft_wrap=True)
        for line in below_table(verdicts, workspace.command_for("verify")):
            console.print(Text(line, style="dim"), soft_wrap=True)
    return any(verdict.word == "contradicted" for verdict in verdicts)


def _print_sentences(console: Console, verdicts: Sequence[Verdict]) -> None:
    from suite.cli.commands.verdict_table import word_text
    from suite.verdict.paper_level import paper_answers

    for verdict in verdicts:
        console.print(Text.assemble(word_text(verdict), ": ", verdict.claim.title))
        console.print(Text("  " + verdict.sentence))
        if verdict.word in _SAYS_SOMETHING:
            for caveat in verdict.caveats:
                console.print(Text(f"  but: {caveat}", style="dim"))
    for answer in paper_answers(verdicts):
        console.print(Text.assemble(("together", "bold"), ": ", answer.title, ", ", answer.treatment))
        console.print(Text("  " + answer.sentence))


def write_report(workspace: Workspace) -> str:
    """Run `lape report`: write the page with its figures and tables, and return its path."""
    from suite.report.figures.available import left_out, missing_packages
    from suite.report.index.page import INDEX
    from suite.report.page import render
    from suite.report.remarks import GridSummary

    make_folder(workspace.report_folder)
    plan = make_plan(workspace.expansion if workspace.choices else workspace.counted, workspace.records)
    recipes = {trial.recipe_name: _shown_recipe(trial.recipe) for trial in workspace.expansion.trials}
    summary = GridSummary(
        name=workspace.grid.name,
        description=workspace.grid.file.description,
        total=plan.total,
        done=len(plan.done),
        failed=len(plan.failed),
        missing=len(plan.to_do),
        dropped=tuple((cell.label, cell.reason) for cell in plan.dropped),
        recipes=recipes,
        seeds=tuple(workspace.grid.file.seeds),
        command=workspace.command,
        budget=workspace.budget_note,
    )
    drawn = not missing_packages()
    if not drawn:
        note(left_out())
    page = render(
        summary,
        workspace.columns,
        workspace.history if drawn else None,
        workspace.verdicts,
        workspace.report_folder,
        published=workspace.published(),
        factorials=workspace.factorials,
        series=workspace.series,
        levels=workspace.level_tables(),
        corruptions=workspace.corruption_tables(),
        tasks=workspace.task_tables(),
        records=workspace.records,
        up=f"../{INDEX}" if (workspace.reports / INDEX).is_file() else "",
    )
    return shown(page)


def _shown_recipe(recipe: Recipe) -> dict[str, Any]:
    """The values of a recipe that a report lists: all, but no `corruptions` of a recipe without them."""
    values = recipe.model_dump(mode="json")
    return {key: value for key, value in values.items() if key != "corruptions" or value is not None}


def write_all_reports(results: Path, reports: Path) -> str:
    """Run `lape report --all`: write the page of all claims and the report of each grid with runs.

    Args:
        results: the folder of all grids' results.
        reports: the folder of all grids' reports.

    Returns:
        The path of the page of all claims.
    """
    from suite.report.index.entries import entries, open_all
    from suite.report.index.page import write_index

    workspaces = open_all(results, reports)
    lines = entries(workspaces)
    make_folder(reports)
    page = write_index(lines, workspaces, reports)
    for workspace in workspaces:
        if workspace.has_runs:
            write_report(workspace)
    return shown(page)


def print_outcome(console: Console, workspace: Workspace) -> None:
    """Print the summary at the end of `lape run`: the table, the verdicts and the path of the report."""
    from suite.report.tables.rows import rows
    from suite.report.tables.summary import summary_table
    from suite.report.tables.terminal import to_terminal

    if workspace.has_runs:
        console.print()
        console.print(to_terminal(summary_table(rows(workspace.columns), workspace.budget_note), console.width))
        console.print()
    print_verdicts(workspace)
    print_line(console, f"report: {write_report(workspace)}")


def print_weights(console: Console, workspace: Workspace, plan: Plan) -> None:
    """Print the folder of the weights of finished trials, and how many finished trials have no weights."""
    files = {record.trial_id: workspace.store.weights(record.trial_id) for record in plan.done}
    missing = [trial_id for trial_id, file in files.items() if not file.exists()]
    if len(files) > len(missing):
        folder = next(iter(files.values())).parent
        print_line(console, f"weights of {counted(len(files) - len(missing), 'run')}: {shown(folder)}")
    if missing:
        print_line(
            console,
            f"{counted(len(missing), 'run has', 'runs have')} no weights there, {missing[0]} for instance: without "
            "--keep-weights, or the file couldn't be written; `lape rerun ID --weights FILE` makes it",
        )
