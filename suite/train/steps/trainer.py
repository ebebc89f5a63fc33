"""One epoch of training, and one pass over the test set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from suite.data.images import Evaluated, Images
from suite.data.transfer import to_device
from suite.grid.recipe import Recipe
from suite.models.build import plain_sibling
from suite.models.layers.sparing import sparing_tokens
from suite.models.model import Model
from suite.store.canonical import derive_seed
from suite.text import note
from suite.train.augmentation.pipeline import Augmentation, Normalise, Stretch
from suite.train.losses.learner import Learner
from suite.train.losses.objective import Objective, Output
from suite.train.losses.target import Target
from suite.train.parallel.synchronised import check_whole
from suite.train.parallel.team import ALONE, Team
from suite.train.steps.averaging import Average
from suite.train.steps.compiling import compiled_for
from suite.train.steps.cuda_graph import Recorded
from suite.train.steps.memory import share_arena
from suite.train.steps.optimiser import set_rate
from suite.train.steps.precision import Precision, in_single_precision
from suite.train.steps.seeds import Each
from suite.train.steps.shares import Split, choose_shares, micro_batches, splittable
from suite.train.steps.similarity import Similarity, layer_similarity
from suite.train.steps.state import Tensors, gather, restore, trained_state
from suite.train.tasks import CLASSIFICATION, Task

TEST_BATCH = 256  # images per batch of a test pass; it is not part of a recipe

Batch = tuple[Tensor, Tensor | None, Tensor | None]  # inputs, label shares and CutMix boxes: see `Stretch`


@dataclass
class Trainer:
    """Trains one model: a `SeedTrainer` for one seed.

    Args:
        model: The model, or a `Learner` around it, on the device.
        optimiser: The optimiser of its parameters.
        recipe: The recipe.
        normalise: The data set's normalisation.
        precision: The precision of the forward pass.
        device: The device.
        teacher: See `Objective`.
        threads: CPU threads.
        shape: The shape of an image, [C, H, W]. If given, a CPU splits batches into micro-batches to save memory.
        micro_batch: The largest number of images per forward and backward pass. The gradients are those of the whole
            batch.
        compiled: Compile the model with torch.compile.
        recorded: Record steps as CUDA graphs, on a GPU.
        team: The processes that train this trial. Each has its own trainer, and all get the same weights.
        task: What the model is trained and tested for.

    Raises:
        IndivisibleError: The model uses batch statistics, so it can't be trained in micro-batches or on several CPU
            processes.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    recipe: Recipe
    normalise: Normalise
    precision: Precision
    device: torch.device
    teacher: nn.Module | None = None
    threads: int = 1
    shape: Sequence[int] | None = None
    micro_batch: int | None = None
    compiled: bool = False
    recorded: bool = False
    team: Team = ALONE
    task: Task = CLASSIFICATION

    def __post_init__(self) -> None:
        if self.device.type == "cpu":
            share_arena()  # else each step would get its memory from the system anew
        self._augmentation = Augmentation(self.recipe, self.normalise)
        self._learner = self.model if isinstance(self.model, Learner) else None
        self._objective = Objective(self.recipe, self.teacher, None if self._learner is None else self._learner.loss)
        self._draws = torch.Generator()  # for the learner's dropout, on the CPU
        self._sparing = sparing_tokens if self.device.type == "cuda" else nullcontext
        self._scaler = self.precision.scaler(self.device)
        decay = self.recipe.ema_decay
        self._average = None if decay is None else Average(self.model, decay)
        # Tests use the uncompiled model: their smaller last batch alone would need another compilation.
        self._forward = compiled_for(self.device, self.model) if self.compiled else self.model
        self._task = compiled_for(self.device, self._output_and_loss) if self.compiled else self._output_and_loss
        self._trains = any(one.requires_grad for one in self.model.parameters())
        self._split = self._splits() if self._trains else None
        # A CUDA graph can't skip a step because of its gradients, as a scaler does, or wait for other processes.
        alone = self.team.size == 1 and not self._scaler.is_enabled()
        records = self.recorded and self.device.type == "cuda" and alone and self._trains
        self._step = Recorded(self._one_step, note) if records else self._one_step

    def _splits(self) -> Split | None:
        size, team = self.recipe.batch_size, self.team
        plain = self.device.type == "cpu" and not self.compiled  # only then can several threads run the model
        enough = plain and self.threads * team.size <= size
        threads = self.threads if enough else 1
        workers = threads * team.size
        shares = max(workers, micro_batches(size, self.micro_batch, workers))
        if not splittable(self.model):
            threads, enough = 1, False
            shares = max(team.size, micro_batches(size, self.micro_batch, team.size))
            check_whole(self.model, shares, team.size)
        if enough:
            shares = max(shares, micro_batches(size, self.recipe.cpu_micro_batch, workers))
        if enough and self.shape is not None:
            # Cells that are compared get the same number of micro-batches, and so the same dropout masks.
            model = self.model if self._learner is None else self._learner.model
            plain_model = plain_sibling(model) if isinstance(model, Model) else model
            shares = max(shares, choose_shares(plain_model, self.shape, size, workers, self.precision))
        return Split(self.model, threads, shares, None if plain else self._forward, team) if shares > 1 else None

    @property
    def tested(self) -> nn.Module:
        """The model that is tested: the one in training, or its moving average."""
        model = self.model if self._average is None else self._average.model
        return model.model if isinstance(model, Learner) else model

    @property
    def images_at_once(self) -> int:
        """The largest number of images per forward and backward pass."""
        return self.recipe.batch_size if self._split is None else self._split.at_once(self.recipe.batch_size)

    def seed_dropout(self, seeds: Sequence[int]) -> None:
        """Seed the dropout masks: torch's generators, and those of the micro-batches."""
        (seed,) = seeds
        torch.manual_seed(seed)
        self._draws.manual_seed(derive_seed(seed, "learner"))
        if self._split is not None:
            self._split.seed(seed)

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
        self.model.train()
        size = self.recipe.batch_size
        orders = [order[: len(rates) * size] for order in orders]
        (labels,) = [images.labels[order.to(images.labels.device)].to(self.device) for order in orders]

        part = None if self._split is None else self._split.images(size)

        def step(number: int, batches: Sequence[Batch]) -> Tensor:
            ((batch, share, boxes),) = batches
            inputs, of_pixels = self.task.split(batch)
            target = Target.of(labels[number * size : (number + 1) * size], share)
            if self._learner is not None:
                target = self._learner.target(target, boxes, self._draws)
            target = target if part is None else target.take(to_device(part, self.device))
            target = target if of_pixels is None else target._replace(labels=of_pixels)
            return self.step(inputs, target, rates[number])[None]

        streams = self._augmentation.streams(images, orders, self.device, generators, mixing, part)
        return train_stretches(streams, step, each)

    def step(self, inputs: Tensor, target: Target, rate: float) -> Tensor:
        """Take one training step. Returns the loss, a scalar on the device.

        Args:
            inputs: Normalised images, float32 [B, C, H, W], on the device.
            target: The target, on the device.
            rate: The learning rate.
        """
        set_rate(self.optimiser, rate)
        return self._step(inputs, *target)

    def _one_step(self, inputs: Tensor, labels: Tensor, *rest: Tensor | None) -> Tensor:
        target = Target(labels, *rest)
        self.optimiser.zero_grad(set_to_none=True)
        if self._split is not None:
            loss = self._split.gradients(
                lambda model, part: self._loss(model, inputs[part], target.take(part)),
                self.recipe.batch_size,
                self._scaler.scale,
            )
        else:
            with self.precision.autocast(self.device), self._sparing():
                loss = self._task(self.model, inputs, target)
            if not self._trains:
                return loss.detach()
            self._scaler.scale(loss).backward()
        if self.recipe.clip_grad is not None:
            self._scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update()
        return loss.detach()

    def _loss(self, model: Callable[..., Output], inputs: Tensor, target: Target) -> Tensor:
        with self.precision.autocast(self.device):
            return self._output_and_loss(model, inputs, target)

    def _output_and_loss(self, model: Callable[..., Output], inputs: Tensor, target: Target) -> Tensor:
        output = model(inputs) if self._learner is None else model(inputs, target.own, target.kept)
        return self._objective(output, target, inputs)

    def test(self, images: Evaluated) -> tuple[Tensor, list[float]]:
        """See `SeedTrainer.test`."""
        model = self.tested.eval()

        @torch.inference_mode()
        def one(indices: Tensor) -> tuple[Tensor, Tensor]:
            labels = images.labels[indices].to(self.device)
            batch = images.batch(indices, self.recipe.test_crop_ratio).to(self.device)
            inputs = self.normalise(batch)
            _, of_pixels = self.task.split(inputs)
            with self.precision.autocast(self.device):
                output = in_single_precision(self.task.predict(model, inputs))
            self.team.beat()
            return self.task.judge(output, labels if of_pixels is None else of_pixels)

        # Without a backward pass, an image needs a part of its memory in training: test batches may be larger.
        size = min(images_at_once_in_test(images, self.device), self.task.most_tested(images.shape))
        size = size if self._split is None else min(size, 4 * self.images_at_once)
        parts = torch.split(torch.arange(len(images)), size)
        own = range(self.team.rank, len(parts), self.team.size)
        mine = [parts[number] for number in own]
        evidence = self.task.evidence(len(images), self.device)
        losses = torch.zeros(len(parts), dtype=torch.float64, device=self.device)
        found = map(one, mine) if self._split is None else self._split.map(one, mine)
        for number, (of_images, loss) in zip(own, found, strict=True):
            evidence[parts[number].to(self.device)] = of_images
            losses[number] = loss
        self.team.add([evidence])
        self.team.add([losses])
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for loss in losses:  # in this order, so that results match committed records bit for bit
            total += loss
        return evidence.cpu()[None], [total.item() / len(images)]

    def similarity(self, images: Images) -> list[Similarity | None]:
        """See `SeedTrainer.similarity`."""
        model, ratio = cast(Model, self.tested.eval()), self.recipe.test_crop_ratio
        return [layer_similarity(model, images, ratio, self._inputs, self.precision, self.device)]

    def _inputs(self, batch: Tensor) -> Tensor:
        return self.task.sample(self.normalise(batch))

    def models(self) -> list[Model]:
        """See `SeedTrainer.models`."""
        return [cast(Model, self.tested)]

    def state(self) -> Tensors:
        """See `SeedTrainer.state`. All processes of a team must call it."""
        if self._split is not None:
            self._split.gather()
        scaler = {f"scaler.{name}": torch.tensor(value) for name, value in self._scaler.state_dict().items()}
        return {**gather(*self._changed()), **scaler}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `SeedTrainer.load`. The number of threads must be the same as before."""
        restore(state, *self._changed())
        if self._scaler.is_enabled():
            self._scaler.load_state_dict({n: state[f"scaler.{n}"].item() for n in self._scaler.state_dict()})

    def _changed(self) -> tuple[Tensors, Tensors, torch.optim.Optimizer, list[torch.Generator]]:
        generators = [torch.default_generator]
        if self.device.type == "cuda":
            generators.append(torch.cuda.default_generators[torch.cuda.current_device()])
        if self._split is not None:
            generators += self._split.generators
        if self._learner is not None:
            generators.append(self._draws)
        means = {} if self._average is None else trained_state(self._average.model)
        return trained_state(self.model), means, self.optimiser, generators


def images_at_once_in_test(images: Evaluated, device: torch.device, models: int = 1) -> int:
    """The number of images per test batch.

    If images are small, a GPU takes hardly longer for up to eight times as many. On a GPU all batches have the same
    size, if a suitable size divides the number of images, so that a compiled model is compiled only once.

    Args:
        images: The test images.
        device: The device.
        models: The number of models that are tested together.
    """
    if device.type == "cpu":
        return TEST_BATCH
    small = 2**16 // math.prod(images.shape[1:])  # the factor by which the batch can grow
    most = TEST_BATCH * min(max(1, small // models), 8)
    return next((size for size in range(most, most // 2, -1) if len(images) % size == 0), most)


def train_stretches(
    streams: Iterator[tuple[Stretch, ...]], step: Callable[[int, Sequence[Batch]], Tensor], each: Each | None
) -> Tensor:
    """Take the steps of an epoch.

    Args:
        streams: The result of `Augmentation.streams`.
        step: Takes one step. It gets the number of the step and one batch per seed, and returns the losses, [seeds].
        each: See `Each`.

    Returns:
        The losses, [steps, seeds].
    """
    losses: list[Tensor] = []
    for stretches in streams:
        begun = len(losses)
        of_each = (zip(stretch.batches, stretch.boxes, strict=True) for stretch in stretches)
        for batches in zip(*of_each, strict=True):
            losses.append(step(len(losses), [(*batch, boxes) for batch, boxes in batches]))
        if each is not None:
            each(torch.stack(losses[begun:]), torch.stack([stretch.state for stretch in stretches]))
    return torch.stack(losses)
