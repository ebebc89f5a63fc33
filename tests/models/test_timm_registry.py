"""timm's registry: the smaller models of the classes that `apply_join` and `apply_norm` serve, without weights.

They are built without memory, on torch's meta device. The smallest of each class computes, trains and is exported.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import apply_join
from suite.models.joins import JOINS
from suite.models.norms import NORMS
from suite.models.timm_layout import network_norm
from suite.models.timm_norm import apply_norm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SMALL = re.compile("tiny|small|little|medium|wee|test_|_b0$|_b1$|beit.*_base")  # larger ones are of the same classes
CLASSES = 5
# The smallest model of each class of blocks, with arguments that make it smaller.
JOINED: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8},
    "deit_tiny_patch16_224": {"img_size": 32, "patch_size": 8},
    "deit_tiny_distilled_patch16_224": {"img_size": 32, "patch_size": 8},
    "deit3_small_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 3},
    "eva02_tiny_patch14_224": {"img_size": 32, "patch_size": 8},
    "beit_base_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 3},
    "swin_tiny_patch4_window7_224": {"img_size": 64, "window_size": 2},
}
TOKENS = {**JOINED, "pvt_v2_b0": {}}
MAPS = ("resnet10t", "resnet18", "mobilenetv2_035", "mobilenetv3_small_050", "efficientnet_b0", "regnetx_002")
ANY_SIZE = "it takes images of any size, and a position is joined for one"
# By module of timm, how often a model is refused for each reason. All others take both.
REFUSED: dict[str, dict[str, int]] = {
    "deit": {},
    "beit": {},
    "swin_transformer": {},
    "pvt_v2": {"no joining method can be put into a PyramidVisionTransformerV2": 2},
    "eva": {ANY_SIZE: 6},
    "vision_transformer": {
        ANY_SIZE: 2,
        "its blocks aren't plain pre-norm blocks with LayerNorm": 4,
        "its blocks aren't plain ones with LayerNorm, but a ParallelScalingBlock with NoneType and NoneType": 1,
        "its blocks aren't plain ones with LayerNorm, but a ParallelThingsBlock with NoneType and NoneType": 1,
        "its blocks aren't plain ones with LayerNorm, but a Block with RmsNorm and RmsNorm": 1,
        "its blocks aren't plain ones with LayerNorm, but a DiffParallelScalingBlock with NoneType and NoneType": 1,
    },
}
SIDE = 64  # of images for models of any size


def build(name: str) -> Any:
    torch.manual_seed(1)
    return timm.create_model(name, num_classes=CLASSES, **{**JOINED, **TOKENS}.get(name, {}))


def images(name: str) -> Tensor:
    side = TOKENS.get(name, {}).get("img_size", SIDE)
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


def has_own(model: Any) -> bool:
    return getattr(model, "pos_embed", None) is not None


def trains(model: Any, batch: Tensor) -> None:
    """A step gives every parameter a finite gradient and changes the logits."""
    model.train()
    (model(batch) - torch.eye(CLASSES)[:2]).square().mean().backward()
    gradients = {name: one.grad for name, one in model.named_parameters() if one.requires_grad}
    assert [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()] == []
    model.eval()
    with torch.no_grad():
        before = model(batch)
        torch.optim.SGD(model.parameters(), lr=0.01).step()
        assert not torch.equal(model(batch), before)


def exports(model: Any, batch: Tensor) -> None:
    model.eval()
    with torch.no_grad():
        exported: nn.Module = torch.export.export(model, (batch,)).module()
        torch.testing.assert_close(exported(batch), model(batch), atol=1e-4, rtol=1e-4)


def registered(module: str) -> list[str]:
    """The smaller models of one of timm's modules."""
    return [name for name in timm.list_models(module=module) if SMALL.search(name)]


def on_meta(name: str) -> Any:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return timm.create_model(name, num_classes=CLASSES).eval()


