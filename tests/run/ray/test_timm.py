"""A model by timm's name, on images of one's own, from the grid to a repeated trial; the trials run on a real Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.store.folder import Store
from tests.cli.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("default")]

GRID = """
name: by_name
seeds: [0]
recipe: {version: 1, epochs: 2, batch_size: 4, lr: 1e-3, warmup_epochs: 0}
architectures:
  vit: {family: timm, model: vit_tiny_patch16_224, img_size: 32, patch_size: 4, depth: 2}
axes: {arch: [vit], pe: [learnable], join: [default, lape], dataset: [drawn]}
"""


def test_a_timm_model_runs_on_ray_and_can_be_repeated_and_looked_into(
    lape: Shell, write_tree: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "cache"))
    told = lape("data", "prepare", "drawn", "--from", write_tree(size=(32, 32)))
    grid = tmp_path / "by_name.yaml"
    grid.write_text(GRID + told[told.index("datasets:") :])
    lape("check", grid)
    assert lape.code == 0, lape.err
    lape("run", grid, "--keep-weights")  # by Ray, since nothing else is said
    assert lape.code == 0, lape.err
    store = Store(tmp_path / "results" / "by_name")
    records = store.records()
    assert {record.config.join: record.status for record in records.values()} == {"default": "done", "lape": "done"}
    for identity, record in records.items():
        assert record.environment.ray, "the trials didn't run on Ray"
        assert "the same" in lape("rerun", identity, "--grid", grid)
        out = lape("inspect", store.weights(identity))
        assert lape.code == 0, lape.err
        assert record.config.arch in out
