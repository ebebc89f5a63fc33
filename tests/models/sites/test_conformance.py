"""Every accepted pair of a family and a position embedding (PE) of other sites than tokens, with every joining method.

It walks the registries: a new PE and a new family are held to it too. Joining methods, and programs that torch compiles
or exports, are marked slow, but for a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import FAMILIES, resolve_architecture
from suite.models.backbone_size import BackboneSize
from suite.models.costs.macs import count_macs
from suite.models.joins import JOINS
from suite.models.layers.dropout import masks_from
from suite.models.layers.sparing import sparing
from suite.models.levels import Cell, refusal
from suite.models.model import Model
from suite.models.positions import ATTENTION_LOGITS, BLOCK_OUTPUT, POSITIONS, QUERIES_AND_KEYS, TOKENS
from suite.models.region_size import RegionSize
from suite.models.sites.site import ContextualBias, Site
from suite.registry import resolve

_PLAIN: dict[str, Any] = {
    "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5, "attn_drop": 0.0, "drop_path": 0.0, "patch_size": 8,
}  # fmt: skip
_OTHERS: dict[str, dict[str, Any]] = {
    "vit_late": {"depth": 3},
    "cct": {"conv_kernel": 3, "conv_stride": 2, "conv_padding": 1, "conv_layers": 2},
    "t2t_vit": {"token_dim": 4},
    "ceit": {"patch_size": 2},
    "swin": {"patch_size": 2, "depth": (2, 2), "num_heads": (2, 4), "window_size": 4},
}
SIDE = 24
IN_BLOCKS = [name for name, position in POSITIONS.items() if set(position.sites) - {TOKENS}]
ALONE = [name for name in IN_BLOCKS if not POSITIONS[name].absolute]
# Families with trained blocks of their own: where the backbone is another family, a position acts as in that one.
TRANSFORMERS = [
    name
    for name, family in FAMILIES.items()
    if BLOCK_OUTPUT in family.sites and not issubclass(family.size, RegionSize | BackboneSize)
]
ALL = [
    (family, pe, join)
    for family, pe, join in product(TRANSFORMERS, IN_BLOCKS, JOINS)
    if JOINS[join].refuses_position(pe) is None
]
BY_DEFAULT = {
    (family, pe, join) for family, pe, join in ALL if pe in ALONE or (join == "lape" and family in {"deit", "swin"})
}
CASES = [pytest.param(*case, marks=() if case in BY_DEFAULT else pytest.mark.slow) for case in ALL]


def sizes(family: str) -> dict[str, Any]:
    fields = FAMILIES[family].size.model_fields
    return {key: value for key, value in {**_PLAIN, **_OTHERS.get(family, {})}.items() if key in fields}


def build(family: str, pe: str, join: str = "default", **changes: Any) -> Model:
    torch.manual_seed(3)
    given = {**sizes(family), **changes}
    side = 16 if family == "swin" else 48 if family == "ceit" else SIDE
    return create_model(family, pe=pe, join=join, num_classes=5, image_size=side, **given)


def disturbed(model: Model) -> Model:
    """With parameters of the position that aren't zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("position.") and parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) / 4)
    return model


def images(model: Model, count: int = 3) -> Tensor:
    shape = (count, 3, model.image_size, model.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def logits(out: Any) -> Tensor:
    """Of all heads."""
    return torch.cat(out) if isinstance(out, tuple) else out


def trained(model: nn.Module, batch: Tensor) -> Tensor:
    """The logits in training mode. T2T-ViT's tokens have dropout."""
    torch.manual_seed(8)
    return logits(model(batch))


@pytest.mark.parametrize(("family", "pe", "join"), CASES)
def test_it_acts_and_trains(family: str, pe: str, join: str) -> None:
    plain, model = build(family, "none"), build(family, pe, join)
    # Adding a PE changes no other parameter's draw, and its own have names that say so.
    others = {name: value for name, value in model.named_parameters() if not name.startswith("position.")}
    assert others.keys() == {name for name, _ in plain.named_parameters()}
    assert all(torch.equal(value, others[name]) for name, value in plain.named_parameters())

    disturbed(model)
    batch = images(model)
    before = trained(model, batch)
    before.square().mean().backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.requires_grad}
    assert all(grad is not None and grad.isfinite().all() for grad in gradients.values()), gradients.keys()
    assert all(grad.any() for name, grad in gradients.items() if ".outputs." in name or ".rotations." in name)  # type: ignore[union-attr]
    model.zero_grad()
    with sparing():
        spared = trained(model, batch)
        spared.square().mean().backward()
    torch.testing.assert_close(spared, before, atol=1e-5, rtol=1e-4)
    for name, gradient in gradients.items():
        torch.testing.assert_close(model.get_parameter(name).grad, gradient, atol=1e-5, rtol=1e-3, msg=name)
    torch.optim.SGD(model.parameters(), lr=0.002).step()
    assert trained(model, batch).square().mean() < before.square().mean()

    model.eval()
    plain.eval()
    with torch.no_grad():
        found = model(batch)
        assert (found - plain(batch)).abs().max() > 1e-6
        again = build(family, pe, join).eval()
        again.load_state_dict(model.state_dict(), strict=True)
        assert torch.equal(again(batch), found)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(batch).float()
    assert (rough - found).abs().max() <= 0.03 * found.abs().max()


