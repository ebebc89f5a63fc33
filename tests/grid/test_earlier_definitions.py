"""Definitions whose earlier text counts in fingerprints: both versions are run and compared, bit for bit."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from suite.grid import code_fingerprint
from suite.grid.earlier_definitions import EARLIER, Earlier
from suite.models.layers.rotation import TurnedProjection

TURNED = "suite.models.layers.rotation:TurnedProjection"


def earlier_version(place: str) -> Any:
    """The earlier definition, made in a copy of its module's names."""
    module, _, name = place.partition(":")
    names = dict(vars(import_module(module)))
    exec(compile(EARLIER[place].text, place, "exec"), names)
    return names[name]


@pytest.mark.parametrize("place", EARLIER)
def test_an_earlier_text_stands_for_the_definition_at_hand(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is dead: the definition has changed again, and its own text counts."""
    earlier = EARLIER[place]
    (definition,) = ast.parse(earlier.text).body
    assert getattr(definition, "name", None) == place.partition(":")[2]
    counted = code_fingerprint.code_fingerprint(place)
    monkeypatch.setitem(EARLIER, place, Earlier("of another change", earlier.text, earlier.why))
    assert code_fingerprint.code_fingerprint(place) != counted


def gradients(version: Any, packed: Tensor, turn: Tensor, of_parts: list[Tensor], *, learned: bool) -> list[Tensor]:
    packed, turn = packed.clone().requires_grad_(), turn.clone().requires_grad_(learned)
    parts = version.apply(packed, turn)
    return [*parts, *torch.autograd.grad(parts, [packed, turn] if learned else [packed], of_parts)]


@given(
    batch=st.integers(1, 3),
    tokens=st.integers(1, 9),
    heads=st.integers(1, 3),
    pairs=st.integers(1, 4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    orders=st.tuples(*[st.sampled_from(["dense", "tokens", "heads", "channels"])] * 3),
    learned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_turned_projections_are_the_same_wherever_the_earlier_one_ran(
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
        """A gradient [batch, heads, tokens, width] whose last axis in memory is one of them."""
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
    if any(tensor.stride(-1) != 1 for tensor in of_parts[:2]):  # of queries and keys
        with pytest.raises(RuntimeError, match="stride 1"):
            gradients(earlier_version(TURNED), packed, turn, of_parts, learned=learned)
    else:
        before = gradients(earlier_version(TURNED), packed, turn, of_parts, learned=learned)
        assert all(map(torch.equal, found, before))
