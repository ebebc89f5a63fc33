"""Failed pairs at their worst, claims at an epoch, and the paper's own runs."""

from __future__ import annotations

from typing import Any

import pytest

from suite.verdict.verdicts import Verdict, judge
from tests.frames import frame_of, history_of, paired_rows, run
from tests.verdict.test_verdicts import CASES, claim

GAINS = [0.80, 0.88, 0.79, 0.91, 0.85, 0.82, 0.86]


def failing(side: str, seeds: set[int], gains: list[float] = GAINS, **failure: Any) -> list[dict[str, Any]]:
    return [
        run(row["seed_index"], join=side, **{"status": "diverged", **failure})
        if row["join"] == side and row["seed_index"] in seeds
        else row
        for row in paired_rows(gains)
    ]


def judged(rows: list[dict[str, Any]], **values: Any) -> Verdict:
    (verdict,) = judge(frame_of(rows), [claim(**values)])
    return verdict


def test_runs_that_diverge_take_a_gain_away() -> None:
    assert judged(paired_rows(GAINS)).word == "confirmed"
    lost = judged(failing("lape", {1, 3, 5}))
    assert lost.word == "inconclusive"
    assert lost.sentence.endswith(
        "inconclusive; without the failed pairs it would be confirmed, but not with them at their worst"
    )
    assert "seeds 1, 3, 5 failed: with these pairs at their worst" in "\n".join(lost.caveats)
    assert lost.evidence is not None
    assert lost.evidence.failures is not None
    # A failed treatment guesses: 10 % of ten classes, against the baseline's 93.1 of that seed.
    assert lost.evidence.failures.low[1] == pytest.approx(10 - 93.1)


def test_a_failed_baseline_counts_as_the_best_of_the_others() -> None:
    found = judged(failing("default", {0}))
    assert found.evidence is not None
    assert found.evidence.failures is not None
    assert found.evidence.failures.low[0] == pytest.approx(93.8 - 93.2)
    assert found.word == "direction_only"  # a gain in any case, but not shown to be as large as claimed


def test_a_failure_of_the_machine_is_missing_and_no_outcome() -> None:
    rows = [{**row, "machine_fault": row["status"] != "done"} for row in failing("lape", {1}, status="error")]
    columns = [*frame_of(rows).columns, "machine_fault"]
    frame = frame_of(rows).assign(machine_fault=[row["machine_fault"] for row in rows])[columns]
    (verdict,) = judge(frame, [claim()])
    assert verdict.word == "confirmed"


def test_a_sequential_claim_may_let_failed_pairs_enter() -> None:
    rows = failing("lape", {3})
    stopped, entered = (judged(rows, max_pairs=20, failed_pairs=how) for how in ("stop", "worst_case"))
    assert stopped.evidence is not None
    assert entered.evidence is not None
    assert (stopped.evidence.pairs, entered.evidence.pairs) == (3, 7)
    assert entered.evidence.bounds is not None
    assert entered.evidence.bounds.failed == (3,)
    assert entered.evidence.p >= stopped.evidence.p


def test_a_claim_at_an_epoch_is_judged_by_the_runs_history() -> None:
    frame = frame_of(paired_rows(CASES["confirmed"]))
    history = history_of(frame)
    late = history["trial_id"].isin(frame.loc[frame["join"] == "lape", "trial_id"]) & (history["epoch"] == 4)
    history.loc[late, "top1"] += [3.0, 3.1, 2.9, 3.05, 3.2]
    asked = claim(gain=3.6, margin=0.5, epoch=5)
    (found,) = judge(frame, [asked], history=history)
    assert found.word == "confirmed"
    assert found.evidence is not None
    assert found.evidence.gain.mean == pytest.approx(3.05 + 0.846 * 0.5**0.3, abs=1e-6)
    assert "accuracies are of epoch 5" in "\n".join(found.caveats)
    (without,) = judge(frame, [asked])
    assert without.word == "not_tested"
    assert "the training curves, which have epoch 5, aren't at hand" in without.sentence
    (never,) = judge(frame, [asked], history=history[history["epoch"] != 4])
    assert never.word == "not_tested"
    assert "weren't tested at epoch 5" in never.sentence


def test_the_papers_own_runs_vary_too() -> None:
    gains = [0.1, -0.25, 0.3, 0.0, -0.15]
    assert judged(paired_rows(gains)).word == "contradicted"
    one_run = judged(paired_rows(gains), published_runs=1)
    assert one_run.word == "inconclusive"
    assert "the paper's gain is of 1 run, which by this spread would show" in "\n".join(one_run.caveats)
    assert judged(paired_rows(gains), published_runs=None).word == "inconclusive"
