"""Compact Transformers (arXiv 2104.05704): ViT-Lite, CVT and CCT, at any size, as released."""

from __future__ import annotations

from torch import Tensor

from suite.models.embedding import BlockTerms
from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import Block, plus
from suite.models.layers.tokenizers import ConvolutionTokenizer, PatchTokenizer


class CompactBlock(Block):
    """As released: `norm2` replaces the residual stream by its normalised self before the MLP.

    So a position that is added to the stream doesn't reach the next block untouched, as it does in a
    plain pre-norm block.
    """

    def forward(self, x: Tensor, at: BlockTerms, wanted: int | None = None) -> Tensor:
        """[batch, tokens, width] to the same, or to its first tokens."""
        x = plus(x, at.stream)
        x = self.attend(x, at, wanted)
        x = self.norm2(x)
        added: Tensor = self.drop_path(x, self.mlp, x)
        return added


class _Compact(VisionTransformer):
    # The PE's standard deviation is ten times DeiT's, and the class token starts at zero: both as released.
    rules = Rules(position_std=0.2, class_token_std=0.0, convolution="kaiming_normal")
    block_type = CompactBlock


class ViTLite(_Compact):
    """Patches, a class token."""

    tokenizer_type = PatchTokenizer


class CVT(_Compact):
    """Patches, sequence pooling."""

    tokenizer_type = PatchTokenizer


class CCT(_Compact):
    """A convolutional tokenizer, sequence pooling."""

    tokenizer_type = ConvolutionTokenizer
