"""What a timm model is and can have, found by building it without memory, on torch's meta device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import STRANGERS_ERRORS, InputError
from suite.models.levels import Cell, Refusal
from suite.models.sizes import PatchTokens
from suite.models.timm_layout import network_norm, own_position, shown_patches
from suite.models.timm_levels import with_levels
from suite.models.timm_named import create
from suite.models.timm_size import LEVELS, TimmSize

_CLASSES, _CHANNELS = 5, 3  # of the models that are built to look at


def usual_norm(size: TimmSize) -> str | None:
    """The norm that the model has as published: "bn", or None for any other or for a model that can't be built."""
    network = meta_network(size, size.img_size)
    return None if isinstance(network, InputError) else network_norm(network)


def position_width(size: TimmSize) -> int | None:
    """The channels of the tokens that have an absolute PE; None for a model without such a PE."""
    network: Any = meta_network(size, size.img_size)
    return None if isinstance(network, InputError) or not own_position(network) else int(network.embed_dim)


@lru_cache(maxsize=256)
def patch_tokens(size: TimmSize, image_size: int) -> PatchTokens | None:
    """The patch tokens that `forward_intermediates` shows; None if there are none."""
    network = meta_network(size, image_size)
    return None if isinstance(network, InputError) else shown_patches(network, meta_images(image_size))


def refusal(size: TimmSize, axis: str, cell: Cell) -> Refusal | None:
    """Why the model can't be built, or can't have the cell's level on an axis; None if it can."""
    if size.img_size not in (None, cell.image_size):
        return Refusal(
            "its img_size isn't that of the images",
            "leave img_size out, or choose another data set",
            f"img_size {cell.image_size}",
            f"img_size {size.img_size}",
        )
    # Levels of earlier axes fit already; those of later ones have their turn.
    asked = [] if axis == "arch" else [one.kind for one in LEVELS[: [one.kind for one in LEVELS].index(axis) + 1]]
    return _tried(size, cell.image_size, tuple(cell.levels.get(name, "") for name in asked))


@lru_cache(maxsize=1024)
def _tried(size: TimmSize, image_size: int, asked: tuple[str, ...]) -> Refusal | None:
    """asked: the levels of the first axes of `LEVELS`; an empty one is the model's own, as are the others."""
    try:
        if wrong := _wrong_logits(size, image_size):
            return _told(wrong)
        network = _build(size, image_size).eval()
        own = ("learnable" if own_position(network) else "none", "default", network_norm(network) or "ln")
        if size.norm_where is not None and own[2] != "ln":
            return Refusal("norm_where is for transformers, and its norms are of feature maps", "leave norm_where out")
        names = [level or own[number] for number, level in enumerate((*asked, *own[len(asked) :]))]
        position, join, norm = (known[name] for known, name in zip(LEVELS, names, strict=True))
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            with_levels(network, position, join, norm.placed(size), image_size)
    except InputError as error:
        return _told(error)
    except STRANGERS_ERRORS:
        return None
    return None


def _told(error: InputError) -> Refusal:
    problem = error.problems[0]
    return Refusal(problem.what, problem.fix, problem.expected, problem.found)


def _build(size: TimmSize, image_size: int | None) -> nn.Module:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return create(size.model, size.arguments, num_classes=_CLASSES, in_chans=_CHANNELS, image_size=image_size)


@lru_cache(maxsize=64)
def meta_network(size: TimmSize, image_size: int | None) -> nn.Module | InputError:
    """The model as timm builds it, or why it doesn't."""
    try:
        return _build(size, image_size)
    except InputError as error:
        return error


def meta_images(image_size: int) -> Tensor:
    """Two images without memory, [2, channels, image_size, image_size]."""
    return torch.empty(2, _CHANNELS, image_size, image_size, device="meta")


@lru_cache(maxsize=256)
def _wrong_logits(size: TimmSize, image_size: int) -> InputError | None:
    """What is wrong with the model or its output; None if it maps images to logits. Kept, since every axis asks."""
    network = meta_network(size, image_size)
    if isinstance(network, InputError):
        return network
    try:
        with torch.no_grad():
            logits = network.eval()(meta_images(image_size))
        found = str(tuple(logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
    except STRANGERS_ERRORS as error:
        found = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if found == str((2, _CLASSES)):
        return None
    return InputError(
        f"timm model {size.model!r} doesn't map images of {image_size}×{image_size} pixels to logits",
        expected="logits [images, classes]",
        found=found,
        fix="change its arguments (img_size, patch_size, global_pool), or choose another model",
    )
