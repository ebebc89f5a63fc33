"""The network of DCN: prototypes that look at an image's patches, and become prototypes of this image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from suite.errors import InputError


class CrossAttention(nn.Module):
    """Multi-head attention of a few queries over many tokens. It computes what `nn.MultiheadAttention` does.

    The projections of keys and values are applied to the queries and to the weighted sums of tokens: no token is
    projected. That is fewer operations where there are fewer queries times heads than channels. A bias of the keys
    would change nothing, since the softmax ignores it: there is none.

    Args:
        width: the channels of queries and tokens.
        heads: the number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Map queries [images, queries, width] and tokens [images, tokens, width] to the queries' shape."""
        asked = self.query(queries).unflatten(2, (self.heads, -1))
        key, value = (layer.weight.unflatten(0, (self.heads, -1)) for layer in (self.key, self.value))
        asked = torch.einsum("iqhc,hcw->ihqw", asked, key) / math.sqrt(asked.shape[3])
        weights = (asked.flatten(1, 2) @ tokens.mT).softmax(dim=2)
        seen = (weights @ tokens).unflatten(1, (self.heads, -1))
        mixed = torch.einsum("ihqw,hcw->iqhc", seen, value).flatten(2) + self.value.bias
        answered: Tensor = self.proj(mixed)
        return answered


class Update(nn.Module):
    """One update of the prototypes: attention to the patches, attention among prototypes, and a feed-forward network.

    Each is added to the prototypes, and a LayerNorm follows, as in the original transformer's decoder.

    Args:
        width: the channels.
        heads: of both attentions.
        hidden: the hidden channels of the feed-forward network.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross = CrossAttention(width, heads)
        self.among = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, prototypes: Tensor, features: Tensor) -> Tensor:
        """Map prototypes [images, prototypes, width] and features [images, patches, width] to new prototypes."""
        after_cross, after_among, after_feed_forward = self.norms
        prototypes = after_cross(prototypes + self.cross(prototypes, features))
        prototypes = after_among(prototypes + self.among(prototypes, prototypes, prototypes, need_weights=False)[0])
        updated: Tensor = after_feed_forward(prototypes + self.feed_forward(prototypes))
        return updated


class ConceptGenerator(nn.Module):
    """ACSeg's Adaptive Concept Generator (arXiv 2210.05944): learned prototypes, adapted to each image by updates.

    The defaults of `prototypes` and `updates` are published. `heads` and `hidden` aren't known from the paper. They
    are those of a reimplementation; see docs/dcn.md.

    Args:
        width: the channels of the patch features.
        prototypes: the largest number of regions.
        updates: the number of updates, each with weights of its own.
        heads: the heads of each attention; they must divide the width.
        hidden: the hidden channels of the feed-forward networks.

    Raises:
        InputError: a number is below 1, or the heads don't divide the width.
    """

    def __init__(
        self, width: int, *, prototypes: int = 5, updates: int = 6, heads: int = 6, hidden: int = 1024
    ) -> None:
        super().__init__()
        numbers = {"width": width, "prototypes": prototypes, "updates": updates, "heads": heads, "hidden": hidden}
        for name, value in numbers.items():
            if value < 1:
                raise InputError(f"{name} can't be {value}", expected="at least 1", found=str(value))
        if width % heads:
            raise InputError(
                "the heads of the prototypes' attention don't fit the features",
                expected=f"a number of heads that divides the features' width of {width}",
                found=f"{heads} heads",
                fix="give another number of heads",
            )
        # Of standard deviation 1: prototypes that begin alike would stay alike.
        self.prototypes = nn.Parameter(torch.randn(prototypes, width))
        self.updates = nn.ModuleList(Update(width, heads, hidden) for _ in range(updates))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map patch features [images, patches, width] to the prototypes of each image, [images, prototypes, width]."""
        prototypes = self.prototypes.expand(len(features), -1, -1)
        for update in self.updates:
            prototypes = update(prototypes, features)
        return prototypes
