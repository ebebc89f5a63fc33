"""timm's models by name: built without weights, after names and arguments are checked. Nothing is ever downloaded."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import timm
import torch
from torch import nn

from suite.errors import InputError, first_line
from suite.models.timm_size import Argument

# The data set's shape, and what moves weights or makes something else of a model than a classifier.
_GIVEN = ("num_classes", "in_chans", "img_size", "device", "dtype")
# Their draws come from torch's own generator, which the threads of a training step would share.
_UNSEEDED = ("patch_drop_rate", "drop_block_rate")


def create(
    name: str, arguments: Mapping[str, Argument], *, num_classes: int, in_chans: int, image_size: int | None
) -> nn.Module:
    """A timm model with initial weights that torch's global generator draws, in training mode.

    Args:
        name: timm's name.
        arguments: arguments of the model's class.
        num_classes: the number of logits.
        in_chans: channels of an image.
        image_size: pixels a side, for models that are built for one size; None for timm's own.

    Raises:
        InputError: the name or an argument is unknown, or timm can't build the model.
    """
    _check_name(name)
    if given := [key for key in (*_GIVEN, *_UNSEEDED) if key in arguments]:
        raise InputError(
            f"timm model {name!r}: {given[0]} can't be chosen here",
            expected="arguments other than " + ", ".join((*_GIVEN, *_UNSEEDED)),
            found=f"{given[0]}: {arguments[given[0]]}",
            fix="leave it out: the data set says the shape of images and the number of classes"
            if given[0] in _GIVEN
            else "leave it out, or use drop_path_rate",
        )
    shape: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans}
    accepted = _accepted(name)
    if strange := [key for key in arguments if key not in accepted]:
        raise InputError(
            f"timm model {name!r} has no argument {strange[0]!r}",
            expected=f"arguments of timm's {_class_name(name)}",
            found=f"{strange[0]}: {arguments[strange[0]]}",
            fix=_near(strange[0], set(accepted) - {*_GIVEN, *_UNSEEDED}),
        )
    if image_size is not None and "img_size" in accepted:
        shape["img_size"] = image_size
    return _built(name, {**shape, **arguments})


def _check_name(name: str) -> None:
    if name.startswith("lape_"):
        raise InputError(
            f"{name!r} is an architecture of this suite",
            expected="timm's own models",
            found=name,
            fix="name the architecture without family: timm (`lape ls archs`)",
        )
    plain = name.partition(".")[0]
    if timm.is_model(plain) and plain != name:
        raise InputError(
            f"timm model {name!r} has a tag of pretrained weights",
            expected="a name without a tag: models are trained from the start",
            found=name,
            fix=f"write {plain}",
        )
    if not timm.is_model(name):  # names of other hubs too, which timm would download
        raise InputError(
            f"unknown timm model {name!r}",
            expected="a name of timm.list_models()",
            found=repr(name),
            fix=_near(name, timm.list_models()),
        )


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    if close:
        return f"did you mean {', '.join(close)}?"
    return f"choose one of: {', '.join(names[:60])}{', …' if len(names) > 60 else ''}"


def _accepted(name: str) -> list[str]:
    """The arguments of the model's class. Its creating functions swallow others without a word."""
    found: list[str] = []
    for base in _class(name).__mro__:
        parameters = inspect.signature(vars(base)["__init__"]).parameters if "__init__" in vars(base) else {}
        found += [key for key, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        passes_on = not parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        if base is nn.Module or not passes_on:
            break
    return [key for key in found if key != "self"]


_CLASSES: dict[str, type[nn.Module]] = {}


def _class(name: str) -> type[nn.Module]:
    if name not in _CLASSES:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            _CLASSES[name] = type(_built(name, {}))
    return _CLASSES[name]


def _class_name(name: str) -> str:
    return _class(name).__name__


def _built(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    except Exception as error:  # whatever the constructors of a thousand models raise
        raise InputError(
            f"timm can't build {name!r} like this",
            expected="arguments that fit each other and the images",
            found=f"{type(error).__name__}: {first_line(error)}",
            fix="change the arguments; " + ", ".join(f"{key}: {value}" for key, value in arguments.items()),
        ) from None
    return model.train()
