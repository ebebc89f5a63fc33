"""A small model of sizes that have no common factor, so that a mixed-up axis can't go unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from suite.models import create_model
from suite.models.families.transformer import VisionTransformer

Small = Callable[..., VisionTransformer]

WIDTH, DEPTH, CLASSES, CHANNELS, IMAGE = 28, 3, 11, 2, 15
_BODY = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": 7, "mlp_ratio": 41 / 28}
_TOKENIZERS: dict[str, dict[str, Any]] = {
    "cct": {"conv_kernel": 3, "conv_stride": 1, "conv_padding": 1, "conv_layers": 2},
    "ceit": {"patch_size": 2},
    "t2t_vit": {"token_dim": 6},
}


@pytest.fixture
def small() -> Small:
    """small(arch, pe=…, join=…), for images [2, 15, 15].

    9 patches of 5×5 pixels; of cct 16 pixels of a feature map, of ceit 4 patches of one, of t2t_vit a single token.
    """

    def make(arch: str, **settings: Any) -> VisionTransformer:
        tokenizer = _TOKENIZERS.get(arch, {"patch_size": 5})
        sizes = {**_BODY, **tokenizer, "num_classes": CLASSES, "image_size": IMAGE, "in_chans": CHANNELS}
        return create_model(arch, **{**sizes, **settings})

    return make


@pytest.fixture
def images() -> torch.Tensor:
    """Five images of noise, [5, 2, 15, 15]."""
    return torch.randn(5, CHANNELS, IMAGE, IMAGE, generator=torch.Generator().manual_seed(7))