@pytest.mark.parametrize("pe", IN_BLOCKS)
def test_its_modules_act_where_it_says(pe: str) -> None:
    position = POSITIONS[pe]
    modules = {ATTENTION_LOGITS: position.bias, QUERIES_AND_KEYS: position.rotation, BLOCK_OUTPUT: position.after}
    for site, code in modules.items():
        assert bool(code) == (site in position.sites)
        if code:
            made: type[Site] = resolve(code)
            assert made.site == site
            names = [name for name, _ in build("cvt", pe).named_parameters() if name.startswith("position.")]
            assert made.per_block or all(".tables." in name for name in names)


def permuted(batch: Tensor, order: list[int]) -> Tensor:
    """Images of 3×3 patches of 8×8 pixels, with the patches in another order."""
    patches = batch.unflatten(2, (3, 8)).unflatten(4, (3, 8)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)[:, order]
    return patches.unflatten(1, (3, 3)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


@pytest.mark.parametrize("family", ["deit", "cvt"])
@pytest.mark.parametrize("pe", ["none", *ALONE])
@torch.no_grad()
def test_it_is_all_that_tells_patches_apart(pe: str, family: str) -> None:
    model = disturbed(build(family, pe)).double().eval()
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)) / 10)
    batch = images(model).double()
    moved = model(permuted(batch, [4, 0, 2, 1, 8, 3, 7, 5, 6]))
    assert torch.allclose(moved, model(batch), atol=1e-9, rtol=0) == (pe == "none")


@pytest.mark.parametrize("pe", ALONE)
def test_several_models_train_as_one_program(pe: str) -> None:
    models = [disturbed(build("deit", pe)) for _ in range(2)]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1.1)
    batch = images(models[0])
    parameters, buffers = stack_module_state(list(models))

    def run(weights: Any, held: Any) -> Tensor:
        return logits(functional_call(models[0], (weights, held), (batch,)))

    with masks_from([torch.Generator(), torch.Generator()]):
        stacked = torch.vmap(run)(parameters, buffers)
    for model, found in zip(models, stacked, strict=True):
        torch.testing.assert_close(found, logits(model(batch)), atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(stacked.square().sum(), [parameters["blocks.0.attention.qkv.weight"]])
    assert gradient.isfinite().all()


@pytest.mark.parametrize("pe", ALONE)
@pytest.mark.parametrize("family", ["resnet_cifar", "resnet", "mobilenet_v2"])
def test_a_family_without_its_site_is_refused(family: str, pe: str) -> None:
    small = {"blocks": 1} if family == "resnet_cifar" else {"blocks": (1, 1, 1, 1), "bottleneck": False}
    arch = resolve_architecture(family, small if "resnet" in family else {})
    error = refusal(POSITIONS, Cell(arch, 32, {"pe": pe}))
    assert isinstance(error, InputError)
    (problem,) = error.problems
    assert problem.what == f"pe {pe!r} acts at {POSITIONS[pe].sites[0]}, a site that arch {family} doesn't have"
    assert problem.fix == "choose pe none"


@pytest.mark.parametrize("pe", ALONE)
@pytest.mark.parametrize("family", ["deit", "swin"])
def test_a_program_can_be_traced_symbolically(family: str, pe: str) -> None:
    """As timm's users trace models in evaluation: nothing in attention asks for values that only a run has."""
    model = disturbed(build(family, pe)).eval()
    traced = torch.fx.symbolic_trace(model, concrete_args={"watched": ()})
    with torch.no_grad():
        torch.testing.assert_close(traced(images(model), ()), model(images(model)))


@pytest.mark.parametrize("pe", ALONE)
def test_its_cost_is_counted(pe: str) -> None:
    """Products with vectors of buckets, and convolutions; what is added or turned is free."""
    plain, model = build("deit", "none"), build("deit", pe)
    added = count_macs(model, SIDE, 3) - count_macs(plain, SIDE, 3)
    assert added == {"irpe_product": 2 * 10 * 16 * 50, "cpe": 9 * 16 * 9}.get(pe, 0)


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_models() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "pe"), list(product(TRANSFORMERS, ALONE)))
def test_compiles_without_a_graph_break_and_exports(family: str, pe: str) -> None:
    model = disturbed(build(family, pe))
    batch = images(model)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")  # fullgraph: a graph break is an error
    out = trained(compiled, batch)
    torch.testing.assert_close(out, trained(model, batch), atol=1e-5, rtol=1e-4)
    out.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    model.eval()
    with torch.no_grad():
        expected = model(batch)
        exported: nn.Module = torch.export.export(model, (batch,)).module()
        torch.testing.assert_close(exported(batch), expected, atol=1e-5, rtol=1e-5)


def test_contextual_biases_depend_on_the_image_and_others_do_not() -> None:
    for pe in (name for name in ALONE if ATTENTION_LOGITS in POSITIONS[name].sites):
        at = disturbed(build("deit", pe)).position().blocks[0]  # type: ignore[operator]
        assert (at.bias is None) == isinstance(at.contextual, ContextualBias)
