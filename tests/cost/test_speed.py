"""Measuring: sides in turn, operators counted exactly, the process left as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.cost import speed
from suite.cost.counting import ModelCell, Shape
from suite.cost.speed import MODES, Mode, Setting, compare, count_operators, recipe_for
from suite.models.architectures import resolve_architecture

RECIPE = recipe_for(4, "auto")


def cell(join: str, image_size: int = 8, **changes: Any) -> ModelCell:
    size = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0, **changes}
    return ModelCell(resolve_architecture("deit", size), "learnable", join, "ln", Shape(7, image_size, 1))


def setting(rounds: int = 3, steps: int = 2, compiled: bool = False, batch_size: int = 4) -> Setting:
    recipe = recipe_for(batch_size, "auto")
    return Setting(torch.device("cpu"), threads=1, steps=steps, rounds=rounds, compiled=compiled, recipe=recipe)


def test_the_sides_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Mode, str, int]] = []
    run = speed._Side.run

    def spy(side: speed._Side, mode: Mode, steps: int) -> None:
        calls.append((mode, side.cell.join, steps))
        run(side, mode, steps)

    monkeypatch.setattr(speed._Side, "run", spy)
    found = compare([cell("default"), cell("lape")], setting())
    expected = ["default", "lape", "lape", "default", "default", "lape"]
    for mode in MODES:
        timed = [(join, steps) for its, join, steps in calls if its == mode][-6:]
        assert timed == [(join, 2) for join in expected]
        assert [len(side.seconds) for side in found[mode]] == [3, 3]
        assert all(0 < seconds < 60 for side in found[mode] for seconds in (*side.seconds, *side.cpu_seconds))
        assert [len(side.cpu_seconds) for side in found[mode]] == [3, 3]


@pytest.mark.parametrize("depth", [1, 3])
def test_lape_adds_a_norm_and_a_sum_per_block(depth: int) -> None:
    """Forward: a norm and a sum per block more, the sum at the stem less."""
    default, lape = (count_operators(cell(join, depth=depth), RECIPE) for join in ("default", "lape"))
    assert lape["evaluation"] - default["evaluation"] == 2 * depth - 1
    assert lape["training"] > default["training"] + 2 * depth - 1
    assert default["training"] > 2 * default["evaluation"]


def test_the_counted_operators_are_those_of_a_block_by_hand() -> None:
    """Per block: 2 norms, 4 linear layers, attention, GELU, 2 sums, and the copy that joins the heads."""
    one, two = (count_operators(cell("default", depth=depth), RECIPE)["evaluation"] for depth in (1, 2))
    assert two - one == 10


def test_memory_grows_with_the_model_and_evaluation_needs_less() -> None:
    small, large = cell("default", 32, embed_dim=32), cell("default", 32, embed_dim=128, depth=4)
    found = compare([small, large], setting(rounds=1, steps=1, batch_size=128))
    training, evaluation = ([side.memory_mb for side in found[mode]] for mode in MODES)
    if None in training + evaluation:
        pytest.skip("this system doesn't tell the peak of a process anew")
    assert training[1] > 2 * training[0]
    assert evaluation[1] < training[1]


def test_the_process_is_left_as_it_was() -> None:
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    compare([cell("default"), cell("lape")], setting(rounds=1, steps=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_compiled() -> None:
    found = compare([cell("default"), cell("lape")], setting(rounds=2, compiled=True))
    assert all(len(side.seconds) == 2 for mode in MODES for side in found[mode])
