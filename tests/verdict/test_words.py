"""The words of verdicts: each outcome has exactly one, and each word holds what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from suite.errors import InputError
from suite.verdict import rules, stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.evidence import Evidence
from suite.verdict.rules import falls_short
from suite.verdict.sentences import ANALOGUE_WORDS, MEANINGS, WORDS
from suite.verdict.verdicts import Verdict, decide, judge
from tests.frames import frame_of, paired_rows
from tests.verdict.test_verdicts import FAULTS, claim, probabilities


def test_confirmed_needs_what_it_says() -> None:
    confirmed = {"plain": 0, "with faults": 0}

    # The same draws each time: of other ones, one run in eight confirms too little with faults to show anything.
    @settings(max_examples=250, deadline=None, derandomize=True)
    @given(
        st.lists(st.integers(70, 98), min_size=1, max_size=7),
        st.dictionaries(st.integers(0, 13), st.sampled_from(FAULTS), max_size=2),
        st.integers(2, 4),
        st.integers(1, 3),
    )
    def check(gains: list[int], faults: dict[int, dict[str, Any]], least: int, copies: int) -> None:
        rows = [{**row, "correct": None, **faults.get(place, {})}  # without images to draw from, which takes long
                for place, row in enumerate(paired_rows([gain / 100 for gain in gains], base=90))]  # fmt: skip
        try:
            claims = [claim(id=f"c{number}", min_pairs=least) for number in range(copies)]
            found = judge(frame_of(rows), claims)
        except InputError:
            return  # refused: no word at all
        for verdict in found:
            if verdict.word == "confirmed":
                confirmed["with faults" if set(faults) & set(range(len(rows))) else "plain"] += 1
                _holds(verdict, rows, least)

    check()
    assert min(confirmed.values()) > 5


def _holds(verdict: Verdict, rows: list[dict[str, Any]], least: int) -> None:
    """Check a "confirmed" against the rows, with scipy's own tests."""
    seen, asked = verdict.evidence, verdict.claim
    assert seen is not None
    gains = seen.comparison.gains
    assert seen.pairs == len(set(seen.comparison.seeds)) == len(gains) >= least
    pairs = [{row["join"]: row for row in rows if row["seed_index"] == seed and row["status"] == "done"}
             for seed in seen.comparison.seeds]  # fmt: skip
    for pair, gain in zip(pairs, gains, strict=True):
        assert pair["default"]["recipe_id"] == pair["lape"]["recipe_id"]
        assert pair["lape"]["top1"] - pair["default"]["top1"] == pytest.approx(gain)
    if seen.gain.sd > 0:
        raw = ttest_1samp(gains, 0, alternative="greater").pvalue
        above = ttest_1samp(gains, asked.claimed_gain - asked.margin, alternative="greater").pvalue
        below = ttest_1samp(gains, asked.claimed_gain + asked.margin, alternative="less").pvalue
        assert max(above, below) < asked.alpha
    else:
        raw = 0.5**seen.pairs
    # Copies of one claim have the same p: each must stand the first step of Holm's procedure.
    assert seen.p_adjusted == pytest.approx(raw * seen.claims_judged)
    assert seen.p_adjusted < asked.alpha
    told = " ".join(verdict.caveats)
    one_place = all(pair["default"]["environment"] == pair["lape"]["environment"] for pair in pairs)
    assert ("different environments" in told) != one_place
    answered = all(row["correct"] is not None for pair in pairs for row in pair.values())
    assert ("keep no answers" in told) != answered
    assert ("trials failed" in told) == any(row["status"] != "done" for row in rows)


def test_every_word_has_a_meaning() -> None:
    assert tuple(MEANINGS) == (*WORDS, *ANALOGUE_WORDS[1:])


def evidence(asked: Claim, gain: stats.PairedGain, p: float, p_negative: float, p_equivalent: float) -> Evidence:
    """Evidence of any numbers, those that no runs give too: put where its cached properties keep theirs."""
    nothing = Side("any", {}, {}, {}, {}, {}, {})
    compared = Comparison("join", {}, "top1", nothing, nothing)
    vars(compared)["gain"] = gain
    made = Evidence(asked, compared)
    ends = stats.Interval(gain.low, gain.high)
    vars(made)["tests"] = rules.Tests(p, p_negative, p_equivalent, 1.0, ends)
    vars(made)["smaller"] = falls_short(asked.model_copy(update={"kind": "own"}), gain, ends)
    return made


@given(
    st.floats(-3, 3),
    st.floats(0, 3),
    probabilities,
    probabilities,
    probabilities,
    st.floats(0.05, 2),
    st.floats(0.05, 0.95),
)
def test_the_words_partition_all_outcomes(
    gain: float, half: float, p: float, p_negative: float, p_equivalent: float, claimed: float, part: float
) -> None:
    margin = part * claimed
    asked = claim(claimed, margin)
    measured = stats.PairedGain(5, gain, 1.0, gain - half, gain + half, p, p_negative)
    seen = evidence(asked, measured, p, p_negative, p_equivalent)
    significant, loss, small = p < 0.05, p_negative < 0.05, gain + half < claimed - margin
    # The definitions of design decision 9, each with the words before it ruled out: exactly one holds.
    holds = {
        "contradicted": loss or (not significant and small),
        "confirmed": not loss and significant and p_equivalent < 0.05,
        "direction_only": not loss and significant and p_equivalent >= 0.05,
        "inconclusive": not loss and not significant and not small,
    }
    assert sum(holds.values()) == 1
    assert holds[decide(seen)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-300, 300).map(lambda images: images / 100), max_size=7), st.integers(1, 3))
def test_every_outcome_has_one_word_and_a_sentence(gains: list[float], copies: int) -> None:
    rows = [row for n in range(copies) for row in paired_rows(gains, arch=f"arch_{n}", base=80)]
    found = judge(frame_of(rows), [claim(id=f"c{n}", match={"arch": f"arch_{n}"}) for n in range(copies)])
    assert len(found) == copies
    for verdict in found:
        assert verdict.word in WORDS
        assert "nan" not in verdict.sentence
        assert "inf" not in verdict.sentence
        assert not any("nan" in text or "inf" in text for text in verdict.caveats)
        if len(gains) < 3:
            assert verdict.word == "not_tested"


def test_grids_without_any_gain_seldom_find_one() -> None:
    # Three claims, judged together: the chance that any is called a gain must stay near α. Unadjusted it is 14 %.
    rng, asked, runs, wrong = np.random.default_rng(3), claim(), 300, 0
    for _ in range(runs):
        found = [stats.paired_gain(gains) for gains in rng.normal(0, 0.4, (3, 5))]
        raw = [gain.p_greater for gain in found]
        if min(raw) >= 0.05:
            continue  # an adjusted p is never smaller; multipletests collects garbage at each call, which is slow
        words = {decide(evidence(asked, gain, min(1.0, 3 * p), 1.0, 0.5)) for gain, p in zip(found, raw, strict=True)}
        wrong += "direction_only" in words
    assert 0.01 < wrong / runs < 0.088
