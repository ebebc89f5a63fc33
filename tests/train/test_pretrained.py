"""Training that starts from the weights of another training run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suite.data.images import load_images
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.models.build import create_model
from suite.models.initialise import initialise
from suite.models.model import Model
from suite.models.model_cell import Shape
from suite.models.weights.checkpoint import write_checkpoint
from suite.models.weights.reference import load_reference
from suite.train.attempt import Attempt
from suite.train.backbones import add_backbone
from suite.train.machine import Machine
from suite.train.other_models import OtherModels
from suite.train.pretrained import load_pretrained, start_from
from suite.train.trials import run_trial

NETWORK = "family: resnet_cifar, blocks: 1, channels: 8"
SIZE = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1}


def built(family: str = "vit_lite", seed: int = 1, image_size: int = 8, classes: int = 10, **sizes: Any) -> Model:
    values = {**SIZE, **sizes}
    model = create_model(family, num_classes=classes, image_size=image_size, in_chans=1, **values)
    initialise(model, seed)
    return model


def body(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}


@pytest.mark.parametrize("join", ["default", "lape"])
def test_all_but_the_head_is_copied(join: str) -> None:
    trained, model = built(join=join), built(join=join, seed=2, classes=3)
    head = {name: value.clone() for name, value in model.head.state_dict().items()}
    start_from(model, trained)
    assert body(model).keys() == body(trained).keys()
    assert all(torch.equal(value, body(trained)[name]) for name, value in body(model).items())
    assert all(torch.equal(value, head[name]) for name, value in model.head.state_dict().items())


def test_a_segmenter_starts_from_a_classifier() -> None:
    trained, model = built("deit"), built("segmenter", seed=2, classes=3, mask_layers=1)
    head = {name: value.clone() for name, value in model.head.state_dict().items()}
    start_from(model, trained)
    images = torch.randn(2, 1, 8, 8)
    features = [each.eval()(images, watched=(-1,))[1].normalised for each in (model, trained)]
    torch.testing.assert_close(*features)
    assert all(torch.equal(value, head[name]) for name, value in model.head.state_dict().items())


def test_positions_for_larger_images_are_interpolated_as_published_ones_are() -> None:
    trained, model, other = built("deit"), built("deit", seed=2, image_size=16), built("deit", seed=3, image_size=16)
    start_from(model, trained)
    published = {name.replace("position.tables.0", "pos_embed"): value for name, value in _timm_names(trained).items()}
    load_reference(other, published, "lape-deit")
    for name, value in body(other).items():
        torch.testing.assert_close(body(model)[name], value)


def _timm_names(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights under the names that DeiT's code gives them."""
    names = {"class_token": "cls_token", "tokenizer.convolutions.0": "patch_embed.proj", ".attention.": ".attn."}
    found = {}
    for name, value in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        found[name] = value
    return found


def test_a_fixed_position_embedding_stays_that_of_the_image_size() -> None:
    trained, model = built(pe="sin1d"), built(pe="sin1d", seed=2, image_size=16)
    table = model.position.tables[0].clone()
    start_from(model, trained)
    assert torch.equal(model.position.tables[0], table)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"depth": 3}, "missing: blocks.2."),
        ({"depth": 1}, "unexpected: blocks.1."),
        ({"embed_dim": 16}, "of another shape"),
        ({"join": "lape"}, "missing: position.maps.0."),
    ],
)
def test_another_body_is_refused_and_changes_nothing(other: Mapping[str, Any], said: str) -> None:
    model = built(seed=2, **other)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=said):
        start_from(model, built())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


Given = Callable[..., Trial]


@pytest.fixture
def root(data_folder: Path, tmp_path: Path) -> Path:
    """A data root of this test's own, with the digits."""
    shutil.copytree(data_folder / "digits", tmp_path / "data" / "digits")
    return tmp_path / "data"


@pytest.fixture
def given(root: Path, write_grid: Callable[..., Path], tmp_path: Path) -> Given:
    """Makes trials of the small grid that start from weights which models with other seeds had."""
    plain = load_grid(write_grid()).expand().trials
    models = {trial.join: trial.model for trial in plain}

    def make(joins: Mapping[str, str] | None = None, *replacements: tuple[str, str]) -> Trial:
        """joins: by the grid's join, that of the weights. Returns a trial with LaPE."""
        sums = {}
        for join, of_weights in (joins or {"default": "default", "lape": "lape"}).items():
            cell = replace(models[of_weights], shape=Shape(5, 8, 1))
            model = create_model(cell.arch, join=cell.join, num_classes=5, image_size=8, in_chans=1)
            initialise(model, 7)
            file = tmp_path / f"{of_weights}.safetensors"
            write_checkpoint(file, model, cell, dataset="digits", trial_id="a1")
            sums[join] = add_backbone(file, root)[1]
        text = ", ".join(f"{join}: {checksum}" for join, checksum in sums.items())
        key = f"train_images: 128, pretrained: {{axis: join, weights: {{{text}}}}}}}"
        grid = load_grid(write_grid(("train_images: 128}", key), *replacements))
        return next(trial for trial in grid.expand().trials if trial.join == "lape")

    return make


