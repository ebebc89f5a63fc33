"""Tables of position embeddings out of published weights: which are resized, and which are not."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from suite.errors import InputError
from suite.models import create_model, load_reference
from suite.models.families.transformer import Transformer
from suite.models.positions import sin1d

SMALL: dict[str, Any] = {"patch_size": 2, "embed_dim": 12, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}


def published(model: Transformer) -> dict[str, torch.Tensor]:
    """The state of a small DeiT under the names of LaPE's release."""
    inverse = {
        "class_token": "cls_token",
        "distillation_token": "dist_token",
        "tokenizer.convolutions.0": "patch_embed.proj",
        "distillation_head": "head_dist",
    }
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in inverse.items():
            name = name.replace(ours, theirs)
        name = name.replace("attention", "attn").replace("position.tables.0", "pos_embed")
        name = re.sub(r"position\.biases\.(\d+)\.table", r"blocks.\1.attn.relative_position_bias_table", name)
        state[name] = tensor.clone()
    return state


@pytest.mark.parametrize(("arch", "prefix"), [("deit", 1), ("deit_distilled", 2)])
def test_a_learned_table_is_resized_as_in_the_release_of_deit(arch: str, prefix: int) -> None:
    before = create_model(arch, num_classes=3, image_size=8, **SMALL)
    after = create_model(arch, num_classes=3, image_size=12, **SMALL)
    loaded = load_reference(after, published(before), "lape-deit")
    assert loaded == ([f"pos_embed [1, {prefix + 16}, 12] to [1, {prefix + 36}, 12]"], [], [])
    given, found = before.positions()[0].tables[0], after.positions()[0].tables[0]
    assert torch.equal(found[:, :prefix], given[:, :prefix])
    image = given[:, prefix:].reshape(1, 4, 4, 12).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(image, (6, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(found[:, prefix:], expected.permute(0, 2, 3, 1).reshape(1, 36, 12))


def test_bicubic_resizing_keeps_a_plane() -> None:
    """Rows stay rows and columns columns. torch's cubic bends a plane by up to 0.05 of its slope."""
    before = create_model("deit", num_classes=3, image_size=16, **SMALL)
    after = create_model("deit", num_classes=3, image_size=32, **SMALL)
    row, column = (axis.flatten() for axis in torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"))
    state = published(before)
    state["pos_embed"][0, 1:] = (row + 10 * column)[:, None]
    load_reference(after, state, "lape-deit")
    found = after.positions()[0].tables[0][0, 1:, 0].reshape(16, 16)
    inner = torch.arange(5, 11)
    expected = (inner[:, None] / 2 - 0.25) + 10 * (inner[None] / 2 - 0.25)
    torch.testing.assert_close(found[5:11, 5:11], expected, atol=0.6, rtol=0)


def test_relative_tables_are_resized_on_their_grid_of_offsets() -> None:
    before = create_model("deit", pe="learnable+rpe2d", num_classes=3, image_size=6, **SMALL)
    after = create_model("deit", pe="learnable+rpe2d", num_classes=3, image_size=8, **SMALL)
    with torch.no_grad():
        for bias in before.positions()[0].biases:
            bias.table.normal_()
    state = published(before)
    state |= {f"blocks.{block}.attn.relative_position_index": torch.zeros(9, 9) for block in range(2)}
    loaded = load_reference(after, state, "lape-deit")
    assert loaded.skipped == [f"blocks.{block}.attn.relative_position_index" for block in range(2)]
    assert loaded.resized[1] == "blocks.0.attn.relative_position_bias_table [25, 2] to [49, 2]"
    image = before.positions()[0].biases[1].table.T.reshape(1, 2, 5, 5)
    expected = torch.nn.functional.interpolate(image, (7, 7), mode="bicubic", align_corners=False)
    torch.testing.assert_close(after.positions()[0].biases[1].table, expected.reshape(2, 49).T)


def test_a_fixed_table_is_never_resized() -> None:
    before = create_model("deit", pe="sin1d", num_classes=3, image_size=8, **SMALL)
    after = create_model("deit", pe="sin1d", num_classes=3, image_size=12, **SMALL)
    state = published(before)
    state["pos_embed"] = state["pos_embed"][0]
    assert load_reference(after, state, "lape-deit").computed == ["pos_embed [17, 12] to [1, 37, 12]"]
    assert torch.equal(after.positions()[0].tables[0][0], torch.tensor(sin1d((6, 6), 1, 12)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table[..., :11], r"pos_embed \[1, 17, 11\] instead of \[1, 37, 12\]"),
        (lambda table: table[0, :, 0], r"pos_embed \[17\] instead of"),
        (lambda table: table.repeat(2, 1, 1), r"pos_embed \[2, 17, 12\] instead of"),
    ],
)
@pytest.mark.parametrize("pe", ["learnable", "sin1d"])
def test_tables_that_cant_be_resized(pe: str, change: Any, message: str) -> None:
    state = published(create_model("deit", pe=pe, num_classes=3, image_size=8, **SMALL))
    state["pos_embed"] = change(state["pos_embed"])
    model = create_model("deit", pe=pe, num_classes=3, image_size=12, **SMALL)
    with pytest.raises(InputError, match=f"1 of another shape: {message}"):
        load_reference(model, state, "lape-deit")


def test_patches_that_fill_no_square_arent_resized() -> None:
    state = published(create_model("deit_distilled", num_classes=3, image_size=8, **SMALL))
    state = {name: tensor for name, tensor in state.items() if "dist" not in name}
    with pytest.raises(InputError, match=r"1 of another shape: pos_embed \[1, 18, 12\]"):
        load_reference(create_model("deit", num_classes=3, image_size=12, **SMALL), state, "lape-deit")


def test_a_learned_table_isnt_taken_for_the_fixed_one() -> None:
    state = published(create_model("deit", num_classes=3, image_size=8, **SMALL))
    with pytest.raises(InputError, match="1 not the fixed table that this model's pe has: pos_embed"):
        load_reference(create_model("deit", pe="sin2d", num_classes=3, image_size=8, **SMALL), state, "lape-deit")


def test_a_fixed_table_without_batch_axis_is_accepted() -> None:
    """LaPE's release keeps its 1-D sinusoid as [tokens, width]."""
    model, other = (create_model("deit", pe="sin1d", num_classes=3, image_size=4, **SMALL) for _ in range(2))
    state = published(other)
    state["pos_embed"] = state["pos_embed"][0]
    assert load_reference(model, state, "lape-deit") == ([], [], [])
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(model.eval()(images), other.eval()(images))
