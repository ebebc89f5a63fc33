"""What is said of values that can't be used: plain words, never those of the library that checks them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from suite.data.corruptions.settings import Corruptions
from suite.data.datasets import Dataset
from suite.errors import InputError, Problem
from suite.grid import schema
from suite.grid.budget import Budget
from suite.grid.documents import Document, read_document
from suite.grid.pretrained import Pretrained
from suite.grid.recipe import Recipe
from suite.grid.scenes import Scenes
from suite.models.sizes import AnySize
from suite.plain_errors import FORMS
from suite.verdict.claims.claim import Claim, ClaimedContrast
from suite.verdict.claims.published import Statement, Value
from suite.verdict.claims.schema import ClaimFile, Rule, Sides
from suite.verdict.metrics import Reference

# The words of pydantic, and ours for what isn't in the tables of `suite.plain_errors`.
FOREIGN = re.compile(
    r"Input should|String should|should (be|have|match)|valid (tuple|list|string|number|integer|dictionary|boolean)|"
    r"after validation|Value error|Extra inputs|Field required|pattern|greater than|less than|"
    r"another value|of another form|constraint|instance of"
)
WRONG = (None, True, "", "a b", "x" * 300, -1, 0, 1, 1.5, 1e9, 10**30, math.inf, math.nan, [], [1], [1, 2, 3],
         ["a"], ["a", "a"], {}, {"a": 1}, {"a b": {}}, {1: 2}, [[]], [{}], [{"a": 1}], {"a": "b"},
         {"a": {"a": [1]}})  # fmt: skip


def sizes(kind: type[AnySize] = AnySize) -> list[type[BaseModel]]:
    return [kind, *(found for inner in kind.__subclasses__() for found in sizes(inner))]


GRIDS = [schema.GridFile, schema.Axes, schema.When, schema.Cell, schema.Exclude, schema.Block, schema.Expected,
         schema.Interactions, schema.Choose, schema.Tied, Budget]  # fmt: skip
RECIPES = [Recipe, Scenes, Corruptions, Pretrained]
CLAIMS = [ClaimFile, Rule, Sides, Claim, ClaimedContrast, Value, Statement, Reference]


def parts(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and those of its fields."""
    inner = [one for info in model.model_fields.values() for one in (info.annotation, *get_args(info.annotation))
             if isinstance(one, type) and issubclass(one, BaseModel)]  # fmt: skip
    return [model, *inner]


def refused(model: type[BaseModel], values: Any, path: str = "some.yaml") -> list[Problem]:
    try:
        Document(Path(path), {}).validate(model, values)
    except InputError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("model", dict.fromkeys([*GRIDS, *RECIPES, *CLAIMS, *parts(Dataset), *sizes()]))
def test_no_message_has_the_words_of_the_library(model: type[BaseModel]) -> None:
    for key in model.model_fields:
        found = [problem for value in WRONG for problem in refused(model, {key: value})]
        assert any(key in problem.what for problem in found) or "." in key  # levels are checked in their cells
        for problem in found:
            assert not FOREIGN.search(str(problem)), problem
            assert problem.expected, problem
            assert problem.found, problem
            assert problem.fix, problem
            assert problem.expected != problem.fix
    for value in WRONG:
        assert not FOREIGN.search(" ".join(map(str, refused(model, value))))


@pytest.mark.parametrize("model", dict.fromkeys([*GRIDS, *RECIPES, *CLAIMS, *parts(Dataset), *sizes()]))
def test_each_pattern_has_its_words(model: type[BaseModel]) -> None:
    patterns = re.findall(r"'pattern': '((?:[^'\\]|\\.)*)'", repr(TypeAdapter(model).core_schema))
    assert not {pattern.encode().decode("unicode_escape") for pattern in patterns} - FORMS.keys()


RECIPE = {"version": 1, "epochs": 3, "batch_size": 8, "lr": 1e-3}


