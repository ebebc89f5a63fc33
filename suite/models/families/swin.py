"""Swin (arXiv 2103.14030): a pyramid of stages with shifted-window attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.embedding import BlockTerms, PositionEmbedding
from suite.models.families.transformer import Tokens, Transformer
from suite.models.initialise import Rules
from suite.models.joins import JOINS, Join
from suite.models.layers.blocks import NOWHERE, Attention, MeanPool, PreNormBlock, drop_path_rates, plus
from suite.models.layers.rotation import turned
from suite.models.layers.tokenizers import PatchTokenizer
from suite.models.normalisers.plain import norm_maker
from suite.models.norms import Norm, normalised_blocks
from suite.models.positions import Position
from suite.models.sizes import Grid, WindowSize


class WindowAttention(Attention):
    """Attention within windows of a token grid. Every second block shifts its windows by half a window (§3.2).

    The shift rolls the grid, so a window at the border holds tokens from opposite sides of the image. A mask keeps
    these tokens from attending to each other.

    Args:
        width: the tokens' channels.
        heads: the number of attention heads.
        qkv_bias: whether the projection to q, k and v has a bias.
        drop: the dropout rate of the attention weights.
        grid: rows and columns of the tokens.
        window: tokens on each side of a window.
        shift: tokens by which the windows are shifted; 0 for none.
        talking: whether heads are mixed (`TalkingHeads`).
    """

    mask: Tensor | None

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        qkv_bias: bool,
        drop: float,
        grid: Grid,
        window: int,
        shift: int,
        talking: bool = False,
    ) -> None:
        super().__init__(width, heads, qkv_bias=qkv_bias, drop=drop, talking=talking)
        self.grid, self.window, self.shift = grid, window, shift
        self.register_buffer("mask", self._mask() if shift else None, persistent=False)

    def _mask(self) -> Tensor:
        """[windows, 1, tokens, tokens]: 0 between tokens of the same image region before the roll, else -100."""
        edges = [[0] * (side - self.window) + [1] * (self.window - self.shift) + [2] * self.shift for side in self.grid]
        region = torch.tensor(edges[0])[:, None] * 3 + torch.tensor(edges[1])
        region = self._windows(region[None, :, :, None])[0, :, :, 0]
        return (region[:, :, None] != region[:, None, :]).float().mul(-100.0).unsqueeze(1)

    def _windows(self, x: Tensor) -> Tensor:
        """Map [batch, rows, columns, channels] to [batch, windows, tokens, channels]."""
        side = self.window
        x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # [batch, down, side, across, side, channels]
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def forward(self, x: Tensor, at: BlockTerms = NOWHERE) -> Tensor:
        """Map [batch, tokens, width] to the same shape. at: what the position does within each window."""
        side, heads = self.window, self.heads
        x = x.unflatten(1, self.grid)
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        # Windows are folded into the head axis. One mask then serves the whole batch, and the fused kernel applies.
        qkv = self.qkv(self._windows(x)).unflatten(3, (3, heads, -1)).permute(3, 0, 1, 4, 2, 5)
        q, k, v = qkv.flatten(2, 3).unbind()
        if at.turn is not None:
            q, k, _ = qkv.unbind()
            q, k = turned(q, at.turn).flatten(1, 2), turned(k, at.turn).flatten(1, 2)
        scores = self._scores(at.bias)
        scores = None if scores is None else scores.to(q.dtype).expand(q.shape[0], -1, -1, -1)
        if at.contextual is not None:
            scores = plus(at.contextual(q).to(q.dtype), scores)
        x = self.weigh(q, k, v, scores)
        x = x.unflatten(1, (-1, heads)).transpose(2, 3).flatten(3)  # [batch, windows, tokens, width]
        x = self.proj(x)
        down, across = (extent // side for extent in self.grid)
        x = x.unflatten(1, (down, across)).unflatten(3, (side, side)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x.flatten(1, 2)

    def over_heads(self, matrix: nn.Linear, scores: Tensor) -> Tensor:
        """Mix the heads within each window: [batch, windows × heads, tokens, tokens] to the same shape."""
        return super().over_heads(matrix, scores.unflatten(1, (-1, self.heads))).flatten(1, 2)

    def _scores(self, bias: Tensor | None) -> Tensor | None:
        """Bias and mask, to be added to the scaled products: [windows × heads, tokens, tokens]. None if neither."""
        if bias is not None:
            windows = (self.grid[0] // self.window) * (self.grid[1] // self.window)
            return (bias.expand(windows, -1, -1, -1) if self.mask is None else bias + self.mask).flatten(0, 1)
        return None if self.mask is None else self.mask.expand(-1, self.heads, -1, -1).flatten(0, 1)


class PatchMerging(nn.Module):
    """Merge 2×2 neighbouring tokens into one token of twice the width, by LayerNorm and a linear layer (§3.1).

    Args:
        grid: rows and columns of the tokens before merging.
        width: their channels.
        eps: ε of the LayerNorm.
    """

    def __init__(self, grid: Grid, width: int, eps: float) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(4 * width, eps=eps)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to [batch, tokens / 4, 2 width]."""
        x = x.unflatten(1, self.grid).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        # [batch, row, y, column, x, width]. Neighbours (y, x) in the published order: (0, 0), (1, 0), (0, 1), (1, 1).
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3).flatten(1, 2)
        merged: Tensor = self.reduction(self.norm(x))
        return merged.to(self.norm.weight.dtype)  # as in `VisionTransformer.embed`


