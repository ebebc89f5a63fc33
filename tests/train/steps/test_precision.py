"""Mixed precision: where it is used, and what it changes."""

from __future__ import annotations

import pytest
import torch

from suite.grid.recipe import Recipe
from suite.train.steps.precision import Precision, choose_precision

CPU = torch.device("cpu")


def recipe(precision: str) -> Recipe:
    return Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0, "precision": precision})


@pytest.mark.parametrize("asked", ["auto", "fp32"])
def test_a_cpu_computes_in_float32(asked: str) -> None:
    precision = choose_precision(recipe(asked), CPU)
    assert precision == Precision("fp32", None)
    with precision.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not precision.scaler(CPU).is_enabled()


def test_a_cpu_computes_in_bfloat16_where_the_recipe_says_so() -> None:
    precision = choose_precision(recipe("bf16"), CPU)
    assert precision == Precision("bf16", torch.bfloat16)
    with precision.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(("bf16", "name"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_uses_what_it_has(monkeypatch: pytest.MonkeyPatch, bf16: bool, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    gpu = torch.device("cuda")
    assert choose_precision(recipe("auto"), gpu).name == name
    assert choose_precision(recipe("fp32"), gpu).name == "fp32"


def test_only_float16_scales_its_loss() -> None:
    assert Precision("fp16", torch.float16).scaler(CPU).is_enabled()
    assert not Precision("bf16", torch.bfloat16).scaler(CPU).is_enabled()


def test_autocast_reaches_the_products() -> None:
    with Precision("bf16", torch.bfloat16).autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
