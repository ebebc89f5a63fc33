"""Several seeds at once: each gives what it gives alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from suite.data.images import load_images
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.store.record import RunRecord
from suite.store.storage import Folder
from suite.train import trials as entrance
from suite.train.attempt import Attempt
from suite.train.clock import Clock
from suite.train.machine import Machine
from suite.train.timed_steps import seconds_per_step
from suite.train.trials import run_trial, train_trials
from tests.records import lasting
from tests.train.test_snapshot import RECIPES, stopped

Write = Callable[..., Path]
NOISE = "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once even where it is slower."""
    monkeypatch.setattr(entrance, "_stacks", lambda trials, machine: True)


def cell(write_grid: Write, join: str, *changes: tuple[str, str]) -> list[Trial]:
    path = write_grid(("seeds: [0, 1]", "seeds: [0, 1, 2]"), ("mlp_ratio: 1}", NOISE), *changes)
    return [trial for trial in load_grid(path).expand().trials if trial.join == join]


def attempt(trials: list[Trial], data_folder: Path) -> Attempt:
    images = (load_images(trials[0].dataset, split, data_folder) for split in ("train", "test"))
    return Attempt(trials, Machine(data_folder, "cpu"), torch.device("cpu"), *images)


def losses_of_steps(trials: list[Trial], data_folder: Path, epochs: int) -> Tensor:
    """[steps, trials]: the losses of all steps, by the very parts that a training is made of."""
    made = attempt(trials, data_folder)
    trainer, clock = made.trainer(), Clock()
    return torch.cat([made.train_epoch(trainer, epoch, {}, clock) for epoch in range(epochs)])


@pytest.mark.parametrize("augmentation", list(RECIPES))
def test_steps_have_the_losses_of_steps_alone(write_grid: Write, data_folder: Path, augmentation: str) -> None:
    trials = cell(
        write_grid, "lape", ("lr: 1e-3,", f"lr: 1e-3, {RECIPES[augmentation]}"), ("batch_size: 64", "batch_size: 16")
    )
    together = losses_of_steps(trials, data_folder, 3)
    assert len(together) == 24
    for number, trial in enumerate(trials[:2]):
        alone = losses_of_steps([trial], data_folder, 3)[:, 0]
        assert (together[:, number] / alone - 1).abs().max() < 1e-4
    assert not torch.equal(together[:, 0], together[:, 1])


