"""A semantic head in place of a backbone's classifier, and the interpolation of its logits to pixels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.backbone_size import BackboneSize
from suite.models.families.segmenter import MaskTransformer, _bilinear
from suite.models.joins import Join
from suite.models.model import Model
from suite.models.norms import Norm
from suite.models.positions import Position


class SemanticModel(Model):
    """The head, and the interpolation of its logits to pixels. The class of the backbone follows in the order of bases.

    Attributes:
        classifier: names of the backbone's modules and parameters that only its classifier needs.
    """

    classifier: tuple[str, ...] = ()
    stacks = False  # seeds are trained one by one: the trainer of several handles one label per image
    head: Any

    def __init__(self, architecture: Architecture, position: Position, join: Join, norm: Norm, **shape: int) -> None:
        size = architecture.size
        assert isinstance(size, BackboneSize)
        super().__init__(size.body, position, join, norm.placed(size.body.size), **shape)
        self.architecture = architecture
        found = size.features(self.image_size)
        assert found is not None  # `BackboneSize.check` lets no other backbone be
        width = found.width or self.width()
        self.without_classifier()
        classes = shape["num_classes"]
        self.head = MaskTransformer(size.decoder(width), classes) if size.mask_layers else nn.Linear(width, classes)
        self.grid = found.grid
        for name, cells in zip(("rows", "columns"), self.grid, strict=True):
            self.register_buffer(name, _bilinear(cells, self.image_size), persistent=False)

    def width(self) -> int:
        """The channels of the features, if the size doesn't know them."""
        raise NotImplementedError

    def without_classifier(self) -> None:
        """Remove what only the classifier needs."""
        for name in self.classifier:
            if hasattr(self, name):
                delattr(self, name)

    def pixels(self, features: Tensor) -> Tensor:
        """Map features [batch, rows × columns, channels] to logits [batch, classes, height, width]."""
        logits: Tensor = self.head(self.head_input(features))
        maps = logits.transpose(1, 2).unflatten(2, self.grid)
        rows, columns = (self.get_buffer(name).to(maps.dtype) for name in ("rows", "columns"))
        of_pixels: Tensor = rows @ (maps @ columns.t())
        return of_pixels
