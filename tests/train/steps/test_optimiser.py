"""Which parameters are decayed, and the steps of SGD."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suite.grid.recipe import Recipe
from suite.models import create_model
from suite.train.steps.optimiser import build_optimiser, parameter_groups, set_rate
from suite.train.steps.state import gather, restore

SIZE = {"patch_size": 2, "embed_dim": 6, "depth": 2, "num_heads": 3, "mlp_ratio": 2.0}


@pytest.mark.parametrize("decay_position", [False, True])
@pytest.mark.parametrize("pe", ["learnable", "sin1d"])
def test_groups(decay_position: bool, pe: str) -> None:
    model = create_model("vit_lite", pe=pe, join="lape", num_classes=5, image_size=4, **SIZE)
    recipe = Recipe(version=1, epochs=1, batch_size=1, lr=1.0, weight_decay=0.3, decay_position=decay_position)
    groups = parameter_groups(dict(model.named_parameters()), recipe, model.position_and_class_parameters())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, plain = ({names[id(p)] for p in group["params"]} for group in groups)  # type: ignore[attr-defined]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]

    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert decayed | plain == trainable
    assert not decayed & plain
    assert ("position.tables.0" in trainable) == (pe == "learnable")
    exempt = {"class_token", "position.tables.0"} & trainable
    assert exempt <= (decayed if decay_position else plain)
    assert all(
        name.endswith(("bias", "norm1.weight", "norm2.weight", "norm.weight")) or "maps" in name
        for name in plain - exempt
    )
    assert {"blocks.0.attention.qkv.weight", "head.weight"} <= decayed


@pytest.mark.parametrize("arch", ["deit", "swin"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_tables_of_a_relative_position(arch: str, inside: bool) -> None:
    """Decayed as in LaPE's release, or not as in Swin's; in a learner, whose names have a prefix, too."""
    sizes: dict[str, Any] = {**SIZE, "depth": (2, 2), "num_heads": (3, 3), "window_size": 2, "patch_size": 1}
    model = create_model(arch, pe="rpe2d", num_classes=5, image_size=4, **(sizes if arch == "swin" else SIZE))
    tables = {name for name, parameter in model.named_parameters() if name.endswith(".table")}
    assert len(tables) == (4 if arch == "swin" else 2)
    prefix = "model." if inside else ""
    parameters = {f"{prefix}{name}": parameter for name, parameter in model.named_parameters()}
    for decayed in (True, False):
        values = {"weight_decay": 0.3, "decay_relative_position": decayed}
        recipe = Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0, **values})
        groups = parameter_groups(parameters, recipe, set())
        ids = {id(parameter) for parameter in groups[0]["params"]}  # type: ignore[attr-defined]
        assert {f"{prefix}{name}" for name in tables} & {name for name, p in parameters.items() if id(p) in ids} == (
            {f"{prefix}{name}" for name in tables} if decayed else set()
        )
        others = [name for name, p in parameters.items() if p.ndim > 1 and name.removeprefix(prefix) not in tables]
        assert {name for name, p in parameters.items() if id(p) in ids} >= set(others)


@pytest.mark.parametrize(("pe", "decayed"), [("rope_mixed", False), ("cpe", False), ("irpe_product", True)])
def test_positions_in_blocks(pe: str, decayed: bool) -> None:
    """As in their released code: RoPE-ViT's frequencies and CPVT's convolution have none, iRPE's tables do."""
    model = create_model("deit", pe=pe, num_classes=5, image_size=4, **{**SIZE, "embed_dim": 12})
    own = {name for name, value in model.named_parameters() if name.startswith("position.") and value.ndim > 1}
    assert own
    for switch in ("decay_position", "decay_relative_position"):
        for value in (False, True):
            settings = {"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0, "weight_decay": 0.3, switch: value}
            groups = build_optimiser(model, Recipe.model_validate(settings), model.position_and_class_parameters())
            ids = {id(parameter) for parameter in groups.param_groups[0]["params"]}
            found = {name for name, parameter in model.named_parameters() if id(parameter) in ids}
            about = (switch == "decay_relative_position") == decayed
            assert (own <= found) == (value if about else decayed), (switch, value)


def test_all_can_be_decayed() -> None:
    model = create_model("vit_lite", pe="sin1d", join="lape", num_classes=5, image_size=4, **SIZE)
    recipe = Recipe(version=1, epochs=1, batch_size=1, lr=1.0, weight_decay=0.3, decay_all=True)
    (group,) = build_optimiser(model, recipe, model.position_and_class_parameters()).param_groups
    assert group["weight_decay"] == 0.3
    assert {id(p) for p in group["params"]} == {id(p) for p in model.parameters() if p.requires_grad}


def test_the_recipes_values_reach_every_group() -> None:
    model = create_model("vit_lite", num_classes=5, image_size=4, **SIZE)
    recipe = Recipe(version=1, epochs=1, batch_size=1, lr=0.5, betas=(0.8, 0.9), eps=1e-5)
    optimiser = build_optimiser(model, recipe, set())
    found = {(group["lr"], group["betas"], group["eps"]) for group in optimiser.param_groups}
    assert found == {(0.5, (0.8, 0.9), 1e-5)}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_torchs_with_momentum(momentum: float) -> None:
    """Three steps against the formula, with a rate that changes; weight decay of matrices alone."""
    settings = {"version": 1, "epochs": 1, "batch_size": 1, "lr": 0.5, "optimiser": "sgd", "weight_decay": 0.1}
    recipe = Recipe.model_validate({**settings, "momentum": momentum})
    layer = nn.Linear(3, 2).double()
    optimiser = build_optimiser(layer, recipe, set())
    values = {name: one.detach().clone() for name, one in layer.named_parameters()}
    speed = {name: torch.zeros_like(one) for name, one in values.items()}
    for rate in (0.5, 0.25, 0.125):
        set_rate(optimiser, rate)
        optimiser.zero_grad()
        layer(torch.ones(4, 3, dtype=torch.float64)).square().sum().backward()
        for name, one in layer.named_parameters():
            assert one.grad is not None
            speed[name] = momentum * speed[name] + one.grad + (0.1 if one.ndim > 1 else 0.0) * values[name]
            values[name] = values[name] - rate * speed[name]
        optimiser.step()
        for name, one in layer.named_parameters():
            assert torch.allclose(one, values[name], rtol=1e-10), name


def test_the_momentum_of_sgd_is_restored() -> None:
    recipe = Recipe(version=1, epochs=1, batch_size=1, lr=0.5, optimiser="sgd", momentum=0.9)
    layers = [nn.Linear(3, 2) for _ in range(2)]
    optimisers = [build_optimiser(layer, recipe, set()) for layer in layers]
    for _ in range(2):
        layers[0](torch.ones(4, 3)).square().sum().backward()
        optimisers[0].step()
    held = {name: value.clone() for name, value in gather(layers[0].state_dict(), {}, optimisers[0], []).items()}
    restore(held, layers[1].state_dict(), {}, optimisers[1], [])
    for layer, optimiser in zip(layers, optimisers, strict=True):
        optimiser.zero_grad()
        layer(torch.ones(4, 3)).square().sum().backward()
        optimiser.step()
    assert torch.equal(layers[0].weight, layers[1].weight)


def test_training_loads_neither_torchs_compiler_nor_timm(write_grid: Callable[..., Path], data_folder: Path) -> None:
    """They take 150 MB and seconds to load. In a process of its own, since other tests load them."""
    code = f"""
import sys, torch
import suite.cli.commands.run, suite.train.teachers
from pathlib import Path
from suite.grid import load_grid
from suite.train import Machine, run_trial
from suite.train.steps.optimiser import optimiser_of
trial = load_grid(Path({str(write_grid(("epochs: 2", "epochs: 1")))!r})).expand().trials[0]
record = run_trial(trial, Machine(Path({str(data_folder)!r}), "cpu"))
assert record.status == "done", record
optimiser = optimiser_of([{{"params": [torch.nn.Parameter(torch.ones(2))], "weight_decay": 0.0}}], trial.recipe)
optimiser.load_state_dict(optimiser.state_dict())  # when it resumes
recipe = trial.recipe.model_copy(update={{"optimiser": "sgd"}})
optimiser_of([{{"params": [torch.nn.Parameter(torch.ones(2))], "weight_decay": 0.0}}], recipe).step()
assert not {{"torch._dynamo", "timm"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
