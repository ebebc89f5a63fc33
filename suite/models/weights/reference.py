"""Published weights, put into a model of the zoo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from suite.errors import InputError
from suite.models.embedding import PositionEmbedding, RelativeBias
from suite.models.families.transformer import Transformer
from suite.models.sizes import Grid
from suite.models.weights.sources import SOURCES
from suite.models.weights.unwrapping import find_weights, listed
from suite.text import note

FIXED_TOLERANCE = 1e-3  # between two computations of a sinusoid, in float32 at angles of a thousand


class Loaded(NamedTuple):
    """What wasn't taken as it was given, by published names.

    resized: tables that were interpolated to this model's grid, with their shapes. computed: fixed tables of
    another grid, for which this model keeps its own. skipped: what a format holds beside weights.
    """

    resized: list[str]
    computed: list[str]
    skipped: list[str]


@torch.no_grad()
def load_reference(
    model: nn.Module, state_dict: Mapping[str, Any], source: str, *, weights_key: str | None = None
) -> Loaded:
    """Fill a model with the weights of a published state dict, bare or wrapped; see `find_weights`.

    If there are weights under several keys, a note on standard error says which were taken.

    Every parameter and running statistic of the model must be given, with its shape, and nothing else;
    otherwise the model is left as it was. Where only the image size differs, a learned PE is resized: its
    patches' rows bicubically, its prefix tokens' rows kept (as DeiT's release does); so is the table of a
    relative PE. A fixed PE is the model's own.

    Args:
        model: one of the zoo.
        state_dict: the checkpoint.
        source: whose names it has: a name of `SOURCES`.
        weights_key: the key under which the weights are, if not the usual one is meant.

    Raises:
        InputError: the source is unknown or not this model's, or names or shapes don't agree (the first are listed).
    """
    published = SOURCES[source]
    family = model.architecture.family.name if isinstance(model, Transformer) else type(model).__name__
    if not isinstance(model, Transformer) or family not in published.families:
        raise InputError(
            f"weights of {source!r} don't fit this model",
            expected=f"a model of the family {' or '.join(sorted(published.families))}",
            found=family,
            fix="name the source that the weights come from, or create the model they belong to",
        )
    targets: dict[str, Tensor] = model.state_dict()
    tables = _tables(model)
    values: dict[str, Tensor] = {}
    unexpected, misshapen, unlike = [], [], []
    loaded = Loaded([], [], [])
    weights = find_weights(state_dict, weights_key)
    if weights.others:
        note(f"weights for {source!r}: {weights.told}")
    for name, value in weights.state.items():
        ours = published.translate(name)
        if published.skips(name) or (ours is None and not isinstance(value, Tensor)):
            loaded.skipped.append(name)
            continue
        if ours is None or ours not in targets or ours in values:
            unexpected.append(name)
            continue
        target = values[ours] = targets[ours]
        given = value if isinstance(value, Tensor) else None
        if given is not None and ours in tables:
            given = tables[ours].fit(given)
        if given is None or given.shape != target.shape:
            shape = list(value.shape) if isinstance(value, Tensor) else "no tensor"
            misshapen.append(f"{name} {shape} instead of {list(target.shape)}")
        elif isinstance(value, Tensor) and value.numel() != target.numel():
            shapes = f"{name} {list(value.shape)} to {list(target.shape)}"
            (loaded.computed if tables[ours].fixed else loaded.resized).append(shapes)
            values[ours] = given
        elif ours in tables and tables[ours].fixed and (given - target).abs().max() > FIXED_TOLERANCE:
            unlike.append(name)
        else:
            values[ours] = given

    faults = (
        ("missing", [ours for ours in targets if ours not in values]),
        ("unexpected", unexpected),
        ("of another shape", misshapen),
        ("not the fixed table that this model's pe has", unlike),
    )
    if any(names for _, names in faults):
        raise InputError(
            f"these weights of {source!r} don't belong to this model, which is left as it was",
            expected=f"{len(targets)} tensors, one for each parameter and running statistic of the model",
            found="; ".join(f"{len(names)} {fault}: {listed(names)}" for fault, names in faults if names),
            fix="create the model with the sizes, pe, join and number of classes of the weights",
        )
    for ours, value in values.items():
        targets[ours].copy_(value)
    return loaded


class _Table(NamedTuple):
    """A table of a position embedding. fit: a given one at this model's size, or None where it can't be."""

    fit: Callable[[Tensor], Tensor | None]
    fixed: bool = False


def _tables(model: nn.Module) -> dict[str, _Table]:
    tables = {}
    for path, module in model.named_modules():
        if isinstance(module, PositionEmbedding):
            for index, table in enumerate(module.tables):
                fixed = module.position.table is not None
                fit = partial(_fixed, table) if fixed else partial(_resized, module.grid, module.prefix)
                tables[f"{path}.tables.{index}"] = _Table(fit, fixed)
        elif isinstance(module, RelativeBias):
            side = math.isqrt(len(module.table))
            tables[f"{path}.table"] = _Table(partial(_resized_offsets, side))
    return tables


def _fixed(own: Tensor, given: Tensor) -> Tensor | None:
    given = given.reshape(1, *given.shape[-2:]) if given.ndim == 2 else given  # LaPE's 1-D sinusoid has no batch axis
    if given.shape == own.shape:
        return given
    return own if given.ndim == 3 and given.shape[::2] == own.shape[::2] else None


def _resized(grid: Grid, prefix: int, given: Tensor) -> Tensor | None:
    """[1, prefix + side², width] to [1, prefix + rows × columns, width]."""
    if given.ndim != 3 or len(given) != 1 or given.shape[1] == prefix + grid[0] * grid[1]:
        return given
    patches = _interpolated(given[0, prefix:], grid)
    return None if patches is None else torch.cat([given[0, :prefix].float(), patches])[None]


def _resized_offsets(side: int, given: Tensor) -> Tensor | None:
    """[(2W-1)², heads] to [side², heads]: the offsets are a grid, too."""
    if given.ndim != 2 or len(given) == side**2:
        return given
    return _interpolated(given, (side, side)) if len(given) % 2 else None


def _interpolated(rows: Tensor, grid: Grid) -> Tensor | None:
    """The rows of a square grid [side², channels], bicubically on another: [rows × columns, channels]."""
    side = math.isqrt(len(rows))
    if side == 0 or side**2 != len(rows):
        return None
    image = rows.float().T.unflatten(1, (side, side))[None]
    return interpolate(image, size=grid, mode="bicubic", align_corners=False)[0].flatten(1).T
