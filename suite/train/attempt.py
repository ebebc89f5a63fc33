"""One attempt at trials: a training from its first step to its last test, of one seed or of several at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from suite.data.images import Images, balanced_subset
from suite.grid.losses import LOSSES
from suite.grid.trial import Trial
from suite.models.build import build_model
from suite.models.costs.macs import UncountedOperatorError, count_macs, count_parameters
from suite.models.initialise import initialise
from suite.models.model import Model
from suite.store.environment import describe
from suite.text import duration
from suite.train.augmentation.pipeline import Normalise
from suite.train.clock import Clock
from suite.train.faults import TimeLimitError
from suite.train.heartbeat import Heartbeat
from suite.train.losses.learner import Learner, learner_for
from suite.train.machine import Machine, device_name
from suite.train.member import Member
from suite.train.parallel.synchronised import synchronise
from suite.train.parallel.team import ALONE, Team
from suite.train.snapshot import Snapshots, TeamSnapshots
from suite.train.steps.compiling import worth_compiling
from suite.train.steps.memory import PeakMemory, trim
from suite.train.steps.optimiser import build_optimiser
from suite.train.steps.precision import choose_precision
from suite.train.steps.schedule import learning_rate
from suite.train.steps.seed_stack import StackTrainer, stackable
from suite.train.steps.seeds import SeedTrainer
from suite.train.steps.shares import splittable
from suite.train.steps.trainer import Trainer

_BEGINNING: tuple[dict[str, Tensor], dict[str, Any]] = ({}, {"epoch": 0, "seconds": 0.0, "epoch_seconds": 0.0})


class Attempt:
    """A training run of one trial, or of several that differ only in their seeds, as one batched program.

    `snapshots` is where its state is kept meanwhile; None: nowhere. `heart` receives progress updates; optional.
    `team` are the processes that make this attempt together.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        machine: Machine,
        device: torch.device,
        train: Images,
        test: Images,
        teacher: nn.Module | None = None,
        team: Team = ALONE,
    ) -> None:
        self.machine, self.device, self.teacher, self.team = machine, device, teacher, team
        self.recipe, self.dataset = trials[0].recipe, trials[0].dataset
        self.images, self.test_images = train.to(device), test.to(device)
        self.members = [Member(trial) for trial in trials]
        self.precision = choose_precision(self.recipe, device)
        self.subset = _subset(self.images.labels, self.recipe.train_images)
        self.steps = len(self.subset) // self.recipe.batch_size  # of an epoch
        self.compiled = self._compiles()
        self.environment = describe(
            torch.__version__,
            device_name(device),
            self.precision.name,
            machine.threads,
            compiled=self.compiled,
            stacked=len(trials),
            micro_batch=machine.micro_batch,
            processes=team.size,
        )
        self.snapshots: Snapshots | TeamSnapshots | None = None
        self.heart: Heartbeat | None = None
        self.params: int | None = None
        self.macs: int | None = None
        self.images_at_once: int | None = None  # of a forward and backward pass, once that is known
        self.divisible = False  # could it be fewer?

    def _compiles(self) -> bool:
        wanted = self.machine.compiled
        return worth_compiling(self.device, self.steps * self.recipe.total_epochs) if wanted is None else wanted

    def stackable(self) -> bool:
        """Whether such trials can be trained at once."""
        return self.recipe.distillation == "none" and stackable(
            build_model(self.members[0].trial.model), self.precision
        )

    def train(self) -> None:
        """Train from the first step, or from the last snapshot, to the last test. `members` has what came of it."""
        recipe, memory, trainer = self.recipe, PeakMemory(self.device), self.trainer()
        if self.heart is not None:
            self.heart.trains(recipe.total_epochs, self.steps, self.environment.device)
        tensors, facts = (None if self.snapshots is None else self.snapshots.last()) or _BEGINNING
        for member, held in zip(self.members, facts.get("members", ()), strict=False):
            member.restore(held)
        clock = Clock(facts["seconds"], facts["epoch_seconds"])
        for epoch in range(facts["epoch"], recipe.total_epochs):
            losses = self.train_epoch(trainer, epoch, tensors, clock).cpu()  # waits for a GPU, before the time is told
            # Of a stack, each member's share of the time: what it costs in machines.
            seconds = clock.epoch() / len(self.members)
            for member, of_member in zip(self.members, losses.unbind(dim=1), strict=True):
                member.trained(epoch, learning_rate(recipe, epoch, 0, self.steps), of_member, seconds)
            if (epoch + 1) % recipe.test_every == 0 or epoch + 1 == recipe.total_epochs:
                trim()
                right, test_losses = trainer.test(self.test_images)
                trim()
                similar, last = trainer.similarity(self.test_images), (epoch + 1) * self.steps - 1
                for number, member in enumerate(self.members):
                    member.tested(right[number].numpy(), test_losses[number], similar[number], last)
            if all(member.diverged for member in self.members):
                return
            tensors = {}
            clock.next_epoch()
        most = self.team.largest(memory.megabytes())
        for member, model in zip(self.members, trainer.models(), strict=True):
            member.finish(clock.all() / len(self.members), self.steps * recipe.batch_size, most, model)

    def trainer(self) -> SeedTrainer:
        """A new trainer, before its first step."""
        recipe, dataset, models = self.recipe, self.dataset, list[Model | Learner]()
        loss = LOSSES[self.members[0].trial.loss]
        for member in self.members:
            seed, model = member.trial.seed("initialisation"), build_model(member.trial.model)
            initialise(model, seed)
            self.params = count_parameters(model).total  # what a loss learns beside the model isn't the model's
            models.append(learner_for(model, loss, recipe, dataset.num_classes, seed).to(self.device))
        self.macs = _macs(self.members[0].trial)
        normalise = Normalise(dataset.mean, dataset.std, self.device)
        recorded = self.machine.compiled is not False
        if len(models) > 1:
            return StackTrainer(
                models, recipe, normalise, self.precision, self.device, compiled=self.compiled, recorded=recorded
            )
        (learner,) = models
        if self.team.size > 1 and self.device.type == "cuda":
            synchronise(learner)
        trainer = Trainer(
            learner,
            build_optimiser(learner, recipe, learner.position_and_class_parameters()),
            recipe,
            normalise,
            self.precision,
            self.device,
            teacher=None if self.teacher is None else self.teacher.to(self.device),
            threads=self.machine.threads,
            shape=self.images.shape,
            micro_batch=self.machine.micro_batch,
            compiled=self.compiled,
            recorded=recorded,
            team=self.team,
        )
        self.images_at_once, self.divisible = trainer.images_at_once, splittable(model)
        return trainer

    def smaller_micro_batch(self) -> int | None:
        """Half the images that the trainer takes at once: what to try when memory is out. None: fewer can't be."""
        if not self.divisible or self.images_at_once is None or self.images_at_once < 2:
            return None
        return self.images_at_once // 2

    def train_epoch(self, trainer: SeedTrainer, epoch: int, begun: Mapping[str, Tensor], clock: Clock) -> Tensor:
        """Train one epoch; the losses, [steps, members]. begun: the snapshot to go on from in it, or nothing."""
        recipe, trials = self.recipe, [member.trial for member in self.members]
        # Every epoch draws from generators of its own, so that it doesn't matter what ran before it.
        trainer.seed_dropout([trial.seed("dropout", epoch) for trial in trials])
        orders = [self._order(trial, epoch) for trial in trials]
        draws = [_generator(trial.seed("augmentation", epoch)) for trial in trials]
        losses: list[Tensor] = []
        if begun:
            trainer.load(begun)
            for generator, state in zip(draws, begun["draws"], strict=True):
                generator.set_state(state.clone())  # of a row it would read the first one
            losses.append(begun["losses"].to(self.device))
        step = sum(map(len, losses))

        def each(part: Tensor, states: Tensor) -> None:
            losses.append(part)
            if self.heart is not None:
                self.heart.stepped(epoch, sum(map(len, losses)), len(part) * recipe.batch_size)
            self._check_time(clock)
            if self.snapshots is not None:
                self.snapshots.offer(
                    lambda: (
                        {**trainer.state(), "draws": states, "losses": torch.cat(losses)},
                        {
                            "epoch": epoch,
                            "seconds": clock.all(),
                            "epoch_seconds": clock.epoch(),
                            "members": [member.held() for member in self.members],
                        },
                    ),
                    epoch if sum(map(len, losses)) == self.steps else None,
                )

        rates = [learning_rate(recipe, epoch, number, self.steps) for number in range(step, self.steps)]
        if rates:
            mixing = not recipe.mixup_off_epoch or epoch < recipe.mixup_off_epoch
            rest = [order[step * recipe.batch_size :] for order in orders]
            trainer.train_epoch(self.images, rest, draws, rates, mixing, each)
        return torch.cat(losses)

    def _check_time(self, clock: Clock) -> None:
        limit = self.machine.time_limit
        if limit is not None and clock.all() > limit * len(self.members):
            raise TimeLimitError(
                f"not done after {duration(clock.all())}, of which {duration(limit * len(self.members))} were allowed;"
                " next to try: a higher --time-limit, with --retry timeout"
            )

    def _order(self, trial: Trial, epoch: int) -> Tensor:
        shuffled = torch.randperm(len(self.subset), generator=_generator(trial.seed("order", epoch)))
        return self.subset[shuffled].repeat_interleave(self.recipe.repeats)[: len(self.subset)]

    def so_far(self, member: Member) -> dict[str, Any]:
        """The fields of a record that a failed run has too."""
        return {
            "epochs": len(member.history),
            "params": self.params,
            "macs": self.macs,
            "history": tuple(member.history),
        }


def _subset(labels: Tensor, count: int | None) -> Tensor:
    return torch.arange(len(labels)) if count is None else balanced_subset(labels.cpu(), count)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


_MACS: dict[str, int | None] = {}  # of this process, by all that the count depends on


def _macs(trial: Trial) -> int | None:
    """None, with a warning, of a model with an operator that has no rule: a count is no reason to lose a run."""
    cell = trial.model
    if cell.key not in _MACS:
        try:
            _MACS[cell.key] = count_macs(build_model(cell), trial.dataset.image_size, trial.dataset.channels)
        except UncountedOperatorError as error:
            _MACS[cell.key] = None
            warnings.warn(f"{trial.label}: its record has no MACs: {error}", stacklevel=2)
    return _MACS[cell.key]
