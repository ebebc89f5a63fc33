"""Micro-batches: as few images at a time as one likes, and the training is that of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.data.images import ArrayImages
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.models import create_model
from suite.models.model import Model
from suite.train.augmentation.pipeline import Normalise
from suite.train.machine import Machine
from suite.train.parallel.synchronised import IndivisibleError
from suite.train.steps.optimiser import build_optimiser
from suite.train.steps.precision import Precision
from suite.train.steps.shares import Split, micro_batches
from suite.train.steps.trainer import Trainer
from suite.train.trials import run_trial, train_trials
from tests.train.steps.test_trainer import WHOLE

Write = Callable[..., Path]
CPU = torch.device("cpu")
STEPS, BATCH = 20, 12
FP32, FP16 = Precision("fp32", None), Precision("fp16", torch.float16)


def small(**changes: Any) -> Model:
    torch.manual_seed(0)
    sizes = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "attn_drop": 0.0}
    return create_model("vit_lite", num_classes=7, image_size=8, in_chans=3, **{**sizes, "drop_path": 0.0, **changes})


def train(
    micro_batch: int | None,
    precision: Precision = FP32,
    teacher: nn.Module | None = None,
    batch: int = BATCH,
    values: Mapping[str, Any] = MappingProxyType({}),
    steps: int = STEPS,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The losses of some steps by the whole recipe, and the weights after them, which are a running mean."""
    values = {**WHOLE, "erase_mode": "pixel", "mixup_off_epoch": 0, "batch_size": batch, **values}
    if teacher is not None:
        values |= {"distillation": "soft", "distillation_temperature": 2.0, "teacher": "t", "teacher_sha256": "0" * 64}
    recipe = Recipe.model_validate({"version": 1, "lr": 0.003, **values})
    drawn = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (steps * batch, 8, 8, 3), dtype=torch.uint8, generator=drawn)
    images = ArrayImages(pixels, torch.arange(len(pixels)) % 7)
    model = options.pop("model", None) or small()
    optimiser = build_optimiser(model, recipe, model.position_and_class_parameters())
    normalise = Normalise((0.5,) * 3, (0.2,) * 3, CPU)
    trainer = Trainer(model, optimiser, recipe, normalise, precision, CPU, teacher, micro_batch=micro_batch, **options)
    trainer.seed_dropout([1])
    losses = trainer.train_epoch(images, [torch.arange(len(pixels))], [drawn], [0.003] * steps)
    return losses, torch.cat([value.flatten() for value in trainer.tested.state_dict().values()])


@cache
def train_whole() -> tuple[Tensor, Tensor]:
    """The same by whole batches."""
    return train(None)


@pytest.mark.parametrize(("micro_batch", "threads"), [(12, 1), (5, 1), (1, 1), (2, 2)])
def test_steps_are_those_of_the_whole_batch(micro_batch: int, threads: int) -> None:
    """Mixup, CutMix, clipping, the running mean and all; in uneven parts too."""
    (losses, weights), (whole, whole_weights) = train(micro_batch, threads=threads), train_whole()
    assert torch.allclose(losses, whole, rtol=1e-4, atol=0)
    assert torch.allclose(weights, whole_weights, rtol=1e-2, atol=1e-4)
    assert torch.equal(losses, whole) == (micro_batch == BATCH)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_recipe_can_say_it_for_cpus(threads: int) -> None:
    """The same bits as by the option of the command; models with batch statistics are trained by whole batches."""
    said, asked = train(None, values={"cpu_micro_batch": 5}, threads=threads), train(5, threads=threads)
    assert all(torch.equal(one, other) for one, other in zip(said, asked, strict=True))
    assert not torch.equal(said[0], train_whole()[0])
    smaller = train(3, values={"cpu_micro_batch": 5}, threads=threads)[0]
    assert torch.equal(smaller, train(3, threads=threads)[0])
    normed = [train(None, values=values, model=small(norm="bn", depth=3))[0] for values in ({}, {"cpu_micro_batch": 5})]
    assert torch.equal(*normed)


