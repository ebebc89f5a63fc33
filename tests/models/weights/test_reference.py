"""The models against the published implementations: recorded logits and gradients, and timm."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch.nn.functional import cross_entropy

from suite.errors import InputError
from suite.models import create_model, load_reference
from suite.models.families.transformer import Transformer
from suite.models.weights.sources import SOURCES
from tests.conftest import REPOSITORY

HERE = REPOSITORY / "tests" / "golden"
SOURCE = {
    "deit": "lape-deit",
    "vit_lite": "compact-transformers",
    "cvt": "compact-transformers",
    "cct": "compact-transformers",
    "t2t_vit": "t2t-vit",
    "ceit": "ceit",
}
COMMITTED = ("deit-learnable-lape", "vit_lite-learnable-default")
ELSEWHERE = (
    "deit-learnable-default",
    "deit-learnable-shared",
    "deit-learnable-unshared",
    "cvt-learnable-default",
    "cct-learnable-default",
    "t2t_vit-a",
    "ceit-a",
)
SIZES: dict[str, Any] = {
    **dict.fromkeys(("patch_size", "embed_dim", "depth", "num_heads", "token_dim"), int),
    **dict.fromkeys(("conv_kernel", "conv_stride", "conv_padding", "conv_layers"), int),
    **dict.fromkeys(("mlp_ratio", "norm_eps"), float),
    "qkv_bias": lambda text: text == "true",
}


class Golden:
    """One recorded model: its tensors by name, and a model of ours that should be the same."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            self.about = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.source = SOURCE[self.about["arch"]]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def model(self, **changes: Any) -> Transformer:
        about = self.about
        sizes = {name: parse(about[name]) for name, parse in SIZES.items() if name in about}
        settings = {
            "pe": about["pe"],
            "join": about["join"],
            "num_classes": int(about["num_classes"]),
            "image_size": int(about["image_size"]),
        }
        return create_model(about["arch"], **{**settings, **sizes, **changes}).eval()


def check(golden: Golden) -> None:
    model = golden.model()
    load_reference(model, golden.part("state."), golden.source)
    logits = model(golden.tensors["input"])
    loss = cross_entropy(logits, golden.tensors["target"])
    loss.backward()  # type: ignore[no-untyped-call]
    assert (logits - golden.tensors["logits"]).abs().max() <= 1e-5
    assert abs(loss.item() - golden.tensors["loss"].item()) <= 1e-5

    ours = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    published = {SOURCES[golden.source].translate(name): grad for name, grad in golden.part("grad.").items()}
    assert ours.keys() == published.keys()
    for name, expected in published.items():
        found = ours[str(name)]
        assert found is not None
        if name == "pool.score.bias":  # a softmax doesn't see it: zero but for rounding, there and here
            assert max(found.abs().max(), expected.abs().max()) < 1e-7
        else:
            assert (found - expected).abs().max() <= 1e-4 * expected.abs().max(), name


@pytest.mark.parametrize("name", COMMITTED)
def test_logits_and_gradients_are_the_published_ones(name: str) -> None:
    check(Golden(HERE / f"{name}.safetensors"))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_logits_and_gradients_are_the_published_ones_too(name: str, shared: Path) -> None:
    check(Golden(shared / "golden" / f"{name}.safetensors"))


def timms(name: str, **settings: Any) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations
        import timm

        torch.manual_seed(3)
        model: torch.nn.Module = timm.create_model(name, pretrained=False, num_classes=7, **settings).eval()
    return model


DEIT: dict[str, Any] = {"depth": 2, "patch_size": 8}


@pytest.mark.parametrize(
    ("theirs", "ours", "source"),
    [
        (("deit_tiny_patch16_224", DEIT), ("deit_tiny", DEIT), "lape-deit"),
        (("deit_tiny_distilled_patch16_224", DEIT), ("deit_tiny_distilled", DEIT), "lape-deit"),
        (
            ("swin_tiny_patch4_window7_224", {"depths": (2, 2, 2), "num_heads": (3, 6, 12), "window_size": 4}),
            ("swin_tiny", {"depth": (2, 2, 2), "num_heads": (3, 6, 12), "window_size": 4, "pe": "rpe2d"}),
            "timm-swin",
        ),
    ],
)
def test_models_are_timms(theirs: tuple[str, Any], ours: tuple[str, Any], source: str) -> None:
    reference = timms(theirs[0], img_size=32, **theirs[1])
    model = create_model(ours[0], num_classes=7, image_size=32, **ours[1]).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert (model(images) - reference(images)).abs().max() > 1e-2
        assert load_reference(model, reference.state_dict(), source) == ([], [], [])
        assert (model(images) - reference(images)).abs().max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "ours", "pe", "source"),
    [
        ("deit_tiny_patch16_224", "deit_tiny", "learnable", "lape-deit"),
        ("swin_tiny_patch4_window7_224", "swin_tiny", "rpe2d", "timm-swin"),
    ],
)
def test_named_sizes_are_timms(theirs: str, ours: str, pe: str, source: str) -> None:
    reference = timms(theirs)
    model = create_model(ours, pe=pe, num_classes=7, image_size=224).eval()
    images = torch.randn(2, 3, 224, 224)
    load_reference(model, reference.state_dict(), source)
    with torch.no_grad():
        assert (model(images) - reference(images)).abs().max() <= 1e-5


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden(HERE / "deit-learnable-lape.safetensors")


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_a_checkpoint_may_be_wrapped(golden: Golden, wrapper: str, prefix: str) -> None:
    model = golden.model()
    state = {prefix + name: tensor for name, tensor in golden.part("state.").items()}
    load_reference(model, {wrapper: state, "epoch": 3}, "lape-deit")
    assert torch.equal(model.head.bias, golden.tensors["state.head.bias"])


