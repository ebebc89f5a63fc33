"""`lape cost`, `bench` and `inspect`: models without a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.cli.options import (
    ArchOption,
    ChannelsOption,
    ClassesOption,
    CSVOption,
    ImageSizeOption,
    MethodsOption,
    SetOption,
    SizeOption,
)
from suite.errors import InputError
from suite.text import say

commands = typer.Typer()


@commands.command()
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
    print_costs(cells, target)


@commands.command()
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
    methods: MethodsOption = None,
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
        from suite.cli.commands.throughput import Asked, print_throughput

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
    from suite.cli.commands.bench import Asked as Sides
    from suite.cli.commands.bench import print_bench
    from suite.models.model_cell import Shape

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


@commands.command("inspect")
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
    weights_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Published: the key of the weights in the file. [default: said when read]"),
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
    from suite.cli.commands.inspect import Published, inspect_checkpoint

    published = Published(source, arch, pe, join, classes, image_size, tuple(sizes or ()), weights_key)
    for line in inspect_checkpoint(checkpoint, published, out, token, low):
        say(line)
