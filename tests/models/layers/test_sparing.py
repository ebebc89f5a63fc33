"""What is left out has no effect: sparing models give the same logits and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from suite.models import create_model
from suite.models.embedding import BlockTerms
from suite.models.layers.attention import PackedAttention
from suite.models.layers.blocks import MLP, Attention
from suite.models.layers.dropout import add_branch, masks_from, packed_attention
from suite.models.layers.sparing import first, spares, sparing

FAMILIES = ["vit_lite", "cvt", "cct", "deit", "deit_distilled", "vit_late", "ceit"]
# No dropout: spared or not, a model draws other masks.
SMALL: dict[str, Any] = {
    "embed_dim": 16, "depth": 3, "num_heads": 2, "mlp_ratio": 2, "attn_drop": 0.0, "drop_path": 0.0,
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "cct": {"conv_kernel": 3, "conv_stride": 2, "conv_padding": 1, "conv_layers": 1},
    "t2t_vit": {"token_dim": 8},
    "ceit": {"patch_size": 2},
}
PATCHED = {"patch_size": 4}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.double)


def built(family: str, join: str = "lape", **sizes: Any) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(
        family, pe="learnable", join=join, num_classes=5, image_size=16, **SMALL, **SIZES.get(family, PATCHED), **sizes
    ).double()
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3)
    return model


def trained(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits of a step, and the gradients."""
    model.zero_grad()
    out = model.train()(drawn(1, 6, 3, 16, 16))
    logits = torch.cat(out) if isinstance(out, tuple) else out
    cross_entropy(logits, torch.arange(len(logits)) % 5).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_nothing_is_spared_unless_it_is_asked_for() -> None:
    assert not spares()
    with sparing():
        assert spares()
        with sparing():
            assert spares()
        assert spares()
    assert not spares()


