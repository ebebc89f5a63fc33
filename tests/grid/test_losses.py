"""The loss axis: what is registered, which cells have it, and what its weights do to ids."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from suite.cli.commands.ls import list_kind
from suite.errors import InputError
from suite.grid.grid import Expansion, load_grid
from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.models.architectures import FAMILIES, Architecture, resolve_architecture
from suite.models.levels import Cell, refusal
from suite.store.frames import to_frame
from suite.store.record import LOSS_KEYS
from suite.verdict.comparisons import comparisons
from tests.models.test_conformance import SIZES
from tests.records import make_record

Write = Callable[..., Path]
OF_LOGITS = ("bce", "focal", "poly1")
MIXES = {"cutmix": 1.0, "cutmix_grid": 4}


def recipe(**values: object) -> Recipe:
    return Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 2, "lr": 1.0, **values})


def expand(write_grid: Write, recipe: str, losses: str, *more: tuple[str, str]) -> Expansion:
    changes = (("lr: 1e-3,", f"lr: 1e-3, {recipe}"), ("join: [default, lape]", f"join: [default]\n  loss: {losses}"))
    return load_grid(write_grid(*changes, *more)).expand()


def test_each_level_says_what_it_is_and_where_its_code_is() -> None:
    listed = dict(line.split(maxsplit=1) for line in list_kind("losses"))
    for name, loss in LOSSES.items():
        assert loss.name == name
        assert loss.equation in listed[name]
        assert f"[{loss.source}]" in listed[name]
        for term in loss.terms:
            module, function = term.code.split(":")
            assert getattr(import_module(module), function).__doc__
            assert term.weight in LOSS_KEYS or term.weight == "poly_epsilon"
        assert sum(bool(term.classifies) for term in loss.terms) <= 1


def test_the_published_levels_have_the_published_terms() -> None:
    terms = {name: [re.sub(r"^.*:", "", term.code) for term in loss.terms] for name, loss in LOSSES.items()}
    assert terms == {
        "default": [],
        "diversepatch": ["cosine", "contrastive", "mixing"],
        "diverse_cosine": ["cosine"],
        "diverse_cosine_v1": ["signed_cosine"],
        "diverse_contrastive": ["contrastive"],
        "diverse_mixing": ["mixing"],
        "diversepatch_release": ["released_contrastive", "released_mixing"],
        "diverse_contrastive_release": ["released_contrastive"],
        "diverse_mixing_release": ["released_mixing"],
        "diversepatch_revised": ["revised_contrastive", "released_mixing"],
        "diverse_contrastive_revised": ["revised_contrastive"],
        "bce": [],
        "focal": [],
        "poly1": ["one_minus_probability"],
    }
    assert {name: loss.base.code for name, loss in LOSSES.items() if loss.base is not None} == {
        "bce": "suite.train.losses.of_logits:binary_cross_entropy",
        "focal": "suite.train.losses.of_logits:focal",
    }


OTHERS = ("sequence", "segmenter", "semantic", "regions")  # families of other tasks


def refused(loss: str, arch: Architecture, side: int, recipe: Recipe) -> InputError | None:
    return refusal(LOSSES, Cell(arch, side, {"loss": loss}, recipe))


@pytest.mark.parametrize("family", [name for name in FAMILIES if not any(other in name for other in OTHERS)])
@pytest.mark.parametrize("loss", LOSSES)
def test_which_families_have_which_losses(family: str, loss: str) -> None:
    """Convolutional networks none; pyramids those that look at the last block alone."""
    arch = resolve_architecture(family, SIZES[family])
    error = refused(loss, arch, 32, recipe(cutmix=1.0, cutmix_grid=16))
    spans = any(term.spans for term in LOSSES[loss].terms)
    expected = loss in ("default", *OF_LOGITS) or (
        arch.size.patch_tokens(32) is not None and not (family == "swin" and spans)
    )
    assert (error is None) == expected
    assert (arch.norm == "bn") == (arch.size.patch_tokens(32) is None)
    if error is not None:
        (problem,) = error.problems
        assert f"loss {loss!r}" in problem.what
        assert "choose loss default" in problem.fix


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "doesn't mix on the patch grid"),
        ({"cutmix": 1.0}, "doesn't mix on the patch grid"),
        ({"mixup": 0.8}, "doesn't mix on the patch grid"),
        ({**MIXES, "mixup": 0.8}, "Mixup blends two images in every pixel"),
        ({"cutmix": 1.0, "cutmix_grid": 2}, "boxes on a grid of 2 pixels cut patches of 4 pixels"),
    ],
)
@pytest.mark.parametrize("loss", ["diversepatch", "diverse_mixing", "diverse_mixing_release", "diversepatch_release"])
def test_a_mixing_loss_needs_a_label_for_each_patch(loss: str, values: dict[str, float], reason: str) -> None:
    arch = resolve_architecture("deit", {**SIZES["deit"], "patch_size": 4})
    assert refused(loss, arch, 16, recipe(**MIXES)) is None
    assert refused(loss, arch, 16, recipe(cutmix=1.0, cutmix_grid=8)) is None
    error = refused(loss, arch, 16, recipe(**values))
    assert error is not None
    (problem,) = error.problems
    assert reason in problem.what
    assert "set cutmix: 1.0, mixup: 0 and cutmix_grid: 4 in the recipe" in problem.fix
    assert "choose loss default, diverse_cosine" in problem.fix


def test_losses_that_compare_patches_need_two_of_them() -> None:
    one, four = (resolve_architecture("deit", {**SIZES["deit"], "patch_size": side}) for side in (16, 8))
    whole = recipe(cutmix=1.0, cutmix_grid=16)
    assert [name for name in LOSSES if refused(name, one, 16, whole) is None] == [
        "default", "diverse_mixing", "diverse_mixing_release", *OF_LOGITS,
    ]  # fmt: skip
    assert all(refused(name, four, 16, whole) is None for name in LOSSES)


@pytest.mark.parametrize("value", ["-0.5", ".nan", ".inf"])
@pytest.mark.parametrize("weight", LOSS_KEYS)
def test_a_weight_is_finite_and_not_negative(write_grid: Write, weight: str, value: str) -> None:
    with pytest.raises(InputError, match=weight):
        expand(write_grid, f"{weight}: {value},", "[default, diverse_cosine]")


def test_a_weight_that_no_loss_of_the_grid_has_a_term_for_is_refused(write_grid: Write) -> None:
    with pytest.raises(InputError) as caught:
        expand(write_grid, "contrastive_weight: 0.5,", "[default, diverse_cosine]")
    (problem,) = caught.value.problems
    assert problem.what == "contrastive_weight of the recipe has no effect"
    assert "diversepatch, diverse_contrastive, diversepatch_release" in problem.fix
    assert "small.yaml" in problem.where


def test_a_loss_without_any_weight_is_refused(write_grid: Write) -> None:
    with pytest.raises(InputError, match="no term whose weight isn't 0"):
        expand(write_grid, "cosine_weight: 0,", "[default, diverse_cosine]")


def test_weights_are_in_the_ids_of_the_losses_they_belong_to_alone(write_grid: Write) -> None:
    losses = "[default, diverse_cosine, diverse_contrastive]"
    plain = {trial.loss: trial.id for trial in expand(write_grid, "", losses).trials if not trial.seed_index}
    weighted = expand(write_grid, "cosine_weight: 0.5,", losses).trials
    ids = {trial.loss: trial.id for trial in weighted if not trial.seed_index}
    assert [loss for loss in plain if plain[loss] != ids[loss]] == ["diverse_cosine"]
    records = [make_record(trial) for trial in weighted]
    assert [record.config["recipe"].get("cosine_weight") for record in records[:3]] == [None, 0.5, None]
    found = comparisons(to_frame(records), "loss")
    assert [(contrast.treatment.level, len(contrast.gains)) for contrast in found] == [
        ("diverse_cosine", 2),
        ("diverse_contrastive", 2),
    ]


def test_a_grid_of_cells_that_a_loss_doesnt_fit_is_refused_or_drops_them(write_grid: Write) -> None:
    losses = "[default, diverse_cosine, diverse_mixing]"
    with pytest.raises(InputError, match="doesn't mix on the patch grid"):
        expand(write_grid, "", losses)
    dropping = ("seeds:", "impossible: drop\nseeds:")
    expansion = expand(write_grid, "", losses, dropping)
    assert [dropped.cell["loss"] for dropped in expansion.dropped] == ["diverse_mixing"]


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        ("cutmix_grid: 4,", "no effect without cutmix"),
        ("cutmix: 1.0, cutmix_grid: 3,", "doesn't fit the data set digits"),
    ],
)
def test_a_grid_of_boxes_fits_the_recipe_and_the_images(write_grid: Write, recipe: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        expand(write_grid, recipe, "[default]")


def test_weights_of_their_own_names(write_grid: Write) -> None:
    """They are in the ids of the losses that they belong to, and in no other; 1 is what isn't named."""
    losses = "[default, poly1]"
    ids = {
        text: {trial.loss: trial.id for trial in expand(write_grid, text, losses).trials}
        for text in ("", "loss_weights: {poly_epsilon: 1},", "loss_weights: {poly_epsilon: 2},")
    }
    plain, one, two = ids.values()
    assert plain == one
    assert plain["default"] == two["default"]
    assert plain["poly1"] != two["poly1"]
    with pytest.raises(InputError, match=r"poly_epsilom of the recipe has no effect(.|\n)*small\.yaml, line"):
        expand(write_grid, "loss_weights: {poly_epsilom: 2},", losses)
    with pytest.raises(InputError, match="sees only whether a class is among the labels"):
        expand(write_grid, "label_smoothing: 0.1,", "[default, bce]")
    assert len(expand(write_grid, "mixup: 0.8,", "[default, bce]").trials) == 4
