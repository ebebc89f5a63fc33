"""What all models of the zoo have in common."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from suite.models.architectures import Architecture
from suite.models.embedding import PositionEmbedding
from suite.models.initialise import Rules
from suite.models.joins import Join
from suite.models.norms import Norm
from suite.models.positions import Position


class Model(nn.Module):
    """A model of the zoo: what builds it, how it starts, and which of its parameters are the position's.

    Parameters have the same names whatever the PE, the joining method and the norm: `initialise` relies on it. All
    that belongs to the position begins with "position.".
    """

    rules: ClassVar[Rules]

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
        super().__init__()
        self.architecture = architecture
        self.image_size = image_size
        self.in_chans = in_chans

    def positions(self) -> list[PositionEmbedding]:
        """The position embedding of each stage."""
        return [module for module in self.modules() if isinstance(module, PositionEmbedding)]

    def position_and_class_parameters(self) -> set[str]:
        """The names of the PE tables and the class token: what `Recipe.decay_position` speaks of.

        Not the maps of the joining method: they are norms, which no recipe decays.
        """
        names = {name for name, _ in self.named_parameters()}
        return {name for name in names if name == "class_token" or ".tables." in name}
