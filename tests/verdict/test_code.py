"""Mixed code is told beside verdicts."""

from __future__ import annotations

import json
import math

import pytest

from suite.verdict.code import mixed_code
from suite.verdict.comparisons import comparisons
from tests.frames import COLUMNS, frame_of, paired_rows

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
