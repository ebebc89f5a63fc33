"""Costs of lists of models: each model once, with what it adds to the default joining."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.costs import counting
from suite.models.costs.counting import Cost, Impossible, count_costs, product
from suite.models.costs.macs import ForwardCost, count_forward
from suite.models.families.transformer import VisionTransformer
from suite.models.model_cell import ModelCell, Shape

SIZE = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}
SHAPE = Shape(num_classes=7, image_size=8)


def tiny(label: str = "tiny", **changes: float) -> Architecture:
    return resolve_architecture("vit_lite", {**SIZE, **changes}, label=label)


def possible(*archs: Architecture, pes: list[str], joins: list[str]) -> list[ModelCell]:
    found = product(archs, pes, joins, ["ln"], SHAPE)
    return [cell for cell in found if isinstance(cell, ModelCell)]


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[VisionTransformer]:
    """The models whose forward was counted."""
    seen: list[VisionTransformer] = []
    count = count_forward

    def spy(model: VisionTransformer, image_size: int, in_chans: int) -> ForwardCost:
        seen.append(model)
        return count(model, image_size, in_chans)

    monkeypatch.setattr(counting, "count_forward", spy)
    return seen


@pytest.mark.parametrize(
    ("arch", "default", "lape"),
    [
        ("deit_tiny", 5_717_416, 5_722_024),
        ("deit_small", 22_050_664, 22_059_880),
        ("deit_base", 86_567_656, 86_586_088),
    ],
)
def test_table_5(arch: str, default: int, lape: int) -> None:
    architecture = resolve_architecture(arch)
    cells = [ModelCell(architecture, "learnable", join, "ln", Shape(1000, 224)) for join in ("lape", "default")]
    first, second = count_costs(cells)
    assert (first.parameters.total, second.parameters.total) == (lape, default)
    assert first.baseline == second
    assert second.baseline is None
    assert first.parameters.position - second.parameters.position == lape - default
    assert first.forward.activations == second.forward.activations


def test_a_grid_counts_each_model_once(write_grid: Callable[..., Path], builds: list[VisionTransformer]) -> None:
    path = write_grid(("seeds: [0, 1]", f"seeds: {list(range(50))}"))
    trials = load_grid(path).expand().trials
    assert len(trials) == 100
    costs = count_costs(trial.model for trial in trials)
    assert [cost.cell.join for cost in costs] == ["default", "lape"]
    assert len(builds) == 2
    assert all(parameter.is_meta for model in builds for parameter in model.parameters())


def test_two_names_of_one_size_are_one_model_and_another_shape_is_another(builds: list[VisionTransformer]) -> None:
    cells = possible(tiny("a"), tiny("b"), tiny("c", depth=3), pes=["learnable"], joins=["default"])
    other = ModelCell(tiny(), "learnable", "default", "ln", Shape(num_classes=8, image_size=8))
    costs = count_costs([*cells, other])
    assert [cost.cell.arch.name for cost in costs] == ["a", "c", "tiny"]
    assert len(builds) == 3
    assert costs[2].parameters.total - costs[0].parameters.total == 8 + 1  # a class more: its weights and its bias


def test_a_baseline_is_the_same_cell_with_the_default_joining() -> None:
    costs = count_costs(possible(tiny(), pes=["learnable", "sin1d"], joins=["default", "shared", "lape"]))
    table: dict[tuple[str, str], Cost] = {(cost.cell.pe, cost.cell.join): cost for cost in costs}
    for (pe, join), cost in table.items():
        assert cost.baseline == (None if join == "default" else table[pe, "default"])


def test_where_the_joining_is_the_default_the_baseline_has_the_familys_own_norm() -> None:
    cells = product([tiny(depth=3)], ["learnable"], ["default", "lape"], ["ln", "dtn"], SHAPE)
    costs = count_costs(cell for cell in cells if isinstance(cell, ModelCell))
    table = {(cost.cell.join, cost.cell.norm): cost for cost in costs}
    assert table["default", "ln"].baseline is None
    for levels, baseline in (
        (("default", "dtn"), ("default", "ln")),
        (("lape", "ln"), ("default", "ln")),
        (("lape", "dtn"), ("default", "dtn")),
    ):
        found = table[levels].baseline
        assert found is not None
        assert (found.cell.join, found.cell.norm) == baseline


def test_without_norms_each_family_has_its_own() -> None:
    archs = [tiny(), resolve_architecture("resnet20")]
    cells = [cell for cell in product(archs, ["none"], ["default"], [], SHAPE) if isinstance(cell, ModelCell)]
    assert [cell.norm for cell in cells] == ["ln", "bn"]


def test_there_is_no_baseline_where_the_default_is_not_listed() -> None:
    (cost,) = count_costs(possible(tiny(), pes=["learnable"], joins=["lape"]))
    assert cost.baseline is None


def test_impossible_combinations_are_listed_with_their_reason() -> None:
    found = list(
        product([tiny(), tiny("odd", patch_size=3)], ["none", "sin1d"], ["default", "unshared"], ["ln"], SHAPE)
    )
    reasons = {cell.label: cell.reason for cell in found if isinstance(cell, Impossible)}
    assert len(found) - len(reasons) == 2
    assert "nothing to join" in reasons["tiny none unshared ln"]
    assert "is fixed" in reasons["tiny sin1d unshared ln"]
    assert "divisible by the patch size" in reasons["odd none default ln"]
