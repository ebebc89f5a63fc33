"""A model together with a loss on its patch tokens and the parameters of that loss."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from suite.data.transfer import to_device
from suite.grid.losses import Loss
from suite.grid.recipe import Recipe
from suite.models.layers.dropout import for_many_models
from suite.models.model import Model
from suite.store.canonical import derive_seed
from suite.train.losses.diversity import region_means
from suite.train.losses.target import Target, own_patches

CLASSIFIER_STD = 0.02  # of its initial weights: a normal distribution truncated at ±2, as for a head


class Learner(nn.Module):
    """A model whose loss has terms on its patch tokens or its logits. In evaluation mode it is the model alone.

    The attribute `classifier` is DiversePatch's g, a linear layer that all patches share, or None. It belongs to the
    loss. The model that is counted, tested and kept does not include it. Its weight has weight decay, as a head's.

    Args:
        model: The model.
        loss: The loss.
        recipe: The recipe, which has the weights of the loss's terms.
        classes: Number of classes.
    """

    def __init__(self, model: Model, loss: Loss, recipe: Recipe, *, classes: int) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        terms = [term for term in loss.active(recipe) if term.classifies]
        self._classifies, self._drop = (terms[0].classifies, terms[0].drop) if terms else ("", 0.0)
        self._sees_patches = any(term.sees == "patches" for term in loss.active(recipe))
        self.classifier: nn.Linear | None = None
        if not self._sees_patches:
            return
        patches = model.architecture.size.patch_tokens(model.image_size)
        assert patches is not None  # `check_cell` lets no other model have such a loss
        self._side = patches.grids[-1][0]
        self.classifier = nn.Linear(patches.width, classes) if terms else None

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Initialise the classifier from its own generator. The model's weights don't change."""
        if self.classifier is not None:
            drawn = torch.empty(self.classifier.weight.shape, device="cpu")
            generator = Generator(device="cpu").manual_seed(derive_seed(seed, "patch_classifier.weight"))
            self.classifier.weight.copy_(nn.init.trunc_normal_(drawn, std=CLASSIFIER_STD, generator=generator))
            self.classifier.bias.zero_()

    def position_and_class_parameters(self) -> set[str]:
        """The names of the model's position embedding and class token, as parameters of this module."""
        return {f"model.{name}" for name in self.model.position_and_class_parameters()}

    def target(self, target: Target, boxes: Tensor | None, generator: Generator) -> Target:
        """Add to a batch's target the fields that the loss's terms need.

        Args:
            target: The target.
            boxes: The CutMix boxes: see `Stretch`.
            generator: Draws the dropout of g, on the CPU. It is separate from the generators of the model's dropout.
        """
        if not self._classifies:
            return target
        batch, device = len(target.labels), target.labels.device
        own = to_device(own_patches(boxes, batch, self.model.image_size, self._side), device)
        if not self._drop:
            return target._replace(own=own)
        kept = torch.empty(batch, 2, cast(nn.Linear, self.classifier).in_features)
        kept.bernoulli_(1 - self._drop, generator=generator).div_(1 - self._drop)
        return target._replace(own=own, kept=to_device(kept, device))

    def forward(self, images: Tensor, own: Tensor | None = None, kept: Tensor | None = None) -> Any:
        """The model's output. In training mode, a pair of it and a tuple of the fields of `Seen`.

        Args:
            images: float32 [B, C, H, W].
            own: See `Target`.
            kept: See `Target`.
        """
        if not self.training:
            return self.model(images)
        if not self._sees_patches:
            return self.model(images), ()
        output, tokens = self.model(images, (0, -1))
        first, last = tokens.blocks
        seen: tuple[Tensor | None, ...] = (tokens.embedded, first, last, tokens.normalised)
        if self.classifier is None:
            return output, seen
        if self._classifies == "patches":
            if self._in_pieces(images):
                return output, (*seen, None, self.classifier.weight, self.classifier.bias)
            return output, (*seen, self.classifier(last))
        own = torch.ones(tokens.normalised.shape[:2], dtype=torch.bool, device=images.device) if own is None else own
        means = region_means(tokens.normalised, own)
        return output, (*seen, self.classifier(means if kept is None else means * kept))

    def _in_pieces(self, images: Tensor) -> bool:
        """Whether to compute the classifier's loss in pieces, to save memory: see `PatchCrossEntropy`."""
        plain = images.device.type == "cpu" and not torch.compiler.is_compiling()
        return plain and torch.is_grad_enabled() and not for_many_models()


def learner_for(model: Model, loss: Loss, recipe: Recipe, classes: int, seed: int) -> Model | Learner:
    """The module to train: the model itself, or a `Learner` around it if the loss is more than cross entropy.

    Args:
        model: The model.
        loss: The loss.
        recipe: The recipe.
        classes: Number of classes.
        seed: Seeds the weights of the loss's classifier.
    """
    if not loss.terms and loss.base is None:
        return model
    learner = Learner(model, loss, recipe, classes=classes)
    learner.initialise(seed)
    return learner
