"""A grid names its task, and its data sets must be of that task."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.data.datasets import DATASETS
from suite.data.tasks import TASKS
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.verdict.metrics import METRICS
from tests.grid.test_masks import GRID

DIGITS = """
name: plain
seeds: [0]
recipe: digits
architectures:
  small: {family: vit_lite, patch_size: 2, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2}
axes: {arch: [small], pe: [learnable], join: [default], dataset: [digits]}
"""


def grid_file(folder: Path, text: str) -> Path:
    (folder / "one.yaml").write_text(text, encoding="utf-8")
    return folder / "one.yaml"


def refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_grid(grid_file(folder, text), overrides).expand()
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_a_grid_that_names_no_task_is_about_classification(tmp_path: Path) -> None:
    assert load_grid(grid_file(tmp_path, DIGITS)).file.task == "classification"
    named = load_grid(grid_file(tmp_path, f"task: classification\n{DIGITS}")).expand()
    assert named.ids == load_grid(grid_file(tmp_path, DIGITS)).expand().ids


def test_a_task_is_not_part_of_the_ids(tmp_path: Path) -> None:
    """Ids of committed records are of cells alone."""
    loaded = load_grid(grid_file(tmp_path, GRID)).expand()
    assert "task" not in str(loaded.trials[0].config)


def test_masks_need_the_task_to_be_named(tmp_path: Path) -> None:
    told = refusal(tmp_path, GRID.replace("task: segmentation\n", ""))
    assert "the grid's task is classification, since it names none, and scenes is of another" in told
    assert "each image has a mask of classes" in told
    assert "add `task: segmentation`" in told
    assert "one.yaml, line" in told


def test_classes_are_not_segmented(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"task: segmentation\n{DIGITS}")
    assert "the grid's task is segmentation, and digits is of another" in told
    assert "one.yaml, line 1" in told
    assert "write `task: classification`" in told


def test_an_override_names_the_task_too(tmp_path: Path) -> None:
    assert "--set task=grouping" in refusal(tmp_path, DIGITS, "task=grouping")


def test_data_of_another_task_can_be_dropped(tmp_path: Path) -> None:
    both = GRID.replace("dataset: [scenes]", "dataset: [scenes, digits]")
    assert "digits is of another" in refusal(tmp_path, both)
    kept = load_grid(grid_file(tmp_path, both + "impossible: drop\n")).expand()
    assert {trial.dataset.name for trial in kept.trials} == {"scenes"}
    assert any("digits is of another" in cell.reason for cell in kept.dropped)


def test_an_unknown_task(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"task: detection\n{DIGITS}")
    assert "classification" in told
    assert "segmentation" in told
    assert "grouping" in told


def test_the_metric_of_each_task() -> None:
    for name, task in TASKS.items():
        metric = METRICS[task.metric]
        assert metric.tested
        assert metric.task in (name, None)
        assert metric.items  # evidence of each test item
    assert {dataset.task for dataset in DATASETS.values()} == {"classification"}
