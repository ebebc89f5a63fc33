"""Where a norm stands: where it is published to, or where the size of the architecture places it (`norm_where`)."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.layers.sparing import sparing
from suite.models.norms import NORMS
from suite.models.sizes import NormPlace, Size

OF_TOKENS = [name for name, norm in NORMS.items() if norm.tokens and name != "ln"]
PLACES: dict[NormPlace, list[bool]] = {"inner": [True] * 2 + [False] * 3, "blocks": [True] * 4 + [False],
                                       "all": [True] * 5}  # fmt: skip


def replaced(model: Any) -> list[bool]:
    """Of each block, and of the head, whether its norms aren't LayerNorms."""
    blocks = [{isinstance(norm, nn.LayerNorm) for norm in (block.norm1, block.norm2)} for block in model.blocks]
    assert all(len(kinds) == 1 for kinds in blocks)
    return [False in kinds for kinds in (*blocks, {isinstance(model.norm, nn.LayerNorm)})]


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("norm", [name for name in OF_TOKENS if not NORMS[name].grid])
def test_a_size_says_in_which_blocks_a_norm_stands(norm: str, where: NormPlace, small: Any, images: Tensor) -> None:
    model = small("deit", depth=4, norm=norm, norm_where=where)
    assert replaced(model) == PLACES[where]
    model(images).square().sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in model.parameters())


@pytest.mark.parametrize("where", PLACES)
def test_a_norm_of_a_grid_stands_in_all_blocks_only_without_a_class_token(where: NormPlace, small: Any) -> None:
    assert replaced(small("cvt", depth=4, norm="dtn", norm_where=where)) == PLACES[where]
    if where != "inner":
        with pytest.raises(InputError, match="the class token is among them in the last 2 blocks"):
            small("deit", depth=4, norm="dtn", norm_where=where)


@pytest.mark.parametrize("norm", ["dyt", "rmsnorm", "dtn", "bn"])
def test_left_out_it_is_where_the_norm_is_published_to_stand_and_no_part_of_an_id(norm: str, small: Any) -> None:
    assert replaced(small("cvt", depth=4, norm=norm)) == PLACES[NORMS[norm].where]
    assert "norm_where" not in resolve_architecture("deit_tiny").canonical()
    assert resolve_architecture("deit_tiny", {"norm_where": "blocks"}).canonical()["norm_where"] == "blocks"
    size = resolve_architecture("deit_tiny", {"norm_where": "all"}).size
    assert isinstance(size, Size)
    assert NORMS[norm].placed(size).where == "all"


def test_a_shallow_model_can_have_it_in_all_blocks(small: Any) -> None:
    with pytest.raises(InputError, match="leaves the last 2 blocks as they are"):
        small("deit", depth=2, norm="bn")
    assert replaced(small("deit", depth=2, norm="bn", norm_where="blocks")) == [True, True, False]


def test_in_a_pyramid_too() -> None:
    sizes: dict[str, Any] = {"embed_dim": 4, "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": 1, "patch_size": 1}
    sizes |= {"window_size": 4, "num_classes": 3, "image_size": 8}
    for where, expected in {"blocks": [True] * 3 + [False], "all": [True] * 4}.items():
        model: Any = create_model("swin", pe="rpe2d", norm="dtn", norm_where=where, **sizes)
        blocks = [block for stage in model.stages for block in stage]
        assert [not isinstance(norm, nn.LayerNorm) for norm in (*(b.norm1 for b in blocks), model.norm)] == expected
        assert model(torch.randn(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("where", ["blocks", "all"])
@pytest.mark.parametrize("arch", ["deit", "ceit"])
@pytest.mark.parametrize("norm", [name for name in OF_TOKENS if not NORMS[name].grid])
def test_training_skips_no_token_that_a_norm_looks_at(norm: str, arch: str, where: str, small: Any) -> None:
    """The head reads the class token alone, but statistics over tokens need them all."""
    images = torch.randn(4, 2, 15, 15, generator=torch.Generator().manual_seed(1))
    patch = 5 if arch == "deit" else 2
    if (norm, arch, where) == ("in", "ceit", "all"):
        with pytest.raises(InputError, match="before the head ceit has one"):
            small(arch, norm=norm, norm_where=where, patch_size=patch)
        return
    logits = []
    for skip in (False, True):
        torch.manual_seed(0)
        model = small(arch, norm=norm, norm_where=where, drop_path=0.0, patch_size=patch)
        if skip:
            with sparing():
                logits.append(model(images))
        else:
            logits.append(model(images))
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["dyt", "bn", "dtn", "gn"])
def test_a_model_by_timms_name_has_it_there_too(norm: str) -> None:
    name = {"model": "vit_tiny_patch16_224", "patch_size": 4, "embed_dim": 16, "depth": 4, "num_heads": 4}
    for pool in ("token", "avg"):  # of avg, the norm before the head is of pooled tokens
        for where, expected in PLACES.items():
            sizes: dict[str, Any] = {**name, "global_pool": pool, "norm_where": where}
            model: Any = create_model("timm", norm=norm, num_classes=3, image_size=16, **sizes)
            network = model.network
            network.norm = network.norm if pool == "token" else network.fc_norm
            assert replaced(network) == expected
    assert resolve_architecture("timm", {**name, "norm_where": "all"}).canonical()["norm_where"] == "all"
    assert "norm_where" not in resolve_architecture("timm", name).canonical()


def test_a_convolutional_network_has_no_place_to_choose() -> None:
    told = re.escape("norm_where is for transformers")
    with pytest.raises(InputError, match=told):
        create_model("timm", model="resnet10t", norm_where="all", norm="l2bn", num_classes=3, image_size=32)
    with pytest.raises(InputError, match="norm_where"):
        create_model("resnet20", norm_where="all", norm="l2bn", num_classes=3, image_size=32)
