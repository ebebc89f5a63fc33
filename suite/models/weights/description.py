"""Checks that a weight file holds the model that its metadata describe, before that model is built.

A few bytes of metadata can describe a model of any size, such as one with a million blocks or a billion channels.
Building it unchecked could exhaust the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.backbone_size import body_of
from suite.models.build import build_model
from suite.models.model import Model
from suite.models.model_cell import ModelCell
from suite.models.positions import POSITIONS
from suite.models.sizes import Size, WindowSize

Shapes = Mapping[str, tuple[int, ...]]

_DEEP = 64  # blocks; the tensors of deeper models are extrapolated from two shallow ones
_ROOM = 2**26  # allowed number of values in buffers that weight files don't hold, such as indices
_DEPTHS = ("depth", "blocks", "conv_layers")
_UNLIMITED = ("image_size", "window_size", "conv_padding", "conv_stride")  # they imply no minimum of weights


def check_described(cell: ModelCell, shapes: Shapes) -> None:
    """Raise `InputError` unless the model of a cell has exactly these tensors and needs about their memory.

    The check never takes much more time and memory than the tensors themselves. It first compares the sizes with the
    number of values. For deep models, it then compares the number of tensors with an extrapolation from two shallow
    models. At last it compares all shapes with those of a model on the meta device.

    Args:
        cell: the model's definition, from the file's metadata.
        shapes: the shapes of the file's tensors, by name.
    """
    values = sum(math.prod(shape) for shape in shapes.values())
    if not shapes or not all(math.prod(shape) for shape in shapes.values()):
        raise _unlike("a tensor without values" if shapes else "no tensor")
    if sum(_flat(_depths(cell))) > len(shapes):
        raise _unlike(f"{len(shapes):,} tensors, and a description with {_described(_depths(cell))}")
    too_large = [f"{name} {size}" for name, size in _sizes(cell) if size > values]
    if too_large:
        raise _unlike(f"{values:,} values, and a description with {', '.join(too_large)}")
    if max(_tables(cell), default=0) > values + _ROOM:
        raise _unlike(f"{values:,} values, and a description with images of {cell.shape.image_size:,} pixels")
    depths = _flat(_depths(cell))
    if sum(depths) > _DEEP:
        low, high = (_shapes(_shell(_of_depth(cell, blocks))) for blocks in (4, 5))
        expected = len(low) + (len(high) - len(low)) * (sum(depths) // len(depths) - 4)
        alike = sum(shapes.get(name) == shape for name, shape in high.items())
        if len(shapes) < expected // 2 or alike < len(high) // 2:
            raise _unlike(f"{len(shapes):,} tensors, and a description with {_described(_depths(cell))}")
    model = _shell(cell)
    expected_shapes = _shapes(model)
    if wrong := [name for name in {**expected_shapes, **shapes} if expected_shapes.get(name) != shapes.get(name)]:
        name = wrong[0]
        text = name if name.isprintable() else ascii(name)
        raise _unlike(
            f"{len(wrong):,} tensors that differ; the first is {text[:200]}, {_told(shapes, name)}, of which the "
            f"description makes {_told(expected_shapes, name)}"
        )
    held = sum(value.numel() for value in (*model.parameters(), *model.buffers()))
    if held > values + _ROOM:
        raise _unlike(f"{values:,} values, and a description of a model that needs {held:,}")


def _shell(cell: ModelCell) -> Model:
    with torch.device("meta"):
        return build_model(cell)


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _of_depth(cell: ModelCell, blocks: int) -> ModelCell:
    """The same model with this number of blocks in each stage."""
    sizes = cell.arch.size.model_dump()
    for name, depth in _depths(cell).items():
        if name == "conv_layers":  # kept: with more of them, the feature maps would have no pixels
            continue
        sizes[name] = blocks if isinstance(depth, int) else tuple(blocks for _ in depth)
    arch = resolve_architecture(cell.arch.family.name, sizes, label=cell.arch.name)
    return ModelCell(arch, cell.pe, cell.join, cell.norm, cell.shape)


def _depths(cell: ModelCell) -> dict[str, Any]:
    return {name: value for name, value in cell.arch.size.model_dump().items() if name in _DEPTHS}


def _flat(depths: Mapping[str, Any]) -> list[int]:
    return [blocks for value in depths.values() for blocks in ([value] if isinstance(value, int) else value)]


def _sizes(cell: ModelCell) -> Iterator[tuple[str, float]]:
    """The large sizes of a model, by name. A model has at least as many values as each of these numbers."""
    for name, value in {**cell.arch.size.model_dump(), **vars(cell.shape)}.items():
        if name in _UNLIMITED:
            continue
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)) and not isinstance(number, bool) and number > 4096:
                yield name, number


def _tables(cell: ModelCell) -> Iterator[int]:
    """The numbers of values in the largest tables that building the model computes. Files don't hold all of them."""
    size, position = body_of(cell.arch).size, POSITIONS[cell.pe]
    if not isinstance(size, Size):
        return
    rows, columns = size.stage_grids(cell.shape.image_size)[0]
    tokens = rows * columns
    window = min(tokens, size.window_size**2) if isinstance(size, WindowSize) else tokens
    if position.absolute:
        yield tokens * size.embed_dim
    if position.bias:
        yield window**2
    if isinstance(size, WindowSize):
        yield tokens * window  # the masks of shifted windows


def _described(depths: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}"[:100] for name, value in depths.items())


def _told(shapes: Shapes, name: str) -> str:
    return "×".join(map(str, shapes[name])) or "a number" if name in shapes else "none"


def _unlike(found: str) -> InputError:
    return InputError(
        "this file's weights don't fit the model that it describes",
        expected="a file as `lape run --keep-weights` writes it",
        found=found,
        fix="make the file anew with `lape rerun TRIAL_ID --weights FILE`",
    )
