"""Declares `lape cost`, `lape bench` and `lape inspect`, which examine models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from suite.cli.declarations.bench_options import (
    FOR_THROUGHPUT,
    NOT_FOR_THROUGHPUT,
    OF_MADE_UP_PICTURES,
    BenchOptions,
    declared_by,
)
from suite.cli.options import (
    ArchOption,
    ChannelsOption,
    ClassesOption,
    CSVOption,
    ImageSizeOption,
    JSONOption,
    MethodsOption,
    SetOption,
    SizeOption,
)
from suite.errors import InputError
from suite.text import say

commands = typer.Typer()


@commands.command()
def cost(
    grid: Annotated[str | None, typer.Argument(metavar="[GRID]", help="A grid; without one, give --arch.")] = None,
    arch: ArchOption = None,
    size: SizeOption = None,
    pe: Annotated[list[str] | None, typer.Option(help="Position embeddings. [default: learnable]")] = None,
    join: Annotated[list[str] | None, typer.Option(help="Joining methods. [default: default, lape]")] = None,
    norm: Annotated[list[str] | None, typer.Option(help="Norms. [default: the architecture's own]")] = None,
    classes: ClassesOption = 1000,
    image_size: ImageSizeOption = 224,
    channels: ChannelsOption = 3,
    overrides: SetOption = None,
    target: CSVOption = None,
    as_json: JSONOption = False,
    methods: MethodsOption = None,
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
    if as_json and target is not None:
        raise InputError(
            "two forms of one output",
            expected="either --json or --csv",
            found="both",
            where="lape cost",
            fix="leave one of them out",
        )
    from suite.cli.commands.cost import grid_cells, print_costs
    from suite.cli.commands.model_options import listed_cells
    from suite.models.model_cell import Shape

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
    print_costs(cells, target, as_json=as_json)


@commands.command()
@declared_by(BenchOptions)
def bench(context: typer.Context, **values: Any) -> None:
    """Compare time and memory of two methods in training and evaluation, by interleaved measurements.

    With --throughput, compare the images per second of the suite's training with those of a timm-based training loop:
    the training step, the input pipeline, and both together. For timm, the fastest of several settings is used.
    """
    given = frozenset(
        name for name in values if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    )
    options = BenchOptions(**values, given=given)
    if options.throughput:
        options.refuse(NOT_FOR_THROUGHPUT, "not for --throughput")
        if options.dataset != "synthetic":
            options.refuse(OF_MADE_UP_PICTURES, "for --dataset synthetic alone")
        from suite.cli.commands.throughput import print_throughput

        print_throughput(options)
    else:
        options.refuse(FOR_THROUGHPUT, "for --throughput")
        from suite.cli.commands.bench import print_bench

        print_bench(options)


@commands.command("inspect")
def inspect_weights(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="Weights: of `lape run --keep-weights`, or published ones.")
    ],
    source: Annotated[
        str | None, typer.Option(help="Published: the code base that names the parameters, such as lape-deit.")
    ] = None,
    arch: Annotated[str | None, typer.Option(help="Published: the architecture, or its family with --set.")] = None,
    pe: Annotated[str | None, typer.Option(help="Published: the position embedding. [default: learnable]")] = None,
    join: Annotated[str | None, typer.Option(help="Published: the joining method. [default: default]")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Published: number of classes. [default: 1000]")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Published: image size in pixels. [default: 224]")
    ] = None,
    sizes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Published: a size, such as depth=12.")
    ] = None,
    weights_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Published: the key of the weights in the file. [default: chosen, printed]"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="ROW,COLUMN", help="The token whose map is drawn, from 0,0. [default: the centre]"),
    ] = None,
    low: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=0.9,
            help="Lower end of the colour scale; set it to compare two models. [default: 0, -0.5 or -1]",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the drawings. [default: reports/inspect/NAME]")] = None,
) -> None:
    """Draw the similarity of a trained model's position embeddings in each layer, and print a summary."""
    from suite.cli.commands.inspect import Published, inspect_checkpoint

    published = Published(source, arch, pe, join, classes, image_size, tuple(sizes or ()), weights_key)
    for line in inspect_checkpoint(checkpoint, published, out, token, low):
        say(line)
