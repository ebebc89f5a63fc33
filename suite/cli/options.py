"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from suite.report.workspace import Workspace

# The largest numbers of options that are times. They keep out "inf", which no clock can wait for.
MOST_HOURS, MOST_MINUTES, MOST_SECONDS = 100_000, 1_000_000, 1_000_000

GridArgument = Annotated[str, typer.Argument(metavar="GRID", help="A grid file, or a name that `lape ls grids` lists.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the grid, for example recipe.epochs=10."),
]
SeedsOption = Annotated[
    int | None, typer.Option("--seeds", metavar="N", help="Use N seed indices instead of the grid's.")
]
ResultsOption = Annotated[Path, typer.Option("--results", help="The folder of all grids' results.")]
ReportsOption = Annotated[Path, typer.Option("--reports", help="The folder of all grids' reports.")]


def _load_methods(files: list[Path] | None) -> list[Path] | None:
    """Load what `--methods` names, and what installed packages bring, before the command looks up a level."""
    from suite.grid.methods import load_methods

    load_methods(files or ())
    return files


MethodsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--methods",
        metavar="FILE",
        callback=_load_methods,
        show_default=False,
        help="A Python file of your own that registers levels (repeat for more). Its code is run.",
    ),
]
StaleOption = Annotated[
    str,
    typer.Option(
        "--stale",
        metavar="verify|rerun|keep",
        help="Stored runs that were made by other code: train a few again to see if they are the same, all, or none.",
    ),
]
ArchOption = Annotated[
    list[str] | None, typer.Option("--arch", help="A named architecture, or a family (may be repeated).")
]
SizeOption = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="KEY=VALUE", help="A size of the architecture, as in a grid: embed_dim=32."),
]
ClassesOption = Annotated[int, typer.Option("--classes", min=1, max=1_000_000, help="Number of classes.")]
ImageSizeOption = Annotated[
    int, typer.Option("--image-size", min=1, max=65_536, help="Height and width of images in pixels.")
]
ChannelsOption = Annotated[int, typer.Option("--channels", min=1, max=1_024, help="Number of colour channels.")]
CSVOption = Annotated[
    str | None, typer.Option("--csv", metavar="FILE", help="Write the numbers as CSV ('-': print only the CSV).")
]
JSONOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for other programs: see docs/programs.md.", show_default=False)
]
DeterministicOption = Annotated[
    bool,
    typer.Option("--deterministic", help="Bit-identical results in every run, also on a GPU, where it is slower."),
]
CompileOption = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        show_default=False,
        help="Compile models; on a GPU also record steps as CUDA graphs. [default: on a GPU, for long training runs]",
    ),
]
MicroBatchOption = Annotated[
    int | None,
    typer.Option(
        "--micro-batch",
        min=1,
        metavar="N",
        show_default=False,
        help="At most N images per forward and backward pass; the batch size is unchanged. [default: whole batches]",
    ),
]
GPUsOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-trial",
        min=0,
        show_default=False,
        help="GPUs per trial: a whole number, or a fraction 1/k such as 0.5. [default: 1 if there is a GPU]",
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        show_default=False,
        help="Processes that train one trial together, each with --threads. [default: one per GPU of the trial]",
    ),
]
REPORTS = Path("reports")


def chosen_workspace(
    grid: str,
    overrides: list[str] | None,
    seeds: int | None,
    results: Path,
    reports: Path,
    *,
    reading: bool = False,
) -> Workspace:
    """Open the workspace of a command's grid: the grid, its records, and its verdicts.

    Args:
        grid: a grid file, or the name of one in grids/.
        overrides: assignments of `--set`.
        seeds: the number of seed indices; None: those of the file.
        results: the folder of all grids' results.
        reports: the folder of all grids' reports.
        reading: whether the command only reads results, so that nothing will be trained.
    """
    from suite.report.workspace import open_workspace

    return open_workspace(grid, overrides or [], seeds, results, reports, reading=reading)
