from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from suite.store.record import pack_bits
from suite.verdict.comparisons import Comparison
from suite.verdict.run_caveats import lost_runs
from suite.verdict.verdicts import Verdict, judge
from tests.frames import CPU, GPU, frame_of, paired_rows, run
from tests.verdict.test_verdicts import claim

IMAGES = 1000


def rows_of(gained: Sequence[int], lost: Sequence[int], right: int = 500) -> list[dict[str, Any]]:
    """Pairs on 1,000 images: a baseline right on `right` of them, a treatment that gains some and loses others."""
    found = []
    for seed, (more, less) in enumerate(zip(gained, lost, strict=True)):
        place = (np.arange(IMAGES) + 7 * seed) % IMAGES
        baseline = place < right
        treatment = (place < right + more) & (place >= less)
        for join, bits in (("default", baseline), ("lape", treatment)):
            answers = {"test_images": IMAGES, "correct": pack_bits(bits), "top1": 100 * float(bits.mean())}
            found.append(run(seed, join=join, **answers))
    return found


def verdict_on(rows: list[dict[str, Any]], **values: Any) -> Verdict:
    (found,) = judge(frame_of(rows), [claim(**values)])
    return found


def compared(rows: list[dict[str, Any]]) -> Comparison:
    seen = verdict_on(rows).evidence
    assert seen is not None
    return seen.comparison


def told(rows: list[dict[str, Any]], **values: Any) -> str:
    return "\n".join(verdict_on(rows, **values).caveats)


def test_the_evidence_counts_the_images_of_each_pair() -> None:
    seen = verdict_on(rows_of([40, 35, 44], [30, 31, 28])).evidence
    assert seen is not None
    assert seen.images is not None
    assert (seen.images.gained, seen.images.lost, seen.images.images) == ((40, 35, 44), (30, 31, 28), IMAGES)
    assert seen.images.p_mcnemar[0] == pytest.approx(0.2820, abs=1e-4)  # 2 · P(B(70, ½) ≤ 30)
    assert seen.images.interval.low < seen.gain.mean < seen.images.interval.high


def test_a_gain_of_this_test_set_is_a_caveat() -> None:
    # The pairs agree on +1, but by 200 images gained and 190 lost each: others might say otherwise.
    rows = rows_of([200, 201, 202, 199, 198], [190] * 5)
    assert "interval over seeds and test images doesn't exclude zero" in told(rows, gain=1.0, margin=0.5)
    assert "over seeds and test images" not in told(rows_of([20, 21, 22, 19, 18], [0] * 5))


def test_gains_that_agree_more_than_single_answers_can_are_a_caveat() -> None:
    # So many images gained and lost, each pair others: the gains must vary by about two points.
    def pairs(gained: Sequence[int]) -> str:
        rng, rows = np.random.default_rng(5), []
        for seed, more in enumerate(gained):
            place = rng.permutation(IMAGES)
            for join, bits in (("default", place < 500), ("lape", (place >= 190) & (place < 500 + more))):
                answers = {"test_images": IMAGES, "correct": pack_bits(bits), "top1": 100 * float(bits.mean())}
                rows.append(run(seed, join=join, **answers))
        return told(rows)

    assert "these runs are more alike than separate ones can be" in pairs([200, 201, 202, 201, 200])
    assert "more alike" not in pairs([180, 230, 201, 215, 170])


def test_mcnemars_test_that_disagrees_is_a_caveat() -> None:
    assert "finds the gain in every pair, and the t-test none" in told(rows_of([10, 60, 200], [0, 0, 0]))
    rows = rows_of([80, 82, 81, 79, 78, 80, 81, 80], [0] * 7 + [180])
    assert "finds the opposite in 1 of 8 pairs" in told(rows, gain=6.0, margin=3.0)
    assert "McNemar" not in told(rows_of([80, 82, 81, 79, 78], [70] * 5))


def test_a_treatment_that_changes_no_answer_is_a_caveat() -> None:
    assert "may have no effect at all" in told(rows_of([0] * 5, [0] * 5))


