"""Declares `lape tables`, `lape verify` and `lape report`, which evaluate records."""

from __future__ import annotations

from typing import Annotated

import typer

from suite.cli.options import (
    REPORTS,
    CSVOption,
    GridArgument,
    JSONOption,
    MethodsOption,
    ReportsOption,
    ResultsOption,
    SeedsOption,
    SetOption,
    chosen_workspace,
)
from suite.errors import InputError
from suite.store.files import RESULTS
from suite.text import say

commands = typer.Typer()


@commands.command()
def tables(
    grid: GridArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    as_json: JSONOption = False,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Print a grid's table, and write it as CSV, Markdown and LaTeX."""
    from suite.cli.commands.report import print_tables

    print_tables(chosen_workspace(grid, overrides, seeds, results, reports, reading=True), as_json=as_json)


@commands.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="GRID", help="A grid; with --static, claim files. [default: all of grids/claims/]"),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Compare printed parameters and MACs with our models: no training.")
    ] = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    long: Annotated[bool, typer.Option("--long", help="Print each verdict's sentence and caveats.")] = False,
    as_json: JSONOption = False,
    target: CSVOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Judge a grid's claims by its runs. Exit code 0: no claim is contradicted; 1: some are.

    With --static, compare published parameter counts with those of the suite's models. A count that rounds to the
    printed digits, or has them if the rest is cut off, is confirmed; any other is contradicted.
    """
    if static:
        if overrides or seeds is not None or long:
            told = "--set, --seeds and --long belong to a grid"
            raise _misused(told, "claim files alone", "--static with a grid's options")
        from suite.cli.commands.static import print_static_verdicts

        contradicted = print_static_verdicts(names or [], as_json=as_json, target=target)
    else:
        if names is None or len(names) != 1 or target is not None:
            found = "--csv" if target is not None else ", ".join(names or ()) or "nothing"
            raise _misused("verify judges one grid", "one grid, and --csv with --static only", found)
        from suite.cli.commands.report import print_verdicts

        workspace = chosen_workspace(names[0], overrides, seeds, results, REPORTS, reading=True)
        contradicted = print_verdicts(workspace, as_json=as_json, long=long)
    raise typer.Exit(1 if contradicted else 0)


def _misused(what: str, expected: str, found: str) -> InputError:
    fix = "for instance `lape verify quickstart`, or `lape verify --static`"
    return InputError(what, expected=expected, found=found, where="lape verify", fix=fix)


@commands.command()
def report(
    grid: Annotated[
        str | None, typer.Argument(metavar="[GRID]", help="A grid file, or a name that `lape ls grids` lists.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All grids: a page of every claim, and a report of each grid with runs.")
    ] = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Write a grid's report: a self-contained web page with tables, figures and verdicts.

    With --all, write the reports of all grids that have runs, and reports/index.html: every claim of every paper in one
    forest plot, with what is not tested, its reason and its cost.
    """
    from suite.cli.commands.report import write_all_reports, write_report

    if every == (grid is not None) or (every and (overrides or seeds is not None)):
        found = "--all with a grid or its options" if every else "nothing"
        raise InputError(
            "report writes one grid's page, or all",
            expected="a grid, or --all without a grid and its options",
            found=found,
            where="lape report",
            fix="for instance `lape report quickstart`, or `lape report --all`",
        )
    if grid is None:
        say(write_all_reports(results, reports))
    else:
        say(write_report(chosen_workspace(grid, overrides, seeds, results, reports, reading=True)))
