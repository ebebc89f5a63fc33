from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.errors import InputError
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.claims.reader import load_claims
from suite.verdict.sentences import Word
from suite.verdict.stats.e_process import e_process_interval, e_process_p
from suite.verdict.stats.sequential import repeated_interval, sequential_equivalence, sequential_p
from suite.verdict.verdicts import Verdict, judge, to_json
from tests.frames import frame_of, paired_rows, run
from tests.verdict.test_verdicts import CASES, claim

GAINS = [0.80, 0.88, 0.79, 0.91, 0.85, 0.82]


def judged(gains: list[float], asked: Claim, **told: Any) -> Verdict:
    (verdict,) = judge(frame_of(paired_rows(gains)), [asked], **told)
    return verdict


def test_the_largest_number_of_pairs_brings_sequential_p_values() -> None:
    seen = judged(GAINS, claim(max_pairs=20)).evidence
    assert seen is not None
    gains = seen.comparison.gains
    assert seen.p == seen.p_adjusted == pytest.approx(sequential_p(gains, 20))
    assert seen.p_negative == sequential_p(gains, 20, side="less") == 1.0
    assert seen.p_equivalent == pytest.approx(sequential_equivalence(gains, 0.84, 0.42, 20))
    assert seen.p_smaller == sequential_p(gains, 20, 0.42, "less")
    ends = repeated_interval(gains, 20)
    assert (seen.interval.low, seen.interval.high) == (ends.low, ends.high)
    assert seen.interval.low < seen.gain.low < seen.gain.high < seen.interval.high
    assert seen.p > stats.paired_gain(gains).p_greater


def test_the_e_process_needs_no_largest_number() -> None:
    gains = [0.8 + 0.01 * (number % 3) for number in range(12)]
    verdict = judged(gains, claim(sequential="e_process"))
    seen = verdict.evidence
    assert seen is not None
    assert seen.p == pytest.approx(e_process_p(seen.comparison.gains))
    ends = e_process_interval(seen.comparison.gains)
    assert (seen.interval.low, seen.interval.high) == (ends.low, ends.high)
    assert verdict.word == "confirmed"
    assert "over 12 pairs, judged after each by the e-process: confirmed" in verdict.sentence


def test_a_verdict_says_its_rule_and_what_a_single_look_would_say() -> None:
    few = judged([0.9, 0.2, 0.7, 1.0, 0.5], claim(max_pairs=20))
    assert few.word == "inconclusive"
    assert few.single_look == "direction_only"
    assert few.sentence.endswith(
        "over 5 pairs of at most 20, judged after each: inconclusive so far; up to 15 further pairs may decide it; "
        "a single look at these pairs would say direction only"
    )
    all_of_them = judged([0.9, -0.4, 1.1, 0.3, 0.2], claim(max_pairs=5))
    assert "inconclusive; the largest number of pairs is reached" in all_of_them.sentence
    assert all_of_them.sentence.endswith("would say the same")
    told = json.loads(to_json([few, judged(CASES["confirmed"], claim())]))
    assert [one["single_look"] for one in told] == ["direction_only", None]
    assert [one["evidence"]["rule"] for one in told] == ["max_pairs", "fixed"]
    assert told[0]["claim"]["max_pairs"] == 20
    assert told[0]["evidence"]["rule_low"] < told[0]["evidence"]["low"]


@pytest.mark.parametrize(("gains", "word"), [
    ([-0.5, -0.7, -0.6, -0.4, -0.55], "contradicted"),  # a loss
    ([0.10, -0.12, 0.05, -0.04, 0.02, 0.01, -0.03], "contradicted"),  # less than 0.42
    ([0.25, 0.37, 0.31, 0.28, 0.34], "direction_only"),
    (GAINS, "confirmed"),
    ([0.9, -0.4, 1.1, 0.3, 0.2], "inconclusive"),
])  # fmt: skip
def test_each_word_is_reached_by_the_sequential_rule(gains: list[float], word: Word) -> None:
    assert judged(gains, claim(max_pairs=20)).word == word


def test_a_word_that_says_smaller_stays_when_pairs_are_added() -> None:
    # The running minimum decides: a later pair that widens the interval doesn't take it back.
    gains = [0.0, 0.02, -0.02, 0.01, -0.01, 0.01]
    assert judged(gains, claim(max_pairs=20)).word == "contradicted"
    later = judged([*gains, 2.0], claim(max_pairs=20))
    assert later.evidence is not None
    assert later.evidence.interval.high > 0.42
    assert later.word == "contradicted"


