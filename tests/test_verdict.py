from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import stats
from suite.claims import Claim
from suite.evidence import Evidence
from suite.verdict import MEANINGS, WORDS, Verdict, decide, judge, to_json
from tests.frames import GPU, frame_of, paired_rows, run


def claim(gain: float = 0.84, margin: float = 0.42, *, match: dict[str, str] | None = None, **values: Any) -> Claim:
    contrast = {"axis": "join", "baseline": "default", "treatment": "lape",
                "match": match or {"arch": "vit_lite_digits", "pe": "learnable", "dataset": "digits"}}  # fmt: skip
    given_values = {
        "id": "c", "paper": "LaPE", "version": "ICCV 2023", "table": "2", "row": "ViT-Lite-7/4, CIFAR-10",
        "kind": "published", "contrast": contrast, "claimed_gain": gain, "margin": margin, **values,
    }  # fmt: skip
    return Claim.model_validate(given_values)


def judge_gains(gains: list[float], base: float = 93.0, **values: Any) -> Verdict:
    (verdict,) = judge(frame_of(paired_rows(gains, base=base)), [claim(**values)])
    return verdict


CASES = {
    "confirmed": [0.80, 0.88, 0.79, 0.91, 0.85],
    "direction_only": [0.25, 0.37, 0.31, 0.28, 0.34],
    "contradicted": [0.10, -0.12, 0.05, -0.04, 0.02],
    "inconclusive": [0.90, -0.40, 1.10, 0.30, 0.20],
    "not_tested": [0.80, 0.88],
}


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_reached(word: str) -> None:
    verdict = judge_gains(CASES[word])
    assert verdict.word == word
    assert verdict.sentence.startswith("claimed +0.84, observed ")
    assert word.replace("_", " ") in verdict.sentence


def test_the_sentences_say_it_in_the_papers_terms() -> None:
    assert judge_gains(CASES["direction_only"]).sentence == (
        "claimed +0.84, observed +0.31 [+0.25, +0.37] over 5 pairs: direction only; smaller than claimed"
    )
    assert judge_gains([2.0, 2.2, 2.1, 1.9, 2.05]).sentence.endswith("direction only; larger than claimed")
    assert "not shown to lie within 0.42" in judge_gains([1.4, 0.9, 0.3, 1.2, 0.5]).sentence
    assert judge_gains(CASES["confirmed"]).sentence.endswith("confirmed; as large as claimed, within 0.42")
    assert judge_gains(CASES["contradicted"]).sentence.endswith(
        "contradicted; no significant gain, and one of +0.42 or more is ruled out"
    )
    assert judge_gains([-0.5, -0.7, -0.6, -0.4, -0.55]).sentence.endswith("contradicted; it is a significant loss")
    inconclusive = judge_gains(CASES["inconclusive"])
    assert inconclusive.evidence is not None
    assert (
        f"5 pairs could have shown a gain of +{inconclusive.evidence.smallest_gain:.2f} or more"
        in inconclusive.sentence
    )


def test_an_analogue_says_what_the_papers_number_is_for() -> None:
    verdict = judge_gains(CASES["confirmed"], kind="analogue", published_for="ViT-Lite-7/4 on CIFAR-10")
    assert verdict.sentence.endswith(
        "(an analogue: the paper's gain is for ViT-Lite-7/4 on CIFAR-10; "
        "these runs are digits vit_lite_digits learnable, recipe digits)"
    )
    (untested,) = judge(frame_of([]), [claim(kind="analogue", published_for="ViT-Lite-7/4 on CIFAR-10")])
    assert "an analogue" in untested.sentence


def test_the_evidence_holds_the_numbers_of_the_tests() -> None:
    gains = CASES["inconclusive"]
    seen = judge_gains(gains).evidence
    assert seen is not None
    expected = stats.paired_gain(gains)
    assert (seen.pairs, seen.seeds) == (5, (0, 1, 2, 3, 4))
    assert (seen.gain, seen.sd, seen.low, seen.high) == pytest.approx(
        (expected.mean, expected.sd, expected.low, expected.high)
    )
    assert seen.p == seen.p_adjusted == pytest.approx(expected.p_greater)
    assert seen.p_equivalent == pytest.approx(stats.equivalence(gains, 0.84, 0.42))
    assert seen.p_sign_flip == stats.sign_flip(gains)
    assert seen.smallest_p_sign_flip == 1 / 32
    assert seen.pairs_needed == stats.seeds_needed(0.84, expected.sd)
    assert seen.treatment_mean - seen.baseline_mean == pytest.approx(expected.mean)


def test_holm_asks_more_of_each_claim_the_more_there_are() -> None:
    gains = [0.6, 1.3, 0.2, 1.1, 0.9]  # p is about 0.006
    rows = paired_rows(gains)
    claims = [claim(id="first")]
    for number in range(9):
        rows += paired_rows([0.9, -0.7, 0.4, -0.3, 0.2], arch=f"arch_{number}")
        claims.append(claim(id=f"other-{number}", match={"arch": f"arch_{number}"}))
    alone, among = judge(frame_of(rows), claims[:1])[0], judge(frame_of(rows), claims)[0]
    assert alone.evidence is not None
    assert among.evidence is not None
    assert among.evidence.claims_judged == 10
    assert among.evidence.p_adjusted == pytest.approx(10 * alone.evidence.p_adjusted)
    assert alone.word in ("confirmed", "direction_only")
    assert among.word == "inconclusive"


