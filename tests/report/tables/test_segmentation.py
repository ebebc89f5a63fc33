"""The table of segmentations, and records of them that contradict themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from suite.grid.grid import load_grid
from suite.report.tables.rows import rows
from suite.report.tables.segmentation import segmentation_tables
from suite.report.tables.summary import summary_table
from suite.store.frames import to_frame
from suite.store.record import RunRecord
from suite.store.segmentation import class_ious, mean_iou, pack_pixel_counts, pixel_accuracy
from suite.verdict.comparisons import comparisons
from suite.verdict.test_images import check_accuracies, differences
from tests.frames import frame_of, paired_rows
from tests.grid.test_masks import GRID
from tests.records import make_record
from tests.verdict.test_segmented import made_up


def fields(counts: np.ndarray) -> dict[str, Any]:
    ious, accuracy = class_ious(counts), pixel_accuracy(counts)
    return {
        "top1": accuracy, "top1_best_epoch": accuracy, "correct": None, "test_images": len(counts),
        "miou": mean_iou(ious), "class_iou": ious, "pixel_counts": pack_pixel_counts(counts),
    }  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    """Two pairs of runs of 20 images and 3 classes."""
    (tmp_path / "scenes.yaml").write_text(GRID, encoding="utf-8")
    trials = load_grid(tmp_path / "scenes.yaml").expand().trials
    return [make_record(trial, **fields(made_up(20, 3, seed))) for seed, trial in enumerate(trials)]


def test_the_table_has_the_numbers_of_the_records(records: list[RunRecord]) -> None:
    (table,) = segmentation_tables(to_frame(records))
    mious = {join: [one.miou for one in records if one.join == join] for join in ("default", "lape")}
    by_join = {record["join"]: record for record in table.records}
    for join, values in mious.items():
        assert by_join[join]["miou_mean"] == pytest.approx(np.mean(values))
        assert by_join[join]["miou_sd"] == pytest.approx(np.std(values, ddof=1))
        first_class = [one.class_iou[0] for one in records if one.join == join and one.class_iou]
        assert by_join[join]["iou_0"] == pytest.approx(np.mean(first_class))
    assert by_join["lape"]["gain"] == pytest.approx(np.mean(mious["lape"]) - np.mean(mious["default"]))
    assert [column.name for column in table.columns[-3:]] == ["iou_0", "iou_1", "iou_2"]
    assert "Pixel accuracy is the share of labelled pixels" in " ".join(summary_table(rows(to_frame(records))).below)


def test_other_runs_have_no_such_table() -> None:
    frame = frame_of(paired_rows([1.0, 2.0]))
    assert segmentation_tables(frame) == []
    assert "labelled pixels" not in " ".join(summary_table(rows(frame)).below)


def test_the_differences_of_images_have_the_gain_as_their_mean(records: list[RunRecord]) -> None:
    (comparison,) = comparisons(to_frame(records), metric="miou")
    found = differences(comparison)
    assert found is not None
    assert found.shape == (2, 20)
    assert 100 * found.mean(axis=1) == pytest.approx(comparison.gains)
    check_accuracies(to_frame(records))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel_counts": None}, "all of miou, class_iou, pixel_counts, or none of them"),
        ({"miou": 12.5}, "a miou that is the mean of class_iou"),
        ({"correct": "AA=="}, "no bits of whole images"),
        ({"class_iou": (120.0, 0.0, 0.0)}, "less than or equal to 100"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    records: list[RunRecord], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        RunRecord.model_validate({**records[0].model_dump(), **change})


def test_records_without_masks_have_no_such_fields(records: list[RunRecord]) -> None:
    whole = records[0].model_dump()
    assert {"miou", "class_iou", "pixel_counts"} <= set(whole)
    plain = {key: value for key, value in whole.items() if key not in ("miou", "class_iou", "pixel_counts")}
    assert not {"miou", "class_iou", "pixel_counts"} & set(RunRecord.model_validate(plain).model_dump())