def test_a_failed_pair_ends_the_prefix() -> None:
    rows = paired_rows(GAINS)
    rows = [run(3, join="lape", status="diverged") if row["join"] == "lape" and row["seed_index"] == 3 else row
            for row in rows]  # fmt: skip
    (verdict,) = judge(frame_of(rows), [claim(max_pairs=20)])
    assert verdict.evidence is not None
    assert verdict.evidence.comparison.seeds == (0, 1, 2)
    assert (
        "the pairs are tested in the grid's order of seeds, and end where seed 3 failed (lape); run it again; "
        "left out, though their pairs are there: seeds 4, 5"
    ) in verdict.caveats
    (fixed,) = judge(frame_of(rows), [claim()])
    assert fixed.evidence is not None
    assert fixed.evidence.comparison.seeds == (0, 1, 2, 4, 5)


def test_a_missing_seed_is_not_skipped() -> None:
    rows = paired_rows(GAINS, seeds=[0, 1, 2, 3, 5, 6])
    (verdict,) = judge(frame_of(rows), [claim(max_pairs=20)])
    assert verdict.evidence is not None
    assert verdict.evidence.comparison.seeds == (0, 1, 2, 3)
    assert "end where seed 4 is missing (default and lape)" in "\n".join(verdict.caveats)
    one_side = [row for row in rows if (row["join"], row["seed_index"]) != ("default", 2)]
    (verdict,) = judge(frame_of(one_side), [claim(max_pairs=20)])
    assert verdict.word == "not_tested"
    assert "2 pairs, but at least 3" in verdict.sentence
    assert "end where seed 2 is missing (default)" in "\n".join(verdict.caveats)


def test_pairs_are_read_in_the_grids_order_of_seeds() -> None:
    rows = paired_rows(GAINS, seeds=[7, 3, 9, 1, 5, 0])
    (verdict,) = judge(frame_of(rows), [claim(max_pairs=5)], seeds=[7, 3, 9, 1, 5, 0])
    assert verdict.evidence is not None
    assert verdict.evidence.comparison.seeds == (7, 3, 9, 1, 5)
    assert verdict.evidence.comparison.gains == pytest.approx(GAINS[:5])
    assert "left out, beyond the largest number of 5 pairs: seed 0" in verdict.caveats
    (other,) = judge(frame_of(rows), [claim(max_pairs=20)], seeds=[7, 3, 9, 1])
    assert "left out, for they aren't among the grid's seeds: seeds 0, 5" in other.caveats
    not_yet = judged(GAINS, claim(max_pairs=20), seeds=range(20))
    assert not any("order of seeds" in text for text in not_yet.caveats)


def test_a_word_before_the_fixed_number_of_pairs_is_provisional() -> None:
    early = judged(CASES["confirmed"], claim(), pairs_expected=8)
    assert (early.word, early.provisional) == ("confirmed", True)
    assert early.caveats[0].startswith("provisional: 5 of the 8 pairs that the grid fixes")
    assert json.loads(to_json([early]))[0]["provisional"] is True
    there = judged(CASES["confirmed"], claim(), pairs_expected=5)
    assert not there.provisional
    assert there.caveats == judged(CASES["confirmed"], claim()).caveats
    late = judged(CASES["confirmed"], claim(), pairs_expected=3)
    assert not late.provisional
    assert "the grid fixes 3 pairs, and these are 5" in late.caveats[0]
    for rule in ({"max_pairs": 8}, {"sequential": "e_process"}):
        assert not judged(GAINS, claim(**rule), pairs_expected=8).provisional
    assert not judged([0.8, 0.9], claim(), pairs_expected=8).provisional  # not tested says it already


def test_a_sequential_claim_weighs_on_the_others_before_it_has_runs() -> None:
    claims = [claim(id="a", max_pairs=20), claim(id="b", match={"arch": "later"}, max_pairs=20)]
    first, _ = judge(frame_of(paired_rows(GAINS)), claims)
    assert first.evidence is not None
    assert first.evidence.claims_judged == 2
    assert first.evidence.p_adjusted == pytest.approx(2 * first.evidence.p)
    named = claim(id="a", max_pairs=20, family_size=1)
    alone, _ = judge(frame_of(paired_rows(GAINS)), [named, claims[1]])
    assert alone.evidence is not None
    assert alone.evidence.claims_judged == 1


