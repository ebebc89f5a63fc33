"""The options of `lape bench`. The command line and both measurements use this single declaration."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from suite.cli.options import ChannelsOption, ClassesOption, CSVOption, ImageSizeOption, MethodsOption, SizeOption
from suite.errors import InputError

Command = TypeVar("Command", bound=Callable[..., None])

NOT_FOR_THROUGHPUT = ("axis", "loss", "baseline", "treatment", "steps", "compiled", "claims", "target")
OF_MADE_UP_PICTURES = ("classes", "image_size", "channels")
FOR_THROUGHPUT = ("recipe", "dataset", "data", "workers", "side_by_side", "seconds", "json_target")
_FLAGS = {"compiled": "--compile", "target": "--csv", "json_target": "--json"}


@dataclass(frozen=True)
class BenchOptions:
    """The options of `lape bench`. None selects a default that depends on the measurement, the model or the machine.

    The last field, `given`, is no option: it has the names of the options that the command line sets.
    """

    throughput: Annotated[
        bool, typer.Option("--throughput", help="Compare our training with a timm-based training loop instead.")
    ] = False
    arch: Annotated[
        str | None,
        typer.Option(help="An architecture, or a family with --size. [default: deit_tiny; throughput: vit_lite_7_4]"),
    ] = None
    size: SizeOption = None
    pe: Annotated[
        str | None, typer.Option(help="The position embedding. [default: learnable; none for convolutional networks]")
    ] = None
    join: Annotated[str | None, typer.Option(help="The joining method, unless it is the axis. [default: default]")] = (
        None
    )
    norm: Annotated[
        str | None, typer.Option(help="The norm, unless it is the axis. [default: the architecture's own]")
    ] = None
    loss: Annotated[str | None, typer.Option(help="The loss, unless it is the axis. [default: default]")] = None
    axis: Annotated[str, typer.Option(help="The axis on which the two sides differ: join, norm or loss.")] = "join"
    baseline: Annotated[
        str | None,
        typer.Option(help="The baseline's level on the axis. [default: default; norm: the architecture's own]"),
    ] = None
    treatment: Annotated[
        str | None,
        typer.Option(
            help="The treatment's level; give the baseline's level to measure noise. "
            "[default: lape; norm: dtn or l2bn; loss: diversepatch]"
        ),
    ] = None
    classes: ClassesOption = 1000
    image_size: ImageSizeOption = 224
    channels: ChannelsOption = 3
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step. [default: 32; throughput: as in the recipe]")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto"
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of one side before the other side's. [default: 1; GPU: 10]")
    ] = None
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Measurements of each side. [default: 30; throughput: 5]")
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads, without timm's loader processes. [default: 1; throughput: all cores]"),
    ] = None
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the models. [default: on a GPU only]"),
    ] = None
    precision: Annotated[
        str, typer.Option(help="auto: mixed precision on a GPU, fp32 on a CPU; fp32; bf16: on any device.")
    ] = "auto"
    claims: Annotated[
        list[Path] | None,
        typer.Option(help="Judge the published ratios of this claim file, such as grids/claims/table6.yaml."),
    ] = None
    target: CSVOption = None
    recipe: Annotated[str, typer.Option(help="Throughput: a recipe in grids/recipes, or a YAML file.")] = (
        "compact_transformers_cifar10"
    )
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Throughput: a prepared data set, or synthetic. [default: cifar10, or synthetic images of its size]"
        ),
    ] = None
    data: Annotated[Path | None, typer.Option(help="Throughput: the folder of the prepared data sets.")] = None
    workers: Annotated[
        list[int] | None,
        typer.Option(
            min=0, max=256, help="Throughput: try timm with N loader processes. [default: 0, 1, 2 and all cores]"
        ),
    ] = None
    side_by_side: Annotated[
        int, typer.Option(min=1, metavar="N", help="Throughput: N concurrent training runs, which share the threads.")
    ] = 1
    seconds: Annotated[float, typer.Option(help="Throughput: approximate seconds of one measurement.")] = 5.0
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Throughput: write all results as JSON ('-': print only that)."),
    ] = None
    methods: MethodsOption = None
    given: frozenset[str] = frozenset()

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of the architecture, as KEY=VALUE."""
        return tuple(self.size or ())

    def said(self, name: str) -> Any:
        """Return the value of an option if the command line sets it, else None."""
        return getattr(self, name) if name in self.given else None

    def refuse(self, names: tuple[str, ...], whose: str) -> None:
        """Raise `InputError` if the command line sets one of these options, since it would have no effect.

        `whose` says in the message which measurement the options belong to.
        """
        found = [_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in names if name in self.given]
        if found:
            raise InputError(
                f"options that are {whose}",
                expected="options of one of the two: a method against another, or our training against timm's pieces",
                found=", ".join(found),
                where="lape bench",
                fix="leave them out; `lape bench --help` says which belong to --throughput",
            )


def declared_by(options: type[Any]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command one option for each field of a dataclass, except `given`.

    The command must take a context and keyword arguments.
    """
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(options)
        if field.name != "given"
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    def declare(command: Command) -> Command:
        vars(command)["__signature__"] = inspect.Signature([context, *parameters])
        return command

    return declare
