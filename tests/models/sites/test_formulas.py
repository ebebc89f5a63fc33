"""Each position embedding against its published formula, in attention of all families and in attention windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from suite.models import create_model
from suite.models.families.swin import Swin, WindowAttention
from suite.models.families.transformer import VisionTransformer
from suite.models.layers.blocks import Attention
from suite.models.layers.sparing import sparing
from tests.models.sites.reference import Logit, Patch, Turn, attended, patches

HEADS, HEAD_WIDTH = 3, 8
SIZE: dict[str, Any] = {
    "embed_dim": HEADS * HEAD_WIDTH, "num_heads": HEADS, "depth": 2, "mlp_ratio": 1.5, "drop_path": 0.0,
    "attn_drop": 0.0, "qkv_bias": True, "num_classes": 3,
}  # fmt: skip
ROPE, LOGITS = ("rope2d", "rope_mixed"), ("rpe2d", "alibi2d", "irpe_product")
PREFIX = {"deit": 1, "deit_distilled": 2, "vit_lite": 1, "cvt": 0, "ceit": 1}


def axial(head: int, patch: Patch) -> list[float]:
    """RoPE-ViT: e^(iθ_t x) for a quarter of the channels' pairs, e^(iθ_t y) for the next; θ_t = 100^(-t/(d/4))."""
    (y, x), quarter = patch, HEAD_WIDTH // 4
    theta = [100 ** (-t / quarter) for t in range(quarter)]
    return [x * value for value in theta] + [y * value for value in theta]


def formula(pe: str, position: Any, block: int, at: list[Patch | None]) -> dict[str, Turn | Logit]:
    """What `attended` needs for a PE of one block."""
    if pe == "rope2d":
        return {"turn": axial}
    if pe == "rope_mixed":
        along_x, along_y = position.rotations[block].frequencies.tolist()
        return {
            "turn": lambda head, patch: [
                patch[1] * x + patch[0] * y for x, y in zip(along_x[head], along_y[head], strict=True)
            ]
        }

    def logit(head: int, query: int, key: int, q: Tensor, k: Tensor) -> float:
        one, other = at[query], at[key]
        dy, dx = (0, 0) if one is None or other is None else (one[0] - other[0], one[1] - other[1])
        if pe == "irpe_product":
            table = position.biases[block].table
            column = 49 if one is None or other is None else (bucket(dy) + 3) * 7 + bucket(dx) + 3
            return float(q @ table[:, column]) / math.sqrt(HEAD_WIDTH)
        if one is None or other is None:
            return 0.0
        if pe == "alibi2d":
            return -(2.0 ** (-4, -8, -2)[head]) * math.sqrt(dy**2 + dx**2)
        rows, columns = max(p[0] for p in at if p) + 1, max(p[1] for p in at if p) + 1
        return float(position.biases[block].table[(dy + rows - 1) * (2 * columns - 1) + dx + columns - 1, head])

    return {"logit": logit}


def bucket(offset: int) -> int:
    """iRPE's piecewise index function with α, β, γ = 1.9, 3.8, 15.2, and at most 3 = ⌊β⌋, as released."""
    if abs(offset) <= 1.9:
        return offset
    far = round(1.9 + math.log(abs(offset) / 1.9) / math.log(15.2 / 1.9) * (3.8 - 1.9))
    return int(math.copysign(min(far, 3), offset))


def disturbed(model: Any) -> Any:
    """In double precision, with parameters that are neither zero nor small."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) / 3)
    return model.double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.double)


def ways() -> Iterator[tuple[str, bool, Any]]:
    """Evaluation, training of the complete model, and training that skips what the loss doesn't need."""
    yield "evaluation", False, nullcontext()
    yield "training", True, nullcontext()
    yield "sparing", True, sparing()


@pytest.mark.parametrize("family", PREFIX)
@pytest.mark.parametrize("pe", [*ROPE, *LOGITS])
def test_attention_follows_the_formula(pe: str, family: str) -> None:
    sizes = {**SIZE, "image_size": 12} if family != "ceit" else {**SIZE, "image_size": 48}
    model = cast(VisionTransformer, disturbed(create_model(family, pe=pe, patch_size=4, **sizes)))
    prefix, grid = PREFIX[family], model.position.grid
    assert grid == (3, 3)
    at: list[Patch | None] = [None] * prefix + patches(*grid)  # type: ignore[operator]
    x = random(1, len(at), HEADS * HEAD_WIDTH)
    terms = model.position().blocks[1]
    attention = cast(Attention, model.blocks[1].attention)
    kinds: Any = formula(pe, model.position, 1, at)
    expected, plain = attended(attention, x[0], at, **kinds), attended(attention, x[0], at)
    assert (expected - plain).abs().max() > 1e-3
    for way, training, within in ways():
        attention.train(training)
        with within:
            found = attention(x, terms)[0].detach()
            first = attention.of_first(x, terms, 2)[0].detach()
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=2e-7, msg=way)  # θ and slopes are float32
        torch.testing.assert_close(first, expected[:2], rtol=1e-6, atol=2e-7, msg=way)


@pytest.mark.parametrize("pe", [*ROPE, *LOGITS])
def test_attention_in_shifted_windows_follows_the_formula(pe: str) -> None:
    """Each window by itself: its tokens have the rows and columns of the window, and no other window's keys."""
    sizes = {**SIZE, "depth": (2,), "num_heads": (HEADS,), "window_size": 2, "patch_size": 2, "image_size": 8}
    model = cast(Swin, disturbed(create_model("swin", pe=pe, **sizes)))
    position: Any = model.position[0]
    attention = cast(WindowAttention, model.stages[0][1].attention)  # type: ignore[index]
    assert attention.shift == 1
    x = random(1, 16, HEADS * HEAD_WIDTH)
    found = attention(x, position().blocks[1])[0].detach()
    # Of the sixteen tokens, the window in the middle has rows and columns 1 and 2, whose neighbours are real.
    inside = [1 * 4 + 1, 1 * 4 + 2, 2 * 4 + 1, 2 * 4 + 2]
    at: list[Patch | None] = list(patches(2, 2))
    kinds: Any = formula(pe, position, 1, at)
    expected = attended(attention, x[0, inside], at, **kinds)
    torch.testing.assert_close(found[inside], expected, rtol=1e-6, atol=2e-7)


def test_irpe_has_the_published_buckets() -> None:
    from suite.models.sites.bias import bucket_index

    found = bucket_index((14, 14), 1)
    assert found.shape == (197, 197)
    assert [bucket(offset) for offset in range(-5, 6)] == [-3, -3, -2, -2, -1, 0, 1, 2, 2, 3, 3]
    at: list[Patch | None] = [None, *patches(14, 14)]
    expected = [
        [49 if a is None or b is None else (bucket(a[0] - b[0]) + 3) * 7 + bucket(a[1] - b[1]) + 3 for b in at]
        for a in at
    ]
    assert found.tolist() == expected
