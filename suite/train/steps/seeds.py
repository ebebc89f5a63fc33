"""The interface of a trainer, for one seed or for several that are trained together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from suite.data.images import Evaluated, Images
from suite.models.model import Model
from suite.train.steps.similarity import Similarity
from suite.train.steps.state import Tensors

# Called during an epoch, at each point from which training can resume. Arguments: the losses since the last call,
# [steps, seeds], and the current states of the augmentation generators, [seeds, bytes].
Each = Callable[[Tensor, Tensor], None]


class SeedTrainer(Protocol):
    """Trains the models of some seeds of one cell. Sequences that it takes or returns have one entry per seed."""

    def seed_dropout(self, seeds: Sequence[int]) -> None:
        """Seed the dropout masks of each model."""

    def train_epoch(
        self,
        images: Images,
        orders: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        rates: Sequence[float],
        mixing: bool = True,
        each: Each | None = None,
    ) -> Tensor:
        """Train for an epoch, or for a part of one.

        Args:
            images: The training images.
            orders: For each seed the image indices, [N], in training order. Images that don't fill a whole batch are
                not used.
            generators: For each seed the generator of its augmentation, on the CPU.
            rates: The learning rate of each step. Its length is the number of steps.
            mixing: Whether images are mixed in this epoch, if the recipe mixes any.
            each: See `Each`.

        Returns:
            The loss of each step, [steps, seeds], on the device. Reading it synchronises with a GPU.
        """

    def test(self, images: Evaluated) -> tuple[Tensor, list[float]]:
        """The evidence of each image ([seeds, N, …], on the CPU: see `suite.train.tasks`), and the mean losses.

        Of a classification, it is whether the image is classified correctly: bool or uint8 [seeds, N].
        """

    def similarity(self, images: Images) -> list[Similarity | None]:
        """How similar the patches of test images are after each block: see `layer_similarity`."""

    def models(self) -> list[Model]:
        """The models that are tested: the trained ones, or their moving averages if the recipe uses those."""

    def state(self) -> Tensors:
        """All state that training has changed, by name. The tensors are not copies: save them before the next step."""

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a `state` of the same trials, on the same kind of device."""
