"""`lape run`, `status`, `merge` and `rerun`: what makes records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.cli.options import (
    REPORTS,
    RESULTS,
    CompileOption,
    DeterministicOption,
    GPUsOption,
    GridArgument,
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

commands = typer.Typer()


@commands.command()
def run(
    grid: GridArgument,
    executor: Annotated[str, typer.Option(help="ray, or serial: in this process, one by one.")] = "ray",
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster ('auto': on this machine).")] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Run at most N trials now."),
    ] = None,
    retry: Annotated[str, typer.Option(metavar="STATUS,…", help="Run again: diverged, error, timeout, oom.")] = "",
    stale: StaleOption = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each trial.")] = 1,
    deterministic: DeterministicOption = False,
    compiled: CompileOption = None,
    snapshot_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default=False,
            help="Minutes from one snapshot of a training to the next. [default: 10, without --snapshot-epochs]",
        ),
    ] = None,
    snapshot_epochs: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="A snapshot of each training every K epochs.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="LAPE_STORAGE",
            help="Keep snapshots there, and records until they are here: a folder that all nodes mount, or s3://….",
        ),
    ] = None,
    micro_batch: MicroBatchOption = None,
    processes: ProcessesOption = None,
    gpus_per_trial: GPUsOption = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Run at most N trials at the same time. [default: what there is room for]"
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", min=0.001, help="Of a trial's training. [default: none]"),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a trial is begun again after an error of the machine.")
    ] = 3,
    retry_wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Before the first of them; then twice as long each time.")
    ] = 10,
    stop_cell: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Skip the rest of a cell whose first N seeds have failed; 0: never."),
    ] = 3,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep the weights of done trials, in weights/ beside their records.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Start Ray's dashboard on 127.0.0.1, behind a token.")
    ] = False,
    curves: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Write curves for TensorBoard into this folder."),
    ] = None,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Run what is missing of a grid, then print its table, its verdicts and the path of its report.

    Safe to stop and repeat: finished trials are kept, and never run again. Exit code 0: every trial of the
    grid is done; 1: some are missing (after --limit, say) or have failed.
    """
    from suite.cli.commands.run import Execution, run_grid
    from suite.run.policy import Policy
    from suite.train.machine import Machine

    seconds = None if time_limit is None else 60 * time_limit
    workspace = chosen_workspace(grid, overrides, seeds, results, reports)
    complete = run_grid(
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
    )
    raise typer.Exit(0 if complete else 1)


def _snapshot_seconds(minutes: float | None, epochs: int | None) -> float | None:
    if minutes is None:
        return None if epochs is not None else 600.0
    return 60 * minutes


@commands.command()
def status(
    grid: GridArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until the grid is complete.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print each look as a line of JSON.")] = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Say how far a grid is: trials by status, what runs where and how fast, time left, and the last errors.

    It only reads the results folder: from any terminal or machine that sees it, while the grid runs or not.
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
            metavar="SRC… DST", help="Results to join, of one grid each or folders of grids; last, into which."
        ),
    ],
) -> None:
    """Join results of several machines. Runs that contradict each other are refused, and nothing is written then."""
    from suite.cli.commands.merge import print_merge

    print_merge(folders)


@commands.command()
def rerun(
    trial_id: Annotated[str, typer.Argument(help="A trial's id, or the beginning of one.")],
    grid: Annotated[str | None, typer.Option(help="Its grid. [default: look through all of grids/]")] = None,
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
        Path | None, typer.Option(metavar="FILE", help="Keep its weights in this .safetensors file.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Run one trial again, in this process, and compare it with its record. The record stays as it is."""
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
