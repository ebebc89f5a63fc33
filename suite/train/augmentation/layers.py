"""Apply one drawn operation to each image of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from suite.data.transfer import to_device
from suite.train.augmentation import colours, tables
from suite.train.augmentation.geometry import BICUBIC, affine, rotation, shift, slide
from suite.train.augmentation.operations import NOTHING, OPERATIONS, Layer

_PLAIN_TABLES: dict[str, Callable[[Tensor], Tensor]] = {
    "AutoContrast": tables.auto_contrast,
    "Equalize": tables.equalize,
    "Invert": tables.invert,
}
_TABLES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Posterize": tables.posterize,
    "Solarize": tables.solarize,
    "SolarizeAdd": tables.solarize_add,
    "Contrast": tables.contrast,
    "Brightness": tables.brightness,
}
_COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Color": colours.colour,
    "Sharpness": colours.sharpness,
}
_SHEARS = ("ShearX", "ShearY")
_MOVED = {f"{name}{axis}": axis for name in ("Shear", "Translate") for axis in "XY"}  # shifts rows (X) or columns (Y)
_TRANSLATIONS = {name: axis for name, axis in _MOVED.items() if name not in _SHEARS}
# Images of one group are processed together; geometric groups are also split by interpolation. Operations by table
# come first and next to each other, so that one lookup serves them all.
_GROUPS = (*_PLAIN_TABLES, *_TABLES, *_COLOURS, "Rotate", "X", "Y")
_GEOMETRY = _GROUPS.index("Rotate")
_KINDS = BICUBIC + 1  # interpolations


def apply_layer(images: Tensor, layer: Layer, fill: Tensor) -> Tensor:
    """Apply each image's operation.

    The images are sorted by operation, so that each group is a slice. The original order is restored at the end.

    Args:
        images: uint8 [B, C, H, W], on any device.
        layer: The operation of each image.
        fill: The fill colour, uint8 [C], on the device of the images.
    """
    device, channels = images.device, images.shape[1]
    key = _keys(layer)
    order = key.argsort(stable=True)
    chosen = images.contiguous().index_select(0, to_device(order, device))
    shears = torch.tensor([OPERATIONS.index(name) for name in _SHEARS])
    sheared, argument = torch.isin(layer.operation[order], shears), layer.argument[order]
    # Three rows: the argument itself, then the argument as a shear and as a translation, one of which is zero.
    given = to_device(torch.stack([argument, argument * sheared, argument * ~sheared]), device)
    looked_up: list[Tensor] = []
    end = first = int((layer.operation == NOTHING).sum())
    for number, size in zip(*(part.tolist() for part in key[order][first:].unique(return_counts=True)), strict=True):
        group, end = slice(end, end + size), end + size
        name, interpolation = _GROUPS[number // _KINDS], number % _KINDS
        part = chosen[group]
        table = _table(name, part, given[0, group])
        if table is not None:
            looked_up.append(table.expand(-1, channels, -1))
        elif name in _COLOURS:
            chosen[group] = _COLOURS[name](part, given[0, group])
        else:
            chosen[group] = _moved(name, part, given[:, group], interpolation, fill)
    if looked_up:
        each = torch.cat(looked_up)
        group = slice(first, first + len(each))
        chosen[group] = tables.look_up(chosen[group], each)
    return chosen.index_select(0, to_device(order.argsort(), device))


def apply_operation(images: Tensor, operation: int, argument: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Apply one operation to all of the images. Returns new images.

    Args:
        images: uint8 [B, C, H, W], on any device.
        operation: An index in `OPERATIONS`.
        argument: The operation's argument for each image, float64 [B].
        interpolation: A constant of `suite.train.augmentation.geometry`.
        fill: The fill colour, uint8 [C].
    """
    name = OPERATIONS[operation]
    table = _table(name, images, argument)
    if table is not None:
        return tables.look_up(images, table)
    if name in _COLOURS:
        return _COLOURS[name](images, argument)
    if name in _TRANSLATIONS and len(images) == 1:
        across = _TRANSLATIONS[name] == "X"
        found = shift(images.transpose(2, 3).contiguous() if across else images, argument, interpolation, fill)
        return found.transpose(2, 3) if across else found
    none = torch.zeros_like(argument)
    given = torch.stack([argument, *((argument, none) if name in _SHEARS else (none, argument))])
    return _moved(_MOVED.get(name, name), images, given, interpolation, fill)


def _table(name: str, images: Tensor, argument: Tensor) -> Tensor | None:
    """The lookup table of each image, uint8 [B, 1 or C, 256]; None if the operation isn't one by table."""
    if name in _PLAIN_TABLES:
        return _PLAIN_TABLES[name](images)
    return _TABLES[name](images, argument) if name in _TABLES else None


def _keys(layer: Layer) -> Tensor:
    """Sort keys from each image's group and, for geometric groups, interpolation: int64 [B]; negative: no operation."""
    groups = torch.tensor([_GROUPS.index(_MOVED.get(name, name)) for name in OPERATIONS] + [NOTHING])
    group = groups[layer.operation]  # `NOTHING` is -1, so it selects the last entry
    return group * _KINDS + layer.interpolation * (group >= _GEOMETRY)


def _moved(name: str, images: Tensor, given: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    if name == "Rotate":
        return affine(images, rotation(given[0], *images.shape[2:]), interpolation, fill)
    offset = given[1:].T
    if name == "X":
        return slide(images, offset, interpolation, fill)
    return slide(images.transpose(2, 3).contiguous(), offset, interpolation, fill).transpose(2, 3)