def test_runs_without_answers_are_counted() -> None:
    rows = rows_of([8, 9, 10], [0, 0, 0])
    for row in rows[:2]:
        row["correct"] = None
    found = verdict_on(rows)
    assert "2 of 6 runs keep no answers" in "\n".join(found.caveats)
    assert found.evidence is not None
    assert found.evidence.images is None


def test_one_training_under_two_seeds_is_a_caveat() -> None:
    rows = rows_of([8, 9, 10], [0, 0, 0])
    for copied, original in ((4, 0), (5, 1)):
        rows[copied] = {**rows[copied], **{name: rows[original][name] for name in ("top1", "correct")}}
    text = told(rows)
    assert "default: seed 2 gave bit by bit the answers of another seed" in text
    assert "lape: seed 2 gave bit by bit" in text


def test_equal_pairs_are_a_caveat() -> None:
    rows = rows_of([8, 9, 10, 11], [0, 0, 0, 0])
    for copied, original in ((4, 0), (5, 1)):
        rows[copied] = {**rows[copied], **{name: rows[original][name] for name in ("top1", "correct")}}
    assert "seeds 0, 2 are equal pairs" in told(rows)
    assert "equal pairs" not in told(rows_of([8, 9, 10], [0, 0, 0]))
    perfect = [{**row, "top1": 100.0, "correct": pack_bits(np.ones(IMAGES, bool))} for row in rows]
    assert "equal pairs" not in told(perfect)


def test_a_best_epoch_that_is_the_last_is_not_optimistic() -> None:
    rows = [{**row, "top1_best_epoch": row["top1"]} for row in rows_of([80, 82, 81, 79], [70] * 4)]
    last = verdict_on(rows, metric="top1_best_epoch")
    assert "optimistic" not in "\n".join(last.caveats)
    assert last.evidence is not None
    assert last.evidence.images is not None
    rows[0] = {**rows[0], "top1_best_epoch": rows[0]["top1"] + 0.1}
    best = verdict_on(rows, metric="top1_best_epoch")
    assert "accuracies are of the best epoch on the test set, which is optimistic" in "\n".join(best.caveats)
    assert best.evidence is not None
    assert best.evidence.images is None


def test_one_pair_far_from_the_others_is_a_caveat() -> None:
    gains = [0.40, 0.44, 0.38, 0.41, -3.0]
    text = told(paired_rows(gains))
    assert "seed 4's gain of −3.00 lies far from the others" in text
    assert "without it the gain is +0.41 [+0.37, +0.45], and the test would say otherwise" in text
    assert "the gains are skewed (skewness −2." in text
    even = told(paired_rows([0.3, 0.5, 0.4, 0.45, 0.35]))
    assert "far from the others" not in even
    assert "skewed" not in even
    three = told(paired_rows([0.40, 0.40, -3.0]))
    assert "far from" not in three
    assert "skewed" not in three


def test_pairs_of_several_environments_are_a_caveat() -> None:
    rows = [{**row, "environment": GPU} if row["seed_index"] > 1 else row for row in paired_rows([0.8] * 6)]
    text = told(rows)
    assert f"the pairs ran in several environments: {GPU}; {CPU}" in text
    assert "the two sides ran in different" not in text
    assert "several environments" not in told(paired_rows([0.8] * 6))


def test_room_for_less_than_the_least_gain_is_a_caveat() -> None:
    rows = paired_rows([0.1, 0.2, 0.15, 0.1, 0.12], base=99.4)
    assert "at most, which is less than the claimed one less the margin" in told(rows, gain=2.0, margin=1.0)
    assert "less than the claimed one less the margin" not in told(rows)


def test_only_pairs_of_one_gain_are_told_as_such() -> None:
    assert "all pairs have the same gain" in told(paired_rows([0.5, 0.5, 0.5]))
    assert "all pairs have the same gain" not in told(paired_rows([0.5, 0.9]))  # too few to test, but not the same


