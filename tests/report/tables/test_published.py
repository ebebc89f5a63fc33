"""Published tables: which runs stand beside which number, and what is said where there are none."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from suite.grid.budget import Budget
from suite.report.tables import render, terminal
from suite.report.tables.published import Entry, PublishedTable, published_table
from suite.report.tables.published_text import text_table
from suite.verdict.claims.published import Value
from tests.frames import CPU, GPU, frame_of, history_of, paired_rows, run
from tests.report.tables.test_summary import Texts, parse_tabulars

CELL = {"arch": "vit_lite_digits", "pe": "learnable", "dataset": "digits"}


def value(join: str = "default", printed: str = "93.20", column: str = "digits", **values: Any) -> Value:
    cell = {**CELL, "join": join, **values.pop("cell", {})}
    given = {
        "id": f"{join}-{column}".replace(" ", "-"), "paper": "LaPE", "version": "ICCV 2023", "table": "2",
        "group": "ViT-Lite", "row": join, "column": column, "cell": cell, "metric": "top1", "epochs": 300,
        "printed": printed, "evidence": "printed_table", **values,
    }  # fmt: skip
    return Value.model_validate(given)


BOTH = (value(), value("lape", "94.00"))


def made(frame: pd.DataFrame, *values: Value, budget: Budget | None = None) -> PublishedTable:
    return published_table(values or BOTH, "Top-1", frame, history_of(frame), budget)


def only(frame: pd.DataFrame, one: Value, budget: Budget | None = None) -> Entry:
    (entry,) = made(frame, one, budget=budget).entries
    return entry


def test_each_number_has_the_runs_of_its_cell_beside_it() -> None:
    frame = frame_of([*paired_rows([0.5, 0.7, 0.9], base=93.0), *paired_rows([9.0, 9.0], base=50.0, dataset="cifar10")])
    default, lape = made(frame).entries
    assert default.ours.values == pytest.approx({0: 93.0, 1: 93.1, 2: 93.2})
    assert (default.spread.n, default.difference) == (3, pytest.approx(-0.1))
    assert math.isnan(default.published_gain)
    assert default.gain.n == 0
    assert lape.published_gain == pytest.approx(0.8)
    assert (lape.gain.n, lape.gain.mean) == (3, pytest.approx(0.7))


def test_a_gain_is_over_pairs_of_the_same_seed() -> None:
    rows = [run(0, 90.0), run(1, 80.0), run(1, 81.0, join="lape"), run(2, 99.0, join="lape")]
    lape = made(frame_of(rows)).entries[1]
    assert (lape.spread.n, lape.gain.n, lape.gain.mean) == (2, 1, pytest.approx(1.0))


def test_a_baseline_is_of_the_same_column_and_cell() -> None:
    frame = frame_of(paired_rows([0.5, 0.7]))
    others = (
        value(column="other"),
        value(group="CVT"),
        value(cell={"pe": "sin1d"}),
        value(metric="top1_best_epoch"),
    )
    for other in others:
        assert made(frame, other, value("lape")).entries[1].baseline is None


def test_the_metric_is_the_published_one() -> None:
    frame = frame_of([run(seed, 93.0, params=3_716_874.0) for seed in range(2)])
    assert only(frame, value(metric="top1_best_epoch")).spread.mean == pytest.approx(93.5)
    assert only(frame, value(metric="params_millions", printed="3.717")).spread.mean == pytest.approx(3.716874)
    for metric, told in (("pe_params_thousands", "lape verify --static"), ("train_seconds_per_epoch", "lape bench")):
        entry = only(frame, value(metric=metric, printed="42"))
        assert entry.spread.n == 0
        assert told in entry.notes[0]


def test_an_epoch_within_the_training_is_read_from_the_history() -> None:
    frame = frame_of([run(seed, 93.0) for seed in range(2)])
    history = history_of(frame)
    at = dict(enumerate(history[history["epoch"] == 4]["top1"]))
    entry = only(frame, value(epoch=5))
    assert entry.ours.values == pytest.approx(at)
    beyond = only(frame, value(epoch=100))
    assert beyond.spread.n == 0
    assert beyond.notes == ("2 of 2 runs weren't tested at epoch 100",)


def test_a_published_number_that_such_runs_dont_give_is_marked() -> None:
    frame = frame_of([run(seed, top1) for seed, top1 in enumerate((93.0, 93.1, 93.2))])
    assert only(frame, value(printed="93.20")).consistency == "consistent"
    table = made(frame, value(printed="95.00"))
    assert table.entries[0].consistency == "not_consistent"
    text = render.to_markdown(text_table(table))
    assert "−1.90 ≠" in text
    assert "prediction interval" in text
    assert only(frame_of([run(0, 93.0)]), value(printed="95.00")).consistency == "cant_say"


def test_what_is_missing_stays_missing_and_is_counted() -> None:
    rows = [run(0, 93.0, environment=CPU), run(1, 93.4, environment=GPU), run(2, status="diverged")]
    table = made(frame_of(rows))
    default, lape = table.entries
    assert default.spread.n == 2
    assert default.notes == (
        "1 of 3 trials failed (1 diverged; seed 2)",
        f"seeds ran in different environments: {GPU}; {CPU}",
    )
    assert (lape.spread.n, lape.notes) == (0, ())
    text = render.to_markdown(text_table(table))
    assert "94.00 (+0.80) |" in text
    assert "n differs between numbers: from 0 to 2 seeds." in text
    assert "[1] 1 of 3 trials failed" in text


def test_recipes_arent_mixed() -> None:
    rows = [run(0, 93.0), run(1, 90.0, recipe="short", recipe_id="f" * 16)]
    entry = only(frame_of(rows), value())
    assert entry.spread.n == 0
    assert entry.notes == ("runs of several recipes, so that there is no mean: digits (01234567), short (ffffffff)",)


def test_what_the_suite_cant_run_says_why() -> None:
    entry = only(frame_of([run(0)]), value(not_runnable="object detection isn't built"))
    assert (entry.spread.n, entry.notes) == (0, ("object detection isn't built",))


def test_another_budget_is_told_everywhere() -> None:
    budget = Budget(note="ten epochs", stands_for={"arch": {"small": "vit_lite_digits"}})
    frame = frame_of(paired_rows([0.5, 0.7, 0.9], arch="small"))
    table = made(frame, *BOTH, value(column="epoch 5", epoch=5), value(metric="params_millions"), budget=budget)
    default, lape, early, params = table.entries
    assert (default.spread.n, lape.gain.n) == (3, 3)
    assert default.prediction is None
    assert early.notes == ("another budget has no epoch 5 of 300",)
    assert params.notes == ("another model: its parameters aren't those of the paper's",)
    for text in (
        render.to_markdown(text_table(table)),
        render.to_latex(text_table(table)),
        render.to_html(text_table(table)),
    ):
        assert "Another budget than the paper" in text
        assert "ten epochs" in text
        assert "≠" not in text
    assert all(line["budget"] == "ten epochs" for line in csv.DictReader(io.StringIO(render.to_csv(text_table(table)))))


def test_at_another_budget_there_is_no_difference() -> None:
    frame = frame_of(paired_rows([0.5, 0.7, 0.9]))
    table = made(frame, *BOTH, budget=Budget(note="ten epochs"))
    assert all("difference" not in column.head for column in text_table(table).columns)
    for text in (
        render.to_markdown(text_table(table)),
        render.to_latex(text_table(table)),
        render.to_html(text_table(table)),
    ):
        assert "difference" not in text
    assert "difference: ours − paper" in render.to_markdown(text_table(made(frame)))


def test_the_best_epoch_is_told_to_be_optimistic() -> None:
    frame = frame_of(paired_rows([0.5, 0.7]))
    assert "optimistic" in render.to_markdown(text_table(made(frame, value(metric="top1_best_epoch"))))
    assert "optimistic" not in render.to_markdown(text_table(made(frame)))
    both = made(frame, value(metric="top1_best_epoch"), value(column="epoch 5", epoch=5))
    assert "but for columns of an earlier epoch" in render.to_markdown(text_table(both))


def test_a_gain_over_fewer_pairs_than_runs_says_so() -> None:
    rows = paired_rows([0.5, 0.7, 0.9])
    assert made(frame_of(rows)).entries[1].notes == ()
    assert made(frame_of(rows[:-1])).entries[1].notes == ("the gain is of the 2 pairs that both sides have finished",)
    assert made(frame_of([rows[0], rows[-1]])).entries[1].notes == ("no gain: no seed is finished on both sides",)


def test_a_gain_across_environments_says_so() -> None:
    rows = [*paired_rows([0.5, 0.7])[:2], *paired_rows([0.5, 0.7], environment=GPU)[2:]]
    default, lape = made(frame_of(rows)).entries
    assert default.notes == ()
    assert lape.notes == (f"the two sides of the gain ran in different environments: {GPU}; {CPU}",)


def test_markdown_shows_what_stands_in_names() -> None:
    text = render.to_markdown(text_table(made(frame_of([]), value(row="<b>*a*|b"))))
    assert r"&lt;b>\*a\*\|b" in text


TABLE = (*BOTH, value(column="photos", printed="80.1", runs=5), value("lape", "81", column="photos", row="LaPE & Co_1"))


def test_the_layout_is_the_papers() -> None:
    table = made(frame_of(paired_rows([0.5, 0.7])), *TABLE)
    assert table.columns == ("digits", "photos")
    assert list(table.rows) == [("ViT-Lite", "default"), ("ViT-Lite", "lape"), ("ViT-Lite", "LaPE & Co_1")]
    text = text_table(table)
    assert [(column.above, column.head) for column in text.columns[:6]] == [
        ("", "group"), ("", "row"), ("digits", "paper"), ("digits", "ours"), ("digits", "n"), ("digits", "difference"),
    ]  # fmt: skip
    assert text.rows[2][2:6] == ("", "", "", "")  # the paper has no such value
    assert table.name == "lape_table_2"


def test_latex_parses_and_html_shows_the_same_numbers() -> None:
    table = made(frame_of(paired_rows([0.5, 0.7])), *TABLE)
    body, notes = parse_tabulars(render.to_latex(text_table(table)))
    assert len(body) == 2 + 3
    assert r"LaPE \& Co\_1" in body[4]
    assert notes[0][1] == "LaPE (ICCV 2023), Table 2: Top-1"
    page = Texts()
    page.feed(render.to_html(text_table(table)))
    shown = " ".join(" ".join(page.texts).split())
    for line in text_table(table).rows:
        for text in filter(None, line):
            assert text in shown
    evil = made(frame_of([]), value(row="<script>alert(1)</script>"))
    assert "<script>" not in render.to_html(text_table(evil))


def test_csv_has_a_line_per_value_with_its_digits() -> None:
    table = made(frame_of(paired_rows([0.5, 0.7])), *TABLE)
    lines = list(csv.DictReader(io.StringIO(render.to_csv(text_table(table)))))
    assert [line["published"] for line in lines] == ["93.20", "94.00", "80.1", "81"]
    assert lines[1]["gain"] == "0.6"
    assert (lines[2]["ours"], lines[2]["n"], lines[2]["published_runs"]) == ("93.05", "2", "5")


def test_the_order_of_the_runs_doesnt_matter() -> None:
    frame = frame_of(paired_rows([0.5, 0.7, 0.1, 0.33]))
    shuffled = frame.sample(frac=1, random_state=2)
    assert render.to_csv(text_table(made(frame))) == render.to_csv(text_table(made(shuffled)))


def test_a_terminal_shows_a_group_once() -> None:
    console = Console(width=100, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(terminal.to_terminal(text_table(made(frame_of(paired_rows([0.5, 0.7])), *BOTH))))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("ViT-Lite") == 1


def test_files(tmp_path: Path) -> None:
    paths = render.write([text_table(made(frame_of(paired_rows([0.5, 0.7]))))], tmp_path / "tables")
    assert [path.name for path in paths] == [f"lape_table_2.{suffix}" for suffix in ("csv", "md", "tex", "html")]
    assert all(path.read_text(encoding="utf-8") for path in paths)
