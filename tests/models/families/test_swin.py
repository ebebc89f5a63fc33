"""Swin against timm's, and how a position goes on from stage to stage."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.errors import InputError
from suite.models import create_model
from suite.models.families.transformer import Transformer

SIZE: dict[str, Any] = {
    "embed_dim": 12, "depth": (2, 2, 1), "num_heads": (2, 3, 4), "mlp_ratio": 2.0, "patch_size": 2, "window_size": 4,
}  # fmt: skip


def small(**settings: Any) -> Transformer:
    """16×16, 8×8 and 4×4 tokens of 12, 24 and 48 channels; windows of 4×4."""
    torch.manual_seed(5)
    return create_model("swin", num_classes=5, image_size=32, **{**SIZE, **settings}).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def ours(name: str) -> str:
    """The name here of a parameter of timm's Swin."""
    name = name.replace("patch_embed.proj", "tokenizer.convolutions.0").replace("patch_embed.norm", "token_norm")
    name = name.replace("head.fc", "head").replace(".attn.", ".attention.")
    name = re.sub(r"layers\.(\d+)\.downsample", r"merges.\1", name)
    table = r"layers\.(\d+)\.blocks\.(\d+)\.attention\.relative_position_bias_table"
    name = re.sub(table, r"position.\1.biases.\2.table", name)
    return re.sub(r"layers\.(\d+)\.blocks\.(\d+)", r"stages.\1.\2", name)


def test_default_is_timms(images: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations
        from timm.models.swin_transformer import SwinTransformer

        torch.manual_seed(3)
        theirs = SwinTransformer(
            img_size=32, patch_size=2, num_classes=5, embed_dim=12, depths=(2, 2, 1), num_heads=(2, 3, 4),
            window_size=4, mlp_ratio=2.0,
        ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        model = small(pe="rpe2d")
        model.load_state_dict({ours(name): value for name, value in theirs.named_parameters()})
        assert (model(images) - theirs(images)).abs().max() <= 1e-5
        assert theirs(images).abs().max() > 0.1


def branches(model: Transformer, images: Tensor) -> list[Tensor]:
    """What each block's attention sees beyond LN_x(x)."""
    seen: list[Tensor] = []

    def note(block: Any, x: Tensor) -> Any:
        def hook(module: Any, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0] - block.norm1(x))

        return hook

    hooks = []
    for stage in model.stages:  # type: ignore[union-attr]
        for block in stage:
            hooks.append(
                block.register_forward_pre_hook(
                    lambda block, inputs: hooks.append(
                        block.attention.register_forward_pre_hook(note(block, inputs[0]))
                    )
                )
            )
    with torch.no_grad():
        model(images)
    for handle in hooks:
        handle.remove()
    return seen


def test_lape_chains_through_the_tokens_merging(images: Tensor) -> None:
    model = small(join="lape")
    omega, expected = model.position[0].tables[0], []  # type: ignore[index]
    for stage, position in enumerate(model.position):  # type: ignore[arg-type]
        omega = model.merges[stage](omega)  # type: ignore[index]
        for layer_norm in position.maps:
            omega = layer_norm(omega)
            expected.append(omega)
    seen = branches(model, images)
    assert len(seen) == 5
    for found, wanted in zip(seen, expected, strict=True):
        torch.testing.assert_close(found, wanted.expand_as(found), atol=1e-5, rtol=1e-5)


def test_each_stage_may_have_a_position_of_its_own(images: Tensor) -> None:
    model = small(join="lape_shared", stage_position="own")
    assert [tuple(p.tables[0].shape) for p in model.positions()] == [(1, 256, 12), (1, 64, 24), (1, 16, 48)]
    expected = [norm(position.tables[0]) for position in model.positions() for norm in position.maps]
    for found, wanted in zip(branches(model, images), expected, strict=True):
        torch.testing.assert_close(found, wanted.expand_as(found), atol=1e-5, rtol=1e-5)


def test_the_position_may_end_with_the_first_stage(images: Tensor) -> None:
    model = small(join="lape", stage_position="first")
    assert [len(position.tables) for position in model.positions()] == [1, 0, 0]
    seen = branches(model, images)
    assert [bool(term.abs().max() > 1e-4) for term in seen] == [True, True, False, False, False]
    names = {name for name, _ in model.named_parameters() if name.startswith("position.")}
    maps = {f"position.0.maps.{block}.{leaf}" for block in (0, 1) for leaf in ("weight", "bias")}
    assert names == {"position.0.tables.0", *maps}


def test_a_shifted_window_sees_its_neighbours_alone(images: Tensor) -> None:
    """One pixel changes: after one plain and one shifted block, tokens outside the windows around it are as before."""
    model = small(pe="none", depth=(2,), num_heads=(2,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)  # so that a neighbour's influence is no rounding error
    final: list[Tensor] = []
    model.norm.register_forward_pre_hook(lambda _, inputs: final.append(inputs[0]))
    other = images.clone()
    other[:, :, 0, 0] += 1  # token (0, 0): window rows 0–3, then shifted windows that begin at 0 (cut off), 2, 6, …
    with torch.no_grad():
        model(images)
        model(other)
    changed = (final[0] - final[1]).abs().amax(-1)[0].unflatten(0, (16, 16)) > 1e-6
    assert changed[:6, :6].all()  # rows 0–3 by the first block, rows 2–5 by the second
    assert not changed[6:].any()
    assert not changed[:, 6:].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_size": 5}, r"windows don't fill.*divisible by window_size \(5\).*16 tokens per row in stage 1.*to 4"),
        ({"patch_size": 5}, r"divisible by the patch size"),
        ({"depth": (1,) * 6, "num_heads": (1,) * 6, "window_size": 16}, r"merged two by two.*1 tokens per row"),
        ({"depth": (2, 2)}, r"depth has 2 stages, but num_heads has 3"),
        ({"depth": (2, 0, 2)}, r"at least 1 in each stage"),
        ({"num_heads": (2, 5, 4)}, r"width must be divisible.*num_heads \(5\).*embed_dim 24 in stage 2"),
        ({"stage_position": "last"}, r"'merge', 'own' or 'first'"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        small(**settings)
