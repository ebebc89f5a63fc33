"""Models by timm's names: what timm makes, with the suite's levels, seeds and checks."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from suite.errors import InputError
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.initialise import initialise
from suite.models.layers.dropout import masks_from
from suite.models.model_cell import ModelCell, Shape
from suite.models.timm_masks import draws_by_itself
from suite.train.steps.shares import splittable
from tests.cli.shell import Shell, Write

SIDE = 16
VIT: dict[str, Any] = {"model": "vit_tiny_patch16_224", "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2}
MODELS: dict[str, dict[str, Any]] = {
    "vit": VIT,
    "distilled": {**VIT, "model": "deit_tiny_distilled_patch16_224"},
    "eva": {**VIT, "model": "eva02_tiny_patch14_224"},
    "beit": {**VIT, "model": "beit_base_patch16_224"},
    "swin": {"model": "swin_tiny_patch4_window7_224", "patch_size": 2, "embed_dim": 8, "depths": [2, 2],
             "num_heads": [1, 2], "window_size": 4},
    "pvt": {"model": "pvt_v2_b0", "embed_dims": [8, 16, 16, 16], "num_heads": [1, 2, 2, 2],
            "sr_ratios": [1, 1, 1, 1], "depths": [1, 1, 1, 1]},
    "resnet": {"model": "resnet10t"},
    "mobilenet": {"model": "mobilenetv2_035"},
}  # fmt: skip
OWN = {"vit": "learnable", "distilled": "learnable", "eva": "learnable"}


def build(name: str, seed: int = 5, **levels: Any) -> Any:
    torch.manual_seed(seed)
    levels = {"pe": OWN.get(name, "none"), **levels}
    return create_model("timm", num_classes=7, image_size=SIDE, **MODELS[name], **levels)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_timms_model_with_weights_of_its_own_seed(name: str, images: Tensor) -> None:
    model = build(name).eval()
    settings = {key: value for key, value in MODELS[name].items() if key != "model"}
    if name not in ("pvt", "resnet", "mobilenet"):
        settings["img_size"] = SIDE
    plain = timm.create_model(MODELS[name]["model"], num_classes=7, **settings).eval()
    initialise(model, 11)
    state = {key: value.clone() for key, value in model.network.state_dict().items()}
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(model(images), plain(images))
    initialise(model, 12)
    other = {key: value.clone() for key, value in model.network.state_dict().items()}
    assert any(not torch.equal(state[key], other[key]) for key in state)
    initialise(model, 11)
    assert all(torch.equal(value, state[key]) for key, value in model.network.state_dict().items())


SIDES = [
    ("vit", {"join": "lape"}), ("vit", {"join": "unshared"}), ("vit", {"pe": "none"}), ("vit", {"pe": "sin2d"}),
    ("vit", {"norm": "dtn", "join": "lape"}), ("eva", {"join": "lape"}), ("beit", {"pe": "learnable", "join": "lape"}),
    ("swin", {"pe": "learnable", "join": "lape", "norm": "dtn"}), ("resnet", {"norm": "l2bn"}),
    ("mobilenet", {"norm": "l2bn_rms"}), ("distilled", {"norm": "gn"}), ("pvt", {"norm": "scalenorm"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "levels"), SIDES)
def test_the_sides_of_a_contrast_start_alike_and_train(name: str, levels: dict[str, str], images: Tensor) -> None:
    plain, model = build(name), build(name, **levels)
    before, after = dict(plain.named_parameters()), dict(model.named_parameters())
    shared = before.keys() & after.keys()
    assert len(shared) > 0.8 * len(before)
    assert all(torch.equal(before[key], after[key]) for key in shared)
    gone = before.keys() - after.keys()
    assert all("pos_embed" in key or ".norm" in key for key in gone)
    tables = [one for key, one in after.items() if ".position.tables." in key]
    if levels.get("join") == "unshared":
        assert all(torch.equal(one, before["network.pos_embed"]) for one in tables)
    with torch.no_grad():
        assert not torch.equal(plain.eval()(images), model.eval()(images))
    model.train()(images).square().mean().backward()
    assert [key for key, one in after.items() if one.requires_grad and one.grad is None] == []
    assert all(one.grad.isfinite().all() for one in after.values() if one.grad is not None)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("resnet", "mobilenet")])
@torch.no_grad()
def test_patches_are_those_of_forward_intermediates(name: str, images: Tensor) -> None:
    model = build(name).eval()
    patches = model.architecture.size.patch_tokens(SIDE)
    count = sum(patches.depths)
    output, tokens = model(images, range(count))
    assert torch.equal(output, model(images))
    _, maps = model.network.forward_intermediates(images)
    for seen, one in zip(tokens.blocks, maps, strict=True):
        assert torch.equal(seen, one.flatten(2).transpose(1, 2))
    assert tokens.normalised.shape == (2, patches.grids[-1][0] * patches.grids[-1][1], patches.width)
    if name == "vit":
        plain = model.network
        assert torch.equal(tokens.embedded, plain.patch_embed(images))
        torch.testing.assert_close(tokens.normalised, plain.norm(tokens.blocks[-1]))
    assert torch.equal(model(images, (0, -1))[1].blocks[1], tokens.blocks[-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vit_tinny_patch16_224"}, "did you mean vit_tiny_patch16_224, "),
        ({"model": "hf-hub:timm/resnet18"}, "unknown timm model"),
        ({"model": "vit_tiny_patch16_224.augreg_in21k"}, "write vit_tiny_patch16_224$"),
        ({"patchsize": 4}, "has no argument 'patchsize'(.|\n)*did you mean patch_size"),
        ({"pretrained": True}, "has no argument 'pretrained'"),
        ({"checkpoint_path": "x"}, "has no argument 'checkpoint_path'"),
        ({"num_heads": 3}, "can't build 'vit_tiny_patch16_224' like this"),
        ({"global_pool": ""}, r"doesn't map images of 16×16 pixels to logits(.|\n)*found: +\(2, 17, 5\)"),
        ({"img_size": 32}, "its img_size isn't that of the images"),
        ({"patch_drop_rate": 0.5}, "patch_drop_rate can't be chosen here"),
        ({"depth": None}, "numbers, texts, true, false, or lists"),
    ],
)
def test_what_timm_doesnt_have_is_one_message_and_nothing_is_downloaded(
    change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(InputError, match=message) as caught:
        create_model("timm", num_classes=7, image_size=SIDE, **{**VIT, **change})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("resnet", {"pe": "learnable"}, "no joining method can be put into a ResNet"),
        ("resnet", {"norm": "dtn"}, "it is of tokens, and this is a convolutional network(.|\n)*choose norm bn, l2bn"),
        ("vit", {"norm": "l2bn"}, "it is of feature maps, and this is a transformer(.|\n)*choose norm ln, dtn"),
        ("vit", {"pe": "rpe2d"}, "can be given"),
        ("pvt", {"pe": "learnable", "join": "lape"}, "no joining method can be put into"),
        ("swin", {"join": "lape"}, "position embedding"),
    ],
)
def test_levels_that_a_model_cant_have_are_refused(name: str, levels: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name, **levels)


def test_ids_depend_on_name_and_arguments_alone() -> None:
    one = resolve_architecture("timm", {**VIT, "img_size": SIDE}, label="mine")
    other = resolve_architecture("timm", dict(reversed(VIT.items())))
    assert one.canonical() == other.canonical() == {"family": "timm", **VIT}
    assert list(one.canonical()) == ["family", "model", "depth", "embed_dim", "num_heads", "patch_size"]
    cell = ModelCell(one, "learnable", "lape", "ln", Shape(7, SIDE))
    back = ModelCell.of(cell.values())
    assert back.key == cell.key
    assert build_model(back).state_dict().keys() == build_model(cell).state_dict().keys()
    assert resolve_architecture("timm", {"model": "resnet10t"}).norm == "bn"
    assert one.norm == "ln"


def test_masks_come_from_the_named_generators(images: Tensor) -> None:
    rates = {"drop_path_rate": 0.5, "proj_drop_rate": 0.3, "attn_drop_rate": 0.3, "drop_rate": 0.2}
    torch.manual_seed(1)
    model = create_model("timm", num_classes=7, image_size=SIDE, **VIT, **rates)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(found))  # of no effect
        with masks_from([torch.Generator().manual_seed(seed)]), torch.no_grad():
            found.append(model(images))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert splittable(model)
    assert not splittable(build("resnet"))


def test_a_model_that_draws_by_itself_isnt_split(images: Tensor) -> None:
    class Drawing(torch.nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return torch.nn.functional.dropout(super().forward(x), 0.5, self.training)

    model = build("vit")
    assert not draws_by_itself(model.network, images)
    model.network.head = Drawing(16, 7)
    assert draws_by_itself(model.network, images)
    assert not splittable(model)


GRID = """
name: by_name
seeds: [0]
recipe: {version: 1, epochs: 1, batch_size: 64, lr: 1e-3, train_images: 128}
architectures:
  vit: {family: timm, model: vit_tiny_patch16_224, img_size: 8, patch_size: 4, embed_dim: 8, depth: 3, num_heads: 2}
blocks:
  - axes: {arch: vit, pe: learnable, join: [default, lape], dataset: digits}
  - axes: {arch: vit, pe: learnable, join: lape, norm: dtn, loss: diverse_cosine, dataset: digits}
"""


def test_a_grid_of_a_timm_model_is_checked_planned_counted_and_trained(lape: Shell, write_grid: Write) -> None:
    path = write_grid(text=GRID)
    for command in ("check", "plan", "cost"):
        lape(command, path)
        assert lape.code == 0, lape.err
    lape("run", path, "--executor", "serial")
    assert lape.code == 0, lape.err
    stored = (path.parent / "results" / "by_name" / "runs.jsonl").read_text()
    assert stored.count(f'"timm":"{timm.__version__}"') == stored.count('"status":"done"') == 3
    path.write_text(GRID.replace("patch_size", "patch_sise"))
    assert f"{path}, line 9" in lape.refuses("check", path)