def reason(error: InputError) -> str:
    """Why a model is refused; the message is whole."""
    (problem,) = error.problems
    assert problem.expected or problem.found
    assert problem.fix
    return problem.what.partition(": ")[2] or problem.what


@pytest.mark.parametrize("module", REFUSED)
def test_each_model_takes_lape_and_dyt_or_is_refused_with_the_reason(module: str) -> None:
    refused: Counter[str] = Counter()
    for name in registered(module):
        model = on_meta(name)
        size = model.pretrained_cfg["input_size"]
        with torch.device("meta"), torch.no_grad():
            for change in (
                partial(apply_join, model, "lape", None if has_own(model) else "learnable"),
                partial(apply_norm, model, "dyt", size[1] if module == "pvt_v2" else None),
            ):
                try:
                    change()
                except InputError as error:
                    refused[reason(error)] += 1
            assert model(torch.zeros(1, *size)).shape == (1, CLASSES), name
    assert refused == REFUSED[module]


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("name", JOINED)
def test_each_join_is_the_plain_model_where_the_position_is_zero_and_trains(name: str, join: str) -> None:
    plain, batch = build(name).eval(), images(name)
    own = has_own(plain)
    model = copy.deepcopy(plain)
    if getattr(model, "no_embed_class", False) and JOINS[join].tables == "per_block":
        with pytest.raises(InputError, match="prefix tokens have none"):
            apply_join(model, join)
        return
    apply_join(model, join, None if own else "learnable")
    zero = copy.deepcopy(model).eval()
    with torch.no_grad():
        if own:
            plain.pos_embed.zero_()
        for key, parameter in zero.named_parameters():
            if key == "pos_embed" or ".tables." in key:
                parameter.zero_()
        torch.testing.assert_close(zero(batch), plain(batch), atol=1e-5, rtol=1e-5)
        assert own is False or join == "default" or not torch.equal(model.eval()(batch), build(name).eval()(batch))
    trains(model, batch)


@pytest.mark.parametrize("name", JOINED)
def test_joined_models_export(name: str) -> None:
    model = build(name)
    exports(apply_join(model, "lape", None if has_own(model) else "learnable"), images(name))


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled() -> Iterator[None]:
    yield
    torch.compiler.reset()


def norm_case(name: str, norm: str) -> tuple[Any, Tensor]:
    model, batch = build(name), images(name)
    return apply_norm(model, norm, SIDE if name == "pvt_v2_b0" else None), batch


@pytest.mark.parametrize("norm", [name for name, norm in NORMS.items() if norm.tokens])
@pytest.mark.parametrize("name", TOKENS)
def test_each_norm_of_tokens_acts_and_trains(name: str, norm: str) -> None:
    model, batch = norm_case(name, norm)
    plain = build(name).eval()
    with torch.no_grad():
        assert torch.equal(model.eval()(batch), plain(batch)) == (norm == "ln")
    trains(model, batch)


@pytest.mark.parametrize("norm", [name for name, norm in NORMS.items() if norm.maps])
@pytest.mark.parametrize("name", MAPS)
def test_each_norm_of_feature_maps_acts_and_trains(name: str, norm: str) -> None:
    plain = build(name)
    assert network_norm(plain) == "bn"
    model, batch = norm_case(name, norm)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(model).train()(batch), copy.deepcopy(plain).train()(batch)) == (norm == "bn")
    trains(model, batch)


@pytest.mark.parametrize(("name", "norm"), [("vit_tiny_patch16_224", "dtn"), ("swin_tiny_patch4_window7_224", "dyt"),
                                            ("pvt_v2_b0", "dtn"), ("eva02_tiny_patch14_224", "rmsnorm"),
                                            ("resnet10t", "l2bn"), ("mobilenetv2_035", "l2bn_rms")])  # fmt: skip
def test_models_with_another_norm_export(name: str, norm: str) -> None:
    exports(*norm_case(name, norm))
