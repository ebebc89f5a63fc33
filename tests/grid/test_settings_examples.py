"""The page about settings, and the two example grids that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from suite.grid.grid import load_grid
from suite.grid.schema import Choose
from suite.grid.settings import SETTINGS
from suite.verdict.claims.claim import ClaimedContrast
from tests.conftest import GRID, REPOSITORY

PAGE = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")


def shown(word: str) -> str:
    """The page's example that holds a word."""
    (found,) = (text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if word in text)
    return str(found)


@pytest.mark.parametrize(
    ("name", "axis", "levels"),
    [("digits_training_length", "recipe.epochs", 3), ("digits_learning_rate", "recipe.lr", 5)],
)
def test_the_examples_vary_one_setting_for_both_sides(name: str, axis: str, levels: int) -> None:
    assert f"lape run {name}" in PAGE
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    assert grid.setting_axes == [(axis,)]
    assert len(grid.expand().trials) == levels * 2 * 5


def test_the_example_of_a_choice_is_the_one_that_the_page_shows() -> None:
    grid = load_grid(REPOSITORY / "grids" / "digits_chosen_rate.yaml")
    values = YAML(typ="safe").load(shown("choose:"))
    assert (grid.file.seeds, grid.file.choose) == (values["seeds"], Choose(**values["choose"]))
    assert grid.document.values["axes"].items() >= values["axes"].items()
    assert grid.document.values["recipe"].items() >= values["recipe"].items()
    search = grid.expand().search
    assert search is not None
    assert [len(side) for side in search.sides] == [5, 5]
    assert "lape run digits_chosen_rate" in PAGE


def test_the_page_shows_a_grid_and_contrasts_that_are_valid(tmp_path: Path) -> None:
    axes, contrasts = shown("zip:"), shown("contrast:")
    text = GRID[: GRID.index("axes:")].replace("epochs: 2, ", "").replace(", train_images: 128", "")
    text = text.replace("lr: 1e-3", "weight_decay: 0.1").replace(" depth: 2,", "").replace("tiny", "vit")
    path = tmp_path / "g.yaml"
    path.write_text(text + axes)
    assert len(load_grid(path).expand().trials) == 2 * 2 * 3 * 2 * 2
    for line in contrasts.splitlines():
        contrast = ClaimedContrast.model_validate(YAML(typ="safe").load(line)["contrast"])
        assert any(name in SETTINGS for name in (contrast.axis, *contrast.match))