@pytest.mark.parametrize(
    ("precision", "backend"),
    # The slow backend traces the backward pass too.
    [("bf16", "eager"), *(pytest.param(one, "aot_eager", marks=pytest.mark.slow) for one in ("fp32", "bf16"))],
)
def test_a_compiler_makes_the_same_steps_of_a_stack(
    write_grid: Write, data_folder: Path, precision: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced as one graph, with each model's own masks of dropout."""
    compile_ = partial(torch.compile, backend=backend, fullgraph=True)
    monkeypatch.setattr(torch, "compile", compile_)
    changes = ("lr: 1e-3,", f"lr: 1e-3, mixup: 0.8, label_smoothing: 0.1, precision: {precision},")
    trials = cell(write_grid, "lape", changes, ("batch_size: 64", "batch_size: 16"), ("depth: 2", "depth: 1"))[:2]
    found, tested = [], []
    for compiled in (False, True):
        made = attempt(trials, data_folder)
        made.compiled = compiled
        trainer, clock = made.trainer(), Clock()
        losses = [made.train_epoch(trainer, 0, {}, clock)]
        tested.append(trainer.test(made.test_images)[1])
        with torch._dynamo.config.patch(error_on_recompile=True):
            found.append(torch.cat([*losses, made.train_epoch(trainer, 1, {}, clock)]))
    torch.compiler.reset()
    assert torch.equal(*found)
    assert tested[0] == tested[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.filterwarnings("ignore")  # of a compiler
def test_on_a_gpu_a_compiled_stack_has_the_losses_of_models_alone(write_grid: Write, data_folder: Path) -> None:
    """In bfloat16, with a fused attention, small kernels joined, and steps as CUDA graphs."""
    path = write_grid(
        ("seeds: [0, 1]", "seeds: [0, 1, 2]"), ("lr: 1e-3,", "lr: 1e-3, mixup: 0.8, crop_scale: [0.8, 1],")
    )
    trials = [trial for trial in load_grid(path).expand().trials if trial.join == "lape"]

    def losses(trials: list[Trial], compiled: bool) -> Tensor:
        images = (load_images(trials[0].dataset, split, data_folder) for split in ("train", "test"))
        made = Attempt(trials, Machine(data_folder, "cuda", compiled=compiled), torch.device("cuda"), *images)
        trainer, clock = made.trainer(), Clock()
        found = torch.cat([made.train_epoch(trainer, epoch, {}, clock) for epoch in range(3)])
        assert all(math.isfinite(loss) for loss in trainer.test(made.test_images)[1])
        return found.cpu()

    together = losses(trials, True)
    alone = torch.cat([losses([trial], number == 0) for number, trial in enumerate(trials)], dim=1)
    assert together.shape == alone.shape
    assert (together / alone - 1).abs().max() < 0.03


@pytest.mark.usefixtures("stacks")
def test_the_records_are_those_of_trials_alone(write_grid: Write, machine: Machine) -> None:
    trials = cell(write_grid, "lape", ("lr: 1e-3,", "lr: 1e-3, ema_decay: 0.5, clip_grad: 0.1,"))
    together = train_trials(trials, machine)
    for trial, (record, model) in zip(trials, together, strict=True):
        ((alone, expected),) = train_trials([trial], machine)
        assert (record.status, record.trial_id, record.error) == ("done", trial.id, None)
        assert record.environment.stacked == 3
        assert record.top1 == pytest.approx(alone.top1, abs=1.0)
        assert [epoch.train_loss for epoch in record.history or ()] == pytest.approx(
            [epoch.train_loss for epoch in alone.history or ()], rel=1e-4
        )
        assert record.test_loss == pytest.approx(alone.test_loss, rel=1e-3)
        assert model is not None
        assert expected is not None
        for name, value in model.state_dict().items():
            assert torch.allclose(value, expected.state_dict()[name], atol=1e-4), name


@pytest.mark.usefixtures("stacks")
def test_one_that_diverges_takes_no_other_with_it(
    write_grid: Write, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = cell(write_grid, "default")
    take = Attempt.train_epoch

    def spoil(self: Attempt, trainer: object, epoch: int, *rest: object) -> Tensor:
        losses = take(self, trainer, epoch, *rest)  # type: ignore[arg-type]
        if len(self.members) > 1:
            losses[1, 1] = torch.nan
        return losses

    monkeypatch.setattr(Attempt, "train_epoch", spoil)
    records = [record for record, _ in train_trials(trials, machine)]
    assert [record.status for record in records] == ["done", "diverged", "done"]
    assert (records[1].diverged_step, records[1].epochs, records[1].top1) == (1, 0, None)


@pytest.mark.usefixtures("stacks")
def test_what_fails_together_is_trained_alone(
    write_grid: Write, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, *arguments: object) -> Tensor:
        raise MemoryError

    trials = cell(write_grid, "default")
    monkeypatch.setattr("suite.train.attempt.StackTrainer.train_epoch", fail)
    assert [lasting(record) for record, _ in train_trials(trials, machine)] == [
        lasting(run_trial(trial, machine)) for trial in trials
    ]


@pytest.mark.usefixtures("stacks")
def test_a_stack_goes_on_from_its_snapshot(
    write_grid: Write, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = cell(write_grid, "lape")
    whole = [record for record, _ in train_trials(trials, machine)]
    again: list[RunRecord] = stopped(trials, machine, Folder(tmp_path / "kept"), 3, monkeypatch)
    assert [lasting(record) for record in again] == [lasting(record) for record in whole]


def test_whether_they_are_trained_at_once_is_measured(
    write_grid: Write, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = cell(write_grid, "default")
    paces = {1: 1.0, 3: 2.9}
    monkeypatch.setattr(entrance, "seconds_per_step", lambda attempt: paces[len(attempt.members)])
    monkeypatch.setattr(entrance, "_STACKS", {})
    assert entrance._stacks(trials, machine)
    paces[3] = 0.1
    assert entrance._stacks(trials, machine)  # it was measured already
    paces[3] = 3.1
    assert not entrance._stacks(trials, replace(machine, threads=2))


def test_a_pace_is_a_time(write_grid: Write, data_folder: Path) -> None:
    trials = cell(write_grid, "default")
    assert 0 < seconds_per_step(attempt(trials[:1], data_folder)) < 60
    assert 0 < seconds_per_step(attempt(trials, data_folder)) < 60


def test_a_teacher_and_statistics_over_batches_forbid_it(write_grid: Write, data_folder: Path) -> None:
    trials = cell(write_grid, "default")
    assert attempt(trials, data_folder).stackable()
    taught = {"distillation": "hard", "teacher": "resnet18", "teacher_sha256": "0" * 64}
    recipe = Recipe.model_validate({**trials[0].recipe.model_dump(), **taught})
    assert not attempt([replace(trial, recipe=recipe) for trial in trials], data_folder).stackable()
