from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.store.frames import load_frame
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.claims.reader import load_claims
from suite.verdict.sentences import WORDS
from suite.verdict.verdicts import Verdict, judge, to_json
from tests.conftest import REPOSITORY
from tests.frames import GPU, frame_of, paired_rows, run


def claim(gain: float = 0.84, margin: float = 0.42, *, match: dict[str, str] | None = None, **values: Any) -> Claim:
    contrast = {"axis": "join", "baseline": "default", "treatment": "lape",
                "match": match or {"arch": "vit_lite_digits", "pe": "learnable", "dataset": "digits"}}  # fmt: skip
    given_values = {
        "id": "c", "paper": "LaPE", "version": "ICCV 2023", "table": "2", "row": "ViT-Lite-7/4, CIFAR-10",
        "kind": "published", "contrast": contrast, "claimed_gain": gain, "margin": margin,
        "published_runs": 100_000, **values,  # so many that they don't vary
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
        "claimed +0.84, observed +0.31 [+0.25, +0.37] over 5 pairs: direction only; smaller than claimed: one "
        "of +0.42 or more is ruled out"
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
    assert (seen.pairs, seen.comparison.seeds) == (5, (0, 1, 2, 3, 4))
    assert astuple(seen.gain) == pytest.approx(astuple(expected))
    assert seen.p == seen.p_adjusted == pytest.approx(expected.p_greater)
    assert seen.p_equivalent == pytest.approx(stats.equivalence(gains, 0.84, 0.42))
    assert seen.p_sign_flip == stats.sign_flip(gains)
    assert seen.smallest_p_sign_flip == 1 / 32
    assert seen.pairs_needed == stats.seeds_needed(0.84, expected.sd)
    assert seen.comparison.means[1] - seen.comparison.means[0] == pytest.approx(expected.mean)


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


def test_a_family_is_what_was_claimed_and_not_what_has_run() -> None:
    rows = paired_rows(CASES["confirmed"]) + paired_rows([0.1, 0.2], arch="few")
    found = judge(
        frame_of(rows), [claim(id="a", match={"arch": "few"}), claim(id="b"), claim(id="c", match={"arch": "no"})]
    )
    assert [verdict.word for verdict in found] == ["not_tested", "confirmed", "not_tested"]
    assert found[1].evidence is not None
    assert found[1].evidence.claims_judged == 3  # claims without runs count: no word changes when theirs come
    (named,) = judge(frame_of(rows), [claim(id="b", family_size=7)])
    assert named.evidence is not None
    assert named.evidence.p_adjusted == pytest.approx(7 * named.evidence.p)
    assert "over 5 pairs, as one of 7 claims: " in named.sentence


@pytest.mark.parametrize("rule", [{}, {"max_pairs": 20}])
def test_no_word_changes_with_the_progress_of_other_claims(rule: dict[str, int]) -> None:
    rows = paired_rows([0.9, 0.1, 0.7, 1.3, 0.2])
    claims = [claim(id="a", **rule)]
    claims += [claim(id=f"b{number}", match={"arch": f"arch_{number}"}, **rule) for number in range(3)]
    before = judge(frame_of(rows), claims)[0]
    for number in range(3):
        rows += paired_rows([5.0, 5.1, 5.2, 5.1, 5.3], arch=f"arch_{number}")
    after = judge(frame_of(rows), claims)[0]
    assert before == after
    assert before.word == "inconclusive"
    assert judge(frame_of(rows), claims[:1])[0].word == ("inconclusive" if rule else "direction_only")


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


def test_equal_gains_are_not_tested_where_the_family_leaves_the_exact_test_no_chance() -> None:
    rows, claims = [], []
    for number in range(3):
        rows += paired_rows([0.84] * 5, arch=f"arch_{number}")
        claims.append(claim(id=f"c{number}", match={"arch": f"arch_{number}"}))
    (alone,) = judge(frame_of(rows), claims[:1])
    assert alone.word == "confirmed"
    for verdict in judge(frame_of(rows), claims):
        assert verdict.word == "not_tested"
        assert (
            "5 equal gains can't reach p < 0.05 in the exact test: in a family of 3 claims, 0.094 at best"
            in verdict.sentence
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-300, 300).map(lambda images: images / 100), min_size=2, max_size=7))
def test_a_claim_of_less_is_judged_as_one_of_more_with_the_signs_turned(gains: list[float]) -> None:
    more, less = claim(), claim().model_copy(update={"side": "less", "claimed_gain": -0.84})
    (up,), (down,) = (
        judge(frame_of([{**row, "correct": None} for row in paired_rows(one, base=50)]), [asked])
        for one, asked in ((gains, more), ([-gain for gain in gains], less))
    )
    assert up.word == down.word
    assert up.evidence is not None
    assert down.evidence is not None
    for name in ("p", "p_adjusted", "p_negative", "p_equivalent", "p_sign_flip", "smallest_gain", "pairs_needed"):
        assert getattr(up.evidence, name) == pytest.approx(getattr(down.evidence, name), abs=1e-9, nan_ok=True), name
    turned = (-down.evidence.gain.high, -down.evidence.gain.low)
    assert (up.evidence.gain.low, up.evidence.gain.high) == pytest.approx(turned, abs=1e-9)


