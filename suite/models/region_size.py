"""The sizes of a frozen vision transformer whose patches are grouped into regions. Needs no torch."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from suite.errors import InputError
from suite.models.sizes import PatchSize

Grouping = Literal["dcn", "kmeans", "spectral"]
_OF_DCN = ("updates", "prototype_heads", "prototype_hidden")


class RegionSize(PatchSize):
    """The sizes of a frozen backbone, and how its patches are grouped: by DCN, k-means or spectral clustering."""

    grouping: Grouping = Field(
        description="dcn: by the nearest of several trained prototypes, so that an image has as many regions as it "
        "needs; kmeans, spectral: each image into as many clusters as `regions` says"
    )
    regions: int = Field(default=5, ge=1, le=256, description="DCN's prototypes, or the clusters of an image")
    updates: int = Field(default=6, ge=1, le=100, description="of DCN's prototypes")
    prototype_heads: int = Field(default=6, ge=1, description="heads of the attention in DCN's updates")
    prototype_hidden: int = Field(default=1024, ge=1, description="hidden channels of the MLP in DCN's updates")

    @model_validator(mode="after")
    def _of_its_grouping(self) -> Self:
        if self.grouping != "dcn":
            fields = type(self).model_fields
            if set_ := [name for name in _OF_DCN if getattr(self, name) != fields[name].default]:
                raise ValueError(f"{', '.join(set_)} with grouping: dcn alone")
        return self

    @property
    def trained(self) -> bool:
        """Whether the model has parameters that are trained. The backbone's never are."""
        return self.grouping == "dcn"

    def patch_tokens(self, image_size: int) -> Any:
        """None: no loss acts on the tokens of frozen blocks."""
        return None

    def check(self, image_size: int) -> None:
        """Raise `InputError` if no model of this size can be built for that image size."""
        super().check(image_size)
        if self.grouping == "dcn" and self.embed_dim % self.prototype_heads:
            raise InputError(
                "the heads of the prototypes' attention don't fit the features",
                expected=f"a prototype_heads that divides embed_dim ({self.embed_dim})",
                found=str(self.prototype_heads),
                fix="change prototype_heads",
            )
        rows, columns = self.token_grid(image_size)
        if rows * columns < self.regions:
            raise InputError(
                "an image has fewer patches than regions",
                expected=f"at least {self.regions} patches",
                found=f"{rows * columns} patches of {self.patch_size} pixels a side",
                fix="lower regions or patch_size, or choose larger images",
            )


def has_trained_parameters(size: object) -> bool:
    """Whether a model of this size has parameters to train: all have, but those that only cluster."""
    return not isinstance(size, RegionSize) or size.trained
