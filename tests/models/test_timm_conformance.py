"""What timm's own tests ask of a model, asked of the registered ones: at a small size, and each family.

What they ask and isn't here stays refused: see `suite.models.timm_interface`. Whether a model can be scripted is asked
of timm's models with a join instead, in test_timm_programs.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import timm
import torch
from timm.models import FeatureInfo
from timm.optim import param_groups_layer_decay
from torch import Tensor

from suite.errors import InputError
from suite.models.families.swin import Swin
from suite.models.timm_interface import TimmModel
from tests.models.test_timm_models import SMALL, make

PYRAMID = "lape_swin_tiny_patch4_window7_224"
# torch.autocast is switched off within T2T-ViT's tokenizer, by the type of a device that a symbol doesn't have.
NOT_SYMBOLIC = {"lape_t2t_vit_7"}


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("join", ["lape", "unshared"])
def test_every_trainable_parameter_has_a_gradient(name: str, join: str) -> None:
    model = make(name, join=join, pe="learnable", num_classes=42).train()
    logits = model(images())
    assert logits.shape == (2, 42)
    logits.mean().backward()
    trainable = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable == {key for key, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("name", SMALL)
def test_features_and_head_are_the_model(name: str) -> None:
    model = make(name).eval()
    features = model.forward_features(images())
    assert features.ndim == 3
    assert features.shape[-1] == model.num_features == model.head_hidden_size
    assert torch.equal(model.forward_head(features), model(images()))
    before = model.forward_head(features, pre_logits=True)
    model.reset_classifier(0)
    assert torch.equal(model(images()), before)
    assert before.shape == (2, model.head_hidden_size)


@pytest.mark.parametrize("name", SMALL)
def test_the_configuration_is_whole(name: str) -> None:
    """At the published size: names of modules are names of weights, and sizes are those of the model."""
    with torch.device("meta"):
        model = timm.create_model(name)
        small = make(name)
    cfg, weights = model.default_cfg, model.state_dict()
    assert cfg is model.pretrained_cfg
    classifier = cfg["classifier"]
    names = [cfg["first_conv"], *([classifier] if isinstance(classifier, str) else classifier)]
    assert all(f"{each}.weight" in weights for each in names)
    assert weights[f"{cfg['first_conv']}.weight"].shape[1] in (3, 3 * 7 * 7)  # T2T-ViT unfolds first
    assert cfg["fixed_input_size"] is True
    assert (cfg["num_classes"], cfg["input_size"]) == (model.num_classes, (3, model.image_size, model.image_size))
    assert {"pool_size", "interpolation", "crop_pct", "mean", "std"} <= cfg.keys()
    assert (small.default_cfg["input_size"], small.default_cfg["num_classes"]) == ((3, 32, 32), 3)
    rows, columns = small.default_cfg["pool_size"]
    maps = make(name).eval().forward_intermediates(images(), indices=1, intermediates_only=True)
    assert maps[0].shape[2:] == (rows, columns)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_intermediates(name: str, checkpointing: bool) -> None:
    model = make(name).eval()
    model.set_grad_checkpointing(checkpointing)
    info = FeatureInfo(model.feature_info, len(model.feature_info))
    features, taken = model.forward_intermediates(images())
    assert torch.equal(features, model.forward_features(images()))
    assert [tokens.shape[:2] for tokens in taken] == [(2, channels) for channels in info.channels()]
    assert [32 // tokens.shape[-1] for tokens in taken] == info.reduction()
    modules = dict(model.named_modules())
    assert all(path in modules for path in info.module_name())

    (last,) = model.forward_intermediates(images(), indices=1, intermediates_only=True)
    assert torch.equal(last, taken[-1])
    (first,) = model.forward_intermediates(images(), indices=[0], stop_early=True, intermediates_only=True)
    assert torch.equal(first, taken[0])
    (rows,) = model.forward_intermediates(images(), indices=[-1], output_fmt="NLC", intermediates_only=True)
    assert torch.equal(rows.transpose(1, 2), last.flatten(2))
    named = model.forward_intermediates(images(), indices=[0], output_dict=True)
    assert named.keys() == {"image_intermediates", "image_features"}
    assert torch.equal(named["image_intermediates"][0], first)

    layers = model.get_intermediate_layers(images(), n=[0], reshape=True)
    assert torch.equal(layers[0], first)
    (norm,) = model.get_intermediate_layers(images(), n=1, norm=True)
    assert torch.equal(norm, model.norm(rows))
    for arguments in ({"indices": len(taken) + 1}, {"indices": [len(taken)]}, {"output_fmt": "NHWC"}):
        with pytest.raises(AssertionError):
            model.forward_intermediates(images(), **arguments)


@pytest.mark.parametrize("name", SMALL)
def test_the_tokens_before_the_patches(name: str) -> None:
    model = make(name).eval()
    layers = model.get_intermediate_layers(images(), return_prefix_tokens=True)
    prefix = model.architecture.family.prefix
    if not prefix:
        assert isinstance(layers[0], Tensor)
        return
    patches, before = layers[0]
    assert (patches.ndim, before.shape) == (3, (2, prefix, model.num_features))
    named = model.forward_intermediates(images(), indices=1, output_dict=True, return_prefix_tokens=True)
    assert torch.equal(named["image_intermediates_prefix"][0], before)
    if "ceit" not in name:  # whose features are the class token after its attention over layers
        assert torch.equal(model.norm(before), named["image_features"][:, :prefix])


@pytest.mark.parametrize("name", SMALL)
def test_features_only(name: str) -> None:
    """With the later blocks and the head removed, the same maps as those of the whole model."""
    torch.manual_seed(3)
    whole = make(name).eval()
    torch.manual_seed(3)
    model = timm.create_model(name, features_only=True, out_indices=(0,), img_size=32, **SMALL[name]).eval()
    (maps,) = model(images())
    expected = whole.forward_intermediates(images(), indices=[0], intermediates_only=True)
    torch.testing.assert_close(maps, expected[0])
    assert model.feature_info.channels() == [maps.shape[1]]
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in whole.parameters())
    torch.manual_seed(3)
    usual = timm.create_model(name, features_only=True, img_size=32, **SMALL[name]).eval()
    assert len(usual(images())) == len(usual.feature_info.channels()) == min(3, len(whole.feature_info))
    assert usual.default_cfg["input_size"] == (3, 32, 32)


@pytest.mark.parametrize("join", ["unshared", "shared"])
@pytest.mark.parametrize("name", ["lape_deit_tiny_patch16_224", PYRAMID])
def test_a_pruned_model_has_the_positions_of_what_is_left(name: str, join: str) -> None:
    model = make(name, join=join, pe="learnable").eval()
    before = model.forward_intermediates(images(), indices=[0], intermediates_only=True)
    assert model.prune_intermediate_layers([0], prune_norm=True) == [0]
    after = model.forward_intermediates(images(), intermediates_only=True)
    assert len(after) == len(model.feature_info) == 1
    assert torch.equal(after[0], before[0])
    assert model.num_classes == 0
    after[0].sum().backward()
    assert all(p.grad is not None for key, p in model.named_parameters() if key.startswith("position."))


def test_levels_without_the_class_token_are_told() -> None:
    """With DTN's norm it joins before the last two blocks."""
    model = make("lape_deit_tiny_patch16_224", depth=4, norm="dtn").eval()
    assert [len(tokens) for tokens in model.get_intermediate_layers(images(), n=2, return_prefix_tokens=True)] == [2, 2]
    assert model.forward_intermediates(images(), intermediates_only=True)[0].shape == (2, 192, 4, 4)
    with pytest.raises(InputError, match="class token isn't among the tokens of all these blocks"):
        model.get_intermediate_layers(images(), n=4, return_prefix_tokens=True)


