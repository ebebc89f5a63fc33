"""A timm model as one of the suite's architectures: `{family: timm, model: vit_tiny_patch16_224, patch_size: 4}`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models.architectures import Architecture
from suite.models.families.transformer import Tokens
from suite.models.initialise import Rules
from suite.models.joins import Join
from suite.models.model import Model
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.timm_layout import show
from suite.models.timm_levels import with_levels
from suite.models.timm_masks import draws_by_itself, seed_masks
from suite.models.timm_named import create
from suite.models.timm_size import TimmSize
from suite.store.canonical import derive_seed

_BLOCK_TABLE = re.compile(r"^network\.position\.tables\.\d+$")


class TimmNetwork(Model):
    """A timm model, with the levels of the PE, join and norm axes.

    Its initial weights are those that timm draws, from a seed of their own: two models that differ in PE, joining
    method or norm start from the same values in every parameter that they share. What is added to timm's model draws
    as in the suite's own models.
    """

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default")
    stacks = False

    def __init__(
        self,
        architecture: Architecture,
        position: Position,
        join: Join,
        norm: Norm,
        *,
        num_classes: int,
        image_size: int,
        in_chans: int,
    ) -> None:
        super().__init__(
            architecture, position, join, norm, num_classes=num_classes, image_size=image_size, in_chans=in_chans
        )
        self.num_classes = num_classes
        self.network: Any = with_levels(self._create(), position, join, norm, image_size)
        seed_masks(self.network)
        self._divisible: bool | None = None

    def _create(self) -> nn.Module:
        size = self.architecture.size
        assert isinstance(size, TimmSize)
        return create(
            size.model,
            size.arguments,
            num_classes=self.num_classes,
            in_chans=self.in_chans,
            image_size=self.image_size,
        )

    def own_weights(self, seed: int) -> dict[str, Tensor]:
        """Timm's initial weights by the names of this model's parameters. torch's global generator isn't changed."""
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(derive_seed(seed, "timm"))
            drawn: dict[str, Tensor] = {f"network.{name}": value for name, value in self._create().named_parameters()}
        mine = dict(self.named_parameters())
        table = drawn.get("network.pos_embed")
        if table is not None and "network.pos_embed" not in mine:
            # Where each block has a learned table of its own, all start as the model's. A fixed table stays.
            drawn |= {name: table for name, one in mine.items() if _BLOCK_TABLE.match(name) and one.requires_grad}
        return drawn

    def position_and_class_parameters(self) -> set[str]:
        """The parameters of more than one dimension that have no weight decay in timm."""
        listed = self.network.no_weight_decay() if hasattr(self.network, "no_weight_decay") else set()
        return {f"network.{name}" for name in listed}

    @property
    def divisible(self) -> bool:
        """Whether a batch can be split: no dropout draws from torch's global generator, which the parts would share."""
        if self._divisible is None:
            weight = next(self.parameters())
            images = torch.zeros(2, self.in_chans, self.image_size, self.image_size, device=weight.device)
            self._divisible = not draws_by_itself(self.network, images)
        return self._divisible

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map [batch, channels, height, width] to logits [batch, classes]; with `watched`, also to `Tokens`."""
        if not watched:
            return self.network(images)
        patches = self.architecture.size.patch_tokens(self.image_size)
        if patches is None:
            raise InputError(
                f"timm's {type(self.network).__name__} shows no patch tokens",
                expected="a transformer with forward_intermediates",
                found=self.architecture.name,
                fix="choose another architecture",
            )
        levels = [block % sum(patches.depths) for block in watched]
        wanted = sorted(set(levels))
        shown = show(self.network, images, wanted, patches.grids[0])
        seen = tuple(shown.levels[wanted.index(level)] for level in levels)
        return self.network.forward_head(shown.final), Tokens(shown.embedded, seen, shown.normalised)
