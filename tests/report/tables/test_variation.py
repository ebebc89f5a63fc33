"""The table of where variation comes from, from records on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from tests.cli.shell import Shell, Write
from tests.records import make_record


def test_a_grid_over_what_seeds_vary_tells_the_shares(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid(
        ("  dataset: [digits]", "  dataset: [digits]\n  recipe.vary: [[init], [data], [init, data]]"),
        ("[0, 1]", "[0, 1, 2]"),
    )
    store = Store(tmp_path / "results" / "small")
    # Baselines vary by 1 and 2 points from seed to seed, the treatment's gain by 3 and 4.
    size = {"[init]": (1.0, 3.0), "[data]": (2.0, 4.0), "[init, data]": (5.0, 5.0)}
    for trial in load_grid(path).expand().trials:
        base, gain = (one * (trial.seed_index - 1) for one in size[trial.varied["recipe.vary"]])
        top1 = 50 + base + (10 + gain if trial.join == "lape" else 0)
        store.put(make_record(trial, top1, test_images=None, correct=None))
    store.collect()
    told = json.loads(lape("tables", path, "--json"))
    (table,) = (one for one in told["tables"] if one["name"] == "variation")
    records = {one["vary"]: one for one in table["records"]}
    assert list(records) == ["init", "data", "init, data"]
    assert [one["baseline_share"] for one in records.values()] == pytest.approx([0.2, 0.8, 5.0])
    assert [one["gain_share"] for one in records.values()] == pytest.approx([9 / 25, 16 / 25, 1.0])
    assert records["data"]["gain_variance"] == pytest.approx(16)
    assert {one["pairs"] for one in records.values()} == {3}
    assert "Where variation comes from" in lape("tables", path)
    assert (tmp_path / "reports" / "small" / "tables" / "variation.csv").exists()
