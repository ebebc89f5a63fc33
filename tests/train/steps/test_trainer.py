"""Training steps by recipes with everything in them: what is drawn, clipped, averaged and tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suite.data.images import ArrayImages
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.store.record import RunRecord
from suite.train.augmentation.pipeline import Augmentation, Normalise, Stretch
from suite.train.machine import Machine
from suite.train.steps.precision import Precision
from suite.train.steps.schedule import learning_rate
from suite.train.steps.trainer import Trainer
from suite.train.trials import run_trial, train_trials
from tests.records import lasting

CPU = torch.device("cpu")
WHOLE: dict[str, Any] = {
    "epochs": 3,
    "cooldown_epochs": 1,
    "warmup_epochs": 1,
    "schedule_unit": "step",
    "schedule_lag": True,
    "clip_grad": 1.0,
    "ema_decay": 0.5,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "crop_scale": (0.6, 1.0),
    "interpolation": "random",
    "flip": True,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "erase_prob": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mixup_off_epoch": 2,
    "mixup_mode": "elem",
    "repeats": 3,
    "test_crop_ratio": 0.875,
}


@pytest.fixture
def trials(write_grid: Callable[..., Path]) -> list[Trial]:
    """Default and LaPE, with the whole recipe: two seeds each."""
    path = write_grid(("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"))
    return [
        replace(trial, recipe=Recipe.model_validate({**trial.recipe.model_dump(), **WHOLE}))
        for trial in load_grid(path).expand().trials
    ]


def test_the_whole_recipe_trains_and_repeats_bit_for_bit(trials: list[Trial], machine: Machine) -> None:
    record = run_trial(trials[1], machine)
    assert (record.status, record.error, record.epochs) == ("done", None, 4)
    assert record.history is not None
    assert [epoch.lr for epoch in record.history] == [
        learning_rate(trials[1].recipe, epoch, 0, 2) for epoch in range(4)
    ]
    assert lasting(run_trial(trials[1], machine)) == lasting(record)


def test_pairs_see_the_same_inputs_and_targets(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor | None, bool]]] = {}
    streams = Augmentation.streams

    def note(self: Augmentation, *arguments: Any) -> Iterator[tuple[Stretch]]:
        for (stretch,) in streams(self, *arguments):
            batches = [(inputs.clone(), share) for inputs, share in stretch.batches]
            seen.setdefault(current.id, []).extend((*batch, arguments[4]) for batch in batches)
            yield (replace(stretch, batches=batches),)

    monkeypatch.setattr(Augmentation, "streams", note)
    for current in trials[:3]:
        assert run_trial(current, machine).status == "done"
    default, lape, other = (seen[trial.id] for trial in trials[:3])
    assert len(default) == len(lape) == len(other) == 4 * 2
    for (inputs, share, mixing), (again, share_again, _) in zip(default, lape, strict=True):
        assert torch.equal(inputs, again)
        assert (share is not None) == mixing
        assert share is None or torch.equal(share, share_again)  # type: ignore[arg-type]
    assert [mixing for _, _, mixing in default] == [True] * 4 + [False] * 4
    assert not any(torch.equal(ours[0], theirs[0]) for ours, theirs in zip(default, other, strict=True))


def test_an_image_comes_three_times_in_a_row(
    trials: list[Trial], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[torch.Tensor] = []
    train_epoch = Trainer.train_epoch

    def note(self: Trainer, images: Any, given: Sequence[torch.Tensor], *rest: Any) -> torch.Tensor:
        orders.extend(given)
        return train_epoch(self, images, given, *rest)

    monkeypatch.setattr(Trainer, "train_epoch", note)
    run_trial(trials[0], machine)
    for order in orders:
        assert len(order) == 128
        triples = order[:126].view(-1, 3)
        assert (triples == triples[:, :1]).all()
        assert len(triples[:, 0].unique()) == 42
    assert not torch.equal(orders[0], orders[1])


def test_the_running_mean_is_what_is_tested_and_kept(trials: list[Trial], machine: Machine) -> None:
    def change(**values: Any) -> tuple[RunRecord, dict[str, torch.Tensor]]:
        recipe = Recipe.model_validate({**trials[0].recipe.model_dump(), "lr": 0.03, **values})
        ((record, model),) = train_trials([replace(trials[0], recipe=recipe)], machine)
        assert model is not None
        return record, {name: value.clone() for name, value in model.state_dict().items()}

    (plain, weights), (same, same_weights), (slow, slow_weights) = (
        change(ema_decay=decay) for decay in (None, 0.0, 0.9)
    )
    assert all(torch.allclose(value, same_weights[name], atol=1e-6) for name, value in weights.items())
    assert plain.history is not None
    assert same.history is not None
    assert slow.history is not None
    for epoch, again, averaged in zip(plain.history, same.history, slow.history, strict=True):
        assert epoch.train_loss == again.train_loss == averaged.train_loss  # the mean touches no training
        assert epoch.test_loss == pytest.approx(again.test_loss, rel=1e-4)
    assert plain.test_loss != slow.test_loss
    assert any(not torch.allclose(value, slow_weights[name], atol=1e-4) for name, value in weights.items())


@pytest.mark.parametrize("clip", [None, 1e-3, 1e3])
def test_gradients_are_clipped_by_their_common_norm(clip: float | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    start = [parameter.detach().clone() for parameter in model.parameters()]
    recipe = Recipe(version=1, epochs=1, batch_size=10, lr=1.0, clip_grad=clip)
    images = ArrayImages(torch.randint(0, 256, (10, 4, 4, 1), dtype=torch.uint8), torch.arange(10) % 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    trainer = Trainer(model, optimiser, recipe, Normalise((0.5,), (0.5,), CPU), Precision("fp32", None), CPU)
    trainer.train_epoch(images, [torch.arange(10)], [torch.Generator()], [1.0])
    steps = [before - after.detach() for before, after in zip(start, model.parameters(), strict=True)]
    norm = float(torch.cat([step.flatten() for step in steps]).norm())
    if clip == 1e-3:
        assert norm == pytest.approx(1e-3, rel=1e-3)
    else:
        assert norm > 0.01


def test_each_step_has_its_own_learning_rate() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    recipe = Recipe(version=1, epochs=1, batch_size=5, lr=1.0)
    images = ArrayImages(torch.randint(0, 256, (10, 4, 4, 1), dtype=torch.uint8), torch.arange(10) % 3)
    seen: list[float] = []

    class Noting(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            seen.append(self.param_groups[0]["lr"])

    trainer = Trainer(
        model, Noting(model.parameters(), lr=9.0), recipe, Normalise((0.5,), (0.5,), CPU), Precision("fp32", None), CPU
    )
    trainer.train_epoch(images, [torch.arange(10)], [torch.Generator()], [0.25, 0.5])
    assert seen == [0.25, 0.5]
