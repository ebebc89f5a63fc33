"""The examples of docs/bring_your_own.md: as short as promised, and of the formula that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suite.grid.losses import LOSSES
from suite.grid.methods import load_methods, loaded_files, unload
from suite.models import create_model
from suite.registry import resolve
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
MOST_LINES = {"norm": 20, "loss": 20, "architecture": 60}
VIT: dict[str, Any] = {"embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1, "patch_size": 4, "num_classes": 3}


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Loads the example of a kind."""
    found = re.search(rf"<!-- {request.param} -->\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    path = tmp_path / f"my_{request.param}.py"
    path.write_text(found[1])
    load_methods([path])
    yield found[1]
    unload(loaded_files())


@pytest.mark.parametrize(("example", "kind"), [(kind, kind) for kind in MOST_LINES], indirect=["example"])
def test_it_is_as_short_as_promised(example: str, kind: str) -> None:
    assert len(example.splitlines()) <= MOST_LINES[kind]


@pytest.mark.parametrize("example", ["norm"], indirect=True)
def test_the_norm_is_its_formula_in_all_blocks(example: str) -> None:
    model: Any = create_model("vit", norm="softsign", image_size=8, **VIT)
    assert not any(isinstance(norm, nn.LayerNorm) for block in model.blocks for norm in (block.norm1, block.norm2))
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.blocks[0].norm1(x), x / (1 + x.abs()))
    model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert all(one.grad is not None for one in model.blocks[0].norm1.parameters())


@pytest.mark.parametrize("example", ["loss"], indirect=True)
def test_the_loss_is_a_negative_entropy(example: str) -> None:
    (term,) = LOSSES["unsure"].terms
    value = resolve(term.code)(torch.zeros(2, 4), torch.eye(4)[:2], 0.1)
    torch.testing.assert_close(value, -torch.log(torch.tensor(4.0)))


@pytest.mark.parametrize("example", ["architecture"], indirect=True)
def test_the_architecture_has_positions_joins_and_norms(example: str) -> None:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for join, norm in (("default", "ln"), ("lape", "rmsnorm"), ("unshared", "bn")):
        torch.manual_seed(0)
        model = create_model("mixer", join=join, norm=norm, embed_dim=8, depth=3, patch_size=2, num_classes=3,
                             image_size=8)  # fmt: skip
        model(images).square().sum().backward()
        assert all(one.grad is not None and one.grad.isfinite().all() for one in model.parameters())
        assert model.positions()
        logits, tokens = model.eval()(images, range(3))
        assert torch.equal(logits, model(images))
        assert [x.shape for x in (tokens.embedded, *tokens.blocks, tokens.normalised)] == [(2, 16, 8)] * 5