def test_a_trial_starts_from_the_weights_of_its_level(given: Given, root: Path) -> None:
    """All of the body before the first step, and the training that follows from it."""
    trial = given()
    checkpoint = load_pretrained(trial, root)
    assert checkpoint is not None
    assert checkpoint.cell.join == "lape"
    train, test = (load_images(trial.dataset, split, root) for split in ("train", "test"))
    trials, device = [trial, trial.with_seed(1)], torch.device("cpu")
    heads = []
    for one in trials:
        attempt = Attempt([one], Machine(root, "cpu"), device, train, test, OtherModels(pretrained=checkpoint.model))
        (model,) = attempt.trainer().models()
        for name, value in body(model).items():
            assert torch.equal(value, body(checkpoint.model)[name])
        heads.append(model.state_dict()["head.weight"])
    assert not torch.equal(*heads)
    assert run_trial(trial, Machine(root, "cpu")).status == "done"


def test_it_is_another_training_run(given: Given, root: Path, write_grid: Callable[..., Path]) -> None:
    trial = given()
    scratch = next(one for one in load_grid(write_grid()).expand().trials if one.join == "lape")
    assert trial.id != scratch.id
    first, second = (run_trial(one, Machine(root, "cpu")) for one in (trial, scratch))
    assert first.history is not None
    assert second.history is not None
    assert first.history[0].train_loss != second.history[0].train_loss
    assert load_pretrained(scratch, root) is None


def test_weights_of_another_join_are_refused(given: Given, root: Path) -> None:
    trial = given({"default": "default", "lape": "default"})
    with pytest.raises(InputError) as caught:
        load_pretrained(trial, root)
    (problem,) = caught.value.problems
    assert (problem.expected, problem.found) == ("join lape", "join default")
    assert problem.where.endswith(".safetensors")


@pytest.mark.parametrize(
    ("change", "expected"),
    [(("num_heads: 2", "num_heads: 4"), "num_heads 4"), (("family: vit_lite", "family: deit"), "family deit")],
)
def test_another_model_of_the_same_shapes_is_refused(
    given: Given, root: Path, change: tuple[str, str], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_pretrained(given(None, change), root)
    (problem,) = caught.value.problems
    assert expected in problem.expected


def test_weights_that_arent_there_are_named(given: Given, root: Path) -> None:
    trial = given()
    shutil.rmtree(root / "backbones")
    with pytest.raises(InputError, match="the weights that training starts from are not prepared") as caught:
        load_pretrained(trial, root)
    assert "lape data backbone --from FILE" in caught.value.problems[0].fix


def test_a_level_without_weights_is_no_cell(given: Given) -> None:
    with pytest.raises(InputError, match="names no weights for join default"):
        given({"lape": "lape"})


def test_a_convolutional_network_cant_start_from_a_backbone(given: Given) -> None:
    with pytest.raises(InputError, match="can't start from the weights of a backbone"):
        given(
            {"default": "default"},
            ("family: vit_lite, patch_size: 4, embed_dim: 8, depth: 2, num_heads: 2, mlp_ratio: 1", NETWORK),
            ("pe: [learnable]", "pe: [none]"),
            ("join: [default, lape]", "join: [default]\n  norm: [bn]"),
        )


def test_an_axis_that_isnt_one_is_named(given: Given) -> None:
    with pytest.raises(InputError, match="pretrained weights can't differ by 'joint'") as caught:
        given(None, ("axis: join", "axis: joint"))
    assert "join" in caught.value.problems[0].fix


def test_weights_of_a_level_that_isnt_one_are_refused(given: Given) -> None:
    """They would have no effect, and give the same training another id."""
    with pytest.raises(InputError, match="pretrained weights for join 'laep', which there isn't") as caught:
        given(None, ("weights: {default:", "weights: {laep: " + "0a" * 32 + ", default:"))
    assert "lape" in caught.value.problems[0].fix


@pytest.mark.parametrize(("name", "refused"), [("small_vti", True), ("cct_7_3x1", False)])
def test_weights_of_an_architecture_that_isnt_one_are_refused(
    write_grid: Callable[..., Path], name: str, refused: bool
) -> None:
    """It may be one that the grid doesn't name among its levels, so that a part of a grid keeps its ids."""
    arch = next(iter(load_grid(write_grid()).expand().trials)).arch.name
    weights = f"{{axis: arch, weights: {{{arch}: {'0a' * 32}, {name}: {'0b' * 32}}}}}"
    grid = load_grid(write_grid(("train_images: 128}", f"train_images: 128, pretrained: {weights}}}")))
    if not refused:
        assert grid.expand().trials
        return
    with pytest.raises(InputError, match="pretrained weights for arch 'small_vti', which there isn't") as caught:
        grid.expand()
    assert "small.yaml" in caught.value.problems[0].where