def test_a_claim_of_less_has_sentences_of_its_own() -> None:
    less = claim().model_copy(update={"side": "less", "claimed_gain": -0.84})

    def said(*gains: float) -> str:
        (verdict,) = judge(frame_of(paired_rows(gains)), [less])
        return verdict.sentence

    assert said(-0.8, -0.88, -0.79, -0.91, -0.85).endswith("confirmed; as large as claimed, within 0.42")
    assert said(0.5, 0.7, 0.6, 0.4, 0.55).endswith("contradicted; it is a significant rise")
    assert said(-0.1, 0.12, -0.05, 0.04, -0.02).endswith("and one of −0.42 or less is ruled out")
    assert said(-0.25, -0.37, -0.31, -0.28, -0.34).endswith("smaller than claimed: one of −0.42 or less is ruled out")
    assert "could have shown a gain of −0." in said(-0.9, 0.4, -1.1, -0.3, -0.2)


def test_a_claim_of_a_metric_that_no_run_has_is_not_tested() -> None:
    (found,) = judge(frame_of(paired_rows(CASES["confirmed"])), [claim().model_copy(update={"metric": "top5"})])
    assert found.word == "not_tested"
    assert "no run records top5" in found.sentence


def test_recipes_of_one_name_are_judged_apart_and_said_to_be() -> None:
    rows = paired_rows(CASES["confirmed"]) + paired_rows(CASES["contradicted"], recipe_id="f" * 16)
    found = judge(frame_of(rows), [claim()])
    assert [verdict.word for verdict in found] == ["confirmed", "contradicted"]
    for verdict, recipe_id in zip(found, ("0123456789abcdef", "f" * 16), strict=True):
        assert f"several recipes go by the name 'digits' here, and each has a verdict of its own; this one is of the " \
            f"recipe with the id {recipe_id}" in verdict.caveats  # fmt: skip


def test_sides_of_two_recipes_are_never_paired() -> None:
    rows = [run(seed) for seed in range(5)]
    rows += [run(seed, 95.84, join="lape", recipe_id="f" * 16) for seed in range(5)]
    (found,) = judge(frame_of(rows), [claim()])
    assert found.word == "not_tested"
    assert "the runs of the two sides differ in more than their join, such as the recipe" in found.sentence


def test_a_diverged_baseline_is_no_pair_and_stands_beside_the_word() -> None:
    rows = [row if row["join"] == "lape" or row["seed_index"] != 2 else run(2, status="diverged")
            for row in paired_rows([*CASES["confirmed"], 0.83])]  # fmt: skip
    (found,) = judge(frame_of(rows), [claim()])
    assert found.evidence is not None
    assert found.evidence.comparison.seeds == (0, 1, 3, 4, 5)
    assert "default: 1 of 6 trials failed (1 diverged; seed 2)" in found.caveats


