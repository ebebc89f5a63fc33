"""Where a norm of the axis stands in a model, and where the class token joins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.families.swin import Swin
from suite.models.joins import JOINS
from suite.models.normalisers.dtn import DynamicTokenNorm
from suite.models.norms import NORMS, normalised_blocks, pooling
from suite.models.sizes import WindowSize

GRIDDED = [name for name, norm in NORMS.items() if norm.grid]


def lengths(model: Any, images: Tensor) -> list[int]:
    """How many tokens each block sees."""
    seen: list[int] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape[1]))
    model(images)
    return seen


@pytest.mark.parametrize(
    ("arch", "norm", "expected"),
    [
        ("deit", "ln", [10, 10, 10, 10]),
        ("deit", "dtn", [9, 9, 10, 10]),
        ("deit", "bn", [10, 10, 10, 10]),
        ("vit", "ln", [10, 10, 10, 10]),
        ("vit", "dtn_release", [9, 9, 10, 10]),
        ("vit_late", "ln", [9, 9, 10, 10]),
        ("vit_late", "bn", [9, 9, 10, 10]),
        ("deit_distilled", "dtn_variance", [9, 9, 11, 11]),
        ("vit_lite", "dtn", [9, 9, 10, 10]),
        ("cvt", "dtn", [9, 9, 9, 9]),
    ],
)
def test_the_class_token_joins_where_no_norm_needs_a_grid_any_more(
    arch: str, norm: str, expected: list[int], small: Any, images: Tensor
) -> None:
    assert lengths(small(arch, depth=4, norm=norm), images) == expected


@pytest.mark.parametrize(
    "norm", [name for name, norm in NORMS.items() if norm.tokens and name != "ln" and norm.where == "inner"]
)
def test_the_last_two_blocks_and_the_head_keep_layer_norm(norm: str, small: Any) -> None:
    model = small("deit", depth=4, norm=norm)
    plain = [[isinstance(n, nn.LayerNorm) for n in (block.norm1, block.norm2)] for block in model.blocks]
    assert plain == [[False, False]] * 2 + [[True, True]] * 2
    assert isinstance(model.norm, nn.LayerNorm)


def test_in_a_pyramid_too_and_each_stage_has_its_own_grid() -> None:
    model = create_model("swin", pe="rpe2d", norm="dtn", embed_dim=4, depth=(1, 2, 1), num_heads=(1, 2, 4),
                         mlp_ratio=1, patch_size=1, window_size=4, num_classes=3, image_size=32)  # fmt: skip
    assert isinstance(model, Swin)
    blocks = [block for stage in model.stages for block in stage]  # type: ignore[attr-defined]
    norms = [[block.norm1, block.norm2] for block in blocks]
    assert [[isinstance(norm, DynamicTokenNorm) for norm in pair] for pair in norms] == [[True] * 2] * 2 + [
        [False] * 2
    ] * 2
    assert [(pair[0].grid, pair[0].heads, pair[0].cell) for pair in norms[:2]] == [((32, 32), 1, 2), ((16, 16), 2, 1)]


def test_blocks_with_the_norm_are_counted_over_stages() -> None:
    size = resolve_architecture("swin_tiny").size
    assert isinstance(size, WindowSize)
    assert list(normalised_blocks(size, 224, NORMS["dtn"])) == [
        ((56, 56), 2),
        ((28, 28), 2),
        ((14, 14), 6),
        ((7, 7), 0),
    ]
    assert [pooling((side, side)) for side in (1, 14, 16, 27, 28, 56, 64)] == [1, 1, 1, 1, 2, 4, 4]


@pytest.mark.parametrize("join", ["default", "shared", "unshared", "lape"])
@pytest.mark.parametrize("norm", GRIDDED)
def test_a_late_class_token_brings_its_own_row_of_the_position(
    join: str, norm: str, small: Any, images: Tensor
) -> None:
    """Its row isn't seen before, and is seen then; the rows of the patches are seen from the first block on."""
    model = small("deit", depth=4, norm=norm, join=join, drop_path=0.0).eval()
    outputs: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda *arguments: outputs.append(arguments[2]))

    def run() -> list[Tensor]:
        outputs.clear()
        with torch.no_grad():
            model(images)
        return list(outputs)

    before = run()
    with torch.no_grad():
        for table in model.position.tables:
            table[:, 0].normal_(std=3.0)
    after = run()
    assert all(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert not torch.allclose(before[2][:, 0], after[2][:, 0])
    with torch.no_grad():
        for table in model.position.tables:
            table[:, 1:].normal_(std=3.0)
    assert not torch.allclose(run()[0], after[0])


def test_in_the_stem_a_late_class_token_and_its_row_are_one_sum(small: Any, images: Tensor) -> None:
    model = small("vit_late", depth=4).eval()
    with torch.no_grad():
        expected = model(images)
        moved = torch.randn(28)
        model.class_token += moved
        assert not torch.allclose(model(images), expected)
        model.position.tables[0][:, 0] -= moved
        torch.testing.assert_close(model(images), expected)


def test_every_join_and_a_relative_bias_go_with_a_late_class_token(small: Any, images: Tensor) -> None:
    for join in JOINS:
        logits = small("deit", depth=3, norm="dtn", pe="learnable+rpe2d", join=join)(images)
        assert torch.isfinite(logits).all(), join


@pytest.mark.parametrize(("side", "width", "heads"), [(56, 64, 1), (28, 128, 2), (14, 320, 5), (7, 512, 8)])
def test_dtn_serves_the_stages_of_a_pyramid_of_pvts_sizes(side: int, width: int, heads: int) -> None:
    """The tokens, channels and heads of PVT's stages at 224 pixels: P is among 196 cells at most."""
    norm = DynamicTokenNorm(width, heads=heads, grid=(side, side))
    cells = min(side, 14) ** 2
    assert norm.shares().shape == (heads, cells, cells)
    x = torch.randn(1, side * side, width, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(norm(x), layer_norm(x, (width,)), atol=1e-3)
    with torch.no_grad():
        norm.gate.fill_(100.0)
    torch.testing.assert_close(norm(x), layer_norm(x, (width,)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("arch", "millions"),
    [("vit_tiny_h4_c192", 5.7), ("vit_small_h6_c384", 22.0), ("vit_small_h9_c432", 27.8), ("vit_base_h16_c768", 86.5)],
)
def test_dtns_models_have_the_published_numbers_of_parameters(arch: str, millions: float) -> None:
    """But for one: ViT-S has 22.04 M, where 22.1 is printed, as `lape verify --static` tells."""
    with torch.device("meta"):
        model = create_model(arch, pe="learnable", norm="dtn", num_classes=1000, image_size=224)
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == millions
