"""What every architecture × PE × joining method must do. It walks the registries: a new method is held to it too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import FAMILIES as ALL_FAMILIES
from suite.models.architectures import resolve_architecture
from suite.models.backbone_size import BackboneSize
from suite.models.joins import JOINS
from suite.models.levels import Cell, refusal
from suite.models.model import Model
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS, TOKENS
from suite.models.region_size import RegionSize
from suite.models.semantic_size import SemanticSize
from suite.models.sequence_size import SequenceSize
from suite.models.sizes import Size

# Those that classify images; files of families/ are of the others: sequence, segmenter, semantic and regions.
_OTHERS = (SequenceSize, SemanticSize, BackboneSize, RegionSize)
FAMILIES = {name: family for name, family in ALL_FAMILIES.items() if not issubclass(family.size, _OTHERS)}
_PLAIN: dict[str, Any] = {"embed_dim": 20, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5, "attn_drop": 0.1}
# Each family at a small size, for images of 3×16×16. A new family needs an entry here.
SIZES: dict[str, dict[str, Any]] = {
    "deit": {**_PLAIN, "patch_size": 8},
    "vit": {**_PLAIN, "patch_size": 8},
    "vit_late": {**_PLAIN, "depth": 3, "patch_size": 8},
    "deit_distilled": {**_PLAIN, "patch_size": 8},
    "vit_lite": {**_PLAIN, "patch_size": 8},
    "cvt": {**_PLAIN, "patch_size": 8},
    "cct": {**_PLAIN, "conv_kernel": 3, "conv_stride": 2, "conv_padding": 1, "conv_layers": 1},
    "t2t_vit": {**_PLAIN, "token_dim": 6},
    "ceit": {**_PLAIN, "patch_size": 2},
    "swin": {
        **_PLAIN, "patch_size": 2, "depth": (2, 2), "num_heads": (2, 5), "window_size": 4, "stage_position": "merge",
    },
    "resnet_cifar": {"blocks": 1, "channels": 6},
    "resnet": {"blocks": (1, 1, 1, 1), "bottleneck": True},
    "mobilenet_v2": {"width_multiple": 0.25, "drop": 0.1},
    "timm": {"model": "vit_tiny_patch16_224", "patch_size": 8, "embed_dim": 20, "depth": 3, "num_heads": 2},
}  # fmt: skip
TRANSFORMERS = [family for family in FAMILIES if issubclass(FAMILIES[family].size, Size)]
# tests/models/sites has the PEs of other sites than tokens.
COMBINATIONS = [
    (pe, join)
    for pe, join in product(POSITIONS, JOINS)
    if JOINS[join].refuses_position(pe) is None and (set(POSITIONS[pe].sites) <= {TOKENS} or "rpe2d" in pe)
]
SIDE = 16


def sizes(family: str, norm: str = "ln") -> dict[str, Any]:
    """The small size; of three blocks or more where the norm leaves the last two alone."""
    deeper = norm != "ln" and isinstance(SIZES[family].get("depth"), int)
    return {**SIZES[family], **({"depth": 3} if deeper else {})}


def is_refused(family: str, norm: str) -> InputError | None:
    return refusal(NORMS, Cell(resolve_architecture(family, sizes(family, norm)), SIDE, {"norm": norm}))


NORMED: list[tuple[str, tuple[str, ...]]] = [
    (
        family,
        (
            "learnable+rpe2d" if family in TRANSFORMERS else "none",
            "lape" if family in TRANSFORMERS else "default",
            norm,
        ),
    )
    for family, norm in product(FAMILIES, NORMS)
    # timm's model is asked below: it is built for the answer, and this is read by every process that collects tests.
    if norm != "ln" and not is_refused("vit" if family == "timm" else family, norm)
]
ACCEPTED = {(family, norm) for family, (_, _, norm) in NORMED}
EVERYTHING = [*product(TRANSFORMERS, COMBINATIONS), *NORMED]
# One join for each kind of term that a block is given. A block can't tell joins apart that give it the same kind.
KINDS = ("default", "shared", "shared_paper", "lape")
# By default: each position and join together in DeiT, and each family with each kind of term, position and norm. The
# other cases, where three levels meet that have met by twos, are marked slow.
PAIRS = {
    (family, combination)
    for family, combination in EVERYTHING
    if family == "deit"
    or (combination[0] == "learnable" and combination[1] in (*KINDS, "unshared"))
    or combination[1] == "default"
    or len(combination) == 3
}
# What differs in code.
DISTINCT = {
    *product(set(TRANSFORMERS) - {"vit", "vit_late"}, [("learnable+rpe2d", "lape"), ("sin2d", "default")]),  # as deit
    ("vit_late", ("learnable+rpe2d", "lape")),
    *(("deit", ("learnable", join)) for join in KINDS),
    *(("deit", ("learnable+rpe2d", "lape", norm)) for norm in ("dtn_release", "powernorm", "switchable")),
    ("swin", ("learnable+rpe2d", "lape", "dtn")),
    ("resnet_cifar", ("none", "default", "l2bn")),
}
# Compiling and exporting takes seconds: by default without the fixed position, which all families take as DeiT does,
# and without what is part of another case.
COMPILED = (
    DISTINCT
    - {(family, ("sin2d", "default")) for family in set(TRANSFORMERS) - {"deit"}}
    - {("swin", ("learnable+rpe2d", "lape")), ("deit", ("learnable+rpe2d", "lape", "dtn_release"))}  # DTN in Swin
)


def shallow(family: str, combination: tuple[str, ...]) -> dict[str, Any]:
    """As few blocks as have all kinds of code: of joins and norms, which tell blocks apart, as many as always."""
    if len(combination) == 3 or combination[0] == "learnable" or family == "vit_late":
        return {}
    return {"depth": (2, 1) if family == "swin" else 1} if family in TRANSFORMERS else {}


def cases(by_default: set[tuple[str, tuple[str, ...]]]) -> list[Any]:
    """All cases; those that aren't run by default are marked slow."""
    return [pytest.param(*case, marks=() if case in by_default else pytest.mark.slow) for case in EVERYTHING]


