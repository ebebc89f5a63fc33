"""Loading published weights into the suite's models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from suite.errors import InputError
from suite.models.embedding import PositionEmbedding
from suite.models.families.transformer import Transformer
from suite.models.sites.bias import RelativeBias
from suite.models.sizes import Grid
from suite.models.weights.sources import SOURCES
from suite.models.weights.unwrapping import find_weights, listed
from suite.text import note

FIXED_TOLERANCE = 1e-3  # rounding error between two float32 computations of a sinusoid, at angles up to a thousand


class Loaded(NamedTuple):
    """The published entries that were not copied unchanged.

    Attributes:
        resized: tables that were interpolated to this model's grid, as texts with their shapes.
        computed: fixed tables for another grid, in place of which this model keeps its own, likewise.
        skipped: names of entries that aren't weights.
    """

    resized: list[str]
    computed: list[str]
    skipped: list[str]


@torch.no_grad()
def load_reference(
    model: nn.Module, state_dict: Mapping[str, Any], source: str, *, weights_key: str | None = None
) -> Loaded:
    """Load a published state dict into a model. The state dict may be wrapped; see `find_weights`.

    If the checkpoint has weights under several keys, a note on standard error says which were taken.

    The checkpoint must have every parameter and running statistic of the model, with its shape, and nothing else.
    Otherwise the model isn't changed. If only the image size differs, a learned PE is resized: the patches' rows are
    interpolated bicubically, and the prefix tokens' rows are kept, as in DeiT's released code. The table of a relative
    PE is interpolated as well. The model keeps its own fixed PE.

    Args:
        model: one of the suite's models.
        state_dict: the checkpoint.
        source: the published format, a name in `SOURCES`.
        weights_key: the key of the weights in the checkpoint; by default, `find_weights` chooses.

    Raises:
        InputError: the source is unknown or doesn't fit this model, or names or shapes differ (the first are listed).
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
    tables = position_tables(model)
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


class Table(NamedTuple):
    """How to load one table of a position embedding.

    Attributes:
        fit: resizes a published table to this model's grid; returns None if it can't.
        fixed: whether the table is computed, not learned.
    """

    fit: Callable[[Tensor], Tensor | None]
    fixed: bool = False


def position_tables(model: nn.Module) -> dict[str, Table]:
    """How to load each table of a model's position embeddings, by the parameter's name."""
    tables = {}
    for path, module in model.named_modules():
        if isinstance(module, PositionEmbedding):
            for index, table in enumerate(module.tables):
                fixed = module.position.table is not None
                fit = partial(_fixed, table) if fixed else partial(_resized, module.grid, module.prefix)
                tables[f"{path}.tables.{index}"] = Table(fit, fixed)
        elif isinstance(module, RelativeBias):
            side = math.isqrt(len(module.table))
            tables[f"{path}.table"] = Table(partial(_resized_offsets, side))
    return tables


def _fixed(own: Tensor, given: Tensor) -> Tensor | None:
    given = given.reshape(1, *given.shape[-2:]) if given.ndim == 2 else given  # LaPE's 1-D sinusoid has no batch axis
    if given.shape == own.shape:
        return given
    return own if given.ndim == 3 and given.shape[::2] == own.shape[::2] else None


def _resized(grid: Grid, prefix: int, given: Tensor) -> Tensor | None:
    """Resize a learned PE: [1, prefix + side², width] to [1, prefix + rows × columns, width]."""
    if given.ndim != 3 or len(given) != 1 or given.shape[1] == prefix + grid[0] * grid[1]:
        return given
    patches = _interpolated(given[0, prefix:], grid)
    return None if patches is None else torch.cat([given[0, :prefix].float(), patches])[None]


def _resized_offsets(side: int, given: Tensor) -> Tensor | None:
    """Resize a relative PE's table: [(2W-1)², heads] to [side², heads]. The offsets form a square grid, too."""
    if given.ndim != 2 or len(given) == side**2:
        return given
    return _interpolated(given, (side, side)) if len(given) % 2 else None


def _interpolated(rows: Tensor, grid: Grid) -> Tensor | None:
    """Interpolate a square grid bicubically: [side², channels] to [rows × columns, channels]; None if not square."""
    side = math.isqrt(len(rows))
    if side == 0 or side**2 != len(rows):
        return None
    image = rows.float().T.unflatten(1, (side, side))[None]
    return interpolate(image, size=grid, mode="bicubic", align_corners=False)[0].flatten(1).T
