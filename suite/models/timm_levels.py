"""The levels of the PE, join and norm axes in a timm model."""

from __future__ import annotations

from typing import Any

from torch import nn

from suite.errors import InputError
from suite.models.joins import Join
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.timm_join import apply_join, joined_type
from suite.models.timm_layout import network_norm, own_position
from suite.models.timm_norm import apply_norm


def with_levels(network: nn.Module, position: Position, join: Join, norm: Norm, image_size: int) -> nn.Module:
    """A timm model with another PE, joining method or norm. The model itself is changed.

    The PE axis is about the absolute PE alone: relative and rotary ones are part of timm's model, and stay. 'none'
    removes the absolute PE, and a fixed PE replaces it. A norm replaces those that the model has as published.

    Args:
        network: a model as timm builds it.
        position: the PE: 'learnable' is the model's own.
        join: the joining method.
        norm: the norm: 'ln' (of a network with BatchNorm 'bn') is the model's own.
        image_size: pixels a side.

    Raises:
        InputError: the model can't have one of them.
    """
    own = own_position(network)
    if own and position.name != "learnable":
        _remove_position(network, position)
        own = False
    if own or position.name != "none" or join.name != "default":
        network = apply_join(network, join.name, None if own else position.name)
    if norm.name != (network_norm(network) or "ln"):
        network = apply_norm(network, norm.name, image_size, norm.where)
    return network


def _remove_position(network: Any, position: Position) -> None:
    if joined_type(network) is None:
        raise InputError(
            f"a {type(network).__name__} can't do without its position embedding",
            expected="pe 'learnable', its own",
            found=f"pe {position.name!r}",
            fix="choose pe learnable",
        )
    network.pos_embed = None
