"""What each joining method computes, against the paper's formulas written a second time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from suite.models.joins import JOINS
from suite.models.positions import POSITIONS
from suite.models.transformer import VisionTransformer

ARCHS = ("deit", "vit_lite", "cvt", "cct")
# Registered joins and PEs that go together.
COMBINATIONS = [(pe, join) for pe, join in product(POSITIONS, JOINS) if JOINS[join].refuses(pe) is None]


def normalised(x: Tensor, layer: Any) -> Any:
    """LayerNorm from its definition."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt() * layer.weight + layer.bias


def disturb(model: VisionTransformer) -> None:
    """Random values for all that starts at 0 or 1 and could hide an error."""
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)


def observe(model: VisionTransformer, images: Tensor) -> dict[str, list[Tensor]]:
    """The input of each block, attention, norm2 and MLP in a forward, and its logits."""
    seen: dict[str, list[Tensor]] = {"block": [], "attention": [], "norm2": [], "mlp": []}
    hooks = []
    for block in model.blocks:
        parts: dict[str, Any] = {"block": block, "attention": block.attention, "norm2": block.norm2, "mlp": block.mlp}
        for kind, part in parts.items():
            hooks.append(part.register_forward_pre_hook(lambda _, inputs, kind=kind: seen[kind].append(inputs[0])))
    with torch.no_grad():
        seen["logits"] = [model(images)]
    for hook in hooks:
        hook.remove()
    return seen


def tokens(model: VisionTransformer, images: Tensor) -> Tensor:
    x: Tensor = model.tokenizer(images)
    return x if model.class_token is None else torch.cat([model.class_token.repeat(len(x), 1, 1), x], 1)


def chain(w: list[Tensor], maps: Any, block: int) -> Tensor:
    """Eq. 11: LN_l(… LN_1(LN_0(ω)))."""
    omega = w[0]
    for layer in maps[: block + 1]:
        omega = normalised(omega, layer)
    return omega


# Per join: what is added to the tokens, to the stream before a block, and to LN_x(x) before its attention.
FORMULAS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "default": (lambda w: w[0], lambda w, block: 0, lambda w, maps, block: 0),
    "shared": (lambda w: 0, lambda w, block: w[0], lambda w, maps, block: 0),
    "unshared": (lambda w: 0, lambda w, block: w[block], lambda w, maps, block: 0),
    "lape_shared": (lambda w: 0, lambda w, block: 0, lambda w, maps, block: normalised(w[0], maps[block])),
    "lape": (lambda w: 0, lambda w, block: 0, chain),
}


def test_every_join_has_a_formula_here() -> None:
    assert FORMULAS.keys() == JOINS.keys()


@pytest.mark.parametrize("join", FORMULAS)
@pytest.mark.parametrize("arch", ARCHS)
def test_what_attention_sees(arch: str, join: str, small: Any, images: Tensor) -> None:
    model = small(arch, join=join).eval()
    disturb(model)
    stem, stream, branch = FORMULAS[join]
    w, maps = list(model.position.tables), list(model.position.maps)
    seen = observe(model, images)

    torch.testing.assert_close(seen["block"][0], tokens(model, images) + stem(w), atol=1e-5, rtol=1e-5)
    for index, block in enumerate(model.blocks):
        x = seen["block"][index] + stream(w, index)
        expected = normalised(x, block.norm1) + branch(w, maps, index)
        torch.testing.assert_close(seen["attention"][index], expected, atol=1e-5, rtol=1e-5)
        # The MLP sees the normalised stream, in which a block's own position is only if it joined the stream.
        after = x + block.attention(seen["attention"][index])
        torch.testing.assert_close(seen["norm2"][index], after, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(seen["mlp"][index], normalised(after, block.norm2), atol=1e-5, rtol=1e-5)
        if index + 1 < len(model.blocks):
            residual = after if arch == "deit" else normalised(after, block.norm2)
            following = residual + block.mlp(seen["mlp"][index])
            torch.testing.assert_close(seen["block"][index + 1], following, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("join", "times"), [("default", 1), ("shared", 3), ("lape_shared", 0), ("lape", 0)])
def test_how_often_the_stream_of_a_pre_norm_model_holds_the_position(
    join: str, times: int, small: Any, images: Tensor
) -> None:
    model = small("deit", join=join).eval()
    with torch.no_grad():
        for block in model.blocks:
            for branch in (block.attention.proj, block.mlp.fc2):
                branch.weight.zero_()
    final: list[Tensor] = []
    model.norm.register_forward_pre_hook(lambda _, inputs: final.append(inputs[0]))
    model(images)
    torch.testing.assert_close(final[0], tokens(model, images) + times * model.position.tables[0])


@pytest.mark.parametrize(("pe", "join"), COMBINATIONS)
def test_every_combination_trains_and_its_position_matters(pe: str, join: str, small: Any, images: Tensor) -> None:
    model = small("vit_lite", pe=pe, join=join)
    logits = model(images)
    assert logits.shape == (5, 11)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name
    model.eval()
    with torch.no_grad():
        before = model(images)
        for table in model.position.tables:
            table.copy_(table.flip(1))
        assert torch.equal(before, model(images)) == (pe == "none")


def permuted(images: Tensor, order: list[int]) -> Tensor:
    """Images of 3×3 patches of 5×5 pixels, with the patches in another order."""
    batch, channels = images.shape[:2]
    patches = images.reshape(batch, channels, 3, 5, 3, 5).permute(0, 2, 4, 1, 3, 5).reshape(batch, 9, channels, 5, 5)
    patches = patches[:, order].reshape(batch, 3, 3, channels, 5, 5)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


@pytest.mark.parametrize("arch", ["deit", "vit_lite", "cvt"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(9)), combination=st.sampled_from(COMBINATIONS))
def test_position_is_all_that_tells_patches_apart(
    arch: str, order: list[int], combination: tuple[str, str], small: Any, images: Tensor
) -> None:
    """Patches that move together with their rows of the tables give the same logits."""
    pe, join = combination
    model = small(arch, pe=pe, join=join).eval()
    prefix = int(model.class_token is not None)
    rows = [*range(prefix), *(prefix + patch for patch in order)]
    with torch.no_grad():
        expected = model(images)
        for table in model.position.tables:
            table.copy_(table[:, rows])
        torch.testing.assert_close(model(permuted(images, order)), expected, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("arch", ARCHS)
def test_half_precision_changes_no_join_more_than_another(arch: str, join: str, small: Any, images: Tensor) -> None:
    """The residual stream and the position stay float32 under autocast, whatever the join."""
    model = small(arch, join=join).eval()
    exact = observe(model, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = observe(model, images)
        terms = model.position()
    assert {x.dtype for x in (*seen["block"], *seen["attention"])} == {torch.float32}
    assert {x.dtype for x in (*terms.stream, *terms.branch)} <= {torch.float32}
    torch.testing.assert_close(seen["logits"][0].float(), exact["logits"][0], atol=2e-2, rtol=2e-2)


def test_facts_about_models_need_no_torch() -> None:
    code = (
        "import sys, suite.models, suite.models.joins, suite.models.norms, suite.models.positions, "
        "suite.models.architectures; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
