"""L2BN: BatchNorm of features that each have one length, at two scales; the networks it is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.model import Model
from suite.models.normalisers.l2bn import L2BatchNorm, RootMeanSquareBatchNorm

SHAPE = (6, 4, 3, 5)  # C H W = 60


@pytest.fixture
def x() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.5


def make(kind: type[nn.BatchNorm2d], eps: float = 1e-5) -> Any:
    norm = kind(4, eps=eps).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1, 2, -1]))
        norm.bias.copy_(torch.tensor([0.1, 0, -3, 1]))
    return norm


@pytest.mark.parametrize(("kind", "square"), [(L2BatchNorm, 1.0), (RootMeanSquareBatchNorm, 60.0)])
def test_it_is_batch_norm_of_features_of_one_length(kind: Any, square: float, x: Tensor) -> None:
    rows = x.reshape(6, 60)
    features = (rows / rows.square().sum(1, keepdim=True).sqrt() * square**0.5).reshape(SHAPE)
    norm, plain = make(kind), make(nn.BatchNorm2d)
    torch.testing.assert_close(norm(x), plain(features))
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    torch.testing.assert_close(norm.eval()(x), plain.eval()(features))


@pytest.mark.parametrize("kind", [L2BatchNorm, RootMeanSquareBatchNorm])
@pytest.mark.parametrize("training", [True, False])
def test_the_length_of_an_image_doesnt_count(kind: Any, training: bool, x: Tensor) -> None:
    lengths = torch.tensor([0.01, 0.3, 1, 2, 50, 1000], dtype=torch.float64).reshape(6, 1, 1, 1)
    assert not torch.allclose(make(nn.BatchNorm2d)(lengths * x), make(nn.BatchNorm2d)(x))
    one, other = make(kind).train(training), make(kind).train(training)
    torch.testing.assert_close(one(lengths * x), other(x))
    assert {*dict(one.named_parameters())} == {"weight", "bias"}


def test_an_image_of_zeros_stays_finite(x: Tensor) -> None:
    x = x.clone()
    x[0] = 0
    x.requires_grad_()
    make(L2BatchNorm)(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(make(L2BatchNorm)(x)).all()


def test_the_scale_against_epsilon_decides(x: Tensor) -> None:
    """At ε = 10⁻⁵ l2bn's output is much smaller than batch norm's; l2bn_rms's isn't, nor is l2bn's at ε / (C H W)."""
    x = x.repeat(1, 1, 100, 10)  # C H W = 60,000
    spread = {kind: make(kind)(x)[:, 0].std().item() for kind in (nn.BatchNorm2d, L2BatchNorm, RootMeanSquareBatchNorm)}
    assert spread[nn.BatchNorm2d] == pytest.approx(0.5, rel=0.01)
    assert spread[RootMeanSquareBatchNorm] == pytest.approx(0.5, rel=0.01)
    assert spread[L2BatchNorm] < 0.8 * spread[nn.BatchNorm2d]
    small = make(L2BatchNorm, eps=1e-5 / 60_000)
    torch.testing.assert_close(small(x), make(RootMeanSquareBatchNorm)(x))


def network(name: str, norm: str | None = None, **settings: Any) -> Model:
    return create_model(name, pe="none", norm=norm, **{"num_classes": 10, "image_size": 32, **settings})


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "resnet50", "mobilenet_v2"])
@pytest.mark.parametrize(("norm", "kind"), [("l2bn", L2BatchNorm), ("l2bn_rms", RootMeanSquareBatchNorm)])
def test_every_batch_norm_is_replaced(name: str, norm: str, kind: type[nn.Module]) -> None:
    with torch.device("meta"):
        plain, ours = network(name), network(name, norm, norm_eps=0.125)
    for (path, before), (_, after) in zip(plain.named_modules(), ours.named_modules(), strict=True):
        if isinstance(before, nn.BatchNorm2d):
            assert type(after) is kind, path
            assert (before.eps, after.eps) == (1e-5, 0.125)
    assert ours.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        # He et al. print 0.27, 0.46, 0.85 and 1.7 M; the last three are torchvision's, as it documents them.
        ("resnet20", 10, 269_722),
        ("resnet32", 10, 464_154),
        ("resnet56", 10, 853_018),
        ("resnet110", 10, 1_727_962),
        ("resnet18", 1000, 11_689_512),
        ("resnet50", 1000, 25_557_032),
        ("mobilenet_v2", 1000, 3_504_872),
    ],
)
def test_sizes_are_the_published_ones(name: str, classes: int, parameters: int) -> None:
    with torch.device("meta"):
        model = network(name, num_classes=classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert resolve_architecture(name).family.norm == "bn"


def test_a_shortcut_keeps_every_other_pixel_and_adds_zeros() -> None:
    from suite.models.families.resnet import ZeroShortcut

    x = torch.randn(2, 3, 5, 5)
    y = ZeroShortcut(4)(x)
    assert y.shape == (2, 7, 3, 3)
    assert torch.equal(y[:, :3, 1, 2], x[:, :, 2, 4])
    assert not y[:, 3:].any()


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "mobilenet_v2"])
def test_images_of_other_channels_and_sizes(name: str) -> None:
    model = network(name, "l2bn", in_chans=1, image_size=8, num_classes=3)
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 3)
