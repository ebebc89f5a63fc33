"""Measures of regions in a record: their packing, and what a record with them must have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.store.regions import means, pack_measures, unpack_measures
from suite.store.task_fields import OF_REGIONS
from tests.grid.test_masks import GRID
from tests.records import make_record

MEASURES = np.array([[50.0, 60.25, 1.5, 4.0], [10.0, 80.75, 3.5, 5.0]], np.float32)


def fields(measures: np.ndarray = MEASURES) -> dict[str, object]:
    found = means(measures)
    values = dict(zip(OF_REGIONS, (*found, pack_measures(measures)), strict=True))
    return {"top1": found[0], "top1_best_epoch": found[0], "correct": None, "test_images": len(measures), **values}


def test_packing() -> None:
    assert means(MEASURES) == (30.0, 70.5, 2.5, 4.5)
    random = np.random.default_rng(0).random((7, 4)).astype(np.float32)
    assert np.array_equal(unpack_measures(pack_measures(random), 7), random)


def test_damaged_text_is_refused() -> None:
    packed = pack_measures(MEASURES)
    for text, images in ((packed[:-4], 2), (packed, 3), (packed, 10**12), ("!" + packed[1:], 2), ("", 2)):
        with pytest.raises(ValueError, match=r".+"):
            unpack_measures(text, images)
    with pytest.raises(ValueError, match="finite"):
        unpack_measures(pack_measures(np.full((1, 4), np.nan, np.float32)), 1)


def test_a_record_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "scenes.yaml").write_text(GRID, encoding="utf-8")
    trial = load_grid(tmp_path / "scenes.yaml").expand().trials[0]
    record, other = make_record(trial, **fields()), make_record(trial)
    store = Store(tmp_path / "results")
    store.put(record)
    read = store.records()[trial.id]
    assert {name: getattr(read, name) for name in OF_REGIONS} == {name: fields()[name] for name in OF_REGIONS}
    assert not set(OF_REGIONS) & set(other.model_dump())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rand_index": None}, "or none of them"),
        ({"top1": 31.0, "top1_best_epoch": 31.0}, "a top1 that is the covering"),
        ({"correct": "AA=="}, "no bits of whole images"),
        ({"test_images": None}, "at least one image"),
        ({"covering": 101.0}, "less than or equal to 100"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object], told: str) -> None:
    (tmp_path / "scenes.yaml").write_text(GRID, encoding="utf-8")
    trial = load_grid(tmp_path / "scenes.yaml").expand().trials[0]
    with pytest.raises(ValueError, match=told):
        make_record(trial, **{**fields(), **change})
