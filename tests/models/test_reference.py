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
from suite.models.reference import SOURCES
from suite.models.transformer import VisionTransformer

HERE = Path(__file__).parents[1] / "golden"
SOURCE = {
    "deit": "lape-deit",
    "vit_lite": "compact-transformers",
    "cvt": "compact-transformers",
    "cct": "compact-transformers",
}
COMMITTED = ("deit-learnable-lape", "vit_lite-learnable-default")
ELSEWHERE = (
    "deit-learnable-default",
    "deit-learnable-shared",
    "deit-learnable-unshared",
    "cvt-learnable-default",
    "cct-learnable-default",
)
SIZES: dict[str, Any] = {
    **dict.fromkeys(("patch_size", "embed_dim", "depth", "num_heads"), int),
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

    def model(self, **changes: Any) -> VisionTransformer:
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

    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
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


def test_deit_tiny_is_timms() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations
        import timm

        torch.manual_seed(3)
        theirs = timm.create_model("deit_tiny_patch16_224", pretrained=False, num_classes=7).eval()
    ours = create_model("deit_tiny", num_classes=7, image_size=224).eval()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert (ours(images) - theirs(images)).abs().max() > 1e-2
        load_reference(ours, theirs.state_dict(), "lape-deit")
        assert (ours(images) - theirs(images)).abs().max() <= 1e-5


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden(HERE / "deit-learnable-lape.safetensors")


def test_a_checkpoint_may_be_wrapped(golden: Golden) -> None:
    model = golden.model()
    load_reference(model, {"model": golden.part("state."), "epoch": 3}, "lape-deit")
    assert torch.equal(model.head.bias, golden.tensors["state.head.bias"])


def test_a_fixed_table_without_batch_axis_is_accepted() -> None:
    """LaPE's release keeps its 1-D sinusoid as [tokens, width]."""
    sizes: dict[str, Any] = {"patch_size": 2, "embed_dim": 6, "depth": 1, "num_heads": 1, "mlp_ratio": 1.0}
    model = create_model("deit", pe="sin1d", num_classes=3, image_size=4, **sizes)
    other = create_model("deit", pe="sin1d", num_classes=3, image_size=4, **sizes)
    inverse = {
        "class_token": "cls_token",
        "position.tables.0": "pos_embed",
        "tokenizer.convolutions.0.weight": "patch_embed.proj.weight",
        "tokenizer.convolutions.0.bias": "patch_embed.proj.bias",
    }
    state = {inverse.get(n, n.replace("attention", "attn")): p.detach() for n, p in other.named_parameters()}
    state["pos_embed"] = state["pos_embed"][0]
    load_reference(model, state, "lape-deit")
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(model.eval()(images), other.eval()(images))


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