def test_null_claims_that_are_looked_at_after_each_seed() -> None:
    # Three claims without a gain, up to 10 pairs, looked at after each.
    rng, claims = (
        np.random.default_rng(11),
        [claim(id=f"c{n}", match={"arch": f"a{n}"}, max_pairs=10) for n in range(3)],
    )
    wrong, wrong_once, families = 0, 0, 40
    for _ in range(families):
        gains = rng.normal(0, 0.4, (3, 10))
        words: set[str] = set()
        once: set[str | None] = set()
        for pairs in range(3, 11):
            rows = [
                row for n in range(3) for row in paired_rows(np.round(gains[n, :pairs], 2), arch=f"a{n}", correct=None)
            ]
            found = judge(frame_of(rows), claims)
            words |= {verdict.word for verdict in found}
            once |= {verdict.single_look for verdict in found}
        wrong += not words.isdisjoint({"confirmed", "direction_only"})
        wrong_once += not once.isdisjoint({"confirmed", "direction_only"})
    assert wrong / families <= 0.12  # at most 0.05, and two standard errors of 40 families
    assert wrong_once > wrong


@pytest.mark.parametrize("rule", [{}, {"max_pairs": 20}])
def test_smaller_than_claimed_is_told_whether_a_gain_is_shown_or_not(rule: dict[str, Any]) -> None:
    words = {"direction_only": True, "contradicted": True, "confirmed": False, "inconclusive": False,
             "not_tested": False}  # fmt: skip
    for word, smaller in words.items():
        gains = CASES[word] * (2 if word in ("direction_only", "contradicted", "confirmed") else 1)
        verdict = judged(gains, claim(**rule))
        assert (verdict.word, verdict.smaller) == (word, smaller)
        assert json.loads(to_json([verdict]))[0]["smaller_than_claimed"] is smaller


def test_equal_gains_that_are_too_few_for_the_rule() -> None:
    few = judged([0.84] * 5, claim(max_pairs=20))
    assert few.word == "not_tested"
    assert "5 equal gains can't reach p < 0.05 by this claim's rule" in few.sentence
    assert judged([0.84] * 9, claim(max_pairs=20)).word == "confirmed"
    assert judged([0.84] * 9, claim(sequential="e_process")).word == "confirmed"


def test_two_pairs_are_never_tested_whatever_a_file_says() -> None:
    verdict = judged([0.84, 0.85], claim(min_pairs=2))
    assert verdict.word == "not_tested"
    assert "2 pairs, but at least 3 are needed" in verdict.sentence


FILE = """\
paper: P
version: v1
table: "1"
test: {alpha: 0.05, %s}
claims:
  - id: c
    row: r
    kind: published
    contrast: {axis: join, baseline: default, treatment: lape, match: {arch: vit_ti}}
    claimed_gain: 1.0
    margin: 0.5
%s"""


def test_a_claim_file_fixes_the_rule(tmp_path: Path) -> None:
    def read(rule: str, own: str = "") -> Claim:
        (tmp_path / "c.yaml").write_text(FILE % (rule, own))
        (found,) = load_claims([tmp_path / "c.yaml"])
        return found

    assert read("min_pairs: 3").rule == "fixed"
    assert read("max_pairs: 20").max_pairs == 20
    assert read("sequential: e_process").rule == "e_process"
    assert read("max_pairs: 20", "    sequential: e_process\n").rule == "e_process"
    assert read("sequential: e_process", "    max_pairs: 12\n").max_pairs == 12
    assert read("max_pairs: 20", "    max_pairs: null\n").rule == "fixed"
    for rule, expected in (
        ("max_pairs: 2", "a number of at least 3"),
        ("max_pairs: 101", "a number of at most 100"),
        ("sequential: often", "e_process"),
        ("max_pairs: 20, sequential: e_process", "not both"),
        ("max_pairs: 4, min_pairs: 5", "max_pairs of at least min_pairs"),
    ):
        with pytest.raises(InputError) as caught:
            read(rule)
        assert expected in str(caught.value), rule
        assert "c.yaml" in str(caught.value)


def test_intervals_that_are_infinite_are_null_in_json() -> None:
    verdict = judged([0.8, 0.9, 0.7], claim(sequential="e_process"))
    assert verdict.evidence is not None
    assert math.isinf(verdict.evidence.interval.low)
    assert json.loads(to_json([verdict]))[0]["evidence"]["rule_low"] is None
    assert "inf" not in verdict.sentence