def test_a_gpu_and_a_compiled_model_take_them_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what was made of the model; torch's own generator draws the masks."""
    sizes: list[int] = []

    def as_it_is(model: nn.Module, **_: object) -> Callable[[Tensor], Tensor]:
        def forward(images: Tensor) -> Tensor:
            sizes.append(len(images))
            found: Tensor = model(images)
            return found

        return forward

    monkeypatch.setattr(torch, "compile", as_it_is)
    losses, _ = train(5, compiled=True, threads=2)
    assert sizes == [4] * 3 * STEPS
    assert torch.allclose(losses, train_whole()[0], rtol=1e-4, atol=0)
    dropped = [train(5, compiled=True, model=small(attn_drop=0.2, drop_path=0.2))[0] for _ in range(2)]
    assert torch.equal(*dropped)
    assert not torch.allclose(dropped[0], losses, rtol=1e-4, atol=0)


def test_a_compiled_model_needs_no_length() -> None:
    """torch's compiled module raises an error where one asks for its truth."""
    model = small()
    compiled: Any = torch.compile(model)
    assert Split(model, 1, 2, compiled).at_once(BATCH) == BATCH // 2


def test_scaled_losses_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float16, whose gradients would underflow: the scale is the whole batch's, and looked at once a step."""
    scales: list[float] = []
    update = torch.amp.GradScaler.update

    def note(self: torch.amp.GradScaler) -> None:
        update(self)
        scales.append(self.get_scale())

    monkeypatch.setattr(torch.amp.GradScaler, "update", note)
    (losses, _), (whole, _) = train(4, FP16), train(None, FP16)
    assert torch.allclose(losses, whole, rtol=2e-2)
    assert len(scales) == 2 * STEPS
    assert scales[STEPS - 1] > 1


def test_a_teacher_sees_the_same_parts() -> None:
    torch.manual_seed(8)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 7)).eval()

    def student() -> Model:
        torch.manual_seed(0)
        sizes = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "drop_path": 0.0}
        return create_model("deit_distilled", num_classes=7, image_size=8, in_chans=3, **sizes)

    losses, whole = (train(micro, teacher=teacher, model=student())[0] for micro in (5, None))
    assert torch.allclose(losses, whole, rtol=1e-4, atol=0)
    assert not torch.allclose(whole, train(None, model=student())[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("batch", "most", "workers", "shares"),
    [(12, None, 2, 1), (12, 12, 1, 1), (12, 5, 1, 3), (12, 5, 2, 4), (3, 1, 2, 3)],
)
def test_no_part_is_larger_than_asked_for(batch: int, most: int | None, workers: int, shares: int) -> None:
    assert micro_batches(batch, most, workers) == shares
    assert most is None or Split(small(), 1, shares).at_once(batch) <= most


def test_a_model_with_statistics_over_the_batch_takes_it_whole(write_grid: Write, machine: Machine) -> None:
    with pytest.raises(IndivisibleError, match="statistics over the batch"):
        train(5, model=small(norm="bn", depth=3))
    train(BATCH, model=small(norm="bn", depth=3))
    path = write_grid(("  dataset: [digits]", "  dataset: [digits]\n  norm: [bn]"), ("depth: 2", "depth: 3"))
    trial = load_grid(path).expand().trials[0]
    record = run_trial(trial, replace(machine, micro_batch=16))
    assert (record.status, record.error) == (
        "error",
        "a model with statistics over the batch can't be trained in micro-batches",
    )


def test_the_record_says_it_and_seeds_are_not_stacked(
    write_grid: Write, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_grid(("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0, drop_path: 0}"))
    trials = load_grid(path).expand().trials
    seeds = [trial for trial in trials if trial.join == "lape"]
    records = [record for record, _ in train_trials(seeds, replace(machine, micro_batch=10))]
    assert [(record.status, record.environment.micro_batch) for record in records] == [("done", 10)] * 2
    assert "several at once take whole batches" in capsys.readouterr().err
    whole = run_trial(seeds[0], machine)
    assert whole.environment.micro_batch is None
    assert records[0].history is not None
    assert whole.history is not None
    for ours, theirs in zip(records[0].history, whole.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
