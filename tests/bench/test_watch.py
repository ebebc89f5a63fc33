"""Operators and bytes of small pieces of code, counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from suite.bench.watch import Watch


def test_a_linear_layer_and_its_gradients() -> None:
    layer, x = nn.Linear(256, 512), torch.randn(64, 256)
    with Watch() as watch:
        y = layer(x).relu()
        assert watch.operators == 2
        assert (watch.held, watch.peak) == (4 * 64 * 512, 2 * 4 * 64 * 512)  # relu keeps its result alone
        y.sum().backward()
        forward = watch.operators
        del y
        assert watch.held == 4 * (256 * 512 + 512)  # the gradients
        layer.zero_grad()
        assert watch.held == 0
    assert forward > 2 + 1 + 3


def test_views_allocations_and_operators_in_place() -> None:
    with Watch() as watch:
        x = torch.empty(10, 10)
        y = x.view(100).unsqueeze(0).t()
        assert (watch.operators, watch.held) == (0, 400)
        x.zero_().add_(1)
        assert (watch.operators, watch.held, watch.peak) == (2, 400, 400)
        del x
        assert watch.held == 400  # its view is alive
        del y
        assert (watch.held, watch.peak) == (0, 400)


def test_what_was_made_outside_is_not_held() -> None:
    outside = torch.zeros(5)
    with Watch() as watch:
        outside.add_(1)
        torch.add(outside, 1, out=outside)
        assert (watch.operators, watch.held) == (2, 0)
        inside = torch.zeros(7)
        assert watch.held == 28
    del inside
    assert watch.held == 0


def test_inference_by_hand() -> None:
    """Inference mode hides nothing: a norm, a product with its bias, attention's kernel, and a sum."""
    q, norm, layer = torch.randn(2, 3, 4, 8), nn.LayerNorm(8), nn.Linear(8, 8)
    with torch.inference_mode(), Watch() as watch:
        nn.functional.scaled_dot_product_attention(q, q, q)
        attention = watch.operators
        q + layer(norm(q))
    assert attention >= 1
    assert watch.operators == attention + 3