@pytest.mark.parametrize(
    ("change", "expected", "found", "fix"),
    [
        ({"epochs": 0}, "a number of at least 1", "0 (int)", "change epochs (passes over the data)"),
        ({"lr": 0.0}, "a number above 0", "0.0 (float)", "change lr (peak learning rate)"),
        ({"crop_scale": "abc"}, "a list of two numbers", "'abc' (str)", None),
        ({"crop_scale": [0.08]}, "a list of two numbers", "[0.08] (list)", None),
        ({"crop_scale": [0.1, 0.2, 0.3]}, "a list of two numbers", "[0.1, 0.2, 0.3] (list)", None),
        ({"crop_scale": ["a", 1.0]}, "a number", "'a' (str)", None),
        (
            {"decay": "cosin"},
            "'cosine' or 'polynomial'",
            "'cosin' (str)",
            "did you mean 'cosine'? choose one of: cosine, polynomial",
        ),
        ({"loss_weights": {"a": -1.0}}, "a number of at least 0", "-1.0 (float)", "change a"),
        (
            {"batch_size": 7, "mixup": 0.8},
            "an even batch_size, to mix images in pairs, not 7",
            "batch_size 7",
            "change batch_size",
        ),
        (
            {"warmup_epochs": 5},
            "warmup_epochs (5) must be less than epochs (3)",
            "warmup_epochs 5, epochs 3",
            "change warmup_epochs or epochs",
        ),
    ],
)
def test_a_recipe(change: dict[str, Any], expected: str, found: str, fix: str | None) -> None:
    (problem,) = refused(Recipe, {**RECIPE, **change})
    assert problem.expected == expected
    assert problem.found == found
    assert problem.fix == fix if fix else problem.fix.startswith("change crop_scale (random resized crop")


def test_a_list_that_is_too_short_is_no_missing_key() -> None:
    (problem,) = refused(Recipe, {**RECIPE, "crop_scale": [0.08]})
    assert problem.what == "crop_scale can't be used"


def test_a_policy_that_cannot_be_read_is_told_in_parts() -> None:
    (problem,) = refused(Recipe, {**RECIPE, "auto_augment": "rand-m9-n100"})
    assert "at character 9 of 'rand-m9-n100'" in problem.what
    assert problem.expected == "cifar10, or rand and its settings, such as rand-m9-mstd0.5-inc1"
    assert problem.found == "'n100'"
    assert "from 1 to 99" in problem.fix
    assert len(str(problem)) < 400


@pytest.mark.parametrize(
    ("model", "values", "expected", "fix"),
    [
        (Budget, {"note": "n", "stands_for": {"dataste": {}}}, "an axis of size", "did you mean 'dataset'"),
        (Corruptions, {"kinds": ["fgo"]}, "a kind of corruption", "did you mean 'fog'"),
        (Reference, {"name": "n", "errors": {"fgo": 1.0}}, "a kind of corruption", "did you mean 'fog'"),
        (
            ClaimedContrast,
            {"axis": "jion", "baseline": "a", "treatment": "b", "match": {"arch": "x"}},
            "an axis or a setting",
            "did you mean 'join'",
        ),
        (
            ClaimedContrast,
            {"axis": "recipe.lr", "baseline": "a", "treatment": "b", "match": {"arch": "x"}, "tied": ["recipe.epoch"]},
            "another setting",
            "did you mean 'recipe.epochs'",
        ),
        (
            ClaimedContrast,
            {"axis": "join", "baseline": "a", "treatment": "b", "match": {"arhc": "x"}},
            "another axis or setting",
            "did you mean 'arch'",
        ),
    ],
)
def test_an_unknown_name_is_told_apart_from_the_known_ones(
    model: type[BaseModel], values: dict[str, Any], expected: str, fix: str
) -> None:
    (problem,) = refused(model, values)
    assert problem.expected == expected
    assert problem.fix.startswith(fix)


def test_an_override_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("version: 1\nepochs: 3\nbatch_size: 8\nlr: 1e-3\nmixup: 0.8\n")
    document = read_document(path)
    document.override("batch_size=7")
    with pytest.raises(InputError, match=r"where: +--set batch_size=7"):
        document.validate(Recipe)
