"""The command line. It imports what a command needs when the command runs: `lape --help` is at once."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.errors import InputError
from suite.text import plain

if TYPE_CHECKING:
    from suite.commands.workspace import Workspace

app = typer.Typer(
    name="lape",
    help="Does a published vision-transformer trick hold up? Paired grids, tables, and a verdict on each claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Prepare and list data sets; prepare teachers.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")

GridArgument = Annotated[str, typer.Argument(metavar="GRID", help="A grid file, or the name of one in grids/.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the grid, such as recipe.epochs=10."),
]
SeedsOption = Annotated[int | None, typer.Option("--seeds", metavar="N", help="Use N seed indices.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="The folder of all grids' results.")]
ReportsOption = Annotated[Path, typer.Option("--reports", help="The folder of all grids' reports.")]
ArchOption = Annotated[list[str] | None, typer.Option("--arch", help="A named size, or a family (repeat for more).")]
SizeOption = Annotated[
    list[str] | None, typer.Option("--size", metavar="KEY=VALUE", help="A size of the architecture, as embed_dim=32.")
]
ClassesOption = Annotated[int, typer.Option("--classes", min=1, help="Classes.")]
ImageSizeOption = Annotated[int, typer.Option("--image-size", min=1, help="Pixels on each side.")]
ChannelsOption = Annotated[int, typer.Option("--channels", min=1, help="Colour channels.")]
CSVOption = Annotated[
    str | None, typer.Option("--csv", metavar="FILE", help="Write the numbers as CSV ('-': print that alone).")
]
DeterministicOption = Annotated[
    bool, typer.Option("--deterministic", help="The same bits in every run, on a GPU too, where that costs time.")
]
CompileOption = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        show_default=False,
        help="Compile models, and on a GPU record steps as CUDA graphs. [default: on a GPU, where it pays]",
    ),
]
MicroBatchOption = Annotated[
    int | None,
    typer.Option(
        "--micro-batch",
        min=1,
        metavar="N",
        show_default=False,
        help="At most N images per forward and backward pass; batches stay as they are. [default: whole batches]",
    ),
]
GPUsOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-trial",
        min=0,
        show_default=False,
        help="GPUs of each trial: whole ones, or 1/k of one, such as 0.5. [default: 1 where there is one]",
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        show_default=False,
        help="Processes that train a trial together, of --threads each. [default: one for each of --gpus-per-trial]",
    ),
]
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell says of a command whose reader has gone, such as `head`
RESULTS, REPORTS = Path("results"), Path("reports")


def main() -> None:
    """The entry point: bad input is one message and exit code 2, Ctrl-C is 130, neither has a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or a file whose encoding has no ±
        codecs.register_error("lape", plain)
        sys.stdout.reconfigure(errors="lape")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now, where its failure can be told; at exit it would be a traceback
    except InputError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer and rich exit with 1, which has other meanings here
            sys.exit(BROKEN_PIPE)
        if stop.code == INTERRUPTED:  # typer's answer to Ctrl-C
            _say("stopped; what had finished is stored, and the same command goes on from there")
        raise
    except OSError as error:
        # What is still in the buffer of the output can't be written either, and Python would try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(BROKEN_PIPE)
        _say(f"error: {_system_error(error)}")
        sys.exit(2)


def _system_error(error: OSError) -> InputError:
    return InputError(
        "the system refused to read or write",
        expected="a file or an output that can be used",
        found=error.strerror or str(error),
        where=str(error.filename or "the output of this command"),
        fix="free space, change permissions or give another place, and run the same command again",
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _workspace(grid: str, overrides: list[str] | None, seeds: int | None, results: Path, reports: Path) -> Workspace:
    from suite.commands.workspace import open_workspace

    return open_workspace(grid, overrides or [], seeds, results, reports)


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="GRID…", help="Grid files, names in grids/, or claim files.")],
) -> None:
    """Validate grids and claims: everything that is wrong, with file and line.

    Of a claim file, say too which of the paper's stated differences don't follow from its own tables. These are
    findings, and no errors: the exit code is 0.
    """
    from suite.commands.workspace import check_files

    for line in check_files(files):
        typer.echo(line)


