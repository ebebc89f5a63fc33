"""Measuring: sides in turn, operators counted exactly, the process left as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.bench import speed
from suite.bench.speed import MODES, Mode, Setting, compare, recipe_for
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.model_cell import ModelCell, Shape


def cell(join: str, image_size: int = 8, **changes: Any) -> ModelCell:
    size = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0, **changes}
    return ModelCell(resolve_architecture("deit", size), "learnable", join, "ln", Shape(7, image_size, 1))


def setting(rounds: int = 3, steps: int = 2, compiled: bool = False, batch_size: int = 4) -> Setting:
    recipe = recipe_for(batch_size, "auto")
    return Setting(torch.device("cpu"), threads=1, steps=steps, rounds=rounds, compiled=compiled, recipe=recipe)


def test_the_sides_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Mode, str, int]] = []
    make, run, joins = speed._Side.__init__, speed._Side.run, dict[speed._Side, str]()

    def note(side: speed._Side, trained: speed.Trained, setting: Setting) -> None:
        joins[side] = trained[0].join
        make(side, trained, setting)

    def spy(side: speed._Side, mode: Mode, steps: int) -> None:
        calls.append((mode, joins[side], steps))
        run(side, mode, steps)

    monkeypatch.setattr(speed._Side, "__init__", note)
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
    found = compare([cell(join, depth=depth) for join in ("default", "lape")], setting(rounds=1, steps=1))
    (default, lape), (default_test, lape_test) = ([side.operators for side in found[mode]] for mode in MODES)
    assert lape_test - default_test == 2 * depth - 1
    assert lape > default + 2 * depth - 1
    assert default > 2 * default_test


def test_memory_of_evaluation_by_hand() -> None:
    """Where the MLP is so wide that its GELU is the peak: weights, images, the stream, hidden tokens twice."""
    wide = cell("default", embed_dim=8, mlp_ratio=64.0, depth=1)
    recipe = recipe_for(32, "auto")
    (side,) = compare([wide], Setting(torch.device("cpu"), 1, 1, 1, False, recipe))["evaluation"]
    weights = 4 * sum(parameter.numel() for parameter in build_model(wide).parameters())
    hidden = 4 * 32 * 5 * 8 * 64
    rest = 32 * 64 * (1 + 4) + 4 * 4 * 32 * 5 * 8  # images as bytes and as floats, and a few [32, 5, 8]
    assert weights + 2 * hidden <= 1e6 * side.memory_mb <= weights + 2 * hidden + rest + 1000


def test_training_holds_more_than_evaluation_and_lape_hardly_more_than_the_default() -> None:
    sides = [cell(join, 32, embed_dim=32) for join in ("default", "lape")]
    found = compare(sides, setting(rounds=1, steps=1, batch_size=64))
    (default, lape), (default_test, lape_test) = ([side.memory_mb for side in found[mode]] for mode in MODES)
    assert default > 3 * default_test
    assert default < lape < 1.05 * default
    assert lape_test < 1.2 * default_test


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