def test_a_seed_that_counts_twice_is_refused() -> None:
    rows = [*paired_rows(CASES["not_tested"]), run(0, 95.0, join="lape", trial_id="c" * 16)]
    with pytest.raises(InputError, match="two different trainings under one name"):
        judge(frame_of(rows), [claim()])


# What may go wrong with a run, as changes of its row.
FAULTS: list[dict[str, Any]] = [
    {"status": "diverged"},
    {"top1": math.nan},
    {"top1": 0.95},
    {"test_images": 359},
    {"recipe_id": "f" * 16, "cell_id": "e" * 16},
    {"environment": GPU},
    {"correct": None},
    {"trial_id": "d" * 16},
]


def test_the_order_of_the_rows_changes_no_byte() -> None:
    rows = [row for word, gains in CASES.items() for row in paired_rows(gains, arch=word)]
    rows.append(run(2, 93.0, join="lape", arch="not_tested", environment=GPU))
    claims = [claim(id=word, match={"arch": word}) for word in CASES]
    expected = to_json(judge(frame_of(rows), claims))
    for seed in range(3):
        assert to_json(judge(frame_of(rows).sample(frac=1, random_state=seed), claims)) == expected


def test_a_fresh_process_with_other_hashes_says_the_same_bytes() -> None:
    program = (
        "from suite.verdict.claims.reader import load_claims; from suite.store.frames import load_frame;"
        "from suite.verdict import judge, to_json;"
        "verdicts = judge(load_frame('results/cifar_subset'), load_claims(['grids/claims/cifar_subset.yaml']));"
        "print(to_json(verdicts), end='')"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "1"}, cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    frame = load_frame(REPOSITORY / "results" / "cifar_subset")
    here = to_json(judge(frame, load_claims([REPOSITORY / "grids" / "claims" / "cifar_subset.yaml"])))
    assert there == here
    assert json.loads(there)[0]["evidence"]["crossed_low"] is not None


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
    (last,) = judge(frame_of(rows), [claim(id="a")])
    (best,) = judge(frame_of(rows), [claim(id="b", metric="top1_best_epoch")])
    assert (last.word, best.word) == ("contradicted", "confirmed")
    assert "best epoch on the test set, which is optimistic" in "\n".join(best.caveats)
    assert "best epoch" not in "\n".join(last.caveats)


def test_the_json_holds_everything_and_no_nan() -> None:
    found = judge(frame_of(paired_rows([0.5])), [claim(), claim(id="d", match={"arch": "none"})])
    text = to_json(found)
    first, second = json.loads(text, parse_constant=pytest.fail)
    assert first["word"] == "not_tested"
    assert first["claim"]["contrast"]["match"]["arch"] == "vit_lite_digits"
    assert first["evidence"]["gains"] == [pytest.approx(0.5)]
    assert first["evidence"]["sd"] is None
    assert list(first["evidence"]) == [
        "pairs", "seeds", "gains", "baseline_chosen", "treatment_chosen", "baseline_mean", "treatment_mean", "gain",
        "sd", "low", "high", "rule", "rule_low", "rule_high", "p", "p_adjusted", "p_negative", "p_negative_adjusted",
        "p_equivalent", "p_smaller", "p_sign_flip", "smallest_p_sign_flip", "smallest_p_sign_flip_adjusted",
        "claims_judged", "smallest_gain", "pairs_needed", "level", "prediction_low", "prediction_high", "failed_pairs",
        "correlation", "baseline_last_tenth", "treatment_last_tenth", "environments", "test_images",
        "crossed_low", "crossed_high", "sd_floor", "p_below_floor", "images_gained", "images_lost", "p_mcnemar",
    ]  # fmt: skip
    assert second["evidence"] is None
    assert to_json(found) == text
    assert json.loads(to_json([])) == []


probabilities = st.floats(0, 1)
