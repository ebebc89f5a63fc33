"""Measure the duration of training steps on this machine, on steps with a learning rate of 0."""

from __future__ import annotations

import time

import torch

from suite.train.attempt import Attempt
from suite.train.steps.cuda_graph import Recorded
from suite.train.steps.seeds import SeedTrainer


def warm_up_steps(device: torch.device) -> int:
    """Steps to run before timing. These are slower, because they compile the model and record CUDA graphs."""
    return Recorded.WARM_UP + 1 if device.type == "cuda" else 1


def time_steps(attempt: Attempt, trainer: SeedTrainer, steps: int) -> float:
    """Time some training steps of all seeds together.

    Args:
        attempt: The attempt, which has the data.
        trainer: Its trainer. Its parameters don't change, because the learning rate is 0.
        steps: Number of steps.

    Returns:
        Seconds for all steps.
    """
    size, seeds = attempt.recipe.batch_size, len(attempt.members)
    subset = attempt.subsets[0]
    order = subset[torch.arange(steps * size) % len(subset)]
    draws = [torch.Generator().manual_seed(0) for _ in range(seeds)]
    began = time.perf_counter()
    # Pass a callback, as in training: an epoch's work at the points where it calls back is part of its time.
    losses = trainer.train_epoch(attempt.images, [order] * seeds, draws, [0.0] * steps, True, lambda *_: None)
    losses.sum().item()  # waits for the device
    return time.perf_counter() - began


def seconds_per_step(attempt: Attempt) -> float:
    """Seconds per training step of all seeds together, measured on a few steps of a new trainer."""
    trainer = attempt.trainer()
    time_steps(attempt, trainer, warm_up_steps(attempt.device))
    steps = 100 if attempt.device.type == "cuda" else 2
    return time_steps(attempt, trainer, steps) / steps
