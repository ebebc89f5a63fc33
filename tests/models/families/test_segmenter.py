"""Semantic heads: shapes, interpolation, the mask transformer, and that joins and norms act in the backbone."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import FAMILIES, resolve_architecture
from suite.models.costs.macs import count_macs
from suite.models.families.segmenter import MaskTransformer
from suite.models.layers.blocks import NOWHERE
from suite.models.semantic_size import SemanticSize

SIZES: dict[str, Any] = {"patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 4, "mlp_ratio": 2.0}
NAMES = [name for name, family in FAMILIES.items() if family.size is SemanticSize]
CLASSES, SIDE = 5, 16


def build(family: str = "segmenter", mask_layers: int = 0, **levels: str) -> Any:
    torch.manual_seed(0)
    return create_model(
        family, num_classes=CLASSES, image_size=SIDE, mask_layers=mask_layers, **SIZES, **levels
    ).eval()  # fmt: skip


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def test_both_families_are_here():
    assert NAMES == ["segmenter", "segmenter_lite"]


@pytest.mark.parametrize(("family", "mask_layers"), list(product(NAMES, (0, 2))))
def test_a_logit_for_each_class_and_pixel(family: str, mask_layers: int):
    model = build(family, mask_layers)
    logits = model(images())
    assert logits.shape == (3, CLASSES, SIDE, SIDE)
    assert logits.isfinite().all()
    output, tokens = model(images(), (0, -1))
    assert torch.equal(output, logits)
    assert tokens.normalised.shape == (3, 16, 16)
    model.train()(images()).square().mean().backward()
    idle = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    assert not idle
    assert count_macs(model, SIDE, 3) > 0


@pytest.mark.parametrize(("family", "mask_layers"), list(product(NAMES, (0, 2))))
def test_joins_and_norms_act(family: str, mask_layers: int):
    """The two sides of a contrast share their initial weights, the head's among them, and differ in their output."""
    default, other = build(family, mask_layers, join="default"), build(family, mask_layers, join="lape")
    same = dict(default.named_parameters())
    assert all(torch.equal(same[name], value) for name, value in other.named_parameters() if name in same)
    with torch.no_grad():
        for one in (default, other):
            for position in one.positions():
                for table in position.parameters():
                    table.add_(torch.randn(table.shape, generator=torch.Generator().manual_seed(2)))
        assert not torch.allclose(default(images()), other(images()))
        assert not torch.allclose(default(images()), build(family, mask_layers, norm="dtn")(images()))


def test_a_linear_head_is_interpolated_bilinearly():
    model = build()
    with torch.no_grad():
        x = model.norm(model.encode(model.embed(images())))
        patches = model.head(x[:, 1:])
        maps = patches.transpose(1, 2).reshape(3, CLASSES, 4, 4)
        expected = interpolate(maps, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        assert torch.allclose(model(images()), expected, atol=1e-6)


def test_patches_keep_their_places():
    """With the class of each patch in its token, the upper left of the output is the upper left of the image."""
    model = build()
    tokens = torch.zeros(1, 17, 16)
    tokens[0, 1, 0] = 1.0  # the first patch, after the class token
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
        model.head.weight[2, 0] = 1.0
        found = model.classify(tokens)[0, 2]
    assert found.argmax() < SIDE * 4
    assert (found[:2, :2] == 1).all()
    assert (found[8:] == 0).all()
    assert (found[:, 8:] == 0).all()


def test_the_mask_transformer_is_the_product_of_unit_vectors():
    size = resolve_architecture("segmenter", {**SIZES, "mask_layers": 1}).size
    assert isinstance(size, SemanticSize)
    torch.manual_seed(0)
    decoder = MaskTransformer(size, CLASSES).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_()
        patches = torch.randn(2, 16, 16)
        x = torch.cat([decoder.entrance(patches), decoder.class_embedding.expand(2, -1, -1)], dim=1)
        x = decoder.norm(decoder.blocks[0](x, NOWHERE))
        p, c = x[:, :16] @ decoder.patch_projection, x[:, 16:] @ decoder.class_projection
        cosine = torch.cosine_similarity(p[:, :, None], c[:, None], dim=-1)
        assert torch.allclose(decoder(patches), decoder.mask_norm(cosine), atol=1e-5)


def test_renamed_classes_only_rename_the_masks():
    """The decoder treats its classes alike: permuting their embeddings permutes the masks."""
    model = build(mask_layers=2)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        before = model(images())
        model.head.class_embedding.copy_(model.head.class_embedding[:, order])
        assert torch.allclose(model(images()), before[:, order], atol=1e-5)


def test_images_must_fit_the_patches():
    with pytest.raises(InputError, match="divisible by the patch size"):
        create_model("segmenter", num_classes=2, image_size=18, **SIZES)


@pytest.mark.parametrize("name", ["segmenter_tiny_16", "segmenter_small_mask_16"])
def test_published_sizes(name: str):
    """Segmenter's Table: ViT-T has about 6 million parameters, ViT-S about 22 million; the decoder adds two blocks."""
    size = resolve_architecture(name).size
    assert isinstance(size, SemanticSize)
    assert (size.patch_size, size.depth, size.mask_layers) == (16, 12, 2 if "mask" in name else 0)
