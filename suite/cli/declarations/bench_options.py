"""The options of `lape bench`. The command line and both measurements use this single declaration."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from suite.cli.options import ChannelsOption, ClassesOption, CSVOption, ImageSizeOption, SizeOption
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
        bool, typer.Option("--throughput", help="Compare our training with a loop of timm's pieces instead.")
    ] = False
    arch: Annotated[
        str | None,
        typer.Option(help="A named size, or a family with its --size. [default: deit_tiny; throughput: vit_lite_7_4]"),
    ] = None
    size: SizeOption = None
    pe: Annotated[
        str | None, typer.Option(help="The position embedding. [default: learnable; none of convolutional networks]")
    ] = None
    join: Annotated[str | None, typer.Option(help="The joining method, unless it is the axis. [default: default]")] = (
        None
    )
    norm: Annotated[
        str | None, typer.Option(help="The norm, unless it is the axis. [default: the architecture's own]")
    ] = None
    loss: Annotated[str | None, typer.Option(help="The loss, unless it is the axis. [default: default]")] = None
    axis: Annotated[str, typer.Option(help="In what the two sides differ: join, norm or loss.")] = "join"
    baseline: Annotated[
        str | None, typer.Option(help="A level of the axis. [default: default; the architecture's own norm]")
    ] = None
    treatment: Annotated[
        str | None,
        typer.Option(help="Another; the same one is noise. [default: lape; dtn or l2bn; diversepatch]"),
    ] = None
    classes: ClassesOption = 1000
    image_size: ImageSizeOption = 224
    channels: ChannelsOption = 3
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step. [default: 32; throughput: the recipe's]")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto"
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a side before it is the other's turn. [default: 1; GPU: 10]")
    ] = None
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How often each side has its turn. [default: 30; throughput: 5]")
    ] = None
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. [default: 1; throughput: all cores, timm's workers besides]")
    ] = None
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="[default: compile on a GPU only]")
    ] = None
    precision: Annotated[str, typer.Option(help="auto: mixed on a GPU alone; fp32; or bf16: on a CPU too.")] = "auto"
    claims: Annotated[
        list[Path] | None, typer.Option(help="A claim file whose published ratios to judge, such as table6's.")
    ] = None
    target: CSVOption = None
    recipe: Annotated[str, typer.Option(help="Throughput: a recipe in grids/recipes, or a YAML file.")] = (
        "compact_transformers_cifar10"
    )
    dataset: Annotated[
        str | None,
        typer.Option(help="Throughput: a prepared one, or synthetic. [default: cifar10, made up if not prepared]"),
    ] = None
    data: Annotated[Path | None, typer.Option(help="Throughput: folder of the prepared data sets.")] = None
    workers: Annotated[
        list[int] | None,
        typer.Option(
            min=0, max=256, help="Throughput: try timm with N loading processes. [default: 0, 1, 2 and all cores]"
        ),
    ] = None
    side_by_side: Annotated[
        int, typer.Option(min=1, metavar="N", help="Throughput: N trainings at once, which share the threads.")
    ] = 1
    seconds: Annotated[float, typer.Option(help="Throughput: of a turn, about.")] = 5.0
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Throughput: write all of it as JSON ('-': print that alone)."),
    ] = None
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
