"""A semantic head on any backbone that shows a map of patch tokens or features.

The backbone keeps its class, its levels and the names of its parameters, and loses its classifier. The head is linear,
or the mask transformer of Segmenter (arXiv 2105.05633). What differs between backbones is how they show their features:
`_OfTokens`, `_OfTokensBeforePooling`, `_OfMaps`, and `suite.models.timm_semantic`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from suite.errors import InputError
from suite.models.architectures import Architecture
from suite.models.backbone_size import BackboneSize
from suite.models.families.ceit import CeiT
from suite.models.families.convolutional import ConvolutionalNetwork
from suite.models.families.semantic_head import SemanticModel
from suite.models.families.transformer import Transformer
from suite.models.joins import Join
from suite.models.model import Model
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.timm_size import TimmSize
from suite.registry import resolve


def build(architecture: Architecture, position: Position, join: Join, norm: Norm, **shape: int) -> Model:
    """A model whose output has a logit for each class and pixel: [batch, classes, height, width].

    Args:
        architecture: its size is a `BackboneSize`.
        position: the position embedding.
        join: the joining method.
        norm: the norm.
        shape: num_classes, image_size and in_chans.

    Raises:
        InputError: the backbone comes from outside the package and shows no features.
    """
    size = architecture.size
    assert isinstance(size, BackboneSize)
    backbone: type[Model] = resolve(size.body.family.builder)
    if isinstance(size.body.size, TimmSize):
        from suite.models.timm_semantic import OfTimm  # it loads timm

        return _with_head(backbone, OfTimm)(architecture, position, join, norm, **shape)
    kind = next((mixin for of, mixin in _KINDS.items() if issubclass(backbone, of)), None)
    if kind is None:
        raise InputError(
            f"a semantic head can't be put on {size.backbone}",
            expected="a subclass of Transformer or ConvolutionalNetwork, whose features are known",
            found=f"the class {backbone.__name__}",
            fix="choose another backbone",
        )
    return _with_head(backbone, kind)(architecture, position, join, norm, **shape)


_MADE: dict[tuple[type[Model], type[SemanticModel]], type[Model]] = {}  # a class for each backbone


def _with_head(backbone: type[Model], kind: type[SemanticModel]) -> type[Model]:
    key = backbone, kind
    if key not in _MADE:
        _MADE[key] = type(f"Semantic{backbone.__name__}", (kind, backbone), {})
    return _MADE[key]


class _OfTokens(SemanticModel):
    """On a transformer: the head reads the normalised patch tokens of the last stage."""

    classifier: tuple[str, ...] = ("distillation_head",)
    pool: nn.Module

    def without_classifier(self) -> None:
        """The pooling becomes the identity: then the last block computes all tokens."""
        super().without_classifier()
        self.pool = nn.Identity()

    def classify(self, x: Tensor) -> Tensor:
        """Map normalised tokens [batch, tokens, width] to logits [batch, classes, height, width]."""
        return self.pixels(x[:, self.prefix_tokens() :])

    def prefix_tokens(self) -> int:
        """The number of tokens before the patches."""
        size = self.architecture.size
        assert isinstance(size, BackboneSize)
        return size.body.family.prefix


class _OfTokensBeforePooling(_OfTokens):
    """On CeiT, whose attention over the class tokens of all blocks is a part of its classifier."""

    classifier = ("class_attention", "layer_embedding")
    blocks: nn.ModuleList

    def encode(self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None) -> Tensor:
        """Run the blocks as `Transformer.encode` says, and nothing after them."""
        end = len(self.blocks) - 1 if last is None else last
        tokens: Tensor = super().encode(x, after, end)  # type: ignore[misc]
        return tokens


class _OfMaps(SemanticModel):
    """On a convolutional network: the head reads each pixel of the last feature map."""

    network: nn.Module

    def width(self) -> int:
        """The channels that the classifier reads."""
        return next(
            module.in_features for module in reversed(list(self.network.modules())) if isinstance(module, nn.Linear)
        )

    def without_classifier(self) -> None:
        """The modules after the last feature map become the identity."""
        for name, _ in self.network.named_children():
            if name in ("avgpool", "flatten", "fc", "classifier"):
                setattr(self.network, name, nn.Identity())

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Tensor:
        """Map [batch, channels, height, width] to logits [batch, classes, height, width]. There are no tokens."""
        x = images
        for module in self.network.children():
            x = module(x)
        return self.pixels(x.flatten(2).transpose(1, 2))


_KINDS: dict[type[Model], type[SemanticModel]] = {
    CeiT: _OfTokensBeforePooling,
    Transformer: _OfTokens,
    ConvolutionalNetwork: _OfMaps,
}
