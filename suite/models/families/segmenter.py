"""Semantic heads on the patch tokens of a plain backbone: linear, and the mask transformer of Segmenter.

Source: Segmenter (arXiv 2105.05633), section 3.2 and its released code. The backbones are those of DeiT and ViT-Lite,
with their position embeddings, joining methods and norms. The class token stays in the backbone, and the head leaves it
out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate

from suite.models.families.compact import ViTLite
from suite.models.families.deit import DeiT
from suite.models.families.transformer import VisionTransformer
from suite.models.layers.blocks import NOWHERE, PreNormBlock
from suite.models.semantic_size import SemanticSize


class MaskTransformer(nn.Module):
    """Segmenter's decoder: class embeddings attend to patch tokens; a mask is the product of the two.

    Args:
        size: the sizes of the backbone. The decoder has its width, heads and MLP ratio.
        classes: the number of classes.
    """

    def __init__(self, size: SemanticSize, classes: int) -> None:
        super().__init__()
        width = size.embed_dim
        self.classes = classes
        self.entrance = nn.Linear(width, width)
        self.class_embedding = nn.Parameter(torch.zeros(1, classes, width))
        self.blocks = nn.ModuleList(
            PreNormBlock(size, width=width, heads=size.num_heads, drop_path=0.0) for _ in range(size.mask_layers)
        )
        self.norm = nn.LayerNorm(width, eps=size.norm_eps)
        self.patch_projection = nn.Parameter(torch.zeros(width, width))
        self.class_projection = nn.Parameter(torch.zeros(width, width))
        self.mask_norm = nn.LayerNorm(classes, eps=size.norm_eps)

    @staticmethod
    def start(name: str, drawn: Tensor, generator: Generator) -> None:
        """Fill `drawn` with the initial value of an own parameter: as released, σ = 0.02 cut at ±2, or width^(−1/2)."""
        if name == "class_embedding":
            nn.init.trunc_normal_(drawn, std=0.02, generator=generator)
        else:
            nn.init.normal_(drawn, std=drawn.shape[0] ** -0.5, generator=generator)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patch tokens [batch, patches, width] to logits [batch, patches, classes]."""
        x = self.entrance(patches)
        x = torch.cat([x, self.class_embedding.to(x.dtype).expand(len(x), -1, -1)], dim=1)
        for block in self.blocks:
            x = block(x, NOWHERE)
        x = self.norm(x)
        seen = _unit(x[:, : -self.classes] @ self.patch_projection)
        queries = _unit(x[:, -self.classes :] @ self.class_projection)
        masks: Tensor = self.mask_norm(seen @ queries.transpose(1, 2))
        return masks


class Semantic(VisionTransformer):
    """A vision transformer whose output has a logit for each class and pixel: [batch, classes, height, width].

    The logits of the patches are interpolated bilinearly. Two products with fixed matrices do it, because torch's own
    interpolation has no deterministic gradient on a GPU.
    """

    stacks = False  # seeds are trained one by one: the trainer of several handles one label per image

    def __init__(self, architecture: Any, position: Any, join: Any, norm: Any, **shape: int) -> None:
        super().__init__(architecture, position, join, norm, **shape)
        size = architecture.size
        assert isinstance(size, SemanticSize)
        self.pool = nn.Identity()  # the head reads all patches, so the last block computes them all
        self.grid = size.token_grid(self.image_size)
        if size.mask_layers:
            decoder: Any = MaskTransformer(size, shape["num_classes"])
            self.head = decoder
        for name, cells in zip(("rows", "columns"), self.grid, strict=True):
            self.register_buffer(name, _bilinear(cells, self.image_size), persistent=False)

    def classify(self, x: Tensor) -> Tensor:
        """Map normalised tokens [batch, tokens, width] to logits [batch, classes, height, width]."""
        logits = self.head(self.head_input(x[:, self.position.prefix :]))
        maps = logits.transpose(1, 2).unflatten(2, self.grid)
        rows, columns = (self.get_buffer(name).to(maps.dtype) for name in ("rows", "columns"))
        pixels: Tensor = rows @ (maps @ columns.t())
        return pixels


class Segmenter(Semantic, DeiT):
    """Segmenter on DeiT's backbone, as published."""


class SegmenterLite(Semantic, ViTLite):
    """The same heads on ViT-Lite's backbone."""


def _unit(x: Tensor) -> Tensor:
    """Vectors of length 1. What was normalised and projected is not zero."""
    unit: Tensor = x / x.norm(dim=-1, keepdim=True)
    return unit


def _bilinear(cells: int, pixels: int) -> Tensor:
    """The weights of cells in pixels of a linear interpolation, [pixels, cells]; both ends lie half a cell outside."""
    of_each = interpolate(torch.eye(cells)[None], size=pixels, mode="linear", align_corners=False)
    return of_each[0].t().contiguous()
