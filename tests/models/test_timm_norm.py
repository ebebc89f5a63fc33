"""`apply_norm`: DTN in timm's ViT, Swin and PVT, L2BN in its convolutional networks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from timm.models.pvt_v2 import PyramidVisionTransformerV2
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import ResPostBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from suite.errors import InputError
from suite.models.normalisers.dtn import DynamicTokenNorm
from suite.models.normalisers.l2bn import L2BatchNorm
from suite.models.timm_join import apply_join
from suite.models.timm_norm import apply_norm

SIDE = 16
BODY: dict[str, Any] = {"img_size": SIDE, "patch_size": 4, "embed_dim": 16, "depth": 4, "num_heads": 4}
BODY |= {"num_classes": 5}


def disturbed(model: Any) -> Any:
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def vit(**settings: Any) -> Any:
    return disturbed(VisionTransformer(**{**BODY, **settings}))


def swin() -> Any:
    sizes = {"embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4, "num_classes": 5}
    return disturbed(SwinTransformer(img_size=SIDE, patch_size=2, **sizes))


def pvt() -> Any:
    sizes = {"depths": (1, 1, 1, 1), "embed_dims": (8, 16, 16, 16), "num_heads": (1, 2, 2, 2), "num_classes": 5}
    sizes["sr_ratios"] = (1, 1, 1, 1)
    return disturbed(PyramidVisionTransformerV2(**sizes))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def inputs_and_outputs(model: Any, norms: list[nn.Module], images: Tensor) -> list[tuple[Tensor, Tensor]]:
    found: list[tuple[Tensor, Tensor]] = []
    handles = [one.register_forward_hook(lambda m, x, y: found.append((x[0], y))) for one in norms]
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return found


def reference(norm: Any, x: Tensor, prefix: int) -> Tensor:
    """DTN of the patches, and LayerNorm's statistics of the tokens before them."""
    plain = DynamicTokenNorm(x.shape[-1], heads=norm.heads, grid=norm.grid)
    plain.load_state_dict(norm.state_dict())
    patches = plain(x[:, prefix:] if x.ndim == 3 else x.flatten(1, 2))
    if x.ndim == 4:
        return patches.unflatten(1, x.shape[1:3])
    return torch.cat([layer_norm(x[:, :prefix], x.shape[2:], norm.weight, norm.bias, 1e-5), patches], dim=1)


@pytest.mark.parametrize("case", ["vit", "vit without class token", "vit with lape", "swin", "pvt"])
@torch.no_grad()
def test_dtn_is_in_all_blocks_but_the_last_two(case: str, images: Tensor) -> None:
    model = {"swin": swin, "pvt": pvt}.get(case, vit)()
    if case == "vit without class token":
        model = vit(class_token=False, global_pool="avg")
    if case == "vit with lape":
        apply_join(model, "lape")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert apply_norm(model, "dtn", SIDE if case == "pvt" else None) is model
    norms = [module for module in model.modules() if isinstance(module, DynamicTokenNorm)]
    assert len(norms) == 2 * 2  # two norms in each of two blocks
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert all(norm.position.abs().sum() >= 1 for norm in norms)  # the local start
    prefix = 1 if case in ("vit", "vit with lape") else 0
    for norm, (x, y) in zip(norms, inputs_and_outputs(model, norms, images), strict=True):
        torch.testing.assert_close(y, reference(norm, x, prefix), atol=1e-5, rtol=1e-5)
    assert model(images).shape == (3, 5)


class Scaled(nn.Module):
    """L2BN written out: each image's features by their length, then the network's own BatchNorm."""

    def __init__(self, norm: nn.Module, scale: bool) -> None:
        super().__init__()
        self.norm, self.scale = norm, scale

    def forward(self, x: Tensor) -> Tensor:
        x = x / x.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
        y: Tensor = self.norm(x * x[0].numel() ** 0.5 if self.scale else x)
        return y


@pytest.mark.parametrize("level", ["l2bn", "l2bn_rms"])
@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_035"])
def test_l2bn_is_every_batchnorm_of_a_scaled_input(name: str, level: str, images: Tensor) -> None:
    model = disturbed(timm.create_model(name, num_classes=5)).train()
    expected = copy.deepcopy(model)
    for path, module in list(expected.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            expected.set_submodule(path, Scaled(module, level == "l2bn_rms"))
    apply_norm(model, level)
    count = sum(isinstance(module, L2BatchNorm) for module in model.modules())
    assert count == sum(isinstance(module, Scaled) for module in expected.modules()) > 10
    assert (name == "resnet10t") != any(isinstance(module, BatchNormAct2d) for module in model.modules())
    torch.testing.assert_close(model(images), expected(images), atol=1e-4, rtol=1e-4)
    with torch.no_grad():  # running statistics are those of the scaled features
        torch.testing.assert_close(model.eval()(images), expected.eval()(images), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_035"])
def test_the_networks_own_norm_leaves_it_as_it_is(name: str) -> None:
    model = timm.create_model(name, num_classes=5)
    before = {path: type(module) for path, module in model.named_modules()}
    assert apply_norm(model, "bn") is model
    assert {path: type(module) for path, module in model.named_modules()} == before


def test_what_cant_be_done_is_one_message_and_changes_nothing(images: Tensor) -> None:
    cases: list[tuple[Any, str, str]] = [
        (vit(), "l2bn", "it is of feature maps"),
        (vit(depth=2), "dtn", "its last 2 blocks keep LayerNorm, and it has no more"),
        (vit(block_fn=ResPostBlock), "dtn", "its blocks aren't plain ones with LayerNorm"),
        (pvt(), "dtn", "give image_size"),
        (timm.create_model("convnext_atto", num_classes=5), "dtn", "its norms' places aren't known"),
        (timm.create_model("resnet10t"), "dtn", "convolutional network"),
        (vit(img_size=116), "dtn", "pools a grid of 29×29 tokens by 2"),
    ]
    for model, norm, message in cases:
        before = {key: type(module) for key, module in model.named_modules()}
        with pytest.raises(InputError, match=message) as caught:
            apply_norm(model, norm)
        assert len(caught.value.problems) == 1
        assert {key: type(module) for key, module in model.named_modules()} == before
    with pytest.raises(InputError, match="unknown norm"):
        apply_norm(vit(), "dnt")
