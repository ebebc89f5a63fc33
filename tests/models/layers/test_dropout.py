"""Masks of dropout: torch's own to the bit where none are named, else those of the generators that are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from suite.models.layers.dropout import attention, drop_path, dropout, masks_from

RATE = 0.3


def tokens(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(*(shape or (4, 2, 9, 8)), generator=torch.Generator().manual_seed(seed))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("biased", [False, True])
def test_attention_is_torchs_own_to_the_bit(biased: bool) -> None:
    """The forward pass, the gradients, and what is drawn: runs of earlier versions stand on it."""
    bias = tokens(4, 2, 9, 9).expand(4, -1, -1, -1) if biased else None
    found = []
    for compute in (
        lambda q, k, v: attention(q, k, v, bias, RATE),
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=RATE),
    ):
        q, k, v = (tokens(i).requires_grad_() for i in range(3))
        torch.manual_seed(3)
        out = compute(q, k, v)
        (out * tokens(5)).sum().backward()
        found.append((out, q.grad, k.grad, v.grad, torch.get_rng_state()))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))


def test_attention_without_dropout_draws_nothing() -> None:
    q, k, v = (tokens(i) for i in range(3))
    before = torch.get_rng_state()
    expected = functional.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(attention(q, k, v, None, 0.0), expected, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_is_torchs_own_to_the_bit() -> None:
    x, found = tokens(), []
    torch.manual_seed(3)
    found.append(functional.dropout(x, RATE))
    torch.manual_seed(3)
    found.append(dropout(x, RATE))
    with masks_from([seeded(3)]):
        found.append(dropout(x, RATE))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert 0.1 < (found[0] == 0).float().mean() < 0.5


def test_named_masks_leave_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    with masks_from([seeded(3)]):
        first = drop_path(tokens(), RATE)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert torch.equal(drop_path(tokens(), RATE), first)


def test_each_of_many_models_has_masks_of_its_own() -> None:
    """Under vmap, as each would draw them alone."""

    def forward(x: Tensor) -> Tensor:
        x = attention(x, x, x, None, RATE)
        return dropout(drop_path(x, RATE), RATE)

    stacked, alone = torch.stack([tokens(i) for i in range(3)]), []
    for seed in range(3):
        with masks_from([seeded(seed)]):
            alone.append(forward(stacked[seed]))
    with masks_from([seeded(seed) for seed in range(3)]):
        together = torch.vmap(forward, randomness="same")(stacked)
    assert torch.allclose(together, torch.stack(alone), atol=1e-6)
    assert torch.equal(together == 0, torch.stack(alone) == 0)