class Swin(Transformer):
    """Swin at any size.

    In the first stage, an absolute PE is joined as in a plain ViT. It is added before windows are shifted and cut, so
    a token keeps its position in every window. `WindowSize.stage_position` says what happens in later stages.
    """

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default", relative_std=0.02)

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
        size = architecture.size
        assert isinstance(size, WindowSize)
        self.tokenizer = PatchTokenizer(size, in_chans)
        self.token_norm = nn.LayerNorm(size.embed_dim, eps=size.norm_eps)
        self.position, self.merges, self.stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        rates = drop_path_rates(size.drop_path, sum(size.depth))
        for stage, (grid, normalised) in enumerate(normalised_blocks(size, image_size, norm)):
            depth, heads, width = size.depth[stage], size.num_heads[stage], size.embed_dim * 2**stage
            window = min(size.window_size, *grid)
            alone = stage > 0 and size.stage_position == "first"
            self.position.append(
                PositionEmbedding(
                    replace(position, absolute=False) if alone else position,
                    JOINS["default"] if alone else join,
                    grid=grid,
                    prefix=0,
                    width=width,
                    depth=depth,
                    heads=heads,
                    eps=size.norm_eps,
                    window=(window, window),
                    carried=stage > 0 and size.stage_position == "merge",
                )
            )
            before = (2 * grid[0], 2 * grid[1])
            self.merges.append(PatchMerging(before, width // 2, size.norm_eps) if stage else nn.Identity())
            make = norm_maker(norm, width, heads=heads, grid=grid)
            blocks = nn.ModuleList()
            for block in range(depth):
                built = PreNormBlock(
                    size,
                    width=width,
                    heads=heads,
                    drop_path=rates.pop(0),
                    norm=make if block < normalised else None,
                )
                shift = window // 2 if block % 2 and window < grid[0] else 0
                built.attention = WindowAttention(
                    width,
                    heads,
                    qkv_bias=size.qkv_bias,
                    drop=size.attn_drop,
                    grid=grid,
                    window=window,
                    shift=shift,
                    talking=size.talking_heads,
                )
                blocks.append(built)
            self.stages.append(blocks)
        self.norm = make() if make and norm.where == "all" else nn.LayerNorm(width, eps=size.norm_eps)
        self.pool = MeanPool()
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map [batch, channels, height, width] to logits [batch, classes]; with `watched`, also to `Tokens`."""
        if not watched:  # no variable holds the embedded tokens, so their memory is freed early
            return self.classify(self.norm(self.encode(self.embed(images))))
        after: list[Tensor] = []
        embedded = self.embed(images)
        x = self.norm(self.encode(embedded, after))
        return self.classify(x), Tokens(embedded, tuple(after[block] for block in watched), x)

    def embed(self, images: Tensor) -> Tensor:
        """Map images [batch, channels, height, width] to tokens of the first stage, without position embedding."""
        return self.token_norm(self.tokenizer(images)).to(self.token_norm.weight.dtype)  # type: ignore[no-any-return]

    def encode(self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None) -> Tensor:
        """Run all stages as `Transformer.encode` says. Returns [batch, tokens, width] of the last stage."""
        omega, number = None, -1
        for merge, blocks, position in zip(self.merges, self.stages, self.position, strict=True):
            x = merge(x)
            joined = position(None if omega is None else merge(omega))
            x = plus(x, joined.stem)
            for block, at in zip(cast(nn.ModuleList, blocks), joined.blocks, strict=True):
                number += 1
                x = self.run(block, x, at)
                if after is not None:
                    after.append(x)
                if number == last:
                    return x
            omega = joined.omega
        return x
