"""Joining methods in timm's Eva and BEiT, whose places are a table."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import apply_join
from suite.models.joins import JOINS
from suite.models.timm_join import JOINED
from suite.models.timm_norm import NORM_SITES
from suite.registry import resolve
from tests.conftest import REPOSITORY

WIDTH, DEPTH, IMAGE = 16, 3, 16
BODY: dict[str, Any] = {"img_size": IMAGE, "patch_size": 4, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": 2}
BODY |= {"num_classes": 5, "global_pool": "token"}
ROTARY = {"use_rot_pos_emb": True, "init_values": 0.5, "num_reg_tokens": 2, "swiglu_mlp": True}
# Rotary positions, also of a block each; registers; relative positions, also shared ones.
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "eva": (Eva, {}),
    "eva_rotary": (Eva, ROTARY),
    "eva_mixed": (Eva, {**ROTARY, "rope_type": "mixed", "no_embed_class": True}),
    "eva_rotary_alone": (Eva, {**ROTARY, "use_abs_pos_emb": False}),
    "beit": (Beit, {"use_rel_pos_bias": True, "init_values": 0.5}),
    "beit_shared": (Beit, {"use_shared_rel_pos_bias": True}),
    "beit_relative_alone": (Beit, {"use_rel_pos_bias": True, "use_abs_pos_emb": False}),
}


def build(name: str) -> Any:
    made, settings = MODELS[name]
    torch.manual_seed(2)
    model = made(**{**BODY, **settings}).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # what starts at 0 or 1 could hide an error
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def joined(name: str, join: str) -> Any:
    model = build(name)
    apply_join(model, join, None if model.pos_embed is not None else "learnable")
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.position.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def table(model: Any) -> list[Tensor]:
    """The tables ω of a joined model, with rows of zeros for tokens that have no position."""
    tables = list(model.position.tables)
    if tables:
        return tables
    (own,) = [model.pos_embed]
    missing = model.patch_embed.num_patches + model.num_prefix_tokens - own.shape[1]
    return [torch.cat([own.new_zeros(1, missing, WIDTH), own], dim=1)]


def by_hand(model: Any, plain: Any, join: str, images: Tensor) -> Tensor:
    """Logits of a joining method written out over the blocks of the model as timm has it.

    plain: the model without its position embedding, in which nothing is joined.
    """
    terms = JOINS[join].terms(table(model), list(model.position.maps))
    stem = plain.pos_drop.register_forward_pre_hook(
        lambda module, inputs: inputs[0] if terms.stem is None else inputs[0] + terms.stem
    )
    hooks = [stem]

    def add(at: str, block: int) -> Any:
        values = getattr(terms, at)
        return values[block] if len(values) else 0

    for number, block in enumerate(plain.blocks):
        hooks += [
            block.register_forward_pre_hook(lambda m, x, n=number: (x[0] + add("stream", n), *x[1:])),
            block.norm1.register_forward_pre_hook(lambda m, x, n=number: x[0] + add("inside", n)),
            block.norm1.register_forward_hook(lambda m, x, y, n=number: y + add("branch", n)),
        ]
    try:
        logits: Tensor = plain(images)
    finally:
        for hook in hooks:
            hook.remove()
    return logits


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_logits_are_those_of_the_method_written_out(name: str, images: Tensor) -> None:
    for join in ("default", "shared", "shared_paper", "unshared", "unshared_paper", "lape"):  # all kinds of terms
        model, plain = build(name), build(name)
        own = model.pos_embed is not None
        if not own and join == "default":
            continue
        if getattr(model, "no_embed_class", False) and JOINS[join].tables == "per_block":
            with pytest.raises(InputError, match="its prefix tokens have none"):
                apply_join(model, join)
            continue
        model, before = joined(name, join) if join != "default" else apply_join(model, join), plain(images)
        if join == "default":
            assert torch.equal(model(images), before)
            continue
        plain.pos_embed = None
        expected = by_hand(model, plain, join, images)
        assert (expected - before).abs().max() > 1e-3
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)
        features, levels = model.forward_intermediates(images)
        torch.testing.assert_close(model.forward_head(features), expected, atol=1e-5, rtol=1e-5)
        assert len(levels) == DEPTH


@pytest.mark.parametrize("join", JOINS)
@torch.no_grad()
def test_without_rotation_eva_is_the_plain_vit(join: str, images: Tensor) -> None:
    eva = build("eva") if join == "default" else joined("eva", join)
    vit: Any = VisionTransformer(**BODY).eval()
    apply_join(vit, join)
    state = dict(eva.state_dict())
    for block in range(DEPTH):
        q, v = (state.pop(f"blocks.{block}.attn.{name}_bias") for name in "qv")
        state[f"blocks.{block}.attn.qkv.bias"] = torch.cat([q, torch.zeros(WIDTH), v])
    vit.load_state_dict(state)
    torch.testing.assert_close(eva(images), vit(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_weights_keep_their_names_and_get_gradients(name: str, images: Tensor) -> None:
    plain, model = build(name), joined(name, "lape")
    before, after = dict(plain.named_parameters()), dict(model.named_parameters())
    assert before.keys() == {key for key in after if not key.startswith("position.")}
    assert all(torch.equal(after[key], value) for key, value in before.items())
    twin = copy.deepcopy(model)
    model.train()(images).square().mean().backward()
    assert [key for key, one in after.items() if one.grad is None] == []
    assert all(one.grad.isfinite().all() for one in after.values() if one.grad is not None)
    assert torch.equal(twin(images), model.eval()(images))  # a copy has terms of its own
    assert {key for key in after if ".tables." in key} <= model.no_weight_decay()


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")
def test_a_block_alone_and_what_cant_be_done_is_refused(images: Tensor) -> None:
    model = joined("eva_rotary", "lape")
    with pytest.raises(InputError, match="part of a model whose position joins here"):
        model.blocks[0](torch.zeros(1, 19, WIDTH))
    with pytest.raises(InputError, match="can't be computed once more"):
        model.set_grad_checkpointing()
    with pytest.raises(InputError, match=r"torch\.jit\.script"):
        torch.jit.script(model)
    with pytest.raises(InputError, match="no joining method can be put into a JoinedEva"):
        apply_join(model, "shared")
    with pytest.raises(InputError, match="pre-norm"):
        apply_join(Eva(**{**BODY, "use_post_norm": True}))
    with pytest.raises(InputError, match="any size"):
        apply_join(Eva(**{**BODY, "dynamic_img_size": True}))


def test_the_page_lists_the_classes() -> None:
    page = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| norms of tokens", page, re.MULTILINE)
    joined = {one.__bases__[1].__name__ for one in JOINED}
    assert {name for name, joins in rows if joins != "no"} == joined
    classes = [resolve(sites.model) for sites in NORM_SITES]
    assert {name for name, _ in rows} == joined | {one.__name__ for one in classes}
    assert all(any(issubclass(one.__bases__[1], normed) for normed in classes) for one in JOINED)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eva_mixed", "beit_shared"])
def test_compiles_and_exports(name: str, images: Tensor) -> None:
    model = joined(name, "lape")
    torch.compiler.reset()
    with torch.no_grad():
        expected = model(images)
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(images), expected, atol=1e-5, rtol=1e-5)
        exported: nn.Module = torch.export.export(model, (images,)).module()
        torch.testing.assert_close(exported(images), expected, atol=1e-5, rtol=1e-5)
