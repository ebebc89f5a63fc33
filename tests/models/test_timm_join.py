"""Joining methods in timm's models: the same logits as ours, and still timm's models."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock, VisionTransformer
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import Tensor, nn

from suite.errors import InputError
from suite.models import apply_join, create_model, load_reference
from suite.models.joins import JOINS

WIDTH, DEPTH, CLASSES, IMAGE = 12, 3, 5, 16
BODY: dict[str, Any] = {"img_size": IMAGE, "patch_size": 4, "embed_dim": WIDTH, "num_classes": CLASSES}
STAGES: dict[str, Any] = {"depths": (2, 2), "num_heads": (2, 3), "window_size": 2, "drop_path_rate": 0.0}


def vit(**settings: Any) -> VisionTransformer:
    return VisionTransformer(**{**BODY, "depth": DEPTH, "num_heads": 2, **settings}).eval()


def distilled(**settings: Any) -> VisionTransformerDistilled:
    return VisionTransformerDistilled(**{**BODY, "depth": DEPTH, "num_heads": 2, **settings}).eval()


def swin(**settings: Any) -> SwinTransformer:
    return SwinTransformer(**{**BODY, **STAGES, "patch_size": 2, **settings}).eval()


def ours(model: nn.Module, join: str) -> nn.Module:
    """Our model of the same sizes with the same weights."""
    sizes: dict[str, Any] = {"embed_dim": WIDTH, "num_classes": CLASSES, "image_size": IMAGE, "join": join}
    if isinstance(model, SwinTransformer):
        window = {"depth": (2, 2), "num_heads": (2, 3), "patch_size": 2, "window_size": 2, "mlp_ratio": 4.0}
        same, source = create_model("swin", pe="learnable+rpe2d", **sizes, **window), "timm-swin"
    else:
        family = "deit_distilled" if isinstance(model, VisionTransformerDistilled) else "deit"
        plain = {"depth": DEPTH, "num_heads": 2, "patch_size": 4, "mlp_ratio": 4.0}
        same, source = create_model(family, **sizes, **plain), "lape-deit"
    load_reference(same, model.state_dict(), source)
    return same.eval()


def disturbed(model: Any) -> Any:
    """Random values for all that starts at 0 or 1 and could hide an error."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def joined(make: Callable[..., Any], join: str, **settings: Any) -> Any:
    return disturbed(apply_join(make(**settings), join, "learnable" if make is swin else None))


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_logits_are_those_of_our_models(make: Any, join: str, images: Tensor) -> None:
    model = joined(make, join)
    same = ours(model, join)
    with torch.no_grad():
        expected = same(images)
        assert (model(images) - expected).abs().max() <= 1e-5
        assert (model.forward_head(model.forward_features(images)) - expected).abs().max() <= 1e-5
        features, _ = model.forward_intermediates(images)
        assert (model.forward_head(features) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("make", [vit, distilled])
def test_default_leaves_a_model_with_a_position_as_it_is(make: Any, images: Tensor) -> None:
    model = make()
    expected, names = model(images), list(model.state_dict())
    assert apply_join(model, "default") is model
    assert type(model) in (VisionTransformer, VisionTransformerDistilled)
    assert torch.equal(model(images), expected)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_weights_stay_and_keep_their_names(make: Any, join: str) -> None:
    model = make()
    before = {name: (parameter, parameter.detach().clone()) for name, parameter in model.named_parameters()}
    assert apply_join(model, join, "learnable" if make is swin else None) is model
    after = dict(model.named_parameters())
    gone = {"pos_embed"} if JOINS[join].tables == "per_block" and make is not swin else set()
    assert set(before) - set(after) == gone
    for name in set(before) - gone:
        assert after[name] is before[name][0]
        assert torch.equal(after[name], before[name][1])
    added = set(after) - set(before)
    assert all(name.startswith("position.") for name in added)
    if gone:
        assert added == {f"position.tables.{block}" for block in range(DEPTH)}
        assert all(torch.equal(after[name], before["pos_embed"][1]) for name in added)
    sizes = [sum(parameter.numel() for parameter in each.parameters()) for each in (model, ours(model, join))]
    assert sizes[0] == sizes[1]


def test_lape_attends_to_tokens_and_position_apart(images: Tensor) -> None:
    """Eq. 11, written once more; with LayerScale, register tokens, dropout of the embedding and norm_pre."""
    model = joined(vit, "lape", init_values=0.1, reg_tokens=2, pos_drop_rate=0.5, pre_norm=True)
    seen: list[Tensor] = []
    stream: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, inputs: stream.append(inputs[0]))
        block.attn.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images)
    patches = model.patch_embed(images)
    tokens = torch.cat([model.cls_token.repeat(3, 1, 1), model.reg_token.repeat(3, 1, 1), patches], dim=1)
    torch.testing.assert_close(stream[0], model.norm_pre(tokens))
    omega = model.pos_embed
    for block, norm in enumerate(model.position.maps):
        omega = norm(omega)
        normalised = nn.functional.layer_norm(
            stream[block], (WIDTH,), model.blocks[block].norm1.weight, model.blocks[block].norm1.bias, 1e-6
        )
        torch.testing.assert_close(seen[block], normalised + omega)


