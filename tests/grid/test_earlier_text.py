"""Changes whose earlier text counts in fingerprints: both versions are run and compared to the last bit."""

from __future__ import annotations

import inspect
import sys
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from suite.grid import code_fingerprint
from suite.grid.earlier_text import CHANGES, text_before
from suite.models.layers.rotation import TurnedProjection
from suite.models.normalisers.dtn import DynamicTokenNorm

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])


def text_of(module: str) -> str:
    return inspect.getsource(import_module(module))


@cache
def earlier(module: str) -> Any:
    """The module as it was before its changes."""
    made = ModuleType(f"{module}_before")
    sys.modules[made.__name__] = made
    exec(compile(text_before(module, text_of(module)), f"{module} before", "exec"), vars(made))
    return made


@pytest.mark.parametrize("module", CHANGES)
def test_each_change_is_at_hand(module: str) -> None:
    """Otherwise it is dead: the text has changed again, and counts as it is."""
    text = text_of(module)
    for change in CHANGES[module]:
        assert text.count(change.now) == 1
        assert change.before == "\n" or change.before not in text


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("suite.models.architectures", "resolve_architecture"),
        ("suite.models.layers.rotation", "TurnedProjection"),
        ("suite.models.normalisers.dtn", "DynamicTokenNorm"),
    ],
)
def test_the_earlier_text_counts(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = code_fingerprint.code_fingerprint(f"{module}:{name}")
    monkeypatch.delitem(CHANGES, module)
    code_fingerprint._module.cache_clear()
    assert code_fingerprint.code_fingerprint(f"{module}:{name}") != counted
    code_fingerprint._module.cache_clear()


def gradients(version: Any, packed: Tensor, turn: Tensor, of_parts: list[Tensor], *, learned: bool) -> list[Tensor]:
    packed, turn = packed.clone().requires_grad_(), turn.clone().requires_grad_(learned)
    parts = version.apply(packed, turn)
    return [*parts, *torch.autograd.grad(parts, [packed, turn] if learned else [packed], of_parts)]


@given(
    batch=st.integers(1, 3),
    tokens=st.integers(1, 9),
    heads=st.integers(1, 3),
    pairs=st.integers(1, 4),
    dtype=DTYPES,
    orders=st.tuples(*[st.sampled_from(["dense", "tokens", "heads", "channels"])] * 3),
    learned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_turned_projections_are_the_same_where_the_earlier_one_ran(
    batch: int,
    tokens: int,
    heads: int,
    pairs: int,
    dtype: torch.dtype,
    orders: tuple[str, ...],
    learned: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def laid_out(order: str) -> Tensor:
        """A gradient [batch, heads, tokens, width] with its axes in another order in memory."""
        axes = {"dense": (0, 1, 2, 3), "tokens": (0, 1, 3, 2), "heads": (0, 3, 2, 1), "channels": (0, 2, 1, 3)}[order]
        drawn = torch.randn(batch, heads, tokens, 2 * pairs, generator=generator).to(dtype)
        back = [axes.index(axis) for axis in range(4)]
        return drawn.permute(axes).contiguous().permute(back)

    packed = torch.randn(batch, tokens, 6 * heads * pairs, generator=generator).to(dtype)
    angles = torch.randn(heads, tokens, pairs, generator=generator, dtype=torch.float64)
    turn = torch.stack([angles.cos(), angles.sin()], dim=-1)
    turn = turn if dtype == torch.float64 else turn.float()
    of_parts = [laid_out(order) for order in orders]
    found = gradients(TurnedProjection, packed, turn, of_parts, learned=learned)
    assert all(tensor.isfinite().all() for tensor in found)
    before = earlier("suite.models.layers.rotation").TurnedProjection
    if any(tensor.stride(-1) != 1 for tensor in of_parts[:2]):  # of queries and keys
        with pytest.raises(RuntimeError, match="stride 1"):
            gradients(before, packed, turn, of_parts, learned=learned)
    else:
        assert all(map(torch.equal, found, gradients(before, packed, turn, of_parts, learned=learned)))


@given(
    batch=st.integers(1, 4),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.just((28, 28)),
    heads=st.integers(1, 4),
    width=st.integers(2, 9),  # of a head; of one channel, the product may be rounded differently
    dtype=DTYPES,
    seed=st.integers(0, 99),
)
def test_dtn_is_the_same(
    batch: int, grid: tuple[int, int], heads: int, width: int, dtype: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, grid[0] * grid[1], heads * width, generator=generator).to(dtype)
    weights = torch.randn(x.shape, generator=generator)
    found = []
    for version in (DynamicTokenNorm, earlier("suite.models.normalisers.dtn").DynamicTokenNorm):
        norm = version(heads * width, heads=heads, grid=grid)
        drawn = torch.Generator().manual_seed(seed)
        for parameter in norm.parameters():
            parameter.data = torch.randn(parameter.shape, generator=drawn)
        norm = norm.double() if dtype == torch.float64 else norm
        given_x = x.clone().requires_grad_()
        out = norm(given_x)
        found.append([out, *torch.autograd.grad((out * weights).sum(), [given_x, *norm.parameters()])])
    assert all(map(torch.equal, *found))
