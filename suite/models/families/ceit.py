"""CeiT (arXiv 2103.11816): a pre-norm ViT with a convolutional stem, convolutional MLPs and class-token attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, max_pool2d

from suite.models.embedding import BlockTerms
from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import NOWHERE, Attention, Block, PreNormBlock, plus
from suite.models.sizes import PlainSize, Size, StemSize

STEM_PLANES = 64


class ImageToTokens(nn.Module):
    """The image-to-tokens stem (I2T): 7×7 convolution of stride 2, BatchNorm, 3×3 max-pool of stride 2, patches.

    There is no activation, as in the released code.
    """

    def __init__(self, size: StemSize, in_chans: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, STEM_PLANES, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(STEM_PLANES)
        self.patches = nn.Conv2d(STEM_PLANES, size.embed_dim, size.patch_size, stride=size.patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, patches, embed_dim]."""
        x = max_pool2d(self.norm(self.stem(images)), kernel_size=3, stride=2, padding=1)
        tokens: Tensor = self.patches(x)
        return tokens.flatten(2).transpose(1, 2)


class LocallyEnhancedFeedForward(nn.Module):
    """An MLP over patches with a depthwise 3×3 convolution inside (LeFF, §3.3). The class token bypasses it."""

    side: int  # patches on each side of the square grid; CeiT sets it

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, hidden, 1)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.conv3 = nn.Conv2d(hidden, width, 1)
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(hidden), nn.BatchNorm2d(hidden), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, 1 + patches, width] to the same shape; the patches form a square grid."""
        patches = x[:, 1:].transpose(1, 2).unflatten(2, (self.side, self.side))
        patches = gelu(self.norm1(self.conv1(patches)))
        patches = gelu(self.norm2(self.conv2(patches)))
        patches = self.norm3(self.conv3(patches)).flatten(2).transpose(1, 2)
        return torch.cat([x[:, :1].to(patches.dtype), patches], dim=1)


class CeiTBlock(PreNormBlock):
    """A pre-norm block with LeFF instead of the MLP."""

    def __init__(
        self, size: Size, *, width: int, heads: int, drop_path: float, norm: Callable[[], nn.Module] | None = None
    ) -> None:
        super().__init__(size, width=width, heads=heads, drop_path=drop_path, norm=norm)
        self.mlp = LocallyEnhancedFeedForward(width, int(width * size.mlp_ratio))


class LastTokenAttention(Attention):
    """Attention in which only the last token is a query."""

    def forward(self, x: Tensor, at: BlockTerms = NOWHERE) -> Tensor:
        """Map [batch, tokens, width] to [batch, 1, width]. No position acts here: tokens stand for layers."""
        q, k, v = self.project(x)
        return self.attend(q[:, :, -1:], k, v, at)


class ClassTokenAttention(Block):
    """Layer-wise class-token attention (LCA, §3.4).

    The class token after the last block attends to the class tokens after all blocks.
    """

    def __init__(self, size: PlainSize) -> None:
        super().__init__(size, width=size.embed_dim, heads=size.num_heads, drop_path=0.0)
        self.attention = LastTokenAttention(
            size.embed_dim,
            size.num_heads,
            qkv_bias=size.qkv_bias,
            drop=size.attn_drop,
            talking=size.talking_heads,
        )

    def forward(self, x: Tensor, at: BlockTerms = NOWHERE) -> Tensor:
        """Class tokens [batch, depth, width] to [batch, 1, width]."""
        x = x[:, -1:] + self.attention(self.seen(plus(x, at.stream), at), at)
        x = x + self.mlp(self.norm2(x))
        return x


class CeiT(VisionTransformer):
    """CeiT at any size.

    The position embedding is joined in the blocks only. LCA has a layer embedding instead, because its tokens stand
    for layers, not for patches.
    """

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default")
    tokenizer_type = ImageToTokens
    block_type = CeiTBlock

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        size = self.architecture.size
        assert isinstance(size, PlainSize)
        self.layer_embedding = nn.Parameter(torch.zeros(1, size.depth, size.embed_dim))
        self.class_attention = ClassTokenAttention(size)
        for block in self.blocks:
            assert isinstance(block.mlp, LocallyEnhancedFeedForward)
            block.mlp.side, _ = self.position.grid

    def encode(self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None) -> Tensor:
        """Map tokens [batch, 1 + patches, width] to the class token, [batch, 1, width].

        Args:
            x: the output of `embed`.
            after: a list to which the tokens after each block are appended.
            last: the block after which to stop and return all tokens; None runs all blocks, then LCA.
        """
        joined = self.position()
        x = plus(x, joined.stem)
        class_tokens = []
        for number, (block, at) in enumerate(zip(self.blocks, joined.blocks, strict=True)):
            x = self.run(block, x, at)
            class_tokens.append(x[:, :1])
            if after is not None:
                after.append(x)
            if number == last:
                return x
        layers = torch.cat(class_tokens, dim=1) + self.layer_embedding
        x = self.class_attention(layers)
        return x

    def normalised(self, x: Tensor, after: Sequence[Tensor]) -> Tensor:
        """The patch tokens after the last block, with the final norm applied. LCA's output has no patch tokens."""
        patches: Tensor = self.norm(after[-1][:, 1:])
        return patches
