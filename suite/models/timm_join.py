"""`apply_join`: a joining method in an existing model of timm.

The model keeps its interface, its weights and their names. `position` is added: the maps of the joining
method, and the tables that the model doesn't have. The terms are computed once per forward pass and exist
during it alone. A block that is called on its own raises an error instead of leaving its position out.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from suite.errors import InputError
from suite.models.joins import JOINS, Join
from suite.models.positions import POSITIONS, TOKENS, Position
from suite.models.timm_sites import joined_types
from suite.models.timm_stages import Joining
from suite.models.timm_swin import JoinedSwinTransformer
from suite.models.timm_vit import JoinedVisionTransformer, JoinedVisionTransformerDistilled

JOINED: tuple[type[Joining], ...] = (
    JoinedVisionTransformer,
    JoinedVisionTransformerDistilled,
    JoinedSwinTransformer,
    *joined_types(),
)


def apply_join(model: nn.Module, join: str = "lape", pe: str | None = None) -> Any:
    """Put a joining method into a timm VisionTransformer (ViT, DeiT, distilled or not), Swin, Eva or BEiT.

    The model itself is changed, and returned; do it before its optimizer is made. Its own PE is what joins,
    and stays its `pos_embed`, or becomes the start of each block's table where each block has one. With join
    'default' a model that has a PE is returned as it is. timm's Swin has none but its relative one: `pe`
    gives it one, which is merged from stage to stage by the weights that merge the tokens. Rotary positions
    (Eva) and relative ones (Swin, BEiT) stay as they are.

    Args:
        model: a model of timm, not compiled or wrapped.
        join: a joining method.
        pe: the PE of a model that has none: 'learnable' (drawn by torch's global generator), 'sin1d', 'sin2d'.

    Raises:
        InputError: a name is unknown, there is nothing to join, or the model has a part with which the joining
            method has no clear meaning. The model is left as it was.
    """
    method = JOINS[join]
    joined = joined_type(model)
    if joined is None:
        raise InputError(
            f"no joining method can be put into a {type(model).__name__}",
            expected=f"exactly one of timm's {', '.join(joined.__bases__[1].__name__ for joined in JOINED)}",
            found=f"{type(model).__module__}.{type(model).__name__}",
            fix="join it once, before it is compiled or wrapped; else build the model by suite.models.create_model",
        )
    has_own = getattr(model, "pos_embed", None) is not None
    position = POSITIONS[pe or ("learnable" if has_own else "none")]
    _check_position(model, position, method, has_own)
    if has_own and join == "default":
        return model
    joined.check(model, method)
    embeddings = joined.embeddings(model, position, method)
    model.__class__ = joined
    model.adopt(embeddings)  # type: ignore[operator]
    return model


def joined_type(model: nn.Module) -> type[Joining] | None:
    """The class that a model becomes when a position is joined; None if none can be."""
    return next((joined for joined in JOINED if joined.__bases__[1] is type(model)), None)


def _check_position(model: nn.Module, position: Position, method: Join, has_own: bool) -> None:
    reason: str | None = None
    if has_own and not position.learnable:
        reason = f"this model has a position embedding, which it keeps, so that pe {position.name!r} has no place"
    elif set(position.sites) - {TOKENS}:
        reason = f"pe {position.name!r} is none that a model of timm can be given"
    elif not position.absolute:
        reason = "this model has no position embedding to join"
    if reason := reason or method.refuses_position(position.name):
        raise InputError(
            reason,
            expected="a model with an absolute PE, or without one and a pe to give it that the join can use",
            found=f"a {type(model).__name__} {'with' if has_own else 'without'} an absolute PE, join {method.name!r}",
            fix="leave pe out" if has_own else "pass pe='learnable'",
        )
