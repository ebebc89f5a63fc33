"""The base class of the models."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.embedding import PositionEmbedding
from suite.models.initialise import Rules
from suite.models.joins import Join
from suite.models.layers.dropout import dropout
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.sites.site import Site
from suite.models.sizes import Size


class Model(nn.Module):
    """A model with its architecture, its rules of initialisation and its position embeddings.

    A parameter has the same name whatever the PE, the joining method and the norm: `initialise` relies on it. The
    names of all parameters that belong to the position begin with "position.".
    """

    rules: Rules
    stacks = True  # whether `torch.vmap` can run several such models as one

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
        size = architecture.size
        self.head_drop = size.head_drop if isinstance(size, Size) else 0.0
        if isinstance(size, Size) and size.position_std is not None:
            self.rules = replace(self.rules, position_std=size.position_std, position_cut=False)

    def positions(self) -> list[PositionEmbedding]:
        """The position embedding of each stage."""
        return [module for module in self.modules() if isinstance(module, PositionEmbedding)]

    def position_and_class_parameters(self) -> set[str]:
        """The names of the PE's parameters and of the class token, which `Recipe.decay_position` is about.

        Of the PE's modules in the blocks, those are among them that say so (`Site.no_decay`).

        The maps of the joining method aren't among them: they are norms, and no recipe decays norms alone.
        """
        names = {name for name, _ in self.named_parameters()}
        exempt = {name for name in names if name == "class_token" or ".tables." in name}
        for path, module in self.named_modules():
            if isinstance(module, Site) and module.no_decay:
                exempt |= {f"{path}.{name}" for name, _ in module.named_parameters()}
        return exempt

    @property
    def divisible(self) -> bool:
        """Whether a batch can be split: all masks of dropout come from `suite.models.layers.dropout`."""
        return True

    def own_weights(self, seed: int) -> dict[str, Tensor]:
        """The initial weights of parameters that the model draws by itself, by name; `initialise` draws the others."""
        return {}

    def head_input(self, pooled: Tensor) -> Tensor:
        """What the class head gets: [batch, width] to the same, with dropout in training where the size has it."""
        return dropout(pooled, self.head_drop) if self.training else pooled
