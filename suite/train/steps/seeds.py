"""What an attempt needs of a trainer, for one seed or for several that are trained at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from suite.data.images import Images
from suite.models.model import Model
from suite.train.steps.similarity import Similarity
from suite.train.steps.state import Tensors

# Called during an epoch, wherever it can be interrupted: with the losses since the last call, [steps, seeds], and the
# states of the generators that it goes on with, [seeds, bytes].
Each = Callable[[Tensor, Tensor], None]


class SeedTrainer(Protocol):
    """Trains the models of some seeds of one cell, side by side. What it takes and returns has an entry per seed."""

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
            orders: For each seed the indices of the images, [N], in the order in which they are taken. Batches are
                whole: what is left over is not used.
            generators: For each seed the generator of its augmentation, on the CPU.
            rates: The learning rate of each step; there are as many steps.
            mixing: Whether images are mixed in this epoch, if the recipe mixes any.
            each: See `Each`.

        Returns:
            The loss of each step, [steps, seeds], on the device. Reading it waits for a GPU.
        """

    def test(self, images: Images) -> tuple[Tensor, list[float]]:
        """Whether each image is classified correctly (bool [seeds, N], on the CPU), and the mean losses."""

    def similarity(self, images: Images) -> list[Similarity | None]:
        """How similar the patches of the test images are, layer by layer."""

    def models(self) -> list[Model]:
        """The models that are tested: the trained ones, or their running means."""

    def state(self) -> Tensors:
        """All that the steps so far have changed, by name; to be written before the next step."""

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a `state` of the same trials, on the same kind of device."""
