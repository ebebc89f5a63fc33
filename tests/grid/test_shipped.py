"""The grids, recipes and claims that come with the suite, in a folder that isn't the project's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid import shipped
from suite.grid.grid import load_grid
from suite.report.workspace import open_workspace
from tests.conftest import REPOSITORY

RECIPE = "recipe: {version: 1, epochs: 2, batch_size: 64, lr: 1e-3, train_images: 128}"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_shipped_grid_is_found_by_its_name_with_its_recipe_and_claims() -> None:
    here = load_grid("quickstart")
    assert here.expand().ids == load_grid(REPOSITORY / "grids" / "quickstart.yaml").expand().ids
    assert [file.is_file() for file in here.claim_files] == [True]


def test_a_grid_anywhere_may_name_shipped_recipes_and_claims(write_grid: Callable[..., Path]) -> None:
    path = write_grid((RECIPE, "recipe: {base: digits}\nclaims: [claims/quickstart.yaml]"))
    workspace = open_workspace(str(path), (), None, Path("results"), Path("reports"))
    assert {trial.recipe_name for trial in workspace.expansion.trials} == {"digits"}
    assert workspace.claims


def test_the_working_folder_comes_first(write_grid: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "grids" / "recipes").mkdir(parents=True)
    own = tmp_path / "grids" / "recipes" / "digits.yaml"
    own.write_text(
        (REPOSITORY / "grids" / "recipes" / "digits.yaml").read_text().replace("\nepochs: 16", "\nepochs: 31")
    )
    write_grid((RECIPE, "recipe: digits"), ("name: small", "name: mine"), name="grids/quickstart.yaml")
    grid = load_grid("quickstart")
    assert grid.name == "mine"
    assert {trial.recipe.epochs for trial in grid.expand().trials} == {31}
    files = shipped.known_files()
    assert next(iter(files)) == "quickstart"
    assert shipped.typed_name(files["quickstart"]) == str(Path("grids") / "quickstart.yaml")
    assert shipped.typed_name(files["table2"]) == "table2"


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "claims/../../pyproject.toml"])
def test_no_other_file_is_read_by_this_way(write_grid: Callable[..., Path], name: str) -> None:
    path = write_grid((RECIPE, f"{RECIPE}\nclaims: [{name}]"))
    with pytest.raises(InputError, match="a file outside the grid's folder"):
        _ = load_grid(path).claim_files


def test_an_installed_package_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "suite"
    (package / "shipped" / "grids").mkdir(parents=True)
    monkeypatch.setattr("suite.__file__", str(package / "__init__.py"))
    assert shipped.shipped_folder.__wrapped__() == package / "shipped" / "grids"
