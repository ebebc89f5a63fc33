"""The learning rate, against each published trainer's definition and the values that it was seen to use."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from timm.scheduler import CosineLRScheduler, create_scheduler
from torch import nn, optim

from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.train.steps.schedule import learning_rate
from tests.conftest import REPOSITORY

RECIPES = REPOSITORY / "grids" / "recipes"


def published(name: str, **changes: Any) -> Recipe:
    recipe = load_document(Path(RECIPES / f"{name}.yaml"), Recipe)
    return Recipe.model_validate({**recipe.model_dump(), **changes})


def cosine(epoch: float, start: float, low: float, warm_up: float, first: float, total: float) -> float:
    """timm's, without a prefix."""
    if epoch < warm_up:
        return first + epoch * (start - first) / warm_up
    return low + 0.5 * (start - low) * (1 + math.cos(math.pi * epoch / total)) if epoch < total else low


def digits(value: float, like: float) -> float:
    """A value rounded to as many digits as another is printed with."""
    mantissa = f"{like:.6e}".split("e")[0].rstrip("0").rstrip(".")
    return float(f"{value:.{max(len(mantissa) - 2, 0)}e}")


@pytest.mark.parametrize(
    ("epoch", "listed"),
    [
        (0, 1.0e-5),
        (1, 6.4e-5),
        (5, 2.8e-4),
        (9, 4.96e-4),
        (10, 5.485e-4),
        (150, 2.8e-4),
        (299, 1.001e-5),
        (300, 1e-5),
        (309, 1e-5),
    ],
)
def test_compact_transformers(epoch: int, listed: float) -> None:
    found = learning_rate(published("compact_transformers_cifar10"), epoch)
    assert found == pytest.approx(cosine(epoch, 5.5e-4, 1e-5, 10, 1e-5, 300), rel=1e-9)
    assert digits(found, listed) == listed


@pytest.mark.parametrize(("epoch", "listed"), [(0, 1e-6), (1, 1e-6), (299, 1.011e-5)])
def test_deit_lags_an_epoch(epoch: int, listed: float) -> None:
    for name in ("deit", "ceit"):
        found = learning_rate(published(name), epoch)
        assert found == pytest.approx(cosine(max(epoch - 1, 0), 1e-3, 1e-5, 5, 1e-6, 300), rel=1e-9)
        assert digits(found, listed) == listed
        assert published(name).total_epochs == 300


def test_all_epochs_of_those_that_step_by_epochs() -> None:
    for name, (start, low, warm_up, first, lag, total) in {
        "compact_transformers_cifar10": (5.5e-4, 1e-5, 10, 1e-5, 0, 310),
        "compact_transformers_cifar100": (6e-4, 1e-5, 10, 1e-6, 0, 310),
        "deit": (1e-3, 1e-5, 5, 1e-6, 1, 300),
        "ceit": (1e-3, 1e-5, 5, 1e-6, 1, 300),
        "t2t_vit": (1e-3, 1e-5, 10, 1e-6, 0, 310),
    }.items():
        recipe = published(name)
        assert recipe.total_epochs == total
        for epoch in range(total):
            expected = cosine(max(epoch - lag, 0), start, low, warm_up, first, 300)
            assert learning_rate(recipe, epoch, step=3, steps=7) == pytest.approx(expected, rel=1e-9), (name, epoch)


