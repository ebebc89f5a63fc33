"""The answer of `lape cost --json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from suite.cli.answers.answer import OpenPart, Part
from suite.cli.answers.plan import DroppedPart


class CostPart(OpenPart):
    """The counts of one model. Keys that end in _added: the difference from the same model without the method."""

    arch: str
    pe: str
    join: str
    norm: str
    num_classes: int
    image_size: int
    in_chans: int
    params: int
    trainable: int
    pe_params: int
    macs: int = Field(description="multiply-accumulates of a forward pass of one image")
    activations: int
    params_added: int | None
    macs_added: int | None


class CostAnswer(Part):
    """Parameters, MACs and activations of models."""

    format: Literal["lape/cost/1"] = "lape/cost/1"
    models: list[CostPart]
    impossible: list[DroppedPart]
