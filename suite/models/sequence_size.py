"""The sizes of a transformer on sequences of tokens, and the levels that it refuses. Needs no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from suite.errors import InputError
from suite.models.levels import Cell, Refusal
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.models.sizes import Grid, PlainSize

# What a sequence can have: whatever the padding holds, and however long it is, the logits are the same.
ONE_TOKEN = ("ln", "scalenorm", "rmsnorm", "dyt")
SEQUENCE_DTN = "dtn"  # in its one-dimensional form, without the padding: suite.models.normalisers.sequence
_TWO_DIMENSIONAL = "sin2d"


class SequenceSize(PlainSize):
    """The sizes of a transformer on sequences. The image size is the number of tokens of a padded sequence."""

    judged: ClassVar[frozenset[str]] = frozenset({"pe", "norm"})

    drop_path: float = Field(default=0.0, ge=0, le=0, description="there is no stochastic depth: 0")
    vocabulary: int = Field(default=16, ge=2, le=256, description="how many symbols there are; 0 is the padding")
    drop: float = Field(
        default=0.0, ge=0, lt=1, description="dropout of the embedded tokens, of attention's output and in the MLP"
    )
    head_dim: int = Field(
        default=0, ge=0, description="channels of a hidden layer with ReLU before the class head; 0: there is none"
    )

    def token_grid(self, image_size: int) -> Grid:
        """One row."""
        return 1, image_size

    def patch_tokens(self, image_size: int) -> None:  # type: ignore[override]
        """None: padding is among the tokens, and what compares patches would compare it, too."""
        return

    def check(self, image_size: int) -> None:
        """Raise `InputError` if no model of this size can be built."""
        super().check(image_size)
        if self.head_drop and self.head_dim:
            raise InputError(
                "two kinds of dropout before the class head",
                expected="head_drop 0 with head_dim, whose hidden layer has none",
                found=f"head_drop {self.head_drop:g}, head_dim {self.head_dim}",
                fix="change one of them",
            )

    def refuses(self, axis: str, cell: Cell) -> Refusal | None:
        """Sequences have one row, and their padding must be kept out of statistics over tokens."""
        if axis == "pe":
            if cell["pe"] == _TWO_DIMENSIONAL:
                return Refusal(f"pe {_TWO_DIMENSIONAL!r} is of rows and columns, and a sequence has one row")
            return POSITIONS[cell["pe"]].refuses(cell)
        if axis != "norm":
            return None
        norm = NORMS[cell["norm"]]
        if norm.name in ONE_TOKEN:
            return norm.refuses(cell)
        if norm.name != SEQUENCE_DTN:
            return Refusal(
                f"norm {norm.name!r} can't tell the padding of a sequence from its tokens, and takes statistics over "
                "both, as far as is known"
            )
        if self.norm_where not in (None, "inner"):
            return Refusal(
                f"norm {norm.name!r} is of sequences without the class token, which is in the last two blocks",
                "leave norm_where out",
            )
        return replace(norm, grid=False).refuses(cell)  # a sequence isn't pooled, so any length does
