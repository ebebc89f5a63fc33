"""The comparison norms: their formulas, written out for each image, token and channel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from suite.models.normalisers.plain import (
    EPS,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    Normaliser,
    PowerNorm,
    ScaleNorm,
    SwitchableNorm,
)

WIDTH, HEADS = 12, 3


def make(kind: Any) -> Any:
    """A norm in float64 with γ and β that do something."""
    norm = kind(WIDTH, heads=HEADS, grid=(2, 4)).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return norm


@pytest.fixture
def x() -> Tensor:
    """Tokens of five images; no channel and no token is like another."""
    generator = torch.Generator().manual_seed(4)
    scale = torch.rand(5, 8, WIDTH, generator=generator, dtype=torch.float64)
    return torch.randn(5, 8, WIDTH, generator=generator, dtype=torch.float64) * scale + scale


def standardised(values: Tensor) -> Tensor:
    return (values - values.mean()) / (values.var(correction=0) + EPS).sqrt()


def test_batch_norm_is_of_each_channel(x: Tensor) -> None:
    norm = make(BatchNorm)
    expected = torch.stack([standardised(x[:, :, c]) for c in range(WIDTH)], dim=2)
    torch.testing.assert_close(norm(x), norm.weight * expected + norm.bias)


def test_instance_norm_is_of_each_image_and_channel(x: Tensor) -> None:
    norm = make(InstanceNorm)
    expected = torch.stack([torch.stack([standardised(x[n, :, c]) for c in range(WIDTH)], dim=1) for n in range(5)])
    torch.testing.assert_close(norm(x), norm.weight * expected + norm.bias)


def test_group_norm_is_of_each_image_and_head(x: Tensor) -> None:
    norm = make(GroupNorm)
    groups = [torch.cat([standardised(x[n, :, h * 4 : h * 4 + 4]) for h in range(HEADS)], dim=1) for n in range(5)]
    torch.testing.assert_close(norm(x), norm.weight * torch.stack(groups) + norm.bias)


def test_scale_norm_gives_each_token_one_length(x: Tensor) -> None:
    norm = make(ScaleNorm)
    torch.testing.assert_close(norm(x).norm(dim=2), norm.scale.expand(5, 8))
    torch.testing.assert_close(norm(7 * x), norm(x))
    assert not norm(torch.zeros_like(x)).any()
    drawn = torch.empty(1)
    norm.start("scale", drawn, torch.Generator())
    assert drawn.item() == pytest.approx(WIDTH**0.5)


@pytest.mark.parametrize(("chosen", "alike"), [(0, InstanceNorm), (2, BatchNorm)])
@pytest.mark.parametrize("training", [True, False])
def test_switched_to_one_norm_it_is_that_norm(chosen: int, alike: Any, training: bool, x: Tensor) -> None:
    norm, other = make(SwitchableNorm), make(alike)
    other.load_state_dict({"weight": norm.weight, "bias": norm.bias}, strict=False)
    with torch.no_grad():
        for shares in (norm.mean_share, norm.variance_share):
            shares.fill_(-1000)
            shares[chosen] = 1000
        torch.testing.assert_close(norm.train(training)(x), other.train(training)(x))


def test_switchable_norm_mixes_means_and_variances(x: Tensor) -> None:
    norm = make(SwitchableNorm)
    means, variances = norm.mean_share.softmax(0), norm.variance_share.softmax(0)
    n, t, c = 2, 5, 7
    sets = (x[n, :, c], x[n, t, :], x[:, :, c])
    mean = sum(share * values.mean() for share, values in zip(means, sets, strict=True))
    variance = sum(share * values.var(correction=0) for share, values in zip(variances, sets, strict=True))
    expected = norm.weight[c] * (x[n, t, c] - mean) / (variance + EPS).sqrt() + norm.bias[c]
    torch.testing.assert_close(norm(x)[n, t, c], expected)


def test_the_shares_of_switchable_norm_start_equal() -> None:
    norm = SwitchableNorm(WIDTH, heads=HEADS, grid=(2, 4))
    norm.start("mean_share", norm.mean_share.data, torch.Generator())
    assert norm.mean_share.softmax(0).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("warm_up", [0, 2, 100])
def test_power_norm_step_by_step(warm_up: int, x: Tensor) -> None:
    """Algorithm 2 of the paper, with ψ², Γ, Λ and ν as they stand there."""
    norm = make(PowerNorm)
    norm.warm_up = warm_up
    alpha, psi, nu = 0.9, torch.ones(WIDTH, dtype=torch.float64), torch.zeros(WIDTH, dtype=torch.float64)
    for step in range(1, 5):
        batch = (x * step).detach().requires_grad_()
        probe = torch.randn(batch.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        output = norm(batch)
        (output * probe).sum().backward()

        now = batch.detach().square().mean((0, 1))
        scale = ((now if step <= warm_up else psi) + EPS).sqrt()
        scaled = batch.detach() / scale
        torch.testing.assert_close(output, norm.weight * scaled + norm.bias)
        inner = norm.weight.detach() * probe
        torch.testing.assert_close(batch.grad, (inner - nu * scaled) / scale)
        gamma, big_lambda = scaled.square().mean((0, 1)), (inner * scaled).mean((0, 1))
        nu = nu * (1 - (1 - alpha) * gamma) + (1 - alpha) * big_lambda
        psi = psi + max(1 / step, 1 - alpha) * (now - psi)
        torch.testing.assert_close(norm.nu, nu)
        torch.testing.assert_close(norm.mean_square, psi)
    norm.eval()
    torch.testing.assert_close(norm(x), norm.weight * x / (psi + EPS).sqrt() + norm.bias)


def test_a_gradient_that_overflows_leaves_power_norm_as_it_was(x: Tensor) -> None:
    norm = make(PowerNorm)
    output = norm(x.requires_grad_())
    (output * float("inf")).sum().backward()
    assert torch.isfinite(norm.nu).all()


@pytest.mark.parametrize("kind", [BatchNorm, PowerNorm, SwitchableNorm])
def test_evaluation_uses_what_training_saw_and_changes_nothing(kind: Any, x: Tensor) -> None:
    norm = make(kind)
    fresh = norm.eval()(x)
    for _ in range(3):
        norm.train()(x)
    seen = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    assert not torch.allclose(norm.eval()(x), fresh)
    torch.testing.assert_close(norm(x[:2]), norm(x)[:2])  # whatever else is in the batch
    assert all(torch.equal(buffer, seen[name]) for name, buffer in norm.named_buffers())
    norm.reset_running_stats()
    torch.testing.assert_close(norm(x), fresh)


@pytest.mark.parametrize("kind", [InstanceNorm, GroupNorm, ScaleNorm])
def test_images_dont_see_each_other(kind: type[Normaliser], x: Tensor) -> None:
    norm = make(kind)
    torch.testing.assert_close(norm(x[:2]), norm(x)[:2])
    assert not list(norm.buffers())
