"""What is printed about a grid: its plan, its status, its table, its verdicts, its report.

Needs neither torch nor Ray: a reviewer's laptop has none.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from suite.cli.commands.console import COLOURS, open_console, print_line, shown
from suite.report.workspace import Workspace
from suite.run.plan import Plan, make_plan
from suite.store.files import make_folder
from suite.text import say

# A reader may take these words away; what stands beside them must not be left to the report.
_SAYS_SOMETHING = ("confirmed", "direction_only", "contradicted")


def print_tables(workspace: Workspace) -> None:
    """`lape tables`."""
    from suite.report.tables import effects as effect_tables
    from suite.report.tables import published_text
    from suite.report.tables.summary import to_terminal, write_tables

    make_folder(workspace.report_folder)
    frame = workspace.frame
    console = open_console()
    published = workspace.published()
    if frame.empty:
        print_line(console, f"{workspace.grid.name}: no runs yet")
    else:
        console.print(to_terminal(frame, console.width, workspace.budget_note))
    effects = effect_tables.texts(workspace.factorials, workspace.budget_note)
    for text in effects:
        console.print()
        console.print(effect_tables.to_terminal(text))
    for table in published:
        console.print()
        console.print(published_text.to_terminal(table))
    folder = workspace.report_folder / "tables"
    summary = [] if frame.empty else write_tables(frame, folder, workspace.budget_note)
    further = [*effect_tables.write_texts(effects, folder), *published_text.write_published(published, folder)]
    for path in [*summary, *further]:
        print_line(console, shown(path))


def print_verdicts(workspace: Workspace, *, as_json: bool = False) -> bool:
    """`lape verify`. Is any claim contradicted?"""
    from suite.verdict.verdicts import to_json

    console = open_console()
    if as_json:
        say(to_json(workspace.verdicts), end="")
    else:
        for verdict in workspace.verdicts:
            word = Text(verdict.word.replace("_", " "), style=f"bold {COLOURS.get(verdict.word, 'dim')}")
            console.print(Text.assemble(word, ": ", verdict.claim.title))
            console.print(Text("  " + verdict.sentence))
            if verdict.word in _SAYS_SOMETHING:
                for caveat in verdict.caveats:
                    console.print(Text(f"  but: {caveat}", style="dim"))
        if not workspace.verdicts:
            print_line(console, f"{workspace.grid.name} names no claims")
    return any(verdict.word == "contradicted" for verdict in workspace.verdicts)


def write_report(workspace: Workspace) -> str:
    """`lape report`: write the page and what belongs to it, and say where it is."""
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
    )
    return shown(page)


def print_outcome(console: Console, workspace: Workspace) -> None:
    """What a run ends with: the table, the verdicts, the report."""
    from suite.report.tables.summary import to_terminal

    frame = workspace.frame
    if not frame.empty:
        console.print()
        console.print(to_terminal(frame, console.width, workspace.budget_note))
        console.print()
    print_verdicts(workspace)
    print_line(console, f"report: {write_report(workspace)}")


def print_weights(console: Console, workspace: Workspace, plan: Plan) -> None:
    """Where the weights of the done trials are, and which of them have none."""
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
