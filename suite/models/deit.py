"""DeiT (arXiv 2012.12877): the plain pre-norm ViT with a class token, at any size."""

from __future__ import annotations

from torch import Tensor

from suite.models.initialise import Rules
from suite.models.layers import Block, PatchTokenizer, plus
from suite.models.transformer import VisionTransformer


class PreNormBlock(Block):
    """Both branches see a normalised copy; the residual stream itself is never normalised."""

    def forward(self, x: Tensor, stream: Tensor | None, branch: Tensor | None) -> Tensor:
        """[batch, tokens, width] to the same."""
        x = plus(x, stream)
        x = x + self.drop_path(self.attention(plus(self.norm1(x), branch)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class DeiT(VisionTransformer):
    """DeiT without distillation."""

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default")
    tokenizer_type = PatchTokenizer
    block_type = PreNormBlock
