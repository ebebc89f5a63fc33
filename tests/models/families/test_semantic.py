"""Semantic heads on any backbone: shapes, shared weights, joins, refusals, and that nothing idle is left."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from suite.errors import InputError
from suite.grid.level_code import level_fingerprints
from suite.models import create_model
from suite.models.architectures import FAMILIES, Architecture, resolve_architecture
from suite.models.backbone_size import backbones, body_of
from suite.models.costs.macs import count_macs, count_parameters
from suite.models.initialise import initialise
from suite.models.inspection import inspect
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights.checkpoint import checkpoint_bytes, read_checkpoint
from suite.train.pretrained import start_from
from tests.models.test_conformance import SIZES as CLASSIFIERS
from tests.models.test_conformance import TRANSFORMERS

CLASSES, SIDE = 5, 16
SIZES = {**CLASSIFIERS, "resnet": {"blocks": (1, 1, 1, 1), "bottleneck": False}}  # narrower: a decoder is as wide
HEADS = ("linear", "mask_transformer")


def build(backbone: str, head: str = "linear", **levels: Any) -> Any:
    torch.manual_seed(0)
    sizes = SIZES.get(backbone, {})
    if backbone not in TRANSFORMERS and backbone != "timm":
        levels = {"pe": "none", **levels}
    return create_model(
        "semantic", backbone=backbone, head=head, num_classes=CLASSES, image_size=SIDE, **sizes, **levels
    ).eval()  # fmt: skip


def images(count: int = 3, side: int = SIDE) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_every_backbone_of_images_is_here():
    """All families that classify images, and no other: `SIZES` has a size of each."""
    assert sorted(backbones()) == sorted(CLASSIFIERS)


@pytest.mark.parametrize(("backbone", "head"), list(product(SIZES, HEADS)))
def test_a_logit_for_each_class_and_pixel(backbone: str, head: str):
    model = build(backbone, head)
    logits = model(images())
    assert logits.shape == (3, CLASSES, SIDE, SIDE)
    assert logits.isfinite().all()
    model.train()(images()).square().mean().backward()
    idle = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    assert not idle
    assert count_macs(model, SIDE, 3) > 0
    if model.architecture.size.patch_tokens(SIDE) is not None:
        output, tokens = model.eval()(images(), (0, -1))
        assert torch.allclose(output, model(images()), atol=1e-6)
        assert tokens.normalised.flatten(1).shape[1] == tokens.blocks[-1].flatten(1).shape[1]


@pytest.mark.parametrize("backbone", SIZES)
def test_the_backbone_is_drawn_as_without_a_head(backbone: str):
    """From one seed, a backbone starts from the weights that it has as a classifier. So does each side of a pair."""
    plain_levels = {} if backbone in TRANSFORMERS or backbone == "timm" else {"pe": "none"}
    plain: Any = create_model(backbone, num_classes=CLASSES, image_size=SIDE, **SIZES[backbone], **plain_levels)
    model = build(backbone, "mask_transformer")
    for one in (plain, model):
        initialise(one, 3)
    same = dict(plain.named_parameters())
    shared = {name for name, _ in model.named_parameters() if name in same and not name.startswith("head.")}
    assert all(torch.equal(same[name], value) for name, value in model.named_parameters() if name in shared)
    added = {name for name, _ in model.named_parameters()} - shared
    assert all(name.startswith("head.") for name in added)
    assert count_parameters(model).total > sum(same[name].numel() for name in shared)


@pytest.mark.parametrize("backbone", [*TRANSFORMERS, "timm"])
def test_joins_act(backbone: str):
    """The two sides of a contrast share their initial weights, the head's among them, and differ in their output."""
    default, other = build(backbone, "mask_transformer"), build(backbone, "mask_transformer", join="lape")
    same = dict(default.named_parameters())
    assert all(torch.equal(same[name], value) for name, value in other.named_parameters() if name in same)
    with torch.no_grad():
        for one in (default, other):
            for name, table in one.named_parameters():
                if ".tables." in name or name.endswith("pos_embed"):
                    table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(2)))
        assert not torch.allclose(default(images()), other(images()))


def test_norms_of_maps_act():
    assert not torch.allclose(build("resnet_cifar")(images()), build("resnet_cifar", norm="l2bn")(images()))


