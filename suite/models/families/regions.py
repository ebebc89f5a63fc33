"""A frozen vision transformer whose patch features are grouped into regions, without labels.

Source: ACSeg (arXiv 2210.05944); see docs/dcn.md. The backbones are those of DeiT and ViT-Lite, with their position
embeddings, joining methods and norms. Their weights come from a file: see `suite.train.backbones`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from suite.models.families.compact import ViTLite
from suite.models.families.deit import DeiT
from suite.models.families.transformer import VisionTransformer
from suite.models.region_size import RegionSize
from suite.models.regions.grouping import Grouped, grouping_of

HEAD = "head."  # what the names of the grouping's parameters begin with; all others are the backbone's


class Regions(VisionTransformer):
    """A vision transformer that maps images to `Grouped`. Its blocks are frozen and stay in evaluation mode."""

    stacks = False  # seeds are trained one by one: the trainer of several handles one label per image

    def __init__(self, architecture: Any, position: Any, join: Any, norm: Any, **shape: int) -> None:
        super().__init__(architecture, position, join, norm, **shape)
        assert isinstance(architecture.size, RegionSize)
        self.pool = nn.Identity()  # all patches are grouped, so the last block computes them all
        self.requires_grad_(False)
        head: Any = grouping_of(architecture.size)
        self.head = head
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the grouping alone: the frozen blocks have no dropout."""
        super().train(mode)
        for name, child in self.named_children():
            if name != HEAD.removesuffix("."):
                child.eval()
        return self

    def own_weights(self, seed: int) -> dict[str, Tensor]:
        """The initial weights of the grouping, by name."""
        head: Any = self.head
        return {f"{HEAD}{name}": value for name, value in head.drawn(seed).items()}

    def backbone_state(self) -> dict[str, Tensor]:
        """The parameters and running statistics of the frozen backbone, by name."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(HEAD)}

    @torch.no_grad()
    def load_backbone(self, weights: Mapping[str, Tensor]) -> None:
        """Set the frozen backbone's parameters. weights: as `backbone_state` names them."""
        for name, value in self.backbone_state().items():
            value.copy_(weights[name])

    def position_and_class_parameters(self) -> set[str]:
        """None: those of the backbone aren't trained."""
        return set()

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map [images, channels, height, width] to `Grouped`. watched: of no use here; no tokens are shown."""
        with torch.no_grad():
            x = self.norm(self.encode(self.embed(images)))
        features = x[:, self.position.prefix :].detach()
        return Grouped(self.head(features), features)


class DeiTRegions(Regions, DeiT):
    """Regions of DeiT's patch tokens."""


class LiteRegions(Regions, ViTLite):
    """Regions of ViT-Lite's patch tokens."""
