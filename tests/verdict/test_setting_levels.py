"""Contrasts within the levels of a setting and between them, and claims that name such a level."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.settings import SETTINGS, level_text, reduced_names
from suite.store.canonical import canonical_json, fingerprint
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import comparisons
from suite.verdict.run_caveats import run_caveats
from suite.verdict.verdicts import judge
from tests.frames import frame_of, run


def row(
    seed: int, top1: float, epochs: int = 10, depth: int = 4, images: int | None = None, **values: Any
) -> dict[str, Any]:
    """A run of a grid with axes recipe.epochs (tied with train_images, if they are given) and size.depth."""
    recipe = {"epochs": epochs, "lr": 0.005, "train_images": images}
    parts = {"recipe": recipe, "arch": {"family": "vit_lite", "depth": depth}, "rest": "r"}
    name = f"digits+epochs={epochs}" + ("" if images is None else f"+train_images={images}")
    made = {"recipe": name, "recipe_id": fingerprint(recipe), "settings": canonical_json(parts)}
    return {**run(seed, top1, arch=f"vit+depth={depth}", **made, **values), **made}


def frame(rows: list[dict[str, Any]]) -> Any:
    return frame_of(rows).assign(settings=[one["settings"] for one in rows])


def both(top1: float, gain: float, **values: Any) -> list[dict[str, Any]]:
    return [
        row(seed, top1 + 0.1 * seed + (gain if join == "lape" else 0), join=join, **values)
        for seed in range(4)
        for join in ("default", "lape")
    ]


def claim(**contrast: Any) -> Claim:
    given_ = {"baseline": "default", "treatment": "lape", "axis": "join", "match": {"dataset": "digits"}, **contrast}
    return Claim.model_validate({
        "id": "c", "paper": "p", "version": "v", "table": "1", "row": "r", "kind": "analogue", "published_for": "x",
        "contrast": given_, "claimed_gain": 2.0, "margin": 1.0,
    })  # fmt: skip


ROWS = [*both(70, 20), *both(80, 5, epochs=30), *both(90, 1, epochs=100), *both(60, 3, depth=2)]


def test_contrasts_are_within_each_level() -> None:
    found = comparisons(frame(ROWS))
    assert sorted(round(one.gain.mean) for one in found) == [1, 3, 5, 20]
    assert [(one.level("size.depth"), one.level("recipe.epochs"), one.unshared) for one in found] == [
        ("2", "10", ""), ("4", "10", ""), ("4", "30", ""), ("4", "100", ""),
    ]  # fmt: skip


def test_a_contrast_between_levels_pairs_runs_of_a_seed() -> None:
    found = comparisons(frame(ROWS), "recipe.epochs", "30")
    assert [(one.cell["join"], one.treatment.level, round(one.gain.mean)) for one in found] == [
        ("default", "10", -10), ("default", "100", 10), ("lape", "10", 5), ("lape", "100", 6),
    ]  # fmt: skip
    assert {one.cell["recipe"] for one in found} == {"digits"}
    assert found[1].label == "digits vit+depth=4 learnable default: epochs 100 vs 30"
    assert not found[0].unshared
    (deep, _) = comparisons(frame(ROWS), "size.depth", "2")
    assert (deep.cell["arch"], round(deep.gain.mean)) == ("vit", 10)
    (caveat,) = [text for text in run_caveats(deep) if "share" in text]
    assert "initial weights" in caveat
    assert "size.depth" in caveat


def test_tied_settings_differ_together_or_make_no_contrast() -> None:
    rows = [*both(70, 20, epochs=10, images=400), *both(80, 5, epochs=40, images=100)]
    assert comparisons(frame(rows), "recipe.epochs", "10") == []
    found = comparisons(frame(rows), "recipe.epochs", "10", tied=["recipe.train_images"])
    assert [(one.cell["recipe"], round(one.gain.mean)) for one in found] == [("digits", 10), ("digits", -5)]
    assert found[0].unshared == "batches; they share initial weights (recipe.train_images)"
    with pytest.raises(InputError, match="several runs of one seed"):
        comparisons(frame([*rows, *both(1, 1, images=100)]), "recipe.epochs", "10", tied=["recipe.train_images"])


def test_claims_name_levels_by_number_and_architectures_without_their_size() -> None:
    asked = claim(match={"recipe.epochs": 30, "arch": "vit", "recipe": "digits", "size.depth": 4})
    (verdict,) = judge(frame(ROWS), [asked])
    assert (verdict.evidence is not None, verdict.recipe) == (True, "digits+epochs=30")
    assert len(judge(frame(ROWS), [claim(match={"arch": "vit"})])) == 4
    assert [verdict.evidence for verdict in judge(frame(ROWS), [claim(match={"recipe.epochs": 31})])] == [None]
    between = claim(axis="recipe.epochs", baseline=10, treatment=30, match={"join": "lape", "arch": "vit"})
    (verdict,) = judge(frame(ROWS), [between])
    assert verdict.evidence is not None
    assert verdict.evidence.gain.mean == pytest.approx(-5)
    between = claim(axis="recipe.epochs", baseline=10, treatment=31, match={"join": "lape"})
    assert [verdict.word for verdict in judge(frame(ROWS), [between])] == ["not_tested"]


@pytest.mark.parametrize(
    ("contrast", "told"),
    [
        ({"axis": "recipe.epoch", "baseline": 1, "treatment": 2}, "recipe.epochs"),
        ({"match": {"recipe.epoch": 1}}, "recipe.epochs"),
        ({"axis": "recipe.lr", "baseline": 1, "treatment": 1.0}, "that differ"),
        ({"tied": ["recipe.lr"]}, "tied only with a setting"),
        ({"axis": "recipe.lr", "baseline": 1, "treatment": 2, "tied": ["recipe.lr"]}, "another setting; not tied"),
        (
            {"axis": "recipe.lr", "baseline": 1, "treatment": 2, "match": {"recipe.lr": 1}},
            "another axis or setting; not match",
        ),
    ],
)
def test_contrasts_that_make_no_sense_are_refused(contrast: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        claim(**contrast)


def test_a_frame_without_settings_has_no_levels_of_them() -> None:
    with pytest.raises(InputError, match="a run without its settings"):
        comparisons(frame_of([run(0)]), "recipe.epochs", "10")


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.integers(0, 120), min_size=1, max_size=6))
def test_a_name_without_its_levels_is_the_name_before_them(values: dict[str, int]) -> None:
    texts = {name: level_text(value) for name, value in values.items()}
    names = {True: "base+epochs=1200+lr=0.5", False: "vit+depth=1200"}
    for name, text in texts.items():
        names[SETTINGS[name].of_recipe] += SETTINGS[name].named(text)
    assert reduced_names(texts, texts, names[True], names[False]) == ("base+epochs=1200+lr=0.5", "vit+depth=1200")


@pytest.mark.parametrize(("axis", "lape", "told"), [("join", "b", True), ("join", "a", False), ("norm", "b", False)])
def test_sides_that_start_from_two_files_are_told(axis: str, lape: str, told: bool) -> None:
    """Of pretrained weights: all pairs share the two files, so that more seeds say nothing of how these turned out."""
    pretrained = {"axis": axis, "weights": {"default": "a", "lape": lape}}
    rows = both(70, 2)
    for one in rows:
        parts = json.loads(one["settings"])
        parts["recipe"]["pretrained"] = pretrained
        one["settings"] = canonical_json(parts)
    (found,) = comparisons(frame(rows))
    assert any("two files of pretrained weights" in text for text in run_caveats(found)) == told
