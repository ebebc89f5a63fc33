"""The grids of the published tables: every value that the suite can measure has its cell, and is expected of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from suite.grid.expansion import matches
from suite.grid.grid import load_grid
from suite.models.architectures import resolve_architecture
from suite.models.build import build_model
from suite.models.costs.macs import count_parameters
from suite.models.model_cell import ModelCell, Shape
from suite.models.sizes import Size
from suite.report.workspace import open_workspace
from suite.store.record import AXIS_FIELDS
from suite.verdict.claims.published import Value
from suite.verdict.claims.reader import read_claim_files
from tests.conftest import REPOSITORY

TABLES = ("table1", "table2", "table5", "table6", "table7", "table8")
# Their teacher's checksum must be known first; the grid says how to get it.
DISTILLED = {"deit_tiny_distilled", "deit_small_distilled", "deit_base_distilled"}


def values(name: str) -> list[Value]:
    (file,) = read_claim_files([REPOSITORY / "grids" / "claims" / f"{name}.yaml"])
    return list(file.values.values())


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_a_trial_by_a_published_recipe(name: str) -> None:
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    trials = grid.expand().trials
    cells = {tuple(trial.levels[axis] for axis in AXIS_FIELDS) for trial in trials}
    published = {
        tuple(getattr(value.cell, axis) for axis in AXIS_FIELDS)
        for value in values(name)
        if value.cell.arch not in DISTILLED
    }
    assert cells == published
    assert {trial.seed_index for trial in trials} == {121, 122, 123, 124, 125}
    assert all(trial.recipe.epochs == 300 for trial in trials)


@pytest.mark.parametrize("name", TABLES)
def test_what_is_expected_is_what_the_paper_prints(name: str) -> None:
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    printed = [value for value in values(name) if value.metric == "top1_best_epoch"]
    told = [entry for entry in grid.file.expect if entry.top1 is not None]
    for value in printed:
        found = [entry.top1 for entry in told if matches(entry.when, value.cell.levels)]
        assert found == [] if value.cell.arch in DISTILLED else found == [value.number], value.id
    for entry in told:
        assert any(matches(entry.when, value.cell.levels) for value in printed), entry


def test_every_cell_of_dtns_tables_is_a_trial_and_expected_of_it() -> None:
    grid = load_grid(REPOSITORY / "grids" / "dtn_imagenet.yaml")
    published = {value.cell: value.number for value in values("dtn") if value.metric == "top1_best_epoch"}
    ours = {"vit_tiny_late", "vit_small_h6_c384_baseline", "vit_small_h9_c432_baseline"}  # of no printed cell
    cells = {(trial.arch.name, trial.norm) for trial in grid.expand().trials if trial.arch.name not in ours}
    assert cells == {(cell.arch, cell.norm) for cell in published}
    for cell, number in published.items():
        assert [entry.top1 for entry in grid.file.expect if matches(entry.when, cell.levels)] == [number]


@pytest.mark.parametrize(("name", "baselines"), [("dtn_imagenet", 2), ("dtn_budget", 1)])
def test_dtns_released_baseline_is_trained_beside_the_contrasts_of_norms(name: str, baselines: int) -> None:
    """Its position: standard deviation 1 and weight decay (vit_norm.py). Those of its DTN models: neither."""
    trials = load_grid(REPOSITORY / "grids" / f"{name}.yaml").expand().trials
    found: dict[tuple[float | None, bool], set[str]] = {}
    for trial in trials:
        assert isinstance(trial.arch.size, Size)
        found.setdefault((trial.arch.size.position_std, trial.recipe.decay_position), set()).add(trial.arch.name)
    assert found.keys() == {(None, False), (1.0, True)}
    assert len(found[1.0, True]) == baselines
    assert {trial.norm for trial in trials if trial.arch.name in found[1.0, True]} == {"ln"}


def test_every_cell_of_diversepatchs_table_that_can_be_trained_is_a_trial_and_expected_of_it() -> None:
    grid = load_grid(REPOSITORY / "grids" / "diversepatch_imagenet.yaml")
    published = {value.cell: value.number for value in values("diversepatch") if not value.not_runnable}
    trials = grid.expand().trials
    assert {(cell.arch, cell.loss) for cell in published} <= {(trial.arch.name, trial.loss) for trial in trials}
    for cell, number in published.items():
        assert [entry.top1 for entry in grid.file.expect if matches(entry.when, cell.levels)] == [number]
    assert {trial.recipe.cutmix_grid for trial in trials} == {16}  # on both sides of a contrast


def test_the_sizes_of_diversepatchs_deits_are_those_of_its_readme() -> None:
    """It prints 86 M for DeiT-B12 and 172 M for DeiT-B24."""
    shape = Shape(1000, 224)
    for arch, millions in (("deit_base_12", 86), ("deit_base_24", 172)):
        with torch.device("meta"):
            cell = ModelCell(resolve_architecture(arch), "learnable", "default", "ln", shape)
            total = count_parameters(build_model(cell)).total
        assert abs(total / 1e6 - millions) < 1


@pytest.mark.parametrize(
    ("name", "epochs", "images"),
    [("dtn_budget", 10, 2500), ("diversepatch_budget", 10, 2500), ("l2bn_budget", 8, None)],
)
def test_the_budget_grids_of_norms_and_losses_can_be_built(name: str, epochs: int, images: int | None) -> None:
    expansion = load_grid(REPOSITORY / "grids" / f"{name}.yaml").expand()
    assert not expansion.dropped
    assert {(trial.recipe.epochs, trial.recipe.train_images) for trial in expansion.trials} == {(epochs, images)}


@pytest.mark.parametrize("name", ["table3", "l2bn"])
def test_tables_of_other_tasks_only_report_their_claims(name: str) -> None:
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    assert grid.expand().trials == ()
    assert grid.file.not_runnable
    assert all(value.not_runnable for value in values(name))
    assert [path.stem for path in grid.claim_files] == [name]


def test_table_4_has_segmenters_published_recipe_and_its_models() -> None:
    """The numbers of parameters are those of MMSegmentation's models. ViT-Adapter isn't built."""
    trials = load_grid(REPOSITORY / "grids" / "table4.yaml").expand().trials
    assert {(trial.arch.name, trial.join) for trial in trials} == {
        (value.cell.arch, value.cell.join) for value in values("table4") if "adapter" not in value.cell.arch
    }
    assert all(value.not_runnable for value in values("table4"))  # the paper's backbones aren't at hand
    recipe, dataset = trials[0].recipe, trials[0].dataset
    assert recipe.scenes is not None
    steps = dataset.train_images // recipe.batch_size * recipe.epochs
    assert (recipe.optimiser, recipe.momentum, recipe.lr, recipe.weight_decay) == ("sgd", 0.9, 1e-3, 0.0)
    assert (recipe.decay, recipe.decay_power, recipe.schedule_unit) == ("polynomial", 0.9, "step")
    assert 160_000 <= steps < 162_000
    assert (recipe.scenes.scale, recipe.flip, dataset.image_size) == ((0.5, 2.0), True, 512)
    with torch.device("meta"):
        params = {
            trial.arch.name: count_parameters(build_model(trial.model)).total
            for trial in trials
            if (trial.join, trial.seed_index) == ("default", 121)
        }
    assert params == {"segmenter_tiny_mask_16": 6_713_388, "segmenter_small_mask_16": 26_033_964}


def test_the_checksum_of_ade20k_is_that_of_its_numbers() -> None:
    dataset = load_grid(REPOSITORY / "grids" / "table4.yaml").expand().trials[0].dataset
    assert dataset.checksum == dataset.whole_checksum("")
    assert (dataset.train_images, dataset.test_images, dataset.num_classes) == (20210, 2000, 150)


def test_a_table_whose_values_stand_in_two_places_of_a_file_is_one(write_grid: Callable[..., Path]) -> None:
    path = write_grid(("seeds:", f"claims: [{REPOSITORY / 'grids/claims/dtn.yaml'}]\nseeds:"))
    published = open_workspace(str(path), (), None, path.parent, path.parent).published()
    names = [table.name for table in published]
    assert len(names) == len(set(names)) == 3


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        ((), ""),
        (("recipe.epochs=20",), "20 epochs, not 300"),
        (("recipe.train_images=2500",), "2,500 training images"),
    ],
)
def test_a_published_grid_made_smaller_tests_analogues(tmp_path: Path, overrides: tuple[str, ...], note: str) -> None:
    workspace = open_workspace(str(REPOSITORY / "grids" / "table2.yaml"), overrides, None, tmp_path, tmp_path)
    assert workspace.budget_note == note
    assert {claim.kind for claim in workspace.claims} == {"analogue" if note else "published"}
    assert {table.budget for table in workspace.published()} == {note}


@pytest.mark.parametrize("name", TABLES)
def test_no_published_grid_is_of_another_budget(tmp_path: Path, name: str) -> None:
    path = REPOSITORY / "grids" / f"{name}.yaml"
    assert not open_workspace(str(path), (), None, tmp_path, tmp_path).budget_note
