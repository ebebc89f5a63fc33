from __future__ import annotations

from fractions import Fraction

import pytest

from suite.bench.ratios import Ratio, only
from suite.verdict.claims.cost_ratios import judge_ratios
from suite.verdict.claims.reader import read_claim_files
from tests.conftest import REPOSITORY

VALUES = [
    value
    for file in read_claim_files([REPOSITORY / "grids" / "claims" / "table6.yaml"])
    for value in file.values.values()
]


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        (Ratio(1.002, 0.999, 1.005), "confirmed"),
        (Ratio(0.99, 0.98, 1.0), "confirmed"),
        (Ratio(1.006, 1.001, 1.011), "inconclusive"),
        (Ratio(1.03, 1.02, 1.04), "contradicted"),
        (only(1.03), "contradicted"),
        (only(1.0), "confirmed"),
    ],
)
def test_a_cost_is_held_against_the_largest_ratio_that_the_digits_allow(measured: Ratio, word: str) -> None:
    (verdict,) = judge_ratios(
        VALUES, "deit_tiny", "learnable", "default", "lape", {"train_seconds_per_epoch": measured}
    )
    assert (verdict.low, verdict.high) == (Fraction(4115, 4105), Fraction(4125, 4095))  # 412 s after 410 s
    assert verdict.word == word
    assert verdict.sentence.startswith(f"{word}: Table 6, DeiT-Ti, LaPE, time")
    assert "410 → 412" in verdict.sentence
    assert "from +0.24 % to +0.73 %" in verdict.sentence


def test_every_published_pair_is_judged_and_no_other() -> None:
    measured = {"train_seconds_per_epoch": only(1.0), "train_memory_mb": only(1.0)}
    for arch in ("deit_tiny", "deit_small", "deit_base"):
        found = judge_ratios(VALUES, arch, "learnable", "default", "lape", measured)
        assert {verdict.treatment.metric for verdict in found} == measured.keys()
        assert {verdict.treatment.cell.arch for verdict in found} == {arch}
    assert judge_ratios(VALUES, "deit_tiny", "sin1d", "default", "lape", measured) == []
    assert judge_ratios(VALUES, "deit_tiny", "learnable", "default", "shared", measured) == []
    assert judge_ratios(VALUES, "deit_tiny", "learnable", "default", "lape", {}) == []