def test_tokens_without_a_position_get_the_shift_of_the_norm(images: Tensor) -> None:
    model = joined(vit, "lape_shared", no_embed_class=True, reg_tokens=1)
    seen: list[Tensor] = []
    model.blocks[1].attn.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    plain = nn.LayerNorm(WIDTH, eps=1e-6)
    plain.load_state_dict(model.blocks[1].norm1.state_dict())
    inputs: list[Tensor] = []
    model.blocks[1].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    model(images)
    difference = seen[0] - plain(inputs[0])
    beta = model.position.maps[1].bias
    torch.testing.assert_close(difference[:, :2], beta.expand(3, 2, -1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        difference[:, 2:], model.position.maps[1](model.pos_embed).expand(3, -1, -1), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("make", [vit, distilled, swin])
@pytest.mark.parametrize("join", ["lape", "unshared", "shared_paper"])
def test_gradient_checkpointing_gives_the_same_gradients(make: Any, join: str, images: Tensor) -> None:
    """Also when a second forward runs before the first one's backward."""
    gradients = []
    model = joined(make, join).train()
    for checkpointing in (False, True):
        model.zero_grad()
        model.set_grad_checkpointing(checkpointing)
        first, second = model(images), model(2 * images)
        copy.deepcopy(model)
        (first.square().sum() + second.square().sum()).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0 or name.endswith("relative_position_bias_table"), name
        torch.testing.assert_close(gradients[1][name], gradient)


@pytest.mark.parametrize("make", [vit, distilled, swin])
@pytest.mark.parametrize("join", ["lape", "unshared", "shared_paper"])
def test_copies_and_files(make: Any, join: str, images: Tensor) -> None:
    model = joined(make, join)
    expected = model(images)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    fresh = apply_join(make(), join, "learnable" if make is swin else None)
    fresh.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False), fresh):
        assert torch.equal(other(images), expected)
    with torch.no_grad():
        for parameter in model.position.parameters():
            parameter.add_(1)
    assert torch.equal(fresh(images), expected)


@pytest.mark.parametrize("make", [vit, swin])
@pytest.mark.parametrize("join", ["lape", "unshared"])
def test_it_compiles_as_one_graph(make: Any, join: str, images: Tensor) -> None:
    model = joined(make, join)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(compiled(images), model(images))


@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_a_part_called_alone_raises(make: Any, images: Tensor) -> None:
    model = joined(make, "shared")
    model(images)
    block = model.layers[1].blocks[0] if make is swin else model.blocks[1]
    with pytest.raises(InputError, match="part of a model whose position joins here"):
        block(torch.zeros(1, 4, 4, 2 * WIDTH) if make is swin else torch.zeros(1, 17, WIDTH))


@pytest.mark.parametrize("make", [vit, distilled, swin])
def test_it_stays_a_model_of_timm(make: Any, images: Tensor) -> None:
    model = joined(make, "unshared")
    assert isinstance(model, {vit: VisionTransformer, distilled: VisionTransformerDistilled}.get(make, SwinTransformer))
    tables = {name for name, _ in model.named_parameters() if ".tables." in name}
    assert len(tables) == (4 if make is swin else DEPTH)
    assert tables <= model.no_weight_decay()
    free, decayed = param_groups_weight_decay(model, 0.1, no_weight_decay_list=model.no_weight_decay())
    assert (free["weight_decay"], decayed["weight_decay"]) == (0, 0.1)
    tokens = {"cls_token", "dist_token"}
    for name, parameter in model.named_parameters():
        small = parameter.ndim == 1 or name in tables | tokens or name.endswith("relative_position_bias_table")
        assert any(parameter is kept for kept in free["params"]) == small, name
    model.reset_classifier(2)
    assert model(images).shape == (3, 2)
    model.prune_intermediate_layers([0], prune_head=True)
    assert model.forward_features(images).shape[0] == 3


