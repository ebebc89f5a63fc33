"""T2T-ViT (arXiv 2101.11986): a tokens-to-token module that unfolds and transforms tokens, then a pre-norm ViT."""

from __future__ import annotations

from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import PreNormBlock
from suite.models.layers.tokenizers import TokensToToken


class T2TViT(VisionTransformer):
    """T2T-ViT with a Performer tokens-to-token module. Only the ViT backbone has a position embedding."""

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="default")
    tokenizer_type = TokensToToken
    block_type = PreNormBlock
