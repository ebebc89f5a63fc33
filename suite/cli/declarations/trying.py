"""Declares `lape try`, which leads from a method and a number of hours to a verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from suite.cli.options import MOST_HOURS, REPORTS, JSONOption, MethodsOption, ReportsOption, ResultsOption
from suite.store.files import RESULTS

commands = typer.Typer()


@commands.command("try")
def try_command(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="A joining method, position embedding, norm or loss: `lape ls`.")
    ],
    hours: Annotated[float, typer.Option(min=0.001, max=MOST_HOURS, metavar="H", help="The time to spend.")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="digits, cifar10_subset or cifar10. [default: the most expensive one that is prepared and fits]",
            show_default=False,
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(help="An architecture or a family. [default: the first that can have it]", show_default=False),
    ] = None,
    claim: Annotated[
        float | None,
        typer.Option(
            metavar="GAIN",
            help="The gain that you expect, in percentage points, such as +0.5. [default: a gain of any size]",
            show_default=False,
        ),
    ] = None,
    methods: MethodsOption = None,
    axis: Annotated[
        str | None, typer.Option(help="join, pe, norm or loss, if the name stands on several.", show_default=False)
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Compare with this level. [default: the usual one]", show_default=False),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="recipe.KEY=VALUE", help="Override a value of the recipe, for both sides."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The name of the grid and its folder. [default: try_METHOD…]", show_default=False),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="serial: in this process, one trial after another; or ray: as many as fit.")
    ] = "serial",
    at_once: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With ray: at most N trials at a time.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each trial.")] = 1,
    as_json: JSONOption = False,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Try a method for some hours: choose an experiment, run it until it is decided, and tell the verdict.

    The command measures how fast this machine trains, and chooses data, model, epochs and a largest number of pairs
    that fit into the time. It writes the grid and the claim into grids/NAME/ before any run, and doesn't change them
    again. It may be stopped and repeated: the same command goes on. Exit code 0: the claim has a word, or all its
    pairs; 1: the time was spent before, or a failed pair is in the way.
    """
    from suite.cli.commands.execution import Execution
    from suite.cli.commands.try_method import Folders, try_method
    from suite.cli.trying.question import ask
    from suite.train.machine import Machine

    question = ask(method, axis=axis, over=over, claim=claim, data=data, arch=arch, recipe=overrides or [], name=name)
    ended = try_method(
        question,
        hours,
        Execution(executor, at_once=at_once),
        Machine(None, device, threads, snapshot_seconds=600.0),
        Folders(results, reports),
        as_json=as_json,
    )
    raise typer.Exit(0 if ended else 1)
