"""DTN on sequences: the equations written out for each sequence by itself, and its limits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from suite.models.normalisers.plain import EPS
from suite.models.normalisers.sequence import SequenceTokenNorm

HEADS, WIDTH, TOKENS = 3, 12, 11
LENGTHS = (11, 6, 1)


def random(scale: float = 0.3, heads: int = HEADS) -> SequenceTokenNorm:
    norm = SequenceTokenNorm(WIDTH, heads=heads, grid=(1, TOKENS)).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(drawn * (scale if name == "position" else 1))
    return norm


def batch() -> tuple[Tensor, Tensor]:
    x = torch.randn(3, TOKENS, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2 + 1
    return x, torch.arange(TOKENS) >= torch.tensor(LENGTHS)[:, None]


def written_out(norm: SequenceTokenNorm, x: Tensor) -> Tensor:
    """One sequence without padding, [tokens, width], by loops over heads, targets and sources."""
    count, share = len(x), WIDTH // norm.heads
    out = torch.empty_like(x)
    for head in range(norm.heads):
        first, second = norm.position[head]
        part = slice(head * share, (head + 1) * share)
        gate = norm.gate[head].sigmoid()
        for i in range(count):
            logits = torch.stack([first * (i - j) + second * (i - j) ** 2 for j in range(count)])
            near = torch.exp(logits - logits.max())
            near = near / near.sum()
            mean = sum(near[j] * x[j, part] for j in range(count))
            square = sum(near[j] * x[j, part] ** 2 for j in range(count))
            mu = gate * x[i].mean() + (1 - gate) * mean
            v = gate * x[i].var(correction=0) + (1 - gate) * (square - mean**2)
            out[i, part] = (x[i, part] - mu) / (v + EPS).sqrt()
    return out * norm.weight + norm.bias


@pytest.mark.parametrize("scale", [0.3, 1.5])  # of a: in half of the rows of the second, far tokens count most
def test_the_equations_written_out(scale: float) -> None:
    norm, (x, padding) = random(scale), batch()
    if scale > 1:
        norm.position.data[:, 1] = norm.position.data[:, 1].clamp(-0.1, 0.1)
    found = norm(x, padding)
    for row, count in enumerate(LENGTHS):
        torch.testing.assert_close(found[row, :count], written_out(norm, x[row, :count]), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("scale", [0.3, 100.0])  # with the second, the largest logits are cut
def test_padding_is_in_no_statistic_and_no_gradient(scale: float) -> None:
    norm, (x, padding) = random(scale), batch()
    other = torch.where(padding[:, :, None], 1e3 * torch.ones_like(x), x)
    longer = torch.cat([other, other], dim=1), torch.cat([padding, torch.ones_like(padding)], dim=1)
    results = []
    for tokens, hidden in ((x, padding), (other, padding), longer):
        given = tokens.clone().requires_grad_()
        norm.zero_grad()
        found = norm(given, hidden)[:, :TOKENS][~padding]
        found.square().sum().backward()
        assert given.grad is not None
        assert found.isfinite().all()
        assert (given.grad[hidden] == 0).all()
        results.append([found, given.grad[~hidden], *(p.grad for p in norm.parameters())])
    for found in results[1:]:
        torch.testing.assert_close(found, results[0], atol=1e-9, rtol=1e-6)


def test_limits_are_layer_norm_and_statistics_over_the_sequence() -> None:
    norm, (x, padding) = random(), batch()
    with torch.no_grad():
        norm.gate.fill_(40)
        expected = layer_norm(x, (WIDTH,), norm.weight, norm.bias, EPS)
        torch.testing.assert_close(norm(x, padding), expected, atol=1e-9, rtol=1e-9)
        norm.gate.fill_(-40)
        norm.position.zero_()
        own = x[1, :6]
        expected = (own - own.mean(dim=0)) / (own.var(dim=0, correction=0) + EPS).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(norm(x, padding)[1, :6], expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("heads", [3, 4])
def test_heads_start_at_neighbouring_offsets(heads: int) -> None:
    norm = SequenceTokenNorm(WIDTH, heads=heads, grid=(1, TOKENS))
    generator = torch.Generator()
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            norm.start(name, parameter, generator)
    peaks = norm.weights(TOKENS)[:, 5].detach()
    offsets = 5 - (peaks * torch.arange(TOKENS)).sum(dim=1) / peaks.sum(dim=1)
    torch.testing.assert_close(offsets, torch.arange(heads) - (heads - 1) / 2, atol=1e-3, rtol=0)
    assert (norm.gate.sigmoid() == 0.5).all()
    assert (norm.weight == 1).all()