@app.command()
def plan(
    grid: GridArgument,
    calibrated: Annotated[
        bool, typer.Option("--calibrate", help="First train a few steps of each kind of trial here, to tell the time.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time. [default: what this machine's cores allow]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    target: CSVOption = None,
    device: Annotated[str, typer.Option(help="Of --calibrate: auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each trial.")] = 1,
    gpus_per_trial: GPUsOption = None,
    address: Annotated[
        str | None, typer.Option(help="Say how many trials run at once on this Ray cluster ('auto': on this machine).")
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option(metavar="NxCPU:C,GPU:G", help="Or on such nodes, as 64xCPU:64,GPU:8 (repeat for other kinds)."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Of --calibrate: folder of the prepared data sets.")] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Say what a run would do: trials to do and done, dropped cells, time, and what the seeds can show.

    Time is estimated from the stored runs, and where there are none from a calibration, which is kept beside them.
    """
    from suite.commands.overview import print_plan

    workspace = _workspace(grid, overrides, seeds, results, REPORTS)
    if calibrated:
        from suite.commands.calibrating import calibrate_grid
        from suite.machine import Machine

        calibrate_grid(workspace, Machine(data, device, threads), workers)
    room = None
    if address is not None or nodes:
        from suite.commands.rooms import find_room

        room = find_room(workspace, address, nodes or [], threads, gpus_per_trial)
        workers = workers or room.at_once
    print_plan(workspace, workers=workers, as_json=as_json, target=target, room=room)


@app.command()
def run(
    grid: GridArgument,
    executor: Annotated[str, typer.Option(help="ray, or serial: in this process, one by one.")] = "ray",
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster ('auto': on this machine).")] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Run at most N trials now."),
    ] = None,
    retry: Annotated[str, typer.Option(metavar="STATUS,…", help="Run again: diverged, error, timeout, oom.")] = "",
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
    from suite.commands.running import run_grid
    from suite.execution.policy import Policy
    from suite.machine import Machine

    seconds = None if time_limit is None else 60 * time_limit
    workspace = _workspace(grid, overrides, seeds, results, reports)
    complete = run_grid(
        workspace,
        executor=executor,
        address=address,
        limit=limit,
        retry=retry,
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
        storage=storage,
        gpus_per_trial=gpus_per_trial,
        keep_weights=keep_weights,
        dashboard=dashboard,
        curves=curves,
    )
    raise typer.Exit(0 if complete else 1)


def _snapshot_seconds(minutes: float | None, epochs: int | None) -> float | None:
    if minutes is None:
        return None if epochs is not None else 600.0
    return 60 * minutes


@app.command()
def status(
    grid: GridArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until the grid is complete.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print each look as a line of JSON.")] = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Say how far a grid is: trials by status, what runs where and how fast, time left, and the last errors.

    It only reads the results folder: from any terminal or machine that sees it, while the grid runs or not.
    """
    from suite.commands.opening import open_grid
    from suite.commands.watching import print_status

    print_status(open_grid(grid, overrides or [], seeds, results), watch=watch, every=every, as_json=as_json)


@app.command()
def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC… DST", help="Results to join, of one grid each or folders of grids; last, into which."
        ),
    ],
) -> None:
    """Join results of several machines. Runs that contradict each other are refused, and nothing is written then."""
    from suite.commands.merging import print_merge

    print_merge(folders)


@app.command()
def rerun(
    trial_id: Annotated[str, typer.Argument(help="A trial's id, or the beginning of one.")],
    grid: Annotated[str | None, typer.Option(help="Its grid. [default: look through all of grids/]")] = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
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
    from suite.commands.running import rerun_trial
    from suite.machine import Machine

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


@app.command()
def tables(
    grid: GridArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Print a grid's table, and write it as CSV, Markdown and LaTeX."""
    from suite.commands.overview import print_tables

    print_tables(_workspace(grid, overrides, seeds, results, reports))


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="GRID", help="A grid; with --static, claim files. [default: all of grids/claims/]"),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Count the parameters that claim files print: no training, no grid.")
    ] = False,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    target: CSVOption = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Judge a grid's claims by its runs. Exit code 0: none is contradicted; 1: some are.

    With --static, judge printed counts of parameters by those of the models: what rounds to the printed digits is
    confirmed, anything else contradicted.
    """
    if static:
        if overrides or seeds is not None:
            raise _misused("--set and --seeds belong to a grid", "claim files alone", "--static with a grid's options")
        from suite.commands.static import print_static_verdicts

        contradicted = print_static_verdicts(names or [], as_json=as_json, target=target)
    else:
        if names is None or len(names) != 1 or target is not None:
            found = "--csv" if target is not None else ", ".join(names or ()) or "nothing"
            raise _misused("verify judges one grid", "one grid, and --csv with --static only", found)
        from suite.commands.overview import print_verdicts

        contradicted = print_verdicts(_workspace(names[0], overrides, seeds, results, REPORTS), as_json=as_json)
    raise typer.Exit(1 if contradicted else 0)


def _misused(what: str, expected: str, found: str) -> InputError:
    fix = "for instance `lape verify quickstart`, or `lape verify --static`"
    return InputError(what, expected=expected, found=found, where="lape verify", fix=fix)


@app.command()
def report(
    grid: GridArgument,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Write a grid's report: a web page that needs nothing but itself, with tables, figures and verdicts."""
    from suite.commands.overview import write_report

    typer.echo(write_report(_workspace(grid, overrides, seeds, results, reports)))


@app.command()
def cost(
    grid: Annotated[str | None, typer.Argument(metavar="[GRID]", help="A grid; or else name --arch.")] = None,
    arch: ArchOption = None,
    size: SizeOption = None,
    pe: Annotated[list[str] | None, typer.Option(help="[default: learnable]")] = None,
    join: Annotated[list[str] | None, typer.Option(help="[default: default, lape]")] = None,
    norm: Annotated[list[str] | None, typer.Option(help="[default: the architecture's own]")] = None,
    classes: ClassesOption = 1000,
    image_size: ImageSizeOption = 224,
    channels: ChannelsOption = 3,
    overrides: SetOption = None,
    target: CSVOption = None,
) -> None:
    """Count parameters, MACs and activations of a grid's models, or of all combinations of the options."""
    if (grid is None) == (not arch):
        raise InputError(
            "nothing to count" if grid is None else "a grid, and architectures besides",
            expected="either a grid, or one --arch or more",
            found="neither" if grid is None else "both",
            where="lape cost",
            fix="for instance `lape cost quickstart`, or `lape cost --arch deit_tiny`",
        )
    from suite.commands.costs import grid_cells, listed_cells, print_costs
    from suite.models.cell import Shape

    if grid is not None:
        cells = grid_cells(grid, overrides or [])
    else:
        cells = listed_cells(
            arch or [],
            size or [],
            pe or ["learnable"],
            join or ["default", "lape"],
            norm or [],
            Shape(classes, image_size, channels),
        )
    print_costs(cells, target)


@app.command()
def bench(
    context: typer.Context,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Compare our training with a loop of timm's pieces instead.")
    ] = False,
    arch: Annotated[
        str | None,
        typer.Option(help="A named size, or a family with its --size. [default: deit_tiny; throughput: vit_lite_7_4]"),
    ] = None,
    size: SizeOption = None,
    pe: Annotated[
        str | None, typer.Option(help="The position embedding. [default: learnable; none of convolutional networks]")
    ] = None,
    join: Annotated[
        str | None, typer.Option(help="The joining method, unless it is the axis. [default: default]")
    ] = None,
    norm: Annotated[
        str | None, typer.Option(help="The norm, unless it is the axis. [default: the architecture's own]")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="The loss, unless it is the axis. [default: default]")] = None,
    axis: Annotated[str, typer.Option(help="In what the two sides differ: join, norm or loss.")] = "join",
    baseline: Annotated[
        str | None, typer.Option(help="A level of the axis. [default: default; the architecture's own norm]")
    ] = None,
    treatment: Annotated[
        str | None,
        typer.Option(help="Another; the same one is noise. [default: lape; dtn or l2bn; diversepatch]"),
    ] = None,
    classes: ClassesOption = 1000,
    image_size: ImageSizeOption = 224,
    channels: ChannelsOption = 3,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step. [default: 32; throughput: the recipe's]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a side before it is the other's turn. [default: 1; GPU: 10]")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How often each side has its turn. [default: 30; throughput: 5]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. [default: 1; throughput: all cores, timm's workers besides]")
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="[default: compile on a GPU only]")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto: mixed on a GPU alone; fp32; or bf16: on a CPU too.")] = "auto",
    claims: Annotated[
        list[Path] | None, typer.Option(help="A claim file whose published ratios to judge, such as table6's.")
    ] = None,
    target: CSVOption = None,
    recipe: Annotated[
        str, typer.Option(help="Throughput: a recipe in grids/recipes, or a YAML file.")
    ] = "compact_transformers_cifar10",
    dataset: Annotated[
        str | None,
        typer.Option(help="Throughput: a prepared one, or synthetic. [default: cifar10, made up if not prepared]"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Throughput: folder of the prepared data sets.")] = None,
    workers: Annotated[
        list[int] | None,
        typer.Option(
            min=0, max=256, help="Throughput: try timm with N loading processes. [default: 0, 1, 2 and all cores]"
        ),
    ] = None,
    side_by_side: Annotated[
        int, typer.Option(min=1, metavar="N", help="Throughput: N trainings at once, which share the threads.")
    ] = 1,
    seconds: Annotated[float, typer.Option(help="Throughput: of a turn, about.")] = 5.0,
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Throughput: write all of it as JSON ('-': print that alone)."),
    ] = None,
) -> None:
    """Measure time and memory of a method against another, by turns, in training and evaluation.

    With --throughput, measure images per second of our training and of the loop that one would write with timm, by
    turns: the step, the input pipeline, and both together. timm's is the fastest of the settings tried.
    """
    given = {
        name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    if throughput:
        foreign = ("axis", "loss", "baseline", "treatment", "steps", "compiled", "claims", "target")
        _check_bench(given, foreign, "not for --throughput")
        if dataset != "synthetic":
            _check_bench(given, ("classes", "image_size", "channels"), "for --dataset synthetic alone")
        from suite.commands.throughput import Asked, print_throughput

        asked = Asked(
            arch=arch or "vit_lite_7_4",
            sizes=tuple(size or ()),
            pe=pe,
            join=join or "default",
            norm=norm,
            recipe=recipe,
            batch_size=batch_size,
            precision=precision if "precision" in given else None,
            dataset=dataset,
            classes=classes if "classes" in given else None,
            image_size=image_size if "image_size" in given else None,
            channels=channels if "channels" in given else None,
            data=data,
            device=device,
            threads=threads,
            workers=tuple(sorted(set(workers or ()))),
            side_by_side=side_by_side,
            rounds=rounds or 5,
            seconds=seconds,
        )
        print_throughput(asked, json_target)
        return
    only = ("recipe", "dataset", "data", "workers", "side_by_side", "seconds", "json_target")
    _check_bench(given, only, "for --throughput")
    from suite.commands.bench import Asked as Sides
    from suite.commands.bench import print_bench
    from suite.models.cell import Shape

    shape = Shape(classes, image_size, channels)
    print_bench(
        Sides(arch or "deit_tiny", tuple(size or ()), pe, axis, baseline, treatment, join, norm, shape, loss),
        batch_size=batch_size or 32,
        device=device,
        steps=steps,
        rounds=rounds or 30,
        threads=threads or 1,
        compiled=compiled,
        precision=precision,
        claims=claims or [],
        target=target,
    )


_FLAGS = {"compiled": "--compile", "target": "--csv", "json_target": "--json"}


def _check_bench(given: set[str], foreign: tuple[str, ...], whose: str) -> None:
    """Refuse options that would have no effect."""
    found = [_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in foreign if name in given]
    if found:
        raise InputError(
            f"options that are {whose}",
            expected="options of one of the two: a method against another, or our training against timm's pieces",
            found=", ".join(found),
            where="lape bench",
            fix="leave them out; `lape bench --help` says which belong to --throughput",
        )


@app.command("inspect")
def inspect_weights(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Weights: ours, or published ones.")],
    source: Annotated[str | None, typer.Option(help="Published: whose names they have, such as lape-deit.")] = None,
    arch: Annotated[str | None, typer.Option(help="Published: the architecture, or its family with --set.")] = None,
    pe: Annotated[str | None, typer.Option(help="Published: the position embedding. [default: learnable]")] = None,
    join: Annotated[str | None, typer.Option(help="Published: the joining method. [default: default]")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Published: how many. [default: 1000]")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Published: in pixels. [default: 224]")] = None,
    sizes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Published: a size, such as depth=12.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="ROW,COLUMN", help="Whose map is drawn, from 0,0. [default: the centre]")
    ] = None,
    low: Annotated[
        float | None,
        typer.Option(min=-1, max=0.9, help="Where the colours begin, to compare two models. [default: 0, -0.5 or -1]"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the drawings. [default: reports/inspect/NAME]")] = None,
) -> None:
    """Draw how much alike a trained model's positions are in each layer, and print what it comes to."""
    from suite.commands.inspecting import Published, inspect_checkpoint

    published = Published(source, arch, pe, join, classes, image_size, tuple(sizes or ()))
    for line in inspect_checkpoint(checkpoint, published, out, token, low):
        typer.echo(line)


@app.command("ls")
def list_things(
    kind: Annotated[str, typer.Argument(help="archs, pe, joins, norms, losses, datasets, recipes, claims or grids.")],
) -> None:
    """List what there is to put into a grid."""
    from suite.commands.listing import list_kind

    for line in list_kind(kind):
        typer.echo(line)


@data_app.command("prepare")
def data_prepare(
    name: Annotated[str, typer.Argument(help="digits, fashion_mnist, cifar10, cifar100, or a name of your own.")],
    source: Annotated[Path | None, typer.Option("--from", help="A folder or archive. [default: download]")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Resize to this (data sets of your own).")] = None,
    storage: Annotated[str, typer.Option(help="arrays: cached whole; folder: read from disk; auto: by size.")] = "auto",
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Download or read a data set, verify it, and cache it. Trials never download."""
    from suite.commands.data import prepare_data

    for line in prepare_data(name, source, image_size, storage, data):
        typer.echo(line)


@data_app.command("teacher")
def data_teacher(
    name: Annotated[str, typer.Argument(help="timm's name of the model, such as regnety_160.")],
    source: Annotated[Path | None, typer.Option("--from", help="A file of its weights. [default: download]")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Download or read the weights of a teacher for distillation, verify them, and cache them."""
    from suite.commands.data import add_teacher

    for line in add_teacher(name, source, data):
        typer.echo(line)


@data_app.command("ls")
def data_list(
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """List the data sets, and which are prepared here."""
    from suite.commands.data import list_data

    for line in list_data(data):
        typer.echo(line)


if __name__ == "__main__":
    main()
