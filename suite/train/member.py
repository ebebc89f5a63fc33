"""One trial of an attempt: its history so far, and its outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from suite.grid.trial import Trial
from suite.models.model import Model
from suite.store.corruptions import mean_error, pack_counts
from suite.store.record import Epoch, Status
from suite.train.steps.finite import DivergedError, check_finite
from suite.train.steps.similarity import Similarity
from suite.train.tasks import Evidence, task_of

Outcome = tuple[Status, dict[str, Any]]  # the status of a trial, and the record's fields for that status


class Member:
    """The state and results of one trial of an attempt.

    Once the trial has diverged, the methods that update it do nothing.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.history: list[Epoch] = []
        self.diverged: DivergedError | None = None
        self.task = task_of(trial.dataset, trial.recipe)
        self.evidence: Evidence = np.zeros(0, dtype=bool)
        self.validation_images: int | None = None
        self.corruption_errors: dict[str, dict[str, float]] = {}  # percent, by kind and severity
        self.corruption_wrong = np.zeros(0, dtype=np.uint8)  # wrong answers to the corrupted copies of each image
        self.corruption_data = ""  # checksum of all corrupted copies
        self.result: dict[str, Any] = {}
        self.model: Model | None = None

    def trained(self, epoch: int, lr: float, losses: Tensor, seconds: float) -> None:
        """Called after the training steps of an epoch.

        Args:
            epoch: The number of the epoch, from 0.
            lr: The learning rate at the start of the epoch.
            losses: The loss of each step, [steps].
            seconds: Duration of the epoch.
        """
        if self.diverged is not None:
            return
        try:
            mean = check_finite(losses, epoch * len(losses))
        except DivergedError as error:
            self.diverged = error
            return
        self.history.append(Epoch(epoch=epoch, lr=lr, train_loss=mean, top1=None, test_loss=None, seconds=seconds))

    def tested(self, evidence: Evidence, loss: float, similarity: Similarity | None, step: int) -> None:
        """Called after the test at the end of an epoch.

        Args:
            evidence: What the test keeps of each image, [test images, …]: see `suite.train.tasks`.
            loss: The mean test loss.
            similarity: How similar the patches are after each block; None if that can't be measured.
            step: The last training step before the test, counted over the training run.
        """
        if self.diverged is not None:
            return
        if not math.isfinite(loss):  # the last step made the weights non-finite
            self.diverged = DivergedError(step)
            self.history.pop()
            return
        self.evidence = evidence
        found = {"top1": self.task.top1(evidence), "test_loss": loss, "similarity": similarity}
        self.history[-1] = self.history[-1].model_copy(update=found)

    def validated(self, evidence: Evidence, loss: float, step: int) -> None:
        """Called after `tested`, with the outcome on the validation images: see there."""
        if self.diverged is not None:
            return
        if not math.isfinite(loss):
            self.diverged = DivergedError(step)
            self.history.pop()
            return
        self.validation_images = len(evidence)
        found = {"validation_top1": self.task.top1(evidence), "validation_loss": loss}
        self.history[-1] = self.history[-1].model_copy(update=found)

    def _of_validation(self) -> dict[str, Any]:
        """The record's fields about the validation images; nothing without them."""
        validated = [epoch for epoch in self.history if epoch.validation_top1 is not None]
        if not validated:
            return {}
        best = max(validated, key=lambda epoch: epoch.validation_top1 or 0.0)  # the first of equals
        return {
            "validation_images": self.validation_images,
            "validation_top1": self.history[-1].validation_top1,
            "validation_top1_best_epoch": best.validation_top1,
            "top1_best_validation": best.top1,
        }

    def tested_corrupted(self, kind: str, severity: int, correct: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        """Called after the test on corrupted copies of the test images, once for each kind and severity.

        Args:
            kind: The kind of corruption.
            severity: Its severity.
            correct: Per-image correctness, bool [images with copies].
        """
        if self.diverged is not None:
            return
        if not len(self.corruption_wrong):
            self.corruption_wrong = np.zeros(len(correct), dtype=np.uint8)
        self.corruption_wrong += ~correct
        error = 100.0 * int((~correct).sum()) / len(correct)
        self.corruption_errors.setdefault(kind, {})[str(severity)] = error

    def _of_corruptions(self) -> dict[str, Any]:
        """The record's fields about corrupted copies of the test images; nothing without them."""
        if not self.corruption_errors:
            return {}
        return {
            "corruption_error": mean_error(self.corruption_errors),
            "corruption_errors": self.corruption_errors,
            "corruption_images": len(self.corruption_wrong),
            "corruption_wrong": pack_counts(self.corruption_wrong),
            "corruption_data": self.corruption_data,
        }

    def finish(self, seconds: float, images: int, memory: float, model: Model) -> None:
        """Called when the training run is complete.

        Args:
            seconds: Duration of the training run.
            images: Training images per epoch.
            memory: Peak memory in MB.
            model: The trained model.
        """
        if self.diverged is not None:
            return
        self.model = model
        self.result = {
            "top1": self.history[-1].top1,
            "top1_best_epoch": max(epoch.top1 for epoch in self.history if epoch.top1 is not None),
            "test_loss": self.history[-1].test_loss,
            "train_seconds": seconds,
            "images_per_second": len(self.history) * images / sum(epoch.seconds for epoch in self.history),
            "peak_memory_mb": memory,
            **self.task.fields(self.evidence),
            **self._of_validation(),
            **self._of_corruptions(),
        }

    def outcome(self) -> Outcome:
        """The outcome of a training run that ended without an exception: "diverged" or "done"."""
        if self.diverged is not None:
            return "diverged", {"diverged_step": self.diverged.step, "error": str(self.diverged)}
        return "done", self.result

    def held(self) -> dict[str, Any]:
        """The state that a snapshot saves, as JSON-compatible values."""
        step = None if self.diverged is None else self.diverged.step
        return {"history": [epoch.model_dump() for epoch in self.history], "diverged": step}

    def restore(self, held: Mapping[str, Any]) -> None:
        """Restore the state that `held` returned."""
        self.history = [Epoch.model_validate(epoch) for epoch in held["history"]]
        self.diverged = None if held["diverged"] is None else DivergedError(held["diverged"])
