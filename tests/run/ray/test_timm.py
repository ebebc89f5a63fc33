"""A model by timm's name on images of one's own: trained on a real Ray cluster, trained again, and looked into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.run.worker import Worker
from suite.store.folder import Store
from suite.train.machine import Machine
from tests.cli.shell import Shell
from tests.run.ray.cluster import run

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("default")]

GRID = """
name: by_name
seeds: [0]
recipe: {version: 1, epochs: 2, batch_size: 4, lr: 1e-3}
architectures:
  vit: {family: timm, model: vit_tiny_patch16_224, img_size: 32, patch_size: 4, depth: 2}
axes: {arch: [vit], pe: [learnable], join: [default, lape], dataset: [drawn]}
"""


def test_a_timm_model_runs_on_ray_and_can_be_repeated_and_looked_into(
    lape: Shell, address: str, write_tree: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "cache"))
    told = lape("data", "prepare", "drawn", "--from", write_tree(size=(32, 32)))
    grid = tmp_path / "by_name.yaml"
    grid.write_text(GRID + told[told.index("datasets:") :])
    lape("check", grid)
    assert lape.code == 0, lape.err

    store = Store(tmp_path / "results" / "by_name")
    store.folder.mkdir(parents=True)
    trials = list(load_grid(grid).expand().trials)
    worker = Worker(Machine(tmp_path / "cache", "cpu"), store.folder, keep_weights=True)
    records = run(trials, worker, address).records
    assert {record.join: record.status for record in records.values()} == {"default": "done", "lape": "done"}
    store.collect()
    for identity in records:
        assert "the same" in lape("rerun", identity, "--grid", grid), lape.err
        lape("inspect", store.weights(identity))
        assert lape.code == 0, lape.err
        assert "vit" in lape.out