def test_every_wrong_name_is_listed_and_the_model_is_left_alone(golden: Golden) -> None:
    model = golden.model()
    before = copy.deepcopy(model.state_dict())
    state = golden.part("state.")
    del state["norm.weight"], state["blocks.2.pe_norm.bias"]
    state["cls_token"] = state["cls_token"][..., :5]
    state["dist_token"] = torch.zeros(1, 1, 48)
    state["blocks.3.norm1.weight"] = torch.zeros(48)
    with pytest.raises(InputError) as caught:
        load_reference(model, state, "lape-deit")
    (problem,) = caught.value.problems
    assert "2 missing: position.maps.2.bias, norm.weight" in problem.found
    assert "2 unexpected: dist_token, blocks.3.norm1.weight" in problem.found
    assert "1 of another shape: cls_token [1, 1, 5] instead of [1, 1, 48]" in problem.found
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_two_names_for_one_parameter_are_refused(golden: Golden) -> None:
    state = golden.part("state.")
    with pytest.raises(InputError, match="1 unexpected: pos_embed0"):
        load_reference(golden.model(), {**state, "pos_embed0": state["pos_embed"]}, "lape-deit")


def test_a_whole_model_is_no_state_dict(golden: Golden) -> None:
    with pytest.raises(InputError, match=r"found: *a DeiT as its 'model'"):
        load_reference(golden.model(), {"model": golden.model()}, "lape-deit")


def test_a_value_that_is_no_tensor_is_listed(golden: Golden) -> None:
    with pytest.raises(InputError, match="pos_embed no tensor instead of"):
        load_reference(golden.model(), {**golden.part("state."), "pos_embed": 3}, "lape-deit")


@pytest.mark.parametrize("join", ["default", "unshared"])
def test_weights_of_another_join_are_refused(golden: Golden, join: str) -> None:
    with pytest.raises(InputError, match=r"unexpected: .*blocks.0.pe_norm.bias"):
        load_reference(golden.model(join=join), golden.part("state."), "lape-deit")


def test_unknown_source_and_wrong_family(golden: Golden) -> None:
    with pytest.raises(InputError, match=r"(?s)unknown source of weights 'lape_deit'.*did you mean 'lape-deit'"):
        load_reference(golden.model(), {}, "lape_deit")
    with pytest.raises(InputError, match=r"(?s)expected: *a model of the family cct or cvt or vit_lite.*found: *deit"):
        load_reference(golden.model(), {}, "compact-transformers")
    with pytest.raises(InputError, match="Linear"):
        load_reference(torch.nn.Linear(2, 3), {}, "lape-deit")


def test_statistics_belong_to_the_weights(shared: Path) -> None:
    golden = Golden(shared / "golden" / "ceit-a.safetensors")
    state = golden.part("state.")
    del state["i2t.backbone.bn.running_var"], state["blocks.1.leff.bn2.num_batches_tracked"]
    message = "2 missing: tokenizer.norm.running_var, blocks.1.mlp.norm2.num_batches_tracked"
    with pytest.raises(InputError, match=message):
        load_reference(golden.model(), state, "ceit")


def test_swin_as_released_merges_at_the_end_of_a_stage() -> None:
    """The names of Microsoft's code, made out of timm's: its absolute PE is optional, its buffers are stored."""
    sizes: dict[str, Any] = {"num_heads": (3, 6), "window_size": 4}
    reference = timms("swin_tiny_patch4_window7_224", img_size=32, depths=(2, 2), **sizes)
    state = {}
    for name, tensor in reference.state_dict().items():
        state[name.replace("layers.1.downsample", "layers.0.downsample").replace("head.fc", "head")] = tensor
    state["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    state["layers.0.blocks.1.attn.relative_position_index"] = torch.zeros(16, 16)
    state["absolute_pos_embed"] = torch.randn(1, 64, 96)
    model = create_model("swin_tiny", pe="learnable+rpe2d", num_classes=7, image_size=32, depth=(2, 2), **sizes).eval()
    assert len(load_reference(model, state, "swin").skipped) == 2
    reference.patch_embed.register_forward_hook(
        lambda _, __, tokens: tokens + state["absolute_pos_embed"].reshape(1, 8, 8, 96)
    )
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert (model(images) - reference(images)).abs().max() <= 1e-5
