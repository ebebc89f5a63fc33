"""One attempt at a trial: a training run from its first step to its last test, for one seed or a batch of seeds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from suite.data.corruptions.images import CorruptedTest
from suite.data.held_out import Part, hold_out
from suite.data.images import Images
from suite.data.subsets import balanced_subset
from suite.grid.losses import LOSSES
from suite.grid.trial import Trial
from suite.models.backbone_size import body_of
from suite.models.build import build_model
from suite.models.costs.macs import UncountedOperatorError, count_macs, count_parameters
from suite.models.initialise import initialise
from suite.models.model import Model
from suite.models.region_size import has_trained_parameters
from suite.store.environment import describe
from suite.store.held_out import count_validation
from suite.text import duration
from suite.train.clock import Clock
from suite.train.faults import TimeLimitError
from suite.train.heartbeat import Heartbeat
from suite.train.losses.learner import Learner, learner_for
from suite.train.machine import Machine, device_name
from suite.train.member import Member
from suite.train.order import epoch_order
from suite.train.other_models import NONE, OtherModels
from suite.train.parallel.synchronised import synchronise
from suite.train.parallel.team import ALONE, Team
from suite.train.pretrained import start_from
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
from suite.train.tasks import task_of

if TYPE_CHECKING:
    from suite.models.families.regions import Regions  # it loads scikit-learn

_BEGINNING: tuple[dict[str, Tensor], dict[str, Any]] = ({}, {"epoch": 0, "seconds": 0.0, "epoch_seconds": 0.0})


class Attempt:
    """A training run of one trial, or of several trials that differ only in their seeds, as one batched program.

    Set the attribute `snapshots` to save the training state at intervals; None saves nothing. Set `heart` to receive
    progress updates; None sends none.

    Args:
        trials: The trials. Their cells are the same.
        machine: How this machine is used.
        device: The device to train on.
        train: The training images.
        test: The test images.
        others: What the trials need of other models.
        team: The processes that run this attempt together.
        corrupted: Corrupted copies of the test images, if the recipe tests them.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        machine: Machine,
        device: torch.device,
        train: Images,
        test: Images,
        others: OtherModels = NONE,
        team: Team = ALONE,
        corrupted: CorruptedTest | None = None,
    ) -> None:
        self.machine, self.device, self.others, self.team = machine, device, others, team
        self.corrupted = corrupted
        self.recipe, self.dataset, self.epochs = trials[0].recipe, trials[0].dataset, trials[0].epochs
        self.images, self.test_images = train.to(device), test.to(device)
        self.task = task_of(self.dataset, self.recipe)
        self.members = [Member(trial) for trial in trials]
        self.precision = choose_precision(self.recipe, device)
        self.validation: list[Part] = []  # of each member; empty if the recipe holds out no images
        self.subsets = self._subsets()  # the images that each member trains on
        self.steps = len(self.subsets[0]) // self.recipe.batch_size  # per epoch
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
            timm=body_of(self.members[0].trial.arch).library_version,
        )
        self.snapshots: Snapshots | TeamSnapshots | None = None
        self.heart: Heartbeat | None = None
        self.params: int | None = None
        self.macs: int | None = None
        self.images_at_once: int | None = None  # per forward and backward pass; None until the trainer exists
        self.divisible = False  # whether a batch can be split into smaller micro-batches

    def _subsets(self) -> list[Tensor]:
        """The images that each member trains on. Sets `validation` where the recipe holds out images."""
        labels, recipe = self.images.labels.cpu(), self.recipe
        trials = [member.trial for member in self.members]
        whole, count = torch.arange(len(labels)), recipe.train_images
        seeds = [trial.data_seed for trial in trials]
        drawn = {
            seed: whole if count is None else balanced_subset(labels, count, seed) for seed in dict.fromkeys(seeds)
        }
        if recipe.validation is None:
            return [drawn[seed] for seed in seeds]
        held = count_validation(recipe.validation, len(drawn[seeds[0]]))
        keys = [(trial.data_seed, trial.validation_seed) for trial in trials]
        split = {key: hold_out(labels, drawn[key[0]], held, key[1]) for key in dict.fromkeys(keys)}
        parts = {key: Part(self.images, held_out) for key, (_, held_out) in split.items()}
        self.validation = [parts[key] for key in keys]
        return [split[key][0] for key in keys]

    def _compiles(self) -> bool:
        wanted = self.machine.compiled
        if not has_trained_parameters(self.members[0].trial.arch.size):
            return False  # it clusters by scikit-learn
        return worth_compiling(self.device, self.steps * self.epochs) if wanted is None else wanted

    def stackable(self) -> bool:
        """Whether several seeds of this cell can be trained as one batched program."""
        return self.recipe.distillation == "none" and stackable(
            build_model(self.members[0].trial.model), self.precision
        )

    def train(self) -> None:
        """Train from the first step, or from the last snapshot, to the last test. The results are in `members`.

        Raises:
            TimeLimitError: The training run exceeded its time limit.
        """
        recipe, memory, trainer = self.recipe, PeakMemory(self.device), self.trainer()
        if self.heart is not None:
            self.heart.trains(self.epochs, self.steps, self.environment.device)
        tensors, facts = (None if self.snapshots is None else self.snapshots.last()) or _BEGINNING
        for member, held in zip(self.members, facts.get("members", ()), strict=False):
            member.restore(held)
        clock = Clock(facts["seconds"], facts["epoch_seconds"])
        tested = recipe.tested_epochs | {self.epochs}
        for epoch in range(facts["epoch"], self.epochs):
            losses = self.train_epoch(trainer, epoch, tensors, clock).cpu()  # synchronises with the GPU before timing
            # Seeds trained together share the time equally, so that the sum is the machine's time.
            seconds = clock.epoch() / len(self.members)
            for member, of_member in zip(self.members, losses.unbind(dim=1), strict=True):
                member.trained(epoch, learning_rate(recipe, epoch, 0, self.steps), of_member, seconds)
            if epoch + 1 in tested:
                trim()
                right, test_losses = trainer.test(self.test_images)
                trim()
                similar, last = trainer.similarity(self.test_images), (epoch + 1) * self.steps - 1
                for number, member in enumerate(self.members):
                    member.tested(right[number].numpy(), test_losses[number], similar[number], last)
                self._validate(trainer, last)
            if all(member.diverged for member in self.members):
                return
            tensors = {}
            clock.next_epoch()
        self._test_corrupted(trainer, clock)
        most = self.team.largest(memory.megabytes())
        for member, model in zip(self.members, trainer.models(), strict=True):
            member.finish(clock.all() / len(self.members), self.steps * recipe.batch_size, most, model)

    def _validate(self, trainer: SeedTrainer, step: int) -> None:
        """Evaluate each member on its validation images, if the recipe holds out any. step: the last training step."""
        found: dict[Part, tuple[Tensor, list[float]]] = {}
        for number, (member, part) in enumerate(zip(self.members, self.validation, strict=False)):
            if part not in found:
                found[part] = trainer.test(part)
            right, losses = found[part]
            member.validated(right[number].numpy(), losses[number], step)
        if found:
            trim()

    def _test_corrupted(self, trainer: SeedTrainer, clock: Clock) -> None:
        """Test the trained models on the corrupted copies of the test images, if the recipe asks for them."""
        if self.corrupted is None:
            return
        for kind, severity, images in self.corrupted.sets(self.device):
            right, _ = trainer.test(images)
            for number, member in enumerate(self.members):
                member.tested_corrupted(kind, severity, right[number].numpy().astype(bool))
            trim()
            self._check_time(clock)
            if self.heart is not None:  # a test of many copies isn't a standstill
                self.heart.stepped(self.epochs - 1, self.steps, 0)
        for member in self.members:
            member.corruption_data = self.corrupted.copies.checksum()

    def trainer(self) -> SeedTrainer:
        """A new trainer, before its first step."""
        recipe, dataset, models = self.recipe, self.dataset, list[Model | Learner]()
        loss = LOSSES[self.members[0].trial.loss]
        for member in self.members:
            seed, model = member.trial.seed("initialisation"), build_model(member.trial.model)
            initialise(model, seed)
            if self.others.backbone is not None:
                cast("Regions", model).load_backbone(self.others.backbone)
            if self.others.pretrained is not None:
                start_from(model, self.others.pretrained)
            self.params = count_parameters(model).total  # without the parameters that a loss adds
            models.append(learner_for(model, loss, recipe, dataset.num_classes, seed).to(self.device))
        self.macs = _macs(self.members[0].trial)
        normalise = self.task.normalise(dataset, self.device)
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
            teacher=None if self.others.teacher is None else self.others.teacher.to(self.device),
            threads=self.machine.threads,
            shape=self.dataset.shape,
            micro_batch=self.machine.micro_batch,
            compiled=self.compiled,
            recorded=recorded,
            team=self.team,
            task=self.task,
        )
        self.images_at_once, self.divisible = trainer.images_at_once, splittable(model)
        return trainer

    def smaller_micro_batch(self) -> int | None:
        """Half the current micro-batch, to try after running out of memory; None if it can't be made smaller."""
        if not self.divisible or self.images_at_once is None or self.images_at_once < 2:
            return None
        return self.images_at_once // 2

    def train_epoch(self, trainer: SeedTrainer, epoch: int, begun: Mapping[str, Tensor], clock: Clock) -> Tensor:
        """Train one epoch. Returns the losses, [steps, members].

        Args:
            trainer: The trainer.
            epoch: The number of the epoch, from 0.
            begun: The tensors of a snapshot taken within this epoch, to resume from; empty to start at its first step.
            clock: Measures the time of the training run.

        Raises:
            TimeLimitError: The training run exceeded its time limit.
        """
        recipe, trials = self.recipe, [member.trial for member in self.members]
        # Every epoch seeds its own generators, so its random numbers don't depend on earlier epochs.
        trainer.seed_dropout([trial.seed("dropout", epoch) for trial in trials])
        orders = [self._order(trial, subset, epoch) for trial, subset in zip(trials, self.subsets, strict=True)]
        draws = [_generator(trial.seed("augmentation", epoch)) for trial in trials]
        losses: list[Tensor] = []
        if begun:
            trainer.load(begun)
            for generator, state in zip(draws, begun["draws"], strict=True):
                generator.set_state(state.clone())  # given a view of a row, torch would read the storage's first row
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

    def _order(self, trial: Trial, subset: Tensor, epoch: int) -> Tensor:
        return subset[epoch_order(len(subset), self.recipe.repeats, _generator(trial.seed("order", epoch)))]

    def so_far(self, member: Member) -> dict[str, Any]:
        """The fields of the record that are known even if the training run failed."""
        return {
            "epochs": len(member.history),
            "params": self.params,
            "macs": self.macs,
            "history": tuple(member.history),
        }


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


_MACS: dict[str, int | None] = {}  # cache of this process, by the cell's key, which holds all that MACs depend on


def _macs(trial: Trial) -> int | None:
    """The MACs of the trial's model. If an operator has no counting rule: None, with a warning; training goes on."""
    cell = trial.model
    if cell.key not in _MACS:
        try:
            _MACS[cell.key] = count_macs(build_model(cell), trial.dataset.image_size, trial.dataset.channels)
        except UncountedOperatorError as error:
            _MACS[cell.key] = None
            warnings.warn(f"{trial.label}: its record has no MACs: {error}", stacklevel=2)
    return _MACS[cell.key]
