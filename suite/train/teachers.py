"""Teachers for distillation: timm's models, with weights in the data root.

<root>/teachers/<timm name>/<SHA-256>.safetensors   the model's whole state dict
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from suite.data.cache import TEACHERS
from suite.data.datasets import Dataset
from suite.errors import InputError, first_line
from suite.grid.recipe import Recipe
from suite.models.weights.reading import read_weights, weights_checksum
from suite.models.weights.unwrapping import listed
from suite.store.files import write_atomic
from suite.train.verified_weights import Wanted, read_verified

_MANY = 10_000  # classes or channels, of which a model is as large as a few gigabytes


@dataclass(frozen=True)
class Teacher:
    """A timm model with all of its weights.

    Attributes:
        num_classes: of its logits.
        channels: of its images.
        weights: for people, which weights of a file they are.
    """

    name: str
    model: nn.Module
    num_classes: int
    channels: int
    weights: str = ""


def add_teacher(
    name: str, root: Path, source: Path | None = None, weights_key: str | None = None
) -> tuple[Teacher, str, Path]:
    """Put a teacher's weights into the data root.

    Args:
        name: timm's, such as "regnety_160".
        root: the data root.
        source: a file of weights, as `read_weights` reads it; None: timm downloads its own pretrained weights.
        weights_key: the key of the weights in the file, if not the usual one is meant.

    Returns the teacher, the SHA-256 of its weights (see `weights_checksum`) and the file that holds them.

    Raises:
        InputError: timm has no such model, the source can't be read or isn't its weights, or can't be written.
    """
    _config(name)  # before the file is read
    if source is None:
        teacher = _build(name, download(name, f"lape data teacher {name} --from FILE"), name)
    else:
        found = read_weights(source, weights_key)
        teacher = replace(_build(name, found.state, str(source)), weights=found.told)
    # The model's own state dict: whatever the file was, all of it and nothing else, in the model's types.
    state = {key: value.detach().clone().contiguous() for key, value in teacher.model.state_dict().items()}
    content = safetensors.torch.save(state)
    checksum = weights_checksum(content)
    path = _path(name, checksum, root)
    write_atomic(path, content)
    return teacher, checksum, path


def load_teacher(recipe: Recipe, dataset: Dataset, root: Path) -> nn.Module | None:
    """The teacher of a recipe, verified, on the CPU, frozen and in evaluation mode; None if the recipe doesn't distil.

    Raises:
        InputError: it isn't in the data root, it is damaged, or it doesn't fit the data set.
    """
    if recipe.teacher is None or recipe.teacher_sha256 is None:
        return None
    path = _path(recipe.teacher, recipe.teacher_sha256, root)
    wanted = Wanted(
        f"the teacher {recipe.teacher!r} is",
        "a teacher's weights",
        nothing="no weights of this name",
        key="teacher_sha256",
        command=f"lape data teacher {recipe.teacher} --from FILE",
    )
    content = read_verified(path, recipe.teacher_sha256, wanted)
    teacher = _build(recipe.teacher, safetensors.torch.load(content), str(path))
    _check_fits(teacher, dataset, path)
    return teacher.model


def teacher_declaration(name: str, checksum: str) -> str:
    """The lines of a recipe that use a teacher."""
    return f"distillation: hard # or soft\nteacher: {name}\nteacher_sha256: {checksum}"


def _path(name: str, checksum: str, root: Path) -> Path:
    return root / TEACHERS / name / f"{checksum}.safetensors"


def _config(name: str) -> Any:
    """What timm knows of a model, whether or not it has weights for it."""
    import timm

    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        raise InputError(
            f"timm {timm.__version__} has no model {name!r}",
            expected="the name of one of timm's models",
            found=first_line(error),
            where="lape data teacher",
            fix=f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists them",
        ) from error


def download(name: str, command: str) -> Mapping[str, Tensor]:
    """The pretrained weights of a timm model, from the hub's cache or from where timm keeps them.

    Args:
        name: timm's, such as "vit_small_patch16_224.dino".
        command: what reads them from a file, for the message.

    Raises:
        InputError: timm has no such model, or its weights can't be downloaded.
    """
    _config(name)
    import timm

    try:
        weights: Mapping[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the weights of {name!r} can't be downloaded",
            expected="timm's download of pretrained weights",
            found=first_line(error),
            where=name,
            fix=f"try again later, or get the file elsewhere and run: {command}",
        ) from error
    return weights


def _build(name: str, weights: Mapping[str, Tensor], where: str) -> Teacher:
    """The timm model that the weights fill, frozen and in evaluation mode."""
    import timm

    config = _config(name)
    head, stem = (weights.get(f"{_first(layer)}.weight") for layer in (config.classifier, config.first_conv))
    if head is None:
        raise _unfit(name, "a classifier", f"no weights of one among {len(weights)} tensors", where)
    if head.ndim == 0 or (stem is not None and stem.ndim < 2):
        raise _unfit(name, "a classifier and a first layer", "weights of another shape", where)
    num_classes, channels = head.shape[0], 3 if stem is None else stem.shape[1]
    try:
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and overwritten
            if num_classes > _MANY or channels > _MANY:
                _check_shapes(name, config, head, stem, where)
            model = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=channels)
        model.load_state_dict(weights)
    except (RuntimeError, ValueError) as error:
        found = listed([textwrap.shorten(str(error).partition("\n")[2] or str(error), 300)])
        raise _unfit(name, f"all weights of timm's {name}, and no others", found, where) from error
    return Teacher(name, model.eval().requires_grad_(False), num_classes, channels)


def _check_shapes(name: str, config: Any, head: Tensor, stem: Tensor | None, where: str) -> None:
    """Raise `InputError` if a model of so many classes or channels would be larger than the weights."""
    import timm

    small = timm.create_model(name, pretrained=False, num_classes=1, in_chans=1).state_dict()
    own_head = small[f"{_first(config.classifier)}.weight"].shape[1:]
    unlike = head.shape[1:] != own_head
    if stem is not None:
        own_stem = small[f"{_first(config.first_conv)}.weight"].shape
        unlike |= (stem.shape[0], *stem.shape[2:]) != (own_stem[0], *own_stem[2:])
    if unlike:
        first = "" if stem is None else f", a first layer of {list(stem.shape)}"
        raise _unfit(name, f"all weights of timm's {name}", f"a classifier of {list(head.shape)}{first}", where)


def _check_fits(teacher: Teacher, dataset: Dataset, path: Path) -> None:
    for name, expected, found in (
        ("classes", dataset.num_classes, teacher.num_classes),
        ("input channels", dataset.channels, teacher.channels),
    ):
        if expected != found:
            raise InputError(
                f"the teacher {teacher.name!r} has other {name} than the data set {dataset.name}",
                expected=f"{expected} {name}",
                found=str(found),
                where=str(path),
                fix=f"choose a teacher that was trained on {dataset.name}",
            )
    shape = (1, dataset.channels, dataset.image_size, dataset.image_size)
    try:
        with torch.no_grad():
            teacher.model(torch.zeros(shape))
    except Exception as error:  # each model has its own words for a size that it can't take
        raise InputError(
            f"the teacher {teacher.name!r} can't see the images of {dataset.name}",
            expected=f"a model that takes images of {dataset.image_size}×{dataset.image_size}: none is resized for it",
            found=first_line(error),
            where=str(path),
            fix="choose another teacher: most convolutional networks take any size",
        ) from error


def _first(names: Any) -> Any:
    """One layer of those that timm names: one, or several."""
    return names[0] if isinstance(names, (tuple, list)) and names else names


def _unfit(name: str, expected: str, found: str, where: str) -> InputError:
    return InputError(
        f"these are not the weights of {name!r}",
        expected=expected,
        found=found,
        where=where,
        fix="give the name by which timm built the model that was trained",
    )
