"""What `suite.models.inspection` needs of a timm model: its position, and the norms before attention."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from suite.errors import InputError
from suite.models.embedding import BlockTerms, Joined
from suite.models.joins import JOINS
from suite.models.sizes import Grid
from suite.models.timm_join import joined_type
from suite.models.timm_layout import prefix_tokens
from suite.models.timm_stages import Joining


class TimmPosition(nn.Module):
    """The absolute PE of a timm model without stages, joined or not. It is called as a `PositionEmbedding` is.

    Raises:
        InputError: the model is of another kind.
    """

    grid: Grid
    network: Any

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.prefix = network, prefix_tokens(network)
        joined = type(network) if isinstance(network, Joining) else joined_type(network)
        kind = joined.__bases__[-1].__name__ if joined is type(network) else type(network).__name__
        if joined is None or not hasattr(network, "blocks"):
            raise _refusal(f"timm's {kind}, whose positions this doesn't know")
        if not isinstance(network, Joining):
            joined.check(network, JOINS["lape"])
        if not isinstance(getattr(network, "norm_pre", None), nn.Identity | None):
            raise _refusal(f"a {kind} with a norm between the position and the first block")
        (self.grid,) = joined.grids(network)

    def forward(self, carried: Tensor | None = None) -> Joined:
        """What the position adds, and where."""
        own: Tensor | None = self.network.pos_embed
        if own is not None and getattr(self.network, "no_embed_class", False):
            own = pad(own, (0, 0, self.prefix, 0))
        if isinstance(self.network, Joining):
            embedding: Any = self.network.position
            joined: Joined = embedding(own)
            return joined
        return Joined(own, [BlockTerms()] * len(self.network.blocks), own)


def _refusal(found: str) -> InputError:
    return InputError(
        "the position correlation of this timm model can't be drawn",
        expected="a ViT, DeiT, Eva or BEiT of timm, whose position joins as in LaPE's Eq. 1–11",
        found=found,
        fix="inspect another model",
    )