@pytest.mark.parametrize("join", ["default", "lape", "unshared"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_the_same(family: str, join: str) -> None:
    model = built(family, join)
    whole, gradients = trained(model)
    with sparing():
        spared, others = trained(model)
    assert torch.allclose(whole, spared, rtol=0, atol=1e-12)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, others[name], rtol=1e-9, atol=1e-12), name


def test_a_relative_position_too() -> None:
    model = create_model(
        "deit", pe="learnable+rpe2d", join="lape", num_classes=5, image_size=16, qkv_bias=True, **SMALL, **PATCHED
    ).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    whole, gradients = trained(model)
    with sparing():
        spared, others = trained(model)
    assert torch.allclose(whole, spared, rtol=0, atol=1e-12)
    assert any("biases" in name for name in gradients)
    assert all(torch.allclose(gradients[name], others[name], rtol=1e-9, atol=1e-12) for name in gradients)


def test_of_single_precision_too() -> None:
    """T2T-ViT's random features are float32."""
    model = built("t2t_vit").float().eval()  # its token stages have a dropout of their own
    images = drawn(1, 6, 3, 16, 16).float()
    whole = model(images)
    with sparing():
        assert torch.allclose(whole, model(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("family", "tokens"), [("vit_lite", 1), ("deit_distilled", 2), ("cvt", 16)])
def test_the_last_block_has_the_tokens_that_the_head_reads(family: str, tokens: int) -> None:
    model, seen = built(family), []
    last = [module for module in model.modules() if isinstance(module, MLP)][-1]
    last.register_forward_hook(lambda module, given, out: seen.append(given[0].shape[1]))
    with sparing():
        trained(model)
    trained(model)
    assert seen == [tokens, {"vit_lite": 17, "deit_distilled": 18, "cvt": 16}[family]]


def test_tests_are_the_same() -> None:
    model = built("vit_lite").eval()
    with torch.inference_mode():
        whole = model(drawn(1, 6, 3, 16, 16))
        with sparing():
            assert torch.allclose(whole, model(drawn(1, 6, 3, 16, 16)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_packed_attention_is_attention(biased: bool, masked: bool) -> None:
    """Against the formula, of each head and image alone; and its gradients, numerically."""
    batch, tokens, heads, width = 2, 5, 3, 4
    packed = drawn(0, batch, tokens, 3 * heads * width).requires_grad_()
    bias = drawn(1, heads, tokens, tokens).requires_grad_() if biased else None
    mask = (drawn(2, heads, batch, tokens, tokens) > 0).double() * 2 if masked else None
    out, _ = PackedAttention.apply(packed, heads, bias, mask)
    for image in range(batch):
        for head in range(heads):
            q, k, v = (
                packed[image, :, (part * heads + head) * width : (part * heads + head + 1) * width] for part in range(3)
            )
            weights = (q @ k.T / width**0.5 + (0 if bias is None else bias[head])).softmax(dim=1)
            weights = weights if mask is None else weights * mask[head, image]
            assert torch.allclose(out[image, :, head * width : (head + 1) * width], weights @ v, atol=1e-12)
    given = (packed, bias) if biased else (packed,)
    assert torch.autograd.gradcheck(
        lambda packed, bias=None: PackedAttention.apply(packed, heads, bias, mask)[0],
        given,
        fast_mode=True,
        check_undefined_grad=False,
    )


def test_masks_of_packed_attention_are_at_the_rate_and_of_the_named_generator() -> None:
    """With v all ones, what comes out is the sum of the weights that are kept, scaled."""
    packed = torch.zeros(64, 32, 3 * 2 * 4)
    packed[:, :, 16:] = 1
    outs = []
    for seed in (1, 1, 2):
        with masks_from([seeded(seed)]):
            outs.append(packed_attention(packed, 2, None, 0.1))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    kept = outs[0] * 32 * 0.9  # of 32 weights
    assert torch.allclose(kept, kept.round(), atol=1e-3)
    assert abs(kept.mean().item() / 32 - 0.9) < 0.005
    assert 1.3 < kept[:, :, ::4].std() < 2.1  # of a binomial distribution: 1.70


@pytest.mark.parametrize("rate", [1e-9, 0.5, 1 - 1e-9])
def test_a_dropped_branch_is_not_computed(rate: float) -> None:
    """All samples are kept, some, or none; the sum and the gradients are those of a mask."""
    weight, seen = drawn(3, 4, 4).requires_grad_(), []

    def branch(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x @ weight

    stream, x = drawn(4, 8, 3, 4).requires_grad_(), drawn(5, 8, 3, 4).requires_grad_()
    with masks_from([seeded(0)]):
        out = add_branch(stream, branch, x, rate)
    mask = torch.empty(8, dtype=torch.double).bernoulli_(1 - rate, generator=seeded(0))[:, None, None] / (1 - rate)
    assert seen == [int((mask > 0).sum())]
    assert seen[0] == {1e-9: 8, 1 - 1e-9: 0}.get(rate, seen[0])
    expected = stream + (x @ weight) * mask
    assert torch.allclose(out, expected)
    ours, theirs = (torch.autograd.grad(made.square().sum(), (stream, x, weight)) for made in (out, expected))
    assert all(torch.allclose(one, other) for one, other in zip(ours, theirs, strict=True))


def test_the_first_tokens() -> None:
    x = drawn(0, 2, 3, 4)
    assert first(x, None) is x
    assert torch.equal(first(x, 2), x[:, :2])


def test_queries_of_the_first_tokens() -> None:
    for bias in (False, True):
        torch.manual_seed(0)
        attention = Attention(8, 2, qkv_bias=bias, drop=0.0).double()
        x, turn = drawn(1, 2, 5, 8), torch.stack([drawn(3, 2, 5, 2).cos(), drawn(3, 2, 5, 2).sin()], dim=-1)
        at = BlockTerms(bias=drawn(2, 2, 5, 5), turn=turn)
        assert torch.allclose(attention.of_first(x, at, 2), attention(x, at)[:, :2])
