"""Declares `lape run`, `lape status`, `lape merge` and `lape rerun`, which create and manage records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from suite.cli.options import (
    MOST_HOURS,
    MOST_MINUTES,
    MOST_SECONDS,
    REPORTS,
    CompileOption,
    DeterministicOption,
    GPUsOption,
    GridArgument,
    JSONOption,
    MethodsOption,
    MicroBatchOption,
    ProcessesOption,
    ReportsOption,
    ResultsOption,
    SeedsOption,
    SetOption,
    StaleOption,
    chosen_workspace,
)
from suite.errors import InputError
from suite.store.files import RESULTS

commands = typer.Typer()


@commands.command()
def run(
    grid: GridArgument,
    executor: Annotated[str, typer.Option(help="ray; or serial: in this process, one trial after another.")] = "ray",
    address: Annotated[
        str | None, typer.Option(help="Address of an existing Ray cluster ('auto': on this machine).")
    ] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Run at most N trials now."),
    ] = None,
    retry: Annotated[
        str,
        typer.Option(
            metavar="STATUS,…", help="Run failed trials with these statuses again: diverged, error, timeout, oom."
        ),
    ] = "",
    stale: StaleOption = "",
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided", help="Add pairs where they decide a claim soonest, until every claim has a word."
        ),
    ] = False,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=MOST_HOURS,
            metavar="H",
            help="With --until-decided: begin no pair that would end after H hours.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each trial.")] = 1,
    deterministic: DeterministicOption = False,
    compiled: CompileOption = None,
    snapshot_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_MINUTES,
            show_default=False,
            help="Minutes between two snapshots of a training run. [default: 10, unless --snapshot-epochs is given]",
        ),
    ] = None,
    snapshot_epochs: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Save a snapshot of each training run every K epochs.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="LAPE_STORAGE",
            help="Storage for snapshots and for records in transfer: a folder that all nodes mount, or s3://….",
        ),
    ] = None,
    micro_batch: MicroBatchOption = None,
    processes: ProcessesOption = None,
    gpus_per_trial: GPUsOption = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Run at most N trials concurrently. [default: as many as the resources allow]"
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0.001, max=MOST_MINUTES, help="Time limit of each training run. [default: none]"
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a trial is retried after an infrastructure error.")
    ] = 3,
    retry_wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, max=MOST_SECONDS, help="Delay before the first retry; it doubles each time."
        ),
    ] = 10,
    stop_cell: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Skip the remaining seeds of a cell whose first N seeds have failed; 0: never."
        ),
    ] = 3,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Save the weights of finished trials in weights/ beside the records.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Start Ray's dashboard on 127.0.0.1, protected by a token.")
    ] = False,
    curves: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Write training curves for TensorBoard into this folder."),
    ] = None,
    as_json: JSONOption = False,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Run the missing trials of a grid, then print its table, its verdicts and the path of its report.

    The command may be stopped and repeated: finished trials are kept and never run again. Exit code 0: all trials of
    the grid are done; 1: some are missing (for instance after --limit) or have failed.

    With --until-decided, seeds are added up to the largest number of pairs that the claim file fixes. Exit code 0:
    every claim has a word, or all its pairs; 1: some have neither.
    """
    from suite.cli.commands.execution import Execution
    from suite.cli.commands.run import run_grid
    from suite.run.policy import Policy
    from suite.train.machine import Machine

    seconds = None if time_limit is None else 60 * time_limit
    workspace = chosen_workspace(grid, overrides, seeds, results, reports)
    if hours is not None and not until_decided:
        raise InputError(
            "hours without --until-decided",
            expected="--hours together with --until-decided",
            found=f"--hours {hours:g}",
            where="lape run",
            fix="add --until-decided, or limit single trials by --time-limit",
        )
    run: Callable[..., bool] = run_grid
    if until_decided:
        from suite.cli.commands.until_decided import run_until_decided

        run = partial(run_until_decided, hours=hours)
    complete = run(
        workspace,
        Execution(executor, address, gpus_per_trial, at_once, dashboard, keep_weights, storage, curves),
        limit=limit,
        retry=retry,
        stale=stale,
        machine=Machine(
            data,
            device,
            threads,
            deterministic,
            compiled,
            _snapshot_seconds(snapshot_minutes, snapshot_epochs),
            micro_batch,
            snapshot_epochs,
            time_limit=seconds,
            processes=processes or 1,
        ),
        policy=Policy(retries, retry_wait, stop_cell, seconds),
        as_json=as_json,
    )
    raise typer.Exit(0 if complete else 1)


def _snapshot_seconds(minutes: float | None, epochs: int | None) -> float | None:
    if minutes is None:
        return None if epochs is not None else 600.0
    return 60 * minutes


@commands.command()
def status(
    grid: GridArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Print repeatedly until the grid is complete.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, max=MOST_SECONDS, help="Seconds between two updates of --watch.")
    ] = 5,
    as_json: JSONOption = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Print a grid's progress: trials by status, running trials with node and speed, time left, and failures.

    The command only reads the results folder. It works from any machine that can read the folder, whether or not the
    grid is running.
    """
    from suite.cli.commands.status import print_status
    from suite.run.opened_grid import open_grid

    opened = open_grid(grid, overrides or [], seeds, results, reading=True)
    print_status(opened, watch=watch, every=every, as_json=as_json)


@commands.command()
def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC… DST",
            help="Result folders to merge, of one grid or of several; the last one is the destination.",
        ),
    ],
) -> None:
    """Merge the results of several machines. If runs contradict each other, nothing is written."""
    from suite.cli.commands.merge import print_merge

    print_merge(folders)


@commands.command()
def rerun(
    trial_id: Annotated[str, typer.Argument(help="A trial's id, or the beginning of one.")],
    grid: Annotated[str | None, typer.Option(help="The trial's grid. [default: search all of grids/]")] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    deterministic: DeterministicOption = False,
    compiled: CompileOption = None,
    micro_batch: MicroBatchOption = None,
    processes: ProcessesOption = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the trained weights in this .safetensors file.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Train one trial again in this process, and compare it with its record, which isn't changed."""
    from suite.cli.commands.rerun import rerun_trial
    from suite.train.machine import Machine

    same = rerun_trial(
        trial_id,
        grid,
        overrides or [],
        seeds,
        results,
        machine=Machine(
            data, device, threads, deterministic, compiled, micro_batch=micro_batch, processes=processes or 1
        ),
        weights=weights,
    )
    raise typer.Exit(0 if same else 1)