def build(family: str, pe: str, join: str, norm: str = "ln", **changes: Any) -> Model:
    torch.manual_seed(3)
    settings = {"pe": pe, "join": join, "norm": norm, "num_classes": 5, "image_size": SIDE}
    return create_model(family, **{**settings, **sizes(family, norm), **changes})


@cache
def plain_state(family: str, **sizes: Any) -> dict[str, Tensor]:
    """The weights of the family's model without a position, with its own norm."""
    return build(family, "none", "default", FAMILIES[family].norm, **sizes).state_dict()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def outputs(out: Any) -> Iterator[Tensor]:
    """The logits of each head."""
    yield from out if isinstance(out, tuple) else (out,)


def names(case: Any) -> str:
    return case if isinstance(case, str) else "-".join(case)


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_models() -> Iterator[None]:
    yield
    torch.compiler.reset()


def test_every_family_has_a_small_size_here() -> None:
    assert SIZES.keys() == set(FAMILIES)


@pytest.mark.parametrize(("family", "combination"), cases(PAIRS), ids=names)
def test_a_training_step(family: str, combination: tuple[str, ...], images: Tensor) -> None:
    model = build(family, *combination)
    loss = torch.stack([logits.square().mean() for logits in outputs(model(images))]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    torch.optim.AdamW(model.parameters(), lr=0.01).step()

    model.eval()
    with torch.no_grad():
        (exact,) = outputs(model(images))
        assert exact.shape == (3, 5)
        assert torch.isfinite(exact).all()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(images).float()
    # bfloat16 has 8 bits: logits agree within 2 % of the largest, or 5 % after MobileNetV2's fifty convolutions.
    assert (rough - exact).abs().max() <= (0.02 if family in TRANSFORMERS else 0.05) * exact.abs().max()


@pytest.mark.parametrize(("family", "combination"), sorted(DISTINCT), ids=names)
def test_channels_may_come_last_in_memory(family: str, combination: tuple[str, ...], images: Tensor) -> None:
    """As a GPU gets them."""
    last, model = images.contiguous(memory_format=torch.channels_last), build(family, *combination)
    torch.stack([logits.square().mean() for logits in outputs(model(last))]).sum().backward()
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(last), model(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("family", "combination"), cases(PAIRS), ids=names)
def test_shared_weights_start_alike(family: str, combination: tuple[str, ...]) -> None:
    """A contrast's two sides differ in their position's parameters alone, whose names say so, and in their norms'."""
    ours = build(family, *combination).state_dict()
    deep = {name: value for name, value in sizes(family, *combination[2:]).items() if name == "depth"}
    plain = plain_state(family, **deep)
    different = {name for name in ours.keys() ^ plain.keys() if not name.startswith("position.")}
    assert all(len(combination) == 3 and "norm" in name for name in different), different
    assert all(torch.equal(ours[name], value) for name, value in plain.items() if name in ours)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_norm_that_is_refused_has_a_reason_and_others_to_choose(family: str) -> None:
    for norm in NORMS:
        error = is_refused(family, norm)
        assert norm == "ln" or (error is None) == ((family, norm) in ACCEPTED)
        if error:
            with pytest.raises(InputError, match=f"norm '{norm}'"):
                build(family, "none", "default", norm)
            assert f"choose norm {FAMILIES[family].norm}" in str(error)


@pytest.mark.parametrize("join", JOINS)
def test_every_joins_terms_compile_without_a_graph_break(join: str) -> None:
    """Of the position alone: the blocks are compiled with one join of each kind of term."""
    torch.compiler.reset()
    position = build("deit", "learnable", join).position
    compiled = torch.compile(position, fullgraph=True, backend="eager")
    found, expected = ([one for one in tree_leaves(terms) if one is not None] for terms in (compiled(), position()))
    assert expected
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("family", "combination"), cases(COMPILED), ids=names)
def test_compiles_without_a_graph_break_and_exports(family: str, combination: tuple[str, ...], images: Tensor) -> None:
    model = build(family, *combination, **shallow(family, combination))
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")  # fullgraph: a graph break is an error
    loss = torch.stack([logits.square().mean() for logits in outputs(compiled(images))]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        expected = model(images)
        exported: nn.Module = torch.export.export(model, (images,)).module()
        torch.testing.assert_close(exported(images), expected, atol=1e-5, rtol=1e-5)