def test_runs_that_never_trained_are_told_in_short() -> None:
    gains = [0.5, 0.6, 0.4, 0.5, 0.55]
    rows = paired_rows(gains)
    assert lost_runs(compared(rows)) == ""
    rows = [run(4, 10.0) if row["join"] == "default" and row["seed_index"] == 4 else row for row in rows]
    assert lost_runs(compared(rows)) == (
        "runs that never trained: 1 of 5 with default, 0 of 5 with lape; the gain of the other pairs is "
        "+0.50 [+0.37, +0.63]"
    )
    both = [run(seed, 10.0, join=join) for seed in range(4) for join in ("default", "lape")]
    assert lost_runs(compared(both)) == "runs that never trained: 4 of 4 with default, 4 of 4 with lape"


def test_runs_that_never_trained_are_counted_on_both_sides() -> None:
    # As on digits: one default run in five stays at chance, and the mean gain says little of it.
    gains = [0.5, 0.6, 0.4, 0.5, 0.55]
    rows = [run(4, 10.0) if row["join"] == "default" and row["seed_index"] == 4 else row for row in paired_rows(gains)]
    text = told(rows)
    assert (
        "never trained: 1 of 5 runs of default, 0 of 5 of lape (Fisher's exact test of equal rates: p = 1.0000)" in text
    )
    assert (
        "the gain is +17.13 [−29.04, +63.30] with their pairs, and +0.50 [+0.37, +0.63] over the other 4 pairs" in text
    )
    assert "never trained" not in told(paired_rows(gains))
    both = [run(seed, 10.0, join=join) for seed in range(4) for join in ("default", "lape")]
    assert "never trained: 4 of 4 runs of default, 4 of 4 of lape" in told(both)


def test_a_collapsed_run_is_a_caveat() -> None:
    rows = [row if row["seed_index"] != 3 or row["join"] == "lape" else run(3, 10.3) for row in paired_rows([0.8] * 6)]
    assert "default: seed 3 ended near the 10 % of chance" in told(rows)
    own = [{**row, "dataset": "mine"} for row in rows]
    assert "chance" not in told(own, match={"dataset": "mine"})


def test_fractions_are_a_caveat_where_no_answers_tell() -> None:
    rows = [{**row, "correct": None, "test_images": None} for row in paired_rows([0.01, 0.02, 0.01], base=0.5)]
    assert "they look like fractions" in told(rows)
    assert "fractions" not in told(paired_rows([0.1, 0.2, 0.3]))


def test_the_exact_test_is_held_against_all_claims_together() -> None:
    rows = paired_rows([0.80, 0.88, 0.79, 0.91, 0.85])
    assert "sign-flip" not in told(rows)
    verdicts = judge(frame_of(rows), [claim(id="a"), claim(id="b")])
    assert "can't go below p = 0.0312 (0.0625 in a family of 2 claims) with 5 pairs" in "\n".join(verdicts[0].caveats)
    assert verdicts[0].evidence is not None
    assert verdicts[0].evidence.smallest_p_sign_flip_adjusted == 1 / 16


def test_an_interval_that_seems_to_say_something_else_than_the_test_is_a_caveat() -> None:
    one_sided = frame_of(paired_rows([-0.05, 0.4, 0.5, 1.0, 0.25], base=60))
    (found,) = judge(one_sided, [claim(gain=0.4, margin=0.2)])
    assert found.evidence is not None
    assert found.evidence.gain.low < 0
    assert found.evidence.p_adjusted < 0.05
    assert "the 95 % interval is two-sided and contains zero" in "\n".join(found.caveats)
    rows = [row for arch in ("a", "b", "c") for row in paired_rows([0.05, 0.4, 0.5, 0.9, 0.25], base=60, arch=arch)]
    found, *_ = judge(frame_of(rows), [claim(id=arch, match={"arch": arch}, gain=0.4, margin=0.2) for arch in "abc"])
    assert found.evidence is not None
    assert found.evidence.gain.low > 0
    assert found.evidence.p_adjusted >= 0.05
    assert "the 95 % interval excludes zero, but the test that decides has p = " in "\n".join(found.caveats)
    assert "(for a family of 3 claims)" in "\n".join(found.caveats)
    (alone,) = judge(frame_of(rows[:10]), [claim(match={"arch": "a"}, gain=0.4, margin=0.2)])
    assert "95 % interval" not in "\n".join(alone.caveats)
