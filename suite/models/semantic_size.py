"""The sizes of a vision transformer that segments: a patch size, and the head on its patch tokens. Needs no torch."""

from __future__ import annotations

from pydantic import Field

from suite.models.sizes import PatchSize


class SemanticSize(PatchSize):
    """The sizes of a backbone with a semantic head: linear, or Segmenter's mask transformer (arXiv 2105.05633)."""

    mask_layers: int = Field(
        default=0, ge=0, le=100, description="blocks of the mask transformer; 0: a linear head on the patch tokens"
    )