@pytest.mark.parametrize("name", SMALL)
def test_checkpointing_gives_the_same_gradients(name: str) -> None:
    torch.manual_seed(2)
    model = make(name, drop_path_rate=0.4, attn_drop_rate=0.2).train()
    gradients = []
    for checkpointing in (False, True):
        model.set_grad_checkpointing(checkpointing)
        model.zero_grad()
        torch.manual_seed(7)
        model(images(4)).square().sum().backward()
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, msg=key)


@pytest.mark.parametrize("name", SMALL)
def test_exported_with_any_batch(name: str) -> None:
    model = make(name, depth=(2, 1) if name == PYRAMID else 1).eval()
    program = torch.export.export(model, (images(),), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for batch in (1, 5):
        torch.testing.assert_close(program(images(batch)), model(images(batch)))


@pytest.mark.parametrize("name", sorted(SMALL.keys() - NOT_SYMBOLIC))
def test_symbolically_traced_in_evaluation(name: str) -> None:
    model = make(name).eval()
    program = torch.fx.symbolic_trace(model)
    for batch in (1, 3):
        torch.testing.assert_close(program(images(batch)), model(images(batch)))


@pytest.mark.parametrize("name", sorted(NOT_SYMBOLIC))
def test_what_fx_cant_trace(name: str) -> None:
    """If this fails, it can: shorten what `timm_interface` says is refused."""
    with pytest.raises(Exception, match=r"Proxy|autocast|symbolically|device"):
        torch.fx.symbolic_trace(make(name).eval())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("coarse", [False, True])
def test_every_parameter_is_in_a_group(name: str, coarse: bool) -> None:
    """For layer decay: a map or a table of the position is in its block's group."""
    model: Any = make(name)
    assert isinstance(model, TimmModel)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    found = set()
    for group in param_groups_layer_decay(model, layer_decay=0.5):
        members = [names[id(parameter)] for parameter in group["params"]]
        found |= set(members)
        for key in members:
            if match := re.fullmatch(r"position\.(\d+\.)?maps\.(\d+)\.bias", key):
                stage = f"stages.{match[1]}" if isinstance(model, Swin) else "blocks."
                assert f"{stage}{match[2]}.norm1.bias" in members
    assert found == {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert model.group_matcher(coarse).keys() == {"stem", "blocks"}