@pytest.mark.parametrize(
    ("name", "peak", "low", "lag"), [("dtn", 5e-4 * 2 * 128 / 512, 1e-5, 0), ("diversepatch", 1e-3, 1e-7, 1)]
)
def test_dtn_and_diversepatch_step_by_epochs(name: str, peak: float, low: float, lag: int) -> None:
    """Against timm's scheduler, made and called as their trainers do after an epoch: with the next one's number or its.

    Both make it by timm's `create_scheduler`, ignore the number of epochs that it returns, and train for 300.
    """
    recipe = published(name)
    optimiser = optim.SGD(nn.Linear(1, 1).parameters(), lr=peak)
    options = {"sched": "cosine", "epochs": 300, "warmup_epochs": 5, "warmup_lr": 1e-6, "min_lr": low}
    scheduler, with_cooldown = create_scheduler(
        Namespace(**options, cooldown_epochs=10, decay_rate=0.1, decay_epochs=30, patience_epochs=10), optimiser
    )
    assert (recipe.total_epochs, with_cooldown) == (300, 310)
    for epoch in range(recipe.total_epochs):
        found = learning_rate(recipe, epoch, step=2, steps=5)
        assert found == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9), epoch
        scheduler.step(epoch + 1 - lag)


@pytest.mark.parametrize("prefix", [False, True])
def test_swin_goes_by_steps_one_late(prefix: bool) -> None:
    """Against timm's scheduler, made and called as Swin's trainer does, after each step with that step's number."""
    recipe, steps = published("swin", warmup_prefix=prefix), 3
    optimiser = optim.SGD(nn.Linear(1, 1).parameters(), lr=1e-3)
    warm_up, total = 20 * steps, 300 * steps
    scheduler = CosineLRScheduler(
        optimiser,
        t_initial=total - warm_up if prefix else total,
        lr_min=1e-5,
        warmup_lr_init=1e-6,
        warmup_t=warm_up,
        cycle_limit=1,
        t_in_epochs=False,
        warmup_prefix=prefix,
    )
    for number in range(total):
        found = learning_rate(recipe, number // steps, number % steps, steps)
        assert found == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9), number
        scheduler.step_update(number)


@pytest.mark.parametrize(("epoch", "listed"), [(0, 1e-4), (1, 1.25e-4), (4, 5e-4), (5, 5e-4)])
def test_legacy_compact_transformers_warm_up_harmonically(epoch: int, listed: float) -> None:
    assert learning_rate(published("compact_transformers_legacy"), epoch) == pytest.approx(listed, rel=1e-9)


def test_legacy_compact_transformers_fall_to_zero_over_the_rest() -> None:
    recipe = published("compact_transformers_legacy")
    for epoch in range(5, 200):
        expected = 5e-4 * 0.5 * (1 + math.cos(math.pi * (epoch - 5) / 195))
        assert learning_rate(recipe, epoch) == pytest.approx(expected, rel=1e-9)


def test_a_polynomial_decay_is_that_of_mmsegmentation() -> None:
    """By steps: the base rate less the lower end, times (1 - t/T)^p, plus the lower end; after T, the lower end."""
    values = {"decay": "polynomial", "decay_power": 0.9, "lr": 1e-3, "min_lr": 1e-4, "schedule_unit": "step"}
    recipe = Recipe.model_validate({"version": 1, "epochs": 4, "cooldown_epochs": 1, "batch_size": 1, **values})
    for number in range(4 * 7):
        expected = (1e-3 - 1e-4) * (1 - number / (4 * 7)) ** 0.9 + 1e-4
        assert learning_rate(recipe, number // 7, number % 7, 7) == pytest.approx(expected, rel=1e-9)
    assert learning_rate(recipe, 4, 3, 7) == 1e-4


def test_a_polynomial_decay_of_power_1_after_a_warm_up_is_a_line() -> None:
    values = {"decay": "polynomial", "warmup_epochs": 2, "warmup_prefix": True}
    recipe = Recipe.model_validate({"version": 1, "epochs": 6, "batch_size": 1, "lr": 0.8, **values})
    found = [learning_rate(recipe, epoch) for epoch in range(6)]
    assert found == pytest.approx([0.0, 0.4, 0.8, 0.6, 0.4, 0.2])


def test_without_warm_up_it_falls_from_the_peak() -> None:
    recipe = Recipe(version=1, epochs=7, batch_size=1, lr=0.1)
    rates = [learning_rate(recipe, epoch) for epoch in range(7)]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01