@pytest.mark.parametrize("backbone", ["cvt", "swin", "resnet_cifar", "timm"])
def test_features_keep_their_places(backbone: str):
    """With logits that are one channel of the features, the output is that channel, interpolated bilinearly."""
    model = build(backbone)
    seen: list[Tensor] = []
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[2, 1] = 1.0
        found = model(images())[:, 2]
    channel = seen[0][..., 1].unflatten(1, model.grid)[:, None]
    expected = interpolate(channel, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(found, expected, atol=1e-5)


def test_feature_rows_are_rows_of_the_image():
    """A mark in the upper right corner changes the features of the upper right corner most."""
    model = build("resnet_cifar")
    seen: list[Tensor] = []
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    marked = images(1)
    marked[..., :2, -2:] += 5
    with torch.no_grad():
        model(images(1))
        model(marked)
    change = (seen[1] - seen[0]).abs().sum(2)[0].view(4, 4)
    assert change.argmax() == 3


@pytest.mark.parametrize("model", ["resnet18", "pvt_v2_b0", "convnext_atto", "swin_tiny_patch4_window7_224"])
def test_timm_models_of_other_kinds(model: str):
    """Maps with channels first or last, and a norm in the classifier."""
    torch.manual_seed(0)
    made: Any = create_model(
        "semantic", backbone="timm", model=model, pe="none", num_classes=CLASSES, image_size=64,
        **({"window_size": 4, "patch_size": 2, "embed_dim": 24} if "swin" in model else {}),
    )  # fmt: skip
    made(images(2, 64)).square().mean().backward()
    assert made.eval()(images(2, 64)).shape == (2, CLASSES, 64, 64)
    assert not [name for name, one in made.named_parameters() if one.requires_grad and one.grad is None]


def test_named_backbones_are_filled_in():
    """A named size and the family with its values are one architecture; the mask transformer has two blocks."""
    named = resolve_architecture("semantic", {"backbone": "cct_7_3x1", "head": "mask_transformer"})
    body = resolve_architecture("cct_7_3x1")
    written = resolve_architecture(
        "semantic", {"backbone": "cct", "head": "mask_transformer", "mask_layers": 2, **body.size.model_dump()}
    )
    assert named.canonical() == written.canonical()
    assert named.canonical() == {
        "family": "semantic", "backbone": "cct", "head": "mask_transformer", "mask_layers": 2,
        **{key: value for key, value in body.canonical().items() if key != "family"},
    }  # fmt: skip
    assert body_of(named).canonical() == body.canonical()
    assert named.resized({"depth": 3}, "short").size.body.size.depth == 3  # type: ignore[attr-defined]
    assert body_of(body) is body


def test_the_code_of_the_backbone_is_part_of_the_code():
    def code(backbone: str) -> dict[str, str]:
        return level_fingerprints(resolve_architecture("semantic", {"backbone": backbone}), {"join": "lape"})

    assert code("cct_7_3x1")["backbone"] != code("swin_tiny")["backbone"]
    assert code("cct_7_3x1")["arch"] == code("swin_tiny")["arch"]
    assert code("cct_7_3x1")["backbone"] == level_fingerprints(resolve_architecture("cct_7_3x1"), {})["arch"]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"backbone": "segmenter_tiny_16"}, "which has a semantic head of its own"),
        ({"backbone": "semantic"}, "backbone"),
        ({"backbone": "dcn_small_16"}, "which is frozen"),
        ({"backbone": "lra_small"}, "symbols in a row"),
        ({"backbone": "no_such"}, "unknown architecture"),
        ({"backbone": "cct_7_3x1", "mask_layers": 2}, "mask_layers with head: mask_transformer alone"),
        ({"backbone": "cct_7_3x1", "head": "fancy"}, "head"),
        ({"backbone": "cct_7_3x1", "patch_size": 4}, "patch_size"),
        ({"head": "linear"}, "backbone"),
    ],
)
def test_refused(sizes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        resolve_architecture("semantic", sizes)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"backbone": "resnet_cifar", "pe": "learnable"}, "a site that arch"),
        ({"backbone": "timm", "model": "mixer_s32_224"}, "no map of features|doesn't map"),
        ({"backbone": "ceit", "depth": 3, "norm": "dtn"}, "the class token is among them"),
    ],
)
def test_what_a_backbone_refuses_its_head_refuses(levels: dict[str, Any], message: str):
    pe = {"pe": "none"} if levels["backbone"] == "timm" else {}
    sizes = {} if levels["backbone"] == "timm" else SIZES[levels["backbone"]]
    with pytest.raises(InputError, match=message):
        create_model("semantic", num_classes=CLASSES, image_size=SIDE, **{**pe, **sizes, **levels})


def test_its_position_can_be_inspected():
    """As that of the backbone alone, with the same weights."""
    model, plain = build("cvt", join="lape"), create_model("cvt", join="lape", num_classes=2, image_size=SIDE,
                                                          **SIZES["cvt"])  # fmt: skip
    for one in (model, plain):
        initialise(one, 1)
    for found, expected in zip(inspect(model).correlations, inspect(plain).correlations, strict=True):
        assert (found.matrix == expected.matrix).all()
    assert inspect(build("timm", join="lape")).correlations


def test_kept_weights_make_the_model_again(tmp_path: Any):
    arch: Architecture = resolve_architecture("semantic", {"backbone": "swin", "head": "mask_transformer",
                                                           **SIZES["swin"]})  # fmt: skip
    torch.manual_seed(0)
    model = create_model(arch, join="lape", num_classes=CLASSES, image_size=SIDE).eval()
    path = tmp_path / "kept.safetensors"
    cell = ModelCell(arch, "learnable", "lape", "ln", Shape(CLASSES, SIDE))
    path.write_bytes(checkpoint_bytes(model, cell, dataset="made-up", trial_id=""))
    kept = read_checkpoint(path)
    assert kept is not None
    assert torch.equal(kept.model.eval()(images()), model(images()))


def test_the_family_is_listed():
    assert "any backbone" in FAMILIES["semantic"].summary


@pytest.mark.parametrize("backbone", ["deit", "cvt", "ceit", "t2t_vit"])
def test_a_backbone_starts_from_its_trained_classifier(backbone: str):
    """All but the head: also where the classifier has parts of its own, such as pooling or attention over classes."""
    model = build(backbone, "mask_transformer")
    trained: Any = create_model(backbone, num_classes=7, image_size=SIDE, **SIZES[backbone])
    initialise(trained, 99)
    kept = model.head.class_embedding.clone()
    start_from(model, trained)
    given = dict(trained.named_parameters())
    own = {name: value for name, value in model.named_parameters() if not name.startswith("head.")}
    assert own
    assert all(torch.equal(value, given[name]) for name, value in own.items())
    assert torch.equal(model.head.class_embedding, kept)


def test_a_classifier_of_other_sizes_is_refused():
    trained = create_model("cvt", num_classes=7, image_size=SIDE, **{**SIZES["cvt"], "depth": 3})
    with pytest.raises(InputError, match="are of another model"):
        start_from(build("cvt"), trained)
