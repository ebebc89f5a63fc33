"""Figures of how alike patches are: what is drawn of which runs."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from suite.report.figures import patch_similarity
from suite.report.figures.kept import cache_folder
from suite.report.page import render
from tests.frames import frame_of, history_of, run
from tests.report.test_page import GRID, Page


def compared(losses: Sequence[str] = ("default", "diversepatch"), seeds: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs of a model of four blocks; patches are less alike by the later losses, and more so by the later seeds."""
    frame = frame_of(run(seed, loss=loss) for loss in losses for seed in range(seeds))
    history = history_of(frame, epochs=3)
    where = {row["trial_id"]: row for row in frame.to_dict("records")}
    history["similarity"] = [
        tuple(
            0.8 - 0.2 * losses.index(where[i]["loss"]) + 0.1 * where[i]["seed_index"] - 0.1 * block
            for block in range(4)
        )
        if epoch == 2
        else None
        for i, epoch in zip(history["trial_id"], history["epoch"], strict=True)
    ]
    return frame, history


def test_a_line_is_the_mean_over_seeds_at_the_last_test() -> None:
    (one,) = patch_similarity.likenesses(*compared())
    assert one.title == "vit_lite_digits · learnable"
    assert [line.loss for line in one.lines] == ["default", "diversepatch"]
    assert one.lines[0].n == 3
    assert one.lines[0].mean == pytest.approx((0.9, 0.8, 0.7, 0.6))
    assert one.lines[1].mean == pytest.approx((0.7, 0.6, 0.5, 0.4))
    assert one.lines[0].sd == pytest.approx((0.1,) * 4)
    assert patch_similarity.ends(one.lines) == "default 0.60 (n = 3); diversepatch 0.40 (n = 3)"


def test_there_is_none_of_one_loss_of_failures_or_of_older_histories() -> None:
    assert patch_similarity.likenesses(*compared(["default"])) == []
    frame, history = compared()
    assert patch_similarity.likenesses(frame, history.assign(similarity=None)) == []
    assert patch_similarity.likenesses(frame, history.drop(columns="similarity")) == []
    failed = frame.assign(status=["oom" if loss != "default" else "done" for loss in frame["loss"]])
    assert patch_similarity.likenesses(failed, history) == []


def test_the_drawing_names_each_loss_and_has_blocks_below() -> None:
    (one,) = patch_similarity.likenesses(*compared(["default", "diversepatch", "diverse_cosine"], seeds=1))
    (drawing,) = patch_similarity.draw_likenesses([one]).values()
    shutil.rmtree(cache_folder())
    assert patch_similarity.draw_likenesses([one]) == {one.name: drawing}
    texts = [element.text for element in ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]
    assert {"default 0.50", "diversepatch 0.30", "diverse_cosine 0.10", "block"} <= set(texts)
    assert "nan" not in drawing.lower()


def test_the_report_shows_it_where_losses_are_compared(tmp_path: Path) -> None:
    frame, history = compared()
    page = render(GRID, frame, history, [], tmp_path)
    assert "How alike patches are" in Page(page.read_text(encoding="utf-8")).words
    assert (tmp_path / "figures" / "similarity-01.svg").is_file()
    alone = frame[frame["loss"] == "default"]
    page = render(GRID, alone, history, [], tmp_path)
    assert "How alike patches are" not in Page(page.read_text(encoding="utf-8")).words
    assert not (tmp_path / "figures" / "similarity-01.svg").exists()
