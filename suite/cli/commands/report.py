"""Prints a grid's tables and verdicts, and writes its report.

This module imports neither torch nor Ray, so that it works on a machine without them.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from suite.cli.commands.console import COLOURS, open_console, print_line, shown
from suite.report.workspace import Workspace
from suite.run.plan import Plan, make_plan
from suite.store.files import make_folder
from suite.text import say

# Verdicts that a reader may quote. Their caveats are printed here, and not only in the report.
_SAYS_SOMETHING = ("confirmed", "direction_only", "contradicted", "gain_here", "opposite_here", "no_gain_here")


def print_tables(workspace: Workspace) -> None:
    """Run `lape tables`: print a grid's tables, and write them as CSV, Markdown and LaTeX."""
    from suite.report.tables.effects import effect_tables
    from suite.report.tables.published_text import text_table
    from suite.report.tables.render import to_terminal, write
    from suite.report.tables.rows import rows
    from suite.report.tables.summary import summary_table, write_summary

    make_folder(workspace.report_folder)
    folder = workspace.report_folder / "tables"
    console = open_console()
    written = []
    if not workspace.has_runs:
        print_line(console, f"{workspace.grid.name}: no runs yet")
    else:
        table = summary_table(rows(workspace.columns), workspace.budget_note)
        console.print(to_terminal(table, console.width))
        written = write_summary(table, folder)
    further = workspace.level_tables()
    further += effect_tables(workspace.factorials, workspace.budget_note)
    further += [text_table(published) for published in workspace.published()]
    for table in further:
        console.print()
        console.print(to_terminal(table))
    for path in [*written, *write(further, folder)]:
        print_line(console, shown(path))


def print_verdicts(workspace: Workspace, *, as_json: bool = False) -> bool:
    """Run `lape verify`: print the verdict on each claim. Returns whether any claim is contradicted."""
    from suite.verdict.paper_level import by_claim, paper_answers
    from suite.verdict.verdicts import to_json

    console = open_console()
    if as_json:
        say(to_json(workspace.verdicts, by_claim(workspace.verdicts)), end="")
    else:
        for verdict in workspace.verdicts:
            word = Text(verdict.word.replace("_", " "), style=f"bold {COLOURS.get(verdict.word, 'dim')}")
            console.print(Text.assemble(word, ": ", verdict.claim.title))
            console.print(Text("  " + verdict.sentence))
            if verdict.word in _SAYS_SOMETHING:
                for caveat in verdict.caveats:
                    console.print(Text(f"  but: {caveat}", style="dim"))
        for answer in paper_answers(workspace.verdicts):
            console.print(Text.assemble(("together", "bold"), ": ", answer.title, ", ", answer.treatment))
            console.print(Text("  " + answer.sentence))
        if not workspace.verdicts:
            print_line(console, f"{workspace.grid.name} names no claims")
    return any(verdict.word == "contradicted" for verdict in workspace.verdicts)


def write_report(workspace: Workspace) -> str:
    """Run `lape report`: write the page with its figures and tables, and return its path."""
    from suite.report.page import render
    from suite.report.remarks import GridSummary

    make_folder(workspace.report_folder)
    plan = make_plan(workspace.expansion, workspace.records)
    recipes = {trial.recipe_name: trial.recipe.model_dump(mode="json") for trial in workspace.expansion.trials}
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
    page = render(
        summary,
        workspace.frame,
        workspace.history,
        workspace.verdicts,
        workspace.report_folder,
        published=workspace.published(),
        factorials=workspace.factorials,
        series=workspace.series,
        levels=workspace.level_tables(),
    )
    return shown(page)


def print_outcome(console: Console, workspace: Workspace) -> None:
    """Print the summary at the end of `lape run`: the table, the verdicts and the path of the report."""
    from suite.report.tables.render import to_terminal
    from suite.report.tables.rows import rows
    from suite.report.tables.summary import summary_table

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
        print_line(console, f"weights of {len(files) - len(missing)} runs: {shown(folder)}")
    if missing:
        print_line(
            console,
            f"{len(missing)} runs have no weights there, {missing[0]} for instance: they ran without --keep-weights, "
            "or the file couldn't be written; `lape rerun ID --weights FILE` makes it",
        )