@pytest.mark.parametrize("make", [vit, swin])
def test_layer_decay_puts_a_map_into_its_block(make: Any) -> None:
    model = joined(make, "lape")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in param_groups_layer_decay(model, layer_decay=0.5):
        for name in (names[id(parameter)] for parameter in group["params"]):
            if ".maps." in name:
                path = name.split(".maps.")
                block = path[1].split(".")[0]
                twin = (
                    f"layers.{path[0][-1]}.blocks.{block}.norm1.bias" if make is swin else f"blocks.{block}.norm1.bias"
                )
                assert twin in {names[id(parameter)] for parameter in group["params"]}


def test_half_precision_keeps_the_stream_in_full(images: Tensor) -> None:
    types = set()
    for join in ("default", "lape", "shared"):
        model = joined(vit, join)
        model.blocks[0].norm1.register_forward_pre_hook(lambda _, inputs: types.add(inputs[0].dtype))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(images)
    assert types == {torch.float32}


@pytest.mark.parametrize("pe", ["sin1d", "sin2d"])
def test_a_fixed_position_for_a_model_without_one(pe: str, images: Tensor) -> None:
    for model in (apply_join(swin(), "lape", pe), apply_join(vit(pos_embed="none"), "lape", pe)):
        frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
        assert frozen in (["position.0.tables.0"], ["position.tables.0"])
        position = model.position[0] if isinstance(model, SwinTransformer) else model.position
        expected = position.position.table(position.grid, position.prefix, WIDTH)
        assert torch.equal(position.tables[0][0], torch.tensor(expected))
        assert model(images).isfinite().all()


def test_swins_position_is_drawn_by_the_global_generator() -> None:
    tables = []
    for seed in (1, 1, 2):
        model = swin()
        torch.manual_seed(seed)
        tables.append(apply_join(model, "lape", "learnable").position[0].tables[0])
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])
    assert tables[0].std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (vit, {"join": "lappe"}, "unknown join 'lappe'"),
        (vit, {"pe": "sin3d"}, "unknown pe 'sin3d'"),
        (vit, {"pe": "sin1d"}, "which it keeps"),
        (vit, {"pe": "rpe2d"}, "which it keeps"),
        (swin, {}, "no position embedding to join.*pass pe='learnable'"),
        (swin, {"join": "default"}, "no position embedding to join"),
        (swin, {"pe": "learnable+rpe2d"}, "none that a model of timm can be given"),
        (swin, {"pe": "sin1d", "join": "unshared"}, "learns a table per block"),
        (lambda: swin(embed_dim=6), {"pe": "sin2d"}, "width divisible by 4"),
        (lambda: vit(patch_drop_rate=0.2), {}, "patch_drop_rate"),
        (lambda: vit(dynamic_img_size=True), {}, "dynamic_img_size"),
        (lambda: swin(dynamic_img_size=True), {"pe": "learnable"}, "dynamic_img_size"),
        (lambda: vit(no_embed_class=True), {"join": "unshared"}, "prefix tokens have none"),
        (lambda: distilled(no_embed_class=True), {}, "doesn't fit its tokens"),
        (lambda: vit(block_fn=ResPostBlock), {}, "a ResPostBlock with LayerNorm"),
        (lambda: vit(block_fn=ParallelScalingBlock), {}, "a ParallelScalingBlock with NoneType"),
        (lambda: vit(norm_layer="rmsnorm"), {}, "a Block with RmsNorm"),
        (lambda: nn.Linear(2, 2), {}, "put into a Linear"),
        (lambda: apply_join(vit()), {}, "put into a JoinedVisionTransformer"),
        (lambda: torch.compile(vit()), {}, "put into a OptimizedModule"),
    ],
)  # fmt: skip
def test_refusals_leave_the_model_as_it_was(make: Any, arguments: dict[str, str], message: str) -> None:
    model = make()
    names, kind = list(model.state_dict()), type(model)
    with pytest.raises(InputError, match=f"(?s){message}"):
        apply_join(model, **arguments)
    assert list(model.state_dict()) == names
    assert type(model) is kind
    hooks = [hook for module in model.modules() for hook in (*module._forward_pre_hooks, *module._forward_hooks)]
    assert kind.__name__.startswith("Joined") or not hooks


def test_the_size_cant_change_afterwards() -> None:
    with pytest.raises(InputError, match="call it before apply_join"):
        joined(vit, "lape").set_input_size((32, 32))
