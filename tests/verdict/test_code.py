"""Mixed code is told beside verdicts."""

from __future__ import annotations

import json
import math

import pytest

from suite.report.remarks import GridSummary, caveats
from suite.report.tables.effects import effect_tables
from suite.report.tables.published import published_table
from suite.verdict.claims.published import Value
from suite.verdict.code import mixed_code, mixed_levels
from suite.verdict.comparisons import comparisons
from suite.verdict.interactions import factorials
from tests.frames import COLUMNS, frame_of, paired_rows, run

ONE, OTHER = json.dumps({"join": "a", "arch": "x"}), json.dumps({"join": "b", "arch": "x"})


@pytest.mark.parametrize(
    ("codes", "but", "mixed"),
    [
        ([ONE, ONE], "", ()),
        ([ONE, OTHER], "", ("join",)),
        ([ONE, OTHER], "join", ()),
        ([ONE, None, math.nan], "", ()),
        ([ONE, json.dumps({"join": "a"})], "", ()),
        ([ONE, json.dumps({"join": "c", "arch": "y"})], "", ("join", "arch")),
    ],
)
def test_runs_without_a_fingerprint_match_all(codes: list[str | None], but: str, mixed: tuple[str, ...]) -> None:
    assert mixed_code(codes, but=but) == mixed


def test_a_side_or_two_that_mix_code_are_told() -> None:
    rows = paired_rows([1.0, 2.0])
    for changed, axes in (((), ()), ((0,), ("arch",)), ((0, 1), ("arch",)), ((0, 2), ("arch",))):
        frame = frame_of(rows)
        assert "code" not in COLUMNS  # frames without it are judged too
        frame["code"] = [
            json.dumps({"join": row["join"], "arch": "y" if index in changed else "x"})
            for index, row in enumerate(rows)
        ]
        (one,) = comparisons(frame)
        assert one.mixed_code == axes
    assert comparisons(frame_of(rows))[0].mixed_code == ()


def test_levels_that_were_made_by_different_code_are_told_wherever_they_are_used_together() -> None:
    """Of runs of several cells: in the effects of combined methods, beside the paper, and in the report's remarks."""
    rows = [
        run(seed, 90 + seed, join=join, norm=norm, code=json.dumps({"join": f"{join} {seed * old}", "norm": norm}))
        for seed in (0, 1)
        for join, old in (("default", 0), ("lape", 1))
        for norm in ("ln", "dtn")
    ]
    assert mixed_levels(rows) == ("join lape",)
    frame = frame_of(rows).assign(code=[row["code"] for row in rows])
    (found,) = factorials(frame)
    assert found.mixed_code == ("join lape",)
    told = "the runs mix different code of join lape"
    assert all(told in table.notes for table in effect_tables([found]))
    assert not any(told in table.notes for table in effect_tables(factorials(frame_of(rows))))
    grid = GridSummary("g", "", 8, 8, 0, 0, (0, 1), {}, "lape run g")
    remarks = " ".join(caveats(grid, frame, None, ()))
    assert "different code of join lape; what mixes them is marked, and `lape run g --stale rerun`" in remarks
    assert "different code" not in " ".join(caveats(grid, frame_of(rows), None, ()))


def test_a_gain_beside_the_paper_whose_sides_are_of_different_code_is_marked() -> None:
    rows = paired_rows([1.0, 2.0], base=93.0)
    given = {"paper": "P", "version": "v", "table": "2", "group": "g", "column": "digits", "metric": "top1",
             "epochs": 300, "printed": "93.0", "evidence": "printed_table"}  # fmt: skip
    cell = {"arch": "vit_lite_digits", "pe": "learnable", "dataset": "digits"}
    values = [
        Value.model_validate({**given, "id": join, "row": join, "cell": {**cell, "join": join}})
        for join in ("default", "lape")
    ]
    frame = frame_of(rows).assign(code=[json.dumps({"arch": row["join"]}) for row in rows])
    table = published_table(values, "Top-1", frame, None)
    assert [entry.notes for entry in table.entries] == [(), ("the runs of the gain mix different code of arch",)]