def test_claims_that_cant_be_tested_dont_weigh_on_the_others() -> None:
    rows = paired_rows(CASES["confirmed"]) + paired_rows([0.1, 0.2], arch="few")
    found = judge(
        frame_of(rows), [claim(id="a", match={"arch": "few"}), claim(id="b"), claim(id="c", match={"arch": "no"})]
    )
    assert [verdict.word for verdict in found] == ["not_tested", "confirmed", "not_tested"]
    assert found[1].evidence is not None
    assert found[1].evidence.claims_judged == 1


def test_why_a_claim_is_not_tested() -> None:
    (nothing,) = judge(frame_of([run(0)]), [claim()])
    assert nothing.evidence is None
    assert "no runs of both sides (vit_lite_digits learnable digits: lape vs default)" in nothing.sentence
    (apart,) = judge(frame_of([run(0), run(1, join="lape")]), [claim()])
    assert apart.evidence is None
    assert "no pairs, but at least 3 are needed" in apart.sentence
    one = judge_gains([0.5])
    assert "observed +0.50 over 1 pair: not tested; 1 pair, but at least 3" in one.sentence
    assert one.evidence is not None
    assert math.isnan(one.evidence.p_adjusted)


def test_equal_gains_are_judged_by_the_exact_test() -> None:
    few = judge_gains([0.84] * 4)
    assert few.word == "not_tested"
    assert "all 4 gains are equal" in few.sentence
    many = judge_gains([0.84] * 5)
    assert many.word == "confirmed"
    assert many.evidence is not None
    assert many.evidence.p == 1 / 32
    assert judge_gains([0.0] * 5).word == "contradicted"


def test_failures_and_mixed_environments_are_caveats() -> None:
    rows = [row for row in paired_rows(CASES["confirmed"]) if row["join"] == "default"]
    rows += [row for row in paired_rows(CASES["confirmed"], environment=GPU) if row["join"] == "lape"][:4]
    rows.append(run(4, status="diverged", join="lape"))
    (verdict,) = judge(frame_of(rows), [claim()])
    told = "\n".join(verdict.caveats)
    assert "lape: 1 of 5 trials failed (1 diverged; seed 4)" in told
    assert "left out, for want of a counterpart: seed 4" in told
    assert f"different environments: torch 2.15.0, {GPU.split(', ')[1]}" in told


def test_a_baseline_without_room_is_a_caveat() -> None:
    (told,) = (text for text in judge_gains([0.1, 0.2, 0.15, 0.1, 0.12], base=99.4).caveats if "room" in text)
    assert told.endswith("leave room for a gain of +0.52 at most")


def test_a_claim_that_leaves_an_axis_open_is_judged_for_each_contrast() -> None:
    rows = paired_rows(CASES["confirmed"]) + paired_rows(CASES["contradicted"], recipe="short", recipe_id="f" * 16)
    found = judge(frame_of(rows), [claim()])
    assert {(verdict.recipe, verdict.word) for verdict in found} == {("digits", "confirmed"), ("short", "contradicted")}
    (one,) = judge(frame_of(rows), [claim(match={"arch": "vit_lite_digits", "recipe": "short"})])
    assert one.word == "contradicted"


def test_the_claimed_metric_is_the_one_that_is_judged() -> None:
    rows = [run(seed, 93 + seed / 10, top1_best_epoch=95) for seed in range(5)]
    rows += [run(seed, 93 + seed / 10, join="lape", top1_best_epoch=95.8 + seed / 50) for seed in range(5)]
    last, best = judge(frame_of(rows), [claim(id="a"), claim(id="b", metric="top1_best_epoch")])
    assert (last.word, best.word) == ("contradicted", "confirmed")


def test_the_json_holds_everything_and_no_nan() -> None:
    found = judge(frame_of(paired_rows([0.5])), [claim(), claim(id="d", match={"arch": "none"})])
    text = to_json(found)
    first, second = json.loads(text, parse_constant=pytest.fail)
    assert first["word"] == "not_tested"
    assert first["claim"]["contrast"]["match"]["arch"] == "vit_lite_digits"
    assert first["evidence"]["gains"] == [pytest.approx(0.5)]
    assert first["evidence"]["sd"] is None
    assert set(first["evidence"]) == set(Evidence.__dataclass_fields__)
    assert second["evidence"] is None
    assert to_json(found) == text
    assert json.loads(to_json([])) == []


def test_every_word_has_a_meaning() -> None:
    assert tuple(MEANINGS) == WORDS


def evidence(**values: Any) -> Evidence:
    usual: dict[str, Any] = dict.fromkeys(Evidence.__dataclass_fields__, math.nan)
    return Evidence(**{**usual, "pairs": 5, "seeds": (), "gains": (), "environments": (), **values})


probabilities = st.floats(0, 1)


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
    seen = evidence(gain=gain, low=gain - half, high=gain + half, p_adjusted=p, p_negative_adjusted=p_negative,
                    p_equivalent=p_equivalent)  # fmt: skip
    significant, loss, small = p < 0.05, p_negative < 0.05, gain + half < claimed - margin
    # The definitions of design decision 9, each with the words before it ruled out: exactly one holds.
    holds = {
        "contradicted": loss or (not significant and small),
        "confirmed": not loss and significant and p_equivalent < 0.05,
        "direction_only": not loss and significant and p_equivalent >= 0.05,
        "inconclusive": not loss and not significant and not small,
    }
    assert sum(holds.values()) == 1
    assert holds[decide(asked, seen)]


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
        words = {
            decide(asked, evidence(high=gain.high, p_adjusted=p, p_negative_adjusted=1.0, p_equivalent=0.5))
            for gain, p in zip(found, stats.holm(raw), strict=True)
        }
        wrong += "direction_only" in words
    assert 0.01 < wrong / runs < 0.088
