"""What each joining method computes, against the paper's formulas written a second time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from suite.models.families.transformer import VisionTransformer
from suite.models.joins import JOINS
from suite.models.positions import POSITIONS, TOKENS

ARCHS = ("deit", "deit_distilled", "vit_lite", "cvt", "cct", "t2t_vit", "ceit")
COMPACT = ("vit_lite", "cvt", "cct")
# Registered joins and PEs that go together; tests/models/sites has the PEs of other sites than tokens.
COMBINATIONS = [
    (pe, join)
    for pe, join in product(POSITIONS, JOINS)
    if JOINS[join].refuses_position(pe) is None and (set(POSITIONS[pe].sites) <= {TOKENS} or "rpe2d" in pe)
]
ABSOLUTE = [(pe, join) for pe, join in COMBINATIONS if set(POSITIONS[pe].sites) <= {TOKENS}]


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
    prefix = [model.class_token, getattr(model, "distillation_token", None)]
    return torch.cat([*(token.repeat(len(x), 1, 1) for token in prefix if token is not None), x], 1)


def chain(w: list[Tensor], maps: Any, block: int) -> Tensor:
    """Eq. 11: LN_l(… LN_1(LN_0(ω)))."""
    omega = w[0]
    for layer in maps[: block + 1]:
        omega = normalised(omega, layer)
    return omega


def chained(step: Callable[[Tensor, Any], Any]) -> Callable[..., Any]:
    """Table 8: the chain of Eq. 11 with another step."""

    def omega(w: list[Tensor], maps: Any, block: int) -> Tensor:
        value = w[0]
        for layer in maps[: block + 1]:
            value = step(value, layer)
        return value

    return omega


def standardised(x: Tensor, layer: Any) -> Tensor:
    """Norm of Table 8: LayerNorm without γ and β."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt()


def nothing(w: list[Tensor], *more: Any) -> int:
    return 0


@dataclass
class Formula:
    """What is added to the tokens, to the stream before a block, within its LN_x, and to LN_x's output."""

    stem: Callable[..., Any] = nothing
    stream: Callable[..., Any] = nothing
    inside: Callable[..., Any] = nothing
    branch: Callable[..., Any] = nothing


FORMULAS = {
    "default": Formula(stem=lambda w: w[0]),
    "shared": Formula(stream=lambda w, block: w[0]),
    "shared_paper": Formula(inside=lambda w, block: w[0]),
    "unshared": Formula(stream=lambda w, block: w[block]),
    "unshared_paper": Formula(inside=lambda w, block: w[block]),
    "lape_shared": Formula(branch=lambda w, maps, block: normalised(w[0], maps[block])),
    "lape": Formula(branch=chain),
    "pe_identity": Formula(branch=chained(lambda x, layer: x)),
    "pe_scalar": Formula(branch=chained(lambda x, layer: layer.weight.item() * x)),
    "pe_scale": Formula(branch=chained(lambda x, layer: layer.weight * x)),
    "pe_affine": Formula(branch=chained(lambda x, layer: layer.weight * x + layer.bias)),
    "pe_norm": Formula(branch=chained(standardised)),
    "pe_scalar_norm": Formula(branch=chained(lambda x, layer: layer.weight.item() * standardised(x, layer))),
    "pe_scale_norm": Formula(branch=chained(lambda x, layer: layer.weight * standardised(x, layer))),
}


def test_every_join_has_a_formula_here() -> None:
    assert FORMULAS.keys() == JOINS.keys()


@pytest.mark.parametrize("join", FORMULAS)
@pytest.mark.parametrize("arch", ARCHS)
def test_what_attention_sees(arch: str, join: str, small: Any, images: Tensor) -> None:
    model = small(arch, join=join).eval()
    disturb(model)
    formula = FORMULAS[join]
    w, maps = list(model.position.tables), list(model.position.maps)
    seen = observe(model, images)

    torch.testing.assert_close(seen["block"][0], tokens(model, images) + formula.stem(w), atol=1e-5, rtol=1e-5)
    for index, block in enumerate(model.blocks):
        x = seen["block"][index] + formula.stream(w, index)
        expected = normalised(x + formula.inside(w, index), block.norm1) + formula.branch(w, maps, index)
        torch.testing.assert_close(seen["attention"][index], expected, atol=1e-5, rtol=1e-5)
        # The MLP sees the normalised stream, in which a block's own position is only if it joined the stream.
        after = x + block.attention(seen["attention"][index])
        torch.testing.assert_close(seen["norm2"][index], after, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(seen["mlp"][index], normalised(after, block.norm2), atol=1e-5, rtol=1e-5)
        if index + 1 < len(model.blocks):
            residual = normalised(after, block.norm2) if arch in COMPACT else after
            following = residual + block.mlp(seen["mlp"][index])
            torch.testing.assert_close(seen["block"][index + 1], following, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("join", "times"), [("default", 1), ("shared", 3), ("shared_paper", 0), ("lape", 0)])
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
            # The class token has no relative bias, and the last block's other queries reach no logit.
            assert parameter.grad.any() != (name == "position.biases.2.table"), name
    model.eval()
    with torch.no_grad():
        before = model(images)
        for table in model.position.tables:
            table.copy_(table.flip(1))
        for bias in model.position.biases:
            bias.table.normal_()
        assert torch.equal(before, model(images)) == (pe == "none")


def permuted(images: Tensor, order: list[int]) -> Tensor:
    """Images of 3×3 patches of 5×5 pixels, with the patches in another order."""
    batch, channels = images.shape[:2]
    patches = images.reshape(batch, channels, 3, 5, 3, 5).permute(0, 2, 4, 1, 3, 5).reshape(batch, 9, channels, 5, 5)
    patches = patches[:, order].reshape(batch, 3, 3, channels, 5, 5)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


@pytest.mark.parametrize("arch", ["deit", "vit_lite", "cvt"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(9)), combination=st.sampled_from(ABSOLUTE))
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
        joined = model.position()
    assert {x.dtype for x in (*seen["block"], *seen["attention"])} == {torch.float32}
    terms = (term for block in joined.blocks for term in (block.stream, block.inside, block.branch))
    assert {term.dtype for term in terms if term is not None} <= {torch.float32}
    torch.testing.assert_close(seen["logits"][0].float(), exact["logits"][0], atol=2e-2, rtol=2e-2)


def test_facts_about_models_need_no_torch() -> None:
    code = (
        "import sys, suite.models, suite.models.joins, suite.models.norms, suite.models.positions, "
        "suite.models.architectures, suite.models.sizes; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
