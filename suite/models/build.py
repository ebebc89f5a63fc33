"""`create_model`, and `build_model` from a cell: any architecture with any position embedding and joining method."""

from __future__ import annotations

from typing import Any

import torch

from suite.errors import InputError
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.initialise import initialise
from suite.models.join_checks import check_terms
from suite.models.joins import JOINS
from suite.models.levels import Cell, refusal
from suite.models.model import Model
from suite.models.model_cell import ModelCell
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.registry import resolve


def create_model(
    arch: str | Architecture,
    *,
    pe: str = "learnable",
    join: str = "default",
    norm: str | None = None,
    num_classes: int,
    image_size: int,
    in_chans: int = 3,
    **overrides: Any,
) -> Model:
    """A model for square images of [in_chans, image_size, image_size], in training mode, in float32.

    `initialise` draws the weights, with one seed from torch's global generator: so `torch.manual_seed` governs them.
    Nothing else is drawn from that generator. Under `torch.device("meta")` the model has shapes and no weights, which
    is enough to count its costs.

    Args:
        arch: a named size, a family with its size as `overrides`, or a resolved architecture.
        pe: the position embedding (`lape ls pes`).
        join: the joining method.
        norm: the norm; None for the family's own, LayerNorm or (of a convolutional network) BatchNorm.
        num_classes: the number of logits.
        image_size: pixels a side.
        in_chans: channels of an image.
        overrides: sizes that replace those of `arch`.

    Raises:
        InputError: a name is unknown, a size is missing or out of range, the parts can't be combined, or the joining
            method returns a wrong number of tensors.
    """
    architecture = _resolve(arch, overrides)
    position, method = POSITIONS[pe], JOINS[join]
    norm = norm or architecture.norm
    normaliser = NORMS[norm].placed(architecture.size)
    for name, value in (("num_classes", num_classes), ("image_size", image_size), ("in_chans", in_chans)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(
                f"{name} can't be {value!r}",
                expected="a whole number of at least 1",
                found=repr(value),
                fix=f"give another {name}",
            )
    cell = Cell(architecture, image_size, {"pe": pe, "join": join, "norm": norm})
    if unfit := architecture.refuses(cell):
        raise InputError(unfit.what, expected=unfit.expected, found=unfit.found, fix=unfit.fix)
    for known in (POSITIONS, JOINS, NORMS):
        if error := refusal(known, cell):
            raise error

    family_type: type[Model] = resolve(architecture.family.builder)
    seed = int(torch.randint(2**63 - 1, (), device="cpu"))
    with torch.random.fork_rng(devices=[]):  # the modules' own initialisation draws too, and is thrown away
        model = family_type(
            architecture,
            position,
            method,
            normaliser,
            num_classes=num_classes,
            image_size=image_size,
            in_chans=in_chans,
        )
    initialise(model, seed)
    check_terms(model, method)
    return model


def build_model(cell: ModelCell) -> Model:
    """The model of a cell, as `create_model` makes it; raises `InputError` if there is none."""
    rest: dict[str, Any] = {**cell.others, **vars(cell.shape)}
    return create_model(cell.arch, pe=cell.pe, join=cell.join, norm=cell.norm, **rest)


def _resolve(arch: str | Architecture, overrides: dict[str, Any]) -> Architecture:
    if isinstance(arch, str):
        return resolve_architecture(arch, overrides)
    if not overrides:
        return arch
    return resolve_architecture(arch.family.name, {**arch.size.model_dump(), **overrides}, label=arch.name)


def plain_sibling(model: Model) -> Model:
    """The same architecture without a position, with the default join and the family's own norm.

    The state of torch's global generator doesn't change.
    """
    with torch.random.fork_rng(devices=[]):
        return create_model(
            model.architecture, pe="none", num_classes=1, image_size=model.image_size, in_chans=model.in_chans
        )
