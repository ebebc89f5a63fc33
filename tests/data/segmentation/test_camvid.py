"""CamVid in VOC's layout, where a machine has it: what `grids/table4_budget.yaml` declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.data.cache import load_split
from suite.data.segmentation.preparation import prepare_masks
from suite.grid.grid import load_grid
from tests.conftest import REPOSITORY


def test_the_grid_declares_what_is_prepared(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "camvid"
    if not folder.is_dir():
        pytest.skip(f"there is no CamVid in {folder}: it may not be part of the repository (CC BY-NC 4.0)")
    declared = load_grid(REPOSITORY / "grids" / "table4_budget.yaml").expand().trials[0].dataset
    rule = declared.segmentation
    assert rule is not None
    found = prepare_masks("camvid96", rule, root=tmp_path, source=folder, image_size=declared.image_size)
    assert found.model_dump(exclude={"source"}) == declared.model_dump(exclude={"source"})
    masks = load_split(found, "test", tmp_path).images[..., -1]
    assert 0.9 < (masks > 0).mean() < 1.0  # the rest is ignored
