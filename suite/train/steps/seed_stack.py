"""Train several seeds of a cell as one batched program: their weights are stacked, and torch.vmap runs the models.

On a GPU, launching a small model's kernels takes longer than computing them. k models in one launch cost little more
than one model.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from suite.data.images import Evaluated, Images
from suite.grid.recipe import Recipe
from suite.models.layers.dropout import masks_from
from suite.models.layers.sparing import sparing_tokens
from suite.models.model import Model
from suite.store.canonical import derive_seed
from suite.text import note
from suite.train.augmentation.pipeline import Augmentation, Normalise
from suite.train.losses.learner import Learner
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target
from suite.train.steps.averaging import Follower
from suite.train.steps.compiling import compiled_for
from suite.train.steps.cuda_graph import Recorded
from suite.train.steps.optimiser import optimiser_of, parameter_groups, set_rate
from suite.train.steps.precision import Precision
from suite.train.steps.seeds import Each
from suite.train.steps.shares import splittable, torchs_own
from suite.train.steps.similarity import Similarity, layer_similarity
from suite.train.steps.state import Tensors, gather, restore
from suite.train.steps.trainer import Batch, images_at_once_in_test, train_stretches

RANDOMNESS = "different"  # for each model; applies only to draws outside `masks_from`: a GPU's fused attention


def stackable(model: nn.Module, precision: Precision) -> bool:
    """Whether several such models can be trained as one: without batch statistics and without a loss scaler."""
    return getattr(model, "stacks", True) and splittable(model) and precision.dtype is not torch.float16


class StackTrainer:
    """Trains models of one architecture together. Each ends as if trained alone, except for rounding.

    Every model has its own batches, augmentation and dropout masks. On a CPU they are the same as those of a `Trainer`
    with the same generators. On a GPU, a fused kernel draws the masks inside attention for all models, from the first
    model's seed, unless deterministic algorithms are required: see `suite.models.layers.dropout.attention`.
    """

    def __init__(
        self,
        models: Sequence[Model | Learner],
        recipe: Recipe,
        normalise: Normalise,
        precision: Precision,
        device: torch.device,
        *,
        compiled: bool = False,
        recorded: bool = False,
    ) -> None:
        """Create a trainer.

        Args:
            models: The initial models, on the device. `models()` writes the trained weights into them.
            recipe: The recipe.
            normalise: The data set's normalisation.
            precision: The precision of the forward pass.
            device: The device.
            compiled: Compile the models with torch.compile.
            recorded: Record steps as CUDA graphs, on a GPU.
        """
        self._models, self._recipe, self._normalise = models, recipe, normalise
        self._precision, self._device = precision, device
        self._parameters, self._buffers = stack_module_state(list(models))
        exempt = models[0].position_and_class_parameters()
        self._optimiser = optimiser_of(parameter_groups(self._parameters, recipe, exempt, stacked=True), recipe)
        self._template = copy.deepcopy(models[0]).to("meta")
        self._augmentation = Augmentation(recipe, normalise)
        self._learners = [model for model in models if isinstance(model, Learner)]
        self._objective = Objective(recipe, loss=self._learners[0].loss if self._learners else None)
        self._generators = [torch.Generator(device) for _ in models]
        self._draws = [torch.Generator() for _ in self._learners]
        self._sparing = sparing_tokens if device.type == "cuda" else nullcontext
        self._means: Tensors = {}
        self._follower: Follower | None = None
        if recipe.ema_decay is not None:
            self._means = {name: value.detach().clone() for name, value in self._weights.items()}
            self._follower = Follower(self._means, self._weights, recipe.ema_decay)
        self._training_losses = compiled_for(device, self._losses) if compiled else self._losses
        self._test_logits = compiled_for(device, self._logits) if compiled else self._logits
        records = recorded and device.type == "cuda"
        self._step = Recorded(self._one_step, note, self._generators) if records else self._one_step

    @property
    def _weights(self) -> Tensors:
        return {**self._parameters, **self._buffers}

    def seed_dropout(self, seeds: Sequence[int]) -> None:
        """See `SeedTrainer.seed_dropout`."""
        torchs_own(self._device).manual_seed(seeds[0])  # for the fused attention of all models, on a GPU
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)
        for generator, seed in zip(self._draws, seeds, strict=False):
            generator.manual_seed(derive_seed(seed, "learner"))

    def train_epoch(
        self,
        images: Images,
        orders: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        rates: Sequence[float],
        mixing: bool = True,
        each: Each | None = None,
    ) -> Tensor:
        """See `SeedTrainer.train_epoch`."""
        self._template.train()
        size = self._recipe.batch_size
        orders = [order[: len(rates) * size] for order in orders]
        labels = torch.stack([images.labels[order.to(images.labels.device)] for order in orders]).to(self._device)

        def step(number: int, batches: Sequence[Batch]) -> Tensor:
            set_rate(self._optimiser, rates[number])
            inputs, shares, boxes = zip(*batches, strict=True)
            target = Target.of(labels[:, number * size : (number + 1) * size], _stacked(shares))
            if self._learners:
                drawn = zip(self._learners, boxes, self._draws, strict=True)
                targets = [learner.target(target.take(i), *rest) for i, (learner, *rest) in enumerate(drawn)]
                target = Target._make(map(_stacked, zip(*targets, strict=True)))
            return self._step(torch.stack(inputs), *target)

        streams = self._augmentation.streams(images, orders, self._device, generators, mixing)
        return train_stretches(streams, step, each)

    def _one_step(self, inputs: Tensor, labels: Tensor, *rest: Tensor | None) -> Tensor:
        """Take one step. Returns the losses, [models].

        Args:
            inputs: [models, B, C, H, W].
            labels: int64 [models, B].
            *rest: The other fields of `Target`, [models, …] each.
        """
        self._optimiser.zero_grad(set_to_none=True)
        with self._computing(), self._sparing():
            losses = self._training_losses(self._weights, inputs, Target(labels, *rest))
        losses.sum().backward()
        if self._recipe.clip_grad is not None:
            self._clip(self._recipe.clip_grad)
        self._optimiser.step()
        if self._follower is not None:
            self._follower.update()
        return losses.detach()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """The context for a forward pass of all models."""
        # The other fused kernels depend on whether a backward pass follows, which they can't see inside vmap.
        fused = sdpa_kernel(SDPBackend.FLASH_ATTENTION) if self._device.type == "cuda" else nullcontext()
        with self._precision.autocast(self._device), masks_from(self._generators), fused:
            yield

    def _losses(self, weights: Tensors, inputs: Tensor, target: Target) -> Tensor:
        """The loss of each model, [models].

        Args:
            weights: Stacked parameters and buffers, [models, …] each.
            inputs: [models, B, C, H, W].
            target: The stacked targets, [models, …] each.
        """
        if self._learners:  # vmap doesn't support all terms on patches
            seen = [field for field in (target.own, target.kept) if field is not None]
            outputs = torch.vmap(self._output, randomness=RANDOMNESS)(weights, inputs, *seen)
            losses = [self._objective(_take(outputs, i), target.take(i), inputs[i]) for i in range(len(inputs))]
            return torch.stack(losses)

        def one(weights: Tensors, inputs: Tensor, *fields: Tensor) -> Tensor:
            return self._objective(self._output(weights, inputs), Target(*fields), inputs)

        fields = [field for field in target if field is not None]  # own and kept are None without a learner
        found: Tensor = torch.vmap(one, randomness=RANDOMNESS)(weights, inputs, *fields)
        return found

    def _logits(self, weights: Tensors, inputs: Tensor) -> Tensor:
        """The logits of each model for the same images: [models, B, classes]."""
        found: Tensor = torch.vmap(self._output, (0, None), randomness=RANDOMNESS)(weights, inputs)
        return found

    def _output(self, weights: Tensors, *inputs: Tensor) -> Any:
        """The output of one model with the given weights."""
        return functional_call(self._template, weights, inputs)

    def _clip(self, most: float) -> None:
        """Clip the gradients of each model by that model's total norm, like `clip_grad_norm_`."""
        gradients = [value.grad for value in self._parameters.values() if value.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (most / (norms + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))

    @torch.inference_mode()
    def test(self, images: Evaluated) -> tuple[Tensor, list[float]]:
        """See `SeedTrainer.test`."""
        self._template.eval()
        weights = self._means or self._weights
        correct, total = [], torch.zeros(len(self._models), dtype=torch.float64, device=self._device)
        size = images_at_once_in_test(images, self._device, len(self._models))
        for indices in torch.split(torch.arange(len(images)), size):
            labels = images.labels[indices].to(self._device)
            batch = images.batch(indices, self._recipe.test_crop_ratio).to(self._device)
            with self._computing():
                logits = self._test_logits(weights, self._normalise(batch))
            logits = logits.float()
            total += torch.stack([cross_entropy(each, labels, reduction="sum") for each in logits]).double()
            correct.append(logits.argmax(2) == labels)
        return torch.cat(correct, dim=1).cpu(), (total / len(images)).tolist()

    def similarity(self, images: Images) -> list[Similarity | None]:
        """See `SeedTrainer.similarity`."""
        ratio, parts = self._recipe.test_crop_ratio, (self._normalise, self._precision, self._device)
        return [layer_similarity(model.eval(), images, ratio, *parts) for model in self.models()]

    def models(self) -> list[Model]:
        """See `SeedTrainer.models`."""
        weights = self._means or self._weights
        for number, model in enumerate(self._models):
            model.load_state_dict({name: weights[name][number] for name in model.state_dict()})
        return [model.model if isinstance(model, Learner) else model for model in self._models]

    def state(self) -> Tensors:
        """See `SeedTrainer.state`."""
        return gather(self._weights, self._means, self._optimiser, self._all_generators())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `SeedTrainer.load`."""
        restore(state, self._weights, self._means, self._optimiser, self._all_generators())

    def _all_generators(self) -> list[torch.Generator]:
        fused = [torchs_own(self._device)] if self._device.type == "cuda" else []
        return [*self._generators, *self._draws, *fused]


def _stacked(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Stack one tensor per model, [models, …]; None if all are None."""
    there = [part for part in parts if part is not None]
    return torch.stack(there) if there else None


def _take(output: Any, number: int) -> Any:
    """Select one model's output from the stacked outputs."""
    return output[number] if isinstance(output, Tensor) else tuple(_take(part, number) for part in output)
