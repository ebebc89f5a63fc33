"""DeiT (arXiv 2012.12877) at any size: a plain pre-norm ViT with a class token, and its distilled variant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import PreNormBlock
from suite.models.layers.tokenizers import PatchTokenizer


class DeiT(VisionTransformer):
    """DeiT without distillation."""

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default")
    tokenizer_type = PatchTokenizer
    block_type = PreNormBlock


class DistilledDeiT(DeiT):
    """DeiT with a distillation token after the class token and a second head that learns from a teacher (§3).

    The position embedding has a row for the distillation token. In training mode, the forward pass returns the
    logits of both heads. In evaluation mode, it returns their mean.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        width, classes = self.head.in_features, self.head.out_features
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_head = nn.Linear(width, classes)

    def prefix(self) -> Tensor:
        """The class token and the distillation token, [1, 2, width]."""
        assert self.class_token is not None
        return torch.cat([self.class_token, self.distillation_token], dim=1)

    def classify(self, x: Tensor) -> Any:
        """Map normalised tokens to logits [batch, classes]; in training mode, to a pair of them, one per head."""
        logits, distilled = self.head(self.head_input(x[:, 0])), self.distillation_head(self.head_input(x[:, 1]))
        return (logits, distilled) if self.training else (logits + distilled) / 2
