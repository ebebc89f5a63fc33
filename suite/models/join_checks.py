"""Checks of what a joining method returns, before a model is used."""

from __future__ import annotations

import torch
from torch import nn

from suite.errors import STRANGERS_ERRORS, InputError, first_line
from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join, Terms

NOT_TERMS = "what it returns isn't `Terms`"


@torch.no_grad()
def check_terms(model: nn.Module, join: Join) -> None:
    """Check that a joining method returns `Terms` with a tensor per block or none, and what the next stage needs.

    Raises:
        InputError: it returns anything else or another number of tensors, or a later stage has no position to join.
    """
    found: Terms | None = None  # of the stage before
    for place in model.modules():
        if not isinstance(place, PositionEmbedding) or not place.position.absolute:
            continue
        if not place.tables:  # it gets a position from the stage before, or from a model of another library
            if found is not None and found.omega is None:
                _check_without_position(place, join)
            continue
        found = join.terms(list(place.tables), list(place.maps))
        _check_kind(found, join)
        _check_counts(found, len(place.maps), join)


def _check_kind(found: object, join: Join) -> None:
    if not isinstance(found, Terms):
        raise InputError(
            f"join {join.name}: {NOT_TERMS}",
            expected="`Terms(…)`, which says where each tensor is added",
            found="None" if found is None else type(found).__name__,
            fix="return, for instance, Terms(stem=tables[0]), with `from suite.methods import Terms`",
        )


def _check_counts(found: Terms, blocks: int, join: Join) -> None:
    for name in ("stream", "inside", "branch"):
        if (given := len(getattr(found, name))) not in (0, blocks):
            raise InputError(
                f"join {join.name}: `{name}` has a wrong number of tensors",
                expected=f"{blocks}, one per block, or none",
                found=str(given),
                fix=f"return `{name}=[…]` with one tensor for each of `maps`",
            )


def _check_without_position(place: PositionEmbedding, join: Join) -> None:
    try:
        join.terms([], list(place.maps))
    except STRANGERS_ERRORS as error:
        raise InputError(
            f"join {join.name}: a later stage of the model has no position to join",
            expected="`Terms(omega=…)`, the position after the last block, which the next stage continues with",
            found=f"no omega, and without tables the method ends in {type(error).__name__}: {first_line(error)}",
            fix="return omega as well, for instance `omega=tables[0]`",
        ) from error
