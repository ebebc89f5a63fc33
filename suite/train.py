"""Run one trial: the only part of the suite that trains."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from suite.cost.macs import count_macs, count_parameters
from suite.data.cache import data_root
from suite.data.images import Images, balanced_subset, load_images
from suite.data.teachers import load_teacher
from suite.environment import describe
from suite.machine import Machine
from suite.models.build import build_model
from suite.models.initialise import initialise
from suite.models.transformer import Transformer
from suite.record import Epoch, RunRecord, Status, pack_bits
from suite.training.augmentation.pipeline import Normalise
from suite.training.loop import DivergedError, Trainer, check_finite
from suite.training.memory import PeakMemory, release
from suite.training.optimiser import build_optimiser
from suite.training.precision import choose_precision
from suite.training.schedule import learning_rate
from suite.trial import Trial


def run_trial(trial: Trial, machine: Machine | None = None) -> RunRecord:
    """Train and test one trial: see `train_trial`."""
    return train_trial(trial, machine)[0]


def train_trial(trial: Trial, machine: Machine | None = None) -> tuple[RunRecord, Transformer | None]:
    """Train and test one trial: its record, and the trained model if it is done.

    Whatever happens in the training is an outcome: a record with status diverged, oom or error.

    Raises:
        InputError: the data or the teacher are not prepared or damaged, or the device is not there. Nothing was run.
    """
    machine = machine or Machine()
    device = machine.torch_device()
    root = machine.data_root or data_root()
    train, test = (load_images(trial.dataset, split, root) for split in ("train", "test"))
    teacher = load_teacher(trial.recipe, trial.dataset, root)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    threads = torch.get_num_threads()
    run = _Run(trial, device, train, test, teacher)
    devices = [device] if device.type == "cuda" else []
    try:
        torch.set_num_threads(machine.threads)
        with torch.random.fork_rng(devices):
            status, outcome = _outcome(run.train)
    finally:
        torch.set_num_threads(threads)
        release(device)
    record = RunRecord(
        **trial.identity,
        status=status,
        started_at=started,
        environment=describe(
            torch.__version__,
            torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            run.precision.name,
            machine.threads,
        ),
        **{**run.so_far(), **outcome},
    )
    return record, run.trained


def _outcome(train: Callable[[], dict[str, Any]]) -> tuple[Status, dict[str, Any]]:
    """What became of a training: its status, and the fields of the record that go with it."""
    try:
        return "done", train()
    except DivergedError as error:
        return "diverged", {"diverged_step": error.step, "error": str(error)}
    except (torch.cuda.OutOfMemoryError, MemoryError):
        return "oom", {"error": _last_lines(traceback.format_exc())}
    except Exception:  # whatever else a model or a recipe can raise is that trial's outcome, not the grid's
        return "error", {"error": _last_lines(traceback.format_exc())}


def _last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.rstrip().splitlines()[-count:])


class _Run:
    """One attempt at a trial."""

    def __init__(
        self, trial: Trial, device: torch.device, train: Images, test: Images, teacher: nn.Module | None
    ) -> None:
        self.trial, self.device, self.teacher = trial, device, teacher
        self.images, self.test_images = train.to(device), test.to(device)
        self.precision = choose_precision(trial.recipe, device)
        self.history: list[Epoch] = []
        self.params: int | None = None
        self.macs: int | None = None
        self.trained: Transformer | None = None

    def train(self) -> dict[str, Any]:
        """The whole training. Returns the fields of the record that a finished run has."""
        trial, recipe = self.trial, self.trial.recipe
        memory = PeakMemory(self.device)
        model = build_model(trial.model)
        initialise(model, trial.seed("initialisation"))
        self.params = count_parameters(model).total
        self.macs = _macs(trial)
        model.to(self.device)
        trainer = Trainer(
            model,
            build_optimiser(model, recipe, model.position_and_class_parameters()),
            recipe,
            Normalise(trial.dataset.mean, trial.dataset.std, self.device),
            self.precision,
            self.device,
            None if self.teacher is None else self.teacher.to(self.device),
        )
        subset = self._subset()
        steps = len(subset) // recipe.batch_size
        began = time.perf_counter()
        correct = np.zeros(0, dtype=bool)
        for epoch in range(recipe.total_epochs):
            rates = [learning_rate(recipe, epoch, step, steps) for step in range(steps)]
            mixing = not recipe.mixup_off_epoch or epoch < recipe.mixup_off_epoch
            epoch_began = time.perf_counter()
            # Every epoch draws from generators of its own, so that it doesn't matter what ran before it.
            torch.manual_seed(trial.seed("dropout", epoch))
            order = subset[torch.randperm(len(subset), generator=_generator(trial.seed("order", epoch)))]
            order = order.repeat_interleave(recipe.repeats)[: len(subset)]
            draws = _generator(trial.seed("augmentation", epoch))
            losses = trainer.train_epoch(self.images, order, draws, rates, mixing)
            train_loss = check_finite(losses, epoch * steps)
            seconds = time.perf_counter() - epoch_began
            top1 = test_loss = None
            if (epoch + 1) % recipe.test_every == 0 or epoch + 1 == recipe.total_epochs:
                right, test_loss = trainer.test(self.test_images)
                if not math.isfinite(test_loss):  # the last step spoilt the weights
                    raise DivergedError((epoch + 1) * steps - 1)
                correct = right.numpy()
                top1 = _percent(correct)
            self.history.append(
                Epoch(epoch=epoch, lr=rates[0], train_loss=train_loss, top1=top1, test_loss=test_loss, seconds=seconds)
            )
        outcome = {
            "top1": self.history[-1].top1,
            "top1_best_epoch": max(epoch.top1 for epoch in self.history if epoch.top1 is not None),
            "test_loss": self.history[-1].test_loss,
            "train_seconds": time.perf_counter() - began,
            "images_per_second": recipe.total_epochs * steps * recipe.batch_size / sum(e.seconds for e in self.history),
            "peak_memory_mb": memory.megabytes(),
            "test_images": len(correct),
            "correct": pack_bits(correct),
        }
        self.trained = cast(Transformer, trainer.tested)
        return outcome

    def so_far(self) -> dict[str, Any]:
        """The fields that a failed run has too."""
        return {
            "epochs": len(self.history),
            "params": self.params,
            "macs": self.macs,
            "history": tuple(self.history),
        }

    def _subset(self) -> torch.Tensor:
        count = self.trial.recipe.train_images
        return torch.arange(len(self.images)) if count is None else balanced_subset(self.images.labels, count)


def _percent(correct: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return 100.0 * int(correct.sum()) / len(correct)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


_MACS: dict[str, int] = {}  # of this process, by all that the count depends on


def _macs(trial: Trial) -> int:
    cell = trial.model
    if cell.key not in _MACS:
        _MACS[cell.key] = count_macs(build_model(cell), trial.dataset.image_size, trial.dataset.channels)
    return _MACS[cell.key]
