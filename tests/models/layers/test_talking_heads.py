"""Talking heads: what they compute, where they stand, and that ids know of them only where they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from suite.errors import InputError
from suite.models.architectures import resolve_architecture
from suite.models.costs.macs import count_macs
from suite.models.embedding import BlockTerms
from suite.models.families.swin import WindowAttention
from suite.models.layers.blocks import Attention
from suite.models.layers.dropout import masks_from
from tests.models.test_conformance import SIZES, TRANSFORMERS, build


def loops(attention: Attention, x: Tensor, bias: Tensor) -> Tensor:
    """Of one image [tokens, width], head by head and query by query."""
    heads, tokens = attention.heads, len(x)
    q, k, v = (part.view(tokens, heads, -1) for part in attention.qkv(x).chunk(3, dim=-1))
    before, after = attention.talking.before.weight, attention.talking.after.weight  # type: ignore[union-attr]
    products = torch.stack([q[:, h] @ k[:, h].T / math.sqrt(q.shape[-1]) for h in range(heads)])
    mixed = torch.stack([sum(before[h, g] * products[g] for g in range(heads)) + bias[h] for h in range(heads)])  # type: ignore[misc]
    weights = mixed.softmax(-1)
    talked = [sum(after[h, g] * weights[g] for g in range(heads)) @ v[:, h] for h in range(heads)]  # type: ignore[operator]
    return attention.proj(torch.cat(talked, dim=-1))  # type: ignore[no-any-return]


def test_heads_are_mixed_before_and_after_the_softmax() -> None:
    torch.manual_seed(0)
    attention = Attention(12, 3, qkv_bias=True, drop=0.0, talking=True).double()
    x, bias = torch.randn(2, 5, 12).double(), torch.randn(3, 5, 5).double()
    torch.testing.assert_close(
        attention(x, BlockTerms(bias=bias)), torch.stack([loops(attention, image, bias) for image in x])
    )


@torch.no_grad()
def test_with_the_identity_it_is_plain_attention() -> None:
    talking = Attention(12, 3, qkv_bias=False, drop=0.0, talking=True)
    plain = Attention(12, 3, qkv_bias=False, drop=0.0)
    plain.load_state_dict({name: value for name, value in talking.state_dict().items() if "talking" not in name})
    for matrix in (talking.talking.before, talking.talking.after):  # type: ignore[union-attr]
        matrix.weight.copy_(torch.eye(3))
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(talking(x), plain(x))


@torch.no_grad()
def test_windows_talk_each_on_its_own() -> None:
    """A window sees no token of another one, whatever the matrices."""
    torch.manual_seed(1)
    attention = WindowAttention(8, 2, qkv_bias=True, drop=0.0, grid=(4, 4), window=2, shift=0, talking=True)
    x = torch.randn(1, 16, 8)
    before = attention(x)
    x[:, 15] += 1  # of the last window
    moved = (attention(x) - before).abs().amax(-1)[0].view(4, 4) > 0
    assert moved.int().tolist() == [[0, 0, 0, 0]] * 2 + [[0, 0, 1, 1]] * 2


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_every_transformer_can_have_them(family: str) -> None:
    model = build(family, "learnable+rpe2d", "lape", talking_heads=True, drop_path=0.0)
    plain = build(family, "learnable+rpe2d", "lape", drop_path=0.0)
    added = model.state_dict().keys() - plain.state_dict().keys()
    assert added
    assert all(".talking." in name for name in added)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in plain.state_dict().items())
    out = model(torch.randn(2, 3, 16, 16))
    logits = torch.stack(out) if isinstance(out, tuple) else out
    logits.square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(p.grad).all() for name, p in model.named_parameters() if ".talking." in name)  # type: ignore[arg-type]
    assert count_macs(model, 16, 3) > count_macs(plain, 16, 3)


def test_dropout_of_the_mixed_weights_draws_from_the_named_generator() -> None:
    attention, x = Attention(12, 3, qkv_bias=False, drop=0.5, talking=True), torch.randn(2, 5, 12)
    found = []
    for seed in (1, 1, 2):
        with masks_from([torch.Generator().manual_seed(seed)]):
            found.append(attention(x))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_they_are_in_ids_only_where_they_are() -> None:
    plain, talking = (resolve_architecture("deit", {**SIZES["deit"], **more}) for more in ({}, {"talking_heads": True}))
    assert "talking_heads" not in plain.canonical()
    assert talking.canonical() == {**plain.canonical(), "talking_heads": True}
    assert resolve_architecture("deit_base_12").canonical()["talking_heads"]
    with pytest.raises(InputError, match="talking_heads"):
        resolve_architecture("deit_tiny", {"talking_heads": "yes"})


@pytest.mark.slow
def test_they_compile_without_a_graph_break() -> None:
    model = build("deit", "learnable", "lape", talking_heads=True)
    torch.compile(model, fullgraph=True, backend="eager")(torch.randn(2, 3, 16, 16))
    torch.compiler.reset()
