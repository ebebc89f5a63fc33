"""Declares `lape check` and `lape plan`, which examine a grid before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.cli.options import (
    REPORTS,
    CSVOption,
    GPUsOption,
    GridArgument,
    JSONOption,
    MethodsOption,
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
def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="GRID…", help="Grid files, names of grids, or claim files.")
    ] = None,
    methods: MethodsOption = None,
    as_json: JSONOption = False,
) -> None:
    """Validate grids and claim files, and print all errors with file and line.

    For a claim file, also list the differences that the paper states but that don't follow from its own tables. These
    are findings about the paper, not errors, so the exit code is 0.

    Without a grid, build each level of the --methods in a small model of every family that it fits, and train a step.
    """
    from suite.cli.commands.check import check_files, check_levels, print_checked

    if files:
        print_checked(check_files(files), as_json=as_json)
        return
    if not methods:
        raise InputError(
            "nothing to check",
            expected="grids or claim files, or --methods FILE",
            found="neither",
            where="lape check",
            fix="for instance `lape check quickstart`",
        )
    print_checked(check_levels(), as_json=as_json)


@commands.command()
def plan(
    grid: GridArgument,
    calibrated: Annotated[
        bool,
        typer.Option("--calibrate", help="First time a few training steps of each kind of trial on this machine."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Concurrent trials. [default: as many as this machine's cores allow]")
    ] = None,
    stale: StaleOption = "",
    as_json: JSONOption = False,
    target: CSVOption = None,
    device: Annotated[str, typer.Option(help="Where trials will run: auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each trial.")] = 1,
    gpus_per_trial: GPUsOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="Plan for this Ray cluster: how many trials run concurrently ('auto': on this machine)."),
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option(metavar="NxCPU:C,GPU:G", help="Plan for these nodes, as 64xCPU:64,GPU:8 (may be repeated)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the prepared data sets, for --calibrate and to verify weights of other models."),
    ] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    methods: MethodsOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Print what a run would do: finished and missing trials, dropped cells, time, and detectable effects.

    The time is estimated from stored runs. Where there are none, it is estimated from a calibration (--calibrate),
    which is stored in the results folder.
    """
    from suite.cli.commands.plan import print_plan
    from suite.train.machine import Machine

    machine = Machine(data, device, threads)
    if gpus_per_trial is not None and address is None and not nodes:
        raise InputError(
            "GPUs of each trial without a cluster",
            expected="--gpus-per-trial together with --address or --nodes",
            found=f"--gpus-per-trial {gpus_per_trial:g}",
            where="lape plan",
            fix="describe the nodes, for instance --nodes 1xCPU:8,GPU:1, or leave it out",
        )
    workspace = chosen_workspace(grid, overrides, seeds, results, REPORTS)
    if calibrated:
        from suite.cli.commands.plan import calibrate_grid

        calibrate_grid(workspace, machine, workers, stale)
    room = None
    if address is not None or nodes:
        from suite.cli.commands.plan import find_room

        room = find_room(workspace, address, nodes or [], threads, gpus_per_trial, stale)
        workers = workers or room.at_once
    print_plan(
        workspace,
        workers=workers,
        as_json=as_json,
        target=target,
        room=room,
        device=device,
        threads=threads,
        stale=stale,
        data=data,
    )
