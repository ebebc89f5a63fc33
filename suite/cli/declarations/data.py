"""Declares `lape ls`, `lape doctor`, `lape new` and `lape data`: names, this machine, own methods, data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite.cli.options import JSONOption, MethodsOption
from suite.text import say

commands = typer.Typer()
data_commands = typer.Typer(
    help="Prepare and list data sets; prepare teachers and backbones.", no_args_is_help=True, rich_markup_mode=None
)


@commands.command("ls")
def list_things(
    kind: Annotated[
        str,
        typer.Argument(
            help="archs, pe, joins, norms, losses, datasets, tasks, corruptions, metrics, recipes, claims or grids."
        ),
    ],
    methods: MethodsOption = None,
) -> None:
    """List the names that a grid can use, such as architectures, losses or data sets."""
    from suite.cli.commands.ls import list_kind

    for line in list_kind(kind):
        say(line)


@commands.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Don't start Ray, and measure nothing.")] = False,
    as_json: JSONOption = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Tell what this machine has for the suite, and what to do about what is missing.

    A bug report needs this. It has no host name, user name or secret. It works without torch and without Ray.
    """
    from suite.cli.commands.doctor import print_doctor

    print_doctor(data, quick=quick, as_json=as_json)


@commands.command("new")
def new_method(
    name: Annotated[str, typer.Argument(help="The method's name, such as my_trick.")],
    into: Annotated[
        Path | None, typer.Option(help="The folder. [default: one of that name]", show_default=False)
    ] = None,
    kind: Annotated[str, typer.Option(help="What it is: join, position, norm, loss or architecture.")] = "join",
) -> None:
    """Write a method of your own to start from, with its grid, its claim and its test."""
    from suite.cli.commands.new import write_example

    for line in write_example(name, kind, into):
        say(line)


@data_commands.command("prepare")
def data_prepare(
    name: Annotated[str, typer.Argument(help="digits, fashion_mnist, cifar10, cifar100, or a new name for your own.")],
    source: Annotated[Path | None, typer.Option("--from", help="A folder or archive. [default: download]")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Resize images to this many pixels per side, 4096 at most (your own data sets only)."),
    ] = None,
    storage: Annotated[
        str, typer.Option(help="arrays: cached as arrays; folder: images read from disk; auto: by size.")
    ] = "auto",
    sound: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=NUMBER,…",
            help="The source has WAV files: make log-mel spectrograms with these settings, "
            "such as sample_rate=8000,window=512,hop=256,mel_bands=32.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which recordings are the test split: folders (train/ and test/), speakers:NAME,NAME (by names "
            "LABEL_SPEAKER_INDEX.wav) or fold:NUMBER (a DCASE folder). [default: folders]",
            show_default=False,
        ),
    ] = None,
    corruptions: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,…",
            help="Make corrupted copies of the test images too: all, or settings of recipe.corruptions such as "
            "kinds=fog+snow,severities=1+5,images=1000.",
        ),
    ] = None,
    listops: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=NUMBER,…",
            help="Generate lists of operators and digits (Long ListOps) with these settings, such as "
            "seed=0,min_length=32,max_length=128,train=10000,test=2000. Without a seed: read them from the folder.",
        ),
    ] = None,
    segmentation: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,…",
            help="The source has images and masks (VOC's layout, or images/ and masks/ with a folder per split): the "
            "number of classes and the splits, such as classes=21,train=train,test=val.",
        ),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,…",
            help="The source is BSDS500 (images/ and groundTruth/), whose regions have no classes: its splits, such as "
            "train=train+val,test=test.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Download, read or generate a data set, verify it, and cache it. Trials never download data."""
    from suite.cli.commands.data import prepare_data

    for line in prepare_data(
        name, source, image_size, storage, data, sound, split, corruptions, listops, segmentation, regions
    ):
        say(line)


@data_commands.command("teacher")
def data_teacher(
    name: Annotated[str, typer.Argument(help="timm's name of the model, such as regnety_160.")],
    source: Annotated[Path | None, typer.Option("--from", help="A file of its weights. [default: download]")] = None,
    weights_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The key of the weights in the file. [default: chosen, and printed]"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Download or read the weights of a teacher for distillation, verify them, and cache them."""
    from suite.cli.commands.data import add_teacher

    for line in add_teacher(name, source, data, weights_key):
        say(line)


@data_commands.command("backbone")
def data_backbone(
    name: Annotated[
        str | None,
        typer.Argument(help="timm's name of a plain ViT, such as vit_small_patch16_224.dino: its pretrained weights."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A file of `lape run --keep-weights`, or of a plain ViT's weights as timm's."),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            help="The architecture of weights that don't describe it, such as deit_small for DINO's ViT-S/16."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """Read and cache the weights of a backbone, to group its patches or to start training from it."""
    from suite.cli.commands.data import add_backbone

    for line in add_backbone(name, source, data, arch):
        say(line)


@data_commands.command("ls")
def data_list(
    data: Annotated[Path | None, typer.Option(help="Folder of the prepared data sets.")] = None,
) -> None:
    """List the data sets, and which of them are prepared on this machine."""
    from suite.cli.commands.data import list_data

    for line in list_data(data):
        say(line)
