"""Compact Transformers (arXiv 2104.05704): ViT-Lite, CVT and CCT at any size, as in the released code."""

from __future__ import annotations

from torch import Tensor

from suite.models.embedding import BlockTerms
from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import Block, plus
from suite.models.layers.tokenizers import ConvolutionTokenizer, PatchTokenizer


class CompactBlock(Block):
    """The block of the released code: before the MLP, `norm2` normalises the residual stream itself.

    A position embedding added to the stream is therefore rescaled before the next block. In a plain pre-norm block
    it arrives unchanged.
    """

    def forward(self, x: Tensor, at: BlockTerms, wanted: int | None = None) -> Tensor:
        """Map [batch, tokens, width] to the same shape, or to its first `wanted` tokens.

        Args:
            x: the residual stream.
            at: the position terms of this block.
            wanted: how many of the first tokens to compute; None computes all.
        """
        x = plus(x, at.stream)
        x = self.attend(x, at, wanted)
        x = self.norm2(x)
        added: Tensor = self.drop_path(x, self.mlp, x)
        return at.finished(added) if wanted is None else added


class _Compact(VisionTransformer):
    # As in the released code: the PE's standard deviation is ten times DeiT's, and the class token starts at zero.
    rules = Rules(position_std=0.2, class_token_std=0.0, convolution="kaiming_normal")
    block_type = CompactBlock


class ViTLite(_Compact):
    """ViT-Lite: patch tokens and a class token."""

    tokenizer_type = PatchTokenizer


class CVT(_Compact):
    """CVT: patch tokens and sequence pooling."""

    tokenizer_type = PatchTokenizer


class CCT(_Compact):
    """CCT: a convolutional tokenizer and sequence pooling."""

    tokenizer_type = ConvolutionTokenizer
