"""A semantic head on a timm model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from suite.models.backbone_size import BackboneSize
from suite.models.families.semantic_head import SemanticModel
from suite.models.timm_maps import features

_OF_CLASSIFIER = ("head", "fc_norm", "attn_pool", "conv_head", "norm_head")  # timm's names


class OfTimm(SemanticModel):
    """On a timm model: the head reads what `forward_features` gives, without prefix tokens."""

    network: Any

    def _create(self) -> nn.Module:
        whole, size = self.architecture, self.architecture.size
        self.architecture = size.body if isinstance(size, BackboneSize) else whole
        try:
            created: nn.Module = super()._create()  # type: ignore[misc]
        finally:
            self.architecture = whole
        return created

    def without_classifier(self) -> None:
        """As timm removes it, with the norms and convolutions that stand between the features and the classifier."""
        self.network.reset_classifier(0)
        for name in _OF_CLASSIFIER:
            module = getattr(self.network, name, None)
            if isinstance(module, nn.Module) and any(True for _ in module.parameters()):
                setattr(self.network, name, nn.Identity())

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map [batch, channels, height, width] to logits [batch, classes, height, width]; with `watched`, also to
        `Tokens`.
        """
        if not watched:
            return self.pixels(features(self.network, images))
        _, tokens = super().forward(images, watched)
        return self.pixels(tokens.normalised), tokens
