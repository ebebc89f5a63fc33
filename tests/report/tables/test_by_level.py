"""Tables and figures over the levels of a setting, from runs and curves whose numbers are known."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from suite.report.figures.by_level import _places, draw_series
from suite.report.tables.by_level import Series, all_series, level_tables
from suite.report.tables.render import write
from suite.report.tables.rows import rows
from suite.verdict.training_curves import Curve, curves_of, last_tenth, mean_last_tenth, reached
from tests.verdict.test_setting_levels import both, frame

FRAME = frame([*both(70, 20), *both(80, 5, epochs=30), *both(90, 1, epochs=100), *both(60, 3, depth=2)])
CURVES: dict[str, Curve] = {
    run.trial_id: [(run_epochs // 2, run.top1 - 10), (run_epochs, run.top1)]
    for run in FRAME.itertuples()
    for run_epochs in [int(run.recipe.partition("=")[2])]
}


def epochs_series() -> Series:
    (found,) = all_series(rows(FRAME), [("recipe.epochs",)])
    return found


def test_a_series_has_the_levels_of_cells_that_agree_in_all_else() -> None:
    found = epochs_series()
    assert (found.title, found.baseline, found.treatment) == ("digits vit+depth=4 learnable", "default", "lape")
    assert [(level, round(one.gain.mean)) for level, one in found.points] == [("10", 20), ("30", 5), ("100", 1)]
    (depth,) = all_series(rows(FRAME), [("size.depth",)])
    assert [(level, round(one.gain.mean)) for level, one in depth.points] == [("2", 3), ("4", 20)]
    assert depth.title == "digits vit learnable"
    assert all_series(rows(FRAME), [("recipe.lr",)]) == []


def test_the_table_has_accuracies_gains_and_the_last_tenth() -> None:
    (table,) = level_tables([epochs_series()], CURVES)
    first = table.records[0]
    assert [one["recipe.epochs"] for one in table.records] == ["10", "30", "100"]
    assert (first["baseline_top1"], first["treatment_top1"]) == pytest.approx((70.15, 90.15))
    assert first["baseline_last_tenth"] == pytest.approx(10)
    assert "last tenth" in table.below[-1]
    assert table.rows[0][3:6] == ("70.15 ± 0.13", "90.15 ± 0.13", "+20.00 [+20.00, +20.00]")


def test_without_the_curves_no_table_says_that_runs_never_reach_an_accuracy() -> None:
    """Without pandas the curves can't be read: every run would be said never to reach it."""
    assert [table.name for table in level_tables([epochs_series()], {}, [80.15])] == ["by_epochs"]


def test_epochs_to_an_accuracy_leave_out_pairs_with_a_side_that_never_reaches_it() -> None:
    _, table = level_tables([epochs_series()], CURVES, [80.15])
    short, middle, long = table.records
    assert (short["baseline_never"], short["treatment_never"], short["pairs"]) == (4, 0, 0)
    assert math.isnan(short["difference"])
    # Seeds 2 and 3 of the baseline end at 80.2 and 80.3, after 30 epochs; LaPE is at 75 after 15, and at 85 after 30.
    assert (middle["baseline_never"], middle["pairs"], middle["difference"]) == (2, 2, 0)
    # After 50 of 100 epochs the baseline has 80.0, 80.1, 80.2 and 80.3, and LaPE 81 and more.
    assert (long["pairs"], long["baseline_epochs"], long["difference"]) == (4, 75, -25)


def test_tables_are_written_in_every_format(tmp_path: Path) -> None:
    written = write(level_tables([epochs_series()], CURVES, [90]), tmp_path)
    assert {path.suffix for path in written} == {".csv", ".md", ".tex", ".html"}
    assert {path.stem for path in written} == {"by_epochs", "reach_90_by_epochs"}
    assert "recipe.epochs" in next(path for path in written if path.name == "by_epochs.csv").read_text()


def test_the_figure_has_three_panels_and_a_logarithmic_axis_where_levels_ask_for_it() -> None:
    found = epochs_series()
    (drawing,) = draw_series([found], CURVES).values()
    ElementTree.fromstring(drawing)
    for text in ("top-1 (%)", "gain of lape (points)", "epochs", ">default<", ">lape<"):
        assert text in drawing
    assert _places(found) == ([10.0, 30.0, 100.0], True)
    (depth,) = all_series(rows(FRAME), [("size.depth",)])
    assert _places(depth) == ([2.0, 4.0], False)


def test_what_curves_say() -> None:
    curve = [(5, 50.0), (9, 60.0), (10, 61.5)]
    assert last_tenth(curve) == 1.5
    assert math.isnan(last_tenth([(10, 61.5)]))
    assert math.isnan(last_tenth([]))
    assert mean_last_tenth({"a": curve, "b": [(9, 1.0), (10, 1.5)]}, ["a", "b", "c"]) == 1.0
    assert (reached(curve, 60), reached(curve, 61.6)) == (9, None)
    history = pd.DataFrame({"trial_id": ["a", "a", "a"], "epoch": [1, 0, 2], "top1": [20.0, 10.0, None]})
    assert curves_of(history) == {"a": [(1, 10.0), (2, 20.0)]}
