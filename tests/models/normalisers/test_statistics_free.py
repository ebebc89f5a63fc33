"""RMSNorm and Dynamic Tanh: values of their formulas, and where they stand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from suite.models import create_model
from suite.models.initialise import initialise
from suite.models.normalisers.statistics_free import DynamicTanh, RMSNorm
from suite.models.timm_norm import apply_norm

SIZES = {"patch_size": 4, "embed_dim": 8, "depth": 3, "num_heads": 2, "mlp_ratio": 2.0}


def test_values_of_the_formulas() -> None:
    x = torch.tensor([[[3.0, -4.0, 0.0, 0.0]]])
    rms = RMSNorm(4, heads=1, grid=(1, 1))
    tanh = DynamicTanh(4, heads=1, grid=(1, 1))
    with torch.no_grad():
        rms.weight.copy_(torch.tensor([1.0, 2.0, 1.0, 1.0]))
        tanh.weight.copy_(torch.tensor([1.0, 2.0, 1.0, 1.0]))
        tanh.bias.copy_(torch.tensor([0.0, 0.0, 0.5, 0.0]))
    # The root of the mean square is √(25/4) = 2.5.
    torch.testing.assert_close(rms(x), torch.tensor([[[1.2, -3.2, 0.0, 0.0]]]), atol=1e-5, rtol=1e-5)
    expected = torch.tensor([[[math.tanh(1.5), -2 * math.tanh(2), 0.5, 0.0]]])
    torch.testing.assert_close(tanh(x), expected, atol=1e-6, rtol=1e-6)
    assert tanh.alpha.item() == 0.5


@pytest.mark.parametrize("family", ["deit", "vit_late", "swin"])
@pytest.mark.parametrize(("norm", "kind"), [("dyt", DynamicTanh), ("rmsnorm", RMSNorm)])
def test_they_are_in_every_block_and_before_the_head(family: str, norm: str, kind: type[nn.Module]) -> None:
    sizes = {**SIZES, **({"depth": (2, 2), "num_heads": (2, 2), "window_size": 2} if family == "swin" else {})}
    model = create_model(family, norm=norm, num_classes=3, image_size=16, **sizes)
    replaced = [path for path, module in model.named_modules() if isinstance(module, kind)]
    assert len(replaced) == 2 * (4 if family == "swin" else 3) + 1
    assert "norm" in replaced
    initialise(model, 3)
    assert all((one == 0.5).all() for key, one in model.named_parameters() if key.endswith("alpha"))
    model(torch.randn(2, 3, 16, 16)).square().mean().backward()
    assert all(one.grad is not None for one in model.parameters())


@pytest.mark.parametrize("settings", [{}, {"global_pool": "avg"}])
def test_they_are_everywhere_in_timms_models_too(settings: dict[str, str]) -> None:
    """As the release converts them: with average pooling, the norm before the head follows the pooling."""
    from timm.models.vision_transformer import VisionTransformer

    body = {"img_size": 16, "patch_size": 4, "embed_dim": 8, "depth": 3, "num_heads": 2, "num_classes": 3}
    model = apply_norm(VisionTransformer(**body, **settings), "dyt")
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())
    assert sum(isinstance(module, DynamicTanh) for module in model.modules()) == 7
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 3)
